"""Every way to train an ensemble as a table: its error beside its cost, the front marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from advisor.conformal import CostBasis
from advisor.plans.method_traits import CLUSTERED, Method
from cli.render.examine.explain import evidence_notes
from cli.render.examine.slots import slot_notes, slots_of_ways
from cli.render.formats import (
    design_lines,
    digits,
    dollars,
    duration,
    epochs_text,
    interval,
    or_dash,
    percent,
    size,
    table,
    tight_table,
)
from cli.workflows.answers.examine.frontier import BetterWay, Frontier, FrontierRow, NeverWorth

ON_FRONT = "*"
# From this probability on a method is said to be never worth its time.
SURE = 0.8
LEGEND = (
    f"{ON_FRONT} on the front: no other row has both less expected error and less expected time. Members: "
    "mean error of a member. 90 % intervals."
)
FASTER = "By slots: training time, and how many times faster than on one."
FORMULA = "Times are ratios to full data by a formula that knows no machine, until something is measured."


def frontier(answer: Frontier) -> RenderableType:
    """Return the table of all ways, the finished runs beside it, and what is never worth its time."""
    plan = answer.plan
    parts: list[RenderableType] = [
        Text(f"{plan.design} on {plan.dataset}: every g and every method", style="bold"),
        Text(
            f"{answer.members} members, {epochs_text(plan.epochs, plan.patience)}, batch {plan.batch}, "
            f"{plan.dtype} on {plan.device}"
        ),
        "",
        _ways(answer),
    ]
    if any(row.runs for row in answer.rows):
        parts += ["", _runs(answer)]
    if answer.rows[0].by_slots:
        parts += ["", _slots(answer)]
    parts += ["", *(Text(line) for line in words(answer))]
    return Group(*parts, *(Text(note, style="dim") for note in _notes(answer)))


def way_in_words(method: Method, clusters: int | None) -> str:
    """Return a way as tables and pictures name it: mothernets g=2."""
    return f"{method} g={clusters}" if clusters is not None and method in CLUSTERED else str(method)


def _ways(answer: Frontier) -> Table:
    priced = answer.price_per_hour_usd is not None
    columns = [
        ("", "l"),
        ("method", "l"),
        ("test\nerror", "r"),
        ("members\n", "r"),
        ("training\nUSD" if priced else "training\n", "r"),
        ("of full\ndata", "r"),
        ("memory\nlatency", "r"),
    ]
    return tight_table(columns, [_way(row, answer.plan.design) for row in answer.rows])


def _way(row: FrontierRow, design: str) -> list[str]:
    clusters = f"\ng={row.clusters}" if row.method in CLUSTERED else ""
    name = design_lines(row.design.partition("@")[0])
    other = "" if row.design.partition("@")[0] == design else f"\n{name}"
    usd = "" if row.cost_usd is None else f"\n{dollars(row.cost_usd.mean)} USD"
    latency = row.inference_ms_per_image
    return [
        ON_FRONT if row.on_front else "",
        f"{row.method}{clusters}{other}",
        interval(row.test_error, percent),
        interval(row.mean_member_error, percent),
        interval(row.train_seconds, duration) + usd,
        f"{digits(row.time_over_full_data.mean)}x",
        "–"
        if row.train_peak_bytes is None
        else f"{size(row.train_peak_bytes.mean)}\n"
        + or_dash(None if latency is None else latency.mean / 1000, duration),
    ]


def _slots(answer: Frontier) -> Table:
    ways = [(way_in_words(row.method, row.clusters), row.by_slots) for row in answer.rows]
    return slots_of_ways(ways, answer.plan.device)


def _runs(answer: Frontier) -> Table:
    """Return a row for each finished run, measured beside predicted."""
    rows = [
        [
            str(run.run),
            way_in_words(row.method, row.clusters),
            _beside(run.test_error, row.test_error.mean, percent),
            _beside(run.mean_member_error, row.mean_member_error.mean, percent),
            _beside(
                run.train_seconds, None if row.train_seconds is None else row.train_seconds.mean, duration
            ),
            *([or_dash(run.cost_usd, dollars)] if answer.price_per_hour_usd is not None else []),
        ]
        for row in answer.rows
        for run in row.runs
    ]
    usd = [("USD\n", "r")] if answer.price_per_hour_usd is not None else []
    columns = [("run", "r"), ("method", "l"), ("test\nerror", "r"), ("members\n", "r"), ("training\n", "r")]
    return table("Finished runs of this ensemble: measured (predicted)", [*columns, *usd], rows)


def _beside(measured: float | None, predicted: float | None, form: Callable[[float], str]) -> str:
    return f"{or_dash(measured, form)}\n({or_dash(predicted, form)})"


def words(answer: Frontier) -> list[str]:
    """Return in sentences which methods are never worth their time here, and which cannot train it."""
    lines = []
    for sure in (True, False):
        methods = [n for n in answer.never_worth if (n.beaten_by.probability >= SURE) is sure]
        if methods:
            heading = "Never worth its time here" if sure else "Off the front, but not surely"
            lines.append(f"{heading}: {'; '.join(map(_never_worth, methods))}.")
    if not answer.never_worth:
        lines.append("Every method has a row on the front: none is never worth its time here.")
    return lines + [f"{i.method} cannot train it: {i.reason}." for i in answer.inapplicable]


def _never_worth(never: NeverWorth) -> str:
    return f"{never.method} ({_better(never.beaten_by)})"


def _better(way: BetterWay) -> str:
    name = way_in_words(way.method, way.clusters)
    return f"{name} has less error in no more time, chance {way.probability:.0%}"


def _notes(answer: Frontier) -> list[str]:
    notes = [LEGEND]
    if answer.price_per_hour_usd is not None:
        notes.append(f"USD: hours of training at {answer.price_per_hour_usd:g} USD an hour.")
    if answer.evidence.cost is CostBasis.NOMINAL:
        notes.append(FORMULA)
    if answer.rows[0].by_slots:
        notes += [FASTER, *slot_notes([each for row in answer.rows for each in row.by_slots])]
    if answer.other_runs:
        notes.append(_other_runs(answer.other_runs))
    return [*notes, *evidence_notes(answer.evidence)]


def _other_runs(runs: Sequence[int]) -> str:
    which = f"Run {runs[0]} has" if len(runs) == 1 else f"Runs {', '.join(map(str, runs))} have"
    return f"{which} other epochs or settings, so no row shows it."
