"""Plans of the training methods that MotherNets is compared with."""

import pytest

from advisor.designs.design import parse_design
from advisor.errors import UsageError
from advisor.networks.architecture import lower, parse_network
from advisor.networks.layers import Task
from advisor.plans.dataset import dataset_named
from advisor.plans.execution import Execution
from advisor.plans.method_traits import CLUSTERED, Method
from advisor.plans.methods import PlanOptions, make_plan, mean_network
from advisor.plans.plan import HatchStep, Role, TrainStep, plan_from_json, plan_to_json
from advisor.plans.schedule import CosineSchedule, TriangleSchedule

DIGITS = dataset_named("digits")
CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="channels_last")


def planned(design, method, epochs=128, **options):
    return make_plan(
        parse_design(design),
        DIGITS,
        epochs=epochs,
        batch=32,
        seed=0,
        execution=EXECUTION,
        options=PlanOptions(method=method, **options),
    )


def trained(plan):
    """Epochs that the whole plan trains."""
    return sum(s.schedule.expected_epochs for s in plan.steps if not isinstance(s, HatchStep))


def test_bagging_is_full_data_on_bootstrap_samples():
    bagging, full = (planned("3xresnet-8-4", method) for method in (Method.BAGGING, Method.FULL_DATA))
    assert [s.bootstrap for s in bagging.steps] == [True] * 3
    assert [s.bootstrap for s in full.steps] == [False] * 3
    assert [s.schedule for s in bagging.steps] == [s.schedule for s in full.steps]
    assert bagging.execution.processes == 2


def test_distillation_trains_the_largest_shape_first_and_every_member_learns_from_it():
    plan = planned("resnet-8-4+resnet-14-6+resnet-8-6", Method.DISTILLATION)
    teacher = plan.network("teacher")
    assert (teacher.network, teacher.role) == ("resnet-14-6", Role.TEACHER)
    first, *members = plan.steps
    assert (first.network, first.distillation) == ("teacher", None)
    assert all(s.distillation.teacher == "teacher" and s.after == (first.id,) for s in members)
    assert [m.name for m in plan.members] == ["member-1", "member-2", "member-3"]


def test_a_snapshot_ensemble_is_a_chain_of_cycles():
    plan = planned("3xresnet-8-4", Method.SNAPSHOT)
    assert [s.id for s in plan.steps] == [
        *("train member-1", "hatch member-2", "train member-2", "hatch member-3", "train member-3")
    ]
    # Each step needs the one before, so that nothing trains beside another.
    assert [s.after for s in plan.steps] == [(), *((s.id,) for s in plan.steps[:-1])]
    copies = [s for s in plan.steps if isinstance(s, HatchStep)]
    assert [(c.source, c.noise) for c in copies] == [("member-1", 0.0), ("member-2", 0.0)]
    # The published 60 of 128 epochs, from 0.2.
    assert {s.schedule for s in plan.steps if s not in copies} == {CosineSchedule(epochs=60, rate=0.2)}
    assert plan.execution.processes == 1


def test_fast_geometric_ensembles_take_one_schedule_in_all():
    plan = planned("5xresnet-8-4", Method.FGE, epochs=100)
    base, *chain = plan.steps
    assert (base.network, base.schedule.epochs) == ("base", 80)
    assert plan.network("base").role is Role.MOTHER
    assert trained(plan) == 100
    assert [s.source for s in chain[::2]] == ["base", "member-1", "member-2", "member-3", "member-4"]
    assert {s.schedule for s in chain[1::2]} == {TriangleSchedule(epochs=4, rate=0.05, low=0.0005)}


def test_the_rate_of_the_user_scales_the_cycles():
    snapshot = planned("2xresnet-8-4", Method.SNAPSHOT, rate=0.05).steps[0].schedule
    assert snapshot.rate == pytest.approx(0.1)
    fge = planned("2xresnet-8-4", Method.FGE, rate=0.05).steps[-1].schedule
    assert (fge.rate, fge.low) == pytest.approx((0.025, 0.00025))


@pytest.mark.parametrize("method", [Method.SNAPSHOT, Method.FGE])
def test_several_shapes_are_replaced_by_the_network_of_their_mean_size(method):
    plan = planned("resnet-8-4+resnet-14-6+resnet-20-8", method)
    shape = mean_network(parse_design("resnet-8-4+resnet-14-6+resnet-20-8").members, DIGITS.task)
    assert plan.design == f"3x{shape.name}"
    assert {m.network for m in plan.members} == {shape.name}


