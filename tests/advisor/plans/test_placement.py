"""Devices of every training step, counted by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.designs.design import parse_design
from advisor.errors import PlanError, UsageError
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.placement import devices_of, most_at_once, placed, slots
from advisor.plans.plan import HatchStep, TrainStep, plan_from_json, plan_to_json


def planned(design, gpus, *, device="cuda", batch=32, **options):
    """Return the plan of a machine with so many GPUs or cores: a plan is placed when it is made."""
    execution = Execution(
        device=device, processes=gpus, threads=1, dtype="float32", memory_format="contiguous"
    )
    return make_plan(
        parse_design(design),
        DATASETS["digits"],
        epochs=4,
        batch=batch,
        seed=0,
        execution=execution,
        options=PlanOptions(**options),
    )


def devices(plan):
    return [step.devices for step in plan.steps if isinstance(step, TrainStep)]


@pytest.mark.parametrize(
    ("gpus", "expected", "used"),
    [
        # The mother, then her five members.
        (1, [1, 1, 1, 1, 1, 1], 1),
        (2, [2, 1, 1, 1, 1, 1], 2),
        (4, [4, 1, 1, 1, 1, 1], 4),
        (8, [8, 1, 1, 1, 1, 1], 8),
        (12, [12, 2, 2, 2, 2, 2], 12),
    ],
)
def test_one_mother_has_all_devices_and_her_members_one_each_until_some_are_idle(gpus, expected, used):
    plan = planned("5xresnet-8-4@g1", gpus)
    assert devices(plan) == expected
    assert plan.execution.processes == min(gpus, 5)
    assert slots(plan) == used


@pytest.mark.parametrize(
    ("gpus", "mother", "member"), [(1, 1, 1), (2, 1, 1), (4, 2, 1), (8, 4, 1), (10, 5, 2), (16, 8, 3)]
)
def test_two_mothers_divide_the_devices_among_them(gpus, mother, member):
    plan = planned("5xresnet-8-4@g2", gpus, batch=128)
    by_network = {s.network: s.devices for s in plan.steps if isinstance(s, TrainStep)}
    assert {n: d for n, d in by_network.items() if n.startswith("mother")} == {
        "mother-1": mother,
        "mother-2": mother,
    }
    assert {d for n, d in by_network.items() if n.startswith("member")} == {member}
    assert slots(plan) == max(min(gpus, 5), min(2 * mother, gpus), min(5 * member, gpus))


@pytest.mark.parametrize(("gpus", "each", "used"), [(1, 1, 1), (2, 1, 2), (4, 1, 3), (8, 2, 6), (9, 3, 9)])
def test_members_that_train_independently_divide_the_devices(gpus, each, used):
    plan = planned("3xresnet-8-4", gpus)
    assert devices(plan) == [each] * 3
    assert plan.execution.processes == min(gpus, 3)
    assert slots(plan) == used


@pytest.mark.parametrize("method", ["snapshot", "fge"])
@pytest.mark.parametrize("gpus", [1, 2, 4, 8])
def test_chains_and_a_single_network_have_all_devices(method, gpus):
    for plan in (planned("3xresnet-8-4", gpus, method=method), planned("resnet-8-4", gpus)):
        assert set(devices(plan)) == {gpus}
        assert plan.execution.processes == 1
        assert slots(plan) == gpus


def test_a_teacher_has_all_devices_and_hatching_takes_one():
    assert devices(planned("3xresnet-8-4", 4, method="distillation")) == [4, 1, 1, 1]
    hatches = [s for s in planned("2xresnet-8-4@g1", 4).steps if isinstance(s, HatchStep)]
    assert [devices_of(s) for s in hatches] == [1, 1]


def test_a_member_without_a_mother_trains_in_the_phase_of_the_mothers():
    # The family of its own makes a cluster of one: it and the mother share four devices.
    plan = planned("2xresnet-8-4+mlp-1-4@g2", 4)
    by_network = {s.network: s.devices for s in plan.steps if isinstance(s, TrainStep)}
    assert by_network == {"mother-1": 2, "member-3": 2, "member-1": 2, "member-2": 2}
    assert slots(plan) == 4


def test_a_device_takes_two_images_of_a_batch_at_the_least():
    assert devices(planned("resnet-8-4", 8, batch=6)) == [3]


def test_on_a_cpu_no_batch_is_shared():
    plan = planned("5xresnet-8-4@g1", 4, device="cpu")
    assert devices(plan) == [1] * 6
    assert slots(plan) == 4


@pytest.mark.parametrize(
    ("design", "options", "most"),
    [
        ("3xresnet-8-4", {}, 3),
        ("3xresnet-8-4", {"method": "snapshot"}, 1),
        # The teacher comes first, then her three students at the same time.
        ("3xresnet-8-4", {"method": "distillation"}, 3),
        ("5xresnet-8-4@g2", {}, 5),
        # The member without a mother may still train when the mother's two members do.
        ("2xresnet-8-4+mlp-1-4@g2", {}, 3),
        # Members that share layers are one network for each cluster.
        ("5xmlp-1-8@g2", {"method": "shared_mothernets"}, 2),
        ("3xmlp-1-8", {"method": "treenets"}, 1),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_plan_has_as_many_processes_as_networks_can_train_at_once(device, design, options, most):
    assert most_at_once(planned(design, 1, device=device, **options)) == most
    assert planned(design, 16, device=device, **options).execution.processes == most
    assert planned(design, 1, device=device, **options).execution.processes == 1


@given(
    st.sampled_from(["resnet-8-4", "3xresnet-8-4", "5xresnet-8-4@g2"]), st.integers(1, 9), st.integers(1, 9)
)
def test_a_plan_of_another_machine_is_placed_as_if_it_were_made_here(design, there, here):
    assert placed(planned(design, there), here) == planned(design, here)


@given(
    st.sampled_from(["resnet-8-4", "3xresnet-8-4", "5xresnet-8-4@g1", "5xresnet-8-4@g2", "4xmlp-1-4@g3"]),
    st.integers(1, 20),
)
def test_no_more_slots_than_devices_and_a_plan_survives_its_file(design, gpus):
    plan = planned(design, gpus, batch=64)
    assert slots(plan) <= gpus
    assert all(devices_of(step) <= slots(plan) for step in plan.steps)
    assert plan_from_json(plan_to_json(plan)) == plan


def test_a_plan_from_before_reads_as_one_device_a_step():
    plan = planned("3xresnet-8-4", 1)
    text = "".join(line for line in plan_to_json(plan).splitlines(True) if '"devices"' not in line)
    assert "devices" not in text
    # The field was the last of its object.
    assert plan_from_json(text.replace('"distillation": null,', '"distillation": null')) == plan


def test_devices_are_in_range():
    step = planned("resnet-8-4", 1).steps[0]
    for wrong in (0, -1, 1025):
        with pytest.raises(UsageError, match="devices must be between"):
            replace(step, devices=wrong)
    with pytest.raises(PlanError, match="batch of 32 among 17 devices"):
        replace(planned("resnet-8-4", 1), steps=(replace(step, devices=17),))


def test_networks_on_streams_share_one_device_and_no_batches():
    plan = planned("5xresnet-20-16@g1", 1)
    on_streams = placed(replace(plan, execution=replace(plan.execution, streams=4)), 1)
    assert on_streams.execution.processes == 4
    assert {devices_of(step) for step in on_streams.steps} == {1}
    few = planned("2xresnet-20-16", 1)
    assert placed(replace(few, execution=replace(few.execution, streams=4)), 1).execution.processes == 2


def test_networks_that_fill_a_gpu_alone_get_no_streams():
    # 2.5 million multiply-adds an image of 8×8, 0.6 G a batch of 256; 16 times as many at 4 times the width.
    thin, wide = (planned(f"4xresnet-20-{width}", 1, batch=256) for width in (16, 64))
    found = [placed(replace(p, execution=replace(p.execution, streams=4)), 1) for p in (thin, wide)]
    assert [p.execution.streams for p in found] == [4, 1]
    assert [p.execution.processes for p in found] == [4, 1]
