"""`advisor explain`: a plan step by step with its predicted cost; for a run, the actual beside it.

A run is held against the forecast that was stored when it began, never against a new one, which would know
the outcome. A deviation is actual ÷ predicted − 1; it is only given for what was carried to its end.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict
from typing import Any

from advisor.cost.pricing import EVALUATE, PricedPlan
from advisor.designs.design import parse_design
from advisor.errors import UsageError
from advisor.estimate import Estimate
from advisor.networks.joint import graph_of
from advisor.plans.placement import devices_of
from advisor.plans.plan import HatchStep, Role, TrainingPlan
from advisor.plans.records import Forecast, Run, RunStatus, StepRecord, StepStatus
from cli.workflows.examine.layer_forecast import forecast_layers
from cli.workflows.forecast.forecasting import PlanForecast, forecast_plan
from cli.workflows.forecast.planning import PlanRequest, check_target, resolve_plan
from cli.workflows.home import SCHEMA_VERSION, Home
from cli.workflows.runs.lookup import existing_store, run_id_of, stored_run
from db.queries import Store
from db.session import open_store

SECONDS_PER_HOUR = 3600
# Totals of a priced plan, in the order in which they are shown.
PRICED = (
    "train_seconds",
    "epoch_seconds",
    "train_peak_bytes",
    "train_reserved_bytes",
    "inference_peak_bytes",
    "inference_ms_per_image",
    "energy_joules",
)


def explain(
    request: PlanRequest, price_per_hour: float | None, home: Home, *, layers: bool = False
) -> dict[str, Any]:
    """Return a plan (or a run, named by its number or ``last``) with predicted and actual cost.

    Args:
        request: a design, a plan or a run, and the options of a plan.
        price_per_hour: USD an hour of the machine, None for no cost.
        home: of the database.
        layers: whether the steps of every network are wanted layer by layer.

    Raises:
        UsageError: the request cannot be understood, or the price is no price.
    """
    _check_price(price_per_hour)
    target = request.target
    if target is not None and (target == "last" or target.isdecimal()):
        if layers:
            raise UsageError(
                f"--layers {target}: the forecast of a run is stored by step, not by layer: name a design"
            )
        refuse_options(request)
        number = run_id_of(target, home)
        with existing_store(home) as store:
            return _described_run(store, stored_run(store, home, number), price_per_hour)
    check_target(request)
    with open_store(home.database) as store:
        plan = resolve_plan(request, store)
        plan_forecast = forecast_plan(plan, store)
    payload = _described_plan(plan, plan_forecast, price_per_hour)
    payload["layers"] = forecast_layers(plan, plan_forecast.predictor) if layers else None
    payload["notes"] += _about_clusters(target, plan)
    return payload


def _check_price(price: float | None) -> None:
    if price is not None and not (price > 0 and math.isfinite(price)):
        raise UsageError(
            f"--price-per-hour must be positive and finite, got {price:g}: give USD an hour, or leave it out"
        )


def refuse_options(request: PlanRequest) -> None:
    """Refuse what a run has decided.

    Raises:
        UsageError: an option of a plan beside a run.
    """
    fixed = request.fixed_by_a_plan() + [n for n in ("rank", "device") if getattr(request, n) is not None]
    if fixed:
        raise UsageError(
            f"a run fixes its {', '.join(fixed).replace('_', ' ')}: leave the option out, or name a design"
        )


def _about_clusters(target: str | None, plan: TrainingPlan) -> list[str]:
    """Say when a design's @g was understood as no clusters at all, since g equals the number of members."""
    clusters = re.search(r"@g\d+$", target or "")
    if clusters is None or not parse_design(plan.design).independent:
        return []
    return [f"{clusters[0]}: as many clusters as members, so each trains from scratch and none is hatched."]


def _described_plan(plan: TrainingPlan, plan_forecast: PlanForecast, price: float | None) -> dict[str, Any]:
    priced = plan_forecast.priced
    seconds = {} if priced is None else {s.step: s.seconds for s in priced.steps}
    totals = _priced_totals(priced) | {"test_error": plan_forecast.test_error}
    steps = [
        row | {"seconds": _plain(seconds.get(row["step"]))} for row in _steps(plan, [*seconds, EVALUATE])
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "plan": plan_facts(plan) | {"price_per_hour_usd": price},
        "run": None,
        "steps": steps,
        "predicted": {name: _plain(estimate) for name, estimate in _with_cost(totals, price).items()},
        "evidence": evidence_behind(plan_forecast),
        "notes": _about_sharing(plan) + _about_concurrency(plan),
    }


def evidence_behind(plan_forecast: PlanForecast) -> dict[str, Any]:
    """Return what a forecast rests on."""
    return {
        "cost": plan_forecast.predictor.basis,
        "measurements": plan_forecast.predictor.count,
        "accuracy": "runs" if plan_forecast.runs else "prior",
        "runs": plan_forecast.runs,
        "unmeasured": [] if plan_forecast.priced is None else list(plan_forecast.priced.unmeasured),
    }


def _priced_totals(priced: PricedPlan | None) -> dict[str, Estimate | None]:
    if priced is None:
        return dict.fromkeys(PRICED)
    return {name: getattr(priced, name) for name in PRICED}


