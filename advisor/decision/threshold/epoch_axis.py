"""The two readings of a number of epochs, and the predicted errors of each.

A number of epochs may be the length of a whole schedule, or one epoch of a long schedule whose learning rate
has not fallen yet. The errors of one reading cannot be computed from those of the other, so each reading is
an `ErrorSource` of its own, and the two are never mixed.

Under either reading a point has the designs that are best there. A training that stops at an epoch of a long
schedule is compared with the best rival that stops there too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from advisor.accuracy.cases import progress, relative_rates
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.threshold.error_source import DataErrors, ErrorSource, Point, ScheduleReading
from advisor.errors import InfeasibleError, UsageError, lookup
from advisor.estimate import Floats
from advisor.networks.architecture import RegularShape
from advisor.networks.layers import Task


@dataclass(frozen=True, slots=True)
class WholeSchedules:
    """Errors at the end of whole schedules.

    Attributes:
        predictor: accuracy predictor.
        dataset: name that errors on the data are learned under.
        task: input shape and classes.
    """

    predictor: AccuracyPredictor
    dataset: str
    task: Task

    @property
    def reading(self) -> ScheduleReading:
        """The reading of the epochs."""
        return ScheduleReading.WHOLE

    @property
    def last_epoch(self) -> int | None:
        """None, because whole schedules may have any length."""
        return None

    def errors(
        self, networks: Sequence[RegularShape], members: int, clusters: int, points: Sequence[Point]
    ) -> Floats:
        """Return draws of the errors of ensembles, shape (draws, networks, points)."""
        errors = DataErrors(self.predictor, self.dataset, self.task)
        if clusters < members:
            return errors.hatched(networks, members, clusters, points)
        shares = [point.image_share for point in points]
        return errors.independent(networks, members, [point.epochs for point in points], shares)

    def probability_below(self, errors: Floats, reference: Floats, members: int, clusters: int) -> float:
        """Return the probability that an ensemble trained once has less error than a single network."""
        own = DataErrors(self.predictor, self.dataset, self.task)
        return own.probability_below(errors, reference, members, clusters)


@dataclass(frozen=True, slots=True)
class OneLongSchedule:
    """Errors at the epochs of one long schedule.

    Attributes:
        predictor: accuracy predictor.
        dataset: name that errors on the data are learned under.
        task: input shape and classes.
        family: family whose schedule it is.
        epochs: length of the schedule.
    """

    predictor: AccuracyPredictor
    dataset: str
    task: Task
    family: str
    epochs: int

    @property
    def reading(self) -> ScheduleReading:
        """The reading of the epochs."""
        return ScheduleReading.LONG

    @property
    def last_epoch(self) -> int | None:
        """Length of the schedule."""
        return self.epochs

    def errors(
        self, networks: Sequence[RegularShape], members: int, clusters: int, points: Sequence[Point]
    ) -> Floats:
        """Return draws of the errors of ensembles, shape (draws, networks, points).

        Raises:
            UsageError: the members are hatched, or a number of epochs is beyond the end of the schedule.
        """
        if clusters < members:
            raise UsageError(
                "hatched members have no epochs of one long schedule: their mother has the first"
            )
        last = max(point.epochs for point in points)
        if last > self.epochs:
            raise UsageError(f"the long schedule has {self.epochs} epochs, got {last}")
        of_schedule = self.family, self.epochs, self.dataset
        rates, completed = relative_rates(*of_schedule), progress(*of_schedule)
        return DataErrors(self.predictor, self.dataset, self.task).independent(
            networks,
            members,
            # The length of a whole schedule that makes the same progress.
            [self.epochs * completed[point.epochs - 1] for point in points],
            [point.image_share for point in points],
            relative_rate=[rates[point.epochs - 1] for point in points],
            final_relative_rate=rates[-1],
        )

    def probability_below(self, errors: Floats, reference: Floats, members: int, clusters: int) -> float:
        """Return the probability that an ensemble trained once has less error than a single network."""
        own = DataErrors(self.predictor, self.dataset, self.task)
        return own.probability_below(errors, reference, members, clusters)


def source_of(
    reading: str,
    predictor: AccuracyPredictor,
    dataset: str,
    task: Task,
    *,
    family: str,
    epochs: int,
    curves: int,
) -> ErrorSource:
    """Return the error source of a reading.

    Args:
        reading: name of the reading.
        predictor: accuracy predictor.
        dataset: name that errors on the data are learned under.
        task: input shape and classes.
        family: family of all designs.
        epochs: length of the long schedule.
        curves: number of learning curves that the predictor has learned from, on any data.

    Raises:
        UnknownNameError: there is no such reading.
        InfeasibleError: the reading needs learning curves, and there are none.
    """
    if lookup("reading", reading, ScheduleReading) is ScheduleReading.WHOLE:
        return WholeSchedules(predictor, dataset, task)
    if not curves:
        raise InfeasibleError(
            "no learning curves are known, so epochs cannot be read off one long schedule: use "
            f"--reading whole, or train {dataset} once (advisor probe, advisor train)"
        )
    return OneLongSchedule(predictor, dataset, task, family, epochs)
