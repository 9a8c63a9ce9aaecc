"""The search on small spaces, against judging every design of them."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import optuna
import pytest

from advisor.accuracy.likelihood import LikelihoodPredictor
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.predictor import CostPredictor
from advisor.cost.pricing import price
from advisor.decision.pareto import non_dominated
from advisor.decision.scenario import OBJECTIVES, Limits, Scenario, evaluate_choices, plan_of, planned
from advisor.decision.search import first_look, search
from advisor.decision.search_space import Choice
from advisor.decision.starting_points import LARGEST_SHARE, starting_points
from advisor.designs.design import parse_design
from advisor.designs.mixtures import enumerate_mixtures
from advisor.designs.space import enumerate_candidates
from advisor.plans.convergence.kinds import scratch_epochs
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.method_traits import Method
from advisor.plans.recipes.choice import RecipeName

optuna.logging.set_verbosity(optuna.logging.WARNING)
DIGITS = DATASETS["digits"]
EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="contiguous")
FAMILIES = ("densenet", "resnet", "vgg")


@cache
def scenario(
    budget=40_000,
    families=FAMILIES,
    members=(1, 2, 4),
    methods=(Method.FULL_DATA, Method.MOTHERNETS, Method.SNAPSHOT),
    **limits,
):
    return Scenario(
        candidates=enumerate_candidates(budget, families, DIGITS.task, members),
        mixtures=enumerate_mixtures(budget, families, DIGITS.task, members),
        methods=methods,
        dataset=DIGITS,
        epochs=20,
        batch=32,
        seed=3,
        execution=EXECUTION,
        limits=Limits(**limits),
        cost=CostPredictor([], EXECUTION),
        accuracy=AccuracyPredictor(["digits"]),
    )


def looked_at(where, trials=80, storage=None):
    return search(where, storage or optuna.storages.InMemoryStorage(), "study", trials)


def everything(where):
    """Every design of the scenario by every method, with every number of clusters that can be trained."""
    return evaluate_choices(where, where.choices.all)


def starts(where, trials=80):
    return starting_points(where.choices, where.accuracy, where.dataset, where.epochs, trials)


@pytest.mark.parametrize("number", [1, 10, 40])
def test_a_first_look_judges_the_first_starting_points_as_the_search_does(number):
    where = scenario()
    found = first_look(where, number)
    assert 1 <= len(found) <= number
    known = {e.key: e for e in evaluate_choices(where, starts(where))}
    for e in found:
        assert e.errors == pytest.approx(known[e.key].errors)
        assert e.priced.train_seconds == known[e.key].priced.train_seconds


def test_designs_that_converge_are_priced_and_judged_by_the_epochs_that_they_are_expected_to_take():
    fixed = scenario()
    where = replace(fixed, epochs=90, patience=4, recipe=RecipeName.PUBLISHED)
    choices = [next(c for c in where.choices.all if c.method is method) for method in where.methods]
    for e in evaluate_choices(where, choices):
        plan = plan_of(where, e)
        length = scratch_epochs(plan)
        errors = where.accuracy.sample_errors([e.design], "digits", DIGITS.task, length, [e.method])
        assert e.errors == pytest.approx(errors[:, 0])
        assert e.priced.train_seconds == price(plan, where.cost).train_seconds
        # Snapshots have cycles of a fixed length.
        assert (length < 90) == (e.method is not Method.SNAPSHOT)


def test_designs_have_draws_of_their_likelihood_where_it_is_forecast():
    where = replace(scenario(), likelihood=LikelihoodPredictor.of("digits", 10, ()))
    choices = where.choices.all[:3]
    for e in evaluate_choices(where, choices):
        assert (e.nlls == where.likelihood.sample_nlls(e.errors, len(e.design.members))).all()
        assert e.expected_nll == e.nlls.mean()
    assert {e.expected_nll for e in evaluate_choices(scenario(), choices)} == {math.inf}


def test_every_trial_is_another_design_of_the_budget_or_another_method():
    where = scenario()
    found = looked_at(where)
    assert len({e.key for e in found}) == len(found) == 80
    names = {c.name for c in where.candidates} | {m.design().name for m in where.mixtures}
    for e in found:
        assert e.design.name.split("@")[0] in names
        assert e.parameters <= 40_000
        assert e.parameters == parse_design(e.design.name).parameters(DIGITS.task)


@pytest.mark.parametrize(
    ("families", "members"), [(("resnet",), (1, 4)), (("vgg", "mlp"), (2,)), (("wrn",), (1,))]
)
def test_families_and_numbers_of_members_are_those_asked_for(families, members):
    found = looked_at(scenario(200_000, families, members), 40)
    assert {e.design.families[0] for e in found} == set(families)
    assert {len(e.design.members) for e in found} == set(members)


@pytest.mark.slow
def test_members_of_every_family_may_share_mothers():
    where = scenario(400_000, ("resnet", "mlp", "vgg", "wrn"), (1, 4))
    offered = [c for c in where.choices.all if c.method is Method.MOTHERNETS]
    assert {c.candidate.family for c in offered} == {"resnet", "mlp", "vgg", "wrn"}
    assert {c.clusters for c in offered} == {1, 2, 3}
    # Few of them are forecast to be worth their error, so the search comes to them late.
    hatched = [e for e in looked_at(where, 120) if not e.design.independent]
    assert {e.method for e in hatched} == {Method.MOTHERNETS}
    assert {e.design.clusters for e in hatched} <= {1, 2, 3}


@pytest.mark.parametrize("trials", [1, 2, 17, 60])
def test_the_number_of_trials_is_kept(trials):
    storage = optuna.storages.InMemoryStorage()
    found = looked_at(scenario(), trials, storage)
    study = optuna.load_study(study_name="study", storage=storage)
    assert len(study.trials) == len(found) == trials


def test_a_search_ends_when_nothing_is_left_to_look_at():
    where = scenario(8_000, ("resnet",), (1, 2))
    assert {e.key for e in looked_at(where, 1000)} == {e.key for e in everything(where)}


def test_one_trial_looks_at_a_single_network():
    assert len(looked_at(scenario(), 1)[0].design.members) == 1


@pytest.mark.slow
def test_a_seed_fixes_the_search():
    first, second = ([e.key for e in looked_at(scenario())] for _ in range(2))
    assert first == second
    assert [e.key for e in looked_at(replace(scenario(), seed=4))] != first


def test_a_design_is_feasible_if_it_keeps_every_limit():
    free = everything(scenario())
    limits = {
        "train_seconds": float(np.median([e.priced.train_seconds.mean for e in free])),
        "memory_bytes": float(np.median([e.priced.train_peak_bytes.mean for e in free])),
        "latency_ms": float(np.median([e.priced.inference_ms_per_image.mean for e in free])),
    }
    found = looked_at(scenario(**limits), 120)
    for e in found:
        assert e.feasible == (
            e.priced.train_seconds.mean <= limits["train_seconds"]
            and e.priced.train_peak_bytes.mean <= limits["memory_bytes"]
            and e.priced.inference_ms_per_image.mean <= limits["latency_ms"]
        )
    assert {e.feasible for e in found} == {True, False}


def test_without_limits_everything_is_feasible():
    assert all(e.feasible for e in looked_at(scenario()))


@pytest.mark.parametrize(
    ("limit", "figure"),
    [
        ("train_seconds", "train_seconds"),
        ("memory_bytes", "train_peak_bytes"),
        ("latency_ms", "inference_ms_per_image"),
    ],
)
@pytest.mark.parametrize("share", [0.03, 0.2])
def test_under_a_tight_limit_a_design_that_keeps_it_is_found(limit, figure, share):
    values = sorted(getattr(e.priced, figure).mean for e in everything(scenario()))
    found = looked_at(scenario(**{limit: values[int(share * len(values))]}), 100)
    assert any(e.feasible for e in found)


def test_excess_is_relative_and_only_of_limits_that_are_set():
    priced = everything(scenario())[0].priced
    limits = Limits(
        train_seconds=priced.train_seconds.mean / 2, memory_bytes=priced.train_peak_bytes.mean * 4
    )
    assert limits.excess(priced) == pytest.approx({"training": 1.0, "memory": -0.75, "device memory": 0.0})
    assert Limits().excess(priced) == {"device memory": 0.0}


def test_objectives_are_the_means_that_were_predicted():
    where = scenario()
    [e] = evaluate_choices(
        where, [Choice(where.candidates[0], Method.FULL_DATA, where.candidates[0].members)]
    )
    errors = where.accuracy.sample_errors([e.design], "digits", DIGITS.task, 20)[:, 0]
    assert e.errors == pytest.approx(errors)
    assert e.objectives == (
        pytest.approx(errors.mean()),
        e.priced.train_seconds.mean,
        e.priced.inference_ms_per_image.mean,
        e.priced.train_peak_bytes.mean,
    )
    assert len(OBJECTIVES) == 4


def test_the_front_of_a_small_space_is_mostly_reached():
    where = scenario(12_000, ("resnet", "vgg"), (1, 2, 4))
    every = everything(where)
    front = {
        e.key
        for e, kept in zip(every, non_dominated(np.array([e.objectives for e in every])), strict=True)
        if kept
    }
    found = looked_at(where, 250)
    assert len({e.key for e in found} & front) >= 0.7 * len(front)
    assert min(e.objectives[0] for e in found) == min(e.objectives[0] for e in every)


def test_a_study_is_kept_in_a_file_with_its_trials_and_constraints(tmp_path):
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    where = scenario(train_seconds=5.0)
    found = looked_at(where, 30, optuna.storages.RDBStorage(url))
    study = optuna.load_study(study_name="study", storage=url)
    assert study.user_attrs["objectives"] == list(OBJECTIVES)
    assert len(study.trials) == 30
    evaluated = {e.key: e for e in found}
    assert {_key(trial) for trial in study.trials} == set(evaluated)
    for trial in study.trials:
        e = evaluated[_key(trial)]
        assert tuple(trial.values) == pytest.approx(e.objectives)
        excess = {"training": e.priced.train_seconds.mean / 5.0 - 1, "device memory": 0.0}
        assert trial.constraints == pytest.approx(excess)
        assert (trial.constraints["training"] <= 0) == e.feasible


def _key(trial):
    return trial.user_attrs["design"], Method(trial.user_attrs["method"]), 1.0


def test_judging_many_at_once_is_judging_each():
    where = scenario()
    some = where.choices.all[::17]
    for choice, together in zip(some, evaluate_choices(where, some), strict=True):
        [alone] = evaluate_choices(where, [choice])
        assert alone.key == together.key == (choice.design.name, choice.method, 1.0)
        assert together.objectives == pytest.approx(alone.objectives)
        assert planned(where, together.design, together.method).method is choice.method


@pytest.mark.parametrize("budget", [12_000, 100_000])
def test_a_search_starts_from_the_least_error_and_the_least_cost_of_independent_training(budget):
    where = scenario(budget)
    first = evaluate_choices(where, starts(where, 1000))
    independent = [e for e in everything(where) if e.method is Method.FULL_DATA]
    assert min(e.objectives[0] for e in first) == pytest.approx(min(e.objectives[0] for e in independent))
    single = min(
        (e for e in independent if len(e.design.members) == 1), key=lambda e: (e.objectives[0], e.design.name)
    )
    assert first[0].objectives[0] == pytest.approx(single.objectives[0])
    macs = {choice.candidate.macs for choice in where.choices.all}
    assert min(choice.candidate.macs for choice in starts(where, 1000)) == min(macs)


def test_starting_points_leave_trials_to_the_sampler():
    where = scenario(methods=tuple(Method))
    assert len(starts(where, 20)) <= LARGEST_SHARE * 20
    assert len(starts(where, 1)) == 1
    assert starts(where, 40) == starts(where, 1000)[: len(starts(where, 40))]


@pytest.mark.slow
def test_mixtures_and_every_method_are_looked_at():
    where = scenario(400_000, ("resnet", "vgg"), (1, 2, 4), tuple(Method))
    found = looked_at(where, 200)
    assert {e.method for e in found} == set(Method)
    assert any(not e.design.homogeneous for e in found)
    for e in found:
        assert e.parameters == e.design.parameters(DIGITS.task) <= 400_000


def test_two_studies_share_a_file(tmp_path):
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}")
    for name in ("one", "two"):
        search(scenario(), storage, name, 3)
    assert set(optuna.get_all_study_names(storage)) == {"one", "two"}
