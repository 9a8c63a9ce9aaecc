"""Mother networks by hand and by property; distances against a reference Levenshtein."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.errors import InvalidDesignError
from advisor.networks.architecture import NetworkSpec, lower, parse_network, regular_network
from advisor.networks.families import FAMILIES
from advisor.networks.layers import Layer, Task
from advisor.networks.mothernet import check_growth, distance, is_contained, mother_of

DEPTHS = {
    "resnet": [8, 14, 20],
    "wrn": [10, 16],
    "densenet": [7, 10, 13],
    "vgg": [11, 13, 16, 19],
    "mlp": [1, 2, 4],
}


@st.composite
def members_of(draw, families=tuple(DEPTHS), most=5):
    """Up to five networks of one family; residual streams differ by width only, VGG blocks in length too."""
    family = draw(st.sampled_from(sorted(families)))
    return [draw(network(family)) for _ in range(draw(st.integers(1, most)))]


@st.composite
def network(draw, family, stretched=True):
    spec = regular_network(family, draw(st.sampled_from(DEPTHS[family])), draw(st.integers(1, 4)))
    blocks = [list(block) for block in spec.blocks]
    if family == "vgg" and stretched:
        blocks = [block[:1] * draw(st.integers(1, 3)) for block in blocks]
    for _ in range(draw(st.integers(0, 3))):
        b = draw(st.integers(0, len(blocks) - 1))
        i = draw(st.integers(0, len(blocks[b]) - 1))
        fixed = family in ("resnet", "wrn") and i % 2 == 1
        kernel = 1 if FAMILIES[family].has_units(b) else draw(st.sampled_from([1, 3, 5]))
        filters = blocks[b][i].filters if fixed else draw(st.integers(1, 6))
        blocks[b][i] = Layer(kernel, filters)
    return NetworkSpec(family=family, width=spec.width, blocks=tuple(tuple(b) for b in blocks))


def units(*filters):
    """Fully connected network of the given layers."""
    return NetworkSpec(family="mlp", width=filters[0], blocks=(tuple(Layer(1, f) for f in filters),))


# Mothers.


def test_the_mother_of_fully_connected_networks_is_as_shallow_and_narrow_as_its_members():
    mother = mother_of([units(64, 16, 32), units(32, 48, 18, 100), units(50, 20)])
    assert mother.blocks == units(32, 16).blocks


@pytest.mark.parametrize(
    ("members", "mother"),
    [
        # What is beyond the mother's last layer must pass on all of its units.
        ([(512, 256), (512, 256, 128)], (512, 128)),
        ([(64, 16, 32), (32, 48, 8, 100), (50, 20)], (32, 8)),
        ([(9,), (9, 7, 8)], (7,)),
        ([(8, 5, 9), (4, 6, 6, 7)], (4, 5, 6)),
    ],
)
def test_the_mother_of_tapering_members_is_narrower_in_its_last_layer(members, mother):
    assert mother_of([units(*member) for member in members]).blocks == units(*mother).blocks


def test_the_mother_of_tapering_vggs_is_narrower_where_a_block_ends_and_in_the_head():
    members = [
        parse_network("vgg-11-8~b3:4,b3l3:3x20,b6:2,b6l1:1x99,b6l2:1x50"),
        parse_network("vgg-11-8~b3l1:5x40,b3l2:5x40,b6l1:1x70"),
    ]
    # Block 3 has two layers of 32 filters, and a third of 20 in one member. Its head goes from 99 to 50.
    assert mother_of(members) == parse_network("vgg-11-8~b3l2:3x20,b6l1:1x50")


def test_skip_connections_need_no_narrower_mother():
    members = [parse_network("resnet-8-8"), parse_network("resnet-14-8~b1l3:3x2")]
    assert mother_of(members) == members[0]
    members = [parse_network("densenet-7-8"), parse_network("densenet-10-8~b1l2:3x1")]
    assert mother_of(members) == members[0]


def test_the_mother_of_vggs_is_taken_block_by_block_with_the_smallest_kernels():
    members = [
        parse_network("vgg-16-64~b3l2:5x384,b4l1:5x512"),
        parse_network("vgg-13-64~b3l1:5x300,b4l1:7x512"),
    ]
    # Two layers a block; b3l1 is 3×256 in one and 5×300 in the other, b4l1 has kernels of 5 and 7.
    assert mother_of(members) == parse_network("vgg-13-64~b4l1:5x512")


def test_the_mother_takes_the_smallest_kernel_and_the_fewest_filters_from_different_members():
    members = [parse_network("vgg-11-8~b1l1:7x4"), parse_network("vgg-11-8~b1l1:1x20")]
    assert mother_of(members) == parse_network("vgg-11-8~b1l1:1x4")


@pytest.mark.parametrize(
    ("members", "mother"),
    [
        (["resnet-20-16", "resnet-32-8"], "resnet-20-8"),
        (["resnet-8-4~b1l1:3x20", "resnet-14-4~b1l1:5x12"], "resnet-8-4~b1l1:3x12"),
        (["wrn-28-10", "wrn-16-4", "wrn-22-8"], "wrn-16-4"),
        (["densenet-100-12", "densenet-40-24"], "densenet-40-12"),
        (["vgg-11-64", "vgg-19-32"], "vgg-11-32"),
    ],
)
def test_the_mother_of_regular_networks_is_as_shallow_and_narrow_as_each(members, mother):
    assert mother_of([parse_network(name) for name in members]) == parse_network(mother)


@given(members_of())
def test_a_mother_is_no_larger_than_any_member_anywhere(members):
    mother = mother_of(members)
    for member in members:
        assert mother.width <= member.width
        assert len(mother.blocks) == len(member.blocks)
        for small, large in zip(mother.blocks, member.blocks, strict=True):
            assert len(small) <= len(large)
            for a, b in zip(small, large, strict=False):
                assert a.kernel <= b.kernel
                assert a.filters <= b.filters


@given(members_of())
def test_a_mother_is_the_largest_every_size_of_it_is_met_by_some_member(members):
    mother = mother_of(members)
    for b, block in enumerate(mother.blocks):
        assert len(block) in {len(member.blocks[b]) for member in members}
        for i, layer in enumerate(block):
            assert layer.kernel in {member.blocks[b][i].kernel for member in members}
            # The last layer may have the size of a later layer of a member that tapers.
            later = [member.blocks[b][i : None if i + 1 == len(block) else i + 1] for member in members]
            assert layer.filters in {layer.filters for part in later for layer in part}


@settings(max_examples=40)
@given(members_of())
def test_a_mother_can_grow_into_every_member(members):
    mother = mother_of(members)
    for member in members:
        assert is_contained(mother, member)
        check_growth(mother, member)


def grows(mother, member):
    """Whether every layer of the mother fits, and what is beyond them in a block passes on her last one."""
    for kept, grown in zip(mother, member, strict=True):
        if len(kept) > len(grown) or any(a > b for a, b in zip(kept, grown, strict=False)):
            return False
        if any(width < kept[-1] for width in grown[len(kept) :]):
            return False
    return True


def lattice(widest):
    """Every network of at most the widths of another one, with at least one layer in every block."""
    blocks = [
        [
            widths
            for n in range(1, len(block) + 1)
            for widths in product(*(range(1, w + 1) for w in block[:n]))
        ]
        for block in widest
    ]
    return product(*blocks)


def parameters(family, blocks):
    kernels = {"mlp": [1], "vgg": [3] * 5 + [1]}[family]
    layers = tuple(tuple(Layer(k, w) for w in block) for k, block in zip(kernels, blocks, strict=True))
    spec = NetworkSpec(family=family, width=1, blocks=layers)
    return lower(spec, Task(channels=1, height=8, width=8, classes=3)).parameters


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=1, max_size=4))
def test_no_larger_fully_connected_network_grows_into_every_member(members):
    fitting = [m for m in lattice([min(members, key=len)]) if all(grows(m, [member]) for member in members)]
    largest = max(fitting, key=lambda blocks: parameters("mlp", blocks))
    mother = mother_of([units(*member) for member in members])
    assert [[layer.filters for layer in block] for block in mother.blocks] == [list(b) for b in largest]


@settings(max_examples=15)
@given(
    st.lists(st.tuples(*[st.lists(st.integers(1, 3), min_size=1, max_size=2)] * 2), min_size=1, max_size=3)
)
def test_no_larger_vgg_grows_into_every_member_in_the_last_convolutions_or_the_head(members):
    networks = [[[1]] * 4 + [last, head] for last, head in members]
    bound = [min((n[b] for n in networks), key=len) for b in range(6)]
    fitting = [m for m in lattice(bound) if all(grows(m, network) for network in networks)]
    largest = max(fitting, key=lambda blocks: parameters("vgg", blocks))
    specs = [
        NetworkSpec(
            family="vgg",
            width=1,
            blocks=tuple(
                tuple(Layer(1 if b == 5 else 3, w) for w in block) for b, block in enumerate(network)
            ),
        )
        for network in networks
    ]
    assert [[layer.filters for layer in block] for block in mother_of(specs).blocks] == [
        list(block) for block in largest
    ]


@given(members_of(most=1), st.integers(1, 6))
def test_the_mother_of_equal_members_is_that_member(members, copies):
    assert mother_of(members * copies) == members[0]


@given(members_of(), st.randoms(use_true_random=False))
def test_the_mother_depends_neither_on_order_nor_on_repetition(members, random):
    shuffled = members + [random.choice(members)]
    random.shuffle(shuffled)
    assert mother_of(shuffled) == mother_of(members)


@given(members_of())
def test_the_mother_of_a_cluster_and_its_mother_is_that_mother(members):
    mother = mother_of(members)
    assert mother_of([*members, mother]) == mother


def test_a_mother_needs_members_of_exactly_one_family():
    for members in ([], [parse_network("resnet-8-4"), parse_network("wrn-10-1")]):
        with pytest.raises(InvalidDesignError, match="exactly one family"):
            mother_of(members)


# Distances.


def levenshtein(a, b):
    """Textbook dynamic programme."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def padded(a, b):
    """Both networks as sequences, every block filled up to the longer one."""
    first, second = [], []
    for one, other in zip(a.blocks, b.blocks, strict=True):
        length = max(len(one), len(other))
        first += [*one, *[None] * (length - len(one))]
        second += [*other, *[None] * (length - len(other))]
    return first, second


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [
        ("resnet-8-4", "resnet-8-4", 0),
        ("resnet-8-4", "resnet-8-4~b1l1:3x5", 1),
        ("resnet-8-4", "resnet-8-4~b1l1:5x4", 1),
        # Two more layers in each of the three blocks.
        ("resnet-8-4", "resnet-14-4", 6),
        ("vgg-16-64", "vgg-19-64", 3),
        # A layer in the head: changed, and inserted.
        ("vgg-16-64", "vgg-16-64~b6l1:1x4096", 1),
        ("vgg-16-64", "vgg-16-64~b4:5,b6:2", 3),
        ("vgg-16-64", "vgg-16-64~b3l2:5x384,b5l3:3x600", 2),
        ("mlp-3-8", "mlp-3-9", 3),
        ("mlp-1-8", "mlp-4-8", 3),
    ],
)
def test_the_distance_counts_the_layers_that_differ(a, b, edits):
    assert distance(parse_network(a), parse_network(b)) == edits


