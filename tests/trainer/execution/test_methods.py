"""Every training method on the digits: what members learn from, where they begin, and that runs resume."""

from dataclasses import replace

import pytest
import torch

from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS
from advisor.plans.method_traits import CLUSTERED, Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.records import StepStatus
from trainer.data.batches import bootstrap_sample
from trainer.ensembles.evaluate import evaluate
from trainer.training.checkpoint import load_checkpoint


@pytest.fixture
def plan_by(plain):
    """Plan of a method on the digits; the networks are tiny and train a few epochs."""

    def make(method, design="3xmlp-1-16", epochs=8, processes=1):
        return make_plan(
            parse_design(design),
            DATASETS["digits"],
            epochs=epochs,
            batch=128,
            seed=7,
            execution=replace(plain, processes=processes),
            options=PlanOptions(method=method, rate=0.1, hatched_epochs=2),
        )

    return make


METHODS = [(method, "3xmlp-1-16" + "@g1" * (method in CLUSTERED)) for method in Method]


@pytest.mark.parametrize(("method", "design"), METHODS)
def test_every_method_trains_an_ensemble_that_is_better_than_guessing(
    plan_by, run, files, digits, method, design
):
    plan = plan_by(method, design)
    story = run(plan)
    assert {record.status for record in story.ended.values()} == {StepStatus.DONE}
    figures = evaluate(plan, files, digits, [m.name for m in plan.members]).metrics
    assert figures.error < 0.5
    assert len(figures.member_errors) == 3


@pytest.mark.parametrize(("method", "design"), METHODS)
def test_a_stopped_run_goes_on_to_the_same_bits(plan_by, run, files, weights, same_bits, method, design):
    plan = plan_by(method, design.replace("3xmlp-1-16", "2xmlp-1-8"), epochs=3)
    elsewhere = replace(files, folder=files.folder.with_name("whole"))
    run(plan, elsewhere)
    for calls in (3, 11, 17):
        left = [calls]

        def soon(left=left):
            left[0] -= 1
            return left[0] < 0

        run(plan, stop=soon)
    run(plan)
    for network in plan.built:
        assert same_bits(weights(network.name), weights(network.name, elsewhere))


def test_a_bootstrap_sample_leaves_out_about_a_third_of_the_images():
    sample = bootstrap_sample(10_000, 1)
    assert sample.shape == (10_000,)
    # (1 - 1/n)^n tends to 1/e, with a standard deviation of 0.3 %.
    assert 1 - len(sample.unique()) / 10_000 == pytest.approx(0.368, abs=0.012)
    assert not torch.equal(sample, bootstrap_sample(10_000, 2))
    assert torch.equal(sample, bootstrap_sample(10_000, 1))


def test_a_snapshot_begins_as_the_one_before_it(plan_by, run, files, weights, same_bits):
    plan = plan_by(Method.SNAPSHOT, "2xmlp-1-8")
    hatched = {}

    def once_hatched():
        checkpoint = load_checkpoint(files.of_network("member-2"), print)
        if checkpoint is not None:
            hatched.update(checkpoint.weights)
        return bool(hatched)

    run(plan, stop=once_hatched)
    assert same_bits(hatched, weights("member-1"))
    run(plan)
    assert not same_bits(weights("member-2"), weights("member-1"))
