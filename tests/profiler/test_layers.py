"""Profiles of every layer: counts equal the specification's, and times are of the right size."""

import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from advisor.architecture import lower, parse_network
from advisor.dataset import Augmentation
from advisor.layers import Task
from profiler.layers import layer_macs, profile_layers

KINDS = {
    "Conv": "Conv2d",
    "Linear": "Linear",
    "BatchNorm": "BatchNorm2d",
    "Relu": "ReLU",
    "Add": "Sum",
    "PadShortcut": "Subsample",
    "MaxPool": "MaxPool2d",
    "AveragePool": "AvgPool2d",
    "GlobalAveragePool": "SpatialMean",
    "Flatten": "Flatten",
    "Concat": "Join",
}
FAMILIES = ["resnet-8-4", "wrn-10-1", "densenet-7-4", "vgg-11-4", "mlp-2-8"]
BATCH = 6


@pytest.mark.parametrize("name", FAMILIES)
def test_names_kinds_and_counts_of_all_layers_equal_the_specification(workload, name):
    described = workload(name, batch=BATCH)
    profiles = profile_layers(described.prepare(), "cpu")
    nodes = lower(parse_network(name), described.task).nodes
    assert [p.name for p in profiles] == [n.name for n in nodes]
    assert [p.kind for p in profiles] == [KINDS[type(n.operation).__name__] for n in nodes]
    assert [p.parameters for p in profiles] == [n.parameters for n in nodes]
    assert [p.macs for p in profiles] == [n.macs for n in nodes]
    # Four bytes a float32, for every image of the batch.
    assert [p.output_bytes for p in profiles] == [4 * BATCH * n.elements for n in nodes]


@pytest.mark.parametrize("name", FAMILIES)
def test_profiling_leaves_no_hook_and_no_flag_behind(workload, name):
    prepared = workload(name).prepare()
    before = {n: getattr(m, "inplace", None) for n, m in prepared.module.named_modules()}
    assert True in before.values()
    profile_layers(prepared, "cpu")
    assert before == {n: getattr(m, "inplace", None) for n, m in prepared.module.named_modules()}
    for module in prepared.module.modules():
        for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
            assert not getattr(module, hooks)


def test_flags_and_hooks_are_restored_when_a_step_fails(workload):
    class Failing:
        def __init__(self, prepared):
            self.module, self.example = prepared.module, prepared.example

        def train_step(self, mark):
            raise RuntimeError("broken")

    prepared = workload("resnet-8-4").prepare()
    with pytest.raises(RuntimeError, match="broken"):
        profile_layers(Failing(prepared), "cpu")
    assert all(m.inplace for m in prepared.module.modules() if isinstance(m, nn.ReLU))
    assert not any(m._forward_hooks for m in prepared.module.modules())


def seconds_of_layers_and_of_steps(prepared):
    profiles = profile_layers(prepared, "cpu")
    assert all(p.forward_seconds > 0 for p in profiles)
    # Only the first layer reads images, which need no gradient.
    assert all(p.backward_seconds > 0 for p in profiles[1:])
    steps = []
    for _ in range(9):
        began = time.perf_counter()
        prepared.train_step(lambda phase: None)
        steps.append(time.perf_counter() - began)
    return sum(p.forward_seconds + p.backward_seconds for p in profiles), sorted(steps)[4]


def test_times_of_all_layers_add_up_to_the_order_of_a_step_and_not_to_more(workload):
    prepared = workload("resnet-8-8", batch=32).prepare()
    # Layers run one after the other; hooks and rectifiers out of place cost something. Neighbours on a
    # busy machine may disturb one of the two measurements, so there are three attempts.
    attempts = [seconds_of_layers_and_of_steps(prepared) for _ in range(3)]
    assert any(0.2 * step < layers < 1.5 * step for layers, step in attempts), attempts


def test_a_layer_with_many_more_macs_takes_longer(workload):
    profiles = {
        p.name: p for p in profile_layers(workload("resnet-8-4~b1l1:7x64", batch=32).prepare(), "cpu")
    }
    heavy, light = (profiles[f"block{b}.unit1.inner.conv"] for b in (1, 2))
    assert heavy.macs > 100 * light.macs
    assert heavy.forward_seconds > light.forward_seconds


def test_half_precision_shows_in_the_bytes_of_the_outputs(workload, execution):
    described = workload("resnet-8-4", batch=BATCH, execution=replace(execution, dtype="bfloat16"))
    profiles = {p.name: p for p in profile_layers(described.prepare(), "cpu")}
    nodes = {n.name: n for n in lower(parse_network("resnet-8-4"), described.task).nodes}
    for name in ("stem.conv", "block2.unit1.outer.conv", "classifier"):
        assert profiles[name].output_bytes == 2 * BATCH * nodes[name].elements


def test_macs_are_counted_without_a_trace_in_the_module(workload):
    task = Task(channels=1, height=9, width=11, classes=3)
    prepared = workload("resnet-8-4", task=task, augmentation=Augmentation.NONE).prepare()
    prepared.module.train()
    statistics = prepared.module.layer("stem.norm").running_mean.clone()
    counted = layer_macs(prepared.module, prepared.example[:1])
    # 4 filters of 3×3 on one channel, at every one of 9·11 pixels; 4·4 features to 3 classes.
    assert counted["layers.stem_conv"] == 4 * 9 * 9 * 11
    assert counted["layers.classifier"] == 16 * 3
    assert prepared.module.training
    assert torch.equal(statistics, prepared.module.layer("stem.norm").running_mean)