def test_a_layer_in_front_costs_one_insertion_and_one_removed_pad():
    assert distance(units(5, 6, 7, 8), units(9, 5, 6, 7, 8)) == 2


@given(members_of(most=2))
def test_the_distance_is_the_reference_levenshtein_of_the_padded_sequences(members):
    assert distance(members[0], members[-1]) == levenshtein(*padded(members[0], members[-1]))


@given(members_of(most=2))
def test_the_distance_is_symmetric_and_zero_exactly_for_equal_layers(members):
    a, b = members[0], members[-1]
    assert distance(a, b) == distance(b, a)
    assert (distance(a, b) == 0) == (a.blocks == b.blocks)


@settings(max_examples=200)
@given(st.lists(network("mlp"), min_size=3, max_size=3))
def test_no_detour_is_shorter_between_networks_of_one_block(members):
    a, b, c = members
    assert distance(a, b) <= distance(a, c) + distance(c, b)


@settings(max_examples=200)
@given(st.sampled_from(sorted(DEPTHS)), st.data())
def test_no_detour_is_shorter_between_networks_of_one_depth(family, data):
    spec = network(family, stretched=False).filter(lambda s: s.depth == DEPTHS[family][0])
    a, b, c = (data.draw(spec) for _ in range(3))
    assert distance(a, b) <= distance(a, c) + distance(c, b)


