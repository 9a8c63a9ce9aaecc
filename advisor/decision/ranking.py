"""The ranking of evaluated designs.

Notation, for a design d:

    e_d    mean of the draws of its expected test error, share
    T_d    predicted training time, seconds
    p_d    probability that one training of d has less error than one of the reference, which is the best
           single network, or the best design where there is no single network; 0.5 for the reference itself
    s_d    score, which an objective minimises; one training of d has a score of its own
    1      the design of rank 1

Objectives of a ranking:

    error       least s_d = e_d.
    nll         least s_d = negative log-likelihood of the averaged probabilities.
    time        least T_d among the designs with p_d ≥ 0.5, then the others by decreasing p_d. (Without the
                condition the smallest network would always come first.)
    balanced    least s_d = e_d · T_d^w with w = `TIME_WEIGHT`: a training ten times as long must save a fifth
                of the error.

Designs of families that may not lead (`advisor.decision.leading`) come behind all others.

Ties. A design that may lead is tied with rank 1 if it is better with a probability of at least `TIE`, 1 in 5:

    all but time       one training of d against one of 1 has the smaller score: posterior draws are paired,
                       each training has the noise of its seeds, T is the mean.
    time               d has p_d ≥ 0.5 and trains sooner: errors of the cost predictor that both have in
                       common cancel (`advisor.cost.comparison`).

Rows come in this order: rank 1, its ties by T_d, the others by the objective. The advice shows a selection of
the designs (`advisor.decision.rows`). It always includes the reference, the best single network, the best
ensemble, and the best design of every family that may not lead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.frontier.dominance import probability_below_one
from advisor.decision.rows import selected_rows
from advisor.decision.scenario import Evaluated
from advisor.designs.design import DesignClass
from advisor.errors import InfeasibleError
from advisor.estimate import Estimate, Floats

TIME_WEIGHT = 0.1
# Least probability of being better than rank 1 that makes a design a tie.
TIE = 0.2
# Most rows that are kept for families that may not lead, one each.
ROWS_UNTRIED = 3
# Number of ensembles marked as nearest the switchover threshold: those with p_d closest to 0.5.
NEAR_THRESHOLD = 2


class Objective(StrEnum):
    """The objective of a ranking."""

    ERROR = "error"
    NLL = "nll"
    TIME = "time"
    BALANCED = "balanced"


# Draws of s, shape (samples,), of each objective that has a score.
SCORES: dict[Objective, Callable[[Evaluated], Floats]] = {
    Objective.ERROR: lambda e: e.errors,
    Objective.NLL: lambda e: e.errors if e.nlls is None else e.nlls,
    Objective.BALANCED: lambda e: e.errors * e.priced.train_seconds.mean**TIME_WEIGHT,
}
# Training time of the first design over that of the second.
TimeRatio = Callable[[Evaluated, Evaluated], Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Designs in the order of an objective.

    Attributes:
        designs: designs, at least one, best first; ties are not ordered by their cost.
        reference: best single network, or best design where there is no single network.
        beats: p_d of each design.
        behind: designs of families that may not lead.
    """

    designs: list[Evaluated]
    reference: Evaluated
    beats: dict[Evaluated, float]
    behind: set[Evaluated]

    @property
    def able(self) -> list[Evaluated]:
        """Designs that may be first: those that may lead, or all where none of them does."""
        return [e for e in self.designs if e not in self.behind] or self.designs


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One row of the advice.

    Attributes:
        rank: place in the advice, from 1.
        place: place among all designs by the objective alone, from 1, without ordering ties by their cost.
        evaluated: the design.
        test_error: predicted test error, share.
        reference: reference of the comparison.
        probability_beats_reference: p_d; 0.5 for the reference itself.
        near_threshold: whether the design is one of the ensembles nearest the switchover threshold.
        tie: whether it is tied with rank 1; false for rank 1 itself.
        untried: whether it is ranked behind because one of its families may not lead.
    """

    rank: int
    place: int
    evaluated: Evaluated
    test_error: Estimate
    reference: Evaluated
    probability_beats_reference: float
    near_threshold: bool
    tie: bool
    untried: bool

    @property
    def probability_beats_single(self) -> float | None:
        """Probability that one training has less error than one of the best single network.

        None for that network itself, and where there is no single network.
        """
        single = self.reference.design_class is DesignClass.SINGLE
        return self.probability_beats_reference if single and self.evaluated is not self.reference else None


def rank(
    evaluated: Sequence[Evaluated],
    accuracy: AccuracyPredictor,
    objective: Objective,
    *,
    leading: Collection[str] | None = None,
    time_ratio: TimeRatio | None = None,
) -> list[Recommendation]:
    """Return the rows of the advice, best first.

    Args:
        evaluated: designs of the search.
        accuracy: predictor of the errors.
        objective: objective of the ranking.
        leading: families that may lead; None for all.
        time_ratio: ratio of two training times with its interval; by default that of their means, exactly.

    Raises:
        InfeasibleError: no design meets the limits.
    """
    feasible = [e for e in evaluated if e.feasible]
    if not feasible:
        raise InfeasibleError(_infeasible_message(evaluated))
    order = ordered(feasible, accuracy, objective, leading)
    tied = _tied(order, accuracy, objective, time_ratio or _ratio_of_means)
    near = _near_threshold(order)
    in_order = sorted(order.designs, key=lambda e: _row_key(e, order, tied))
    chosen = selected_rows(in_order, [*_always(order), *near], order.behind)
    places = {e: place for place, e in enumerate(order.designs, 1)}
    return [
        Recommendation(
            rank=position,
            place=places[e],
            evaluated=e,
            test_error=accuracy.predict(e.errors, e.seed_std, e.images, at_hand=e.at_hand),
            reference=order.reference,
            probability_beats_reference=order.beats[e],
            near_threshold=e in near,
            tie=e in tied,
            untried=e in order.behind,
        )
        for position, e in enumerate(chosen, 1)
    ]


def ordered(
    designs: Sequence[Evaluated],
    accuracy: AccuracyPredictor,
    objective: Objective,
    leading: Collection[str] | None = None,
) -> Order:
    """Return designs in the order of an objective.

    Of designs that are equal by the objective, the one that is better in the other objectives comes first.

    Args:
        designs: designs to order, at least one.
        accuracy: predictor of the errors.
        objective: objective of the ranking.
        leading: families that may lead; None for all.
    """
    behind = {e for e in designs if leading is not None and not set(e.design.families) <= set(leading)}
    singles = [e for e in designs if e.design_class is DesignClass.SINGLE]
    reference = min(singles or designs, key=lambda e: (e in behind, *e.objectives, *e.key))
    beats = {
        e: accuracy.probability_below(e.errors, reference.errors, (e.seed_std, reference.seed_std))
        for e in designs
    }
    beats[reference] = 0.5

    def key(e: Evaluated) -> tuple[object, ...]:
        # The name is the last criterion, so that the order of the search never decides.
        error, seconds, *others = (*e.objectives, *e.key)
        if objective in SCORES:
            return e in behind, float(SCORES[objective](e).mean()), seconds, error, *others
        chance = beats[e]
        by_time = (0.0, seconds, error) if chance >= 0.5 else (1.0, -chance, seconds)
        return e in behind, *by_time, *others

    return Order(designs=sorted(designs, key=key), reference=reference, beats=beats, behind=behind)


def could_lead(
    rows: Sequence[Recommendation], accuracy: AccuracyPredictor, objective: Objective
) -> Evaluated | None:
    """Return the design of a family that may not lead that would be first if it might, or None.

    Args:
        rows: rows of the advice, best first.
        accuracy: predictor of the errors.
        objective: objective of the ranking.
    """
    first = ordered([row.evaluated for row in rows], accuracy, objective).designs[0]
    return next((row.evaluated for row in rows if row.evaluated is first and row.untried), None)


def probability_better(
    e: Evaluated, other: Evaluated, accuracy: AccuracyPredictor, objective: Objective
) -> float:
    """Return the probability that one training of a design has a smaller score than one of another.

    Args:
        e: the design.
        other: the other design.
        accuracy: predictor of the errors.
        objective: objective that has a score, one of `SCORES`.
    """
    score = SCORES[objective]
    return accuracy.probability_below(score(e), score(other), (e.seed_std, other.seed_std))


def _tied(
    order: Order, accuracy: AccuracyPredictor, objective: Objective, time_ratio: TimeRatio
) -> set[Evaluated]:
    """Return the designs that are tied with the first."""
    first, *able = order.able
    if objective in SCORES:
        return {e for e in able if probability_better(e, first, accuracy, objective) >= TIE}
    matching = [e for e in able if order.beats[e] >= 0.5]
    return {e for e in matching if probability_below_one(time_ratio(e, first)) >= TIE}


def _ratio_of_means(e: Evaluated, other: Evaluated) -> Estimate:
    return Estimate.exact(e.priced.train_seconds.mean / other.priced.train_seconds.mean)


def _row_key(e: Evaluated, order: Order, tied: Collection[Evaluated]) -> tuple[float, ...]:
    """Return the key of a row's place; designs with equal keys keep the order of the objective."""
    if e in tied:
        return 1.0, e.priced.train_seconds.mean
    return (0.0 if e is order.designs[0] else 2.0,)


