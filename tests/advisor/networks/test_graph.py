"""Counts of lowered networks against arithmetic done by hand and against published figures."""

import pytest

from advisor.networks.architecture import lower, parse_network
from advisor.networks.layers import Task

CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
CIFAR100 = Task(channels=3, height=32, width=32, classes=100)
DIGITS = Task(channels=1, height=8, width=8, classes=10)


def graph_of(name, task=CIFAR10):
    return lower(parse_network(name), task)


# resnet-8-4: one unit of two layers a stage, 4, 8 and 16 channels.


def test_the_smallest_resnet_has_the_parameters_counted_by_hand():
    stem = 3 * 4 * 9 + 2 * 4
    stage1 = 2 * (4 * 4 * 9 + 2 * 4)
    stage2 = (4 * 8 * 9 + 2 * 8) + (8 * 8 * 9 + 2 * 8)
    stage3 = (8 * 16 * 9 + 2 * 16) + (16 * 16 * 9 + 2 * 16)
    classifier = (16 + 1) * 10
    assert graph_of("resnet-8-4").parameters == stem + stage1 + stage2 + stage3 + classifier == 5006


def test_the_smallest_resnet_has_the_macs_counted_by_hand():
    stem = 3 * 4 * 9 * 32 * 32
    stage1 = 2 * 4 * 4 * 9 * 32 * 32
    stage2 = (4 * 8 + 8 * 8) * 9 * 16 * 16
    stage3 = (8 * 16 + 16 * 16) * 9 * 8 * 8
    assert graph_of("resnet-8-4").macs == stem + stage1 + stage2 + stage3 + 16 * 10 == 848_032


def test_a_wider_inner_layer_of_a_resnet_changes_only_its_two_convolutions_and_its_norm():
    plain, changed = graph_of("resnet-8-4"), graph_of("resnet-8-4~b2l1:5x12")
    before = 4 * 8 * 9 + 2 * 8 + 8 * 8 * 9
    after = 4 * 12 * 25 + 2 * 12 + 12 * 8 * 9
    assert changed.parameters - plain.parameters == after - before


def test_the_shortcuts_of_a_resnet_have_no_parameters():
    nodes = [node for node in graph_of("resnet-14-4").nodes if "shortcut" in node.name]
    assert [node.name for node in nodes] == ["block2.unit1.shortcut", "block3.unit1.shortcut"]
    assert sum(node.parameters + node.macs for node in nodes) == 0


# wrn-10-1: one unit a stage, stem 16, then 16, 32 and 64 channels; projections in stages 2 and 3.


def test_the_smallest_wide_resnet_has_the_parameters_counted_by_hand():
    stem = 3 * 16 * 9
    stage1 = 2 * 16 + 16 * 16 * 9 + 2 * 16 + 16 * 16 * 9
    stage2 = 2 * 16 + 16 * 32 * 9 + 2 * 32 + 32 * 32 * 9 + 16 * 32
    stage3 = 2 * 32 + 32 * 64 * 9 + 2 * 64 + 64 * 64 * 9 + 32 * 64
    end = 2 * 64 + (64 + 1) * 10
    assert graph_of("wrn-10-1").parameters == stem + stage1 + stage2 + stage3 + end == 77_850


def test_a_wide_resnet_projects_in_its_first_stage_only_when_it_is_wider_than_its_stem():
    def projections(name):
        return [node.name for node in graph_of(name).nodes if "projection" in node.name]

    assert projections("wrn-10-1") == ["block2.unit1.projection", "block3.unit1.projection"]
    assert projections("wrn-10-2") == [f"block{b}.unit1.projection" for b in (1, 2, 3)]


def test_the_smallest_wide_resnet_has_the_macs_counted_by_hand():
    stem = 3 * 16 * 9 * 32 * 32
    stage1 = 2 * 16 * 16 * 9 * 32 * 32
    stage2 = (16 * 32 * 9 + 32 * 32 * 9 + 16 * 32) * 16 * 16
    stage3 = (32 * 64 * 9 + 64 * 64 * 9 + 32 * 64) * 8 * 8
    assert graph_of("wrn-10-1").macs == stem + stage1 + stage2 + stage3 + 64 * 10


# densenet-7-4: one layer a block; channels 16 → 20 | 20 → 24 | 24 → 28.


def test_the_smallest_densenet_has_the_parameters_counted_by_hand():
    stem = 3 * 16 * 9
    block1, transition1 = 2 * 16 + 16 * 4 * 9, 2 * 20 + 20 * 20
    block2, transition2 = 2 * 20 + 20 * 4 * 9, 2 * 24 + 24 * 24
    block3 = 2 * 24 + 24 * 4 * 9
    end = 2 * 28 + (28 + 1) * 10
    total = stem + block1 + transition1 + block2 + transition2 + block3 + end
    assert graph_of("densenet-7-4").parameters == total == 4122


