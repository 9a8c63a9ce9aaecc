"""A change of a design as tables: every metric before and after, and each of several changes by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from advisor.decision.weight_decay import with_weight_decay
from advisor.estimate import Estimate
from cli.render.examine.explain import evidence_notes
from cli.render.formats import count, digits, dollars, duration, epochs_text, interval, percent, size
from cli.workflows.answers.examine.parts import PlanFacts
from cli.workflows.answers.examine.whatif import ChangedPlan, PlanMetrics, WhatIf

Form = Callable[[float], str]
UNKNOWN = "–"
# Interval of a change whose uncertainty cancels altogether.
EXACT = "±0"
# Line below an error on more images than any evidence supports.
EXTRAPOLATED = "\nextrapolated"


def _latency(milliseconds: float) -> str:
    return duration(milliseconds / 1000)


LEGEND = (
    "Intervals contain 90 %; discrepancies that both forecasts share cancel in those of a change. "
    "Errors differ in percentage points on average; less error: one training against one other."
)


def comparison(answer: WhatIf) -> RenderableType:
    """Return the metrics before and after, each change by itself, and the evidence behind the forecasts."""
    before, after = answer.before, answer.after
    parts: list[RenderableType] = [
        Text(f"{_written(answer.changes)} on {before.plan.dataset}", style="bold"),
        Text(f"before  {_plan(before.plan)}"),
        Text(f"after   {_plan(after.plan)}"),
        "",
        _metrics(before, after),
        "",
    ]
    if answer.each_alone:
        parts += [_each_alone(answer), ""]
    notes = [LEGEND, *answer.notes, *evidence_notes(answer.evidence)]
    return Group(*parts, *(Text(note, style="dim") for note in notes))


def _written(changes: Mapping[str, str]) -> str:
    return " ".join(f"--{option} {text}" for option, text in changes.items())


def _plan(plan: PlanFacts) -> str:
    name = with_weight_decay(plan.design, plan.tuned_weight_decay)
    epochs = epochs_text(plan.epochs, plan.patience)
    return f"{name}, {plan.method}, {epochs}, batch {plan.batch}, {plan.processes} at a time"


def _metrics(before: PlanMetrics, after: ChangedPlan) -> Table:
    change, sides = after.change, (before.predicted, after.predicted)
    drawn = _table("metric", ("before", "after", "change"), gap=2)

    def cost(label: str, form: Form, estimates: Sequence[Estimate | None], ratio: Estimate | None) -> None:
        drawn.add_row(label, *(interval(estimate, form) for estimate in estimates), _ratio(ratio))

    counts = count(before.parameters), count(after.parameters)
    drawn.add_row("parameters", *counts, _times(change.parameters_ratio))
    drawn.add_row("MACs of an image", count(before.macs), count(after.macs), _times(change.macs_ratio))
    if after.train_images != before.train_images:
        images = [f"{side.train_images:,}" for side in (before, after)]
        drawn.add_row("training images", *images, _times(after.train_images / before.train_images))
    errors = [_error(side) for side in (before, after)]
    drawn.add_row("test error", *errors, _points(change.test_error_difference, " points"))
    drawn.add_row("probability of less error", "", "", _chance(change.probability_less_error))
    cost("training", duration, [s.train_seconds for s in sides], change.train_seconds_ratio)
    if any(s.cost_usd for s in sides):
        cost("training, USD", dollars, [s.cost_usd for s in sides], change.train_seconds_ratio)
    cost("an epoch of every member", duration, [s.epoch_seconds for s in sides], change.epoch_seconds_ratio)
    latencies = [s.inference_ms_per_image for s in sides]
    cost("latency of an image", _latency, latencies, change.inference_ms_per_image_ratio)
    peaks = [s.train_peak_bytes for s in sides]
    cost("peak memory in training", size, peaks, change.train_peak_bytes_ratio)
    return drawn


def _error(side: PlanMetrics) -> str:
    """Return the error with its interval; one that is extrapolated is marked."""
    mark = EXTRAPOLATED if side.test_error_extrapolated else ""
    return interval(side.predicted.test_error, percent) + mark


def _each_alone(answer: WhatIf) -> Table:
    """Return a row for every change by itself, and one for all together."""
    columns = ("params\nMACs", "test error\npoints", "less\nerror", "training", "latency", "memory")
    drawn = _table("change", columns, gap=1)
    for row in answer.each_alone:
        drawn.add_row(_written(row.changes), *_change_cells(row))
    drawn.add_row("all together", *_change_cells(answer.after))
    return drawn


def _change_cells(changed: ChangedPlan) -> list[str]:
    change = changed.change
    mark = EXTRAPOLATED if changed.test_error_extrapolated else ""
    return [
        f"{_times(change.parameters_ratio)}\n{_times(change.macs_ratio)}",
        _points(change.test_error_difference) + mark,
        _chance(change.probability_less_error),
        _ratio(change.train_seconds_ratio),
        _ratio(change.inference_ms_per_image_ratio),
        _ratio(change.train_peak_bytes_ratio),
    ]


def _table(first: str, figures: Sequence[str], gap: int) -> Table:
    """Return an empty table whose first column shrinks on a narrow terminal."""
    drawn = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold")
    drawn.add_column(first, overflow="fold")
    for name in figures:
        drawn.add_column(name, justify="right", no_wrap=True)
    return drawn


def _times(ratio: float) -> str:
    return f"{digits(ratio)}x"


def _ratio(ratio: Estimate | None) -> str:
    """Return a ratio of costs and its interval, on two lines."""
    if ratio is None:
        return UNKNOWN
    low, high = digits(ratio.low), digits(ratio.high)
    return f"{_times(ratio.mean)}\n{EXACT if low == high else f'{low}–{high}'}"


def _chance(chance: float | None) -> str:
    return UNKNOWN if chance is None else f"{chance:.0%}"


def _points(difference: Estimate | None, unit: str = "") -> str:
    """Return a difference of errors in percentage points and its interval, on two lines."""
    if difference is None:
        return UNKNOWN
    mean, low, high = (100 * end for end in (difference.mean, difference.low, difference.high))
    return f"{mean:+.2f}{unit}\n{EXACT if low == high else f'{low:+.2f} to {high:+.2f}'}"
