"""The extrapolated counts against the lowered graph, and the searches against scans."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.networks.architecture import lower, regular_network
from advisor.networks.layers import Task
from advisor.networks.regular_counts import regular_counts

DEPTHS = {
    "resnet": list(range(8, 81, 6)),
    "wrn": list(range(10, 83, 6)),
    "densenet": list(range(7, 68, 3)),
    "vgg": [11, 13, 16, 19],
    "mlp": list(range(1, 41)),
}
CIFAR10 = Task(channels=3, height=32, width=32, classes=10)

tasks = st.builds(
    Task,
    channels=st.sampled_from([1, 3]),
    height=st.integers(8, 64),
    width=st.integers(8, 64),
    classes=st.integers(2, 1000),
)
shapes = st.sampled_from(sorted(DEPTHS)).flatmap(
    lambda family: st.tuples(st.just(family), st.sampled_from(DEPTHS[family]), st.integers(1, 300))
)


@settings(max_examples=120)
@given(shapes, tasks)
def test_counts_equal_those_of_the_lowered_graph(shape, task):
    family, depth, width = shape
    counts = regular_counts(family, task, 100)
    graph = lower(regular_network(family, depth, width), task)
    assert counts.parameters(depth, width) == graph.parameters
    assert counts.macs(depth, width) == graph.macs


@pytest.mark.parametrize("family", sorted(DEPTHS))
def test_counts_equal_the_graph_at_the_edges_of_the_enumerated_space(family):
    counts = regular_counts(family, CIFAR10, 200)
    for depth in (counts.depths[0], counts.depths[-1]):
        for width in (1, 2, 3, 4, 5, 1001):
            graph = lower(regular_network(family, depth, width), CIFAR10)
            assert (counts.parameters(depth, width), counts.macs(depth, width)) == (
                graph.parameters,
                graph.macs,
            )


def test_counts_of_a_fully_connected_network_follow_its_formula_at_any_size():
    counts = regular_counts("mlp", CIFAR10, 10_000)
    for depth, width in [(1, 1), (1, 999_999), (10_000, 999_999), (777, 12)]:
        expected = (3072 + 1) * width + (depth - 1) * (width + 1) * width + (width + 1) * 10
        assert counts.parameters(depth, width) == expected


def test_counts_of_a_densenet_follow_its_sum_over_layers():
    counts = regular_counts("densenet", CIFAR10, 400)
    depth, width = 202, 37
    total, channels = 3 * 16 * 9, 16
    for block in range(3):
        for _ in range((depth - 4) // 3):
            total += 2 * channels + channels * width * 9
            channels += width
        if block < 2:
            total += 2 * channels + channels**2
    assert counts.parameters(depth, width) == total + 2 * channels + (channels + 1) * 10


@settings(max_examples=60)
@given(shapes, st.floats(0.5, 8), st.integers(1, 6))
def test_the_widest_network_within_a_limit_is_that_of_a_scan(shape, factor, minimum):
    family, depth, width = shape
    width = width % 40 + 1
    counts = regular_counts(family, CIFAR10, 100)
    limit = counts.parameters(depth, width) * factor
    fitting = [w for w in range(minimum, 700) if counts.parameters(depth, w) <= limit]
    assert counts.widest(depth, limit, minimum) == (fitting[-1] if fitting else None)


@settings(max_examples=60)
@given(shapes, st.floats(0.1, 8))
def test_the_deepest_network_within_a_limit_is_that_of_a_scan(shape, factor):
    family, depth, width = shape
    counts = regular_counts(family, CIFAR10, 100)
    limit = counts.parameters(depth, width) * factor
    fitting = [d for d in counts.depths if counts.parameters(d, width) <= limit]
    assert counts.deepest(width, limit) == (fitting[-1] if fitting else None)


def test_a_limit_that_is_met_exactly_is_within():
    counts = regular_counts("resnet", CIFAR10, 200)
    exact = counts.parameters(26, 16)
    assert (counts.widest(26, exact), counts.widest(26, exact - 1)) == (16, 15)
    assert (counts.deepest(16, exact), counts.deepest(16, exact - 1)) == (26, 20)


def test_depths_end_at_the_limit():
    assert regular_counts("resnet", CIFAR10, 31).depths == [8, 14, 20, 26]
    assert regular_counts("vgg", CIFAR10, 200).depths == [11, 13, 16, 19]
