"""What a search may choose: against what plans can be made of."""

from functools import cache
from itertools import product

import optuna
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from advisor.decision.search_space import DEFAULT_METHODS, Choice, Choices, methods_for
from advisor.designs.mixtures import Mixture, enumerate_mixtures
from advisor.designs.space import enumerate_candidates
from advisor.errors import InfeasibleError, UsageError
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.method_traits import CHAINS, CLUSTERED, JOINT, Method
from advisor.plans.methods import PlanOptions, make_plan

DIGITS = DATASETS["digits"]
EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="contiguous")


@cache
def choices(families=("resnet", "vgg", "mlp"), members=(1, 2, 4), methods=tuple(Method), budget=25_000):
    every = [
        *enumerate_candidates(budget, families, DIGITS.task, members),
        *enumerate_mixtures(budget, families, DIGITS.task, members),
    ]
    # Of the many depths of an mlp a few.
    return Choices([c for c in every if c.family != "mlp" or c.depth <= 3.5], methods)


def plan_of(choice):
    return make_plan(
        choice.design,
        DIGITS,
        epochs=5,
        batch=32,
        seed=0,
        execution=EXECUTION,
        options=PlanOptions(method=choice.method),
    )


@settings(deadline=None, max_examples=25)
@given(
    st.sets(st.sampled_from(("resnet", "vgg", "mlp", "densenet", "wrn")), min_size=1, max_size=2),
    st.sets(st.sampled_from((1, 2, 3, 5)), min_size=1),
    st.sets(st.sampled_from(tuple(Method)), min_size=1),
    st.sampled_from((8_000, 25_000, 60_000)),
)
def test_the_number_of_choices_is_counted_without_making_them(families, members, methods, budget):
    try:
        space = choices(tuple(sorted(families)), tuple(sorted(members)), tuple(sorted(methods)), budget)
    except InfeasibleError:
        assume(False)
    assert len(space) == len(space.all) == len(set(space.all))


def test_of_every_choice_the_plan_can_be_made_and_trains_that_design():
    for choice in choices().all:
        plan = plan_of(choice)
        assert plan.method is choice.method
        assert plan.design == choice.design.name


def test_what_is_not_offered_cannot_be_planned_or_trains_another_design():
    offered = set(choices().all)
    for candidate in {choice.candidate: None for choice in offered}:
        k = candidate.members
        if k == 1:
            continue
        for method, clusters in product(Method, range(1, k + 1)):
            choice = Choice(candidate, method, clusters)
            independent = clusters == k
            if choice in offered or (independent and method is Method.MOTHERNETS):
                continue
            if isinstance(candidate, Mixture) and independent and method in (*CHAINS, Method.TREENETS):
                # A chain trains members of one shape instead; a tree of members that begin alike is rare.
                continue
            with pytest.raises(UsageError):
                plan_of(choice)


def test_methods_are_those_asked_for_and_a_single_network_trains_on_full_data():
    found = choices(methods=(Method.SNAPSHOT, Method.SHARED_MOTHERNETS))
    assert {c.method for c in found.all if c.candidate.members > 1} == set(found.methods)
    assert {c.method for c in found.all if c.candidate.members == 1} == {Method.FULL_DATA}
    # Snapshots have one shape, and nothing with skip connections shares layers.
    assert not [c for c in found.all if c.candidate.family == "resnet" and c.method in JOINT]
    assert {c.method for c in found.all if isinstance(c.candidate, Mixture)} == {Method.SHARED_MOTHERNETS}


def test_clusters_of_a_clustered_method_hold_at_least_one_pair():
    for choice in choices().all:
        k = choice.candidate.members
        assert choice.clusters in (range(1, k) if choice.method in CLUSTERED else (k,))


def test_a_point_leads_back_to_its_choice():
    every = choices(budget=12_000)
    study = optuna.create_study()
    for choice in every.all:
        study.enqueue_trial(every.point(choice))
        assert every.suggested(study.ask()) == choice


@pytest.mark.slow
@pytest.mark.parametrize("families", [("resnet",), ("resnet", "vgg", "mlp")])
def test_wherever_a_sampler_looks_there_is_a_choice(families):
    every = choices(families, methods=DEFAULT_METHODS)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    known = set(every.all)
    found = {every.suggested(study.ask()) for _ in range(600)}
    assert found <= known
    assert len(found) > 0.5 * min(len(known), 300)


def test_a_known_choice_gives_way_to_the_nearest_that_is_not():
    every = choices()
    middle = len(every.all) // 2
    choice = every.all[middle]
    assert every.nearest_new(choice, set()) == choice
    assert every.nearest_new(choice, {choice, every.all[middle - 1]}) == every.all[middle + 1]
    last = every.all[-1]
    assert every.nearest_new(choice, set(every.all) - {last}) == last
    assert every.nearest_new(choice, set(every.all)) == choice


def test_methods_for_a_tree_or_a_chain_need_one_shape():
    mixture = next(c.candidate for c in choices().all if isinstance(c.candidate, Mixture))
    assert not set(methods_for(mixture, tuple(Method))) & {*CHAINS, Method.TREENETS}
