"""From the arguments of the Python face to the requests of workflows; errors in words of arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from advisor.errors import AdvisorError, UsageError
from cli.quantities import check_amount, parse_bytes, parse_price, parse_seconds, parse_share
from cli.slot_counts import parse_slots
from cli.workflows.home import Home
from cli.workflows.views import silent

if TYPE_CHECKING:
    from advisor.plans.navigation.path import Targets
    from cli.workflows.advise.probe_options import ProbeOptions
    from cli.workflows.answers.advise.request import RecommendRequest
    from cli.workflows.answers.examine.switchover import EstRequest
    from cli.workflows.forecast.plan_request import PlanRequest
    from cli.workflows.runs.train import TrainOptions
    from cli.workflows.views import Said, Say

# One name, or several.
Names = str | Sequence[str]
Counts = int | Sequence[int]
# One number of slots, or several: 8, "1,2,4,8" or [1, 2, 4, 8].
SlotCounts = int | str | Sequence[int] | None
# A folder of everything that is written; None is the project's or the user's, as on the command line.
Folder = Home | Path | str | None
# A function that receives the messages, "rich" for lines and bars on stderr, None for silence.
Progress = Callable[["Said"], None] | Literal["rich"] | None

_OWN = ("recommend", "probe", "train", "explain", "whatif", "frontier", "equivalents", "est")
# Commands that an error may name, and what stands for them here.
_CALLS = (
    (r"`advisor resume (\w+)`", r"`advisor.train(resume=\1)`"),
    (r"`advisor runs list`", "`advisor.runs()`"),
    (rf"`advisor ({'|'.join(_OWN)})\b[^`]*`", r"`advisor.\1`"),
    (r"--([a-z][a-z-]*)", lambda match: match[1].replace("-", "_")),
)


@contextmanager
def speaking_of_arguments() -> Iterator[None]:
    """Let errors name arguments and functions instead of options and commands."""
    try:
        yield
    except AdvisorError as error:
        text = str(error)
        for pattern, call in _CALLS:
            text = re.sub(pattern, call, text)
        error.args = (text, *error.args[1:])
        raise


# The arguments of a function by name: there are too many to be written out a second time.
Given = Mapping[str, Any]
_REQUESTED = ("dataset", "skip_damaged", "epochs", "device", "batch", "seed", "profile_seconds", "tune")
_ENDING = ("recipe", "until_converged", "patience")
_PLANNED = (
    "rank",
    "dataset",
    "epochs",
    "batch",
    "method",
    "seed",
    "device",
    "hatched_epochs",
    "noise",
    "shrink",
    "recipe",
    "patience",
    "step_mode",
)


def request_of(given: Given) -> RecommendRequest:
    """Return the request that the arguments of `recommend` make."""
    from cli.workflows.answers.advise.request import RecommendRequest

    return RecommendRequest(
        budget=_text(given["budget"]),
        max_memory_bytes=parse_bytes(_text(given["max_memory"]), "max_memory"),
        max_train_seconds=parse_seconds(_text(given["max_train_time"]), "max_train_time"),
        methods=_tuple(given["method"]),
        price_per_hour_usd=price_given(given["price_per_hour"]),
        **{name: given[name] for name in ("objective", "max_latency_ms", "max_usd", "trials", *_ENDING)},
        **_shared(given),
    )


def request_to_probe(given: Given) -> RecommendRequest:
    """Return the request that the arguments of `probe` make, completed from the last recommendation."""
    from cli.workflows.advise.last_recommendation import completed_request

    fields = _shared(given) | {"budget": _text(given["budget"])}
    return completed_request(home_of(given["home"]), fields.pop("dataset"), **fields)


def _shared(given: Given) -> dict[str, Any]:
    """Return the fields of a request that recommending and probing have in common."""
    return {name: given[name] for name in _REQUESTED} | {
        "resize": _text(given["resize"]),
        "families": _tuple(given["family"]),
        "members": _tuple(given["members"]),
        "augmentation": given["augment"],
    }


def session_options(given: Given) -> ProbeOptions:
    """Return what the arguments of `probe` say of the execution."""
    from cli.workflows.advise.probe_options import ProbeOptions
    from cli.workflows.clusters import cluster_address

    return ProbeOptions(
        seconds=60 * given["minutes"],
        download=given["download"],
        cluster=cluster_address(given["cluster"], given["insecure_cluster"]),
    )


def plan_request(given: Given, target: str = "target") -> PlanRequest:
    """Return what the arguments of a function say of a plan.

    Args:
        given: the arguments by name.
        target: name of the argument that names the plan.
    """
    from cli.workflows.forecast.plan_request import PlanRequest

    return PlanRequest(
        target=_text(given.get(target)),
        augmentation=given.get("augment"),
        resize=_text(given.get("resize")),
        rate=given.get("lr"),
        weight_decay=given.get("weight_decay"),
        skip_damaged=bool(given.get("skip_damaged")),
        until_converged=bool(given.get("until_converged")),
        **{name: given.get(name) for name in _PLANNED},
    )


def plan_before(given: Given) -> PlanRequest:
    """Return what the arguments of `whatif` say of the plan before the changes."""
    before = {name.removeprefix("base_"): given[name] for name in given if name.startswith("base_")}
    kept = ("target", "dataset", "resize", "skip_damaged", "augment", "device")
    return plan_request({name: given[name] for name in kept} | before)


def changes_given(given: Given) -> dict[str, str]:
    """Return the changes that the arguments of `whatif` name, as the command line has them."""
    from cli.workflows.forecast.plan_request import changes_of

    return changes_of({name: None if value is None else str(value) for name, value in given.items()})


def est_request(given: Given) -> EstRequest:
    """Return the request that the arguments of `est` make."""
    from cli.workflows.answers.examine.switchover import EstRequest

    as_given = ("family", "members", "dataset", "reading", "seed", "skip_damaged", "axis")
    return EstRequest(
        clusters=given["g"],
        **{name: given[name] for name in as_given},
        **{name: _text(given[name]) for name in ("budget", "epochs", "resize", "images")},
    )


def slots_given(given: Given) -> tuple[tuple[int, ...], str | None]:
    """Return the numbers of slots that a function forecasts on, and its device.

    Raises:
        UsageError: numbers that cannot be understood, or slots and GPUs.
    """
    slots, gpus = (_counts(given[name]) for name in ("slots", "gpus"))
    return parse_slots(slots, gpus, given["device"], prefix="")


def _counts(given: SlotCounts) -> str | None:
    if given is None or isinstance(given, str):
        return given
    return ",".join(map(str, (given,) if isinstance(given, int) else given))


def train_options(given: Given) -> TrainOptions:
    """Return what the arguments of `train` say of the execution."""
    from cli.workflows.clusters import cluster_address
    from cli.workflows.runs.train import TrainOptions

    return TrainOptions(
        time_limit=parse_seconds(_text(given["time_limit"]), "time_limit"),
        download=given["download"],
        price_per_hour=price_given(given["price_per_hour"]),
        cluster=cluster_address(given["cluster"], given["insecure_cluster"]),
    )


def targets_given(given: Given) -> Targets | None:
    """Return where the path of `train` ends; None if it trains one plan.

    Raises:
        UsageError: a target that cannot be understood, or an amount in USD without a price.
    """
    error, duration, usd = (given[name] for name in ("until_error", "until_time", "until_usd"))
    if error is None and duration is None and usd is None:
        return None
    from advisor.plans.navigation.path import Targets

    price = price_given(given["price_per_hour"])
    check_amount(usd, price, "until_usd")
    return Targets(
        error=parse_share(None if error is None else str(error), "until_error"),
        seconds=parse_seconds(_text(duration), "until_time"),
        usd=usd,
        price_per_hour=price,
    )


def price_given(price: str | float | None) -> float | None:
    """Return the price of the machine in USD per hour, which may be the name of a machine.

    Raises:
        UsageError: no such machine, or a price that is not positive and finite.
    """
    return parse_price(None if price is None else str(price), "price_per_hour")


def home_of(home: Folder) -> Home:
    """Return the folder of everything that is written."""
    return home if isinstance(home, Home) else Home.find(None if home is None else Path(home))


def say_of(progress: Progress) -> Say:
    """Return the function that receives the messages.

    Raises:
        UsageError: a value that is none of those that `Progress` admits.
    """
    if progress is None:
        return silent
    if progress == "rich":
        from cli.progress import Speaker

        return Speaker(quiet=False)
    if not callable(progress):
        raise UsageError(f"progress must be a function, 'rich' or None, got {progress!r}")
    return progress


def _tuple(one_or_several: Any) -> tuple[Any, ...]:
    return (one_or_several,) if isinstance(one_or_several, str | int) else tuple(one_or_several)


def _text(value: Any) -> Any:
    """Return a number or a path as the command line would have it; None stays None."""
    if value is None or isinstance(value, str):
        return value
    return f"{value:f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
