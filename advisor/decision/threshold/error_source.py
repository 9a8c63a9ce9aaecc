"""Predicted errors at the points of a switchover map: after how many epochs, on how many images.

A point is a training as a map compares it. Every point has its own best designs, so what is said of a point
does not depend on the other points that were asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.designs.design import homogeneous
from advisor.estimate import Floats
from advisor.networks.architecture import RegularShape, regular_network
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


@dataclass(frozen=True, slots=True)
class Point:
    """A training after which designs of one budget are compared.

    Attributes:
        epochs: number of epochs.
        image_share: number of training images over that of the data set; above 1 is an extrapolation. An
            epoch passes over all of these images, so with more images it has more steps.
    """

    epochs: int
    image_share: float = 1.0


class ErrorSource(Protocol):
    """Predicted test errors under one reading of the epochs."""

    @property
    def reading(self) -> ScheduleReading:
        """The reading of the epochs."""

    @property
    def last_epoch(self) -> int | None:
        """Length of the long schedule; None where any number of epochs is possible."""

    @property
    def dataset(self) -> str:
        """Name that errors on the data are learned under."""

    @property
    def task(self) -> Task:
        """Input shape and classes."""

    def errors(
        self, networks: Sequence[RegularShape], members: int, clusters: int, points: Sequence[Point]
    ) -> Floats:
        """Return draws of the errors of ensembles, shape (draws, networks, points).

        Args:
            networks: member of each ensemble, all of one family.
            members: number of members of each ensemble; 1 for single networks.
            clusters: number of clusters; that of the members for independent training.
            points: trainings.
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
class DataErrors:
    """Predicted errors on one data set.

    Attributes:
        predictor: accuracy predictor.
        dataset: name that errors on the data are learned under.
        task: input shape and classes.
    """

    predictor: AccuracyPredictor
    dataset: str
    task: Task

    def hatched(
        self, networks: Sequence[RegularShape], members: int, clusters: int, points: Sequence[Point]
    ) -> Floats:
        """Return draws of the errors of MotherNets ensembles, shape (draws, networks, points)."""
        designs = [homogeneous(shape.network(), members, clusters) for shape in networks]
        columns = [
            self.predictor.sample_errors(
                designs, self.dataset, self.task, point.epochs, image_share=point.image_share
            )
            for point in points
        ]
        return np.stack(columns, axis=2)

    def independent(
        self,
        networks: Sequence[RegularShape],
        members: int,
        epochs: Sequence[float],
        image_shares: Sequence[float],
        *,
        relative_rate: Sequence[float] | None = None,
        final_relative_rate: float = 0.0,
    ) -> Floats:
        """Return draws of the errors of independent members, shape (draws, networks, points).

        Parameters come from interpolated counts, so that a scan of all depths builds no layers.

        Args:
            networks: member of each ensemble, all of one family.
            members: number of members of each ensemble.
            epochs: length of a whole schedule of the same progress, for each point.
            image_shares: share of the training images, for each point.
            relative_rate: learning rate over that of the first epoch, for each point; by default that at the
                end of a schedule.
            final_relative_rate: learning rate of the schedule's last epoch over that of the first epoch.
        """
        family = networks[0].family
        counts = regular_counts(family, self.task, max(DEPTH_LIMIT, *(n.depth for n in networks)))
        shape = (len(networks), len(epochs))
        sizes = np.array([counts.parameters(n.depth, n.width) for n in networks], dtype=float)
        drawn = self.predictor.sample_regular(
            family,
            self.dataset,
            self.task.classes,
            parameters=np.repeat(sizes, shape[1]),
            depth=np.repeat([float(n.depth) for n in networks], shape[1]),
            members=np.full(shape[0] * shape[1], float(members)),
            epochs=np.tile(np.array(epochs, dtype=float), shape[0]),
            relative_rate=0.0 if relative_rate is None else np.tile(np.array(relative_rate), shape[0]),
            final_relative_rate=final_relative_rate,
            image_share=np.tile(np.array(image_shares, dtype=float), shape[0]),
        )
        return drawn.reshape(-1, *shape)

    def probability_below(self, errors: Floats, reference: Floats, members: int, clusters: int) -> float:
        """Return the probability that an ensemble trained once has less error than a single network."""
        # The seed std depends on number and beginning of the members only, so any shape serves.
        network = regular_network("mlp", 1, 1)
        designs = homogeneous(network, members, clusters), homogeneous(network, 1)
        one, other = (self.predictor.seed_std(design, self.dataset) for design in designs)
        return self.predictor.probability_below(errors, reference, (one, other))
