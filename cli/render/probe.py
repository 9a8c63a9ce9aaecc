"""Probes for a person: the trainings, their errors, and the best design before and after them."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from advisor.decision.weight_decay import weight_decay_words, with_weight_decay
from cli.render.formats import count, design_lines, duration, or_dash, percent, table
from cli.workflows.answers.advise.probing import (
    BestDesign,
    FinishedProbe,
    ListedProbe,
    ProbeList,
    Probing,
    ProbingEnd,
)

NOTE = "moves: expected move of the comparison, in points; errors are on validation images"
ENDED = {
    ProbingEnd.TIME_IS_UP: "The time is up.",
    ProbingEnd.NOTHING_WORTHWHILE: (
        "No further probe would move the choice by {worthwhile} points: more probing would not help."
    ),
    ProbingEnd.TOO_LITTLE_TIME: ("The time left is too short for the probes that would teach something."),
}


def probing(answer: Probing) -> RenderableType:
    """Return a row for each probe, and the best design before and after them."""
    parts: list[RenderableType] = [
        Text(
            f"{len(answer.probes)} probes for {count(answer.budget_parameters)} parameters and "
            f"{answer.epochs} epochs of {answer.dataset}",
            style="bold",
        )
    ]
    if answer.probes:
        columns = [
            ("#", "r"),
            ("probe", "l"),
            *((c, "r") for c in ("epochs", "time", "moves", "forecast", "found")),
        ]
        rows = [_row(number, probe) for number, probe in enumerate(answer.probes, 1)]
        parts += [table("", columns, rows), Text(NOTE, style="dim")]
    parts += [Text(ENDED[answer.ended].format(worthwhile=answer.worthwhile_points))]
    parts += [_best("before", answer.before), _best("after", answer.after)]
    return Group(*parts)


def _row(number: int, probe: FinishedProbe) -> list[str]:
    predicted = probe.predicted_error
    return [
        str(number),
        probe.design + _decay_line(probe),
        str(probe.epochs),
        duration(probe.seconds),
        f"{probe.move_points:.2f}",
        f"{percent(predicted.low)}–{percent(predicted.high)}",
        percent(probe.error),
    ]


def _best(when: str, best: BestDesign) -> Text:
    error = best.test_error
    name = with_weight_decay(best.design, best.tuned_weight_decay)
    return Text(f"{when}: {name}, {percent(error.mean)} ({percent(error.low)}–{percent(error.high)})")


def _decay_line(probe: FinishedProbe | ListedProbe) -> str:
    """Return a line below the name of a design, with its weight decay where that is not the recipe's."""
    decay = probe.tuned_weight_decay
    return "" if decay is None else f"\n{weight_decay_words(decay)}"


def probe_list(answer: ProbeList) -> RenderableType:
    """Return a row for each probe that the database has."""
    if not answer.probes:
        return Text("no probes yet: advisor recommend and advisor probe train them")
    columns = [
        ("#", "r"),
        ("date", "l"),
        ("data set\ndesign", "l"),
        *((c, "r") for c in ("epochs", "images", "error", "time")),
        ("networks", "l"),
    ]
    return table("", columns, [_listed(probe) for probe in answer.probes])


def _listed(probe: ListedProbe) -> list[str]:
    return [
        str(probe.number),
        probe.finished_at[:10],
        f"{probe.dataset}\n{design_lines(probe.design)}{_decay_line(probe)}",
        str(probe.epochs),
        f"{probe.share_of_images:.0%}",
        percent(probe.error),
        or_dash(probe.seconds, duration),
        "kept" if probe.networks_kept else "",
    ]
