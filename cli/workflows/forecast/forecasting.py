"""Forecasts of a plan: its cost on this machine or on a cluster, and its test error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from advisor.accuracy.at_hand import AtHand
from advisor.accuracy.cases import weight_decay_of
from advisor.accuracy.likelihood import LikelihoodPredictor
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.conformal import Correction, CostBasis, ErrorBasis
from advisor.cost.overhead import OverheadForecast, forecast_overhead
from advisor.cost.predictor import CostPredictor
from advisor.cost.pricing import PricedPlan, price
from advisor.designs.design import parse_design
from advisor.estimate import Estimate, Floats
from advisor.plans.convergence.kinds import scratch_epochs
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import Forecast
from cli.workflows.answers.examine.parts import ForecastEvidence
from cli.workflows.forecast.cluster.kinds import ClusterKinds
from cli.workflows.forecast.cluster.prices import ClusterPrices, cluster_prices
from cli.workflows.forecast.coverage import overhead_ratios
from cli.workflows.forecast.evidence import accuracy_for, error_basis
from cli.workflows.forecast.known_images import KnownImages, known_images
from cli.workflows.forecast.machine import digests_of, predictor_for
from db.queries import Store


@dataclass(frozen=True, slots=True)
class PlanForecast:
    """Predicted cost and error of a plan.

    Attributes:
        priced: predicted cost; None where nothing was measured on the machines that train.
        test_error: predicted test error, a share.
        test_nll: predicted negative log-likelihood, nats; it is not stored with a run.
        calibration_error: predicted calibration error, a share; it is not stored with a run.
        predictor: predictor of the cost.
        runs: number of trainings that the predicted error rests on.
        error_basis: best evidence behind the predicted error.
        error_correction: correction that the interval of the predicted error has; None for networks that
            exist, and if it is unknown.
        cluster: nodes that train, with their predictors; None for this machine.
        overhead: predicted seconds beside the training; None on a cluster, and where nothing was measured.
    """

    priced: PricedPlan | None
    test_error: Estimate
    test_nll: Estimate
    calibration_error: Estimate
    predictor: CostPredictor
    runs: int
    error_basis: ErrorBasis
    error_correction: Correction | None = None
    cluster: ClusterPrices | None = None
    overhead: OverheadForecast | None = None

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """Corrections that the intervals have."""
        cost = () if self.priced is None else self.priced.corrections
        return cost if self.error_correction is None else (*cost, self.error_correction)

    @property
    def forecast(self) -> Forecast:
        """What is stored with a run; costs are None where nothing was measured."""
        if self.priced is not None:
            return _with_overhead(self.priced.forecast(self.test_error, self.error_correction), self.overhead)
        error = (self.test_error.mean, self.test_error.low, self.test_error.high)
        return Forecast(
            train_seconds=None,
            train_peak_bytes=None,
            inference_ms_per_image=None,
            test_error=error,
            steps=(),
            corrections=self.corrections,
        )

    @property
    def evidence(self) -> ForecastEvidence:
        """Measurements and trainings that the forecast rests on."""
        unmeasured = () if self.priced is None else self.priced.unmeasured
        found = forecast_evidence(self.predictor, self.error_basis, self.runs, unmeasured)
        nodes = () if self.cluster is None else self.cluster.measured
        if not nodes:
            return found
        return replace(
            found,
            cost=min((kind.predictor.basis for kind in nodes), key=list(CostBasis).index),
            measurements=sum(kind.predictor.count for kind in nodes),
        )


@dataclass(frozen=True, slots=True)
class Predictors:
    """Predictors for plans of one data set, device and arithmetic.

    Attributes:
        cost: predictor of cost on this machine.
        accuracy: predictor of the error on the data set.
        likelihood: predictor of likelihood and calibration on the data set.
        runs: number of trainings that the accuracy predictor has learned from.
        images: numbers of training images that the data set and the evidence have.
        cluster: nodes that train, with their predictors; None for this machine.
        overhead_ratios: what earlier runs took beside their training, over what the formula gives.
    """

    cost: CostPredictor
    accuracy: AccuracyPredictor
    likelihood: LikelihoodPredictor
    runs: int
    images: KnownImages
    cluster: ClusterPrices | None = None
    overhead_ratios: tuple[float, ...] = ()

    def priced(self, plan: TrainingPlan, done: frozenset[str] = frozenset()) -> PricedPlan | None:
        """Return the price of a plan; None where nothing was measured on the machines that train it."""
        if self.cluster is not None:
            kinds = self.cluster.kinds
            return price(plan, self.cluster.base, done, kinds) if kinds else None
        return None if self.cost.basis == "nominal" else price(plan, self.cost, done)

    def forecast_plan(
        self, plan: TrainingPlan, done: frozenset[str] = frozenset(), known: AtHand | None = None
    ) -> PlanForecast:
        """Return the forecast of a plan.

        Args:
            plan: the plan.
            done: ids of finished steps, which cost nothing more.
            known: what is known of its networks where a probe has trained them.
        """
        if known is None:
            errors, seed_std = self.sampled_errors(plan), self.seed_std(plan)
        else:
            errors, seed_std = self._sampled_at_hand(plan, known)
        members, priced, at_hand = len(plan.members), self.priced(plan, done), known is not None
        return PlanForecast(
            priced,
            self.accuracy.predict(errors, seed_std, plan.dataset.test_images, at_hand=at_hand),
            self.likelihood.predict_nll(errors, members, seed_std, at_hand=at_hand),
            self.likelihood.predict_calibration(errors, members, seed_std, at_hand=at_hand),
            self.cost,
            self.runs,
            error_basis(self.accuracy, self.runs),
            None if at_hand else self.accuracy.correction,
            self.cluster,
            self._overhead(plan, priced),
        )

    def _overhead(self, plan: TrainingPlan, priced: PricedPlan | None) -> OverheadForecast | None:
        if priced is None or self.cluster is not None:
            return None
        return forecast_overhead(plan, priced, self.overhead_ratios)

    def sampled_errors(self, plan: TrainingPlan) -> Floats:
        """Return posterior draws of a plan's error, shape (SAMPLES,); draw i of two plans is one draw."""
        return self.sampled_errors_of([plan])[0][:, 0]

    def sampled_errors_of(self, plans: Sequence[TrainingPlan]) -> tuple[Floats, Floats]:
        """Return posterior draws of the errors of plans, and of the mean errors of their members.

        Args:
            plans: plans that differ in design and method only.

        Returns:
            Two arrays of shape (SAMPLES, plans); draw i is one draw in both.
        """
        data = plans[0].dataset
        return self.accuracy.sample_errors_and_members(
            [parse_design(plan.design) for plan in plans],
            data.learned_as,
            data.task,
            [scratch_epochs(plan) for plan in plans],
            [plan.method for plan in plans],
            image_share=self.images.share(data.train_images),
            weight_decays=[weight_decay_of(plan) for plan in plans],
        )

    def _sampled_at_hand(self, plan: TrainingPlan, known: AtHand) -> tuple[Floats, float]:
        data = plan.dataset
        return self.accuracy.sample_at_hand(
            known,
            parse_design(plan.design),
            data.learned_as,
            data.task,
            scratch_epochs(plan),
            plan.method,
            weight_decay_of(plan),
        )

    def seed_std(self, plan: TrainingPlan) -> float:
        """Return the standard deviation of the log of a plan's test error between seeds."""
        return self.accuracy.seed_std(parse_design(plan.design), plan.dataset.learned_as, plan.method)


