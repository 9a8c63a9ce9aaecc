"""`advisor explain`: a plan step by step with its predicted cost; for a run, the actual cost beside it.

A run is compared with the forecast that was stored when it began, never with a new one, which would know the
outcome. A deviation is actual ÷ predicted − 1; it is only given for what was carried to its end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from advisor.cost.money.machine_price import usd_of_training
from advisor.cost.pricing import PricedPlan
from advisor.designs.design import parse_design
from advisor.errors import UsageError
from advisor.estimate import Estimate
from advisor.plans.plan import TrainingPlan
from cli.quantities import check_price
from cli.workflows.answers.examine.explanation import Explanation, PredictedTotals
from cli.workflows.examine.explain_run import RunProgress, explain_run
from cli.workflows.examine.layer_forecast import forecast_layers
from cli.workflows.examine.plan_clusters import explained_clusters
from cli.workflows.examine.plan_networks import explained_networks
from cli.workflows.examine.plan_steps import about_plan, explained_plan, explained_steps
from cli.workflows.examine.slot_forecasts import refuse_slots_of_a_run, slot_forecasts
from cli.workflows.forecast.cluster.by_kind import cluster_forecast
from cli.workflows.forecast.cluster.kinds import Cluster
from cli.workflows.forecast.coverage import coverage_of
from cli.workflows.forecast.forecasting import PlanForecast, forecast_plan
from cli.workflows.forecast.machine import digests_of
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from cli.workflows.home import Home
from cli.workflows.kept_probes import known_of, probe_of
from cli.workflows.reading import known_store
from cli.workflows.runs.lookup import reading_store, run_id_of, stored_run
from cli.workflows.runs.steps.accounting import machine_of
from cli.workflows.views import Say, silent
from trainer.execution.cluster.address import ClusterAddress


def explain(
    request: PlanRequest,
    price_per_hour: float | None,
    home: Home,
    *,
    layers: bool = False,
    slots: Sequence[int] = (),
    cluster: ClusterAddress | None = None,
    say: Say = silent,
) -> Explanation:
    """Return a plan, or a run, with predicted and actual cost.

    Args:
        request: design, plan file or run, and the options of a plan.
        price_per_hour: price of the machine in USD per hour, None for no cost.
        home: folder of the database.
        layers: whether the steps of every network are forecast layer by layer.
        slots: numbers of slots that the training time of a plan is forecast on as well.
        cluster: cluster that a plan is priced for; None for this machine. A run has the forecast of its
            beginning.
        say: receiver of what is peculiar about a data folder, and about nodes of the cluster.

    Raises:
        UsageError: the request cannot be understood, or the price is not positive and finite.
        RunError: there is no such cluster.
    """
    check_price(price_per_hour, "--price-per-hour")
    if request.names_run:
        refuse_slots_of_a_run(slots, str(request.target))
        return _run(request, price_per_hour, home, layers=layers)
    target = planned_target(request, home, say)
    with known_store(home) as store:
        plan = target.with_settings(store)
        nodes = None if cluster is None else Cluster(cluster, say).kinds(plan.execution.device)
        kept = probe_of(home, plan)
        known = None if kept is None else known_of(kept)
        plan_forecast = forecast_plan(plan, store, nodes=nodes, known=known)
        coverage = coverage_of(store, digests_of(plan.execution.device))
    prices, priced = plan_forecast.cluster, plan_forecast.priced
    placed = None if prices is None or priced is None else priced.placed
    return Explanation(
        plan=explained_plan(plan, price_per_hour),
        run=None,
        steps=explained_steps(plan, _seconds_of_steps(priced), {}, {}, {}, placed),
        predicted=_predicted(plan_forecast, price_per_hour),
        actual=None,
        deviation=None,
        layers=forecast_layers(plan, plan_forecast.predictor) if layers else None,
        evidence=plan_forecast.evidence,
        notes=(
            *about_plan(plan, on_cluster=prices is not None),
            *([] if prices is None else prices.lines(plan)),
            *_about_clusters(request.target, plan),
        ),
        coverage=coverage,
        corrections=plan_forecast.corrections,
        clusters=explained_clusters(plan),
        networks=explained_networks(plan),
        by_slots=slot_forecasts(plan, plan_forecast.predictor, slots),
        cluster=None if prices is None else cluster_forecast(plan, prices),
    )


def _run(request: PlanRequest, price: float | None, home: Home, *, layers: bool) -> Explanation:
    target = str(request.target)
    if layers:
        raise UsageError(
            f"--layers {target}: the forecast of a run is stored by step, not by layer: name a design"
        )
    request.refuse_options_of_a_plan()
    number = run_id_of(target, home)
    with reading_store(home) as store:
        run = stored_run(store, home, number)
        coverage = coverage_of(store, {machine_of(run.fingerprint)})
        progress = RunProgress(
            records={record.step: record for record in store.steps(run.id)},
            epochs=store.epoch_counts(run.id),
            seconds=store.epoch_seconds(run.id),
        )
        return explain_run(run, progress, price, coverage)


def _seconds_of_steps(priced: PricedPlan | None) -> dict[str, Estimate]:
    return {} if priced is None else {step.step: step.seconds for step in priced.steps}


def _predicted(plan_forecast: PlanForecast, price: float | None) -> PredictedTotals:
    priced = plan_forecast.priced
    if priced is None:
        return PredictedTotals(
            test_error=plan_forecast.test_error,
            test_nll=plan_forecast.test_nll,
            calibration_error=plan_forecast.calibration_error,
        )
    return PredictedTotals(
        train_seconds=priced.train_seconds,
        epoch_seconds=priced.epoch_seconds,
        train_peak_bytes=priced.train_peak_bytes,
        train_reserved_bytes=priced.train_reserved_bytes,
        inference_peak_bytes=priced.inference_peak_bytes,
        inference_ms_per_image=priced.inference_ms_per_image,
        energy_joules=priced.energy_joules,
        test_error=plan_forecast.test_error,
        cost_usd=usd_of_training(priced.train_seconds, price),
        test_nll=plan_forecast.test_nll,
        calibration_error=plan_forecast.calibration_error,
        overhead_seconds=None if plan_forecast.overhead is None else plan_forecast.overhead.seconds,
    )


def _about_clusters(target: str | None, plan: TrainingPlan) -> list[str]:
    """Say when a design's @g was understood as no clusters at all, since g equals the number of members."""
    clusters = re.search(r"@g\d+$", target or "")
    if clusters is None or not parse_design(plan.design).independent:
        return []
    return [f"{clusters[0]}: as many clusters as members, so each trains from scratch and none is hatched."]
