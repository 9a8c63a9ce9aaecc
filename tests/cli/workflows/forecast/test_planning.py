"""From what a user names to a plan: what is wrong is refused without a database, and a plan is made once."""

from dataclasses import replace

import pytest
from measured import measurement

from advisor.cost.reference import references
from advisor.designs.design import parse_design
from advisor.errors import AdvisorError
from advisor.plans.dataset import dataset_named
from advisor.plans.methods import make_plan
from advisor.plans.plan import plan_to_json
from cli.workflows.forecast import planning
from cli.workflows.forecast.machine import plain_execution
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target, unmeasured_settings
from db.session import open_store
from profiler.device import fingerprint

REQUEST = PlanRequest(target="2xresnet-8-4@g1", dataset="digits", epochs=4, device="cpu")


@pytest.fixture
def made(monkeypatch):
    """Designs whose plans were made."""
    designs = []

    def counted(design, *arguments, **options):
        designs.append(design.name)
        return make_plan(design, *arguments, **options)

    monkeypatch.setattr(planning, "make_plan", counted)
    return designs


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": "resnet-9"},
        {"target": "no/such/plan.json"},
        {"dataset": "digit"},
        {"method": "magic"},
        {"rank": 1},
        {"seed": -1},
        {"target": "resnet-8-4", "noise": 0.1},
        {"batch": 1},
    ],
)
def test_a_bad_request_is_refused_before_there_is_a_database(wrong):
    with pytest.raises(AdvisorError):
        planned_target(replace(REQUEST, **wrong))


def test_the_plan_of_a_design_is_made_once(made, tmp_path):
    target = planned_target(REQUEST)
    with open_store(tmp_path / "advisor.sqlite") as store:
        plan = target.with_settings(store)
    assert made == ["2xresnet-8-4@g1"]
    assert plan.execution.processes == min(plain_execution("cpu").processes, 2)


def test_the_plan_of_a_recommendation_is_made_once(made, tmp_path):
    request = {"budget": "9k", "dataset": "digits", "epochs": 4, "batch": 32, "seed": 5, "device": "cpu"}
    target = planned_target(PlanRequest())
    with open_store(tmp_path / "advisor.sqlite") as store:
        store.add_recommendation("", request, {"recommendations": [{"design": "resnet-8-4"}]})
        plan = target.with_settings(store)
    assert made == ["resnet-8-4"]
    assert (plan.seed, plan.epochs, plan.batch) == (5, 4, 32)


def test_a_saved_plan_stays_as_it_is(made, tmp_path):
    execution = replace(plain_execution("cpu"), processes=1, memory_format="contiguous")
    plan = make_plan(
        parse_design("2xresnet-8-4"),
        dataset_named("digits"),
        epochs=4,
        batch=32,
        seed=3,
        execution=execution,
    )
    path = tmp_path / "plan.json"
    path.write_text(plan_to_json(plan))
    with open_store(tmp_path / "advisor.sqlite") as store:
        assert planned_target(PlanRequest(target=str(path))).with_settings(store) == plan
    assert made == []


def test_default_arithmetic_of_a_home_without_measurements_is_said_and_that_of_a_saved_plan_kept(tmp_path):
    target = planned_target(REQUEST)
    with open_store(tmp_path / "advisor.sqlite") as store:
        plan = target.with_settings(store)
        reason = unmeasured_settings(target, plan, store)
        assert reason is not None
        assert "(float32, channels_last)" in reason
        assert "no measurements of 1x8x8 images" in reason
        assert "advisor recommend" in reason
        # A plan from elsewhere has settings that this home would not choose.
        elsewhere = replace(
            plan, execution=replace(plan.execution, dtype="bfloat16", memory_format="contiguous")
        )
        (tmp_path / "plan.json").write_text(plan_to_json(elsewhere))
        saved = planned_target(PlanRequest(target=str(tmp_path / "plan.json")))
        assert saved.with_settings(store).execution == elsewhere.execution
        assert unmeasured_settings(saved, elsewhere, store) is None
        reference, task = references(plan.dataset.task)[0], plan.dataset.task
        machine = fingerprint(plain_execution("cpu"))
        store.add_measurement(measurement(reference.network, task, reference.batch, fingerprint=machine))
        assert unmeasured_settings(target, plan, store) is None
