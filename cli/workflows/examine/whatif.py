"""`advisor whatif`: the change in every metric when a design or its training is changed.

Both plans are made and forecast as in `advisor explain`, by the same predictors. Errors that are common to
both forecasts cancel: the difference of test errors is taken draw by draw of one posterior, and a ratio of
costs has the interval of `advisor.cost.comparison`. Nothing is measured, trained or written.

The difference of test errors is that of their expected values. The probability of less error is that of one
training against one other, as in `advisor recommend`; of a change of nothing it is ½.
"""

from __future__ import annotations

from dataclasses import replace

from advisor.cost.comparison import Side, price_ratios
from advisor.cost.money.machine_price import usd_of_training
from advisor.errors import UsageError
from advisor.estimate import Estimate
from advisor.networks.shared_layers import graph_of
from advisor.plans.convergence.expectation import with_expected_epochs
from advisor.plans.convergence.predictor import EpochPredictor
from advisor.plans.plan import TrainingPlan, TrainStep
from advisor.plans.recipes.choice import patience_of_plan
from cli.workflows.answers.examine.parts import ForecastEvidence, PlanFacts, fields_of
from cli.workflows.answers.examine.whatif import (
    Change,
    ChangedPlan,
    PlanMetrics,
    PredictedMetrics,
    SingleChange,
    WhatIf,
)
from cli.workflows.examine.plan_changes import Changes, Written
from cli.workflows.forecast.convergence import epoch_predictor
from cli.workflows.forecast.forecasting import (
    PlanForecast,
    Predictors,
    predictors_for,
)
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from cli.workflows.home import Home
from cli.workflows.reading import known_store
from cli.workflows.runs.lookup import reading_store, run_id_of, stored_run
from cli.workflows.views import Say, silent
from db.queries import Store
from profiler.device import choose_device


def whatif(
    base: PlanRequest,
    written: Written,
    home: Home,
    say: Say = silent,
    price_per_hour: float | None = None,
) -> WhatIf:
    """Return the metrics before and after the changes, and their differences; each change by itself as well.

    Args:
        base: design, plan file or run, and how a design is trained before the changes.
        written: changes as they are written, by option.
        home: folder of the database.
        say: receiver of what is peculiar about a data folder.
        price_per_hour: price of the machine in USD per hour, None for no cost.

    Raises:
        UsageError: no change, or one that cannot be made.
    """
    if not written:
        raise UsageError(
            "whatif needs a change: give --depth, --width, --members, --g, --batch, --epochs, --method, "
            "--images, --weight-decay, --recipe or --patience, for example "
            f"`advisor whatif {base.target} --epochs x2`"
        )
    changes = Changes.read(written)
    comparison = _Comparison(*_before(base, home, say, written), price_per_hour)
    return _answer(comparison, changes.of(comparison.before), written)


def _before(
    base: PlanRequest, home: Home, say: Say, written: Written
) -> tuple[TrainingPlan, Predictors, EpochPredictor]:
    """Return the plan before the changes and its predictors."""
    if base.names_run:
        base.refuse_options_of_a_plan()
        with reading_store(home) as store:
            run = stored_run(store, home, run_id_of(str(base.target), home))
            choose_device(run.plan.execution.device)
            return _remade(run.plan, base, store, written)
    target = planned_target(base, home, say)
    with known_store(home) as store:
        return _remade(target.with_settings(store), base, store, written)


def _remade(
    plan: TrainingPlan, base: PlanRequest, store: Store, written: Written
) -> tuple[TrainingPlan, Predictors, EpochPredictor]:
    """Return the plan as it is made from its design, as a changed plan is, and its predictors."""
    remade = Changes().of(plan)
    if _trainings(plan) != _trainings(remade):
        raise UsageError(
            f"{base.target} trains its networks for epochs of its own, which a changed plan would not "
            f"have: name its design, {plan.design}"
        )
    converges = patience_of_plan(remade) is not None or {"recipe", "patience"} & written.keys()
    epochs = epoch_predictor(store) if converges else EpochPredictor()
    return with_expected_epochs(remade, epochs), predictors_for(remade, store), epochs


def _trainings(plan: TrainingPlan) -> list[tuple[str, int]]:
    return [
        (plan.network(step.network).network, step.schedule.epochs)
        for step in plan.steps
        if isinstance(step, TrainStep)
    ]


