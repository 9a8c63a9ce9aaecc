"""Names of networks: they read back, and what is malformed is refused in one line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.errors import InvalidDesignError, UnknownNameError, UsageError
from advisor.networks.architecture import NetworkSpec, parse_network, regular_network
from advisor.networks.families import FAMILIES
from advisor.networks.layers import Layer

VALID_DEPTHS = {
    "resnet": [8, 14, 20, 26, 32, 110],
    "wrn": [10, 16, 22, 28, 40],
    "densenet": [7, 10, 13, 40, 100],
    "vgg": [11, 13, 16, 19],
    "mlp": [1, 2, 3, 5, 17],
}
ODD = st.integers(0, 5).map(lambda i: 2 * i + 1)


@st.composite
def networks(draw):
    """Networks of every family with up to four layers changed as the family allows, and any VGG blocks."""
    family = draw(st.sampled_from(sorted(VALID_DEPTHS)))
    spec = regular_network(family, draw(st.sampled_from(VALID_DEPTHS[family])), draw(st.integers(1, 70)))
    blocks = [list(block) for block in spec.blocks]
    if family == "vgg" and draw(st.booleans()):
        blocks = [block[:1] * draw(st.integers(1, 6)) for block in blocks]
    for _ in range(draw(st.integers(0, 4))):
        b = draw(st.integers(0, len(blocks) - 1))
        i = draw(st.integers(0, len(blocks[b]) - 1))
        fixed = family in ("resnet", "wrn") and i % 2 == 1
        blocks[b][i] = Layer(
            kernel=1 if FAMILIES[family].has_units(b) else draw(ODD),
            filters=blocks[b][i].filters if fixed else draw(st.integers(1, 3000)),
        )
    return NetworkSpec(family=family, width=spec.width, blocks=tuple(tuple(b) for b in blocks))


def refusal(name):
    """Message of the usage error that `name` raises; none for a network, which must read back."""
    try:
        spec = parse_network(name)
    except UsageError as error:
        return str(error)
    assert parse_network(spec.name) == spec
    return ""


@given(networks())
def test_every_network_reads_back_from_its_name(spec):
    assert parse_network(spec.name) == spec
    assert str(spec) == spec.name


@given(networks(), networks())
def test_two_networks_have_one_name_only_if_they_are_equal(a, b):
    assert (a.name == b.name) == (a == b)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("resnet-26-16", "resnet-26-16"),
        ("vgg-16-64~b3l2:5x384", "vgg-16-64~b3l2:5x384"),
        ("vgg-16-64~b5l1:3x600,b1l2:7x64", "vgg-16-64~b1l2:7x64,b5l1:3x600"),
        # A change to what the layer is anyway is none.
        ("resnet-8-4~b1l1:3x4", "resnet-8-4"),
        ("resnet-8-4~b1l1:5x4,b1l1:3x9", "resnet-8-4~b1l1:3x9"),
        ("resnet-008-04", "resnet-8-4"),
        ("mlp-2-5~b1l2:1x7", "mlp-2-5~b1l2:1x7"),
        ("vgg-16-64~b4:5", "vgg-16-64~b4:5"),
        ("vgg-16-64~b4l5:5x9,b4:5", "vgg-16-64~b4:5,b4l5:5x9"),
        ("vgg-16-64~b4:5,b4:3", "vgg-16-64"),
        # The name begins with the configuration that differs in the fewest blocks, then in the least depth.
        ("vgg-11-64~b3:3,b4:3,b5:3", "vgg-16-64~b1:1,b2:1"),
        ("vgg-13-64~b1:1", "vgg-11-64~b2:2"),
        ("vgg-19-64~b3:3,b4:3,b5:3", "vgg-16-64"),
        ("mlp-2-8~b1:3", "mlp-3-8"),
        ("resnet-8-4~b1:4,b2:4,b3:4", "resnet-14-4"),
    ],
)
def test_names_have_one_canonical_form(written, canonical):
    assert parse_network(written).name == canonical


@pytest.mark.parametrize(
    ("name", "depth", "width", "blocks"),
    [
        ("resnet-14-4", 14, 4, ((Layer(3, 4),) * 4, (Layer(3, 8),) * 4, (Layer(3, 16),) * 4)),
        ("wrn-10-2", 10, 2, ((Layer(3, 32),) * 2, (Layer(3, 64),) * 2, (Layer(3, 128),) * 2)),
        ("densenet-10-12", 10, 12, ((Layer(3, 12),) * 2,) * 3),
        ("mlp-3-7", 3, 7, ((Layer(1, 7),) * 3,)),
    ],
)
def test_a_name_gives_the_layers_written_by_hand(name, depth, width, blocks):
    spec = parse_network(name)
    assert (spec.depth, spec.width, spec.blocks) == (depth, width, blocks)


@pytest.mark.parametrize(
    ("depth", "counts"),
    [(11, (1, 1, 2, 2, 2)), (13, (2, 2, 2, 2, 2)), (16, (2, 2, 3, 3, 3)), (19, (2, 2, 4, 4, 4))],
)
def test_vgg_depths_are_the_published_configurations(depth, counts):
    *blocks, head = regular_network("vgg", depth, 64).blocks
    assert tuple(len(block) for block in blocks) == counts
    assert [block[0].filters for block in blocks] == [64, 128, 256, 512, 512]
    # One hidden layer of eight times the width.
    assert head == (Layer(1, 512),)


@pytest.mark.parametrize(
    ("name", "counts", "depth"),
    [
        ("vgg-16-64~b4:5", (2, 2, 3, 5, 3, 1), 18),
        ("vgg-11-64~b5:1", (1, 1, 2, 2, 1, 1), 10),
        ("vgg-16-64~b6:2", (2, 2, 3, 3, 3, 2), 16),
        ("vgg-19-64~b1:9,b2:1", (9, 1, 4, 4, 4, 1), 25),
    ],
)
def test_a_block_of_a_vgg_has_as_many_layers_as_its_name_says_the_added_ones_regular(name, counts, depth):
    spec = parse_network(name)
    assert tuple(len(block) for block in spec.blocks) == counts
    # The published count: three more than the convolutions.
    assert spec.depth == depth == sum(counts[:5]) + 3
    regular = [Layer(3, f) for f in (64, 128, 256, 512, 512)] + [Layer(1, 512)]
    assert all(set(block) == {layer} for block, layer in zip(spec.blocks, regular, strict=True))


def test_the_published_head_is_two_hidden_layers_of_4096_units():
    spec = parse_network("vgg-16-64~b6:2,b6l1:1x4096,b6l2:1x4096")
    assert spec.blocks[:5] == parse_network("vgg-16-64").blocks[:5]
    assert spec.blocks[5] == (Layer(1, 4096),) * 2
    assert spec.regular == parse_network("vgg-16-64")


@pytest.mark.parametrize(
    ("name", "rule", "value", "remedy"),
    [
        ("", "cannot read network", "''", "resnet-26-16"),
        ("resnet", "cannot read network", "'resnet'", "family-depth-width"),
        ("resnet-26", "cannot read network", "'resnet-26'", "family-depth-width"),
        ("resnet-26-", "cannot read network", "'resnet-26-'", "family-depth-width"),
        ("resnet-26-16-4", "cannot read network", "resnet-26-16-4", "family-depth-width"),
        ("resnet-26--16", "cannot read network", "resnet-26--16", "family-depth-width"),
        ("resnet-26-16~", "cannot read network", "resnet-26-16~", "family-depth-width"),
        ("ResNet-26-16", "cannot read network", "ResNet-26-16", "resnet-26-16"),
        ("resnet-2e1-16", "cannot read network", "resnet-2e1-16", "family-depth-width"),
        ("resnet-26-16\nresnet-26-16", "cannot read network", r"\n", "family-depth-width"),
        ("resnett-26-16", "unknown family", "'resnett'", "did you mean 'resnet'?"),
        ("transformer-2-2", "unknown family", "'transformer'", "choose one of densenet, mlp, resnet"),
        ("resnet-8-0", "the width must be at least 1", "got 0", "at least 1"),
        ("resnet-8-4~x", "cannot read change", "'x' of resnet-8-4", "b3l2:5x384"),
        ("resnet-8-4~b1l1:3x5,", "cannot read change", "''", "b3l2:5x384"),
        ("resnet-8-4~b4l1:3x5", "no layer", "b4l1", "2, 2, 2 layers"),
        ("resnet-8-4~b0l1:3x5", "no layer", "b0l1", "2, 2, 2 layers"),
        ("resnet-8-4~b1l3:3x5", "no layer", "b1l3", "2, 2, 2 layers"),
        ("resnet-8-4~b1l1:4x5", "kernel sizes are odd", "got 4", "odd"),
        ("resnet-8-4~b1l1:0x5", "kernel sizes are odd", "got 0", "odd"),
        ("resnet-8-4~b1l1:3x0", "at least 1 filter", "got 0", "at least 1"),
        ("resnet-8-4~b1l2:3x5", "residual stream", "got 5", "change an odd layer instead"),
        ("wrn-10-1~b2l2:3x5", "residual stream", "must have 32 filters, got 5", "odd layer"),
        ("mlp-1-4~b1l1:3x4", "units have no kernel", "mlp", "write 1x4"),
        ("vgg-11-4~b6l1:3x4", "units have no kernel", "vgg", "write 1x4"),
        ("vgg-11-4~b3:0", "at least 1 layer", "(1, 1, 0, 2, 2, 1)", "6 blocks"),
        ("vgg-11-4~b6:0", "at least 1 layer", "(1, 1, 2, 2, 2, 0)", "head"),
        ("vgg-11-4~b7:2", "vgg-11-4 has no block b7", "b7", "it has 6 blocks"),
        ("vgg-11-4~b0:2", "no block", "b0", "6 blocks"),
        ("vgg-11-4~b1:9999,b2:9999", "at most 10000 layers", "9999", "10000"),
        ("vgg-11-4~b6l2:1x4", "no layer", "b6l2", "2, 2, 2, 1 layers"),
        ("resnet-8-4~b1:4", "no network with", "(4, 2, 2)", "layers in its blocks"),
    ],
)
def test_a_malformed_name_is_refused_in_one_line_with_rule_value_and_remedy(name, rule, value, remedy):
    with pytest.raises(UsageError) as caught:
        parse_network(name)
    message = str(caught.value)
    assert "\n" not in message
    for part in (rule, value, remedy):
        assert part in message


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnet-25-16", "20 or 26"),
        ("resnet-27-16", "26 or 32"),
        ("resnet-0-16", "is 8"),
        ("resnet-2-16", "is 8"),
        ("resnet-10000-16", "is 9998"),
        ("resnet-999999-16", "is 9998"),
        ("wrn-29-10", "28 or 34"),
        ("densenet-41-12", "40 or 43"),
        ("densenet-4-12", "is 7"),
        ("vgg-12-64", "11 or 13"),
        ("vgg-1-64", "is 11"),
        ("vgg-17-64", "16 or 19"),
        ("vgg-50-64", "is 19"),
        ("mlp-0-8", "is 1"),
        ("mlp-10001-8", "is 10000"),
    ],
)
def test_a_depth_that_the_family_lacks_names_the_nearest_valid_ones(name, nearest):
    with pytest.raises(InvalidDesignError, match=f"nearest valid depth.* {nearest}$"):
        parse_network(name)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_valid_depths_follow_the_rule_of_the_family(family):
    rule = {
        "resnet": lambda d: d >= 8 and d % 6 == 2,
        "wrn": lambda d: d >= 10 and d % 6 == 4,
        "densenet": lambda d: d >= 7 and d % 3 == 1,
        "vgg": lambda d: d in (11, 13, 16, 19),
        "mlp": lambda d: d >= 1,
    }[family]
    expected = [d for d in range(121) if rule(d)]
    assert FAMILIES[family].valid_depths(120) == expected
    for depth in range(121):
        if depth in expected:
            assert regular_network(family, depth, 3).depth == depth
        else:
            with pytest.raises(InvalidDesignError):
                regular_network(family, depth, 3)


@pytest.mark.parametrize(
    ("family", "blocks"),
    [
        ("resnet", ()),
        ("resnet", ((), (), ())),
        ("resnet", ((Layer(3, 4),) * 3, (Layer(3, 8),) * 3, (Layer(3, 16),) * 3)),
        ("resnet", ((Layer(3, 4),) * 2, (Layer(3, 8),) * 4, (Layer(3, 16),) * 2)),
        ("resnet", ((Layer(3, 4),) * 2, (Layer(3, 8),) * 2)),
        ("densenet", ((), (), ())),
        ("densenet", ((Layer(3, 4),),)),
        ("mlp", ()),
        ("mlp", ((),)),
        ("mlp", ((Layer(1, 4),), (Layer(1, 4),))),
        ("vgg", ((Layer(3, 4),),) * 5),
        ("vgg", ((Layer(3, 4),),) * 6),
        ("vgg", (*((Layer(3, 4),),) * 5, (Layer(1, 4),), (Layer(1, 4),))),
        ("vgg", (*((Layer(3, 4),),) * 5, ())),
        ("vgg", ((Layer(3, 4),) * 2,) + ((Layer(3, 4),),) * 2 + ((Layer(3, 4),) * 2,) * 2),
    ],
)
def test_layers_that_form_no_network_of_the_family_are_refused(family, blocks):
    with pytest.raises(InvalidDesignError):
        NetworkSpec(family=family, width=4, blocks=blocks)


def test_a_regular_network_needs_a_known_family_and_a_width():
    with pytest.raises(UnknownNameError):
        regular_network("lenet", 5, 6)
    for width in (0, -3):
        with pytest.raises(InvalidDesignError):
            regular_network("resnet", 8, width)
        with pytest.raises(InvalidDesignError):
            NetworkSpec(family="mlp", width=width, blocks=((Layer(1, 4),),))


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "name",
    [
        "resnet-999999-999999",
        "resnet-9998-999999",
        "densenet-10000-999999",
        "mlp-10000-999999",
        "vgg-19-999999",
        "resnet-8-4~b1l1:999x999999",
        "resnet-8-4~b9999l9999:3x3",
        "vgg-11-9~b1:9999",
        "vgg-11-9~" + ",".join(f"b{b}:9999" for b in range(1, 7)),
        "resnet-8-4~" + ",".join(f"b{b}:9999" for b in range(1, 4)),
        "vgg-16-64~" + ",".join(["b1:9999"] * 20_000),
        "resnet-" + "9" * 100_000 + "-4",
        "a" * 100_000 + "-8-4",
        "resnet-8-4~" + "b1l1:3x5," * 20_000,
        "vgg-16-64~" + ",".join(["b1l1:3x5"] * 20_000),
    ],
    ids=lambda name: name[:30],
)
def test_huge_numbers_and_long_names_neither_hang_nor_crash(name):
    assert "\n" not in refusal(name)


@given(st.text())
def test_random_text_is_a_network_or_a_usage_error(text):
    assert "\n" not in refusal(text)


@settings(max_examples=300)
@given(networks().map(lambda spec: spec.name), st.data())
def test_a_damaged_name_is_a_network_or_a_usage_error(name, data):
    start = data.draw(st.integers(0, len(name)))
    stop = data.draw(st.integers(start, min(start + 4, len(name))))
    patch = data.draw(st.text("0123456789-~:,xblgresntv@+ \n٣", max_size=4))
    assert "\n" not in refusal(name[:start] + patch + name[stop:])
