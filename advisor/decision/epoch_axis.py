"""The two readings of an epoch axis, and the predicted errors of each.

A number of epochs may be the length of a whole schedule, or one epoch of a long schedule whose learning rate
has not fallen yet. The errors of one reading cannot be computed from those of the other, so each reading is
an `ErrorSource` of its own, and the two are never mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from advisor.accuracy.cases import progress, relative_rates
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.designs.design import homogeneous
from advisor.errors import InfeasibleError, UsageError, lookup
from advisor.estimate import Floats
from advisor.networks.architecture import NetworkSpec, regular_network
from advisor.networks.layers import Task
from advisor.networks.regular_counts import DEPTH_LIMIT, regular_counts


class ScheduleReading(StrEnum):
    """The meaning of a number of epochs on the axis.

    ``whole``: a training whose schedule has that length, including its drops of the learning rate ("More or
    Less", figure K). ``long``: that epoch of one long training; errors are higher before its drops (the heat
    maps of the paper).
    """

    WHOLE = "whole"
    LONG = "long"


class ErrorSource(Protocol):
    """Predicted test errors under one reading of the epoch axis."""

    @property
    def reading(self) -> ScheduleReading:
        """The reading of the epoch axis."""

    @property
    def last_epoch(self) -> int | None:
        """Length of the long schedule; None where any number of epochs is possible."""

    @property
    def task(self) -> Task:
        """Input shape and classes."""

    def errors(
        self, networks: Sequence[NetworkSpec], members: int, clusters: int, epochs: Sequence[int]
    ) -> Floats:
        """Return draws of the errors of ensembles, shape (draws, networks, epochs).

        Args:
            networks: member of each ensemble, all of one family.
            members: number of members of each ensemble; 1 for single networks.
            clusters: number of clusters; that of the members for independent training.
            epochs: numbers of epochs.
        """

    def probability_below(self, errors: Floats, reference: Floats, members: int, clusters: int) -> float:
        """Return the probability that an ensemble trained once has less error than a single network.

        Args:
            errors: draws of the ensemble's error, shape (draws,).
            reference: draws of the single network's error, shape (draws,).
            members: number of members of the ensemble.
            clusters: number of clusters of the ensemble.
        """


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
        """The reading of the epoch axis."""
        return ScheduleReading.WHOLE

    @property
    def last_epoch(self) -> int | None:
        """None, because whole schedules may have any length."""
        return None

    def errors(
        self, networks: Sequence[NetworkSpec], members: int, clusters: int, epochs: Sequence[int]
    ) -> Floats:
        """Return draws of the errors of ensembles, shape (draws, networks, epochs)."""
        if clusters < members:
            designs = [homogeneous(network, members, clusters) for network in networks]
            columns = [self.predictor.sample_errors(designs, self.dataset, self.task, e) for e in epochs]
            return np.stack(columns, axis=2)
        return _independent(self.predictor, self.dataset, self.task, networks, members, epochs)

    def probability_below(self, errors: Floats, reference: Floats, members: int, clusters: int) -> float:
        """Return the probability that an ensemble trained once has less error than a single network."""
        return _probability_below(self.predictor, self.dataset, errors, reference, members, clusters)


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
        """The reading of the epoch axis."""
        return ScheduleReading.LONG

    @property
    def last_epoch(self) -> int | None:
        """Length of the schedule."""
        return self.epochs

    def errors(
        self, networks: Sequence[NetworkSpec], members: int, clusters: int, epochs: Sequence[int]
    ) -> Floats:
        """Return draws of the errors of ensembles, shape (draws, networks, epochs).

        Raises:
            UsageError: the members are hatched, or a number of epochs is beyond the end of the schedule.
        """
        if clusters < members:
            raise UsageError(
                "hatched members have no epochs of one long schedule: their mother has the first"
            )
        if max(epochs) > self.epochs:
            raise UsageError(f"the long schedule has {self.epochs} epochs, got {max(epochs)}")
        rates, completed = relative_rates(self.family, self.epochs), progress(self.family, self.epochs)
        # The length of a whole schedule that makes the same progress.
        whole_schedules = [self.epochs * completed[e - 1] for e in epochs]
        return _independent(
            self.predictor,
            self.dataset,
            self.task,
            networks,
            members,
            whole_schedules,
            relative_rate=[rates[e - 1] for e in epochs],
            final_relative_rate=rates[-1],
        )

    def probability_below(self, errors: Floats, reference: Floats, members: int, clusters: int) -> float:
        """Return the probability that an ensemble trained once has less error than a single network."""
        return _probability_below(self.predictor, self.dataset, errors, reference, members, clusters)


def _probability_below(
    predictor: AccuracyPredictor, dataset: str, errors: Floats, reference: Floats, members: int, clusters: int
) -> float:
    # The seed std depends on number and beginning of the members only, so any shape serves.
    network = regular_network("mlp", 1, 1)
    designs = homogeneous(network, members, clusters), homogeneous(network, 1)
    one, other = (predictor.seed_std(design, dataset) for design in designs)
    return predictor.probability_below(errors, reference, (one, other))


def _independent(
    predictor: AccuracyPredictor,
    dataset: str,
    task: Task,
    networks: Sequence[NetworkSpec],
    members: int,
    epochs: Sequence[float],
    *,
    relative_rate: Sequence[float] | None = None,
    final_relative_rate: float = 0.0,
) -> Floats:
    """Return draws of the errors of independent members, shape (draws, networks, epochs).

    Parameters come from interpolated counts, so that a scan of all depths builds no layers.
    """
    family = networks[0].family
    counts = regular_counts(family, task, max(DEPTH_LIMIT, *(n.depth for n in networks)))
    shape = (len(networks), len(epochs))
    sizes = np.array([counts.parameters(n.depth, n.width) for n in networks], dtype=float)
    drawn = predictor.sample_regular(
        family,
        dataset,
        task.classes,
        parameters=np.repeat(sizes, shape[1]),
        depth=np.repeat([float(n.depth) for n in networks], shape[1]),
        members=np.full(shape[0] * shape[1], float(members)),
        epochs=np.tile(np.array(epochs, dtype=float), shape[0]),
        relative_rate=0.0 if relative_rate is None else np.tile(np.array(relative_rate), shape[0]),
        final_relative_rate=final_relative_rate,
    )
    return drawn.reshape(-1, *shape)


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
