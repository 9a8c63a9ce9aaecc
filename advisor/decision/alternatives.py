"""The changes of a request that would put another design first.

- Beyond a threshold: a budget or a number of epochs at which another design has less error (`Crossover`).
- By chance: the second design belongs first with some probability (`RunnerUp`).
- Under a tighter limit: with less of a resource than the first design needs, another design comes first
  (`LimitAlternative`).
- Under another objective (`other_objectives`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.pricing import PricedPlan
from advisor.decision.ranking import Objective, Recommendation, ordered, probability_better
from advisor.decision.reasons import threshold_of
from advisor.decision.scenario import Evaluated
from advisor.decision.threshold.switchover import EPOCH_GRID, PARAMETER_GRID, Switchover, crossing
from advisor.designs.design import DesignClass
from advisor.estimate import LEVEL, Estimate, Floats
from advisor.plans.method_traits import Method

# Points of an axis in rising order.
Grid = Sequence[float] | Floats

# Largest need of a `LimitAlternative`, as a share of the need of the first design. An alternative that needs
# nearly as much would give way under a slightly tighter limit.
LARGEST_NEED = 0.9

# Predicted need of each resource that a limit bounds.
NEEDS: dict[str, Callable[[PricedPlan], float]] = {
    "train_seconds": lambda p: p.train_seconds.mean,
    "memory_bytes": lambda p: p.memory_bytes.mean,
    "latency_ms": lambda p: p.inference_ms_per_image.mean,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossover:
    """A threshold beyond which another design has less error than the first.

    Attributes:
        axis: ``parameters`` (total) or ``epochs``.
        at: value of the threshold.
        open_ended: whether the interval reaches an end of the grid and may continue beyond it.
        side: side on which the first design loses: ``below`` the threshold, or ``from`` it on.
        family: family of the other design.
        members: number of members of the other design.
        design: name of the other design; None for the best design of its family and number of members at that
            budget.
        method: training method of the other design, if it is named.
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
class RunnerUp:
    """The second design.

    Attributes:
        evaluated: the design.
        probability: probability that it belongs first.
    """

    evaluated: Evaluated
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitAlternative:
    """The evaluated design that comes first under a tighter limit.

    Attributes:
        need: limited resource, one of `NEEDS`.
        below: limit below which the design comes first.
        down_to: least limit under which it still comes first. This is its own need, or more if a tighter
            limit excludes the reference of the ranking.
        evaluated: the design.
    """

    need: str
    below: float
    down_to: float
    evaluated: Evaluated


def crossovers(
    first: Evaluated, switchovers: Sequence[Switchover], *, budget: float, epochs: int
) -> list[Crossover]:
    """Return the switchover thresholds beyond which the first design no longer has the least error.

    For an ensemble these are its own thresholds, if the request lies beyond them. For a single network it is
    the nearest threshold of its family that the request does not reach. A threshold at an end of the grid is
    left out, because there the ensemble wins, or loses, at every point.

    Args:
        first: design of rank 1.
        switchovers: thresholds of all families and numbers of members.
        budget: total parameters of the request.
        epochs: epochs of the request.
    """
    single = first.design_class is DesignClass.SINGLE
    axes: dict[str, tuple[float, Grid]] = {
        "parameters": (budget, PARAMETER_GRID),
        "epochs": (epochs, EPOCH_GRID),
    }
    found = []
    for axis, (here, grid) in axes.items():
        # A threshold at an end of the grid may lie anywhere beyond it.
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
    """Return the least value of a threshold that separates two winners.

    Below the smallest ensemble there is no comparison. Interpolated thresholds may lie a little above it.
    """
    return switchover.smallest * (1 + 1e-6) if axis == "parameters" else 0.0


def _reaches_end(at: Estimate, grid: Grid) -> bool:
    """Return whether an interval reaches an end of the grid; one epoch is not such an end."""
    return bool(at.high >= grid[-1] or at.low <= grid[0] > 1)


