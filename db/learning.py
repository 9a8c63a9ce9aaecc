"""What predictors learn from runs: learning curves and seconds of epochs.

Only the columns that they need are read, not the large probabilities.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sqlalchemy import Executable, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from advisor.errors import AdvisorError
from advisor.names import check_step
from advisor.plans.records import RunStatus
from db.checks.damage import check_amount, check_share, check_value, damaged, leave_out
from db.models import EpochRow, RunRow

# Most ids in one statement; SQLite before 3.32 takes at most 999 values.
MOST_IDS = 900


def curves_of(
    session: Session, path: Path, run_ids: Sequence[int]
) -> dict[int, dict[str, tuple[float, ...]]]:
    """Return validation errors by run and network; networks that lack an epoch are left out.

    Args:
        session: session to read with.
        path: path of the database, for the log.
        run_ids: numbers of the wanted runs.
    """
    return _errors_of(session, path, run_ids, EpochRow.validation_error, by_step=False)


def train_errors_of(
    session: Session, path: Path, run_ids: Sequence[int]
) -> dict[int, dict[str, tuple[float, ...]]]:
    """Return training errors by run and step; steps that lack an epoch are left out.

    Args:
        session: session to read with.
        path: path of the database, for the log.
        run_ids: numbers of the wanted runs.
    """
    return _errors_of(session, path, run_ids, EpochRow.train_error, by_step=True)


def _errors_of(
    session: Session,
    path: Path,
    run_ids: Sequence[int],
    column: InstrumentedAttribute[float],
    *,
    by_step: bool,
) -> dict[int, dict[str, tuple[float, ...]]]:
    """Return one error of every epoch, by run and then by step or network."""
    # A resumed run may store an epoch again, but the first epoch of a step keeps its id.
    began = func.min(EpochRow.id).over(partition_by=(EpochRow.run_id, EpochRow.step))
    found: dict[int, dict[str, list[float]]] = {run_id: defaultdict(list) for run_id in run_ids}
    next_epoch: dict[tuple[int, str], int] = defaultdict(int)
    incomplete: set[tuple[int, str]] = set()
    ids = list(found)
    for first in range(0, len(ids), MOST_IDS):
        query = (
            select(
                EpochRow.id,
                EpochRow.run_id,
                EpochRow.step,
                EpochRow.network,
                EpochRow.epoch,
                column,
            )
            .where(EpochRow.run_id.in_(ids[first : first + MOST_IDS]))
            .order_by(EpochRow.run_id, began, EpochRow.epoch)
        )
        for run_id, step, network, epoch, error in _sound(session, path, query, check_share):
            # Epochs may be missing after a full disk or a killed process; resuming does not report them
            # again.
            name = step if by_step else network
            if epoch != next_epoch[run_id, step]:
                incomplete.add((run_id, name))
            next_epoch[run_id, step] = epoch + 1
            found[run_id][name].append(error)
    return {
        run_id: {name: tuple(errors) for name, errors in networks.items() if (run_id, name) not in incomplete}
        for run_id, networks in found.items()
    }


def seconds_of_epochs(session: Session, path: Path, fingerprint: str) -> dict[int, dict[str, list[float]]]:
    """Return the seconds of epochs in their order, by run and step, of the runs that show a machine's speed.

    Runs that failed or diverged are left out, because whatever disturbed them may have slowed them down. A
    run that is still going on has not reached its usual speed. A step without its first epoch was trained in
    another run and is counted there.

    Args:
        session: session to read with.
        path: path of the database, for the log.
        fingerprint: digest of the machine of the wanted runs.
    """
    typical = (RunStatus.DONE, RunStatus.PARTIAL, RunStatus.INTERRUPTED, RunStatus.DEADLINE)
    query = (
        # The columns of an index, which has no name of the network.
        select(EpochRow.id, EpochRow.run_id, EpochRow.step, EpochRow.epoch, EpochRow.seconds)
        .join(RunRow)
        .where(RunRow.fingerprint == fingerprint, RunRow.status.in_(typical))
        .order_by(EpochRow.run_id, EpochRow.step, EpochRow.epoch)
    )
    found: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run_id, step, _, epoch, seconds in _sound(session, path, query, check_amount):
        if epoch == 0 or step in found[run_id]:
            found[run_id][step].append(seconds)
    return found


Check = Callable[[str, float], None]


def _sound(
    session: Session, path: Path, query: Executable, check: Check
) -> Iterator[tuple[int, str, str, int, float]]:
    """Yield run, step, network, epoch and a figure of every row, without the damaged ones.

    Without a name of the network, the step stands in its place.

    Args:
        session: session to read with.
        path: path of the database, for the log.
        query: query for these columns, after the number of the row.
        check: rule of the figure.
    """
    for number, run_id, step, *network, epoch, figure in session.execute(query):
        try:
            for name in (step, *network):
                check_value("name", name, str, False)
                check_step(name)
            check_value("epoch", epoch, int, False)
            check_value("figure", figure, float, False)
            check_amount("epoch", epoch)
            check("figure", figure)
        except (ValueError, AdvisorError) as error:
            leave_out(path, damaged(EpochRow.__tablename__, number, error))
        else:
            yield run_id, step, network[0] if network else step, epoch, figure
