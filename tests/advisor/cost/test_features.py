"""Features of networks: by hand for two tiny ones, by recounting the graph, and against torch."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.cost.features import KINDS, NetworkFeatures, features_of, graph_features, layer_sizes
from advisor.networks.architecture import lower, parse_network, regular_network
from advisor.networks.graph import Graph
from advisor.networks.layers import Task
from trainer.networks.network import build_network

DIGITS = Task(channels=1, height=8, width=8, classes=10)
CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
DEPTHS = {
    "resnet": (8, 14, 20),
    "wrn": (10, 16),
    "densenet": (7, 10, 13),
    "vgg": (11, 13, 16, 19),
    "mlp": (1, 2, 5),
}


@st.composite
def graphs(draw):
    family = draw(st.sampled_from(sorted(DEPTHS)))
    depth = draw(st.sampled_from(DEPTHS[family]))
    width = draw(st.integers(1, 3 if family == "wrn" else 20))
    return lower(regular_network(family, depth, width), draw(st.sampled_from([DIGITS, CIFAR10])))


def test_a_tiny_mlp_by_hand():
    # flatten 64, linear 64 -> 4, relu 4, linear 4 -> 10
    assert features_of("mlp-1-4", DIGITS) == NetworkFeatures(
        macs=64 * 4 + 4 * 10,
        macs_8=64 * 8 + 8 * 16,
        macs_16=64 * 16 + 16 * 16,
        dense_elements=(64 + 4) + (4 + 10),
        other_elements=(64 + 64) + (4 + 4),
        operations=4,
        parameters=65 * 4 + 5 * 10,
        tensors=4,
        input_elements=64,
    )


def test_a_tiny_resnet_by_hand():
    # Stages of 4x8x8 = 256, 8x4x4 = 128 and 16x2x2 = 64 elements; a stem and one unit in each stage.
    assert features_of("resnet-8-4", DIGITS) == NetworkFeatures(
        macs=9 * 64 * (1 * 4 + 2 * 4 * 4) + 9 * 16 * (4 * 8 + 8 * 8) + 9 * 4 * (8 * 16 + 16 * 16) + 160,
        macs_8=9 * 64 * 3 * 64 + 9 * 16 * 2 * 64 + 9 * 4 * (8 * 16 + 16 * 16) + 16 * 16,
        macs_16=9 * 64 * 3 * 256 + 9 * 16 * 2 * 256 + 9 * 4 * 2 * 256 + 16 * 16,
        dense_elements=(64 + 256) + 4 * 256 + (256 + 3 * 128) + (128 + 3 * 64) + (16 + 10),
        # stem: norm, relu; unit: three of norm and relu, the sum and a relu; then shortcuts; the pool.
        other_elements=4 * 256
        + (3 * 2 + 3 + 2) * 256
        + (3 * 2 + 3 + 2) * 128
        + (256 + 128)
        + (3 * 2 + 3 + 2) * 64
        + (128 + 64)
        + (64 + 16),
        operations=3 + 7 + 8 + 8 + 2,
        parameters=9 * (4 + 2 * 16 + 32 + 64 + 128 + 256) + 2 * (3 * 4 + 2 * 8 + 2 * 16) + 170,
        tensors=7 + 2 * 7 + 2,
        input_elements=64,
    )


@given(graphs())
@settings(max_examples=40)
def test_features_agree_with_a_recount_of_the_nodes(graph):
    found = graph_features(graph)
    moved = 0
    for node in graph.nodes:
        moved += sum(_product(graph.shapes[name]) for name in (node.name, *node.inputs))
    assert found.macs == sum(node.macs for node in graph.nodes)
    assert found.parameters == sum(node.parameters for node in graph.nodes)
    assert found.operations == len(graph.nodes)
    assert found.dense_elements + found.other_elements == moved
    assert found.macs <= found.macs_8 <= found.macs_16


@given(graphs(), st.data())
@settings(max_examples=30)
def test_what_is_counted_by_node_adds_up_over_any_cut(graph, data):
    cut = data.draw(st.integers(1, len(graph.nodes) - 1))

    def counted(nodes):
        # A part of a graph still knows the shapes of what it reads.
        part = Graph(graph.input_shape, nodes, (nodes[-1].name,))
        part.__dict__["shapes"] = graph.shapes
        found = graph_features(part)
        return [
            getattr(found, name)
            for name in ("macs", "macs_8", "macs_16", "dense_elements", "other_elements", "operations")
        ] + [found.parameters, found.tensors]

    first, second = counted(graph.nodes[:cut]), counted(graph.nodes[cut:])
    assert [a + b for a, b in zip(first, second, strict=True)] == counted(graph.nodes)


@pytest.mark.parametrize(
    "name", ["resnet-14-5", "wrn-16-2", "densenet-10-6", "vgg-13-4", "mlp-3-9", "vgg-11-4~b2:2,b6:3"]
)
def test_tensors_and_parameters_are_those_of_the_real_module(name):
    found = features_of(name, DIGITS)
    real = list(build_network(lower(parse_network(name), DIGITS), 0).parameters())
    assert found.tensors == len(real)
    assert found.parameters == sum(p.numel() for p in real)


def _product(shape):
    count = 1
    for size in shape:
        count *= size
    return count


def test_sizes_of_layers_by_hand():
    # conv 4 -> 8 channels, 3x3, stride 2, from 8x8 to 4x4, at a batch of 2.
    sizes = layer_sizes("resnet-8-4", DIGITS, 2)
    row = sizes.rows[sizes.names.index("block2.unit1.inner.conv")]
    pixels = 2 * 16
    assert row[0] == pytest.approx(pixels * 9 * 4 * 8 / 1e9)
    assert row[1] == pytest.approx(pixels * 9 * 8 * 8 / 1e9)
    assert row[2] == pytest.approx(pixels * 9 * 16 * 16 / 1e9)
    assert row[3] == pytest.approx(pixels * 9 * 4 * 16 / 1e9)
    assert row[4:8] == pytest.approx([2 * 256 / 1e8, 2 * 128 / 1e8, 2 * 64 * 16 / 1e8, pixels * 16 / 1e8])
    assert row[8:10] == pytest.approx([9 * 4 * 8 / 1e8, 9 * 16 * 16 / 1e8])
    # Strided, so its MACs count again; all of it fits into the cache.
    assert row[10] == row[2]
    assert row[11] == 0
    assert KINDS[sizes.kinds[0]] == "Conv@images"


def test_a_layer_that_reads_the_images_is_a_kind_of_its_own_behind_a_flatten_too():
    kinds = [KINDS[k] for k in layer_sizes("mlp-2-8", DIGITS, 4).kinds]
    assert kinds == ["Flatten", "Linear@images", "Relu", "Linear", "Relu", "Linear"]