def test_the_smallest_densenet_has_the_macs_counted_by_hand():
    at_32 = (3 * 16 * 9 + 16 * 4 * 9 + 20 * 20) * 32 * 32
    at_16 = (20 * 4 * 9 + 24 * 24) * 16 * 16
    at_8 = 24 * 4 * 9 * 8 * 8
    assert graph_of("densenet-7-4").macs == at_32 + at_16 + at_8 + 28 * 10


def test_densenet_40_12_has_the_published_1_02_million_parameters_layer_by_layer():
    total, channels = 3 * 16 * 9, 16
    for block in range(3):
        for _ in range(12):
            total += 2 * channels + channels * 12 * 9
            channels += 12
        if block < 2:
            total += 2 * channels + channels * channels
    total += 2 * channels + (channels + 1) * 10
    assert graph_of("densenet-40-12").parameters == total == 1_019_722


# vgg-11-4: 4 | 8 | 16 16 | 32 32 | 32 32, hidden layer of 32.

VGG_11_4_CONVOLUTIONS = 9 * (3 * 4 + 4 * 8 + 8 * 16 + 16 * 16 + 16 * 32 + 3 * 32 * 32)
VGG_11_4_NORMS = 2 * (4 + 8 + 2 * 16 + 4 * 32)


def test_the_smallest_vgg_has_the_parameters_counted_by_hand():
    head = (32 + 1) * 32 + (32 + 1) * 10
    assert graph_of("vgg-11-4").parameters == VGG_11_4_CONVOLUTIONS + VGG_11_4_NORMS + head == 37_838


@pytest.mark.parametrize(
    ("side", "pools", "flat"), [(8, 3, 32), (28, 4, 32), (32, 5, 32), (64, 5, 4 * 32), (48, 5, 32)]
)
def test_a_vgg_pools_after_every_block_until_its_map_is_one_pixel(side, pools, flat):
    graph = graph_of("vgg-11-4", Task(channels=3, height=side, width=side, classes=10))
    assert sum(node.name.endswith(".pool") for node in graph.nodes) == pools
    head = (flat + 1) * 32 + (32 + 1) * 10
    assert graph.parameters == VGG_11_4_CONVOLUTIONS + VGG_11_4_NORMS + head


def test_a_vgg_with_more_layers_in_its_blocks_and_head_has_the_parameters_counted_by_hand():
    # One more layer of 16 in block 3, and a head of 32, 20 and 7 units.
    convolutions = VGG_11_4_CONVOLUTIONS + VGG_11_4_NORMS + 9 * 16 * 16 + 2 * 16
    head = (32 + 1) * 32 + (32 + 1) * 20 + (20 + 1) * 7 + (7 + 1) * 10
    graph = graph_of("vgg-11-4~b3:3,b6:3,b6l2:1x20,b6l3:1x7")
    assert graph.parameters == convolutions + head
    names = [node.name for node in graph.nodes if not node.name.startswith("block")]
    assert names == [
        "flatten",
        *("hidden", "hidden.relu", "hidden2", "hidden2.relu", "hidden3", "hidden3.relu"),
        "classifier",
    ]


# Simonyan and Zisserman 2015, table 2: millions of parameters of configurations A to E. C has kernels of 1.
PUBLISHED_HEAD = "b6:2,b6l1:1x4096,b6l2:1x4096"


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        (f"vgg-11-64~{PUBLISHED_HEAD}", 133),
        (f"vgg-13-64~{PUBLISHED_HEAD}", 133),
        (f"vgg-16-64~b3l3:1x256,b4l3:1x512,b5l3:1x512,{PUBLISHED_HEAD}", 134),
        (f"vgg-16-64~{PUBLISHED_HEAD}", 138),
        (f"vgg-19-64~{PUBLISHED_HEAD}", 144),
    ],
)
def test_the_published_head_on_images_of_224_pixels_gives_the_published_parameters(name, millions):
    imagenet = Task(channels=3, height=224, width=224, classes=1000)
    assert round(graph_of(name, imagenet).parameters / 1e6) == millions


