"""The ratio of two prices: what one predictor misses of both plans cancels.

Notation: of a cost, a plan spends the share w_i on piece i, a network at a batch. ε_i is what the predictor
misses of the logarithm of that piece; its spread s_i is that of the piece's own interval, and ρ_ij says how
two misses go together. To first order in ε, with w before and w' after,

    log(after / before) = log(mean after / mean before) + Σ_i (w'_i − w_i)·ε_i,

so the logarithm of the ratio has the variance Σ_ij v_i v_j s_i s_j ρ_ij, v = w' − w.

- For times, ρ is the posterior correlation in the predictor's Gaussian process (`advisor.cost.discrepancy`):
  a network and the same one a little deeper err nearly alike, networks of two families much less so.
- Peaks have no process, and misses of different pieces count as independent, the cautious choice.
- A piece that both plans spend equal shares on cancels: twice the epochs take twice as long, without an
  interval. What one run differs from the next by, how much processes disturb each other and how long
  hatching takes are in no ratio's interval.

Shares are of the steps' durations added up, as if none ran beside another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from advisor.cost.predictor import CostPredictor
from advisor.cost.pricing import PricedPlan, epoch_seconds
from advisor.cost.step_cost import Workpiece
from advisor.estimate import Estimate, Floats, Z, total
from advisor.plans.plan import TrainingPlan, TrainStep

Parts = Sequence[tuple[str, Estimate]]
Correlation = Callable[[Sequence[Workpiece]], Floats]


@dataclass(frozen=True, slots=True)
class Side:
    """A plan and what it costs."""

    plan: TrainingPlan
    priced: PricedPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRatios:
    """After ÷ before of the totals of two priced plans, named as in `PricedPlan`."""

    train_seconds: Estimate
    epoch_seconds: Estimate
    inference_ms_per_image: Estimate
    train_peak_bytes: Estimate


def price_ratios(before: Side, after: Side, predictor: CostPredictor) -> PriceRatios:
    """Return how much more one plan costs than another, both priced by `predictor` on one data set."""

    def ratio(cost: str, parts: Callable[[Side, CostPredictor], Parts], together: Correlation) -> Estimate:
        mean = getattr(after.priced, cost).mean / getattr(before.priced, cost).mean
        spent, will_spend = (_by_piece(parts(side, predictor), side.plan) for side in (before, after))
        width = float(np.exp(Z * _spread(spent, will_spend, together)))
        return Estimate(mean, mean / width, mean * width)

    return PriceRatios(
        train_seconds=ratio("train_seconds", _training, predictor.epoch_correlation),
        epoch_seconds=ratio("epoch_seconds", _epoch, predictor.epoch_correlation),
        inference_ms_per_image=ratio("inference_ms_per_image", _inference, predictor.inference_correlation),
        train_peak_bytes=ratio("train_peak_bytes", _peak, _independent),
    )


def _training(side: Side, predictor: CostPredictor) -> Parts:
    """Every training step at its duration in the plan, known as well as an epoch of its network."""
    plan = side.plan
    seconds = {step.step: step.seconds.mean for step in side.priced.steps}
    parts = []
    for step in plan.steps:
        if isinstance(step, TrainStep):
            name = plan.network(step.network).network
            epoch = epoch_seconds(name, plan, predictor)
            parts.append((name, epoch.scaled(seconds[step.id] / epoch.mean)))
    return parts


def _epoch(side: Side, predictor: CostPredictor) -> Parts:
    return [(name, epoch_seconds(name, side.plan, predictor)) for name in _asked(side.plan)]


def _inference(side: Side, predictor: CostPredictor) -> Parts:
    plan = side.plan
    task, batch = plan.dataset.task, plan.batch
    return [(name, predictor.inference_seconds(name, task, batch)) for name in _asked(plan)]


def _peak(side: Side, predictor: CostPredictor) -> Parts:
    """The networks whose peaks add up to that of the plan, as in `advisor.cost.pricing`."""
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


def _spread(
    before: dict[Workpiece, Estimate], after: dict[Workpiece, Estimate], correlation: Correlation
) -> float:
    """Spread of the logarithm of after ÷ before."""
    pieces = list(before | after)
    known = before | after
    shares = [np.array([s[p].mean if p in s else 0.0 for p in pieces]) for s in (before, after)]
    moved = shares[1] / shares[1].sum() - shares[0] / shares[0].sum()
    missed = moved * np.array([np.log(known[p].high / known[p].low) / (2 * Z) for p in pieces])
    return float(np.sqrt(max(missed @ correlation(pieces) @ missed, 0.0)))


def _independent(pieces: Sequence[Workpiece]) -> Floats:
    return np.eye(len(pieces))
