"""The recipe and the end of a training in the plans of all methods."""

import json
from dataclasses import replace

import pytest

from advisor.designs.design import parse_design
from advisor.errors import UsageError
from advisor.networks.architecture import parse_network
from advisor.plans.convergence.kinds import Kind, kind_of, scratch_epochs, train_steps
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.extension import with_cluster, with_members
from advisor.plans.method_traits import CHAINS, CLUSTERED, Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import plan_from_json, plan_to_json
from advisor.plans.recipes.choice import (
    RecipeName,
    patience_of_plan,
    recipe_of_plan,
    usual_batch,
    usual_epochs,
)
from advisor.plans.schedule import PlateauSchedule, StepSchedule

EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="channels_last")
TO_CONVERGENCE = [method for method in Method if method not in CHAINS]
PUBLISHED = RecipeName.PUBLISHED


def planned(design, method=None, dataset="cifar10", epochs=120, **options):
    return make_plan(
        parse_design(design),
        DATASETS[dataset],
        epochs=epochs,
        batch=128,
        seed=0,
        execution=EXECUTION,
        options=PlanOptions(method=method, **options),
    )


def of(method):
    return "3xvgg-11-4" + ("@g1" if method in CLUSTERED else "")


@pytest.mark.parametrize("method", TO_CONVERGENCE)
def test_every_network_of_every_method_may_train_until_it_converges(method):
    fixed, converging = planned(of(method), method), planned(of(method), method, patience=7)
    for before, after in zip(train_steps(fixed), train_steps(converging), strict=True):
        assert isinstance(after.schedule, PlateauSchedule)
        assert after.schedule.patience == 7
        # Only the end is another: the rates and the most epochs are those of the recipe.
        assert after.schedule.epochs == before.schedule.epochs
        for epoch in range(after.schedule.epochs):
            assert after.schedule.rate_at(epoch, 0.3) == before.schedule.rate_at(epoch, 0.3)
        assert replace(after, schedule=before.schedule) == before


@pytest.mark.parametrize("method", TO_CONVERGENCE)
def test_the_published_recipe_has_a_constant_rate_and_a_rule_of_fifteen_epochs(method):
    plan = planned(of(method), method, recipe=PUBLISHED)
    for step in train_steps(plan):
        assert [step.schedule.rate_at(epoch, 0.5) for epoch in (0, 50, 119)] == [0.1] * 3
        assert (step.schedule.patience, step.schedule.epochs) == (15, 120)


def test_published_densenets_train_at_a_tenth_of_the_rate_once_hatched():
    mother, *members = train_steps(planned("densenet-10-4+densenet-13-4@g1", recipe=PUBLISHED))
    assert (mother.schedule.rate, [m.schedule.rate for m in members]) == (0.1, [0.01, 0.01])
    ours = train_steps(planned("densenet-10-4+densenet-13-4@g1"))
    assert [step.schedule.rate for step in ours] == [0.1] * 3


def test_what_is_given_wins_over_the_recipe():
    given = planned("2xdensenet-10-4@g1", recipe=PUBLISHED, rate=0.05, patience=4, hatched_epochs=30)
    mother, *members = train_steps(given)
    assert [s.schedule.rate for s in (mother, *members)] == [0.05] * 3
    assert [s.schedule.patience for s in (mother, *members)] == [4] * 3
    assert [s.schedule.epochs for s in (mother, *members)] == [120, 30, 30]


def test_the_published_batch_is_256_or_all_images_and_its_snapshots_take_60_epochs():
    assert usual_batch(["resnet"], DATASETS["cifar10"], PUBLISHED) == 256
    few = replace(DATASETS["cifar10"], train_images=200)
    assert usual_batch(["resnet"], few, PUBLISHED) == 200
    epochs = usual_epochs(["vgg"], "cifar10", PUBLISHED, Method.SNAPSHOT)
    assert {
        s.schedule.epochs for s in train_steps(planned("2xvgg-11-4", Method.SNAPSHOT, epochs=epochs))
    } == {60}


@pytest.mark.parametrize("method", CHAINS)
def test_cycles_have_a_fixed_length(method):
    with pytest.raises(
        UsageError, match=f"^{method} trains in cycles of a fixed length, .*: leave out"
    ) as raised:
        planned("2xvgg-11-4", method, patience=15)
    assert "\n" not in str(raised.value)
    # The recipe itself is about other methods, and leaves the cycles as they are.
    assert planned("2xvgg-11-4", method, recipe=PUBLISHED) == planned("2xvgg-11-4", method)


