"""Mixtures: counted, within the budget, and really of several shapes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.designs.design import DesignClass, parse_design
from advisor.designs.mixtures import MOST_MEMBERS, RATIOS, SHAPES, enumerate_mixtures
from advisor.designs.space import class_of
from advisor.networks.architecture import lower, regular_network
from advisor.networks.families import FAMILIES, family_named
from advisor.networks.layers import Task

CIFAR = Task(channels=3, height=32, width=32, classes=10)


@given(
    family=st.sampled_from(list(FAMILIES)),
    budget=st.integers(20_000, 3_000_000),
    members=st.integers(2, MOST_MEMBERS),
    place=st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_every_mixture_keeps_the_budget_and_is_counted_as_its_networks_are(family, budget, members, place):
    found = enumerate_mixtures(budget, [family], CIFAR, [members])
    if not found:
        return
    mixture = found[place % len(found)]
    design = mixture.design()
    assert mixture.parameters == design.parameters(CIFAR) <= budget
    assert mixture.macs == design.macs(CIFAR)
    assert len(design.members) == mixture.members == members
    assert mixture.depth == pytest.approx(sum(m.depth for m in design.members) / members)
    product = 1.0
    for network in design.members:
        product *= lower(network, CIFAR).parameters ** (1 / members)
        assert network.width >= family_named(family).minimum_width
    assert mixture.member_parameters == pytest.approx(product)


@pytest.mark.parametrize("family", FAMILIES)
def test_mixtures_have_few_shapes_of_even_number_and_a_class_of_their_own(family):
    found = enumerate_mixtures(1_000_000, [family], CIFAR, range(1, 17))
    assert {2, 3} <= {m.members for m in found} <= set(range(2, MOST_MEMBERS + 1))
    assert len({m.shapes for m in found}) == len(found)
    for mixture in found[:: max(len(found) // 40, 1)]:
        design = parse_design(mixture.design(1).name)
        numbers = [design.members.count(m) for m in dict.fromkeys(design.members)]
        assert 2 <= len(numbers) <= SHAPES
        assert sum(numbers) == mixture.members
        assert not design.homogeneous
        assert class_of(mixture.design(), CIFAR) is mixture.design_class is DesignClass.MIXED


def shares_of(mixture):
    """Parts of the budget that its four members may have: equal, or falling by each ratio."""
    if len({n.depth for n in mixture.networks}) > 1:
        return [[1 / 4] * 4]
    return [[ratio**-i / sum(ratio**-j for j in range(4)) for i in range(4)] for ratio in RATIOS]


def test_members_are_as_wide_as_their_share_allows():
    budget = 400_000
    for mixture in enumerate_mixtures(budget, ["resnet"], CIFAR, [4]):
        sizes = [
            [lower(regular_network("resnet", n.depth, n.width + more), CIFAR).parameters for more in (0, 1)]
            for n in mixture.networks
        ]
        assert any(
            all(size <= part * budget < wider for (size, wider), part in zip(sizes, parts, strict=True))
            for parts in shares_of(mixture)
        )


def test_what_the_ground_truth_grid_mixes_is_among_the_mixtures():
    # Depths 8, 14, 20 and 26 of a quarter of the budget each, as in benchmarks/trainings/advice_grid.py.
    found = {m.design().name for m in enumerate_mixtures(117_162, ["resnet"], CIFAR, [4])}
    alike = [name for name in found if [m.depth for m in parse_design(name).members] == [8, 14, 20, 26]]
    assert len(alike) == 1


def test_a_budget_too_small_for_two_shapes_has_no_mixture():
    assert enumerate_mixtures(300, ["resnet"], CIFAR, [2, 4]) == []
    assert enumerate_mixtures(1_000_000, ["resnet"], CIFAR, [1, 16]) == []
