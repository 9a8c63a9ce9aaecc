"""The run and the step that a command names, from the database or from the folder of the run.

A step needs the plan only, and the folder of a run has it. A process that must not open the database, or
cannot, therefore takes the run as its folder describes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from advisor.cost.pricing import EVALUATE
from advisor.errors import RunError, StorageError, UsageError
from advisor.plans.plan import Step
from advisor.plans.records import Run, RunStatus
from cli.workflows.home import Home
from cli.workflows.runs.lookup import existing_store, refuse_stage
from cli.workflows.runs.steps.mounts import is_on_network
from cli.workflows.views import Say
from db.checks.damage import DamagedRowError
from db.queries import Store
from db.schema import folder_of
from trainer.ensembles.ensemble import read_description

# Most steps that a message names.
MOST_NAMES = 40


@dataclass(frozen=True, slots=True)
class Found:
    """A run, and its database where it is open.

    Attributes:
        run: the run; as its folder describes it, it has its number, folder and plan only.
        store: database of the run; None where records are kept for later.
    """

    run: Run
    store: Store | None


@contextmanager
def found_run(home: Home, number: int, records_later: bool | None, say: Say) -> Iterator[Found]:
    """Give a run to execute a step of.

    Args:
        home: home of the run.
        number: number of the run.
        records_later: whether the database stays closed; None for yes if the home lies on a file system of a
            network, where several machines must not open it.
        say: receiver of the reason why records are stored later.

    Raises:
        UsageError: no such run, or a stage of a path.
        StorageError: its row is damaged, or neither the database nor the folder of the run can be read.
    """
    later = is_on_network(home.path) if records_later is None else records_later
    with ExitStack() as stack:
        found = None if later else _stored(home, number, stack, say)
        yield found or Found(described_run(home, number), None)


def _stored(home: Home, number: int, stack: ExitStack, say: Say) -> Found | None:
    """Return a run from the database; None if it cannot be read now."""
    try:
        store = stack.enter_context(existing_store(home))
        run = store.run(number)
    except DamagedRowError:
        raise
    except StorageError as error:
        # It may be locked for minutes, which ends no training.
        say(f"records are stored later: {error}")
        return None
    refuse_stage(run)
    return Found(run, store)


def described_run(home: Home, number: int) -> Run:
    """Return a run as its folder describes it.

    Args:
        home: home of the run.
        number: number of the run.

    Raises:
        UsageError: there is no such folder.
        StorageError: its description is missing or damaged.
    """
    folder = home.run_folder(folder_of(number))
    if not folder.is_dir():
        raise UsageError(f"there is no run {number}: `advisor runs list` shows those there are")
    try:
        plan = read_description(folder).plan
    except RunError:
        raise StorageError(
            f"run {number} has no description in {folder}: `advisor step {number} … --records-now`, which "
            "reads the database, writes one"
        ) from None
    return Run(
        id=number,
        created_at="",
        status=RunStatus.PLANNED,
        plan=plan,
        parameters=0,
        fingerprint="",
        folder=folder_of(number),
        forecast=None,
        train_seconds=0.0,
        test=None,
        message="",
    )


def step_named(run: Run, name: str) -> Step:
    """Return a step of a run's plan by its id.

    Raises:
        UsageError: the plan has no such step; the message lists those that it has.
    """
    for step in run.plan.steps:
        if step.id == name:
            return step
    names = [*(step.id for step in run.plan.steps), EVALUATE]
    listed = ", ".join(map(repr, names[:MOST_NAMES])) + ", …" * (len(names) > MOST_NAMES)
    raise UsageError(f"run {run.id} has no step {name!r:.80}: choose one of {listed}")