def _described_run(store: Store, run: Run, price: float | None) -> dict[str, Any]:
    records = {record.step: record for record in store.steps(run.id)}
    plan_forecast = _foreseen_steps(run.forecast)
    steps = [
        row | _held_against(plan_forecast.get(row["step"]), records.get(row["step"]))
        for row in _steps(run.plan, [*plan_forecast, *records, EVALUATE])
    ]
    predicted = _with_cost(_foreseen_totals(run.forecast), price)
    actual = _actual_totals(run, list(records.values()), price)
    complete = run.status is RunStatus.DONE
    return {
        "schema_version": SCHEMA_VERSION,
        "plan": plan_facts(run.plan) | {"price_per_hour_usd": price},
        "run": {
            "id": run.id,
            "created_at": run.created_at,
            "status": run.status.value,
            "message": run.message,
        },
        "steps": steps,
        "predicted": {name: _plain(estimate) for name, estimate in predicted.items()},
        "actual": actual,
        "deviation": {
            name: deviation(predicted.get(name), value) if complete else None
            for name, value in actual.items()
        },
        "layers": None,
        "evidence": None,
        "notes": _about_run(run) + _about_sharing(run.plan) + _about_concurrency(run.plan),
    }


def plan_facts(plan: TrainingPlan) -> dict[str, Any]:
    """Return what a plan is, without its steps."""
    return {
        "design": plan.design,
        "method": plan.method.value,
        "dataset": plan.dataset.name,
        "epochs": plan.epochs,
        "batch": plan.batch,
        "seed": plan.seed,
        "processes": plan.execution.processes,
        "dtype": plan.execution.dtype,
        "device": plan.execution.device,
    }


def _steps(plan: TrainingPlan, known: list[str]) -> list[dict[str, Any]]:
    """Return the steps of a plan, and after them what is `known` beyond: the evaluation of all members."""
    planned = [
        {
            "step": step.id,
            "network": plan.network(step.network).network,
            "after": list(step.after),
            "epochs": 0 if isinstance(step, HatchStep) else step.schedule.expected_epochs,
        }
        for step in plan.steps
    ]
    ids = {step.id for step in plan.steps}
    further = [name for name in dict.fromkeys(known) if name not in ids]
    last = [plan.train_steps_of(member.name)[-1].id for member in plan.members]
    return planned + [{"step": name, "network": None, "after": last, "epochs": 0} for name in further]


def _foreseen_steps(forecast: Forecast | None) -> dict[str, Estimate]:
    return {} if forecast is None else {s.step: Estimate(s.mean, s.low, s.high) for s in forecast.steps}


def _foreseen_totals(forecast: Forecast | None) -> dict[str, Estimate | None]:
    names = ("train_seconds", "train_peak_bytes", "inference_ms_per_image", "test_error")
    triples = {name: None if forecast is None else getattr(forecast, name) for name in names}
    return {name: None if triple is None else Estimate(*triple) for name, triple in triples.items()}


def _held_against(predicted: Estimate | None, record: StepRecord | None) -> dict[str, Any]:
    done = record is not None and record.status is StepStatus.DONE
    actual = None if record is None else record.seconds
    return {
        "seconds": _plain(predicted),
        "status": None if record is None else record.status,
        "actual_seconds": actual,
        "deviation": deviation(predicted, actual) if done else None,
    }


def _actual_totals(run: Run, records: list[StepRecord], price: float | None) -> dict[str, float | None]:
    """What a run took; its peak is the largest sum of as many steps as run at once, as in pricing."""
    peaks = sorted((r.peak_bytes for r in records if r.peak_bytes), reverse=True)
    actual: dict[str, float | None] = {
        "train_seconds": run.train_seconds or None,
        "train_peak_bytes": sum(peaks[: run.plan.execution.processes]) or None,
        "test_error": None if run.test is None else run.test.error,
    }
    if price is not None:
        actual["cost_usd"] = run.train_seconds * price / SECONDS_PER_HOUR or None
    return actual


def _with_cost(totals: dict[str, Estimate | None], price: float | None) -> dict[str, Estimate | None]:
    if price is None:
        return totals
    seconds = totals["train_seconds"]
    return totals | {"cost_usd": None if seconds is None else seconds.scaled(price / SECONDS_PER_HOUR)}


def deviation(predicted: Estimate | None, actual: float | None) -> dict[str, Any] | None:
    """Return actual ÷ predicted − 1 and whether the actual lies in the interval; None if one is unknown."""
    if predicted is None or actual is None or predicted.mean <= 0:
        return None
    return {"share": actual / predicted.mean - 1, "inside": predicted.low <= actual <= predicted.high}


def _about_run(run: Run) -> list[str]:
    notes = []
    if run.forecast is None:
        notes.append("No forecast was stored when this run began: only the actual figures are shown.")
    elif run.forecast.train_seconds is None:
        notes.append("No cost was forecast when this run began: too little had been measured here.")
    if run.status is not RunStatus.DONE:
        notes.append(
            f"The status of the run is {run.status.value}: only its finished steps are compared, no totals."
        )
    return notes


def _about_sharing(plan: TrainingPlan) -> list[str]:
    notes, task = [], plan.dataset.task
    for network in plan.networks:
        if network.role is Role.JOINT:
            names = [plan.network(name).network for name in plan.outputs_of(network.name)]
            apart = sum(graph_of(name, task).parameters for name in names)
            saved = 1 - graph_of(network.network, task).parameters / apart
            notes.append(f"{network.name} has {100 * saved:.0f} % fewer parameters than its members apart.")
    return notes


def _about_concurrency(plan: TrainingPlan) -> list[str]:
    notes, count = [], plan.execution.processes
    if count > 1:
        notes.append(f"Steps run {count} at a time, slowed by their neighbours: they add up to more.")
    if (most := max(devices_of(step) for step in plan.steps)) > 1:
        notes.append(f"Up to {most} devices share a network's batches: what that gains is not measured yet.")
    return notes


def _plain(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else asdict(estimate)
