"""`advisor whatif`: the change in every metric when a design or its training is changed.

Both plans are made, priced and judged as `advisor explain` does, by the same predictors, so that what these
do not know of both cancels: the difference of errors is taken draw by draw of one posterior, and a ratio of
costs has the interval of `advisor.cost.comparison`. Nothing is measured, trained or written.

The difference of errors is that of the errors which the designs leave on average. The probability of less
error is that of one training against one other, as in `advisor recommend`; of a change of nothing it is ½.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from advisor.cost.comparison import Side, price_ratios
from advisor.designs.changes import Change, DesignChange, parse_change
from advisor.designs.design import Design, parse_design
from advisor.errors import UsageError, lookup
from advisor.estimate import Estimate
from advisor.networks.joint import graph_of
from advisor.plans.method import BY_CLUSTERS, CLUSTERED, Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.placement import placed
from advisor.plans.plan import TrainingPlan, TrainStep
from cli.workflows.examine.explain import evidence_behind, plan_facts, refuse_options
from cli.workflows.forecast.forecasting import (
    PlanForecast,
    Predictors,
    predictors_for,
    sampled_errors,
    seed_std_of_plan,
)
from cli.workflows.forecast.machine import plain_execution
from cli.workflows.forecast.planning import PlanRequest, check_target, resolve_plan, with_clusters
from cli.workflows.home import SCHEMA_VERSION, Home
from cli.workflows.runs.lookup import existing_store, run_id_of, stored_run
from db.queries import Store
from db.session import open_store
from profiler.device import choose_device

# Costs that are compared, named as in `PricedPlan`.
COSTS = ("train_seconds", "epoch_seconds", "inference_ms_per_image", "train_peak_bytes")
# Changes of the error; unknown where the batch is another.
ERROR_CHANGES = ("test_error_difference", "probability_less_error")
# Changes as they are written, by option: {"depth": "+6", "method": "snapshot"}.
Written = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is changed of a plan; None stays as it is."""

    design: DesignChange = DesignChange()
    batch: Change | None = None
    epochs: Change | None = None
    method: Method | None = None

    @classmethod
    def read(cls, written: Written) -> Changes:
        """Understand the options of the command line.

        Raises:
            UsageError: a change or a method that does not exist.
        """
        numbers = {
            name: parse_change(text, f"--{name}") for name, text in written.items() if name != "method"
        }
        return cls(
            design=DesignChange(
                depth=numbers.get("depth"),
                width=numbers.get("width"),
                members=numbers.get("members"),
                clusters=numbers.get("g"),
            ),
            batch=numbers.get("batch"),
            epochs=numbers.get("epochs"),
            method=lookup("method", written["method"], Method) if "method" in written else None,
        )

    def of(self, plan: TrainingPlan) -> TrainingPlan:
        """Return the plan of the changed design and training, for the machine at hand.

        Raises:
            UsageError: there is no such plan.
        """
        execution = plan.execution
        processes = plain_execution(execution.device).processes
        design = self._clustered(self.design.of(parse_design(plan.design)))
        kept = None if plan.method in BY_CLUSTERS else plan.method
        changed = make_plan(
            design,
            plan.dataset,
            epochs=plan.epochs if self.epochs is None else self.epochs.of(plan.epochs),
            batch=plan.batch if self.batch is None else self.batch.of(plan.batch),
            seed=plan.seed,
            execution=replace(execution, processes=processes),
            options=PlanOptions(method=self.method or kept),
        )
        return placed(changed, processes)

    def _clustered(self, design: Design) -> Design:
        """A method that is changed to has clusters if it has a use for them, unless --g says how many."""
        if self.method is None or self.design.clusters is not None:
            return design
        if self.method in CLUSTERED:
            return with_clusters(design, self.method)
        return Design(members=design.members, clusters=len(design.members))


def whatif(base: PlanRequest, written: Written, home: Home) -> dict[str, Any]:
    """Return the metrics before and after the changes, and their differences; each change by itself as well.

    Args:
        base: a design, a plan or a run, and how a design is trained before the changes.
        written: the changes, by option.
        home: of the database.

    Raises:
        UsageError: no change, or one that cannot be made.
    """
    if not written:
        raise UsageError(
            "whatif needs a change: give --depth, --width, --members, --g, --batch, --epochs or --method, "
            f"for example `advisor whatif {base.target} --epochs x2`"
        )
    changes = Changes.read(written)
    with _opened(base, home) as store:
        named = _named_plan(base, store, home)
        before = Changes().of(named)
        if _trainings(named) != _trainings(before):
            raise UsageError(
                f"{base.target} trains its networks for epochs of its own, which a changed plan would not "
                f"have: name its design, {named.design}"
            )
        comparison = _Comparison(before, predictors_for(before, store))
        after = changes.of(before)
        return _payload(comparison, after, written)


@contextmanager
def _opened(base: PlanRequest, home: Home) -> Iterator[Store]:
    """Open the database; one that does not exist yet is as good as an empty one elsewhere."""
    if _is_run(base):
        refuse_options(base)
        with existing_store(home) as store:
            yield store
        return
    check_target(base)
    with tempfile.TemporaryDirectory() as nowhere:
        path = home.database
        with open_store(path if path.exists() else Path(nowhere) / path.name) as store:
            yield store


