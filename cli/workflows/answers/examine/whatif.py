"""The answer of `advisor whatif`: a plan before and after changes, and what they change."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.estimate import Estimate
from cli.workflows.answers.answer import Answer
from cli.workflows.answers.examine.parts import ForecastEvidence, PlanFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedMetrics:
    """Predicted error and cost of a plan; costs are null where nothing was measured.

    Attributes:
        test_error: test error, a share.
        train_seconds: seconds of the whole training.
        epoch_seconds: seconds of one epoch of every member.
        inference_ms_per_image: milliseconds of inference with all members per image.
        train_peak_bytes: peak memory of the networks that train at the same time.
        cost_usd: cost of the whole training in USD; null where the machine has no price.
    """

    test_error: Estimate
    train_seconds: Estimate | None = None
    epoch_seconds: Estimate | None = None
    inference_ms_per_image: Estimate | None = None
    train_peak_bytes: Estimate | None = None
    cost_usd: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMetrics:
    """A plan and its metrics.

    Attributes:
        plan: plan without its steps.
        parameters: trainable scalars of all members; shared layers count once.
        macs: multiply-adds of all members for one image; shared layers count once.
        train_images: number of training images.
        test_error_extrapolated: whether these are more than twice the images of any evidence on the data.
        predicted: predicted error and cost.
    """

    plan: PlanFacts
    parameters: int
    macs: int
    train_images: int
    test_error_extrapolated: bool
    predicted: PredictedMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Metrics after the changes relative to those before.

    Attributes:
        parameters_ratio: parameters after ÷ before.
        macs_ratio: multiply-adds after ÷ before.
        test_error_difference: expected test error after − before, a share; null if the batch changes.
        probability_less_error: probability that one training after the changes has less error than one
            before; null if the batch changes.
        train_seconds_ratio: seconds of training after ÷ before; null where nothing was measured.
        epoch_seconds_ratio: seconds of an epoch after ÷ before; null where nothing was measured.
        inference_ms_per_image_ratio: inference time after ÷ before; null where nothing was measured.
        train_peak_bytes_ratio: peak memory after ÷ before; null where nothing was measured.
    """

    parameters_ratio: float
    macs_ratio: float
    test_error_difference: Estimate | None
    probability_less_error: float | None
    train_seconds_ratio: Estimate | None = None
    epoch_seconds_ratio: Estimate | None = None
    inference_ms_per_image_ratio: Estimate | None = None
    train_peak_bytes_ratio: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedPlan(PlanMetrics):
    """A changed plan, its metrics, and their change.

    Attributes:
        change: metrics relative to those before the changes.
    """

    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleChange(ChangedPlan):
    """One of several changes, made by itself.

    Attributes:
        changes: the change as it was written, by its option.
    """

    changes: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf(Answer):
    """Metrics of a plan before and after changes, and their differences.

    Attributes:
        changes: changes as they were written, by option.
        before: plan before the changes.
        after: plan after all changes.
        each_alone: every one of several changes by itself; a change that needs another one is left out.
        evidence: measurements and trainings that the forecasts rest on.
        extrapolated_beyond_images: number of training images beyond which errors are extrapolated: twice the
            most of any training or published error on the data set, or of its own where there is none.
        notes: remarks for a person.
        price_per_hour_usd: price of the machine in USD per hour; null if none is given. The cost changes as
            the seconds of training do.
    """

    changes: dict[str, str]
    before: PlanMetrics
    after: ChangedPlan
    each_alone: tuple[SingleChange, ...]
    evidence: ForecastEvidence
    extrapolated_beyond_images: int
    notes: tuple[str, ...]
    price_per_hour_usd: float | None = None