def _near_threshold(order: Order) -> list[Evaluated]:
    """Return the ensembles nearest the switchover threshold; none where there is no single network."""
    if order.reference.design_class is not DesignClass.SINGLE:
        return []
    ensembles = filter(_is_ensemble, order.able)
    return sorted(ensembles, key=lambda e: _distance(e, order.reference, order.beats))[:NEAR_THRESHOLD]


def _is_ensemble(e: Evaluated) -> bool:
    return e.design_class is not DesignClass.SINGLE


def _distance(e: Evaluated, single: Evaluated, beats: dict[Evaluated, float]) -> tuple[float, float]:
    """Return the distance from the switchover threshold: of p_d from 0.5, then of the errors."""
    return abs(beats[e] - 0.5), abs(e.objectives[0] - single.objectives[0])


def _always(order: Order) -> Iterator[Evaluated]:
    """Yield the designs that are always selected, with repetitions."""
    first = order.designs[0]
    yield from (first, order.reference)
    # The best of the other class: the verdict compares the two.
    yield from [e for e in order.able if _is_ensemble(e) != _is_ensemble(first)][:1]
    best: dict[tuple[str, ...], Evaluated] = {}
    for e in order.designs:
        if e in order.behind:
            best.setdefault(e.design.families, e)
    yield from list(best.values())[:ROWS_UNTRIED]


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