def _is_run(base: PlanRequest) -> bool:
    return base.target is not None and (base.target == "last" or base.target.isdecimal())


def _named_plan(base: PlanRequest, store: Store, home: Home) -> TrainingPlan:
    if not _is_run(base):
        return resolve_plan(base, store)
    plan = stored_run(store, home, run_id_of(str(base.target), home)).plan
    choose_device(plan.execution.device)
    return plan


def _trainings(plan: TrainingPlan) -> list[tuple[str, float]]:
    return [
        (plan.network(step.network).network, step.schedule.expected_epochs)
        for step in plan.steps
        if isinstance(step, TrainStep)
    ]


class _Comparison:
    """Plans held against the one before the changes, by the same predictors."""

    def __init__(self, before: TrainingPlan, predictors: Predictors) -> None:
        self.before, self._predictors = before, predictors
        self.plan_forecast = predictors.forecast_plan(before)
        self._errors = sampled_errors(predictors.accuracy, before)

    def described(self, plan: TrainingPlan) -> tuple[dict[str, Any], PlanForecast]:
        """Return a plan with its metrics and what they differ by."""
        plan_forecast = self._predictors.forecast_plan(plan)
        return _metrics(plan, plan_forecast) | {"change": self._change(plan, plan_forecast)}, plan_forecast

    def _change(self, plan: TrainingPlan, plan_forecast: PlanForecast) -> dict[str, Any]:
        counts = [_counts(p) for p in (self.before, plan)]
        change: dict[str, Any] = {f"{name}_ratio": counts[1][name] / n for name, n in counts[0].items()}
        if plan.batch != self.before.batch:
            # The predictor would say that it changes nothing, which it does not know.
            return change | dict.fromkeys(ERROR_CHANGES) | self._ratios(plan, plan_forecast)
        errors = sampled_errors(self._predictors.accuracy, plan)
        change["test_error_difference"] = asdict(Estimate.of_samples(errors - self._errors))
        accuracy = self._predictors.accuracy
        seed_stds = seed_std_of_plan(accuracy, plan), seed_std_of_plan(accuracy, self.before)
        change["probability_less_error"] = accuracy.probability_below(errors, self._errors, seed_stds)
        return change | self._ratios(plan, plan_forecast)

    def _ratios(self, plan: TrainingPlan, plan_forecast: PlanForecast) -> dict[str, Any]:
        if self.plan_forecast.priced is None or plan_forecast.priced is None:
            return {f"{name}_ratio": None for name in COSTS}
        sides = Side(self.before, self.plan_forecast.priced), Side(plan, plan_forecast.priced)
        ratios = asdict(price_ratios(*sides, self._predictors.cost))
        return {f"{name}_ratio": ratios[name] for name in COSTS}


def _payload(comparison: _Comparison, after: TrainingPlan, written: Written) -> dict[str, Any]:
    changed, plan_forecast = comparison.described(after)
    alone, notes = _each_alone(comparison, written)
    before = comparison.before
    unmeasured = [
        n for f in (comparison.plan_forecast, plan_forecast) if f.priced for n in f.priced.unmeasured
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "changes": written,
        "before": _metrics(before, comparison.plan_forecast),
        "after": changed,
        "each_alone": alone,
        "evidence": evidence_behind(plan_forecast) | {"unmeasured": list(dict.fromkeys(unmeasured))},
        "notes": [*notes, *_about(before, after, plan_forecast)],
    }


def _each_alone(comparison: _Comparison, written: Written) -> tuple[list[dict[str, Any]], list[str]]:
    """Return every one of several changes by itself, and which of them cannot be made by itself."""
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    if len(written) < 2:
        return rows, notes
    for option, text in written.items():
        single = {option: text}
        try:
            described, _ = comparison.described(Changes.read(single).of(comparison.before))
        except UsageError as error:
            notes.append(f"--{option} {text} cannot be made by itself: {error}")
        else:
            rows.append({"changes": single} | described)
    return rows, notes


def _metrics(plan: TrainingPlan, plan_forecast: PlanForecast) -> dict[str, Any]:
    priced = plan_forecast.priced
    costs = {name: None if priced is None else asdict(getattr(priced, name)) for name in COSTS}
    return {
        "plan": plan_facts(plan),
        **_counts(plan),
        "predicted": {"test_error": asdict(plan_forecast.test_error), **costs},
    }


def _counts(plan: TrainingPlan) -> dict[str, int]:
    """Parameters and MACs of an image, of what answers after training: shared layers count once."""
    graphs = [graph_of(plan.network(name).network, plan.dataset.task) for name in plan.asked]
    return {"parameters": sum(g.parameters for g in graphs), "macs": sum(g.macs for g in graphs)}


def _about(before: TrainingPlan, after: TrainingPlan, plan_forecast: PlanForecast) -> list[str]:
    notes = []
    if before.batch != after.batch:
        notes.append("The error is forecast whatever the batch: what a changed one does to it is unknown.")
    if plan_forecast.priced is not None and not plan_forecast.priced.fits:
        notes.append(f"{after.design} has a network that ran out of memory here at batch {after.batch}.")
    return notes
