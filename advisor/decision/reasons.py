"""Why a design is advised: what it rests on, what it trades, and what would change the advice.

Every statement follows from figures of the answer: draws of the errors, prices, and switchover thresholds.
Where no figure says anything, nothing is said. What would change which design comes first:

- a threshold: the size, or the number of epochs, where one network of its family and the ensemble change
  places (`Crossover`);
- a rival: the second is first with some probability (`Rival`);
- a limit: with less of a resource than the first needs, another comes first (`LimitAlternative`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.comparison import PriceRatios
from advisor.cost.pricing import PricedPlan
from advisor.decision.ranking import TIME_WEIGHT, Objective, Recommendation, ordered
from advisor.decision.search import Evaluated
from advisor.decision.switchover import EPOCH_GRID, PARAMETER_GRID, Switchover, crossing
from advisor.designs.clustering import clusters_of
from advisor.designs.design import Design, DesignClass
from advisor.estimate import LEVEL, Estimate, Floats
from advisor.plans.plan import Method, named

# Points of an axis, rising.
Grid = Sequence[float] | Floats

# A rival under a tighter limit needs at most this share of what the first needs: where both need nearly the
# same, the next limit would change the advice once more.
LESS = 0.9

# What each limit bounds, as the search reads it.
NEEDS: dict[str, Callable[[PricedPlan], float]] = {
    "train_seconds": lambda p: p.train_seconds.mean,
    "memory_bytes": lambda p: p.memory_bytes.mean,
    "latency_ms": lambda p: p.inference_ms_per_image.mean,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a recommendation rests on.

    Attributes:
        accuracy: ``prior`` or ``runs``.
        runs: trainings that the accuracy predictor learned from, beside what is published.
        runs_on_dataset: of these, on the requested data set.
        families: of these on the requested data set, how many had members of each family.
        cost: basis of the cost predictor.
        measurements: that it learned from.
        unmeasured: what was never measured of any of the designs, in words.
    """

    accuracy: str
    runs: int
    runs_on_dataset: int
    families: dict[str, int] = field(default_factory=dict)
    cost: str
    measurements: int
    unmeasured: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """What a design gives and takes against another one.

    Attributes:
        against: the other, the reference of the comparison mostly.
        points_less: of test error, negative if it has more; of the errors that both leave on average over
            trainings.
        epoch_times: its seconds an epoch ÷ those of the other.
        train_times: its seconds of training ÷ those of the other.
    """

    against: Evaluated
    points_less: Estimate
    epoch_times: Estimate
    train_times: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossover:
    """A threshold on the other side of which something else has less error than the first design.

    Attributes:
        axis: ``parameters`` in all, or ``epochs``.
        at: the threshold.
        open_ended: whether the interval reaches an end of what was looked at, and may go on there.
        side: where the first design loses: ``below`` the threshold or ``from`` there on.
        family: of what has less error there.
        members: of it.
        design: its name; None where it is the best of its family and member count at that size.
        method: that trains it, where it is named.
    """

    axis: str
    at: Estimate
    open_ended: bool
    side: str
    family: str
    members: int
    design: str | None = None
    method: Method | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """The second, and the probability that it belongs first."""

    evaluated: Evaluated
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitAlternative:
    """The design that comes first, of those that were looked at, under a tighter limit.

    Attributes:
        need: what is limited, one of `NEEDS`.
        below: limit under which it comes first.
        down_to: least limit under which it still does: what it needs itself, or more where a tighter limit
            leaves out the reference that it is compared with.
        evaluated: the design.
    """

    need: str
    below: float
    down_to: float
    evaluated: Evaluated


def trade(evaluated: Evaluated, against: Evaluated, ratios: PriceRatios) -> Trade:
    """Return what a design trades against another, given the ratios of its price over the other's."""
    return Trade(
        against=against,
        points_less=Estimate.of_samples(100 * (against.errors - evaluated.errors)),
        epoch_times=ratios.epoch_seconds,
        train_times=ratios.train_seconds,
    )


def has_threshold(evaluated: Evaluated) -> bool:
    """Return whether a design is of the kind that has a threshold: one shape, trained independently."""
    design = evaluated.design
    alike = len(design.members) > 1 and design.homogeneous and design.independent
    return alike and evaluated.method is Method.FULL_DATA


def threshold_of(evaluated: Evaluated, switchovers: Sequence[Switchover]) -> Switchover | None:
    """Return the threshold of a design's family and member count, None where none is known."""
    design = evaluated.design
    kind = (design.families, len(design.members)) if has_threshold(evaluated) else ((), 0)
    return next((s for s in switchovers if ((s.family,), s.members) == kind), None)


