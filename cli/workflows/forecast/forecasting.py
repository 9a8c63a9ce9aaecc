"""What a plan will cost and how much error it will leave."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.predictor import CostPredictor
from advisor.cost.pricing import PricedPlan, price
from advisor.designs.design import parse_design
from advisor.estimate import Estimate, Floats
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import Forecast
from cli.workflows.forecast.evidence import accuracy_for
from cli.workflows.forecast.machine import predictor_for
from db.queries import Store


@dataclass(frozen=True, slots=True)
class PlanForecast:
    """Predicted cost and error of a plan; cost is None where this machine was never measured.

    Attributes:
        priced: what it costs.
        test_error: what error it leaves.
        predictor: of the costs.
        runs: that the error rests on.
    """

    priced: PricedPlan | None
    test_error: Estimate
    predictor: CostPredictor
    runs: int

    @property
    def forecast(self) -> Forecast:
        """What is kept beside a run; costs are left out where nothing was measured."""
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


@dataclass(frozen=True, slots=True)
class Predictors:
    """What plans of one data set, device and arithmetic are judged by.

    Attributes:
        cost: of this machine.
        accuracy: of the data set.
        runs: that the latter rests on.
    """

    cost: CostPredictor
    accuracy: AccuracyPredictor
    runs: int

    def forecast_plan(self, plan: TrainingPlan, done: frozenset[str] = frozenset()) -> PlanForecast:
        """Predict a plan's cost, without the steps that are done, and its error."""
        priced = None if self.cost.basis == "nominal" else price(plan, self.cost, done)
        return PlanForecast(priced, predicted_error(self.accuracy, plan), self.cost, self.runs)


def predictors_for(plan: TrainingPlan, store: Store) -> Predictors:
    """Return the predictors of a plan, and of others that differ in design, epochs, batch or method."""
    cost = predictor_for(store, plan.execution, plan.dataset.augmentation.key)
    data = plan.dataset
    accuracy, evidence = accuracy_for(store, data.learned_as, 0, data.train_images)
    return Predictors(cost, accuracy, len(evidence))


def forecast_plan(plan: TrainingPlan, store: Store, done: frozenset[str] = frozenset()) -> PlanForecast:
    """Predict what a plan will cost, without the steps that are done, and how much error it will leave."""
    return predictors_for(plan, store).forecast_plan(plan, done)


def predicted_error(accuracy: AccuracyPredictor, plan: TrainingPlan) -> Estimate:
    """Return the predicted test error of a plan."""
    return accuracy.predict(
        sampled_errors(accuracy, plan), seed_std_of_plan(accuracy, plan), plan.dataset.test_images
    )


def seed_std_of_plan(accuracy: AccuracyPredictor, plan: TrainingPlan) -> float:
    """Return the spread of the log of a plan's test error between seeds."""
    return accuracy.seed_std(parse_design(plan.design), plan.dataset.learned_as, plan.method)


def sampled_errors(accuracy: AccuracyPredictor, plan: TrainingPlan) -> Floats:
    """Return draws of a plan's test error, shape (SAMPLES,); those of two plans belong together by index."""
    design = parse_design(plan.design)
    data = plan.dataset
    errors = accuracy.sample_errors([design], data.learned_as, data.task, plan.epochs, [plan.method])
    return errors[:, 0]
