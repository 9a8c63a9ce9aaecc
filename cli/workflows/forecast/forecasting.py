"""Forecasts of a plan: its cost on this machine, and its test error."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.accuracy.likelihood import LikelihoodPredictor
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.predictor import CostPredictor
from advisor.cost.pricing import PricedPlan, price
from advisor.designs.design import parse_design
from advisor.estimate import Estimate, Floats
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import Forecast
from cli.workflows.answers.examine.parts import CostBasis, ErrorBasis, ForecastEvidence
from cli.workflows.forecast.evidence import accuracy_for
from cli.workflows.forecast.machine import predictor_for
from db.queries import Store


@dataclass(frozen=True, slots=True)
class PlanForecast:
    """Predicted cost and error of a plan.

    Attributes:
        priced: predicted cost; None where nothing was measured on this machine.
        test_error: predicted test error, a share.
        test_nll: predicted negative log-likelihood, nats; it is not stored with a run.
        calibration_error: predicted calibration error, a share; it is not stored with a run.
        predictor: predictor of the cost.
        runs: number of trainings that the predicted error rests on.
    """

    priced: PricedPlan | None
    test_error: Estimate
    test_nll: Estimate
    calibration_error: Estimate
    predictor: CostPredictor
    runs: int

    @property
    def forecast(self) -> Forecast:
        """What is stored with a run; costs are None where nothing was measured."""
        if self.priced is not None:
            return self.priced.forecast(self.test_error)
        error = (self.test_error.mean, self.test_error.low, self.test_error.high)
        return Forecast(
            train_seconds=None,
            train_peak_bytes=None,
            inference_ms_per_image=None,
            test_error=error,
            steps=(),
        )

    @property
    def evidence(self) -> ForecastEvidence:
        """Measurements and trainings that the forecast rests on."""
        return ForecastEvidence(
            cost=CostBasis(self.predictor.basis),
            measurements=self.predictor.count,
            accuracy=ErrorBasis.RUNS if self.runs else ErrorBasis.PRIOR,
            runs=self.runs,
            unmeasured=() if self.priced is None else self.priced.unmeasured,
        )


@dataclass(frozen=True, slots=True)
class Predictors:
    """Predictors for plans of one data set, device and arithmetic.

    Attributes:
        cost: predictor of cost on this machine.
        accuracy: predictor of the error on the data set.
        likelihood: predictor of likelihood and calibration on the data set.
        runs: number of trainings that the accuracy predictor has learned from.
    """

    cost: CostPredictor
    accuracy: AccuracyPredictor
    likelihood: LikelihoodPredictor
    runs: int

    def forecast_plan(self, plan: TrainingPlan, done: frozenset[str] = frozenset()) -> PlanForecast:
        """Return the forecast of a plan; finished steps (`done`, by id) cost nothing more."""
        priced = None if self.cost.basis == "nominal" else price(plan, self.cost, done)
        members, seed_std = len(plan.members), seed_std_of_plan(self.accuracy, plan)
        errors = sampled_errors(self.accuracy, plan)
        return PlanForecast(
            priced,
            self.accuracy.predict(errors, seed_std, plan.dataset.test_images),
            self.likelihood.predict_nll(errors, members, seed_std),
            self.likelihood.predict_calibration(errors, members, seed_std),
            self.cost,
            self.runs,
        )


def predictors_for(plan: TrainingPlan, store: Store) -> Predictors:
    """Return predictors for a plan, and for others that differ in design, epochs, batch or method only."""
    cost = predictor_for(store, plan.execution, plan.dataset.augmentation.key)
    accuracy, evidence = accuracy_for(store, plan.dataset, 0)
    data = plan.dataset
    likelihood = LikelihoodPredictor.of(data.learned_as, data.task.classes, evidence)
    return Predictors(cost, accuracy, likelihood, len(evidence))


def forecast_plan(plan: TrainingPlan, store: Store, done: frozenset[str] = frozenset()) -> PlanForecast:
    """Return the predicted cost and error of a plan.

    Args:
        plan: plan to be trained.
        store: database with measurements and trainings.
        done: ids of finished steps, which cost nothing more.
    """
    return predictors_for(plan, store).forecast_plan(plan, done)


def seed_std_of_plan(accuracy: AccuracyPredictor, plan: TrainingPlan) -> float:
    """Return the standard deviation of the log of a plan's test error between seeds."""
    return accuracy.seed_std(parse_design(plan.design), plan.dataset.learned_as, plan.method)


def sampled_errors(accuracy: AccuracyPredictor, plan: TrainingPlan) -> Floats:
    """Return posterior draws of a plan's test error, shape (SAMPLES,); draw i of two plans is one draw."""
    design = parse_design(plan.design)
    data = plan.dataset
    errors = accuracy.sample_errors([design], data.learned_as, data.task, plan.epochs, [plan.method])
    return errors[:, 0]