@pytest.mark.parametrize("patience", [0, -1, 10**9])
def test_an_impossible_patience_is_refused(patience):
    with pytest.raises(UsageError, match=f"patience must be at least 1 epoch and .* got {patience}"):
        planned("resnet-8-4", patience=patience)


@pytest.mark.parametrize("recipe", list(RecipeName))
@pytest.mark.parametrize("patience", [None, 3])
def test_a_plan_tells_its_recipe_and_its_patience(recipe, patience):
    plan = planned("2xresnet-8-4@g1", recipe=recipe, patience=patience)
    plan = plan_from_json(plan_to_json(plan))
    assert recipe_of_plan(plan) is recipe
    assert patience_of_plan(plan) == (patience or (15 if recipe is PUBLISHED else None))


def test_a_plateau_of_an_older_plan_is_read_and_has_no_interval():
    plain = json.loads(plan_to_json(planned("resnet-8-4", recipe=PUBLISHED)))
    for name in ("low", "high", "following"):
        del plain["steps"][0]["schedule"][name]
    plain["steps"][0]["schedule"]["expected"] = 37.5
    (step,) = plan_from_json(json.dumps(plain)).steps
    assert (step.schedule.expected_epochs, step.schedule.epoch_bounds) == (37.5, (37.5, 37.5))
    assert step.schedule.rate_at(100, 0.0) == 0.1


def test_a_plateau_refuses_a_schedule_of_another_length_and_an_interval_without_its_mean():
    steps = StepSchedule(epochs=20, rate=0.1)
    with pytest.raises(UsageError, match="of 30 epochs from rate 0.1 cannot follow one of 20 epochs"):
        PlateauSchedule(epochs=30, rate=0.1, expected=9.0, following=steps)
    with pytest.raises(UsageError, match="10 to 12, does not contain 9"):
        PlateauSchedule(epochs=20, rate=0.1, expected=9, low=10, high=12)


@pytest.mark.parametrize(
    "options", [{}, {"patience": 5}, {"recipe": PUBLISHED}, {"recipe": PUBLISHED, "rate": 0.1}]
)
def test_what_extends_an_ensemble_trains_as_its_members_did(options):
    plan = planned("2xdensenet-10-4@g1", **options)
    whole = planned("4xdensenet-10-4@g1", **options)
    longer = with_members(plan, [parse_network("densenet-10-4")] * 2)
    assert longer.steps[: len(plan.steps)] == plan.steps
    rates = [s.schedule.rate for s in train_steps(whole)]
    assert [s.schedule.rate for s in train_steps(longer)] == rates
    assert (recipe_of_plan(longer), patience_of_plan(longer)) == (
        recipe_of_plan(plan),
        patience_of_plan(plan),
    )
    cluster = with_cluster(plan, [parse_network("densenet-13-4")] * 2)
    assert [s.schedule.rate for s in train_steps(cluster)] == rates[:3] * 2
    assert {type(s.schedule) for s in train_steps(cluster)} == {type(s.schedule) for s in train_steps(plan)}


def test_steps_of_a_kind_are_those_that_begin_and_learn_alike():
    def kinds(design, method=None):
        plan = planned(design, method)
        return [kind_of(plan, step) for step in train_steps(plan)]

    assert kinds("2xresnet-8-4+vgg-11-4@g2") == [Kind.MOTHER, Kind.HATCHED, Kind.HATCHED, Kind.MEMBER]
    assert kinds("2xresnet-8-4", Method.BAGGING) == [Kind.BAGGED] * 2
    assert kinds("2xresnet-8-4", Method.DISTILLATION) == [Kind.MEMBER, Kind.DISTILLED, Kind.DISTILLED]
    assert kinds("2xvgg-11-4", Method.TREENETS) == [Kind.MEMBER]
    assert kinds("2xvgg-11-4@g1", Method.SHARED_MOTHERNETS) == [Kind.MOTHER, Kind.HATCHED]


def test_an_error_is_forecast_for_the_epochs_that_networks_from_scratch_are_expected_to_take():
    assert scratch_epochs(planned("2xresnet-8-4@g1")) == 120
    plan = planned("2xresnet-8-4@g1", recipe=PUBLISHED)
    mother = next(train_steps(plan))
    assert scratch_epochs(plan) == mother.schedule.expected_epochs < 120
