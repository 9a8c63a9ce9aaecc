"""What the accuracy predictor learns from: finished and unfinished trainings with their errors.

A training is evidence whether it ran here (`advisor train`, `advisor probe`) or was imported from a file.
`advisor.accuracy.observations` turns it into observations of the formula.
"""

from __future__ import annotations

from dataclasses import dataclass

from advisor.designs.design import Design
from advisor.networks.layers import Task
from advisor.plans.method_traits import Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Validation errors after every epoch of networks that are trained from scratch.

    Attributes:
        member: mean error of the members after each epoch so far, shares.
        ensemble: error of the averaged probabilities after the same epochs, shares; None if unknown.
        images: number of validation images that the errors are counted on.
    """

    member: tuple[float, ...]
    ensemble: tuple[float, ...] | None
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedEvidence:
    """One training and the errors that are known of it.

    Attributes:
        dataset: name that errors on the data are learned under.
        task: input shape and classes.
        design: the design that was trained.
        epochs: epochs of a network that is trained from scratch.
        member_errors: test error of each member, shares; None before the end.
        ensemble_error: test error of the ensemble, share; None before the end.
        test_images: number of test images that these errors are counted on.
        method: training method; None means full data for independent members, else MotherNets.
        image_share: share of the training images.
        weight_decay: weight decay over that of the family's recipe.
        validated: whether its errors are counted on validation images, as those of probes are.
        errors_by_members: test errors of the average of the first one, two, … members; None if unknown.
        curve: learning curve of members trained from scratch; None if unknown.
        nll: mean negative log-likelihood of the ensemble on the test images, nats; None if unknown.
        calibration_error: expected calibration error of the ensemble on the test images; None if unknown.
    """

    dataset: str
    task: Task
    design: Design
    epochs: int
    member_errors: tuple[float, ...] | None
    ensemble_error: float | None
    test_images: int
    method: Method | None = None
    image_share: float = 1.0
    weight_decay: float = 1.0
    validated: bool = False
    errors_by_members: tuple[float, ...] | None = None
    curve: Curve | None = None
    nll: float | None = None
    calibration_error: float | None = None


def has_curve(design: Design, method: Method | None) -> bool:
    """Return whether the formula describes the learning curve of a design's members.

    It does for members of one shape that are trained from scratch. A member that begins as a copy of another
    network has no learning curve of its own.

    Args:
        design: the design.
        method: training method; None as for `TrainedEvidence`.
    """
    return design.homogeneous and design.independent and method in (None, Method.FULL_DATA)
