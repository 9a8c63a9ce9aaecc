"""`advisor explain`: a plan step by step with its predicted cost; for a run, the actual beside it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from advisor.plan import HatchStep, TrainingPlan
from cli.workflows.home import SCHEMA_VERSION, Home
from cli.workflows.planning import Foreseen, PlanRequest, check_target, foresee, resolve_plan
from cli.workflows.runs import describe_run, run_id_of
from db.session import open_store


def explain(request: PlanRequest, home: Home) -> dict[str, Any]:
    """Return a plan (or a run, named by its number or ``last``) with predicted and actual cost."""
    target = request.target
    if target is None or not (target == "last" or target.isdecimal()):
        check_target(request)
    with open_store(home.database) as store:
        if target is not None and (target == "last" or target.isdecimal()):
            number = run_id_of(target, home)
            plan = store.run(number).plan
            described = describe_run(store, number)["run"]
            return _described(plan, foresee(plan, store)) | {"run": described}
        plan = resolve_plan(request, store)
        return _described(plan, foresee(plan, store))


def _described(plan: TrainingPlan, foreseen: Foreseen) -> dict[str, Any]:
    priced = foreseen.priced
    seconds = {} if priced is None else {s.step: asdict(s.seconds) for s in priced.steps}
    totals = ("train_seconds", "epoch_seconds", "inference_ms_per_image", "train_peak_bytes")
    return {
        "schema_version": SCHEMA_VERSION,
        "plan": {
            "design": plan.design,
            "method": plan.method.value,
            "dataset": plan.dataset.name,
            "epochs": plan.epochs,
            "batch": plan.batch,
            "seed": plan.seed,
            "processes": plan.execution.processes,
            "dtype": plan.execution.dtype,
            "device": plan.execution.device,
        },
        "steps": [
            {
                "step": step.id,
                "network": plan.network(step.network).network,
                "after": list(step.after),
                "epochs": 0 if isinstance(step, HatchStep) else step.schedule.expected_epochs,
                "seconds": seconds.get(step.id),
            }
            for step in plan.steps
        ],
        "predicted": {
            **{name: None if priced is None else asdict(getattr(priced, name)) for name in totals},
            "test_error": asdict(foreseen.test_error),
        },
        "evidence": {
            "cost": foreseen.basis,
            "measurements": foreseen.measurements,
            "accuracy": "runs" if foreseen.runs else "prior",
            "runs": foreseen.runs,
        },
    }
