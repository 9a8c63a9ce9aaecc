"""The enumerated designs of a budget against a brute-force reading of their definition."""

import time
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.designs.design import Design, DesignClass, homogeneous, parse_design
from advisor.designs.space import MEMBER_COUNTS, class_of, enumerate_candidates
from advisor.errors import InfeasibleError, UnknownNameError, UsageError
from advisor.networks.architecture import lower, parse_network, regular_network
from advisor.networks.layers import Task

CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
DIGITS = Task(channels=1, height=8, width=8, classes=10)
FAMILIES = ["resnet", "wrn", "densenet", "vgg", "mlp"]
CONVOLUTIONAL = FAMILIES[:4]
DEPTHS = {
    "resnet": range(8, 201, 6),
    "wrn": range(10, 201, 6),
    "densenet": range(7, 201, 3),
    "vgg": (11, 13, 16, 19),
    "mlp": range(1, 201),
}
NARROWEST = {"resnet": 4, "wrn": 1, "densenet": 4, "vgg": 4, "mlp": 4}


@cache
def parameters(family, depth, width, task):
    return lower(regular_network(family, depth, width), task).parameters


def brute_force(family, budget, task, sizes):
    """{(members, depth, width): {(class, single depth, single width)}} straight from the definition."""
    by_depth, by_width = {}, {}
    for depth in DEPTHS[family]:
        width = NARROWEST[family]
        while (size := parameters(family, depth, width, task)) <= budget:
            by_depth.setdefault(depth, {})[width] = size
            by_width.setdefault(width, {})[depth] = size
            width += 1
    singles = {(depth, max(widths)) for depth, widths in by_depth.items()}
    singles |= {(max(depths), width) for width, depths in by_width.items()}
    designs = {}
    for depth, width in singles:
        total = by_depth[depth][width]
        for k in sizes:
            if k == 1:
                designs.setdefault((1, depth, width), set()).add(("single", depth, width))
                continue
            widths = [w for w, size in by_depth[depth].items() if k * size <= total]
            depths = [d for d, size in by_width[width].items() if k * size <= total]
            if widths:
                designs.setdefault((k, depth, max(widths)), set()).add(("depth_equivalent", depth, width))
            if depths:
                designs.setdefault((k, max(depths), width), set()).add(("width_equivalent", depth, width))
    return designs


@pytest.mark.parametrize(
    ("family", "budget", "task"),
    [
        ("resnet", 20_000, CIFAR10),
        ("resnet", 60_000, CIFAR10),
        ("wrn", 400_000, CIFAR10),
        ("densenet", 30_000, CIFAR10),
        ("vgg", 100_000, CIFAR10),
        ("mlp", 6_000, DIGITS),
        ("resnet", 40_000, DIGITS),
    ],
)
def test_the_candidates_of_a_budget_are_those_of_the_definition(family, budget, task):
    sizes = (1, 2, 3, 4, 8)
    expected = brute_force(family, budget, task, sizes)
    found = {(c.members, c.depth, c.width): c for c in enumerate_candidates(budget, [family], task, sizes)}
    assert found.keys() == expected.keys()
    order = ["single", "depth_equivalent", "width_equivalent"]
    for key, related in expected.items():
        candidate = found[key]
        assert candidate.design_class == min((kind for kind, _, _ in related), key=order.index)
        names = {f"{family}-{d}-{w}" for kind, d, w in related if kind != "single"}
        assert set(candidate.equivalent_to) == names
        assert len(candidate.equivalent_to) == len(names)


@pytest.fixture(scope="module")
def small():
    return enumerate_candidates(80_000, CONVOLUTIONAL, CIFAR10)


def test_every_candidate_keeps_the_budget_and_is_listed_once(small):
    assert all(c.parameters <= 80_000 for c in small)
    assert len({c.name for c in small}) == len(small)
    assert len({(c.family, c.depth, c.width, c.members) for c in small}) == len(small)


