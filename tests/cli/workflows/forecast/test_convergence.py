"""Which finished steps of the database teach the epochs to convergence."""

import pytest

from advisor.designs.design import parse_design
from advisor.plans.convergence.kinds import Kind, train_steps
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.method_traits import Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.recipes.choice import RecipeName
from advisor.plans.records import EpochRecord, RunStatus
from cli.workflows.forecast.convergence import epoch_predictor, with_learned_epochs
from db.session import open_store

EXECUTION = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")


def plan_of(method=None, design="2xmlp-1-8", **options):
    return make_plan(
        parse_design(design),
        DATASETS["digits"],
        epochs=20,
        batch=32,
        seed=0,
        execution=EXECUTION,
        options=PlanOptions(method=method, **options),
    )


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "advisor.sqlite") as opened:
        yield opened


def ran(store, plan, epochs, status=RunStatus.DONE):
    """Store a run whose steps had so many epochs, each with less training error than the one before."""
    run = store.create_run(
        created_at="2026-01-01T00:00:00+00:00", plan=plan, parameters=1, fingerprint="", forecast=None
    )
    for step in train_steps(plan):
        for number in range(epochs):
            record = EpochRecord(
                step=step.id,
                network=step.network,
                epoch=number,
                rate=0.1,
                train_loss=1.0,
                train_error=1 / (number + 2),
                validation_loss=1.0,
                validation_error=0.5,
                validation_probabilities=b"",
                seconds=1.0,
            )
            store.record_epoch(run.id, record)
    store.update_run(run.id, status=status, train_seconds=1.0, message="")


def test_finished_steps_teach_their_kind_and_the_shape_of_their_rate(store):
    ran(store, plan_of(Method.BAGGING), 20)
    ran(store, plan_of(design="2xmlp-1-8@g1", recipe=RecipeName.PUBLISHED), 20)
    found = [(e.kind, e.falling, len(e.train_errors)) for e in epoch_predictor(store).evidence]
    assert (
        found == [(Kind.BAGGED, True, 20)] * 2 + [(Kind.MOTHER, False, 20)] + [(Kind.HATCHED, False, 20)] * 2
    )


def test_cycles_unfinished_runs_and_steps_that_ended_early_teach_nothing(store):
    ran(store, plan_of(Method.SNAPSHOT), 9)
    ran(store, plan_of(), 20, status=RunStatus.INTERRUPTED)
    ran(store, plan_of(), 12, status=RunStatus.PARTIAL)
    assert epoch_predictor(store).evidence == ()


def test_a_plan_of_a_fixed_length_asks_nothing_of_the_database():
    plan = plan_of()
    assert with_learned_epochs(plan, store=None) is plan


def test_trainings_that_never_stopped_gaining_raise_what_is_expected(store):
    plan = plan_of(recipe=RecipeName.PUBLISHED, patience=3)
    before = plan.steps[0].schedule
    ran(store, plan, 20)
    ran(store, plan, 20)
    after, kept = with_learned_epochs(plan, store, {"train member-2"}).steps
    assert after.schedule.expected > before.expected
    assert kept.schedule == before
