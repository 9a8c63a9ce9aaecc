"""What to measure next: the workpiece whose step time is known least.

The pool spans the candidates of a request: of every family, networks spread over their multiply-adds,
each at the largest batch whose step is expected to stay within `STEP_SECONDS`. Large designs on slow
machines are thus measured at small batches, the batch being a feature of the predictor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from advisor.cost import CostPredictor, Workpiece
from advisor.layers import Task
from advisor.measurement import Measurement
from advisor.space import Candidate

STEP_SECONDS = 0.4
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


def next_measurement(
    pool: Sequence[Wanted], measured: Sequence[Measurement], task: Task, predictor: CostPredictor
) -> Wanted | None:
    """Return the member of the pool whose step time is most uncertain, or None if all are measured.

    Until the predictor knows its own spread, families take turns and sizes go from the ends inwards.
    """
    done = {(m.network, m.batch) for m in measured if m.task == task and m.processes == 1}
    left = [wanted for wanted in pool if (wanted.network, wanted.batch) not in done]
    if not left:
        return None
    if predictor.basis != "measurements":
        return _first_look(left, pool, [m for m in measured if m.task == task])
    spreads = predictor.spreads([Workpiece.of(w.network, task, w.batch) for w in left])
    return left[int(np.argmax(spreads))]


def _first_look(left: list[Wanted], pool: Sequence[Wanted], measured: Sequence[Measurement]) -> Wanted:
    seen: dict[str, int] = {}
    for m in measured:
        family = m.network.split("-")[0]
        seen[family] = seen.get(family, 0) + 1
    family = min((w.network.split("-")[0] for w in left), key=lambda name: (seen.get(name, 0), name))
    own = [w for w in pool if w.network.startswith(f"{family}-")]
    # Small, large, middle, and then whatever is left.
    order = [0.1, 0.9, 0.5, 0.3, 0.7]
    target = order[seen.get(family, 0) % len(order)] * (len(own) - 1)
    return min((w for w in left if w in own), key=lambda w: abs(own.index(w) - target))


def _affordable(network: str, task: Task, batch: int, predictor: CostPredictor) -> int:
    for size in BATCHES:
        if size <= batch and predictor.step_seconds(network, task, size).mean <= STEP_SECONDS:
            return size
    return min(batch, BATCHES[-1])
