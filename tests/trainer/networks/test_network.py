"""The built module against its specification, against fvcore and against a network written by hand."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from advisor.networks.architecture import lower, parse_network, regular_network
from advisor.networks.layers import Task
from profiler.layers import layer_macs
from trainer.networks.network import SpecNetwork, Subsample, build_network, module_name

DEPTHS = {
    "resnet": [8, 14, 20],
    "wrn": [10, 16],
    "densenet": [7, 10, 13],
    "vgg": [11, 13, 16, 19],
    "mlp": [1, 2, 3],
}
WIDEST = {"resnet": 6, "wrn": 2, "densenet": 6, "vgg": 4, "mlp": 20}

TASKS = st.builds(
    Task,
    channels=st.sampled_from([1, 3]),
    height=st.integers(8, 64),
    width=st.integers(8, 64),
    classes=st.integers(2, 1000),
)


@st.composite
def regular(draw):
    family = draw(st.sampled_from(sorted(DEPTHS)))
    depth = draw(st.sampled_from(DEPTHS[family]))
    return regular_network(family, depth, draw(st.integers(1, WIDEST[family])))


def images_of(task, count=1):
    return torch.randn(count, task.channels, task.height, task.width)


# Counts.


@settings(max_examples=60)
@given(spec=regular(), task=TASKS)
def test_every_module_has_the_parameters_that_its_node_counts(spec, task):
    graph = lower(spec, task)
    network = build_network(graph, 0)
    for node in graph.nodes:
        assert sum(p.numel() for p in network.layer(node.name).parameters()) == node.parameters
    assert sum(p.numel() for p in network.parameters()) == graph.parameters


@settings(max_examples=25)
@given(spec=regular(), task=TASKS)
def test_every_module_gives_the_shape_of_its_node(spec, task):
    graph = lower(spec, task)
    network = build_network(graph, 0).eval()
    seen = {}
    for node in graph.nodes:
        network.layer(node.name).register_forward_hook(
            lambda _module, _inputs, output, name=node.name: seen.update({name: tuple(output.shape[1:])})
        )
    with torch.no_grad():
        logits = network(images_of(task))
    assert seen == {node.name: node.shape for node in graph.nodes}
    assert logits.shape == (1, task.classes)


@settings(max_examples=25)
@given(spec=regular(), task=TASKS)
def test_fvcore_counts_the_same_macs_in_every_layer(spec, task):
    graph = lower(spec, task)
    network = build_network(graph, 0)
    counted = layer_macs(network, images_of(task))
    for node in graph.nodes:
        assert counted.get(f"layers.{module_name(node.name)}", 0) == node.macs, node.name


@pytest.mark.parametrize(
    "name", ["resnet-8-4~b2l1:5x12", "vgg-11-4~b3l2:5x20", "vgg-11-4~b2:2,b6:3", "densenet-7-3~b2l1:1x9"]
)
def test_variants_of_single_layers_are_built_as_specified(name):
    graph = lower(parse_network(name), Task(channels=3, height=20, width=13, classes=7))
    network = build_network(graph, 0)
    assert sum(p.numel() for p in network.parameters()) == graph.parameters
    counted = layer_macs(network, torch.randn(1, 3, 20, 13))
    assert sum(counted.get(f"layers.{module_name(n.name)}", 0) for n in graph.nodes) == graph.macs


# A residual network of depth 8, written in plain torch after He et al. 2016, section 4.2.


class HandwrittenUnit(nn.Module):
    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.stride = stride

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        shortcut = torch.zeros_like(y)
        shortcut[:, : x.shape[1]] = x[:, :, :: self.stride, :: self.stride]
        return torch.relu(y + shortcut)


class HandwrittenResNet8(nn.Module):
    def __init__(self, width, channels, classes):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.stage1 = HandwrittenUnit(width, width, 1)
        self.stage2 = HandwrittenUnit(width, 2 * width, 2)
        self.stage3 = HandwrittenUnit(2 * width, 4 * width, 2)
        self.classifier = nn.Linear(4 * width, classes)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.classifier(x.mean((2, 3)))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("side", [8, 11, 32])
def test_a_handwritten_resnet_8_with_the_same_weights_gives_the_same_logits(side, training):
    task = Task(channels=3, height=side, width=side, classes=7)
    network = build_network(lower(parse_network("resnet-8-5"), task), 3).double()
    plain = HandwrittenResNet8(5, 3, 7).double()
    values = network.state_dict().values()
    plain.load_state_dict(dict(zip(plain.state_dict(), values, strict=True)))
    images = torch.randn(6, 3, side, side, dtype=torch.float64)
    expected = plain.train(training)(images)
    assert torch.allclose(network.train(training)(images), expected, rtol=0, atol=1e-12)


# Single modules by hand.


def test_the_padded_shortcut_takes_every_second_pixel_and_pads_channels_at_the_end():
    image = torch.arange(2 * 4 * 5, dtype=torch.float32).reshape(1, 2, 4, 5)
    shortcut = Subsample(5, 2)(image)
    assert shortcut.shape == (1, 5, 2, 3)
    assert shortcut[0, 0].tolist() == [[0, 2, 4], [10, 12, 14]]
    assert shortcut[0, 1].tolist() == [[20, 22, 24], [30, 32, 34]]
    assert shortcut[0, 2:].abs().max() == 0


def test_the_padded_shortcut_at_stride_1_only_pads():
    image = torch.randn(2, 3, 4, 4)
    shortcut = Subsample(4, 1)(image)
    assert torch.equal(shortcut[:, :3], image)
    assert not shortcut[:, 3].any()


def test_rectifiers_that_write_in_place_change_no_gradient():
    task = Task(channels=1, height=8, width=8, classes=3)
    gradients = []
    for inplace in (True, False):
        network = build_network(lower(parse_network("densenet-7-3"), task), 0).double()
        for module in network.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = inplace
        network(torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1)).double()).sum().backward()
        gradients.append([p.grad.clone() for p in network.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


# Random weights.


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(same_bits):
    graph = lower(parse_network("resnet-8-4"), Task(channels=1, height=8, width=8, classes=10))
    first = build_network(graph, 5).state_dict()
    assert same_bits(first, build_network(graph, 5).state_dict())
    assert not torch.equal(
        first["layers.stem_conv.weight"], build_network(graph, 6).state_dict()["layers.stem_conv.weight"]
    )


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before(same_bits):
    graph = lower(parse_network("mlp-2-8"), Task(channels=1, height=8, width=8, classes=10))
    first = build_network(graph, 5).state_dict()
    torch.rand(100)
    assert same_bits(first, build_network(graph, 5).state_dict())


def test_building_leaves_the_global_random_states_as_they_were():
    graph = lower(parse_network("vgg-11-2"), Task(channels=1, height=8, width=8, classes=10))
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    build_network(graph, 1)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()
    assert before[2] == random.getstate()


def test_convolutions_start_with_the_deviation_of_he_initialisation():
    network = build_network(
        lower(parse_network("resnet-8-32"), Task(channels=3, height=8, width=8, classes=2)), 0
    )
    # 64 channels to 128 filters of 3×3: the variance is 2 by the fan-out, 9·128.
    weight = network.layer("block3.unit1.inner.conv").weight
    assert float(weight.detach().std()) == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)


def test_dead_maps_are_dropped_during_inference():
    task = Task(channels=1, height=8, width=8, classes=2)
    network = SpecNetwork(lower(parse_network("resnet-14-2"), task))
    dropped = [source for _, dead in network._steps for source in dead]
    # Every value but the logits has a last reader, and is dropped once.
    assert sorted(dropped) == sorted(["input", *(n.name for n in network.graph.nodes[:-1])])
