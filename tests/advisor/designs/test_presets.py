"""The named ensembles: what the paper says of them, and that ours are what their comments say."""

import pytest

from advisor.designs.clustering import clusters_of
from advisor.designs.design import Design, parse_design
from advisor.designs.presets import CHANGES, PRESETS, members_of, preset_at
from advisor.errors import InvalidDesignError
from advisor.networks.architecture import NetworkSpec, lower, parse_network
from advisor.networks.layers import Task
from advisor.networks.mothernet import check_growth, distance, mother_of

CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
VGG16 = parse_network("vgg-16-64")
EVERY = pytest.mark.parametrize("preset", PRESETS)


def changed_layers(spec: NetworkSpec) -> list[tuple[int, int]]:
    """Block and layer, from 1, in which a variant differs from vgg-16-64."""
    return [
        (b, i)
        for b, (block, plain) in enumerate(zip(spec.blocks, VGG16.blocks, strict=True), 1)
        for i, (layer, before) in enumerate(zip(block, plain, strict=True), 1)
        if layer != before
    ]


@EVERY
def test_a_preset_has_as_many_members_as_its_name_says_all_different(preset):
    members = members_of(preset)
    assert len(members) == len(set(members)) == int(preset[1:])
    assert {member.family for member in members} == {{"V": "vgg", "D": "densenet", "R": "resnet"}[preset[0]]}


@EVERY
def test_every_member_is_a_network_that_its_name_reads_back(preset):
    for name, spec in zip(PRESETS[preset], members_of(preset), strict=True):
        assert spec.name == name
        assert parse_network(spec.name) == spec
        graph = lower(spec, CIFAR10)
        assert graph.parameters > 0
        assert graph.input_shape == (3, 32, 32)


@EVERY
@pytest.mark.parametrize("clusters", [1, 3, *(pytest.param(g, marks=pytest.mark.slow) for g in (2, 4, 5))])
def test_every_member_can_be_grown_out_of_its_mother(preset, clusters):
    design = Design(members=members_of(preset), clusters=clusters)
    for cluster in clusters_of(design):
        members = [design.members[i] for i in cluster]
        for member in members:
            check_growth(mother_of(members), member)


def test_a_preset_is_a_design_wherever_a_network_may_stand():
    assert parse_design("V5").members == members_of("V5")
    assert parse_design("V5").independent
    assert parse_design("V25@g3").clusters == 3
    assert parse_design("2xD5@g4").members == 2 * members_of("D5")
    mixed = parse_design("V5+2xresnet-20-16@g2")
    assert mixed.members == (*members_of("V5"), *[parse_network("resnet-20-16")] * 2)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("V5@g5", "V5"),
        ("1xV5@g1", "V5@g1"),
        ("V5+V5@g3", "2xV5@g3"),
        ("+".join(PRESETS["R10"]) + "@g2", "R10@g2"),
        ("+".join(PRESETS["V100"]), "V100"),
        ("V25+V100", "V25+V100"),
        ("vgg-13-64+V5+vgg-13-64@g1", "vgg-13-64+V5+vgg-13-64@g1"),
        # One member less, or another order, is not the preset.
        ("+".join(PRESETS["D5"][:4]), "+".join(PRESETS["D5"][:4])),
        ("+".join(PRESETS["D5"][::-1]), "+".join(PRESETS["D5"][::-1])),
    ],
)
def test_members_that_make_up_a_preset_are_named_by_it(written, canonical):
    design = parse_design(written)
    assert design.name == canonical
    assert parse_design(design.name) == design


@pytest.mark.parametrize(
    "name", ["V6", "v5", "V5 +vgg-11-4", "R", "V5x", "3xv100", "resnet-20-16+d5", "V1000@g2"]
)
def test_the_refusal_of_an_unknown_ensemble_lists_the_known_ones(name):
    with pytest.raises(InvalidDesignError, match="choose one of V5, D5, R10, V25, V100,"):
        parse_design(name)


def test_two_large_presets_are_within_the_largest_ensemble_and_three_are_not():
    assert len(parse_design("2xV100").members) == 200
    with pytest.raises(InvalidDesignError, match="1 to 256 members, got 300"):
        parse_design("3xV100")


def test_a_preset_is_found_where_all_its_members_stand():
    members = (parse_network("resnet-8-4"), *members_of("V100"))
    assert preset_at(members, 0) is None
    assert preset_at(members, 1) == "V100"
    assert preset_at(members[:99], 1) == "V25"
    assert preset_at(members[:25], 1) is None


# V5, D5 and R10.