def reasons(
    row: Recommendation, traded: Trade | None, threshold: Switchover | None, evidence: Evidence
) -> list[str]:
    """Return what speaks for and against a row, in sentences; what holds for all rows alike is left out.

    Args:
        row: of the advice.
        traded: against the reference; of the reference itself, against the best ensemble if there is one.
        threshold: of its family and member count, if known.
        evidence: that the advice rests on.
    """
    design = row.evaluated.design
    found = [_reference_sentence(row.evaluated)] if row.evaluated is row.reference else []
    if traded is not None:
        found.append(_trade_sentence(traded))
    if threshold is not None:
        side = "past" if threshold.probability_past >= 0.5 else "before"
        chance = max(threshold.probability_past, 1 - threshold.probability_past)
        found.append(
            f"{side} the switchover threshold of {threshold.members} {threshold.family} members with "
            f"probability {chance:.0%}"
        )
    if not design.independent:
        found.append(f"{_mothers_of(design)}; members that share one are less diverse")
    unseen = [family for family in design.families if not evidence.families.get(family)]
    if evidence.families and unseen:
        found.append(f"no {' or '.join(unseen)} has been trained on this data yet")
    unmeasured = [text for text in row.evaluated.priced.unmeasured if text not in evidence.unmeasured]
    if unmeasured:
        found.append(f"its cost is less certain, never measured: {', '.join(unmeasured)}")
    return found


def _mothers_of(design: Design) -> str:
    """How many mother networks stand in for how many trainings; a member alone in its cluster has none."""
    sizes = [len(cluster) for cluster in clusters_of(design)]
    alone, members = sizes.count(1), len(design.members)
    mothers = len(sizes) - alone
    told = f"{mothers} mother network{'s' * (mothers > 1)}"
    if not alone:
        return f"{told} instead of {members} trainings from scratch"
    return f"{told} for {members - alone} of {members} members, {alone} trained from scratch"


def _reference_sentence(reference: Evaluated) -> str:
    if reference.design_class is DesignClass.SINGLE:
        return "best single network within the budget, the reference of the comparison"
    return "no single network keeps the limits: the most accurate design that does is the reference"


def _trade_sentence(traded: Trade) -> str:
    points, against = traded.points_less, named(traded.against.design.name, traded.against.method)
    half_width = (points.high - points.low) / 2
    # What would round to nothing has another digit.
    digits = 1 if max(abs(points.mean), half_width) >= 0.1 else 2
    epoch, train = (_times(ratio.mean) for ratio in (traded.epoch_times, traded.train_times))
    times = f"{epoch} its time an epoch and {train} its whole training"
    if epoch == train:
        times = f"{train} its training time, by the epoch and in all"
    word = "less" if points.mean >= 0 else "more"
    figures = f"{abs(points.mean):.{digits}f} ± {half_width:.{digits}f}"
    return f"{figures} points {word} error than {against}, for {times}"


def _times(ratio: float) -> str:
    return f"{ratio:{'.2g' if ratio < 100 else '.0f'}}x"


def crossovers(
    first: Evaluated, switchovers: Sequence[Switchover], *, budget: float, epochs: int
) -> list[Crossover]:
    """Return the switchover thresholds at which the first design gives way to its counterpart.

    Of an ensemble those that the request is past, of a single network the nearest that it has not reached;
    none where the ensemble wins, or loses, everywhere that was looked at.

    Args:
        first: design of rank 1.
        switchovers: thresholds that are known.
        budget: parameters of the request.
        epochs: of the request.
    """
    single = first.design_class is DesignClass.SINGLE
    axes: dict[str, tuple[float, Grid]] = {
        "parameters": (budget, PARAMETER_GRID),
        "epochs": (epochs, EPOCH_GRID),
    }
    found = []
    for axis, (here, grid) in axes.items():
        # Thresholds at an end of the grid lie anywhere beyond it.
        inside = [s for s in switchovers if grid[0] < _at(s, axis).mean < grid[-1]]
        if single:
            ahead = [s for s in inside if (s.family,) == first.design.families and _at(s, axis).mean > here]
            chosen = min(ahead, key=lambda s: _at(s, axis).mean, default=None)
        else:
            behind = [s for s in inside if _least(s, axis) < _at(s, axis).mean <= here]
            chosen = threshold_of(first, behind)
        if chosen is not None:
            found.append(
                Crossover(
                    axis=axis,
                    at=_at(chosen, axis),
                    open_ended=_reaches_end(_at(chosen, axis), grid),
                    side="from" if single else "below",
                    family=chosen.family,
                    members=chosen.members if single else 1,
                )
            )
    return found