@pytest.mark.parametrize("design", ["vgg-13-8+vgg-16-8+vgg-19-8", "resnet-20-16+resnet-110-10", "2xwrn-16-2"])
def test_the_mean_network_is_the_nearest_of_all_regular_ones(design):
    members = parse_design(design).members
    family, depths = members[0].family, [m.depth for m in members]
    wanted = sum(lower(m, CIFAR10).parameters for m in members) / len(members)
    found = mean_network(members, CIFAR10)
    valid = {"vgg": (11, 13, 16, 19), "resnet": range(8, 200, 6), "wrn": range(10, 200, 6)}[family]
    best = min(
        abs(lower(parse_network(f"{family}-{depth}-{width}"), CIFAR10).parameters - wanted)
        for depth in valid
        if min(depths) <= depth <= max(depths)
        for width in range(1, 24)
    )
    assert abs(lower(found, CIFAR10).parameters - wanted) == best
    assert min(depths) <= found.depth <= max(depths)


def test_the_mean_of_equal_networks_is_that_network():
    assert mean_network(parse_design("3xresnet-26-9").members, CIFAR10).name == "resnet-26-9"


def test_networks_of_a_depth_that_no_regular_network_has_have_a_mean_network_too():
    # Fourteen convolutions each, and so a depth of 17, between those of vgg-16 and vgg-19.
    members = parse_design("vgg-16-8~b4:4+vgg-16-8~b3:4").members
    assert [member.depth for member in members] == [17, 17]
    assert mean_network(members, CIFAR10).depth == 16


def test_families_have_no_mean_network():
    with pytest.raises(UsageError, match="members of resnet, vgg: use one family"):
        planned("resnet-8-4+vgg-11-4", Method.SNAPSHOT)


@pytest.mark.parametrize("method", [m for m in Method if m not in CLUSTERED])
def test_clusters_are_for_mothernets_alone(method):
    with pytest.raises(UsageError, match=f"has clusters, which {method} does not train: leave out @g1"):
        planned("2xresnet-8-4@g1", method)


def test_hatched_members_anneal_from_the_rate_of_their_mother():
    plan = planned("densenet-10-4+densenet-13-4@g1", Method.MOTHERNETS)
    mother, *members = (s.schedule for s in plan.steps if not isinstance(s, HatchStep))
    assert mother.rate_at(0, 0.0) == pytest.approx(0.1)
    for schedule in members:
        assert schedule.rate_at(0, 0.0) == pytest.approx(0.1)
        assert schedule.rate_at(schedule.epochs - 1, 1.0) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("method", list(Method))
def test_plans_of_all_methods_survive_a_file(method):
    plan = planned("3xvgg-11-4" + ("@g2" if method in CLUSTERED else ""), method)
    assert plan_from_json(plan_to_json(plan)) == plan


def test_noise_and_shrinking_are_those_of_the_user():
    hatches = [
        s for s in planned("2xresnet-8-4@g1", None, noise=0.2, shrink=0.6).steps if isinstance(s, HatchStep)
    ]
    assert [(h.noise, h.shrink) for h in hatches] == [(0.2, 0.6)] * 2
    hatches = [s for s in planned("2xresnet-8-4@g1", None).steps if isinstance(s, HatchStep)]
    assert [(h.noise, h.shrink) for h in hatches] == [(1e-3, 1.0)] * 2


@pytest.mark.parametrize(
    "options", [{"noise": -0.1}, {"noise": float("nan")}, {"shrink": 0.0}, {"shrink": 1.5}]
)
def test_noise_and_shrinking_have_bounds(options):
    with pytest.raises(UsageError, match="must not be negative|above 0 and at most 1"):
        planned("2xresnet-8-4@g1", None, **options)


@pytest.mark.parametrize("method", Method)
def test_a_chosen_weight_decay_is_that_of_every_training(method):
    steps = planned("2xvgg-11-4" + ("@g1" if method in CLUSTERED else ""), method, weight_decay=3e-3).steps
    assert {step.weight_decay for step in steps if isinstance(step, TrainStep)} == {3e-3}