@given(members_of())
def test_a_mother_is_no_further_than_all_layers_of_a_member(members):
    mother = mother_of(members)
    for member in members:
        assert distance(member, mother) <= sum(len(block) for block in member.blocks)


def test_a_new_plain_layer_that_cannot_pass_on_what_it_reads_is_refused():
    narrow = parse_network("mlp-3-64~b1l3:1x16")
    with pytest.raises(InvalidDesignError, match="b1l3 has 16 units and must pass on 64"):
        check_growth(parse_network("mlp-2-64"), narrow)
    check_growth(parse_network("mlp-2-16"), narrow)
    # The last of the mother's two layers in block 3 has 4 · 4 filters.
    with pytest.raises(InvalidDesignError, match="b3l3 has 15 filters and must pass on 16"):
        check_growth(parse_network("vgg-13-4"), parse_network("vgg-16-4~b3l3:5x15"))
    check_growth(parse_network("vgg-13-4"), parse_network("vgg-16-4~b3l3:5x16,b4l2:3x99"))
    with pytest.raises(InvalidDesignError, match="b6l2 has 31 units and must pass on 32"):
        check_growth(parse_network("vgg-13-4"), parse_network("vgg-13-4~b6:2,b6l2:1x31"))
    # A residual unit adds to the stream, whatever its inner width, and a dense layer to what is read.
    check_growth(parse_network("resnet-8-8"), parse_network("resnet-14-8~b1l3:3x2"))
    check_growth(parse_network("wrn-10-1"), parse_network("wrn-16-1~b1l3:3x2"))
    check_growth(parse_network("densenet-7-8"), parse_network("densenet-10-8~b1l2:3x1"))