class _Comparison:
    """Plans beside the one before the changes, forecast by the same predictors."""

    def __init__(
        self,
        before: TrainingPlan,
        predictors: Predictors,
        epochs: EpochPredictor,
        price_per_hour: float | None = None,
    ) -> None:
        self.before, self._predictors, self._epochs = before, predictors, epochs
        self.price_per_hour = price_per_hour
        self.plan_forecast = predictors.forecast_plan(before)
        self.images = predictors.images
        self._errors = predictors.sampled_errors(before)

    def changed(self, plan: TrainingPlan) -> tuple[ChangedPlan, PlanForecast]:
        """Return a changed plan with its metrics and their change, and its forecast."""
        plan = with_expected_epochs(plan, self._epochs)
        plan_forecast = self._predictors.forecast_plan(plan)
        metrics, change = self.metrics(plan, plan_forecast), self._change(plan, plan_forecast)
        return ChangedPlan(**fields_of(metrics), change=change), plan_forecast

    def metrics(self, plan: TrainingPlan, plan_forecast: PlanForecast) -> PlanMetrics:
        """Return the metrics of a plan."""
        parameters, macs = _counts(plan)
        return PlanMetrics(
            plan=PlanFacts.of(plan),
            parameters=parameters,
            macs=macs,
            train_images=plan.dataset.train_images,
            test_error_extrapolated=self.images.extrapolated(plan.dataset.train_images),
            predicted=_predicted(plan_forecast, self.price_per_hour),
        )

    def _change(self, plan: TrainingPlan, plan_forecast: PlanForecast) -> Change:
        before, after = _counts(self.before), _counts(plan)
        difference, probability = self._error_change(plan)
        change = Change(
            parameters_ratio=after[0] / before[0],
            macs_ratio=after[1] / before[1],
            test_error_difference=difference,
            probability_less_error=probability,
        )
        if self.plan_forecast.priced is None or plan_forecast.priced is None:
            return change
        sides = Side(self.before, self.plan_forecast.priced), Side(plan, plan_forecast.priced)
        ratios = price_ratios(*sides, self._predictors.cost)
        return replace(
            change,
            train_seconds_ratio=ratios.train_seconds,
            epoch_seconds_ratio=ratios.epoch_seconds,
            inference_ms_per_image_ratio=ratios.inference_ms_per_image,
            train_peak_bytes_ratio=ratios.train_peak_bytes,
        )

    def _error_change(self, plan: TrainingPlan) -> tuple[Estimate | None, float | None]:
        if plan.batch != self.before.batch:
            # The predictor does not know what another batch does to the error, and would say: nothing.
            return None, None
        errors = self._predictors.sampled_errors(plan)
        seed_stds = self._predictors.seed_std(plan), self._predictors.seed_std(self.before)
        return (
            Estimate.of_samples(errors - self._errors),
            self._predictors.accuracy.probability_below(errors, self._errors, seed_stds),
        )


def _answer(comparison: _Comparison, after: TrainingPlan, written: Written) -> WhatIf:
    changed, plan_forecast = comparison.changed(after)
    alone, notes = _each_alone(comparison, written)
    return WhatIf(
        changes=written,
        before=comparison.metrics(comparison.before, comparison.plan_forecast),
        after=changed,
        each_alone=tuple(alone),
        evidence=_evidence(comparison.plan_forecast, plan_forecast),
        extrapolated_beyond_images=comparison.images.extrapolated_beyond,
        notes=(*notes, *_about(comparison.before, after, plan_forecast), *_of_images(comparison, after)),
        price_per_hour_usd=comparison.price_per_hour,
    )


def _evidence(before: PlanForecast, after: PlanForecast) -> ForecastEvidence:
    unmeasured = dict.fromkeys([*before.evidence.unmeasured, *after.evidence.unmeasured])
    return replace(after.evidence, unmeasured=tuple(unmeasured))


def _each_alone(comparison: _Comparison, written: Written) -> tuple[list[SingleChange], list[str]]:
    """Return every one of several changes by itself, and remarks on those that need another one."""
    rows: list[SingleChange] = []
    notes: list[str] = []
    if len(written) < 2:
        return rows, notes
    for option, text in written.items():
        single = {option: text}
        try:
            changed, _ = comparison.changed(Changes.read(single).of(comparison.before))
        except UsageError as error:
            notes.append(f"--{option} {text} cannot be made by itself: {error}")
        else:
            rows.append(SingleChange(**fields_of(changed), changes=single))
    return rows, notes


def _predicted(plan_forecast: PlanForecast, price_per_hour: float | None) -> PredictedMetrics:
    priced = plan_forecast.priced
    if priced is None:
        return PredictedMetrics(test_error=plan_forecast.test_error)
    return PredictedMetrics(
        test_error=plan_forecast.test_error,
        train_seconds=priced.train_seconds,
        epoch_seconds=priced.epoch_seconds,
        inference_ms_per_image=priced.inference_ms_per_image,
        train_peak_bytes=priced.train_peak_bytes,
        cost_usd=usd_of_training(priced.train_seconds, price_per_hour),
    )


def _counts(plan: TrainingPlan) -> tuple[int, int]:
    """Return parameters and MACs of an image, of all networks after training: shared layers count once."""
    graphs = [graph_of(plan.network(name).network, plan.dataset.task) for name in plan.asked]
    return sum(graph.parameters for graph in graphs), sum(graph.macs for graph in graphs)


def _about(before: TrainingPlan, after: TrainingPlan, plan_forecast: PlanForecast) -> list[str]:
    notes = []
    if before.batch != after.batch:
        notes.append("The error is forecast whatever the batch: what a changed one does to it is unknown.")
    if plan_forecast.priced is not None and not plan_forecast.priced.fits:
        notes.append(f"{after.design} has a network that ran out of memory here at batch {after.batch}.")
    return notes


def _of_images(comparison: _Comparison, after: TrainingPlan) -> list[str]:
    """Return remarks on a changed number of training images."""
    known, images = comparison.images, after.dataset.train_images
    if images == comparison.before.dataset.train_images:
        return []
    notes = ["An epoch passes over all training images, so with more of them it has more steps."]
    if known.extrapolated(images):
        notes.append(
            f"The error on {images:,} images is extrapolated: more than twice the {known.evidence:,} images "
            "that the evidence on these data has at most."
        )
    return notes
