"""From judged designs to advice: a ranking, with the best single network in it.

Objectives of a ranking:

- ``error``: least predicted test error, to two digits, since no training tells more; of equals the one that
  trains sooner;
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

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.pareto import non_dominated
from advisor.decision.search import Evaluated
from advisor.designs.design import DesignClass
from advisor.errors import InfeasibleError
from advisor.estimate import Estimate

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
class Order:
    """Designs in the order of an objective.

    Attributes:
        designs: best first, at least one.
        reference: the best single network, or the best design where no single network is among them.
        beats: probability of each that one training of it has less error than one of the reference.
    """

    designs: list[Evaluated]
    reference: Evaluated
    beats: dict[Evaluated, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One row of the advice; `reference` is what its chance compares with, that of the reference is even."""

    rank: int
    evaluated: Evaluated
    test_error: Estimate
    reference: Evaluated
    probability_beats_reference: float
    near_threshold: bool

    @property
    def probability_beats_single(self) -> float | None:
        """That one training has less error than one of the best single network.

        None of that network itself, and where no single network is among the designs.
        """
        single = self.reference.design_class is DesignClass.SINGLE
        return self.probability_beats_reference if single and self.evaluated is not self.reference else None


def rank(
    evaluated: Sequence[Evaluated], accuracy: AccuracyPredictor, objective: Objective
) -> list[Recommendation]:
    """Return the advice, best first; it holds the best single network if any fits the limits.

    Raises:
        InfeasibleError: no design keeps the limits.
    """
    feasible = [j for j in evaluated if j.feasible]
    if not feasible:
        raise InfeasibleError(_nearest_miss(evaluated))
    order = ordered(feasible, accuracy, objective)
    reference, beats = order.reference, order.beats
    compared = reference.design_class is DesignClass.SINGLE
    ensembles = [j for j in order.designs if j.design_class is not DesignClass.SINGLE] if compared else []
    near = sorted(ensembles, key=lambda j: _distance(j, reference, beats))[:NEAR_THRESHOLD]
    chosen = _selected(order.designs, _front(feasible), [order.designs[0], reference, *near])
    return [
        Recommendation(
            rank=position,
            evaluated=j,
            test_error=accuracy.predict(j.errors, j.seed_std, j.images),
            reference=reference,
            probability_beats_reference=beats[j],
            near_threshold=j in near,
        )
        for position, j in enumerate(chosen, 1)
    ]


def ordered(designs: Sequence[Evaluated], accuracy: AccuracyPredictor, objective: Objective) -> Order:
    """Return designs, at least one, by an objective; of equals the one that is better otherwise is first."""
    singles = [j for j in designs if j.design_class is DesignClass.SINGLE]
    reference = min(singles or designs, key=lambda j: (*j.objectives, *j.key))
    beats = {
        j: accuracy.probability_below(j.errors, reference.errors, (j.seed_std, reference.seed_std))
        for j in designs
    }
    beats[reference] = 0.5

    def key(j: Evaluated) -> tuple[object, ...]:
        # The name at the end: the order of a search is no reason.
        error, seconds, *others = (*j.objectives, *j.key)
        if objective is Objective.ERROR:
            return float(f"{error:.2g}"), seconds, error, *others
        if objective is Objective.TIME:
            chance = beats[j]
            return (0.0, seconds, error, *others) if chance >= 0.5 else (1.0, -chance, seconds, *others)
        return error * seconds**TIME_WEIGHT, seconds, *others

    return Order(designs=sorted(designs, key=key), reference=reference, beats=beats)


def _distance(j: Evaluated, single: Evaluated, beats: dict[Evaluated, float]) -> tuple[float, float]:
    """From an even chance against the single network; where chances are all but certain, in error."""
    return abs(beats[j] - 0.5), abs(j.objectives[0] - single.objectives[0])


def _front(feasible: list[Evaluated]) -> set[Evaluated]:
    """The designs that no other is as good as everywhere and better than once."""
    front = non_dominated(np.array([j.objectives for j in feasible]))
    return {j for j, kept in zip(feasible, front, strict=True) if kept}


def _selected(order: list[Evaluated], front: set[Evaluated], always: list[Evaluated]) -> list[Evaluated]:
    """Rows without too many alike, non-dominated ones first, and those that always belong, in order."""
    kept = list(dict.fromkeys(always))
    alike = Counter(map(_kind, kept))
    for j in sorted(order, key=lambda j: j not in front):
        if len(kept) < ROWS and j not in kept and alike[_kind(j)] < ROWS_ALIKE:
            alike[_kind(j)] += 1
            kept.append(j)
    return [j for j in order if j in kept]


def _kind(j: Evaluated) -> tuple[object, ...]:
    return j.design.families, j.design_class, len(j.design.members)


def _nearest_miss(evaluated: Sequence[Evaluated]) -> str:
    fitting = [j for j in evaluated if j.priced.fits]
    if not fitting:
        return "every design has a network that ran out of memory when it was measured: lower --batch"
    smallest = min(fitting, key=lambda j: j.priced.memory_bytes.mean)
    fastest = min(fitting, key=lambda j: j.priced.train_seconds.mean)
    quickest = min(fitting, key=lambda j: j.priced.inference_ms_per_image.mean)
    return (
        "no design keeps the limits: the least memory is "
        f"{_brief(smallest.priced.memory_bytes.mean / 2**20)} MiB ({smallest.design.name}), the shortest "
        f"training {_brief(fastest.priced.train_seconds.mean)} s ({fastest.design.name}), the least latency "
        f"{_brief(quickest.priced.inference_ms_per_image.mean)} ms ({quickest.design.name}); raise a limit"
    )


def _brief(value: float) -> str:
    """A figure in three digits, or to the unit; what is small is not nothing."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
