"""The answer of `advisor recommend`: a ranking of designs, its reasons, and what would change it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from advisor.cost.measurement import Fingerprint
from advisor.decision.reasons import Evidence
from advisor.decision.threshold.switchover import Switchover
from advisor.designs.design import DesignClass
from advisor.estimate import Estimate
from advisor.plans.method_traits import Method
from cli.workflows.answers.advise.probing import Probing
from cli.workflows.answers.advise.reasons import DesignTrade, MeasureNext, NamedDesign, WouldChange
from cli.workflows.answers.advise.request import AnsweredRequest
from cli.workflows.answers.answer import Answer, key
from cli.workflows.answers.examine.clusters import ClusterForecast


@dataclass(frozen=True, slots=True, kw_only=True)
class Device(Fingerprint):
    """The device, and the settings under which costs are predicted.

    Attributes:
        processes: number of networks that train side by side.
    """

    processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuringEffort:
    """The measurements behind the predicted costs.

    Attributes:
        seconds: time that measuring took for this request, seconds.
        measurements_new: number of measurements made for this request.
        measurements_reused: number of earlier measurements of this machine.
    """

    seconds: float
    measurements_new: int
    measurements_reused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchEffort:
    """The search over the designs of the request.

    Attributes:
        trials: number of designs to look at, as requested.
        designs: number of distinct designs that were looked at.
        seconds: time that the search took, seconds.
    """

    trials: int
    designs: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedFigures:
    """Predicted error and cost of a design.

    Attributes:
        test_error: error of one training on the test images, share.
        epoch_seconds: seconds of one epoch of every member.
        train_seconds: seconds of the whole training.
        inference_ms_per_image: inference time of all members for one image, milliseconds.
        train_peak_bytes: peak memory of the networks that train at once, bytes.
        train_reserved_bytes: memory that CUDA's allocator reserves for them, bytes; null where that was never
            measured.
        memory_bytes: reserved memory where it is known, else the peak, bytes; limits on memory apply to it.
        test_nll: mean negative log-likelihood of the averaged probabilities on the test images, nats; null
            where it is not forecast.
        calibration_error: expected calibration error of the averaged probabilities, 15 bins, share; null
            where it is not forecast.
        cost_usd: cost of the whole training in USD; null where the machine has no price.
    """

    test_error: Estimate
    epoch_seconds: Estimate
    train_seconds: Estimate
    inference_ms_per_image: Estimate
    train_peak_bytes: Estimate
    train_reserved_bytes: Estimate | None
    memory_bytes: Estimate
    test_nll: Estimate | None = None
    calibration_error: Estimate | None = None
    cost_usd: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisedDesign:
    """A row of the ranking.

    Attributes:
        rank: place in the ranking, from 1.
        design: short name.
        method: training method.
        design_class: single network, depth- or width-equivalent ensemble, or an ensemble between the two.
        members: number of members.
        clusters: number of clusters of MotherNets.
        parameters: parameters of all members together.
        predicted: predicted error and cost.
        probability_beats_single: probability that one training of the design has less error than one of the
            best single network; null for that network, and where no single network keeps the limits.
        near_threshold: whether the design is one of those nearest the switchover threshold.
        evidence: evidence that the predictions rest on.
        reference: whether the design is the reference that the others are compared with.
        trade: trade against the reference; null where there is nothing to compare with.
        threshold: switchover threshold of the design's family and member count, null where none is known.
        probability_beats_first: probability that one training of the design has less error than one of rank
            1; null for rank 1.
        tie: whether the design is better than rank 1 by the objective with a probability of at least 1 in 5,
            so that the two cannot be told apart; ties are ordered by training time.
        untried: whether the design is ranked behind others because one of its families has no training on
            the data set, and others have more evidence.
        unmeasured: kinds of workload of the design that were never measured on this machine.
        reasons: sentences for and against the design.
        weight_decay: weight decay of its networks.
        tuned_weight_decay: the same where it is not that of the recipe; null where it is.
        networks_exist: whether a probe has trained its networks, so that `advisor train` goes on from them
            and the error is forecast for them.
    """

    rank: int
    design: str
    method: Method
    design_class: DesignClass = field(metadata=key("class"))
    members: int
    clusters: int
    parameters: int
    predicted: PredictedFigures
    probability_beats_single: float | None
    near_threshold: bool
    evidence: Evidence
    reference: bool
    trade: DesignTrade | None
    threshold: Switchover | None
    probability_beats_first: float | None
    tie: bool
    untried: bool
    unmeasured: tuple[str, ...]
    reasons: tuple[str, ...]
    weight_decay: float
    tuned_weight_decay: float | None
    networks_exist: bool = False


class VerdictKind(StrEnum):
    """What the ranking says about the choice between one network and several."""

    ENSEMBLE = "ensemble"
    SINGLE = "single"
    EITHER = "either"
    ONLY_ENSEMBLES = "only ensembles"
    ONLY_SINGLES = "only single networks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(NamedDesign):
    """The design to train, and what it has over the best design of the other kind.

    An ensemble is compared with the best single network, a single network with the best ensemble.

    Attributes:
        kind: whether an ensemble leads, a single network leads, or the two are tied; a tie is decided for the
            single network, because it is simpler, or for the ensemble if its networks alone exist.
        known: whether anything is known of the data set; where it is not, every figure of an error rests on
            other data alone.
        rank: rank of the design to train.
        trade: trade of the design against the best one of the other kind; null where there is none.
        probability_less_error: probability that one training of the design has less error than one of the
            other; null where there is none.
        networks_exist: whether a probe has trained the networks of the design.
    """

    kind: VerdictKind
    known: bool
    rank: int
    trade: DesignTrade | None
    probability_less_error: float | None
    networks_exist: bool = False

    @property
    def sentence(self) -> str:
        """The verdict in words, as the command line shows it."""
        # The renderer imports this module.
        from cli.render.verdict import verdict_lines

        return " ".join(verdict_lines(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice(Answer):
    """Designs for a budget, best first, with predicted error and cost.

    Attributes:
        request: request that is answered.
        device: device, and settings under which costs are predicted.
        profile: measurements behind the predicted costs.
        verdict: design to train, and what it has over the best design of the other kind.
        recommendations: ranking, best first.
        switchover: switchover thresholds of the requested families and member counts.
        search: search over the designs.
        would_change: conditions that would put another design first.
        measure_next: probe to make before training.
        probing: probes that were made for this answer; null where none were wanted, the data are not at hand,
            or those of an earlier answer are used again.
        cluster: nodes that plans were priced for, with the steps of rank 1; null for this machine.
    """

    request: AnsweredRequest
    device: Device
    profile: MeasuringEffort
    verdict: Verdict
    recommendations: tuple[AdvisedDesign, ...]
    switchover: tuple[Switchover, ...]
    search: SearchEffort
    would_change: WouldChange
    measure_next: MeasureNext
    probing: Probing | None
    cluster: ClusterForecast | None = None
