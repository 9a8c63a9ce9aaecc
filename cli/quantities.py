"""Parsers of quantities on the command line: memory, time, prices, sizes, seeds, budgets, epochs, images."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from advisor.cost.money.machine_price import MACHINES
from advisor.designs.budget import parse_budget
from advisor.errors import UsageError
from advisor.plans.schedule import MOST_EPOCHS

_NUMBER = r"(?P<number>\d{1,15}(?:\.\d{1,15})?)\s*"
_MEMORY = re.compile(_NUMBER + r"(?P<unit>|[kmgt]i?)b?", re.I)
_DURATION = re.compile(_NUMBER + r"(?P<unit>|s|m|min|h|d)", re.I)
# Least side of an image that networks are built for, and the side of a large photograph, in pixels.
LEAST_SIDE, MOST_SIDE = 8, 8192
_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def parse_bytes(text: str | None, option: str) -> float | None:
    """Read ``8G``, ``512MiB`` or bytes; G is 10⁹ and Gi is 2³⁰.

    Raises:
        UsageError: text of another form, or a quantity of zero.
    """
    if text is None:
        return None
    match = _MEMORY.fullmatch(text.strip())
    if match is None or float(match["number"]) <= 0:
        raise UsageError(f"{option}: cannot read {text!r} as memory: write 8G, 512MiB or a number of bytes")
    unit = match["unit"].lower()
    base = 1024 if unit.endswith("i") else 1000
    power = " kmgt".index(unit[0]) if unit else 0
    return float(match["number"]) * float(base**power)


def parse_seconds(text: str | None, option: str) -> float | None:
    """Read ``90s``, ``10m``, ``1.5h``, ``2d`` or seconds.

    Raises:
        UsageError: text of another form, or a quantity of zero.
    """
    if text is None:
        return None
    match = _DURATION.fullmatch(text.strip())
    if match is None or float(match["number"]) <= 0:
        raise UsageError(f"{option}: cannot read {text!r} as a duration: write 90s, 10m, 1.5h or seconds")
    return float(match["number"]) * _SECONDS[match["unit"].lower()]


def parse_share(text: str | None, option: str) -> float | None:
    """Read ``6%`` or ``0.06``.

    Raises:
        UsageError: text of another form, or a share that is not above 0 and below 1.
    """
    if text is None:
        return None
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise UsageError(f"{option} must be above 0 and below 1, got {text!r}: write 6% or 0.06")
    return share


def parse_price(text: str | None, option: str) -> float | None:
    """Read a price in USD per hour: ``3.06``, or the name of a machine in the table of prices.

    Raises:
        UsageError: text of another form, or a price that is not positive and finite.
    """
    if text is None:
        return None
    word = text.strip().lower()
    if word in MACHINES:
        return MACHINES[word].usd_per_hour
    try:
        price = float(word)
    except ValueError:
        raise UsageError(
            f"{option}: cannot read {text!r} as a price: write USD per hour, for example 3.06, or "
            f"{' or '.join(MACHINES)}"
        ) from None
    check_price(price, option)
    return price


def check_price(price: float | None, option: str) -> None:
    """Refuse a price per hour that no machine has.

    Raises:
        UsageError: the price is not positive and finite.
    """
    if price is not None and not (price > 0 and math.isfinite(price)):
        raise UsageError(
            f"{option} must be positive and finite, got {price:g}: give USD an hour, or leave it out"
        )


def check_amount(usd: float | None, price: float | None, option: str) -> None:
    """Refuse a limit in USD that cannot be met, or that no price turns into time.

    Args:
        usd: limit in USD, None for none.
        price: price of the machine in USD per hour, None if unknown.
        option: name of the limit.

    Raises:
        UsageError: the limit is not positive and finite, or there is no price.
    """
    if usd is None:
        return
    if not (usd > 0 and math.isfinite(usd)):
        raise UsageError(f"{option} must be positive and finite, got {usd:g}: give USD, or leave it out")
    if price is None:
        raise UsageError(
            f"{option} {usd:g} needs the price of the machine: add --price-per-hour USD "
            f"({' or '.join(MACHINES)})"
        )


def parse_size(text: str | None, option: str) -> tuple[int, int] | None:
    """Read ``64`` or ``48x64``, height x width, as height and width in pixels.

    Raises:
        UsageError: text of another form, or a size out of range.
    """
    if text is None:
        return None
    sides = text.strip().lower().split("x")
    if len(sides) > 2 or not all(_is_side(side) for side in sides):
        raise UsageError(
            f"{option}: cannot read {text!r} as an image size: write 64 or 48x64 (height x width), "
            f"each side {LEAST_SIDE} to {MOST_SIDE:,}"
        )
    return int(sides[0]), int(sides[-1])


def _is_side(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9 and LEAST_SIDE <= int(text) <= MOST_SIDE


def check_seed(seed: int | None) -> None:
    """Refuse a seed that cannot be stored.

    Raises:
        UsageError: negative seed, or one of more than 32 bits.
    """
    if seed is not None and not 0 <= seed < 2**32:
        raise UsageError(f"--seed must be between 0 and {2**32 - 1}, got {seed}")


def parse_budgets(text: str | None, option: str) -> tuple[int, int] | None:
    """Read ``250k-8M``, or one budget as a range without length.

    Raises:
        UsageError: text of another form, or a range that falls.
    """
    return None if text is None else _range(text, option, parse_budget)


def parse_epochs(text: str | None, option: str) -> tuple[int, int] | None:
    """Read ``10-500``, or one number of epochs as a range without length.

    Raises:
        UsageError: text of another form, or a range that falls.
    """

    def read(number: str) -> int:
        if not number.strip().isdecimal() or not 1 <= int(number) <= MOST_EPOCHS:
            raise UsageError(f"{option}: cannot read {text!r}: write 250 or 10-500, {MOST_EPOCHS:,} at most")
        return int(number)

    return None if text is None else _range(text, option, read)


def parse_image_counts(text: str | None, option: str) -> tuple[int, int] | None:
    """Read ``500-20k``, or one number of images as a range without length.

    Raises:
        UsageError: text of another form, or a range that falls.
    """
    return None if text is None else _range(text, option, lambda number: parse_image_count(number, option))


def parse_image_count(text: str, option: str) -> int:
    """Read ``4000``, ``20k`` or ``1.2M`` images.

    Raises:
        UsageError: text of another form.
    """
    try:
        return parse_budget(text)
    except UsageError:
        raise UsageError(
            f"{option}: cannot read {text!r} as a number of images: write 4000, 20k or 1.2M"
        ) from None


def _range(text: str, option: str, read: Callable[[str], int]) -> tuple[int, int]:
    first, sign, second = text.partition("-")
    if not first.strip() or sign and not second.strip():
        raise UsageError(f"{option}: {text!r} lacks an end: write LOW-HIGH, or one number")
    low = read(first)
    high = read(second) if sign else low
    if high < low:
        raise UsageError(f"{option}: a range goes from low to high, got {text!r}: write {second}-{first}")
    return low, high