def test_counts_of_candidates_are_those_of_the_graph(small):
    for c in small:
        graph = lower(regular_network(c.family, c.depth, c.width), CIFAR10)
        assert (c.parameters, c.macs) == (c.members * graph.parameters, c.members * graph.macs)
        assert c.budget_share == c.parameters / 80_000


def test_a_candidate_names_the_design_that_it_describes(small):
    for c in small:
        design = parse_design(c.name)
        assert design == c.design() == homogeneous(c.network, c.members)
        assert c.design(1).clusters == 1
        assert {member.name for member in design.members} == {f"{c.family}-{c.depth}-{c.width}"}


def test_candidates_of_a_family_come_largest_first_and_families_as_asked(small):
    assert list(dict.fromkeys(c.family for c in small)) == [
        f for f in CONVOLUTIONAL if any(c.family == f for c in small)
    ]
    for family in CONVOLUTIONAL:
        sizes = [c.parameters for c in small if c.family == family]
        assert sizes == sorted(sizes, reverse=True)


def test_single_networks_are_called_single_and_ensembles_are_not(small):
    for c in small:
        assert (c.design_class is DesignClass.SINGLE) == (c.members == 1)
        assert (c.equivalent_to == ()) == (c.members == 1)


def test_only_the_asked_member_counts_appear(small):
    assert {c.members for c in small} <= set(MEMBER_COUNTS)
    assert {c.members for c in enumerate_candidates(200_000, ["resnet"], CIFAR10, [5, 2, 5])} == {2, 5}


def test_asking_twice_for_a_family_or_a_count_changes_nothing():
    once = enumerate_candidates(50_000, ["resnet"], CIFAR10, [1, 4])
    assert enumerate_candidates(50_000, ["resnet", "resnet"], CIFAR10, [4, 1, 4]) == once


@settings(max_examples=15)
@given(
    st.sampled_from(CONVOLUTIONAL),
    st.integers(100_000, 2_000_000),
    st.lists(st.integers(1, 20), min_size=1, max_size=3),
)
def test_every_single_network_is_as_wide_or_as_deep_as_the_budget_allows(family, budget, sizes):
    for c in enumerate_candidates(budget, [family], CIFAR10, [1, *sizes]):
        assert 0 < c.parameters <= budget
        if c.members == 1:
            wider = parameters(family, c.depth, c.width + 1, CIFAR10)
            deeper = next((d for d in DEPTHS[family] if d > c.depth), None)
            assert wider > budget or deeper is None or parameters(family, deeper, c.width, CIFAR10) > budget


@pytest.mark.timeout(30)
def test_ten_thousand_designs_are_counted_in_two_seconds():
    enumerate_candidates(60_000, FAMILIES, CIFAR10)
    started = time.perf_counter()
    found = enumerate_candidates(5_000_000, FAMILIES, CIFAR10)
    seconds = time.perf_counter() - started
    assert len(found) == 9760
    assert seconds < 2 * len(found) / 10_000


@pytest.mark.parametrize(
    ("families", "budget", "smallest"),
    [
        (["resnet"], 5005, "the smallest, resnet-8-4, has 5,006"),
        (["wrn"], 77_849, "the smallest, wrn-10-1, has 77,850"),
        (["densenet"], 4121, "the smallest, densenet-7-4, has 4,122"),
        (["vgg"], 37_837, "the smallest, vgg-11-4, has 37,838"),
        (CONVOLUTIONAL, 1, "the smallest, densenet-7-4, has 4,122"),
    ],
)
def test_an_infeasible_budget_names_the_smallest_network(families, budget, smallest):
    with pytest.raises(InfeasibleError) as caught:
        enumerate_candidates(budget, families, CIFAR10)
    message = str(caught.value)
    assert smallest in message
    assert f"{budget:,} parameters for 3x32x32 and 10 classes" in message
    assert "\n" not in message


