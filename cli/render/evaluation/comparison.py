"""Runs side by side, and by how much their groups differ, as tables for a person."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.render import runs as one_run
from cli.render.formats import count, design_lines, dollars, duration, or_dash, percent, table
from cli.workflows.answers.runs.comparison import (
    Difference,
    DifferenceBasis,
    GroupDifference,
    RunComparison,
    RunGroup,
)
from cli.workflows.answers.runs.run import Run

# Mark of a difference whose interval does not rest on several seeds.
COUNTED = "*"
BASES = {
    DifferenceBasis.SEEDS: "Student's t over the seeds of both groups, on these test images.",
    DifferenceBasis.COUNTING: f"{COUNTED} of a single run: counting on test images, and forecast seed noise.",
}


def comparison(answer: RunComparison) -> RenderableType:
    """Return a table with a column for each run, and one with the differences of the groups."""
    parts: list[RenderableType] = [_runs(answer)]
    if len(answer.groups) > 1:
        title = "The first group, and differences from it (90 % interval; errors in points)"
        parts += ["", Text(title, style="bold"), _differences(answer), *_legend(answer.differences)]
    return Group(*parts)


def _runs(answer: RunComparison) -> Table:
    runs = answer.runs
    priced = any(r.price_per_hour_usd is not None for r in runs)
    shares = (*one_run.RIVALS, *one_run.PARTS, *one_run.CONFIDENCE)
    lines: list[tuple[str, Callable[[Run], str]]] = [
        ("design", lambda r: r.design),
        ("data", lambda r: r.dataset),
        ("epochs", lambda r: str(r.epochs)),
        ("seed", lambda r: str(r.seed)),
        ("status", lambda r: r.status),
        ("parameters", lambda r: count(r.parameters)),
        ("training", lambda r: duration(r.train_seconds)),
        *([("training, USD", lambda r: or_dash(r.cost_usd, dollars))] if priced else []),
        ("test error", lambda r: _of_test(r, "error")),
        *((label, partial(_of_test, name=name)) for label, name in shares),
    ]
    columns = [("", "l"), *((f"run {r.id}", "r") for r in runs)]
    return table("", columns, [[name, *(value(r) for r in runs)] for name, value in lines])


def _of_test(r: Run, name: str) -> str:
    return "–" if r.test is None else or_dash(getattr(r.test, name), percent)


def _differences(answer: RunComparison) -> Table:
    """Return the means of the first group, and the difference of every other group from them."""
    first = answer.groups[0]
    rows = [
        [
            _group(first),
            or_dash(first.test_error, percent),
            or_dash(first.nll, "{:.3f}".format),
            or_dash(first.calibration_error, percent),
        ]
    ]
    for difference in answer.differences:
        rows.append(
            [
                _group(answer.groups[difference.group]),
                _difference(difference.test_error, 100, "+.2f"),
                _difference(difference.nll, 1, "+.3f"),
                _difference(difference.calibration_error, 100, "+.2f"),
            ]
        )
    return table(
        "",
        [("runs, design", "l"), ("test error", "r"), ("log-likelihood", "r"), ("calibration", "r")],
        rows,
    )


def _group(group: RunGroup) -> str:
    return f"{', '.join(map(str, group.runs))}\n{design_lines(group.design)}"


def _difference(difference: Difference | None, factor: float, form: str) -> str:
    if difference is None:
        return "–"
    value = difference.value.scaled(factor)
    mark = COUNTED if difference.basis is DifferenceBasis.COUNTING else ""
    return f"{value.mean:{form}}{mark}\n{value.low:{form}} to {value.high:{form}}"


def _legend(differences: tuple[GroupDifference, ...]) -> list[RenderableType]:
    used = {d.test_error.basis for d in differences if d.test_error is not None}
    lines = [text for basis, text in BASES.items() if basis in used]
    if not all(d.same_test_images for d in differences):
        lines.append("–: groups with other test images are not subtracted.")
    lines.append("Log-likelihood is negative, in nats; it and calibration need two seeds a group.")
    return [Text(line, style="dim") for line in lines]
