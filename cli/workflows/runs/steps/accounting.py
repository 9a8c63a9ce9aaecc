"""What is known of the steps that processes of their own have executed: their time, and their machine.

Nodes of a cluster are machines as well (`cli.workflows.runs.cluster`).

Such steps need not run at the same time, or on one machine. The training time of the run is therefore that
of its steps on the slots of the plan (`advisor.cost.timeline`), as the forecast has it: waiting for a place
on a cluster does not count. What a person waited for beside them is not known.

Seconds of one machine are no evidence for another, so a run whose steps were executed elsewhere belongs to no
machine. Neither does one that was trained while its machine was busy (`cli.workflows.forecast.pace`): nothing
about the usual speed is learned from it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from advisor.cost.timeline import timeline_of
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import Run, StepStatus
from cli.workflows.locks import STEPS
from db.queries import Store

# Fingerprint of a run whose steps were executed on other machines than the one that planned it.
ELSEWHERE = "elsewhere"
# Beginning of the fingerprint of a run whose machine was busy; the digest of the machine follows.
DISTURBED = "disturbed-"
# Beginning of the name of an empty file that ends with the fingerprint of a machine.
MACHINE = "machine-"


def note_machine(step_folder: Path, digest: str) -> None:
    """Note in the folder of a network's steps on which machine one is executed.

    Args:
        step_folder: folder of the network's steps.
        digest: digest of the machine's fingerprint.
    """
    # Training goes on without it.
    with suppress(OSError):
        (step_folder / f"{MACHINE}{digest}").touch()


def with_seconds_of_steps(run: Run, store: Store, folder: Path) -> Run:
    """Return a run with the seconds of steps that processes of their own executed; others stay as they are.

    What was waited for beside these steps is not known.

    Args:
        run: the run.
        store: its database, which has all records.
        folder: folder of the run.

    Raises:
        StorageError: the database refuses.
    """
    if not (folder / STEPS).is_dir():
        return run
    keep_machines(
        run, store, {path.name.removeprefix(MACHINE) for path in (folder / STEPS).glob(f"*/{MACHINE}*")}
    )
    return replace(
        run, train_seconds=max(run.train_seconds, seconds_of_steps(run, store)), overhead_seconds=None
    )


def keep_machines(run: Run, store: Store, machines: Collection[str]) -> None:
    """Let a run belong to no machine if steps are executed on others than the one that planned it.

    Args:
        run: the run.
        store: its database.
        machines: digests of the fingerprints of the machines that execute steps.

    Raises:
        StorageError: the database refuses.
    """
    if set(machines) - {run.fingerprint}:
        belongs_elsewhere(run, store)


def belongs_elsewhere(run: Run, store: Store) -> None:
    """Let a run belong to no machine: nothing about the speed of one is learned from it.

    Raises:
        StorageError: the database refuses.
    """
    store.set_fingerprint(run.id, ELSEWHERE)


def was_disturbed(run: Run) -> bool:
    """Return whether a run was trained while its machine was busy."""
    return run.fingerprint.startswith(DISTURBED)


def machine_of(fingerprint: str) -> str:
    """Return the machine of a run, busy or not, by the fingerprint that the run is stored with."""
    return fingerprint.removeprefix(DISTURBED)


def mark_disturbed(run_id: int, store: Store, disturbed: bool) -> None:
    """Store whether a run is trained while its machine is busy.

    Args:
        run_id: number of the run.
        store: its database.
        disturbed: whether the machine is busy.

    Raises:
        StorageError: the database refuses.
    """
    machine = machine_of(store.run(run_id).fingerprint)
    if machine != ELSEWHERE:
        store.set_fingerprint(run_id, DISTURBED * disturbed + machine)


def seconds_of_steps(run: Run, store: Store) -> float:
    """Return the time that the steps of a run have taken so far on the slots of its plan, in seconds."""
    records = store.steps(run.id)
    seconds = store.epoch_seconds(run.id) | {record.step: record.seconds for record in records}
    done = {record.step for record in records if record.status is StepStatus.DONE}
    return makespan(run.plan, seconds, done)


def makespan(plan: TrainingPlan, seconds: Mapping[str, float], done: set[str]) -> float:
    """Return when the last step ends if steps start as soon as they can.

    Args:
        plan: the plan.
        seconds: seconds of steps so far, by id.
        done: ids of the steps that are done.
    """
    spans = timeline_of(plan, seconds, unfinished=seconds.keys() - done)
    return max((span.end for span in spans.values()), default=0.0)
