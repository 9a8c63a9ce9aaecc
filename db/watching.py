"""What is shown of a run while another process trains it: its epochs without their large probabilities."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from advisor.errors import AdvisorError
from advisor.names import check_name, check_step
from advisor.plans.records import EpochFigures
from db.checks.damage import check_amount, check_share, check_value, damaged
from db.models import EpochRow


def epoch_figures_of(session: Session, run_id: int) -> list[EpochFigures]:
    """Return the figures of the epochs of a run in the order of steps and epochs.

    Args:
        session: session to read with.
        run_id: number of the run.

    Raises:
        DamagedRowError: a name or a figure breaks a rule.
    """
    # In a row, seconds follow the probabilities: they are read from an index. The other columns come before.
    own = EpochRow.run_id == run_id
    timed = session.execute(select(EpochRow.step, EpochRow.epoch, EpochRow.seconds).where(own))
    seconds = {(step, epoch): value for step, epoch, value in timed}
    query = select(
        EpochRow.id,
        EpochRow.step,
        EpochRow.network,
        EpochRow.epoch,
        EpochRow.train_error,
        EpochRow.validation_error,
    )
    rows = session.execute(query.where(own).order_by(EpochRow.step, EpochRow.epoch))
    return [
        _checked(number, EpochFigures(step, network, epoch, trained, validated, seconds[step, epoch]))
        for number, step, network, epoch, trained, validated in rows
        # An epoch may be stored between both queries.
        if (step, epoch) in seconds
    ]


def _checked(number: int, figures: EpochFigures) -> EpochFigures:
    try:
        check_value("epoch", figures.epoch, int, False)
        check_value("step", figures.step, str, False)
        check_value("network", figures.network, str, False)
        check_step(figures.step)
        check_name("network", figures.network)
        check_value("seconds", figures.seconds, float, False)
        for name in ("epoch", "seconds"):
            check_amount(name, getattr(figures, name))
        for name in ("train_error", "validation_error"):
            check_value(name, getattr(figures, name), float, False)
            check_share(name, getattr(figures, name))
    except (ValueError, AdvisorError) as error:
        raise damaged(EpochRow.__tablename__, number, error) from error
    return figures


def probabilities_of(session: Session, run_id: int, step: str, epochs: Collection[int]) -> dict[int, bytes]:
    """Return the packed validation probabilities of some epochs of a step, by epoch.

    Args:
        session: session to read with.
        run_id: number of the run.
        step: id of the step.
        epochs: numbers of the epochs within the step.
    """
    query = select(EpochRow.epoch, EpochRow.validation_probabilities).where(
        EpochRow.run_id == run_id, EpochRow.step == step, EpochRow.epoch.in_(list(epochs))
    )
    return {epoch: packed for epoch, packed in session.execute(query)}
