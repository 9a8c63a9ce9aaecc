"""The answer of `advisor equivalents --compare`: single network and ensembles of its size on every metric."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from advisor.decision.threshold.depth_step import DepthStep
from advisor.decision.threshold.switchover import Threshold
from advisor.estimate import Estimate
from cli.workflows.answers.answer import Answer
from cli.workflows.answers.examine.parts import ForecastEvidence, PlanFacts


class ComparedKind(StrEnum):
    """A design beside the others of its size.

    ``best`` is the ensemble of least expected error of any depth, with members as wide as the size allows.
    """

    SINGLE = "single"
    WIDTH_EQUIVALENT = "width_equivalent"
    DEPTH_EQUIVALENT = "depth_equivalent"
    BEST = "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedDesign:
    """A design of the single network's size; costs are null where nothing was measured.

    Attributes:
        kind: single network, or class of the ensemble.
        design: short name.
        members: number of members.
        depth, width: depth and width of each member.
        parameters: parameters of all members together.
        layers: number of layers of all members together, members × depth.
        processes: number of networks that train at the same time.
        test_error: test error after the whole schedule, a share.
        probability_less_error: probability that one training has less error than one of the single network;
            null for the single network.
        epoch_seconds: seconds of one epoch of every member.
        seconds_per_layer: these seconds ÷ `layers`.
        inference_ms_per_image: milliseconds of inference with all members per image.
        train_peak_bytes: peak memory of the networks that train at the same time.
    """

    kind: ComparedKind
    design: str
    members: int
    depth: int
    width: int
    parameters: int
    layers: int
    processes: int
    test_error: Estimate
    probability_less_error: float | None
    epoch_seconds: Estimate | None
    seconds_per_layer: Estimate | None
    inference_ms_per_image: Estimate | None
    train_peak_bytes: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedDesign(SizedDesign):
    """A design of the comparison, and how soon it is as accurate as the single network.

    Attributes:
        train_seconds: seconds of the whole training; null where nothing was measured.
        cost_usd: cost of the whole training in USD; null where nothing was measured, or without a price.
        epochs_to_single_error: epochs of a whole schedule from which on its expected error is at most that of
            the single network after its schedule; null figures lie beyond twice that schedule.
        seconds_to_single_error: seconds of these epochs; null where nothing was measured.
    """

    train_seconds: Estimate | None
    cost_usd: Estimate | None
    epochs_to_single_error: Threshold
    seconds_to_single_error: Threshold | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EquivalentComparison(Answer):
    """A single network and the ensembles of its size, side by side on every metric.

    Attributes:
        plan: plan of the single network.
        members: number of members of the ensembles beside it.
        price_per_hour_usd: price of the machine in USD per hour; null if none is given.
        designs: single network, width- and depth-equivalent ensemble, and the best ensemble of any depth; one
            that does not exist is left out.
        both_beat_single: whether width- and depth-equivalent ensemble each have less error than the single
            network with a probability of a half or more.
        probability_both_beat_single: probability that one training of each has less error than one training
            of the single network; null where one of the two does not exist.
        depth_step: step of the depth that the width-equivalent ensemble sits on, so that its error is uneven
            in the size; null where it sits on none.
        by_members: the ensembles for 2 to 16 members.
        evidence: measurements and trainings that the forecasts rest on.
    """

    plan: PlanFacts
    members: int
    price_per_hour_usd: float | None
    designs: tuple[ComparedDesign, ...]
    both_beat_single: bool
    probability_both_beat_single: float | None
    depth_step: DepthStep | None
    by_members: tuple[SizedDesign, ...]
    evidence: ForecastEvidence

    @property
    def single(self) -> ComparedDesign:
        """The single network."""
        return self.designs[0]
