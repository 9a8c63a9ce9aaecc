"""From judged designs to advice: a ranking, the best single network, and reasons.

Objectives of a ranking:

- ``error``: least predicted test error;
- ``time``: shortest training among the designs that are at least as likely as not to match the best
  single network (the smallest network always trains fastest, which is no advice), then the others, the
  likeliest to match it first;
- ``balanced``: least error · seconds^`TIME_WEIGHT`: ten times the training must buy a fifth less error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from advisor.accuracy import AccuracyPredictor
from advisor.design import DesignClass
from advisor.errors import InfeasibleError
from advisor.estimate import Estimate
from advisor.pareto import non_dominated
from advisor.search import Judged
from advisor.switchover import Switchover

TIME_WEIGHT = 0.1
# Rows of the ranking, and how many of them may share family, class and member count.
ROWS = 8
ROWS_ALIKE = 2
# Ensembles marked as nearest the threshold: those closest to an even chance against the single network.
NEAR_THRESHOLD = 2


class Objective(StrEnum):
    """What a ranking puts first."""

    ERROR = "error"
    TIME = "time"
    BALANCED = "balanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a recommendation rests on.

    Attributes:
        accuracy: ``prior`` or ``runs``.
        runs: finished runs that the accuracy predictor learned from.
        runs_on_dataset: of these, on the requested data set.
        cost: basis of the cost predictor.
        measurements: that it learned from.
    """

    accuracy: str
    runs: int
    runs_on_dataset: int
    cost: str
    measurements: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One row of the advice."""

    rank: int
    judged: Judged
    test_error: Estimate
    probability_beats_single: float
    near_threshold: bool
    reasons: tuple[str, ...]


def rank(
    judged: Sequence[Judged],
    accuracy: AccuracyPredictor,
    objective: Objective,
    switchovers: Sequence[Switchover],
) -> list[Recommendation]:
    """Return the advice, best first; it holds the best single network if any fits the limits.

    Raises:
        InfeasibleError: no design keeps the limits.
    """
    feasible = [j for j in judged if j.feasible]
    if not feasible:
        raise InfeasibleError(_nearest_miss(judged))
    singles = [j for j in feasible if j.design_class is DesignClass.SINGLE]
    reference = min(singles or feasible, key=lambda j: float(j.errors.mean()))
    beats = {j.design.name: accuracy.probability_below(j.errors, reference.errors) for j in feasible}
    beats[reference.design.name] = 0.5
    order = _ordered(feasible, beats, objective)
    ensembles = [j for j in order if j.design_class is not DesignClass.SINGLE] if singles else []
    near = sorted(ensembles, key=lambda j: _distance(j, reference, beats))[:NEAR_THRESHOLD]
    chosen = _selected(order, _front(feasible), [order[0], reference, *near])
    return [
        Recommendation(
            rank=position,
            judged=j,
            test_error=accuracy.predict(j.errors),
            probability_beats_single=beats[j.design.name],
            near_threshold=j in near,
            reasons=tuple(_reasons(j, reference, switchovers)),
        )
        for position, j in enumerate(chosen, 1)
    ]


def _distance(j: Judged, single: Judged, beats: dict[str, float]) -> tuple[float, float]:
    """From an even chance against the single network; where chances are all but certain, in error."""
    return abs(beats[j.design.name] - 0.5), abs(j.objectives[0] - single.objectives[0])


def _front(feasible: list[Judged]) -> set[str]:
    """Names of the designs that no other is as good as everywhere and better than once."""
    front = non_dominated(np.array([j.objectives for j in feasible]))
    return {j.design.name for j, kept in zip(feasible, front, strict=True) if kept}


def _ordered(feasible: list[Judged], beats: dict[str, float], objective: Objective) -> list[Judged]:
    """All designs by the objective; of equals the one that is better otherwise."""

    def key(j: Judged) -> tuple[object, ...]:
        error, seconds, *others = j.objectives
        if objective is Objective.ERROR:
            return error, seconds, *others
        if objective is Objective.TIME:
            chance = beats[j.design.name]
            return (0.0, seconds, error, *others) if chance >= 0.5 else (1.0, -chance, seconds, *others)
        return error * seconds**TIME_WEIGHT, seconds, *others

    return sorted(feasible, key=key)


def _selected(order: list[Judged], front: set[str], always: list[Judged]) -> list[Judged]:
    """Rows without too many alike, non-dominated ones first, and those that always belong, in order."""
    kept = list(dict.fromkeys(always))
    alike = Counter(map(_kind, kept))
    for j in sorted(order, key=lambda j: j.design.name not in front):
        if len(kept) < ROWS and j not in kept and alike[_kind(j)] < ROWS_ALIKE:
            alike[_kind(j)] += 1
            kept.append(j)
    return [j for j in order if j in kept]


def _kind(j: Judged) -> tuple[object, ...]:
    return j.design.families, j.design_class, len(j.design.members)


def _reasons(j: Judged, single: Judged, switchovers: Sequence[Switchover]) -> list[str]:
    if j is single and j.design_class is DesignClass.SINGLE:
        return ["best single network within the budget, the reference of the comparison"]
    if j is single:
        return ["no single network keeps the limits: the most accurate design that does is the reference"]
    difference = Estimate.of_samples(100 * (single.errors - j.errors))
    times = j.priced.train_seconds.mean / single.priced.train_seconds.mean
    word = "less" if difference.mean >= 0 else "more"
    spread = (difference.high - difference.low) / 2
    reasons = [
        f"{abs(difference.mean):.1f} ± {spread:.1f} points {word} error than {single.design.name}, "
        f"for {times:{'.2g' if times < 100 else '.0f'}}x its training time"
    ]
    for s in switchovers:
        if s.family in j.design.families and s.members == len(j.design.members):
            side = "past" if s.probability_past >= 0.5 else "before"
            reasons.append(
                f"{side} the switchover threshold of {s.members} {s.family} members with probability "
                f"{max(s.probability_past, 1 - s.probability_past):.0%}"
            )
    if not j.design.independent:
        reasons.append(
            f"{j.design.clusters} mother network{'s' * (j.design.clusters > 1)} instead of "
            f"{len(j.design.members)} trainings from scratch; members that share one are less diverse"
        )
    return reasons


def _nearest_miss(judged: Sequence[Judged]) -> str:
    if not any(j.priced.fits for j in judged):
        return "every design has a network that ran out of memory when it was measured: lower --batch"
    smallest = min(judged, key=lambda j: j.priced.train_peak_bytes.mean)
    fastest = min(judged, key=lambda j: j.priced.train_seconds.mean)
    quickest = min(judged, key=lambda j: j.priced.inference_ms_per_image.mean)
    return (
        "no design keeps the limits: the least memory is "
        f"{smallest.priced.train_peak_bytes.mean / 2**20:.0f} MiB ({smallest.design.name}), the shortest "
        f"training {fastest.priced.train_seconds.mean:.0f} s ({fastest.design.name}), the least latency "
        f"{quickest.priced.inference_ms_per_image.mean:.3g} ms ({quickest.design.name}); raise a limit"
    )
