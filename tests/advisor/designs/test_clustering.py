"""Balanced clusters against a reference cost and brute force over all balanced partitions."""

import time
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.designs.clustering import balanced_clusters, clusters_of
from advisor.designs.design import Design, parse_design
from advisor.networks.architecture import NetworkSpec, parse_network
from advisor.networks.layers import Layer


def units(filters):
    return NetworkSpec(family="mlp", width=filters[0], blocks=(tuple(Layer(1, f) for f in filters),))


def layers(spec):
    return [layer.filters for layer in spec.blocks[0]]


def levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def reference_cost(members, clusters):
    """Sum of distances to the mothers, for fully connected members, all by its own arithmetic."""
    cost = 0
    for cluster in clusters:
        group = [layers(members[i]) for i in cluster]
        mother = [min(column) for column in zip(*group, strict=False)]
        cost += sum(levenshtein(member, mother + [0] * (len(member) - len(mother))) for member in group)
    return cost


def balanced_partitions(items, count):
    """All partitions of `items` into `count` parts whose sizes differ by at most one."""
    small, extra = divmod(len(items), count)

    def split(rest, sizes):
        if not sizes:
            yield []
            return
        first = rest[0]
        for size in set(sizes):
            left = list(sizes)
            left.remove(size)
            for others in combinations(rest[1:], size - 1):
                part = (first, *others)
                for more in split([i for i in rest if i not in part], left):
                    yield [part, *more]

    yield from split(list(items), [small + 1] * extra + [small] * (count - extra))


fully_connected = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(units)


@settings(max_examples=100)
@given(st.lists(fully_connected, min_size=1, max_size=24), st.data())
def test_clusters_are_a_partition_whose_sizes_differ_by_at_most_one(members, data):
    count = data.draw(st.integers(1, len(members)))
    clusters = balanced_clusters(members, count)
    assert sorted(i for cluster in clusters for i in cluster) == list(range(len(members)))
    sizes = [len(cluster) for cluster in clusters]
    assert len(sizes) == count
    assert max(sizes) - min(sizes) <= 1
    assert all(list(cluster) == sorted(cluster) for cluster in clusters)
    assert clusters == sorted(clusters)


