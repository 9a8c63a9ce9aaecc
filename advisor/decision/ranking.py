"""The ranking of evaluated designs.

Notation, for a design d:

    e_d    mean of the draws of its expected test error, share
    T_d    predicted training time, seconds
    p_d    probability that one training of d has less error than one of the reference, which is the best
           single network, or the best design where there is no single network; 0.5 for the reference itself

Objectives of a ranking:

    error       least e_d to two digits; of equal designs the one that trains faster. No single training can
                tell smaller differences.
    nll         least expected negative log-likelihood of the averaged probabilities.
    time        least T_d among the designs with p_d ≥ 0.5, then the others by decreasing p_d. (Without the
                condition the smallest network would always come first.)
    balanced    least e_d · T_d^w with w = `TIME_WEIGHT`: a training ten times as long must save a fifth of
                the error.

The advice shows a selection of the designs, non-dominated ones first, which always includes the reference.
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
# Rows of the advice, and the most rows of one family, class and number of members.
ROWS = 8
ROWS_ALIKE = 2
# Number of ensembles marked as nearest the switchover threshold: those with p_d closest to 0.5.
NEAR_THRESHOLD = 2


class Objective(StrEnum):
    """The objective of a ranking."""

    ERROR = "error"
    NLL = "nll"
    TIME = "time"
    BALANCED = "balanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Designs in the order of an objective.

    Attributes:
        designs: designs, at least one, best first.
        reference: best single network, or best design where there is no single network.
        beats: p_d of each design.
    """

    designs: list[Evaluated]
    reference: Evaluated
    beats: dict[Evaluated, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One row of the advice.

    Attributes:
        rank: place in the ranking, from 1.
        evaluated: the design.
        test_error: predicted test error, share.
        reference: reference of the comparison.
        probability_beats_reference: p_d; 0.5 for the reference itself.
        near_threshold: whether the design is one of the ensembles nearest the switchover threshold.
    """

    rank: int
    evaluated: Evaluated
    test_error: Estimate
    reference: Evaluated
    probability_beats_reference: float
    near_threshold: bool

    @property
    def probability_beats_single(self) -> float | None:
        """Probability that one training has less error than one of the best single network.

        None for that network itself, and where there is no single network.
        """
        single = self.reference.design_class is DesignClass.SINGLE
        return self.probability_beats_reference if single and self.evaluated is not self.reference else None


def rank(
    evaluated: Sequence[Evaluated], accuracy: AccuracyPredictor, objective: Objective
) -> list[Recommendation]:
    """Return the rows of the advice, best first.

    Args:
        evaluated: designs of the search.
        accuracy: predictor of the errors.
        objective: objective of the ranking.

    Raises:
        InfeasibleError: no design meets the limits.
    """
    feasible = [e for e in evaluated if e.feasible]
    if not feasible:
        raise InfeasibleError(_infeasible_message(evaluated))
    order = ordered(feasible, accuracy, objective)
    reference, beats = order.reference, order.beats
    has_single = reference.design_class is DesignClass.SINGLE
    ensembles = [e for e in order.designs if e.design_class is not DesignClass.SINGLE] if has_single else []
    near = sorted(ensembles, key=lambda e: _distance(e, reference, beats))[:NEAR_THRESHOLD]
    chosen = _selected(order.designs, _front(feasible), [order.designs[0], reference, *near])
    return [
        Recommendation(
            rank=position,
            evaluated=e,
            test_error=accuracy.predict(e.errors, e.seed_std, e.images),
            reference=reference,
            probability_beats_reference=beats[e],
            near_threshold=e in near,
        )
        for position, e in enumerate(chosen, 1)
    ]


def ordered(designs: Sequence[Evaluated], accuracy: AccuracyPredictor, objective: Objective) -> Order:
    """Return designs in the order of an objective.

    Of designs that are equal by the objective, the one that is better in the other objectives comes first.

    Args:
        designs: designs to order, at least one.
        accuracy: predictor of the errors.
        objective: objective of the ranking.
    """
    singles = [e for e in designs if e.design_class is DesignClass.SINGLE]
    reference = min(singles or designs, key=lambda e: (*e.objectives, *e.key))
    beats = {
        e: accuracy.probability_below(e.errors, reference.errors, (e.seed_std, reference.seed_std))
        for e in designs
    }
    beats[reference] = 0.5

    def key(e: Evaluated) -> tuple[object, ...]:
        # The name is the last criterion, so that the order of the search never decides.
        error, seconds, *others = (*e.objectives, *e.key)
        by_error = float(f"{error:.2g}"), seconds, error, *others
        if objective is Objective.ERROR:
            return by_error
        if objective is Objective.NLL:
            return e.expected_nll, *by_error
        if objective is Objective.TIME:
            chance = beats[e]
            return (0.0, seconds, error, *others) if chance >= 0.5 else (1.0, -chance, seconds, *others)
        return error * seconds**TIME_WEIGHT, seconds, *others

    return Order(designs=sorted(designs, key=key), reference=reference, beats=beats)


def _distance(e: Evaluated, single: Evaluated, beats: dict[Evaluated, float]) -> tuple[float, float]:
    """Return the distance from the switchover threshold: of p_d from 0.5, then of the errors."""
    return abs(beats[e] - 0.5), abs(e.objectives[0] - single.objectives[0])


def _front(feasible: list[Evaluated]) -> set[Evaluated]:
    """Return the designs on the Pareto front."""
    on_front = non_dominated(np.array([e.objectives for e in feasible]))
    return {e for e, is_on_front in zip(feasible, on_front, strict=True) if is_on_front}


def _selected(order: list[Evaluated], front: set[Evaluated], always: list[Evaluated]) -> list[Evaluated]:
    """Return the designs of the rows, in their order.

    Args:
        order: designs, best first.
        front: designs on the Pareto front, which are selected before the others.
        always: designs that are always selected.
    """
    selected = list(dict.fromkeys(always))
    of_kind = Counter(map(_kind, selected))
    for e in sorted(order, key=lambda e: e not in front):
        if len(selected) < ROWS and e not in selected and of_kind[_kind(e)] < ROWS_ALIKE:
            of_kind[_kind(e)] += 1
            selected.append(e)
    return [e for e in order if e in selected]


def _kind(e: Evaluated) -> tuple[object, ...]:
    return e.design.families, e.design_class, len(e.design.members)


def _infeasible_message(evaluated: Sequence[Evaluated]) -> str:
    """Return the error message that no design meets the limits, with the least that each limit must allow."""
    fitting = [e for e in evaluated if e.priced.fits]
    if not fitting:
        return "every design has a network that ran out of memory when it was measured: lower --batch"
    smallest = min(fitting, key=lambda e: e.priced.memory_bytes.mean)
    fastest = min(fitting, key=lambda e: e.priced.train_seconds.mean)
    quickest = min(fitting, key=lambda e: e.priced.inference_ms_per_image.mean)
    return (
        "no design keeps the limits: the least memory is "
        f"{_brief(smallest.priced.memory_bytes.mean / 2**20)} MiB ({smallest.design.name}), the shortest "
        f"training {_brief(fastest.priced.train_seconds.mean)} s ({fastest.design.name}), the least latency "
        f"{_brief(quickest.priced.inference_ms_per_image.mean)} ms ({quickest.design.name}); raise a limit"
    )


def _brief(value: float) -> str:
    """Return a number with three significant digits, or as a whole number if it has more."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
