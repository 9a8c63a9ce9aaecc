"""The answer of `advisor est`: where single networks give way to ensembles, by size and epochs or images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from advisor.decision.threshold.error_source import ScheduleReading
from advisor.decision.threshold.map_grid import Axis
from advisor.decision.threshold.switchover import Threshold
from advisor.designs.design import DesignClass
from advisor.estimate import Estimate
from cli.workflows.answers.answer import Answer


class EnsembleTraining(StrEnum):
    """A training of the ensembles that a map compares with that of a single network."""

    FULL_DATA = "full_data"
    MOTHERNETS_EQUAL_EPOCHS = "mothernets_equal_epochs"
    MOTHERNETS_EQUAL_TIME = "mothernets_equal_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class EstRequest:
    """The options of `advisor est`.

    Attributes:
        family: family of all designs.
        members: number of members of an ensemble.
        dataset: name of the data set.
        budget: ``LOW-HIGH`` in parameters; null for budgets around the threshold.
        epochs: ``LOW-HIGH`` or one number; null for epochs around the published schedule, or on a map of
            images for this schedule.
        clusters: number of clusters of MotherNets.
        reading: reading of the epochs, ``whole`` or ``long``.
        seed: random seed of the posterior draws.
        resize: size that the images of a folder are scaled to cover and cropped to; null for none.
        skip_damaged: whether damaged files of a folder are left out.
        axis: columns of the map, ``epochs`` or ``images``.
        images: ``LOW-HIGH`` or one number of training images; null for those of the data set, or on a map of
            images for numbers around them.
    """

    family: str
    members: int
    dataset: str
    budget: str | None
    epochs: str | None
    clusters: int
    reading: str
    seed: int
    resize: str | None = None
    skip_damaged: bool = False
    axis: str = Axis.EPOCHS.value
    images: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetDesigns:
    """The designs that are compared at a budget, in one column.

    Attributes:
        budget_parameters: budget in parameters.
        single: short name of the single network.
        depth_equivalent: short name of the depth-equivalent ensemble; null if there is none.
        width_equivalent: short name of the width-equivalent ensemble; null if there is none.
    """

    budget_parameters: int
    single: str
    depth_equivalent: str | None
    width_equivalent: str | None

    def of_class(self, kind: DesignClass) -> str | None:
        """Return the short name of the ensemble of a class."""
        return self.depth_equivalent if kind is DesignClass.DEPTH_EQUIVALENT else self.width_equivalent


@dataclass(frozen=True, slots=True, kw_only=True)
class TimesSooner:
    """How many times sooner an ensemble reaches the single network's final error; null if beyond the grid.

    Attributes:
        median: epochs of the schedule ÷ epochs of the ensemble, median over posterior draws.
        low, high: ends of the 90 % interval of that ratio.
        reached: share of the draws in which the ensemble reaches that error within the grid.
    """

    median: float | None
    low: float | None
    high: float | None
    reached: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingMap:
    """Ensembles of one training against single networks; rows are budgets, columns are epochs or images.

    Attributes:
        clusters: number of clusters of the ensembles.
        ensemble_epochs: epochs of the ensembles at each number of epochs of the single network.
        better_ensemble_class: class of the ensemble with less error; null where no ensemble fits.
        probability_ensemble_wins: probability that one training of that ensemble has less error than one of
            the single network; null where no ensemble fits.
        likelier_class: class that has less error with a probability of a half or more.
        both_classes_likelier: whether the depth-equivalent and the width-equivalent ensemble each have less
            error than the single network with a probability of a half or more ("More or Less", figure 2).
        errors: expected test errors of the compared designs, shares, by class: ``single``,
            ``depth_equivalent`` and ``width_equivalent``; null where no ensemble of a class fits.
        threshold_parameters: parameters from which on the ensemble wins, at each column; empty on a grid of
            one budget.
        threshold_epochs: epochs from which on the ensemble wins, at each budget; empty on a grid of one
            number of epochs.
        threshold_images: training images from which on the ensemble wins, at each budget; empty on a grid of
            one number of images.
        single_error_epochs: epochs from which on the ensemble has less error than the single network at the
            end of the schedule, at each budget; empty on a grid of one number of epochs.
        times_sooner: ratio of the schedule to these epochs, at each budget.
    """

    clusters: int
    ensemble_epochs: tuple[int, ...]
    better_ensemble_class: tuple[tuple[DesignClass | None, ...], ...]
    probability_ensemble_wins: tuple[tuple[float | None, ...], ...]
    likelier_class: tuple[tuple[DesignClass, ...], ...]
    threshold_parameters: tuple[Threshold, ...]
    threshold_epochs: tuple[Threshold, ...]
    single_error_epochs: tuple[Threshold, ...]
    times_sooner: tuple[TimesSooner, ...]
    threshold_images: tuple[Threshold, ...]
    both_classes_likelier: tuple[tuple[bool, ...], ...]
    errors: Mapping[DesignClass, tuple[tuple[Estimate | None, ...], ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchoverEvidence:
    """The evidence behind a map.

    Attributes:
        runs: number of trainings.
        runs_on_dataset: number of trainings on the data set.
        curves: number of learning curves.
        curves_on_dataset: number of learning curves on the data set.
        published_errors_on_dataset: number of published errors on the data set.
        simple_classifiers: whether errors of simple classifiers on the data set are known (`advisor data`).
    """

    runs: int
    runs_on_dataset: int
    curves: int
    curves_on_dataset: int
    published_errors_on_dataset: int
    simple_classifiers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchoverMap(Answer):
    """Where single networks give way to ensembles: the Ensemble Switchover Threshold of a data set.

    Attributes:
        request: options of the command.
        reading: reading of the epochs.
        budgets_parameters: budgets in parameters, rising.
        epochs: epochs of the single network, rising; one number on a map of images.
        schedule_epochs: epochs of the schedule at whose end the single network sets the error to reach.
        designs: designs of each budget, those that are best in the column that the sentences are about.
        maps: map of each training of the ensembles.
        evidence: trainings and published errors that the map rests on.
        axis: what the columns are.
        images: numbers of training images, rising; one number on a map of epochs.
        reference_column: position of the column that the sentences are about: the schedule, or the images
            that the data set has.
        designs_by_column: designs of each budget at each column, those that are best there.
        extrapolated_beyond_images: number of training images beyond which errors are extrapolated: twice the
            most of any training or published error on the data set, or of its own where there is none.
        extrapolated: whether the errors of each column are extrapolated.
    """

    request: EstRequest
    reading: ScheduleReading
    budgets_parameters: tuple[int, ...]
    epochs: tuple[int, ...]
    schedule_epochs: int
    designs: tuple[BudgetDesigns, ...]
    maps: Mapping[EnsembleTraining, TrainingMap]
    evidence: SwitchoverEvidence
    axis: Axis
    images: tuple[int, ...]
    reference_column: int
    designs_by_column: tuple[tuple[BudgetDesigns, ...], ...]
    extrapolated_beyond_images: int
    extrapolated: tuple[bool, ...]

    @property
    def columns(self) -> tuple[int, ...]:
        """Numbers of epochs or of images that the columns are."""
        return self.epochs if self.axis is Axis.EPOCHS else self.images

    @property
    def full_data(self) -> TrainingMap:
        """Map of the ensembles whose members all train from scratch; there always is one."""
        return self.maps[EnsembleTraining.FULL_DATA]
