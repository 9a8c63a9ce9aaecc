"""The ensemble by epoch: the mean error of its members, and on how many images they disagree.

A member that has ended stays as it was. So the ensemble has a point at every epoch that some member has, from
the one on at which the last member has its first, unless a member that still trains is behind.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from advisor.plans.records import Run
from cli.workflows.answers.run_curves import CurvePoint, EnsemblePoint
from cli.workflows.runs.watching.sample import even_sample
from db.queries import Store
from trainer.ensembles.metrics import disagreement
from trainer.training.stored_probabilities import Answers, unpack_answers

# Most epochs at which the ensemble is shown, and most packed probabilities that are read for it, which takes
# most of the time.
MOST_POINTS, MOST_UNPACKED = 400, 480


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


def ensemble_curve(
    store: Store, run: Run, members: Sequence[MemberCurve], *, disagreeing: bool
) -> tuple[EnsemblePoint, ...]:
    """Return the ensemble at every epoch that has one, or an even sample of them.

    Args:
        store: database of the run.
        run: the run.
        members: networks that compute its members and did not fail; at least one.
        disagreeing: whether the disagreement is computed.
    """
    epochs = even_sample(_common_epochs(members), MOST_POINTS)
    shares: dict[int, float | None] = {}
    if disagreeing and len(members) > 1 and all(member.members == 1 for member in members):
        sample = even_sample(epochs, max(MOST_UNPACKED // len(members), 2))
        shares = _disagreements(store, run, members, sample)
    return tuple(_point(epoch, members, shares.get(epoch)) for epoch in epochs)


def _common_epochs(members: Sequence[MemberCurve]) -> list[int]:
    first = max(member.points[0].epoch for member in members)
    last = min((m.points[-1].epoch for m in members if not m.ended), default=None)
    found = {point.epoch for member in members for point in member.points}
    return sorted(epoch for epoch in found if first <= epoch and (last is None or epoch <= last))


def _point(epoch: int, members: Sequence[MemberCurve], share: float | None) -> EnsemblePoint:
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
        validation_error=errors[0] if len(errors) == 1 else None,
        disagreement=share,
    )


def _disagreements(
    store: Store, run: Run, members: Sequence[MemberCurve], epochs: Sequence[int]
) -> dict[int, float | None]:
    """Return the disagreement of the members by epoch; None where a member stored no probabilities."""
    classes = run.plan.dataset.task.classes
    answers = [_answers(store, run.id, member, epochs, classes) for member in members]
    return {epoch: _disagreement([each[i] for each in answers]) for i, epoch in enumerate(epochs)}


def _answers(
    store: Store, number: int, member: MemberCurve, epochs: Sequence[int], classes: int
) -> list[Answers | None]:
    """Return the most probable classes of a member at epochs."""
    keys = [member.keys[member.at(epoch)] for epoch in epochs]
    unpacked: dict[tuple[str, int], Answers] = {}
    for step in {step for step, _ in keys}:
        wanted = {epoch for own, epoch in keys if own == step}
        for epoch, packed in store.probabilities(number, step, wanted).items():
            if packed:
                unpacked[step, epoch] = unpack_answers(packed, classes)
    return [unpacked.get(key) for key in keys]


def _disagreement(answers: Sequence[Answers | None]) -> float | None:
    known = [each for each in answers if each is not None]
    if len(known) < len(answers) or len({len(each) for each in known}) != 1:
        return None
    return disagreement(np.stack(known))