def test_a_changed_vgg_layer_changes_its_own_kernel_its_norm_and_the_inputs_of_the_next():
    plain, changed = graph_of("vgg-16-64"), graph_of("vgg-16-64~b3l2:5x384")
    before = 256 * 256 * 9 + 2 * 256 + 256 * 256 * 9
    after = 256 * 384 * 25 + 2 * 384 + 384 * 256 * 9
    assert changed.parameters - plain.parameters == after - before
    # Block 3 sees maps of 8×8.
    assert changed.macs - plain.macs == (256 * 384 * 25 + 384 * 256 * 9 - 2 * 256 * 256 * 9) * 64


# mlp-2-5 on the digits: 64 → 5 → 5 → 10.


def test_a_fully_connected_network_has_the_counts_done_by_hand():
    graph = graph_of("mlp-2-5", DIGITS)
    assert graph.parameters == (64 + 1) * 5 + (5 + 1) * 5 + (5 + 1) * 10 == 415
    assert graph.macs == 64 * 5 + 5 * 5 + 5 * 10


def test_units_of_an_mlp_layer_can_be_changed_one_layer_at_a_time():
    assert graph_of("mlp-2-5~b1l2:1x7", DIGITS).parameters == 65 * 5 + 6 * 7 + 8 * 10


# Published figures, as their papers print them, for 32×32 colour images.


@pytest.mark.parametrize(
    ("name", "millions", "digits"),
    [
        # "More or Less" (ICLR 2021)
        ("resnet-38-32", 2.24, 2),
        ("resnet-38-48", 5.03, 2),
        # He et al. 2016, table 6
        ("resnet-20-16", 0.27, 2),
        ("resnet-32-16", 0.46, 2),
        ("resnet-44-16", 0.66, 2),
        ("resnet-56-16", 0.85, 2),
        ("resnet-110-16", 1.7, 1),
        # Huang et al. 2017, table 2
        ("densenet-40-12", 1.0, 1),
        ("densenet-100-12", 7.0, 1),
        ("densenet-100-24", 27.2, 1),
        # Zagoruyko and Komodakis 2016, tables 4 and 5
        ("wrn-40-1", 0.6, 1),
        ("wrn-40-2", 2.2, 1),
        ("wrn-40-4", 8.9, 1),
        ("wrn-16-8", 11.0, 1),
        ("wrn-16-10", 17.1, 1),
        ("wrn-22-8", 17.2, 1),
        ("wrn-40-8", 35.7, 1),
        ("wrn-28-10", 36.5, 1),
    ],
)
def test_published_networks_have_their_published_size(name, millions, digits):
    assert round(graph_of(name).parameters / 1e6, digits) == millions


def test_resnet_26_48_has_the_published_size_which_the_paper_cuts_off_after_two_digits():
    parameters = graph_of("resnet-26-48").parameters
    assert parameters == 3_284_986
    assert int(parameters / 1e4) / 100 == 3.28


def test_classes_and_channels_enter_where_they_should():
    ten, hundred = graph_of("resnet-20-16"), graph_of("resnet-20-16", CIFAR100)
    assert hundred.parameters - ten.parameters == 90 * (64 + 1)
    grey = graph_of("resnet-20-16", Task(channels=1, height=32, width=32, classes=10))
    assert ten.parameters - grey.parameters == 2 * 16 * 9


@pytest.mark.parametrize("name", ["resnet-8-4", "wrn-10-1", "densenet-7-4", "vgg-11-4", "mlp-1-4"])
def test_every_graph_ends_in_one_score_a_class_and_reads_only_what_came_before(name):
    graph = graph_of(name, Task(channels=1, height=9, width=11, classes=17))
    assert graph.nodes[-1].shape == (17,)
    known = {"input"}
    for node in graph.nodes:
        assert known.issuperset(node.inputs)
        assert node.name not in known
        known.add(node.name)


def test_odd_maps_are_rounded_up_by_strides_and_down_by_pools():
    task = Task(channels=3, height=9, width=11, classes=10)
    assert graph_of("resnet-8-4", task).shapes["block2.unit1.relu"] == (8, 5, 6)
    assert graph_of("resnet-8-4", task).shapes["block3.unit1.relu"] == (16, 3, 3)
    assert graph_of("densenet-7-4", task).shapes["transition1.pool"] == (20, 4, 5)


def test_the_maps_of_a_residual_sum_have_one_shape():
    for name in ("resnet-14-5", "wrn-16-3"):
        graph = graph_of(name, Task(channels=3, height=13, width=10, classes=3))
        for node in graph.nodes:
            if node.name.endswith(".add"):
                assert {graph.shapes[source] for source in node.inputs} == {node.shape}


def test_elements_are_the_product_of_a_shape():
    node = graph_of("resnet-8-4").nodes[0]
    assert node.shape == (4, 32, 32)
    assert node.elements == 4096
