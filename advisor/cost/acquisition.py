"""What to measure next: what teaches most about the candidates for each second that it costs.

The pool spans the candidates of a request: of every family, networks spread over their multiply-adds,
each at the largest batch whose step is expected to stay within `STEP_SECONDS`. Large designs on slow
machines are thus measured at small batches, the batch being a feature of the predictor. Once the predictor
knows its own covariance, the measurement with the largest expected reduction of variance, summed over the
pool at the batch of the request, per second is next.
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
# A measurement ends after this long, once it has its least repetitions.
MEASUREMENT_SECONDS = 1.0
# Training steps that the least repetitions of `profiler.steps` come to, a pass of inference a third of one:
# on CUDA 10 to warm up, 30 whole and 15 cut into layers, then 5, 30 and 15 passes.
LEAST_STEPS = {"cpu": 8, "cuda": 72}
BATCHES = (256, 128, 64, 32, 16, 8, 4, 2)
NETWORKS_PER_FAMILY = 24


@dataclass(frozen=True, slots=True, order=True)
class Wanted:
    """A network and the batch to measure it at."""

    network: str
    batch: int


def measurement_pool(
    candidates: Iterable[Candidate], task: Task, batch: int, predictor: CostPredictor
) -> list[Wanted]:
    """Return what could be measured, spread over families and sizes.

    Args:
        candidates: of the request.
        task: input and classes.
        batch: of the request; larger ones are not measured.
        predictor: estimates which batches are affordable.
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
    """Return about how long a measurement will take."""
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
    """Return the member of the pool to measure next, or None if none is left or none fits into the time.

    Until the predictor knows its own spread, families take turns and sizes go from the ends inwards.

    Args:
        pool: what could be measured.
        measured: what was.
        task: of the request.
        predictor: fitted on what was measured.
        batch: of the request, at which the pool must be known.
        seconds: left for measuring.
    """
    done = {(m.network, m.batch) for m in measured if m.task == task and m.processes == 1}
    left = [wanted for wanted in pool if (wanted.network, wanted.batch) not in done]
    costs = {wanted: measurement_seconds(wanted, task, predictor) for wanted in left}
    left = [wanted for wanted in left if costs[wanted] <= seconds]
    if not left:
        return None
    if predictor.basis != "measurements":
        return _first_look(left, pool, [m for m in measured if m.task == task], task)
    options = [Workpiece(w.network, task, w.batch) for w in left]
    goals = [Workpiece(w.network, task, batch) for w in pool]
    gains = predictor.expected_reductions(options, goals) / [costs[w] for w in left]
    return left[int(np.argmax(gains))]


def _first_look(
    left: list[Wanted], pool: Sequence[Wanted], measured: Sequence[Measurement], task: Task
) -> Wanted:
    seen: dict[str, int] = {}
    for m in measured:
        family = family_of(m.network)
        seen[family] = seen.get(family, 0) + 1
    family = min((family_of(w.network) for w in left), key=lambda name: (seen.get(name, 0), name))
    own = [w for w in pool if family_of(w.network) == family]
    own.sort(key=lambda w: w.batch * features_of(w.network, task).macs)
    # Small, large, middle, and then whatever is left.
    order = [0.1, 0.9, 0.5, 0.3, 0.7]
    target = order[seen.get(family, 0) % len(order)] * (len(own) - 1)
    return min((w for w in left if w in own), key=lambda w: abs(own.index(w) - target))


def _affordable(network: str, task: Task, batch: int, predictor: CostPredictor) -> int:
    longest = STEP_SECONDS[predictor.device]
    for size in BATCHES:
        if size <= batch and predictor.step_seconds(network, task, size).mean <= longest:
            return size
    return min(batch, BATCHES[-1])