@pytest.mark.parametrize("family", CONVOLUTIONAL)
def test_the_smallest_network_fits_a_budget_of_exactly_its_size(family):
    least = parameters(family, DEPTHS[family][0], NARROWEST[family], CIFAR10)
    (only,) = enumerate_candidates(least, [family], CIFAR10)
    assert only.name == f"{family}-{DEPTHS[family][0]}-{NARROWEST[family]}"
    with pytest.raises(InfeasibleError):
        enumerate_candidates(least - 1, [family], CIFAR10)


def test_a_budget_for_one_member_but_not_for_four_names_four_of_the_smallest():
    with pytest.raises(InfeasibleError, match="the smallest, 4xresnet-8-4, has 20,024"):
        enumerate_candidates(20_000, ["resnet"], CIFAR10, [4])


def test_unknown_families_no_families_and_impossible_member_counts_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'resnet'"):
        enumerate_candidates(10**6, ["resnett"], CIFAR10)
    with pytest.raises(UsageError, match="at least one family"):
        enumerate_candidates(10**6, [], CIFAR10)
    for sizes in ([0], [-1, 4], [257], []):
        with pytest.raises(UsageError, match="1 to 256 members"):
            enumerate_candidates(10**6, ["resnet"], CIFAR10, sizes)


# The class of any design.


def scanned_class(family, depth, width, members, task):
    """Class by looking for a single network of which the design is the equivalent."""
    total, single = members * parameters(family, depth, width, task), width
    while (size := parameters(family, depth, single, task)) < members * parameters(
        family, depth, width + 1, task
    ):
        if size >= total:
            return "depth_equivalent"
        single += 1
    following = next((d for d in DEPTHS[family] if d > depth), None)
    for deeper in DEPTHS[family]:
        size = parameters(family, deeper, width, task)
        limit = None if following is None else members * parameters(family, following, width, task)
        if total <= size and (limit is None or size < limit):
            return "width_equivalent"
    return "mixed"


@settings(max_examples=80)
@given(
    st.sampled_from(FAMILIES).flatmap(lambda f: st.tuples(st.just(f), st.sampled_from(list(DEPTHS[f])[:6]))),
    st.integers(1, 12),
    st.integers(2, 8),
    st.sampled_from([CIFAR10, DIGITS]),
)
def test_the_class_of_a_homogeneous_ensemble_is_that_of_a_scan(shape, width, members, task):
    family, depth = shape
    design = homogeneous(regular_network(family, depth, width), members)
    assert class_of(design, task) == scanned_class(family, depth, width, members, task)


def test_one_network_is_single_whatever_its_layers():
    for name in ("resnet-26-16", "vgg-16-64~b3l2:5x384", "mlp-1-4"):
        assert class_of(parse_design(name), CIFAR10) is DesignClass.SINGLE


@pytest.mark.parametrize(
    "name",
    [
        "resnet-20-16+resnet-32-16",
        "2xresnet-20-16+mlp-1-4",
        "4xvgg-16-64~b3l2:5x384",
        "resnet-8-4+resnet-8-4~b1l1:3x5",
    ],
)
def test_ensembles_of_several_shapes_or_of_changed_layers_are_mixed(name):
    assert class_of(parse_design(name), CIFAR10) is DesignClass.MIXED


def test_the_class_does_not_depend_on_the_clusters():
    network = parse_network("densenet-19-12")
    classes = {class_of(homogeneous(network, 4, g), CIFAR10) for g in (1, 2, 4)}
    assert len(classes) == 1


def test_a_candidate_that_is_depth_equivalent_is_so_as_a_design(small):
    for c in small:
        if c.design_class in (DesignClass.SINGLE, DesignClass.DEPTH_EQUIVALENT) and c.members <= 4:
            assert class_of(c.design(), CIFAR10) is c.design_class


def test_a_network_deeper_than_the_enumerated_space_has_a_class_too():
    design = Design(members=(regular_network("mlp", 300, 5),) * 2, clusters=2)
    assert class_of(design, DIGITS) is DesignClass.DEPTH_EQUIVALENT
