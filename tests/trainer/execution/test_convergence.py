"""Trainings until they converge, on the digits: each ends by its own errors, and resumes to the same bits."""

from dataclasses import replace

import pytest

from advisor.designs.design import parse_design
from advisor.plans.convergence.kinds import Kind, train_steps
from advisor.plans.convergence.predictor import EpochPredictor, TrainedStep
from advisor.plans.dataset import DATASETS
from advisor.plans.method_traits import CLUSTERED, Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.recipes.choice import RecipeName
from trainer.training.checkpoint import load_checkpoint

PATIENCE, MOST = 1, 25


@pytest.fixture
def plan_by(plain):
    """Plan of a method on the digits, to convergence by the published recipe; the networks are tiny."""

    def make(method, design="3xmlp-1-16", recipe=RecipeName.PUBLISHED, patience=PATIENCE, epochs=MOST):
        return make_plan(
            parse_design(design + "@g1" * (method in CLUSTERED)),
            DATASETS["digits"],
            epochs=epochs,
            batch=256,
            seed=7,
            execution=plain,
            options=PlanOptions(method=method, recipe=recipe, patience=patience),
        )

    return make


def errors_of(story):
    """Training errors of every step in the order of its epochs."""
    found = {}
    for record in story.epochs:
        found.setdefault(record.step, []).append(record.train_error)
    return found


def over(errors, patience):
    """Whether the last `patience` errors are no better than the best before them."""
    return len(errors) > patience and min(errors[-patience:]) >= min(errors[:-patience])


SLOWLY = [pytest.param(method, marks=pytest.mark.slow) for method in (Method.BAGGING, Method.MOTHERNETS)]


@pytest.mark.parametrize("method", [Method.DISTILLATION, *SLOWLY])
def test_every_training_ends_after_exactly_its_patience_without_a_gain(plan_by, run, method):
    plan = plan_by(method, "2xmlp-1-16")
    found = errors_of(run(plan))
    assert found.keys() == {step.id for step in train_steps(plan)}
    for errors in found.values():
        assert over(errors, PATIENCE) or len(errors) == MOST
        # Not an epoch before.
        assert not any(over(errors[:n], PATIENCE) for n in range(len(errors)))
    # The epochs are those of the networks themselves, not those of a schedule that they share.
    assert len({len(errors) for errors in found.values()}) > 1


@pytest.mark.slow
def test_the_epochs_of_a_new_seed_are_forecast_from_those_of_others(plan_by, run, files):
    plan = plan_by(Method.FULL_DATA, "2xmlp-1-16", patience=6, epochs=120)
    taught = []
    for seed in range(3):
        place = replace(files, folder=files.folder.with_name(f"seed-{seed}"))
        found = errors_of(run(replace(plan, seed=seed), place))
        taught.append(
            [
                TrainedStep(
                    dataset="digits",
                    family="mlp",
                    kind=Kind.MEMBER,
                    epochs=120,
                    falling=False,
                    train_errors=tuple(errors),
                )
                for errors in found.values()
            ]
        )
    inside = 0
    for left_out in range(3):
        others = [step for seed, steps in enumerate(taught) if seed != left_out for step in steps]
        schedule = plan.steps[0].schedule
        forecast = EpochPredictor(tuple(others)).predict("digits", "mlp", Kind.MEMBER, schedule)
        for step in taught[left_out]:
            inside += forecast.low <= len(step.train_errors) <= forecast.high
            assert forecast.mean == pytest.approx(len(step.train_errors), rel=0.5)
    # Nine of ten on average.
    assert inside >= 5
    assert len({len(step.train_errors) for steps in taught for step in steps}) > 1


def test_a_training_that_still_gains_ends_with_its_schedule(plan_by, run):
    story = run(plan_by(Method.FULL_DATA, "mlp-1-16", patience=30, epochs=4))
    assert [record.epoch for record in story.epochs] == [0, 1, 2, 3]


def test_a_rate_that_falls_is_followed_to_the_end_of_the_patience(plan_by, run):
    plan = plan_by(Method.FULL_DATA, "mlp-1-16", recipe=RecipeName.OURS, epochs=20)
    story = run(plan)
    (errors,) = errors_of(story).values()
    assert over(errors, PATIENCE) or len(errors) == 20
    # Rates of ResNet's recipe: drops after 0.4 and 0.8 of the schedule.
    rates = [0.1] * 8 + [0.01] * 8 + [0.001] * 4
    assert [record.rate for record in story.epochs] == pytest.approx(rates[: len(errors)])


@pytest.mark.parametrize(
    "method", [Method.MOTHERNETS, pytest.param(Method.DISTILLATION, marks=pytest.mark.slow)]
)
def test_a_stopped_training_ends_in_the_same_epoch_with_the_same_bits(
    plan_by, run, files, weights, same_bits, method
):
    plan = plan_by(method, "2xmlp-1-8")
    elsewhere = replace(files, folder=files.folder.with_name("whole"))
    whole = errors_of(run(plan, elsewhere))
    for calls in (3, 18):
        left = [calls]

        def soon(left=left):
            left[0] -= 1
            return left[0] < 0

        run(plan, stop=soon)
    run(plan)
    for network in plan.built:
        assert same_bits(weights(network.name), weights(network.name, elsewhere))
        progress = load_checkpoint(files.folder / "networks" / network.name, print).progress
        assert progress.train_errors == tuple(whole[progress.step])


def test_a_training_that_is_over_is_not_trained_again(plan_by, run):
    plan = plan_by(Method.FULL_DATA, "mlp-1-16")
    first = run(plan)
    again = run(plan)
    # Only its last epoch is told once more.
    assert [record.epoch for record in again.epochs] == [first.epochs[-1].epoch]
