"""Measuring before advice: as long as the time asked for lasts, over all calls for one task.

`cli.workflows.forecast.measuring_session` says what is measured in which order.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from advisor.cost.measurement import Fingerprint, Measurement
from advisor.cost.parallel.nodes import NodeKind
from advisor.cost.predictor import CostPredictor
from advisor.cost.reference import references
from advisor.designs.space import Candidate
from advisor.networks.architecture import family_of
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import Execution
from cli.workflows.forecast.machine import stored_measurements
from cli.workflows.forecast.measuring_session import MeasuringSession
from cli.workflows.forecast.pace import UsualPace, say_if_busy
from cli.workflows.views import Say
from db.queries import Store
from profiler.device import fingerprint

# A family with fewer measurements than this is measured even if the time was spent before.
LEAST_PER_FAMILY = 2
# Share of the time that must be left for another session. A session first starts a process and fits the
# predictor, so a shorter one would add little, and a repeated request should answer at once. Chosen, not
# measured.
WORTHWHILE = 0.5
# Option that measures again what was measured on a busy machine.
REMEASURE = "`recommend --remeasure`"


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
        busy: whether the machine was busy when measuring began, which was said.
        usual: usual pace of the machine by all measurements; None where it is not known.
        cluster: nodes that plans are priced for, by their kinds; none for this machine.
    """

    predictor: CostPredictor
    execution: Execution
    fingerprint: Fingerprint
    seconds: float
    new: int
    reused: int
    complete: bool = False
    busy: bool = False
    usual: UsualPace | None = None
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
    remeasure: bool = False,
) -> Profiled:
    """Measure where predictions are least certain, for at most `seconds` over this and earlier calls.

    Measuring again takes as many seconds as all earlier calls together. What was measured before is deleted
    when that has ended, because the predictor would be fitted to a busy machine as well. If it is
    interrupted, or measures too little, the earlier measurements stay.

    Args:
        store: database that measurements are read from and added to.
        candidates: designs of the request.
        facts: data set of the request.
        batch: images in a step.
        device: ``cpu`` or ``cuda``.
        seconds: seconds of measuring that a task may cost on this machine, all calls together.
        say: receiver of progress messages.
        remeasure: whether the families of the candidates are measured again for this task.
    """
    began = time.perf_counter()
    augmentation = facts.augmentation.key
    known = stored_measurements(store, device, augmentation)
    families = sorted({c.family for c in candidates})
    usual, measured_before = UsualPace.among(known), partial(_is_to_measure, facts=facts, families=families)
    earlier = [m for m in known if remeasure and measured_before(m)]
    known = [m for m in known if not (remeasure and measured_before(m))]
    reused = sum(not m.given_up for m in known)
    own = [m for m in known if m.task == facts.task and m.fingerprint.augmentation == augmentation]
    left = seconds_left(own, families, seconds)
    session = MeasuringSession(store, facts, device, known, say)
    busy = left > 0 and say_if_busy(usual, 1, REMEASURE, say)
    if left > 0:
        session.run(candidates, batch, began, left)
    measured = [m for m in known if not m.given_up]
    new = len(measured) - reused
    again = [m for m in measured if measured_before(m)]
    if earlier and not _replaced(earlier, again, families, store, say):
        known += earlier
        session.predictor = session.fitted()
    own = [m for m in known if m.task == facts.task and m.fingerprint.augmentation == augmentation]
    return Profiled(
        predictor=session.predictor or session.fitted(),
        execution=session.execution,
        fingerprint=fingerprint(session.execution, augmentation),
        seconds=time.perf_counter() - began,
        new=new,
        reused=reused,
        complete=not new or seconds_left(own, families, seconds) == 0,
        busy=busy,
        usual=usual or UsualPace.among(known),
    )


def _is_to_measure(m: Measurement, facts: DatasetFacts, families: Sequence[str]) -> bool:
    """Return whether measuring again for a task and families replaces a measurement."""
    same = m.task == facts.task and m.fingerprint.augmentation == facts.augmentation.key
    reference = any(m.network == each.network for each in references(facts.task))
    return same and (reference or family_of(m.network) in families)


def _replaced(
    earlier: Sequence[Measurement],
    again: list[Measurement],
    families: Sequence[str],
    store: Store,
    say: Say,
) -> bool:
    """Delete earlier measurements if there are enough new ones in their place; return whether there are.

    Args:
        earlier: measurements from before this call.
        again: new ones of the same families and task.
        families: families of the candidates.
        store: database with both.
        say: receiver of one line.
    """
    if _fewest(again, families) < LEAST_PER_FAMILY:
        say(f"{len(earlier)} earlier measurements stay, for want of new ones: raise --profile-seconds")
        return False
    store.delete_measurements(earlier)
    say(f"{len(again)} new measurements are in the place of {len(earlier)} earlier ones")
    return True


def _fewest(known: Sequence[Measurement], families: Sequence[str]) -> int:
    """Return the number of measurements of the family that has the fewest.

    Those that were given up count as well: they would hardly succeed the next time.
    """
    counts = Counter(family_of(m.network) for m in known)
    return min((counts[family] for family in families), default=0)


def seconds_left(known: list[Measurement], families: list[str], seconds: float) -> float:
    """Return the seconds that may still be spent: all of them while a family has hardly any measurements.

    Args:
        known: measurements of the task on this machine.
        families: families of the candidates.
        seconds: seconds that the task may cost in all.
    """
    if _fewest(known, families) < LEAST_PER_FAMILY:
        return seconds
    left = seconds - sum(m.spent_seconds for m in known)
    return left if left > WORTHWHILE * seconds else 0.0
