"""How the epochs of a switchover are read, and the errors that each reading knows.

A number of epochs may mean a whole schedule of that length or an epoch of one long schedule. The two are
never mixed: each is a source of errors of its own, because no arithmetic turns the errors of one into those
of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from advisor.accuracy.evidence import progress, relative_rates
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.designs.design import homogeneous
from advisor.designs.space import DEPTH_LIMIT
from advisor.errors import InfeasibleError, UsageError, lookup
from advisor.estimate import Floats
from advisor.networks.architecture import NetworkSpec, regular_network
from advisor.networks.layers import Task
from advisor.networks.regular_counts import regular_counts


class ScheduleReading(StrEnum):
    """What a number of epochs on the axis means.

    ``whole``: a training whose schedule, drops of the learning rate included, has that length (figure K of
    the paper). ``long``: that epoch of one long training, before whose drops errors are higher (its heat
    maps).
    """

    WHOLE = "whole"
    LONG = "long"


class ErrorSource(Protocol):
    """Test errors as one reading of the epoch axis knows them."""

    @property
    def reading(self) -> ScheduleReading:
        """How the epochs are read."""

    @property
    def last_epoch(self) -> int | None:
        """Length of the one long schedule; None where epochs may be any number."""

    @property
    def task(self) -> Task:
        """Input and classes."""

    def errors(
        self, networks: Sequence[NetworkSpec], members: int, clusters: int, epochs: Sequence[int]
    ) -> Floats:
        """Return draws of the errors of `members` copies of each network, trained in `clusters` clusters.

        Returns:
            Shape (draws, networks, epochs).
        """

    def probability_below(self, errors: Floats, reference: Floats, members: int, clusters: int) -> float:
        """Return the probability that an ensemble trained once has less error than a single network.

        Args:
            errors: draws of the ensemble, shape (draws,).
            reference: draws of the single network.
            members: of the ensemble.
            clusters: that it trains in.
        """


@dataclass(frozen=True, slots=True)
class WholeSchedules:
    """Errors after whole schedules of each length: the accuracy predictor."""

    predictor: AccuracyPredictor
    dataset: str
    task: Task

    @property
    def reading(self) -> ScheduleReading:
        """How the epochs are read."""
        return ScheduleReading.WHOLE

    @property
    def last_epoch(self) -> int | None:
        """None: whole schedules may have any length."""
        return None

    def errors(
        self, networks: Sequence[NetworkSpec], members: int, clusters: int, epochs: Sequence[int]
    ) -> Floats:
        """Return draws of shape (draws, networks, epochs)."""
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
    """Errors after the epochs of one long schedule: the accuracy predictor with the rates of that schedule.

    Attributes:
        family: whose schedule it is.
        epochs: its length.
    """

    predictor: AccuracyPredictor
    dataset: str
    task: Task
    family: str
    epochs: int

    @property
    def reading(self) -> ScheduleReading:
        """How the epochs are read."""
        return ScheduleReading.LONG

    @property
    def last_epoch(self) -> int | None:
        """Of the schedule."""
        return self.epochs

    def errors(
        self, networks: Sequence[NetworkSpec], members: int, clusters: int, epochs: Sequence[int]
    ) -> Floats:
        """Return draws of shape (draws, networks, epochs).

        Raises:
            UsageError: members that hatch, or epochs beyond the end of the schedule.
        """
        if clusters < members:
            raise UsageError(
                "hatched members have no epochs of one long schedule: their mother has the first"
            )
        if max(epochs) > self.epochs:
            raise UsageError(f"the long schedule has {self.epochs} epochs, got {max(epochs)}")
        rates, travelled = relative_rates(self.family, self.epochs), progress(self.family, self.epochs)
        relative_rate, reached = (
            [rates[e - 1] for e in epochs],
            [self.epochs * travelled[e - 1] for e in epochs],
        )
        return _independent(
            self.predictor,
            self.dataset,
            self.task,
            networks,
            members,
            reached,
            relative_rate=relative_rate,
            final_relative_rate=rates[-1],
        )

    def probability_below(self, errors: Floats, reference: Floats, members: int, clusters: int) -> float:
        """Return the probability that an ensemble trained once has less error than a single network."""
        return _probability_below(self.predictor, self.dataset, errors, reference, members, clusters)


def _probability_below(
    predictor: AccuracyPredictor, dataset: str, errors: Floats, reference: Floats, members: int, clusters: int
) -> float:
    # Whatever the shape of the members: luck is a matter of how they begin.
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
    """Draws of the errors of independent members by their counts, (draws, networks, epochs).

    A scan of all depths need not build their layers.
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
    """Return the source of errors of a reading.

    Args:
        reading: name of it.
        predictor: of errors.
        dataset: name.
        task: input and classes.
        family: of all designs.
        epochs: of the long schedule.
        curves: learning curves that the predictor has seen, on any data.

    Raises:
        UnknownNameError: there is no such reading.
        InfeasibleError: nothing is known that could be read so.
    """
    if lookup("reading", reading, ScheduleReading) is ScheduleReading.WHOLE:
        return WholeSchedules(predictor, dataset, task)
    if not curves:
        raise InfeasibleError(
            "no learning curves are known, so epochs cannot be read off one long schedule: use "
            f"--reading whole, or train {dataset} once (advisor probe, advisor train)"
        )
    return OneLongSchedule(predictor, dataset, task, family, epochs)