def crossover_of_pair(
    reference: Evaluated, lead: Floats, epochs: int, grid: Sequence[int] = EPOCH_GRID
) -> Crossover | None:
    """Return the number of epochs below which the reference has less error than the first design, or None.

    It serves designs that have no switchover threshold.

    Args:
        reference: reference of the ranking.
        lead: log(error of the reference / error of the first design), shape (draws, epochs of the grid).
        epochs: epochs of the request.
        grid: numbers of epochs, rising.
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
) -> RunnerUp | None:
    """Return the second design and the probability that it belongs first, or None.

    By error, by likelihood and balanced, this is the probability that one training of it is better than one
    of the first. By time, it is the probability that the first design does not match the reference. A design
    of a family that may not lead does not belong first, whatever its forecast.

    Args:
        rows: rows of the advice, best first.
        accuracy: predictor of the errors.
        objective: objective of the ranking.
    """
    if len(rows) < 2 or rows[1].untried is not rows[0].untried:
        return None
    first, second = rows[0].evaluated, rows[1].evaluated
    if objective is Objective.TIME:
        chance = 1 - rows[0].probability_beats_reference
        return None if first is rows[0].reference else RunnerUp(evaluated=second, probability=chance)
    return RunnerUp(evaluated=second, probability=probability_better(second, first, accuracy, objective))


def limit_alternatives(
    evaluated: Sequence[Evaluated],
    accuracy: AccuracyPredictor,
    objective: Objective,
    leading: Collection[str] | None = None,
) -> list[LimitAlternative]:
    """Return the designs that come first when one limit is tightened below the need of the first design.

    Each limit is lowered step by step just below the need of the design that comes first, until that design
    needs at most `LARGEST_NEED` of what the first one needs.

    Args:
        evaluated: designs of the search, at least one of them feasible.
        accuracy: predictor of the errors.
        objective: objective of the ranking.
        leading: families that may lead; None for all.
    """
    feasible = [e for e in evaluated if e.feasible]
    first = ordered(feasible, accuracy, objective, leading).designs[0]
    found = []
    for name, need in NEEDS.items():
        limit, remaining, here = need(first.priced), feasible, first
        while need(here.priced) > LARGEST_NEED * need(first.priced):
            limit = need(here.priced)
            remaining = [e for e in remaining if need(e.priced) < limit]
            if not remaining:
                break
            here = ordered(remaining, accuracy, objective, leading).designs[0]
        if remaining:
            down_to = _first_down_to(here, remaining, need, accuracy, objective, leading)
            found.append(LimitAlternative(need=name, below=limit, down_to=down_to, evaluated=here))
    return found


def _first_down_to(
    first: Evaluated,
    remaining: list[Evaluated],
    need: Callable[[PricedPlan], float],
    accuracy: AccuracyPredictor,
    objective: Objective,
    leading: Collection[str] | None,
) -> float:
    """Return the least limit under which a design still comes first.

    By time, excluding the reference changes the order of the rest, because all designs are then compared with
    another one. By every other objective, excluding designs does not change it.

    Args:
        first: design that comes first among the remaining ones.
        remaining: designs within the present limit.
        need: need of the limited resource.
        accuracy: predictor of the errors.
        objective: objective of the ranking.
        leading: families that may lead; None for all.
    """
    least_need = limit = need(first.priced)
    if objective is not Objective.TIME:
        return least_need
    order = ordered(remaining, accuracy, objective, leading)
    while order.designs[0] is first:
        limit = max(need(order.reference.priced), least_need)
        remaining = [e for e in remaining if need(e.priced) < limit]
        if first not in remaining:
            break
        order = ordered(remaining, accuracy, objective, leading)
    return limit


def other_objectives(
    evaluated: Sequence[Evaluated],
    accuracy: AccuracyPredictor,
    objective: Objective,
    leading: Collection[str] | None = None,
) -> dict[Objective, Evaluated]:
    """Return the design that comes first by each other objective, where it is a different one.

    Args:
        evaluated: designs of the search, at least one of them feasible.
        accuracy: predictor of the errors.
        objective: objective of the ranking.
        leading: families that may lead; None for all.
    """
    feasible = [e for e in evaluated if e.feasible]
    firsts = {o: ordered(feasible, accuracy, o, leading).designs[0] for o in Objective}
    return {o: first for o, first in firsts.items() if first is not firsts[objective]}