def test_v5_has_the_depths_of_the_paper_and_16a_is_configuration_c():
    assert [member.depth for member in members_of("V5")] == [13, 16, 16, 16, 19]
    plain, a, b = members_of("V5")[1:4]
    # Simonyan and Zisserman, table 1, column C: conv1-256, conv1-512, conv1-512 end blocks 3, 4 and 5.
    kernels = [[layer.kernel for layer in block] for block in a.blocks[:5]]
    assert kernels == [[3, 3], [3, 3], [3, 3, 1], [3, 3, 1], [3, 3, 1]]
    assert [[layer.kernel for layer in block] for block in b.blocks][2:5] == [[3, 3, 5]] * 3
    filters = [[layer.filters for layer in block] for block in plain.blocks]
    assert filters == [[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3, [512]]
    assert all([[x.filters for x in block] for block in spec.blocks] == filters for spec in (a, b))


def test_the_published_residual_networks_of_r10_have_their_published_parameters():
    # He et al. 2016, table 6, in millions.
    counts = [lower(member, CIFAR10).parameters / 1e6 for member in members_of("R10")[::2]]
    assert counts == pytest.approx([0.27, 0.46, 0.66, 0.85, 1.7], abs=0.03)
    assert [member.depth for member in members_of("R10")[1::2]] == [20, 32, 44, 56, 110]


# MotherNets, table 2: parameters of each ensemble, in millions.
PRINTED = {"V5": 682, "D5": 17, "R10": 327, "V25": 3410, "V100": 13640}
COUNTED = {"V5": 79.7, "D5": 51.4, "R10": 12.9, "V25": 434.6, "V100": 1735.6}


@EVERY
def test_the_parameters_of_an_ensemble_on_small_images_are_not_those_that_the_paper_prints(preset):
    millions = sum(lower(member, CIFAR10).parameters for member in members_of(preset)) / 1e6
    assert millions == pytest.approx(COUNTED[preset], abs=0.05)
    assert abs(millions / PRINTED[preset] - 1) > 0.5


def test_the_printed_parameters_of_the_vgg_ensembles_are_those_of_five_networks_for_imagenet():
    # Configurations A to E of Simonyan and Zisserman 2015 with their head, 224×224 pixels and 1000 classes.
    imagenet = Task(channels=3, height=224, width=224, classes=1000)
    head = "b6:2,b6l1:1x4096,b6l2:1x4096"
    c = "b3l3:1x256,b4l3:1x512,b5l3:1x512,"
    names = (
        f"vgg-{depth}-64~{kernels}{head}"
        for depth, kernels in ((11, ""), (13, ""), (16, c), (16, ""), (19, ""))
    )
    total = sum(lower(parse_network(name), imagenet).parameters for name in names)
    assert round(total / 1e6) == PRINTED["V5"]
    assert (5 * PRINTED["V5"], 20 * PRINTED["V5"]) == (PRINTED["V25"], PRINTED["V100"])


def test_the_printed_parameters_of_r10_are_those_of_five_residual_networks_for_imagenet_twice():
    # ResNet-18, 34, 50, 101 and 152 of He et al. 2016 with projections, as torchvision counts them.
    counts = (11_689_512, 21_797_672, 25_557_032, 44_549_160, 60_192_808)
    assert 2 * sum(counts) // 10**6 == PRINTED["R10"]


def test_the_members_of_d5_are_those_that_the_paper_names():
    assert [(m.depth, m.width) for m in members_of("D5")] == [
        (40, 12),
        (40, 24),
        (100, 12),
        (100, 16),
        (100, 24),
    ]


# V25 and V100.


@pytest.mark.parametrize("preset", ["V25", "V100"])
def test_a_variant_changes_one_layer_of_vgg_16_and_makes_it_larger(preset):
    for member in members_of(preset):
        assert len(changed_layers(member)) == 1
        assert distance(member, VGG16) == 1
        assert mother_of([member, VGG16]) == VGG16
        ((b, i),) = changed_layers(member)
        layer, before = member.blocks[b - 1][i - 1], VGG16.blocks[b - 1][i - 1]
        assert layer.kernel in (3, 5)
        assert before.filters <= layer.filters <= 2 * before.filters
    assert mother_of(members_of(preset)) == VGG16


def test_the_rule_by_hand():
    names = PRESETS["V100"]
    assert names[:4] == (
        "vgg-16-64~b1l1:3x80",
        "vgg-16-64~b1l2:5x64",
        "vgg-16-64~b2l1:5x160",
        "vgg-16-64~b2l2:3x192",
    )
    # Variant 13 is at layer 1 again, by change 13 - 8 = 5; variant 99 at layer 99 - 91 = 8, by change 3.
    assert names[13] == "vgg-16-64~b1l1:3x112"
    assert names[99] == "vgg-16-64~b4l2:3x768"
    assert names[:25] == PRESETS["V25"]


@pytest.mark.parametrize("start", [0, 40, 75])
def test_any_25_variants_in_a_row_change_every_layer_and_have_every_change(start):
    members = members_of("V100")[start : start + 25]
    places = [changed_layers(member)[0] for member in members]
    assert len(set(places)) == 13
    changes = set()
    for member, (b, i) in zip(members, places, strict=True):
        layer, before = member.blocks[b - 1][i - 1], VGG16.blocks[b - 1][i - 1]
        changes.add((layer.kernel, 4 * layer.filters // before.filters))
    assert changes == set(CHANGES)
