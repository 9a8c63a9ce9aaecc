"""Reasons of an advice for a person: why the first design, what would change that, what to measure next."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from advisor.decision.alternatives import Crossover
from advisor.decision.ranking import Objective
from advisor.decision.threshold.switchover import Switchover
from advisor.decision.weight_decay import weight_decay_words, with_weight_decay
from advisor.plans.method_traits import BY_CLUSTERS, Method
from advisor.plans.plan import named
from cli.render.formats import (
    bounded,
    bounds,
    count,
    design_lines,
    digits,
    duration,
    percent,
    size,
    table,
)
from cli.workflows.answers.advise.advice import AdvisedDesign
from cli.workflows.answers.advise.reasons import (
    MeasureNext,
    Need,
    OtherObjective,
    RunnerUp,
    TighterLimit,
    WouldChange,
)

T = TypeVar("T")

# Option and unit of each resource that a limit bounds.
LIMITS: dict[Need, tuple[str, Callable[[float], str]]] = {
    Need.TRAIN_SECONDS: ("--max-train-time", duration),
    Need.MEMORY_BYTES: ("--max-memory", size),
    Need.LATENCY_MS: ("--max-latency-ms", digits),
}
# Width of a command in characters, so that a terminal does not break it where it is copied.
COMMAND_COLUMNS = 76


class _Trained(Protocol):
    """A part of the answer that names a design and how it is trained."""

    @property
    def design(self) -> str: ...

    @property
    def method(self) -> Method: ...

    @property
    def tuned_weight_decay(self) -> float | None: ...


def why(rows: Sequence[AdvisedDesign], *, known: bool = True) -> list[RenderableType]:
    """Return the reasons of the first design, and a row on each other one.

    Args:
        rows: ranking, best first.
        known: whether anything is known of the data; where it is not, errors are left out.
    """
    first = rows[0]
    parts: list[RenderableType] = [_heading(f"Why {_named(first)}"), _points(first.reasons)]
    if len(rows) > 1:
        parts += ["", _others(rows, known=known)]
    return parts


def _others(rows: Sequence[AdvisedDesign], *, known: bool) -> RenderableType:
    reference = next(row for row in rows if row.reference)
    columns = [("#", "r"), ("design", "l"), ("error\npoints", "r"), ("an\nepoch", "r"), ("training\n", "r")]
    with_threshold = any(row.threshold for row in rows[1:])
    if with_threshold:
        columns.append(("one network\nwins below", "r"))
    cells = [
        [
            str(row.rank),
            _name_lines(row),
            *_trade(row, known=known),
            *([_threshold(row.threshold)] * with_threshold),
        ]
        for row in rows[1:]
    ]
    return table(f"The others against {_named(reference)}", columns, cells)


def _trade(row: AdvisedDesign, *, known: bool) -> list[str]:
    """Return the points of error above the reference, and the times of training as multiples of its own."""
    trade = row.trade
    if row.reference or trade is None:
        return ["–"] * 3
    points = trade.points_less
    return [
        f"{-points.mean:+.2f} ± {(points.high - points.low) / 2:.2f}" if known else "?",
        *(f"{digits(times.mean)}x" for times in (trade.epoch_times, trade.train_times)),
    ]


def _threshold(threshold: Switchover | None) -> str:
    if threshold is None:
        return "–"
    size, epochs = threshold.parameters.mean, threshold.epochs.mean
    return f"{total_size(size, threshold)}, {length(epochs, threshold)} epoch{'s' * (round(epochs) != 1)}"


def total_size(parameters: float, threshold: Switchover) -> str:
    """Return a threshold in parameters; where the smallest ensemble wins already, it is marked ≤."""
    return bounded(parameters, threshold.smallest, threshold.largest, count)


def length(epochs: float, threshold: Switchover) -> str:
    """Return a threshold in epochs; where one epoch is enough, it is marked ≤."""
    return bounded(epochs, 1.0, threshold.longest, "{:.0f}".format)


def would_change(change: WouldChange, *, known: bool = True) -> list[RenderableType]:
    """Return thresholds, the runner-up, tighter limits and other objectives; empty where none is known.

    Args:
        change: conditions that would put another design first.
        known: whether anything is known of the data; where it is not, errors are left out.
    """
    alternatives: list[TighterLimit | OtherObjective] = [*change.limits, *change.objectives]
    points = [
        *_grouped(change.thresholds, _winner, _crossover),
        *([] if change.second is None else [_second(change.second)]),
        *(f"with {s}" for s in _grouped(alternatives, partial(_figures, known=known), _option)),
    ]
    heading = "What would change this" + ("" if known else ", by published studies of other data")
    return ["", _heading(heading), _points(points)] if points else []


def _grouped(items: Sequence[T], outcome: Callable[[T], str], condition: Callable[[T], str]) -> list[str]:
    """Return a sentence for each outcome, with all conditions that lead to it."""
    found: dict[str, list[str]] = {}
    for item in items:
        found.setdefault(outcome(item), []).append(condition(item))
    return [f"{' or '.join(conditions)}: {result}" for result, conditions in found.items()]


def _crossover(crossover: Crossover) -> str:
    form = count if crossover.axis == "parameters" else "{:.0f}".format
    beyond = " or beyond" if crossover.open_ended else ""
    at = f"{form(crossover.at.mean)} {crossover.axis} (90 %: {bounds(crossover.at, form)}{beyond})"
    if crossover.side == "from":
        return f"from {at} on"
    return f"{'below' if crossover.axis == 'parameters' else 'before'} {at}"


def _winner(crossover: Crossover) -> str:
    if crossover.design is not None:
        return f"{named(crossover.design, crossover.method or BY_CLUSTERS[0])} has less error"
    if crossover.members == 1:
        return f"one {crossover.family} network has less error"
    return f"{crossover.members} {crossover.family} members have less error than one"


def _second(second: RunnerUp) -> str:
    name, chance = _named(second), f"{second.probability:.0%}"
    if second.objective is Objective.ERROR:
        return f"{name}, the second, has less error with probability {chance}"
    if second.objective is Objective.NLL:
        return f"{name}, the second, has the better likelihood with probability {chance}"
    if second.objective is Objective.BALANCED:
        return f"{name}, the second, has the better balance with probability {chance}"
    return f"with probability {chance} the first does not match {_named(second.against)}: then {name}"


def _option(change: TighterLimit | OtherObjective) -> str:
    if isinstance(change, OtherObjective):
        return f"--objective {change.objective}"
    option, form = LIMITS[change.need]
    return f"{option} below {form(change.below)} (down to {form(change.down_to)})"


def _figures(change: TighterLimit | OtherObjective, *, known: bool) -> str:
    error = f"{percent(change.test_error.mean)} " if known else ""
    return f"{_named(change)}, {error}in {duration(change.train_seconds.mean)}"


def measure_next(found: MeasureNext, *, known: bool = True) -> list[RenderableType]:
    """Return the most informative training and its command, or a line that no training is worth its cost.

    Args:
        found: the training, if there is one.
        known: whether anything is known of the data; where it is not, points of error are left out.
    """
    probe = found.probe
    heading: list[RenderableType] = ["", _heading("What to measure next")]
    if probe is None:
        none = f"no training would move the comparison by {found.worthwhile_points} points"
        return [*heading, Text(f"More probing would not change this: {none}.")]
    part = f" on {probe.share_of_images:.0%} of the images" if probe.share_of_images < 1 else ""
    design = with_weight_decay(probe.design, probe.tuned_weight_decay)
    text = (
        f"Train {design} for {probe.epochs} epoch{'s' * (probe.epochs != 1)}{part}, about "
        f"{duration(probe.seconds.mean)}: "
    )
    if found.untried is not None:
        text += f"{_named(found.untried)}, untried here, would lead if its forecast holds."
    elif known:
        text += f"expected to move the comparison by {probe.move_points:.2f} points."
    else:
        text += "it teaches most about this data for its time."
    if found.none_within_allowed:
        text += f" None that ends within {duration(found.allowed_seconds)} is worth its while."
    return [*heading, Text(text), Text(_broken(probe.command))]


def _broken(command: str) -> str:
    """Return a command broken into lines that a shell reads as one; a value stays with its option."""
    lines = [""]
    for part in _by_option(command):
        if lines[-1] and len(lines[-1]) + len(part) + 3 > COMMAND_COLUMNS:
            lines.append(f"    {part}")
        else:
            lines[-1] = f"{lines[-1]} {part}" if lines[-1] else f"  {part}"
    return " \\\n".join(lines)


def _by_option(command: str) -> list[str]:
    """Return the parts of a command line that stay together: its verb, and every option with its values."""
    parts: list[list[str]] = [[]]
    for word in shlex.split(command):
        if word.startswith("--"):
            parts.append([])
        parts[-1].append(word)
    return [shlex.join(words) for words in parts]


def _named(trained: _Trained) -> str:
    """Return the name of a design, and its method and weight decay where these are not the usual ones."""
    return with_weight_decay(named(trained.design, trained.method), trained.tuned_weight_decay)


def _name_lines(trained: _Trained) -> str:
    """Return the same for a table."""
    decay = trained.tuned_weight_decay
    words = "" if decay is None else f"\n{weight_decay_words(decay)}"
    return design_lines(named(trained.design, trained.method)) + words


def _heading(text: str) -> Text:
    return Text(text, style="bold")


def _points(sentences: Iterable[str]) -> Table:
    """Return sentences as a list with dashes."""
    drawn = Table.grid(padding=(0, 1))
    drawn.add_column()
    drawn.add_column(overflow="fold")
    for sentence in sentences:
        drawn.add_row("-", sentence)
    return drawn
