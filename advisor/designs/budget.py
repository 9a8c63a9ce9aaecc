"""Reading a parameter budget: ``5M``, ``1.5m``, ``750k``, ``5000000``, ``5e6``."""

from __future__ import annotations

import re
from decimal import Decimal

from advisor.errors import UsageError

# Beyond this there are thousands of widths alone; the published studies end at 36M parameters.
LARGEST_BUDGET = 10**10
_LONGEST = 40

_BUDGET = re.compile(
    r"(?P<number>\d+(?:\.\d*)?(?:e[+-]?\d{1,2})?|\.\d+(?:e[+-]?\d{1,2})?)(?P<unit>[kmg]?)", re.I
)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def parse_budget(text: str) -> int:
    """Return a budget in parameters.

    Args:
        text: number with an optional unit k, M or G.

    Raises:
        UsageError: another form of text, less than one parameter, or more than `LARGEST_BUDGET`.
    """
    digits = text.strip().replace("_", "")
    match = _BUDGET.fullmatch(digits)
    if match is None or len(digits) > _LONGEST:
        raise UsageError(f"cannot read budget {text!r}: write 5M, 750k, 5000000 or 5e6")
    parameters = int(Decimal(match["number"]) * _UNITS[match["unit"].lower()])
    if not 1 <= parameters <= LARGEST_BUDGET:
        raise UsageError(f"a budget is between 1 and 10G parameters, got {text!r}")
    return parameters
