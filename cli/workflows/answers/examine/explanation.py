"""The answer of `advisor explain`: a plan, or a run beside its forecast, step by step."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.conformal import Correction
from advisor.estimate import Estimate
from advisor.plans.records import RunStatus
from cli.workflows.answers.answer import Answer
from cli.workflows.answers.examine.clusters import ClusterForecast
from cli.workflows.answers.examine.explained_networks import ExplainedNetwork
from cli.workflows.answers.examine.layers import NetworkForecast
from cli.workflows.answers.examine.parts import Deviation, ForecastEvidence, PlanFacts, QuantityCoverage
from cli.workflows.answers.examine.slot_forecast import SlotForecast


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedPlan(PlanFacts):
    """A plan without its steps, and the price of the machine.

    Attributes:
        price_per_hour_usd: price of the machine in USD per hour; null if none is given.
    """

    price_per_hour_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedRun:
    """A run whose forecast is compared with its actual figures.

    Attributes:
        id: number of the run.
        created_at: UTC time of its beginning, ISO 8601.
        status: status of the run.
        message: reason for its end, empty if it ended as planned.
    """

    id: int
    created_at: str
    status: RunStatus
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSpan:
    """When and where a step runs, by the rule of `advisor.cost.timeline`.

    Attributes:
        start, end: beginning and end, counted from the beginning of the plan.
        slots: numbers of its slots, from 1: worker processes, and on CUDA GPUs.
    """

    start: float
    end: float
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedStep:
    """A step of a plan; its actual figures are null for a plan that is not a run.

    Attributes:
        step: id of the step, or ``evaluate`` for the evaluation of all members.
        network: short name of the network; null for all members.
        after: ids of the steps that come before.
        epochs: expected epochs; 0 for a step that does not train.
        schedule: learning rate and end of the training in words; null for a step that does not train.
        most_epochs: epochs of its schedule, at most where convergence ends it; 0 for a step that does not
            train.
        converging_epochs: expected epochs with their interval where convergence ends the training; null
            where its length is fixed.
        actual_epochs: epochs that a step of a run was trained for; null where there is none.
        seconds: predicted seconds; null where nothing was measured.
        status: status of an executed step; null if it has none.
        actual_seconds: seconds that the step took; null if it was not executed.
        deviation: actual seconds of a finished step beside their forecast.
        network_name: name of the network in the plan; null for all members.
        expected_span_epochs: span of the step in expected epochs, where steps that do not train take none;
            null for the evaluation.
        predicted_span_seconds: span of the step in predicted seconds; null where nothing was measured.
        actual_span_seconds: span of a begun step in actual seconds, up to its last finished epoch where it
            has not ended. Beginnings are not recorded: they follow from the actual seconds by the rule that
            starts steps. Null where nothing is known.
    """

    step: str
    network: str | None
    after: tuple[str, ...]
    epochs: float
    seconds: Estimate | None
    schedule: str | None = None
    most_epochs: int = 0
    converging_epochs: Estimate | None = None
    actual_epochs: int | None = None
    status: str | None = None
    actual_seconds: float | None = None
    deviation: Deviation | None = None
    network_name: str | None = None
    expected_span_epochs: SlotSpan | None = None
    predicted_span_seconds: SlotSpan | None = None
    actual_span_seconds: SlotSpan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedMember:
    """A member of a cluster beside the cluster's mother network.

    Attributes:
        member: name of the member in the plan.
        network: short name of its network.
        distance: layers that must be inserted or changed to make the member of the mother.
        mother_share: parameters of the mother over those of the member; 0 for a member trained from scratch.
    """

    member: str
    network: str
    distance: int
    mother_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedCluster:
    """Members that are hatched from one mother network, or one member that trains from scratch.

    Attributes:
        mother: short name of the mother network; null for a member that trains from scratch.
        members: members of the cluster.
    """

    mother: str | None
    members: tuple[ExplainedMember, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedTotals:
    """Predicted cost and error of a whole plan; null where a figure is not predicted.

    Attributes:
        train_seconds: seconds of the whole training.
        epoch_seconds: seconds of one epoch of every member.
        train_peak_bytes: peak memory of the networks that train at the same time.
        train_reserved_bytes: memory that CUDA's allocator reserves for training.
        inference_peak_bytes: peak memory of inference with all members.
        inference_ms_per_image: milliseconds of inference with all members per image.
        energy_joules: energy of the whole training.
        test_error: test error, a share.
        cost_usd: cost of the training at the machine's price, in USD.
        test_nll: mean negative log-likelihood of the averaged probabilities, nats; null for a run, whose
            stored forecast has none.
        calibration_error: expected calibration error of the averaged probabilities, a share; null for a run.
        overhead_seconds: seconds that are waited for beside the training, to start, evaluate and store; null
            on a cluster, where nothing was measured, and for runs of older programs.
    """

    train_seconds: Estimate | None = None
    epoch_seconds: Estimate | None = None
    train_peak_bytes: Estimate | None = None
    train_reserved_bytes: Estimate | None = None
    inference_peak_bytes: Estimate | None = None
    inference_ms_per_image: Estimate | None = None
    energy_joules: Estimate | None = None
    test_error: Estimate | None = None
    cost_usd: Estimate | None = None
    test_nll: Estimate | None = None
    calibration_error: Estimate | None = None
    overhead_seconds: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActualTotals:
    """Actual cost and error of a run; null where a figure is unknown.

    Attributes:
        train_seconds: seconds of training.
        train_peak_bytes: largest sum of the peak memory of as many steps as run at the same time.
        test_error: error on the test images, a share.
        cost_usd: cost of the training at the machine's price, in USD.
        overhead_seconds: seconds that were waited for beside the training.
    """

    train_seconds: float | None = None
    train_peak_bytes: int | None = None
    test_error: float | None = None
    cost_usd: float | None = None
    overhead_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviationOfTotals:
    """Actual totals of a finished run beside their forecasts; null where one of the two is unknown.

    Attributes:
        train_seconds: deviation of the seconds of training.
        train_peak_bytes: deviation of the peak memory.
        test_error: deviation of the test error.
        cost_usd: deviation of the cost.
        overhead_seconds: deviation of the seconds beside the training.
    """

    train_seconds: Deviation | None = None
    train_peak_bytes: Deviation | None = None
    test_error: Deviation | None = None
    cost_usd: Deviation | None = None
    overhead_seconds: Deviation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation(Answer):
    """A plan step by step with its predicted cost, and for a run the actual cost beside it.

    Attributes:
        plan: plan, and the price of the machine.
        run: run of the plan; null for a plan that is not a run.
        steps: steps in the order of execution, and the evaluation of all members.
        predicted: predicted totals; for a run those that were stored when it began.
        actual: actual totals of a run; null for a plan.
        deviation: actual totals of a run beside their forecasts; null for a plan.
        layers: forecast of every distinct network layer by layer, empty where nothing was measured; null if
            it was not requested.
        evidence: measurements and trainings that the forecast rests on; null for a run.
        notes: remarks for a person.
        coverage: how many of the newest forecasts on the machine held; a quantity without any is left out.
        corrections: corrections that the intervals of a plan have; for a run those stored with its forecast.
        clusters: clusters of the plan, as it has them stored; empty for a method without clusters.
        networks: networks of the plan that have weights of their own, in its order.
        by_slots: training time on the numbers of slots that were asked for, rising; empty for a run.
        cluster: nodes that the plan was priced for; null for this machine.
    """

    plan: ExplainedPlan
    run: ExplainedRun | None
    steps: tuple[ExplainedStep, ...]
    predicted: PredictedTotals
    actual: ActualTotals | None
    deviation: DeviationOfTotals | None
    layers: tuple[NetworkForecast, ...] | None
    evidence: ForecastEvidence | None
    notes: tuple[str, ...]
    coverage: tuple[QuantityCoverage, ...] = ()
    corrections: tuple[Correction, ...] = ()
    clusters: tuple[ExplainedCluster, ...] = ()
    networks: tuple[ExplainedNetwork, ...] = ()
    by_slots: tuple[SlotForecast, ...] = ()
    cluster: ClusterForecast | None = None
