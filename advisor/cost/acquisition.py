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
networks are measured at small batches on slow machines; the batch is a feature of the predictor. It also has
to fit into the memory and time of the session (`Room`), both predicted before anything is started. Where
hardly any network of a family does, narrower and shallower ones stand in.

Source: active learning by expected variance reduction (Cohn, Ghahramani and Jordan 1996).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from advisor.cost.features import features_of
from advisor.cost.measurement import Measurement
from advisor.cost.predictor import CostPredictor
from advisor.cost.step_cost import Workpiece
from advisor.designs.space import Candidate
from advisor.networks.architecture import family_of, parse_network
from advisor.networks.families import family_named
from advisor.networks.layers import Task

STEP_SECONDS = {"cpu": 0.4, "cuda": 0.05}
# Time after which a measurement ends, once it has its least number of repetitions.
MEASUREMENT_SECONDS = 1.0
# Time of the least repetitions of `profiler.steps`, in training steps; a pass of inference counts as a third.
# On a CPU these are 2 steps to warm up, 3 whole ones and 3 timed by layers, then 1, 3 and 3 passes; on CUDA
# 10, 30 and 15 steps, then 5, 30 and 15 passes.
LEAST_STEPS = {"cpu": 10, "cuda": 72}
BATCHES = (256, 128, 64, 32, 16, 8, 4, 2)
NETWORKS_PER_FAMILY = 24
# Fewest networks of a family that can be measured; with fewer, smaller ones stand in.
LEAST_NETWORKS = 3


@dataclass(frozen=True, slots=True, order=True)
class Wanted:
    """A network and the batch that it would be measured at."""

    network: str
    batch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a single measurement may take.

    Attributes:
        bytes: memory beyond an idle process.
        seconds: time.
        refused: measurements that were tried and given up; larger batches of their networks are out too.
    """

    bytes: float = float("inf")
    seconds: float = float("inf")
    refused: Collection[Wanted] = ()

    def holds(self, wanted: Wanted, task: Task, predictor: CostPredictor) -> bool:
        """Return whether a measurement is expected to fit."""
        return (
            not any(r.network == wanted.network and r.batch <= wanted.batch for r in self.refused)
            and measurement_seconds(wanted, task, predictor) <= self.seconds
            and self.holds_memory(wanted, task, predictor)
        )

    def holds_memory(self, wanted: Wanted, task: Task, predictor: CostPredictor) -> bool:
        """Return whether the memory of a measurement is expected to fit."""
        peak = predictor.training_peak_bytes(wanted.network, task, wanted.batch)
        return self.bytes == float("inf") or peak.mean <= self.bytes


UNLIMITED = Room()


def measurement_pool(
    candidates: Iterable[Candidate], task: Task, batch: int, predictor: CostPredictor, room: Room = UNLIMITED
) -> list[Wanted]:
    """Return the pool of possible measurements, evenly over families and sizes.

    Args:
        candidates: designs of the request.
        task: images and classes.
        batch: batch of the request; larger batches are not measured.
        predictor: predictor so far, which estimates the time and the memory of a step.
        room: memory and time for a measurement.
    """
    by_family: dict[str, dict[str, float]] = {}
    for c in candidates:
        by_family.setdefault(c.family, {})[f"{c.family}-{c.depth}-{c.width}"] = c.macs / c.members
    pool = []
    for sizes in by_family.values():
        names = sorted(sizes, key=sizes.__getitem__)
        pool += _pool_of_family(names, task, batch, predictor, room)
    return pool


def _pool_of_family(
    names: list[str], task: Task, batch: int, predictor: CostPredictor, room: Room
) -> list[Wanted]:
    """Return the pool of one family, whose names are in the order of their multiply-adds."""

    def affordable(networks: Iterable[str]) -> Iterator[Wanted]:
        found = (_affordable(network, task, batch, predictor, room) for network in networks)
        return (wanted for wanted in found if wanted is not None)

    even = np.unique(np.linspace(0, len(names) - 1, NETWORKS_PER_FAMILY).round().astype(int))
    found = list(affordable(names[i] for i in even))
    if len(found) < LEAST_NETWORKS:
        found = list(affordable(names[:NETWORKS_PER_FAMILY]))
    if len(found) < LEAST_NETWORKS:
        unfit = [name for name in names[:LEAST_NETWORKS] if name not in {w.network for w in found}]
        stand_ins = (next(affordable(smaller_networks(name)), None) for name in unfit)
        found += [w for w in dict.fromkeys(stand_ins) if w is not None]
    return found


def smaller_networks(network: str) -> Iterator[str]:
    """Yield ever smaller regular networks of the same family: first half as wide each, then less deep."""
    spec = parse_network(network)
    family, width = family_named(spec.family), spec.width
    depths = [depth for depth in family.valid_depths(spec.depth) if depth < spec.depth]
    while width // 2 >= family.minimum_width:
        width //= 2
        yield f"{spec.family}-{spec.depth}-{width}"
    while depths:
        depth = depths[len(depths) // 2]
        depths = [d for d in depths if d < depth]
        yield f"{spec.family}-{depth}-{width}"


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


def _affordable(network: str, task: Task, batch: int, predictor: CostPredictor, room: Room) -> Wanted | None:
    """Return a network at the largest batch whose step is expected to be short enough to be measured.

    None is returned where not even the smallest batch fits into the room.
    """
    longest = STEP_SECONDS[predictor.device]
    for size in BATCHES:
        wanted = Wanted(network, size)
        short = size <= batch and predictor.step_seconds(network, task, size).mean <= longest
        if short and room.holds(wanted, task, predictor):
            return wanted
    smallest = Wanted(network, min(batch, BATCHES[-1]))
    return smallest if room.holds(smallest, task, predictor) else None
