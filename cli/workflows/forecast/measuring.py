"""Measuring before advice: as long as the time asked for lasts, over all calls for one task.

`cli.workflows.forecast.measuring_session` says what is measured in which order.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from advisor.cost.measurement import Fingerprint, Measurement
from advisor.cost.parallel.nodes import NodeKind
from advisor.cost.predictor import CostPredictor
from advisor.designs.space import Candidate
from advisor.networks.architecture import family_of
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import Execution
from cli.workflows.forecast.machine import stored_measurements
from cli.workflows.forecast.measuring_session import MeasuringSession
from cli.workflows.views import Say
from db.queries import Store
from profiler.device import fingerprint

# A family with fewer measurements than this is measured even if the time was spent before.
LEAST_PER_FAMILY = 2
# Share of the time that must be left for another session. A session first starts a process and fits the
# predictor, so a shorter one would add little, and a repeated request should answer at once. Chosen, not
# measured.
WORTHWHILE = 0.5


@dataclass(frozen=True, slots=True)
class Profiled:
    """What measuring has led to.

    Attributes:
        predictor: predictor of cost, fitted to all measurements of this machine.
        execution: settings that measured fastest.
        fingerprint: machine under these settings.
        seconds: seconds that measuring and fitting took.
        new: number of new measurements.
        reused: number of measurements that were stored before.
        complete: whether the same call would measure nothing more.
        cluster: nodes that plans are priced for, by their kinds; none for this machine.
    """

    predictor: CostPredictor
    execution: Execution
    fingerprint: Fingerprint
    seconds: float
    new: int
    reused: int
    complete: bool = False
    cluster: tuple[NodeKind, ...] = ()


def profile_candidates(
    store: Store,
    candidates: Sequence[Candidate],
    facts: DatasetFacts,
    *,
    batch: int,
    device: str,
    seconds: float,
    say: Say,
) -> Profiled:
    """Measure where predictions are least certain, for at most `seconds` over this and earlier calls.

    Args:
        store: database that measurements are read from and added to.
        candidates: designs of the request.
        facts: data set of the request.
        batch: images in a step.
        device: ``cpu`` or ``cuda``.
        seconds: seconds of measuring that a task may cost on this machine, all calls together.
        say: receiver of progress messages.
    """
    began = time.perf_counter()
    augmentation = facts.augmentation.key
    known = stored_measurements(store, device, augmentation)
    reused = sum(not m.given_up for m in known)
    families = sorted({c.family for c in candidates})
    own = [m for m in known if m.task == facts.task and m.fingerprint.augmentation == augmentation]
    left = seconds_left(own, families, seconds)
    session = MeasuringSession(store, facts, device, known, say)
    if left > 0:
        session.run(candidates, batch, began, left)
    measured = [m for m in known if not m.given_up]
    new = len(measured) - reused
    own = [m for m in known if m.task == facts.task and m.fingerprint.augmentation == augmentation]
    return Profiled(
        predictor=session.predictor or session.fitted(),
        execution=session.execution,
        fingerprint=fingerprint(session.execution, augmentation),
        seconds=time.perf_counter() - began,
        new=new,
        reused=reused,
        complete=not new or seconds_left(own, families, seconds) == 0,
    )


def seconds_left(known: list[Measurement], families: list[str], seconds: float) -> float:
    """Return the seconds that may still be spent: all of them while a family has hardly any measurements.

    Args:
        known: measurements of the task on this machine.
        families: families of the candidates.
        seconds: seconds that the task may cost in all.
    """
    counts = dict.fromkeys(families, 0)
    # Measurements that were given up count as well: they would hardly succeed the next time.
    for m in known:
        family = family_of(m.network)
        if family in counts:
            counts[family] += 1
    if min(counts.values(), default=0) < LEAST_PER_FAMILY:
        return seconds
    left = seconds - sum(m.spent_seconds for m in known)
    return left if left > WORTHWHILE * seconds else 0.0