def _with_overhead(forecast: Forecast, overhead: OverheadForecast | None) -> Forecast:
    """Return a forecast with that of the seconds beside the training."""
    if overhead is None:
        return forecast
    seconds = (overhead.seconds.mean, overhead.seconds.low, overhead.seconds.high)
    return replace(forecast, overhead_seconds=seconds, overhead_factor=overhead.factor)


def forecast_evidence(
    cost: CostPredictor, error: ErrorBasis, runs: int, unmeasured: tuple[str, ...]
) -> ForecastEvidence:
    """Return the measurements and trainings that forecasts rest on.

    Args:
        cost: predictor of the cost.
        error: best evidence behind the predicted errors.
        runs: number of trainings that the predicted errors rest on.
        unmeasured: properties of the plans' networks that were never measured, in words.
    """
    return ForecastEvidence(
        cost=CostBasis(cost.basis),
        measurements=cost.count,
        accuracy=error,
        runs=runs,
        unmeasured=unmeasured,
    )


def predictors_for(plan: TrainingPlan, store: Store, nodes: ClusterKinds | None = None) -> Predictors:
    """Return predictors for a plan, and for others that differ in design, epochs, batch, method or images.

    Args:
        plan: the plan.
        store: database with measurements and trainings.
        nodes: nodes that train; None for this machine.
    """
    data, execution = plan.dataset, plan.execution
    cost = predictor_for(store, execution, data.augmentation.key)
    accuracy, evidence = accuracy_for(store, data, 0)
    likelihood = LikelihoodPredictor.of(data.learned_as, data.task.classes, evidence)
    images = known_images(store, data, evidence)
    cluster = None
    if nodes is not None:
        cluster = cluster_prices(nodes, execution, data.augmentation.key, store, cost)
    ratios = overhead_ratios(store, digests_of(execution.device))
    return Predictors(cost, accuracy, likelihood, len(evidence), images, cluster, ratios)


def forecast_plan(
    plan: TrainingPlan,
    store: Store,
    done: frozenset[str] = frozenset(),
    nodes: ClusterKinds | None = None,
    known: AtHand | None = None,
) -> PlanForecast:
    """Return the predicted cost and error of a plan.

    Args:
        plan: plan to be trained.
        store: database with measurements and trainings.
        done: ids of finished steps, which cost nothing more.
        nodes: nodes that train; None for this machine.
        known: what is known of its networks where a probe has trained them.
    """
    return predictors_for(plan, store, nodes).forecast_plan(plan, done, known)