@settings(max_examples=80)
@given(st.lists(fully_connected, min_size=2, max_size=7), st.data())
def test_the_cost_lies_between_the_best_partition_and_the_split_by_size(members, data):
    count = data.draw(st.integers(1, min(3, len(members))))
    cost = reference_cost(members, balanced_clusters(members, count))
    order = sorted(range(len(members)), key=lambda i: (sum(layers(members[i])), i))
    small, extra = divmod(len(members), count)
    bounds = [j * small + min(j, extra) for j in range(count + 1)]
    by_size = [order[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]
    assert cost <= reference_cost(members, by_size)
    assert cost >= min(reference_cost(members, p) for p in balanced_partitions(range(len(members)), count))


@pytest.mark.parametrize(
    ("members", "count", "clusters"),
    [
        # Two shapes, three times each, mixed: each shape is its own mother.
        ([[8, 8], [2, 2], [8, 8], [2, 2], [2, 2], [8, 8]], 2, [(0, 2, 5), (1, 3, 4)]),
        ([[4], [16], [4], [16]], 2, [(0, 2), (1, 3)]),
        ([[4], [16], [64]], 3, [(0,), (1,), (2,)]),
        ([[4], [16], [64]], 1, [(0, 1, 2)]),
        ([[9, 9, 9], [3], [9, 9, 9], [3], [5, 5]], 2, [(0, 2), (1, 3, 4)]),
    ],
)
def test_evident_groups_are_found(members, count, clusters):
    found = balanced_clusters([units(filters) for filters in members], count)
    assert found == clusters


def test_evident_groups_cost_nothing_and_no_partition_is_better():
    members = [units(f) for f in ([8, 8], [2, 2], [8, 8], [2, 2], [4, 4], [4, 4])]
    assert reference_cost(members, balanced_clusters(members, 3)) == 0


def designs():
    names = [
        "resnet-8-4",
        "resnet-14-4",
        "resnet-8-6",
        "mlp-1-4",
        "mlp-2-4",
        "wrn-10-1",
        "wrn-16-1",
        "vgg-11-4",
    ]

    @st.composite
    def build(draw):
        members = tuple(
            parse_network(n) for n in draw(st.lists(st.sampled_from(names), min_size=1, max_size=14))
        )
        kinds = len({member.family for member in members})
        return Design(members=members, clusters=draw(st.integers(kinds, len(members))))

    return build()


@settings(max_examples=100)
@given(designs())
def test_a_design_is_partitioned_into_its_clusters_without_mixing_families(design):
    clusters = clusters_of(design)
    assert len(clusters) == design.clusters
    assert sorted(i for cluster in clusters for i in cluster) == list(range(len(design.members)))
    for cluster in clusters:
        assert len({design.members[i].family for i in cluster}) == 1
    for family in design.families:
        sizes = [len(c) for c in clusters if design.members[c[0]].family == family]
        assert max(sizes) - min(sizes) <= 1


@settings(max_examples=40)
@given(designs())
def test_clusters_depend_on_nothing_but_the_design(design):
    assert clusters_of(design) == clusters_of(parse_design(design.name))


@given(designs().map(lambda d: Design(members=d.members, clusters=len(d.members))))
def test_as_many_clusters_as_members_are_singletons(design):
    assert clusters_of(design) == [(i,) for i in range(len(design.members))]


def test_one_cluster_holds_all_members():
    assert clusters_of(parse_design("4xresnet-26-8@g1")) == [(0, 1, 2, 3)]


def test_clusters_of_equal_members_are_of_equal_size():
    assert [len(cluster) for cluster in clusters_of(parse_design("8xresnet-26-8@g4"))] == [2, 2, 2, 2]
    assert sorted(len(cluster) for cluster in clusters_of(parse_design("8xresnet-26-8@g3"))) == [2, 3, 3]


def test_clusters_are_divided_over_families_by_their_members():
    # Six resnets and two mlps in four clusters: 6/3 = 2/1, so three clusters and one.
    clusters = clusters_of(parse_design("6xresnet-8-4+2xmlp-1-4@g4"))
    assert sorted(map(len, clusters)) == [2, 2, 2, 2]
    assert (6, 7) in clusters


def test_a_family_never_gets_more_clusters_than_members():
    clusters = clusters_of(parse_design("mlp-1-4+9xresnet-8-4@g9"))
    assert (0,) in clusters
    assert sorted(map(len, clusters)) == [1] * 8 + [2]


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("V5+resnet-20-16@g2", {"vgg": [5], "resnet": [1]}),
        ("resnet-20-16+V5+resnet-32-16@g3", {"vgg": [2, 3], "resnet": [2]}),
        # The third goes to vgg, 25/1 members a cluster; then 25/2 > 10 > 5, so vgg again, then R10.
        ("V25+R10+D5@g6", {"vgg": [8, 8, 9], "resnet": [5, 5], "densenet": [5]}),
        ("V5+R10+D5@g20", {"vgg": [1] * 5, "resnet": [1] * 10, "densenet": [1] * 5}),
    ],
)
def test_presets_of_several_families_share_no_mother(name, sizes):
    design = parse_design(name)
    found = {}
    for cluster in clusters_of(design):
        (family,) = {design.members[i].family for i in cluster}
        found.setdefault(family, []).append(len(cluster))
    assert {family: sorted(counts) for family, counts in found.items()} == sizes


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["V100@g1", "V100@g4", "V100@g10", "V100+V25+R10@g30"])
def test_the_largest_presets_are_clustered_in_five_seconds(name):
    design = parse_design(name)
    started = time.perf_counter()
    clusters = clusters_of(design)
    assert time.perf_counter() - started < 5
    assert len(clusters) == design.clusters


def vgg16_variants(count):
    """VGG-16 with one layer changed at a time: more filters, larger filters, or both."""
    names = []
    for kernel, factor in (
        (3, 1.25),
        (3, 1.5),
        (5, 1),
        (5, 1.25),
        (5, 1.5),
        (7, 1),
        (7, 1.25),
        (3, 2),
        (5, 2),
    ):
        for block, length in enumerate((2, 2, 3, 3, 3), 1):
            filters = int(64 * min(2 ** (block - 1), 8) * factor)
            names += [f"vgg-16-64~b{block}l{layer}:{kernel}x{filters}" for layer in range(1, length + 1)]
    return [parse_network(name) for name in names[:count]]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("clusters", [1, 5, 20, 99])
def test_a_hundred_variants_of_vgg_16_are_clustered_in_five_seconds(clusters):
    members = tuple(vgg16_variants(100))
    assert len(set(members)) == 100
    started = time.perf_counter()
    found = clusters_of(Design(members=members, clusters=clusters))
    assert time.perf_counter() - started < 5
    assert {len(cluster) for cluster in found} <= {100 // clusters, 100 // clusters + 1}
