"""Names and rules of designs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.designs.design import Design, homogeneous, parse_design
from advisor.errors import InvalidDesignError, UsageError
from advisor.networks.architecture import lower, parse_network
from advisor.networks.layers import Task

CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
NETWORKS = [
    "resnet-8-4",
    "resnet-26-16",
    "resnet-8-4~b1l1:5x7",
    "wrn-10-1",
    "densenet-7-12",
    "vgg-16-64~b3l2:5x384,b5l1:3x600",
    "mlp-3-7~b1l2:1x9",
]
PARTS = [*NETWORKS, "vgg-13-64", "resnet-20-16", "V5", "D5", "R10", "V25"]


@st.composite
def designs(draw):
    """Members of any families in any order, presets among them, with any clusters that they allow."""
    parts = draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=8))
    members = parse_design("+".join(parts)).members
    kinds = len({member.family for member in members})
    return Design(members=members, clusters=draw(st.integers(kinds, len(members))))


def refusal(name):
    """Message of the usage error that `name` raises; none for a design, which must read back."""
    try:
        design = parse_design(name)
    except UsageError as error:
        return str(error)
    assert parse_design(design.name) == design
    return ""


@given(designs())
def test_every_design_reads_back_from_its_name(design):
    assert parse_design(design.name) == design
    assert str(design) == design.name


@given(designs(), designs())
def test_two_designs_have_one_name_only_if_they_are_equal(a, b):
    assert (a.name == b.name) == (a == b)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("resnet-26-8", "resnet-26-8"),
        ("1xresnet-26-8", "resnet-26-8"),
        ("resnet-26-8@g1", "resnet-26-8"),
        ("4xresnet-26-8", "4xresnet-26-8"),
        ("4xresnet-26-8@g4", "4xresnet-26-8"),
        ("4xresnet-26-8@g1", "4xresnet-26-8@g1"),
        ("2xresnet-26-8+2xresnet-26-8@g2", "4xresnet-26-8@g2"),
        ("resnet-26-8+resnet-26-8", "2xresnet-26-8"),
        ("resnet-20-16+resnet-32-16@g1", "resnet-20-16+resnet-32-16@g1"),
        # The order of members is part of the design.
        ("resnet-8-4+mlp-1-4+resnet-8-4@g2", "resnet-8-4+mlp-1-4+resnet-8-4@g2"),
        ("2xresnet-8-4~b1l1:3x7@g1", "2xresnet-8-4~b1l1:3x7@g1"),
        (" 4xresnet-26-8@g1\n", "4xresnet-26-8@g1"),
        ("004xresnet-26-8@g01", "4xresnet-26-8@g1"),
    ],
)
def test_designs_have_one_canonical_name(written, canonical):
    assert parse_design(written).name == canonical


def test_as_many_clusters_as_members_is_independent_training():
    assert parse_design("4xresnet-26-8@g4") == parse_design("4xresnet-26-8")
    assert parse_design("4xresnet-26-8").independent
    assert parse_design("resnet-26-8").independent
    assert not parse_design("4xresnet-26-8@g3").independent


def test_a_design_is_homogeneous_if_all_members_have_one_shape():
    assert parse_design("4xresnet-26-8@g2").homogeneous
    assert parse_design("resnet-26-8").homogeneous
    assert not parse_design("resnet-26-8+resnet-20-8").homogeneous
    assert not parse_design("resnet-26-8+resnet-26-8~b1l1:3x9").homogeneous


def test_families_are_named_once_in_the_order_of_the_members():
    assert parse_design("vgg-11-4+resnet-8-4+vgg-13-4").families == ("vgg", "resnet")


@given(designs())
@settings(max_examples=25)
def test_counts_of_a_design_are_sums_over_its_members(design):
    graphs = [lower(member, CIFAR10) for member in design.members]
    assert design.parameters(CIFAR10) == sum(graph.parameters for graph in graphs)
    assert design.macs(CIFAR10) == sum(graph.macs for graph in graphs)


def test_four_small_resnets_have_four_times_the_parameters_counted_by_hand():
    assert parse_design("4xresnet-8-4").parameters(CIFAR10) == 4 * 5006


def test_copies_of_a_network_are_independent_unless_clusters_are_given():
    network = parse_network("resnet-8-4")
    assert homogeneous(network, 3) == parse_design("3xresnet-8-4")
    assert homogeneous(network, 3, 1) == parse_design("3xresnet-8-4@g1")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("", ["cannot read design", "''", "4xresnet-26-8@g1"]),
        ("@g1", ["cannot read design", "'@g1'", "4xresnet-26-8@g1"]),
        ("4xresnet-26-8@", ["cannot read design", "4xresnet-26-8@"]),
        ("4xresnet-26-8@1", ["cannot read design", "4xresnet-26-8@g1"]),
        ("4xresnet-26-8@g1@g2", ["cannot read design", "4xresnet-26-8@g1"]),
        ("4xresnet-26-8@g-1", ["cannot read design", "g-1"]),
        ("4xresnet-26-8@g0", ["g0", "4 members form 1 to 4 clusters"]),
        ("4xresnet-26-8@g5", ["g5", "4 members form 1 to 4 clusters"]),
        ("resnet-26-8+", ["cannot read member", "''", "4xresnet-26-8"]),
        ("+resnet-26-8", ["cannot read member", "''"]),
        ("x4resnet-26-8", ["cannot read network", "x4resnet-26-8"]),
        ("4Xresnet-26-8", ["cannot read member", "'4Xresnet-26-8'", "4xresnet-26-8"]),
        ("0xresnet-26-8", ["1 to 256 members", "got 0"]),
        ("257xresnet-26-8", ["1 to 256 members", "got 257"]),
        ("200xresnet-26-8+57xresnet-20-8", ["1 to 256 members", "got 257"]),
        ("V5@g6", ["g6", "5 members form 1 to 5 clusters"]),
        ("V5+D5@g1", ["g1", "2 families need at least 2 clusters"]),
        ("256xV100", ["1 to 256 members", "got 25600"]),
        ("4xV50", ["unknown ensemble 'V50'", "V5, D5, R10, V25, V100"]),
        ("4xresnet-27-8", ["resnet has no depth 27", "26 or 32"]),
        ("4xresnext-26-8", ["unknown family 'resnext'", "did you mean 'resnet'?"]),
        ("resnet-8-4+mlp-1-4+vgg-11-4@g2", ["g2", "3 families need at least 3 clusters", "no mother"]),
    ],
)
def test_a_malformed_design_is_refused_in_one_line_with_rule_value_and_remedy(name, parts):
    with pytest.raises(UsageError) as caught:
        parse_design(name)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_members_of_two_families_need_two_clusters():
    with pytest.raises(InvalidDesignError, match="members of 2 families need at least 2 clusters"):
        parse_design("2xresnet-8-4+2xmlp-1-4@g1")
    assert parse_design("2xresnet-8-4+2xmlp-1-4@g2").clusters == 2


def test_a_design_without_members_is_refused():
    with pytest.raises(InvalidDesignError, match="got 0"):
        Design(members=(), clusters=1)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "name",
    [
        "999999xresnet-8-4",
        "256xresnet-9998-999999@g999999",
        "256xmlp-10000-999999@g1",
        "9" * 100_000 + "xresnet-8-4",
        "4xresnet-8-4@g" + "9" * 100_000,
        "+".join(["256xresnet-8-4"] * 500),
        "256xV100",
        "+".join(["2xV100"] * 500),
        "V5" * 50_000,
        "+" * 100_000,
        "@" * 100_000,
    ],
    ids=lambda name: name[:30],
)
def test_huge_designs_neither_hang_nor_crash(name):
    assert "\n" not in refusal(name)


@given(st.text())
def test_random_text_is_a_design_or_a_usage_error(text):
    assert "\n" not in refusal(text)


@settings(max_examples=300)
@given(designs().map(lambda design: design.name), st.data())
def test_a_damaged_name_is_a_design_or_a_usage_error(name, data):
    start = data.draw(st.integers(0, len(name)))
    stop = data.draw(st.integers(start, min(start + 4, len(name))))
    patch = data.draw(st.text("0123456789-~:,xblgresntvVDR@+ \n", max_size=4))
    assert "\n" not in refusal(name[:start] + patch + name[stop:])
