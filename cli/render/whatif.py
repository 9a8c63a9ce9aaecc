"""A change of a design as tables: every metric before and after, and each of several changes by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.render.explain import evidence_notes
from cli.render.formats import Plain, count, digits, duration, interval, percent, size

Form = Callable[[float], str]
UNKNOWN = "–"
# The interval of what cancels altogether.
EXACT = "±0"


def _latency(milliseconds: float) -> str:
    return duration(milliseconds / 1000)


COUNTS = {"parameters": "parameters", "macs": "MACs of an image"}
# Label and form of every cost.
COSTS: dict[str, tuple[str, Form]] = {
    "train_seconds": ("training", duration),
    "epoch_seconds": ("an epoch of every member", duration),
    "inference_ms_per_image": ("latency of an image", _latency),
    "train_peak_bytes": ("peak memory in training", size),
}
LEGEND = (
    "Intervals hold 90 %; those of a change leave out what the forecasts of both plans get wrong alike. "
    "Error differs in percentage points on average; less error: of one training against one other."
)


def comparison(payload: Plain) -> RenderableType:
    """The metrics before and after, each change by itself, and what all of it rests on."""
    before, after = payload["before"], payload["after"]
    parts: list[RenderableType] = [
        Text(f"{_written(payload['changes'])} on {before['plan']['dataset']}", style="bold"),
        Text(f"before  {_plan(before['plan'])}"),
        Text(f"after   {_plan(after['plan'])}"),
        "",
        _metrics(before, after),
        "",
    ]
    if payload["each_alone"]:
        parts += [_each_alone(payload), ""]
    notes = [LEGEND, *payload["notes"], *evidence_notes(payload["evidence"])]
    return Group(*parts, *(Text(note, style="dim") for note in notes))


def _written(changes: Plain) -> str:
    return " ".join(f"--{option} {text}" for option, text in changes.items())


def _plan(plan: Plain) -> str:
    return (
        f"{plan['design']}, {plan['method']}, {plan['epochs']} epochs, batch {plan['batch']}, "
        f"{plan['processes']} at a time"
    )


def _metrics(before: Plain, after: Plain) -> Table:
    change = after["change"]
    drawn = _table("metric", ("before", "after", "change"), gap=2)
    for name, label in COUNTS.items():
        drawn.add_row(label, count(before[name]), count(after[name]), _times(change[f"{name}_ratio"]))
    sides = before["predicted"], after["predicted"]
    errors = [interval(side["test_error"], percent) for side in sides]
    drawn.add_row("test error", *errors, _points(change["test_error_difference"], " points"))
    drawn.add_row("probability of less error", "", "", _chance(change["probability_less_error"]))
    for name, (label, form) in COSTS.items():
        drawn.add_row(label, *(interval(s[name], form) for s in sides), _ratio(change[f"{name}_ratio"]))
    return drawn


def _each_alone(payload: Plain) -> Table:
    """Every change by itself and all together, a row each."""
    columns = ("params\nMACs", "test error\npoints", "less\nerror", "training", "latency", "memory")
    drawn = _table("change", columns, gap=1)
    together = payload["after"] | {"changes": {}}
    for row in [*payload["each_alone"], together]:
        change = row["change"]
        drawn.add_row(
            _written(row["changes"]) or "all together",
            "\n".join(_times(change[f"{name}_ratio"]) for name in COUNTS),
            _points(change["test_error_difference"]),
            _chance(change["probability_less_error"]),
            *(_ratio(change[f"{name}_ratio"]) for name in COSTS if name != "epoch_seconds"),
        )
    return drawn


def _table(first: str, figures: Sequence[str], gap: int) -> Table:
    """A table whose first column gives way where the terminal is narrow."""
    drawn = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold")
    drawn.add_column(first, overflow="fold")
    for name in figures:
        drawn.add_column(name, justify="right", no_wrap=True)
    return drawn


def _times(ratio: float) -> str:
    return f"{digits(ratio)}x"


def _ratio(ratio: Plain | None) -> str:
    """A ratio of costs and its interval, on two lines."""
    if ratio is None:
        return UNKNOWN
    low, high = digits(ratio["low"]), digits(ratio["high"])
    return f"{_times(ratio['mean'])}\n{EXACT if low == high else f'{low}–{high}'}"


def _chance(chance: float | None) -> str:
    return UNKNOWN if chance is None else f"{chance:.0%}"


def _points(difference: Plain | None, unit: str = "") -> str:
    """A difference of errors in percentage points and its interval, on two lines."""
    if difference is None:
        return UNKNOWN
    mean, low, high = (100 * difference[end] for end in ("mean", "low", "high"))
    return f"{mean:+.2f}{unit}\n{EXACT if low == high else f'{low:+.2f} to {high:+.2f}'}"
