"""A single network and the ensembles of its size as a table: a column a design, a row a metric."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from advisor.conformal import CostBasis
from advisor.decision.threshold.switchover import Threshold
from advisor.estimate import Estimate
from cli.render.examine.explain import evidence_notes
from cli.render.formats import count, dollars, duration, epochs_text, interval, percent, size, tight_table
from cli.workflows.answers.examine.class_comparison import (
    ComparedDesign,
    ComparedKind,
    EquivalentComparison,
)

Form = Callable[[float], str]
Cell = Callable[[ComparedDesign], str]
HEADINGS = {
    ComparedKind.SINGLE: "single",
    ComparedKind.WIDTH_EQUIVALENT: "weq",
    ComparedKind.DEPTH_EQUIVALENT: "deq",
    ComparedKind.BEST: "best of\nany depth",
}
EQUIVALENT = (ComparedKind.WIDTH_EQUIVALENT, ComparedKind.DEPTH_EQUIVALENT)
# Most characters of a design's name on a line of its cell.
NAME_COLUMNS = 13
LEGEND = (
    "weq, deq: width- and depth-equivalent ensemble; best: least expected error of the widest of every "
    "depth. Less error: one training against one of the single network. At a time: networks that train side "
    "by side. Layers: of all members; time a layer: of an epoch. To its error: epochs of a whole schedule "
    "until the single network's error, and their time; > beyond twice its schedule. 90 % intervals."
)


def class_comparison(answer: EquivalentComparison) -> RenderableType:
    """Return the table of the designs, and in sentences what the comparison says."""
    plan = answer.plan
    settings = f"{epochs_text(plan.epochs, plan.patience)}, batch {plan.batch}, {plan.dtype} on {plan.device}"
    title = f"{plan.design} and {answer.members} members of its size on {plan.dataset}"
    parts: list[RenderableType] = [Text(title, style="bold"), Text(settings), ""]
    parts.append(_table(answer))
    parts += ["", *(Text(line) for line in words(answer))]
    return Group(*parts, *(Text(note, style="dim") for note in _notes(answer)))


def _table(answer: EquivalentComparison) -> Table:
    columns = [("", "l"), *((HEADINGS[design.kind], "r") for design in answer.designs)]
    return tight_table(columns, [[name, *map(cell, answer.designs)] for name, cell in _lines(answer)])


def _lines(answer: EquivalentComparison) -> list[tuple[str, Cell]]:
    single = answer.single.parameters
    lines: list[tuple[str, Cell]] = [
        ("design", lambda d: _name(d.design)),
        ("parameters", lambda d: f"{count(d.parameters)}\n{d.parameters / single:.1%}"),
        ("test error", lambda d: interval(d.test_error, percent)),
        ("less error", lambda d: _chance(d.probability_less_error)),
        ("layers", lambda d: str(d.layers)),
        ("at a time", lambda d: str(d.processes)),
        ("time a layer", _cell(lambda d: d.seconds_per_layer, duration)),
        ("an epoch", _cell(lambda d: d.epoch_seconds, duration)),
        ("training", _cell(lambda d: d.train_seconds, duration)),
    ]
    if answer.price_per_hour_usd is not None:
        lines.append(("  USD", _cell(lambda d: d.cost_usd, dollars)))
    # The single network has its own error after its last epoch.
    longest = 2 * (answer.single.epochs_to_single_error.median or answer.plan.epochs)
    return [
        *lines,
        ("latency", _cell(lambda d: d.inference_ms_per_image, lambda ms: duration(ms / 1000))),
        ("memory", _cell(lambda d: d.train_peak_bytes, size)),
        (
            "to its error",
            lambda d: _reached(d.epochs_to_single_error, "{:.0f}".format, f">{longest:.0f}"),
        ),
        ("  time", lambda d: _time_to_error(d, longest)),
    ]


def _time_to_error(design: ComparedDesign, longest: float) -> str:
    """Return the time to the single network's error; beyond `longest` epochs it is unknown."""
    if design.seconds_to_single_error is None or design.epoch_seconds is None:
        return "–"
    return _reached(
        design.seconds_to_single_error, duration, f">{duration(longest * design.epoch_seconds.mean)}"
    )


def _name(design: str) -> str:
    """Return a design's name, broken behind the family where it is long."""
    family, dash, rest = design.partition("-")
    return design if len(design) <= NAME_COLUMNS else f"{family}{dash}\n{rest}"


def _cell(figure: Callable[[ComparedDesign], Estimate | None], form: Form) -> Cell:
    return lambda design: interval(figure(design), form)


def _chance(chance: float | None) -> str:
    return "–" if chance is None else f"{chance:.0%}"


def _reached(found: Threshold, form: Form, beyond: str) -> str:
    """Return median and interval of a threshold, on two lines; an end beyond what was looked at is open."""
    if found.median is None:
        return beyond
    if found.low == found.high:
        return form(found.median)
    high = beyond if found.high is None else form(found.high)
    return f"{form(found.median)}\n{form(found.median if found.low is None else found.low)}–{high}"


def words(answer: EquivalentComparison) -> list[str]:
    """Return in sentences whether both classes win, and whether the width-equivalent one is on a step."""
    lines = []
    found = {design.kind for design in answer.designs}
    missing = [kind for kind in EQUIVALENT if kind not in found]
    if missing:
        names = " or ".join(HEADINGS[kind] for kind in missing)
        lines.append(f"No {names} of {answer.members} members fits its parameters.")
    if answer.probability_both_beat_single is not None:
        verdict = "likely have" if answer.both_beat_single else "do not both likely have"
        lines.append(
            f"weq and deq {verdict} less error than the single network; chance that both have it in one "
            f"training each: {answer.probability_both_beat_single:.0%}."
        )
    if (step := answer.depth_step) is not None:
        lines.append(
            f"weq sits on a depth step: its members have depth {step.depth} and {step.share_used:.0%} of the "
            f"parameters, and depth {step.next_depth} takes {step.growth:.2g} times as many a member, so its "
            "error is uneven in the size."
        )
    return lines


def _notes(answer: EquivalentComparison) -> list[str]:
    notes = [LEGEND]
    if answer.price_per_hour_usd is not None:
        notes.append(f"USD: hours of training at {answer.price_per_hour_usd:g} USD an hour.")
    if answer.evidence.cost is CostBasis.NOMINAL:
        notes.append("Costs are unknown until something is measured; time mainly follows the layers.")
    return [*notes, *evidence_notes(answer.evidence)]
