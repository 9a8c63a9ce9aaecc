"""The ratio of two plans' prices: errors of the predictor that both prices have in common cancel.

Notation:

    i           piece: a network at a batch
    w_i, w'_i   share of the first and of the second plan's cost that piece i has
    v_i         w'_i − w_i
    ε_i         error of the predictor in the logarithm of piece i
    s_i         standard deviation of ε_i, from the interval of the piece
    ρ_ij        correlation of ε_i and ε_j

To first order in ε,

    log(after / before) = log(mean after / mean before) + Σ_i v_i·ε_i,

so the logarithm of the ratio has the variance Σ_ij v_i v_j s_i s_j ρ_ij.

- For times, ρ is the posterior correlation of the predictor's Gaussian process (`advisor.cost.discrepancy`).
  Errors of a network and a slightly deeper one are strongly correlated, those of two families much less.
- Peaks have no process. Errors of different pieces count as independent there, which is the cautious choice.
- A piece with equal shares in both plans cancels: twice the epochs take twice as long, without an interval.
- Epochs to convergence are pieces of their own: one for every schedule, whose ε is that of its number of
  epochs. Those of different schedules count as independent.
- Three uncertainties are in no ratio's interval: differences between two runs, contention, and the time of
  hatching.

Shares refer to the sum of the durations of all steps, as if no two ran at the same time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from advisor.cost.parallel.spans import epoch_seconds
from advisor.cost.predictor import CostPredictor
from advisor.cost.pricing import PricedPlan
from advisor.cost.step_cost import Workpiece
from advisor.estimate import Estimate, Floats, Z, total
from advisor.plans.plan import TrainingPlan, TrainStep
from advisor.plans.schedule import Schedule

Parts = Sequence[tuple[str, Estimate]]
Correlation = Callable[[Sequence[Workpiece]], Floats]


@dataclass(frozen=True, slots=True)
class Side:
    """A plan and its price."""

    plan: TrainingPlan
    priced: PricedPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRatios:
    """Ratio after ÷ before of each total of two priced plans, named as in `PricedPlan`."""

    train_seconds: Estimate
    epoch_seconds: Estimate
    inference_ms_per_image: Estimate
    train_peak_bytes: Estimate


def price_ratios(before: Side, after: Side, predictor: CostPredictor) -> PriceRatios:
    """Return the ratios of the costs of two plans on one data set, both priced by `predictor`."""

    def ratio(cost: str, parts: Callable[[Side, CostPredictor], Parts], together: Correlation) -> Estimate:
        return _ratio(before, after, predictor, cost, parts, together)

    return PriceRatios(
        train_seconds=train_seconds_ratio(before, after, predictor),
        epoch_seconds=ratio("epoch_seconds", _epoch, predictor.epoch_correlation),
        inference_ms_per_image=ratio("inference_ms_per_image", _inference, predictor.inference_correlation),
        train_peak_bytes=ratio("train_peak_bytes", _peak, _independent),
    )


def train_seconds_ratio(before: Side, after: Side, predictor: CostPredictor) -> Estimate:
    """Return the ratio of the training times of two plans on one data set, both priced by `predictor`."""
    of_epoch = _ratio(before, after, predictor, "train_seconds", _training, predictor.epoch_correlation)
    log_std = np.log(of_epoch.high / of_epoch.low) / (2 * Z)
    width = float(np.exp(Z * np.hypot(log_std, _log_std_of_epochs(before, after))))
    return Estimate(of_epoch.mean, of_epoch.mean / width, of_epoch.mean * width)


def _ratio(
    before: Side,
    after: Side,
    predictor: CostPredictor,
    cost: str,
    parts: Callable[[Side, CostPredictor], Parts],
    together: Correlation,
) -> Estimate:
    """Return the ratio of one cost, of which `parts` gives the pieces and `together` their correlation."""
    mean = getattr(after.priced, cost).mean / getattr(before.priced, cost).mean
    spent, will_spend = (_by_piece(parts(side, predictor), side.plan) for side in (before, after))
    width = float(np.exp(Z * _log_std(spent, will_spend, together)))
    return Estimate(mean, mean / width, mean * width)


def _training(side: Side, predictor: CostPredictor) -> Parts:
    """Return each training step at its duration, with the relative interval of its network's epoch."""
    plan = side.plan
    seconds = {step.step: step.seconds.mean for step in side.priced.steps}
    parts = []
    for step in plan.steps:
        if isinstance(step, TrainStep):
            name = plan.network(step.network).network
            epoch = epoch_seconds(name, plan, predictor)
            parts.append((name, epoch.scaled(seconds[step.id] / epoch.mean)))
    return parts


