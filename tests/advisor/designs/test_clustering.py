"""Clusters against a reference cost and brute force over all balanced partitions."""

import time
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.designs.cluster_costs import ClusterCosts
from advisor.designs.cluster_search import search_clusters
from advisor.designs.clustering import balanced_clusters, clusters_of
from advisor.designs.design import Design, parse_design
from advisor.designs.presets import members_of
from advisor.networks.architecture import NetworkSpec, parse_network
from advisor.networks.layers import Layer
from advisor.networks.mothernet import distance, mother_of


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
        # What a member has beyond the mother passes on her last layer.
        mother[-1] = min(width for member in group for width in member[len(mother) - 1 :])
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


def imbalance(clusters):
    sizes = [len(cluster) for cluster in clusters]
    return max(sizes) - min(sizes)


@settings(max_examples=20)
@given(st.lists(fully_connected, min_size=1, max_size=24), st.data())
def test_clusters_are_a_partition_and_balanced_unless_that_costs_more_than_fewer_clusters(members, data):
    count = data.draw(st.integers(1, len(members)))
    clusters = balanced_clusters(members, count)
    assert sorted(i for cluster in clusters for i in cluster) == list(range(len(members)))
    assert len(clusters) == count
    assert all(list(cluster) == sorted(cluster) for cluster in clusters)
    assert clusters == sorted(clusters)
    if imbalance(clusters) > 1:
        fewer = balanced_clusters(members, count - 1)
        assert reference_cost(members, clusters) <= reference_cost(members, fewer)


@settings(max_examples=60)
@given(st.lists(fully_connected, min_size=2, max_size=7))
def test_no_balanced_partition_of_few_members_costs_less_and_the_cost_never_rises(members):
    before = reference_cost(members, [range(len(members))])
    for count in range(1, len(members) + 1):
        clusters = balanced_clusters(members, count)
        cost = reference_cost(members, clusters)
        best = min(reference_cost(members, p) for p in balanced_partitions(range(len(members)), count))
        assert cost <= best
        assert cost <= before
        assert imbalance(clusters) <= 1 or best > before
        before = cost


@settings(max_examples=25)
@given(
    st.lists(fully_connected, min_size=1, max_size=3, unique=True),
    st.lists(st.integers(1, 4), min_size=3, max_size=3),
    st.randoms(use_true_random=False),
)
def test_the_cost_of_several_members_of_a_shape_never_rises_in_any_order(shapes, counts, random):
    members = [shape for shape, n in zip(shapes, counts, strict=False) for _ in range(n)]
    shuffled = random.sample(members, len(members))
    costs = [reference_cost(members, balanced_clusters(members, g)) for g in range(1, len(members) + 1)]
    assert costs == sorted(costs, reverse=True)
    assert costs == [
        reference_cost(shuffled, balanced_clusters(shuffled, g)) for g in range(1, len(members) + 1)
    ]


def total_distance(members, clusters):
    """Sum of the distances of all members to the mother of their cluster."""
    return sum(
        distance(members[i], mother)
        for cluster in clusters
        for mother in [mother_of([members[i] for i in cluster])]
        for i in cluster
    )


# Found by brute force over all balanced partitions.
OPTIMA = {
    "R10": [414, 324, 216, 174, 150, 48, 36, 24, 12, 0],
    "D5": [288, 192, 120, 36, 0],
    "V5": [15, 9, 6, 3, 0],
}


@pytest.mark.parametrize("preset", OPTIMA)
def test_the_clusters_of_a_preset_are_the_cheapest_balanced_ones(preset):
    members = members_of(preset)
    found = [balanced_clusters(members, g) for g in range(1, len(members) + 1)]
    assert [total_distance(members, clusters) for clusters in found] == OPTIMA[preset]
    assert max(imbalance(clusters) for clusters in found) <= 1


@pytest.mark.parametrize("preset", ["V5", "D5", pytest.param("R10", marks=pytest.mark.slow)])
def test_the_search_for_many_members_finds_the_cheapest_clusters_of_a_preset_too(preset):
    members = members_of(preset)
    costs = ClusterCosts(members)
    found = [search_clusters(costs, range(len(members)), g) for g in range(1, len(members) + 1)]
    assert [total_distance(members, clusters) for clusters in found] == OPTIMA[preset]


@pytest.mark.slow
def test_the_cost_of_v25_never_rises_with_the_number_of_clusters():
    members = members_of("V25")
    found = [balanced_clusters(members, g) for g in range(1, 26)]
    costs = [total_distance(members, clusters) for clusters in found]
    assert costs == sorted(costs, reverse=True)
    assert max(imbalance(clusters) for clusters in found) <= 1


@pytest.mark.slow
def test_the_cost_of_v100_does_not_rise_from_few_clusters_to_many():
    members = members_of("V100")
    counts = (1, 2, 5, 10, 13, 20, 25, 33, 50, 75, 99)
    costs = [total_distance(members, balanced_clusters(members, g)) for g in counts]
    assert costs == sorted(costs, reverse=True)


def test_two_shapes_of_three_members_keep_their_mothers_and_lose_the_balance_in_three_clusters():
    design = parse_design("3xresnet-8-4+3xresnet-14-6@g3")
    clusters = clusters_of(design)
    assert sorted(map(len, clusters)) == [1, 2, 3]
    assert all(len({design.members[i] for i in cluster}) == 1 for cluster in clusters)


def test_costs_of_clusters_are_sums_of_distances_to_their_mothers():
    shapes = [parse_network(name) for name in ("vgg-11-8", "vgg-16-8~b4:5,b6:2", "vgg-13-4~b1l1:5x9")]
    costs = ClusterCosts(shapes)
    for mask in range(1, 8):
        chosen = [j for j in range(3) if mask >> j & 1]
        mother = mother_of([shapes[j] for j in chosen])
        assert costs.to_mother(mask) == [distance(shape, mother) for shape in shapes]
        assert costs.distances(mask) == tuple(distance(shapes[j], mother) for j in chosen)
    assert costs.cost([0, 1, 1]) == costs.distances(3)[0] + 2 * costs.distances(3)[1]
    assert costs.cost([2, 2]) == 0


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
@pytest.mark.parametrize(
    "name",
    [
        "V100@g1",
        "V100@g4",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("V100@g10", "V100+V25+R10@g30")),
    ],
)
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
@pytest.mark.parametrize("clusters", [1, *(pytest.param(g, marks=pytest.mark.slow) for g in (5, 20, 99))])
def test_a_hundred_variants_of_vgg_16_are_clustered_in_five_seconds(clusters):
    members = tuple(vgg16_variants(100))
    assert len(set(members)) == 100
    started = time.perf_counter()
    found = clusters_of(Design(members=members, clusters=clusters))
    assert time.perf_counter() - started < 5
    assert {len(cluster) for cluster in found} <= {100 // clusters, 100 // clusters + 1}
