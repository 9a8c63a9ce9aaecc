"""The next measurement: the one that lowers the candidates' uncertainty most for each second it takes.

Notation:

    pool        networks with a batch that could be measured, spaced evenly over the multiply-adds of each
    family c_i         seconds that measuring element i of the pool takes
    r_i         reduction of the variance of log seconds by measuring i, summed over the pool at the request's
    batch

Once the predictor has a fitted covariance, the element with the largest r_i / c_i is next. (The variance of a
Gaussian process does not depend on the value that will be measured.) Before that, families take turns, and
sizes are taken from the ends inwards.

An element of the pool has the largest batch whose step is expected to stay within `STEP_SECONDS`. So large
networks are measured at small batches on slow machines; the batch is a feature of the predictor.

Source: active learning by expected variance reduction (Cohn, Ghahramani and Jordan 1996).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from advisor.cost.features import features_of
from advisor.cost.measurement import Measurement
from advisor.cost.predictor import CostPredictor
from advisor.cost.step_cost import Workpiece
from advisor.designs.space import Candidate
from advisor.networks.architecture import family_of
from advisor.networks.layers import Task

STEP_SECONDS = {"cpu": 0.4, "cuda": 0.05}
# Time after which a measurement ends, once it has its least number of repetitions.
MEASUREMENT_SECONDS = 1.0
# Time of the least repetitions of `profiler.steps`, in training steps; a pass of inference counts as a third.
# On CUDA these are 10 steps to warm up, 30 whole ones and 15 timed by layers, then 5, 30 and 15 passes.
LEAST_STEPS = {"cpu": 8, "cuda": 72}
BATCHES = (256, 128, 64, 32, 16, 8, 4, 2)
NETWORKS_PER_FAMILY = 24


@dataclass(frozen=True, slots=True, order=True)
class Wanted:
    """A network and the batch that it would be measured at."""

    network: str
    batch: int


def measurement_pool(
    candidates: Iterable[Candidate], task: Task, batch: int, predictor: CostPredictor
) -> list[Wanted]:
    """Return the pool of possible measurements, evenly over families and sizes.

    Args:
        candidates: designs of the request.
        task: images and classes.
        batch: batch of the request; larger batches are not measured.
        predictor: predictor so far, which estimates the time of a step.
    """
    by_family: dict[str, dict[str, float]] = {}
    for c in candidates:
        by_family.setdefault(c.family, {})[f"{c.family}-{c.depth}-{c.width}"] = c.macs / c.members
    pool = []
    for sizes in by_family.values():
        names = sorted(sizes, key=sizes.__getitem__)
        chosen = np.unique(np.linspace(0, len(names) - 1, NETWORKS_PER_FAMILY).round().astype(int))
        pool += [Wanted(names[i], _affordable(names[i], task, batch, predictor)) for i in chosen]
    return pool


def measurement_seconds(wanted: Wanted, task: Task, predictor: CostPredictor) -> float:
    """Return the expected seconds of a measurement."""
    step = predictor.step_seconds(wanted.network, task, wanted.batch).mean
    return max(MEASUREMENT_SECONDS, LEAST_STEPS[predictor.device] * step)


def next_measurement(
    pool: Sequence[Wanted],
    measured: Sequence[Measurement],
    task: Task,
    predictor: CostPredictor,
    *,
    batch: int,
    seconds: float = float("inf"),
) -> Wanted | None:
    """Return the element of the pool to measure next; None if none is left or none fits into the time.

    Args:
        pool: possible measurements.
        measured: measurements so far.
        task: images and classes of the request.
        predictor: predictor fitted on the measurements so far.
        batch: batch of the request.
        seconds: time left for measuring.
    """
    done = {(m.network, m.batch) for m in measured if m.task == task and m.processes == 1}
    left = [wanted for wanted in pool if (wanted.network, wanted.batch) not in done]
    costs = {wanted: measurement_seconds(wanted, task, predictor) for wanted in left}
    left = [wanted for wanted in left if costs[wanted] <= seconds]
    if not left:
        return None
    if predictor.basis != "measurements":
        return _first_measurement(left, pool, [m for m in measured if m.task == task], task)
    options = [Workpiece(w.network, task, w.batch) for w in left]
    goals = [Workpiece(w.network, task, batch) for w in pool]
    gains = predictor.expected_reductions(options, goals) / [costs[w] for w in left]
    return left[int(np.argmax(gains))]


def _first_measurement(
    left: list[Wanted], pool: Sequence[Wanted], measured: Sequence[Measurement], task: Task
) -> Wanted:
    """Return an element of the family with the fewest measurements, small and large ones first."""
    seen: dict[str, int] = {}
    for m in measured:
        family = family_of(m.network)
        seen[family] = seen.get(family, 0) + 1
    family = min((family_of(w.network) for w in left), key=lambda name: (seen.get(name, 0), name))
    own = [w for w in pool if family_of(w.network) == family]
    own.sort(key=lambda w: w.batch * features_of(w.network, task).macs)
    # Positions among the family's sizes: small, large, middle, then between these.
    order = [0.1, 0.9, 0.5, 0.3, 0.7]
    target = order[seen.get(family, 0) % len(order)] * (len(own) - 1)
    return min((w for w in left if w in own), key=lambda w: abs(own.index(w) - target))


def _affordable(network: str, task: Task, batch: int, predictor: CostPredictor) -> int:
    """Return the largest batch whose step is expected to be short enough to be measured."""
    longest = STEP_SECONDS[predictor.device]
    for size in BATCHES:
        if size <= batch and predictor.step_seconds(network, task, size).mean <= longest:
            return size
    return min(batch, BATCHES[-1])