def _at(switchover: Switchover, axis: str) -> Estimate:
    return switchover.parameters if axis == "parameters" else switchover.epochs


def _least(switchover: Switchover, axis: str) -> float:
    # Below the smallest ensemble a single network wins nothing; thresholds are interpolated.
    return switchover.smallest * (1 + 1e-6) if axis == "parameters" else 0.0


def _reaches_end(at: Estimate, grid: Grid) -> bool:
    # Nothing trains for less than one epoch, so that end is no end of what was looked at.
    return bool(at.high >= grid[-1] or at.low <= grid[0] > 1)


def crossover_of_pair(
    reference: Evaluated, lead: Floats, epochs: int, grid: Sequence[int] = EPOCH_GRID
) -> Crossover | None:
    """Return before how many epochs the reference has less error than the first design, None if never.

    For designs that no switchover threshold is known of: these very two are compared.

    Args:
        reference: of the comparison.
        lead: log(error of the reference / error of the first), shape (draws, epochs of the grid).
        epochs: of the request.
        grid: epochs, rising.
    """
    draws = np.minimum(crossing(lead, grid), grid[-1])
    low, middle, high = np.quantile(draws, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
    at = Estimate(float(middle), float(low), float(high))
    if not grid[0] < at.mean <= epochs:
        return None
    return Crossover(
        axis="epochs",
        at=at,
        open_ended=_reaches_end(at, grid),
        side="below",
        family=reference.design.families[0],
        members=len(reference.design.members),
        design=reference.design.name,
        method=reference.method,
    )


def runner_up(
    rows: Sequence[Recommendation], accuracy: AccuracyPredictor, objective: Objective
) -> Rival | None:
    """Return the second row and the probability that it should be first, None if nothing says so.

    By error and balanced, one training of each design is compared. By time the second follows where the first
    does not match the reference.
    """
    if len(rows) < 2:
        return None
    first, second = rows[0].evaluated, rows[1].evaluated
    if objective is Objective.TIME:
        chance = 1 - rows[0].probability_beats_reference
        return None if first is rows[0].reference else Rival(evaluated=second, probability=chance)
    weight = TIME_WEIGHT if objective is Objective.BALANCED else 0.0
    ours, theirs = (j.errors * j.priced.train_seconds.mean**weight for j in (first, second))
    chance = accuracy.probability_below(theirs, ours, (second.seed_std, first.seed_std))
    return Rival(evaluated=second, probability=chance)


def limit_alternatives(
    evaluated: Sequence[Evaluated], accuracy: AccuracyPredictor, objective: Objective
) -> list[LimitAlternative]:
    """Return who comes first when one limit is tightened below what the first design needs.

    A limit just below leaves the best of those that need less, and so on down; the one that is named is the
    first on this way that needs no more than `LESS` of what the first design does.

    Args:
        evaluated: designs that were looked at, one of them feasible.
        accuracy: of the ranking.
        objective: of the ranking.
    """
    feasible = [j for j in evaluated if j.feasible]
    first = ordered(feasible, accuracy, objective).designs[0]
    found = []
    for name, need in NEEDS.items():
        limit, left, here = need(first.priced), feasible, first
        while need(here.priced) > LESS * need(first.priced):
            limit = need(here.priced)
            left = [j for j in left if need(j.priced) < limit]
            if not left:
                break
            here = ordered(left, accuracy, objective).designs[0]
        if left:
            down_to = _first_down_to(here, left, need, accuracy, objective)
            found.append(LimitAlternative(need=name, below=limit, down_to=down_to, evaluated=here))
    return found


def _first_down_to(
    first: Evaluated,
    left: list[Evaluated],
    need: Callable[[PricedPlan], float],
    accuracy: AccuracyPredictor,
    objective: Objective,
) -> float:
    """Return the least limit on a need under which the first of some designs is still the first.

    Without any other design the order of the rest stays as it is, but by time, without the reference, all are
    compared with the next one.
    """
    own = least = need(first.priced)
    if objective is not Objective.TIME:
        return own
    order = ordered(left, accuracy, objective)
    while order.designs[0] is first:
        least = max(need(order.reference.priced), own)
        left = [j for j in left if need(j.priced) < least]
        if first not in left:
            break
        order = ordered(left, accuracy, objective)
    return least


def other_objectives(
    evaluated: Sequence[Evaluated], accuracy: AccuracyPredictor, objective: Objective
) -> dict[Objective, Evaluated]:
    """Return which design comes first by each other objective, where it is another one."""
    feasible = [j for j in evaluated if j.feasible]
    firsts = {o: ordered(feasible, accuracy, o).designs[0] for o in Objective}
    return {o: first for o, first in firsts.items() if first is not firsts[objective]}
