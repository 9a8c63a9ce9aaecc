"""Plans of this machine: as many processes as GPUs, and idle ones shared out."""

import pytest

from advisor.decision.scenario import Limits, Scenario, planned
from advisor.designs.design import parse_design
from advisor.plans.plan import TrainStep
from cli.workflows.forecast import machine, planning
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from db.session import open_store


@pytest.fixture
def four_gpus(monkeypatch):
    """A machine with four GPUs on which nothing was measured."""
    monkeypatch.setattr(machine, "visible_gpus", lambda: 4)
    monkeypatch.setattr(planning, "choose_device", lambda wanted: "cuda")
    monkeypatch.setattr(
        planning, "chosen_execution", lambda store, device, *_: machine.plain_execution(device)
    )


@pytest.mark.parametrize(
    ("design", "processes", "devices"),
    [("resnet-8-4", 1, [4]), ("2xresnet-8-4", 2, [2, 2]), ("3xresnet-8-4@g1", 3, [4, 1, 1, 1])],
)
def test_a_plan_for_cuda_uses_every_gpu_that_it_can(four_gpus, tmp_path, design, processes, devices):
    with open_store(tmp_path / "advisor.sqlite") as store:
        plan = planned_target(PlanRequest(target=design, dataset="digits", epochs=4)).with_settings(store)
    assert (plan.execution.device, plan.execution.processes) == ("cuda", processes)
    assert [step.devices for step in plan.steps if isinstance(step, TrainStep)] == devices


def test_the_search_prices_the_plan_that_would_run(four_gpus, tmp_path):
    target = planned_target(PlanRequest(target="3xresnet-8-4@g1", dataset="digits", epochs=4))
    with open_store(tmp_path / "advisor.sqlite") as store:
        plan = target.with_settings(store)
    scenario = Scenario(
        candidates=(),
        limits=Limits(),
        dataset=plan.dataset,
        epochs=plan.epochs,
        batch=plan.batch,
        seed=plan.seed,
        execution=machine.plain_execution("cuda"),
        cost=None,
        accuracy=None,
    )
    assert planned(scenario, parse_design("3xresnet-8-4@g1")) == plan