def _log_std_of_epochs(before: Side, after: Side) -> float:
    """Return what the unknown numbers of epochs add to the standard deviation of the log of the ratio."""
    spent, will_spend = _by_schedule(before), _by_schedule(after)
    schedules = list(spent | will_spend)
    moved = [
        will_spend.get(each, 0.0) / sum(will_spend.values()) - spent.get(each, 0.0) / sum(spent.values())
        for each in schedules
    ]
    stds = [np.log(each.epoch_bounds[1] / each.epoch_bounds[0]) / (2 * Z) for each in schedules]
    return float(np.linalg.norm(np.multiply(moved, stds)))


def _by_schedule(side: Side) -> dict[Schedule, float]:
    """Return the seconds of the training steps by their schedule."""
    seconds = {step.step: step.seconds.mean for step in side.priced.steps}
    found: dict[Schedule, float] = defaultdict(float)
    for step in side.plan.steps:
        if isinstance(step, TrainStep):
            found[step.schedule] += seconds[step.id]
    return found


def _epoch(side: Side, predictor: CostPredictor) -> Parts:
    return [(name, epoch_seconds(name, side.plan, predictor)) for name in _asked(side.plan)]


def _inference(side: Side, predictor: CostPredictor) -> Parts:
    plan = side.plan
    task, batch = plan.dataset.task, plan.batch
    return [(name, predictor.inference_seconds(name, task, batch)) for name in _asked(plan)]


def _peak(side: Side, predictor: CostPredictor) -> Parts:
    """Return the networks whose peaks add up to the plan's peak, as in `advisor.cost.pricing`."""
    plan = side.plan
    task, batch = plan.dataset.task, plan.batch
    names = [n.network for n in plan.built]
    peaks = [(name, predictor.training_peak_bytes(name, task, batch)) for name in names]
    return sorted(peaks, key=lambda part: -part[1].mean)[: plan.execution.processes]


def _asked(plan: TrainingPlan) -> list[str]:
    return [plan.network(name).network for name in plan.asked]


def _by_piece(parts: Parts, plan: TrainingPlan) -> dict[Workpiece, Estimate]:
    pieces: dict[Workpiece, list[Estimate]] = defaultdict(list)
    for name, estimate in parts:
        pieces[Workpiece(name, plan.dataset.task, plan.batch)].append(estimate)
    return {piece: total(estimates) for piece, estimates in pieces.items()}


def _log_std(
    before: dict[Workpiece, Estimate], after: dict[Workpiece, Estimate], correlation: Correlation
) -> float:
    """Return the standard deviation of the logarithm of after ÷ before."""
    pieces = list(before | after)
    known = before | after
    shares = [np.array([s[p].mean if p in s else 0.0 for p in pieces]) for s in (before, after)]
    moved = shares[1] / shares[1].sum() - shares[0] / shares[0].sum()
    scaled = moved * np.array([np.log(known[p].high / known[p].low) / (2 * Z) for p in pieces])
    return float(np.sqrt(max(scaled @ correlation(pieces) @ scaled, 0.0)))


def _independent(pieces: Sequence[Workpiece]) -> Floats:
    return np.eye(len(pieces))
