"""Which cluster of a trained ensemble is split, and the plan of the larger ensemble, by hand."""

from itertools import combinations

import pytest

from advisor.designs.design import parse_design
from advisor.errors import UsageError
from advisor.networks.mothernet import distance, mother_of
from advisor.plans.dataset import dataset_named
from advisor.plans.execution import Execution
from advisor.plans.extension import kept_steps
from advisor.plans.method_traits import Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.navigation.splitting import Split, best_split, clusters_of_plan, with_split
from advisor.plans.plan import HatchStep, Role, plan_from_json, plan_to_json

EXECUTION = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")


def planned(design, **options):
    return make_plan(
        parse_design(design),
        dataset_named("digits"),
        epochs=20,
        batch=32,
        seed=3,
        execution=EXECUTION,
        options=PlanOptions(**options),
    )


def trained_again(plan):
    new = with_split(plan, best_split(plan))
    assert plan_from_json(plan_to_json(new)) == new
    return new


def to_mothers(plan):
    """Sum of the distances of all members to the mothers that they are hatched from."""
    sources = {s.network: s.source for s in plan.steps if isinstance(s, HatchStep)}
    return sum(
        distance(m.spec, plan.network(sources[m.name]).spec) for m in plan.members if m.name in sources
    )


def test_the_half_that_is_far_from_the_mother_gets_a_mother_of_its_own():
    # Two hidden layers of 8 units are the mother. Members 3 and 4 differ from her in two layers each, and
    # not from each other.
    plan = planned("2xmlp-2-8+2xmlp-2-16@g1")
    assert best_split(plan) == Split(kept=("member-1", "member-2"), renewed=("member-3", "member-4"), gain=4)
    new = trained_again(plan)
    assert clusters_of_plan(new) == [("member-1", "member-2"), ("member-3", "member-4")]
    assert {n.name: n.network for n in new.networks if n.role is Role.MOTHER} == {
        "mother-1": "mlp-2-8",
        "mother-2": "mlp-2-16",
    }
    assert (new.design, to_mothers(plan), to_mothers(new)) == ("2xmlp-2-8+2xmlp-2-16@g2", 4, 0)


def test_kept_steps_are_unchanged_and_renewed_ones_are_not_taken_for_trained():
    plan = planned("2xmlp-2-8+2xmlp-2-16@g1")
    new = trained_again(plan)
    kept = {"train mother-1", *(f"{what} member-{i}" for what in ("hatch", "train") for i in (1, 2))}
    assert kept_steps(plan, new) == kept
    assert {s.id: s for s in new.steps if s.id in kept} == {s.id: s for s in plan.steps if s.id in kept}
    assert [s.id for s in new.steps if s.id not in kept] == [
        "train mother-2",
        *(f"{what} member-{i}" for i in (3, 4) for what in ("hatch", "train")),
    ]


@pytest.mark.parametrize(
    "design",
    [
        "mlp-1-8+mlp-1-12+mlp-2-16@g1",
        "mlp-1-8+mlp-2-8+mlp-3-8+mlp-1-16+mlp-2-16+mlp-3-16@g1",
        "mlp-2-8+mlp-2-9+mlp-2-10+mlp-4-9+mlp-4-10@g1",
    ],
)
def test_no_other_half_lowers_the_sum_of_the_distances_more(design):
    plan = planned(design)
    members = {m.name: m.spec for m in plan.members}
    mother = plan.network("mother-1").spec

    def gain(half):
        own = mother_of([members[name] for name in half])
        return sum(distance(members[n], mother) - distance(members[n], own) for n in half)

    count = len(members)
    every = [half for size in {count // 2, count - count // 2} for half in combinations(members, size)]
    split = best_split(plan)
    assert split.gain == gain(split.renewed) == max(map(gain, every))
    assert abs(len(split.kept) - len(split.renewed)) <= 1
    assert to_mothers(plan) - to_mothers(with_split(plan, split)) == split.gain


def test_of_members_of_one_shape_the_largest_cluster_is_split():
    plan = planned("5xmlp-1-8@g1")
    sizes = []
    while (split := best_split(plan)) is not None:
        assert split.gain == 0
        plan = with_split(plan, split)
        sizes.append(sorted(map(len, clusters_of_plan(plan)), reverse=True))
    assert sizes == [[3, 2], [2, 2, 1], [2, 1, 1, 1], [1, 1, 1, 1, 1]]


def test_the_cluster_whose_split_gains_most_is_split_whatever_its_size():
    plan = trained_again(planned("4xmlp-2-8+mlp-2-16+mlp-2-24+mlp-4-24@g1"))
    # Those of one shape keep the first mother. The other three still differ.
    first, second = clusters_of_plan(plan)
    assert first == ("member-1", "member-2", "member-3", "member-4")
    assert best_split(plan).kept + best_split(plan).renewed != first
    assert set(best_split(plan).kept + best_split(plan).renewed) == set(second)


def test_a_member_alone_trains_from_scratch_and_the_last_split_has_a_cluster_for_each():
    plan = planned("2xmlp-1-8@g1")
    new = trained_again(plan)
    assert (new.design, new.method) == ("2xmlp-1-8", Method.MOTHERNETS)
    (step,) = [s for s in new.steps if s.network == "member-2"]
    assert (step.id, step.schedule) == ("train member-2", plan.steps[0].schedule)
    assert kept_steps(plan, new) == {"train mother-1", "hatch member-1", "train member-1"}
    assert best_split(new) is None


def test_the_settings_of_the_plan_hold_for_what_a_split_trains():
    plan = planned("4xmlp-1-8@g1", rate=0.03, weight_decay=0.002, hatched_epochs=4, noise=0.2)
    new = trained_again(plan)
    old = {(s.network.partition("-")[0], type(s)): s for s in plan.steps}
    for step in new.steps:
        like = old[step.network.partition("-")[0], type(step)]
        if isinstance(step, HatchStep):
            assert (step.noise, step.shrink) == (like.noise, like.shrink)
        else:
            assert (step.schedule, step.weight_decay) == (like.schedule, like.weight_decay)


def test_families_stay_apart():
    plan = planned("2xmlp-1-8+2xresnet-8-4@g2")
    for _ in range(2):
        plan = trained_again(plan)
    assert best_split(plan) is None
    for step in plan.steps:
        if isinstance(step, HatchStep):
            assert plan.network(step.network).spec.family == plan.network(step.source).spec.family


def test_many_members_of_different_shapes_are_split_in_halves():
    plan = planned("+".join(f"mlp-2-{8 + i}" for i in range(20)) + "@g1")
    split = best_split(plan)
    assert (len(split.kept), len(split.renewed)) == (10, 10)
    assert split.gain == to_mothers(plan) - to_mothers(with_split(plan, split))


def test_halves_that_are_no_cluster_are_refused():
    with pytest.raises(UsageError, match="not a cluster"):
        with_split(planned("3xmlp-1-8@g1"), Split(kept=("member-1",), renewed=("member-2",), gain=0))
