"""The ensemble by epoch: its own error, the mean error of its members, and on how many images they disagree.

A member that has ended stays as it was. So the ensemble has a point at every epoch that some member has, from
the one on at which the last member has its first, unless a member that still trains is behind.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advisor.plans.records import Run
from cli.workflows.answers.runs.curves import CurvePoint, EnsemblePoint
from cli.workflows.runs.watching.sample import even_sample
from db.conversion.validation_classes import Classes
from db.queries import Store
from trainer.ensembles.metrics import disagreement
from trainer.training.stored_probabilities import Levels, unpack_levels

# Most epochs at which the ensemble is shown. Reading packed probabilities takes most of the time: most of
# them, and most bytes.
MOST_POINTS, MOST_UNPACKED, MOST_BYTES = 400, 480, 2**28


@dataclass(frozen=True, slots=True)
class MemberCurve:
    """A network that computes members, and where its epochs are stored.

    Attributes:
        points: its epochs so far, in order, at least one.
        keys: step and number within it of each of them.
        ended: whether no further one will come.
        members: number of members that it computes.
    """

    points: Sequence[CurvePoint]
    keys: Sequence[tuple[str, int]]
    ended: bool
    members: int

    def at(self, epoch: int) -> int:
        """Return the index of the newest point at an epoch."""
        return bisect_right(self.points, epoch, key=lambda point: point.epoch) - 1


@dataclass(frozen=True, slots=True)
class Together:
    """What the probabilities of all members give at an epoch; attributes as in `EnsemblePoint`."""

    validation_error: float | None = None
    disagreement: float | None = None


def ensemble_curve(
    store: Store, run: Run, members: Sequence[MemberCurve], *, probabilities: bool
) -> tuple[EnsemblePoint, ...]:
    """Return the ensemble at every epoch that has one, or an even sample of them.

    Args:
        store: database of the run.
        run: the run.
        members: networks that compute its members and did not fail; at least one.
        probabilities: whether what needs the probabilities of several networks is computed.
    """
    epochs = even_sample(_common_epochs(members), MOST_POINTS)
    found: dict[int, Together] = {}
    if probabilities and len(members) > 1:
        task = run.plan.dataset
        size = max(task.validation_images * task.task.classes, 1)
        sample = even_sample(epochs, max(min(MOST_UNPACKED, MOST_BYTES // size) // len(members), 2))
        true = store.validation_classes(run.id)
        found = {epoch: _together(store, run, members, epoch, true) for epoch in sample}
    return tuple(_point(epoch, members, found.get(epoch, Together())) for epoch in epochs)


def _common_epochs(members: Sequence[MemberCurve]) -> list[int]:
    first = max(member.points[0].epoch for member in members)
    last = min((m.points[-1].epoch for m in members if not m.ended), default=None)
    found = {point.epoch for member in members for point in member.points}
    return sorted(epoch for epoch in found if first <= epoch and (last is None or epoch <= last))


def _point(epoch: int, members: Sequence[MemberCurve], together: Together) -> EnsemblePoint:
    errors = [member.points[member.at(epoch)].validation_error for member in members]
    known = [error for error in errors if error is not None]
    return EnsemblePoint(
        epoch=epoch,
        # The error of a joint network is that of the average of its members.
        mean_member_error=(
            float(np.mean(known))
            if len(known) == len(errors) and all(member.members == 1 for member in members)
            else None
        ),
        validation_error=errors[0] if len(errors) == 1 else together.validation_error,
        disagreement=together.disagreement,
    )


def _together(
    store: Store, run: Run, members: Sequence[MemberCurve], epoch: int, true: Classes | None
) -> Together:
    """Return what the members give together; nothing where one of them stored no probabilities."""
    answers: list[NDArray[np.int64]] = []
    total: NDArray[np.int64] | None = None
    for member in members:
        levels = _levels(store, run, member, epoch)
        if levels is None or (answers and len(levels) != len(answers[0])):
            return Together()
        answers.append(levels.argmax(axis=1))
        share = levels.astype(np.int64) * member.members
        total = share if total is None else total + share
    assert total is not None
    comparable = true is not None and len(true) == len(total)
    return Together(
        validation_error=float((total.argmax(axis=1) != true).mean()) if comparable else None,
        disagreement=disagreement(np.stack(answers)) if all(m.members == 1 for m in members) else None,
    )


def _levels(store: Store, run: Run, member: MemberCurve, epoch: int) -> Levels | None:
    """Return the probabilities of a member at an epoch, or at its last one before."""
    step, own = member.keys[member.at(epoch)]
    packed = store.probabilities(run.id, step, [own]).get(own)
    return unpack_levels(packed, run.plan.dataset.task.classes) if packed else None
