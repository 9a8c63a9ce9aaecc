"""Growth is exact in float64, in eval mode and in train mode, for random mothers and members of every family.

Train mode needs 8 values a channel in every normalisation: a batch of 2 on 8×8 images has 2·2×2 in the third
stage of a ResNet, but only 2·1×1 in the last blocks of a VGG. A deepened VGG is exact in train mode on the
images that it was calibrated on, and drifts on others.
"""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from advisor.errors import InvalidDesignError, PlanError
from advisor.networks.architecture import NetworkSpec, lower, parse_network, regular_network
from advisor.networks.families import FAMILIES
from advisor.networks.layers import Layer, Task
from advisor.networks.mothernet import check_growth, is_contained, mother_of
from trainer.data.batches import normalised
from trainer.networks import channels
from trainer.networks.channels import FREE, ChannelMap
from trainer.networks.hatching import hatch, hatch_difference, hatch_drift, perturb
from trainer.networks.network import build_network

TASK = Task(channels=2, height=8, width=8, classes=5)
# The smallest images on which every normalisation of a VGG sees 8 values in a batch of 2.
LARGER = Task(channels=2, height=32, width=32, classes=5)
EXACT = 1e-9


def trained(spec, seed=0, task=TASK):
    """A float64 network whose normalisations and shifts are as random as if it had been trained."""
    network = build_network(lower(spec, task), seed).double()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.normal_(0.8, 0.5, generator=generator)
                module.bias.normal_(0, 0.5, generator=generator)
                module.running_mean.normal_(0, 0.5, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
            if isinstance(module, nn.Linear):
                module.bias.normal_(0, 0.5, generator=generator)
    return network


def images_of(count, seed=0, task=TASK):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(
        count, task.channels, task.height, task.width, generator=generator, dtype=torch.float64
    )


def differences(mother, member, task=TASK, modes=((False, 2), (False, 64), (True, 2), (True, 64))):
    """max |logits(member) − logits(mother)| in eval mode (False) and in train mode (True) at some batches."""
    found = []
    for training, count in modes:
        images = images_of(count, task=task)
        # Copies, since a pass in train mode moves the running statistics.
        with torch.no_grad():
            outputs = [copy.deepcopy(network).train(training)(images) for network in (mother, member)]
        found.append(float((outputs[0] - outputs[1]).abs().max()))
    return found


def hatched(mother_name, member_name, seed=0, task=TASK):
    """A mother and its member, calibrated on the 64 images that `differences` compares on."""
    mother_spec, member_spec = parse_network(mother_name), parse_network(member_name)
    mother = trained(mother_spec, seed, task)
    return mother, hatch(mother, mother_spec, member_spec, task, images_of(64, task=task), seed)


# Random mothers and members.

DEPTHS = {
    "resnet": [8, 14, 20],
    "wrn": [10, 16],
    "densenet": [7, 10, 13],
    "vgg": [11, 13, 16, 19],
    "mlp": [1, 2, 4],
}
WIDEST = {"resnet": 4, "wrn": 2, "densenet": 6, "vgg": 3, "mlp": 9}


@st.composite
def network(draw, family):
    """A network of which up to four layers are irregular; residual streams differ by width only.

    Blocks of a VGG, and its head, have any length.
    """
    spec = regular_network(
        family, draw(st.sampled_from(DEPTHS[family])), draw(st.integers(1, WIDEST[family]))
    )
    blocks = [list(block) for block in spec.blocks]
    if family == "vgg":
        blocks = [block[:1] * draw(st.integers(1, 3)) for block in blocks]
    for _ in range(draw(st.integers(0, 4))):
        b = draw(st.integers(0, len(blocks) - 1))
        i = draw(st.integers(0, len(blocks[b]) - 1))
        fixed = family in ("resnet", "wrn") and i % 2 == 1
        kernel = 1 if FAMILIES[family].has_units(b) else draw(st.sampled_from([1, 3, 5]))
        blocks[b][i] = Layer(kernel, blocks[b][i].filters if fixed else draw(st.integers(1, 20)))
    return with_blocks(spec, blocks)


def with_blocks(spec, blocks):
    return replace(spec, blocks=tuple(tuple(block) for block in blocks))


def units(*filters):
    """Fully connected network of the given layers."""
    return NetworkSpec(family="mlp", width=filters[0], blocks=(tuple(Layer(1, f) for f in filters),))


@pytest.mark.parametrize(
    ("family", "examples"), [("mlp", 15), ("densenet", 10), ("vgg", 10), ("resnet", 8), ("wrn", 4)]
)
def test_every_member_of_a_cluster_computes_what_its_mother_computes(family, examples):
    modes = [(False, 2), (False, 64), (True, 64)] + [(True, 2)] * (family != "vgg")

    @settings(max_examples=examples)
    @given(st.lists(network(family), min_size=1, max_size=3), st.integers(0, 2**32))
    def check(members, seed):
        mother_spec = mother_of(members)
        mother = trained(mother_spec, seed % 1000)
        before = copy.deepcopy(mother.state_dict())
        for member_spec in members:
            check_growth(mother_spec, member_spec)
            member = hatch(mother, mother_spec, member_spec, TASK, images_of(64), seed)
            assert member.graph == lower(member_spec, TASK)
            assert max(differences(mother, member, modes=modes)) <= EXACT
            assert hatch_difference(mother, member, images_of(8, seed=9).float()) <= EXACT
        after = mother.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)

    check()


GROWTHS = [
    ("resnet-8-4", "resnet-8-4"),
    ("resnet-8-4", "resnet-8-7"),
    ("resnet-8-4", "resnet-20-4"),
    ("resnet-8-4", "resnet-8-4~b1l1:5x4,b2l1:7x8,b3l2:5x16"),
    ("resnet-8-4", "resnet-8-4~b2l1:3x11"),
    ("resnet-8-4~b1l1:1x3,b2l1:1x8", "resnet-26-9~b1l1:5x20,b2l1:5x19,b3l1:5x37"),
    ("mlp-2-6", "mlp-2-15"),
    ("mlp-2-6", "mlp-5-6"),
    ("mlp-2-6", "mlp-5-13~b1l4:1x30"),
    # The shortcut of the first unit is an identity at factor 1 and a projection above.
    ("wrn-10-1", "wrn-10-2"),
    ("wrn-10-1", "wrn-16-1"),
    ("wrn-10-1", "wrn-10-1~b1l1:5x16,b2l1:3x40,b3l2:5x64"),
    ("wrn-10-1~b1l1:1x5", "wrn-16-2~b1l1:5x40,b2l3:3x7"),
    ("densenet-7-4", "densenet-7-9"),
    ("densenet-7-4", "densenet-16-4"),
    ("densenet-7-4", "densenet-7-4~b1l1:5x4,b2l1:3x11,b3l1:7x4"),
    ("densenet-7-4~b2l1:1x2", "densenet-13-7~b1l1:5x9,b2l3:5x3"),
    ("vgg-11-2", "vgg-11-5"),
    ("vgg-11-2", "vgg-11-2~b1l1:5x2,b3l2:7x8,b5l1:5x16"),
    ("vgg-11-2", "vgg-11-2~b3l2:3x20,b5l2:5x23"),
    # The head: wider, deeper, and both.
    ("vgg-11-2", "vgg-11-2~b6l1:1x31"),
    ("vgg-11-2", "vgg-11-2~b6:3"),
    ("vgg-11-2~b6:2,b6l2:1x9", "vgg-11-3~b6:4,b6l2:1x40,b6l3:1x9,b6l4:1x11"),
]
DEEPENED = [
    ("vgg-11-2", "vgg-13-2"),
    ("vgg-11-2", "vgg-19-2"),
    ("vgg-11-2", "vgg-16-3~b3l2:5x40,b3l3:5x12,b5l3:7x30"),
    ("vgg-11-2~b2l1:1x3", "vgg-13-2~b1l2:5x2,b2l2:1x3"),
    ("vgg-11-2", "vgg-11-2~b1:4,b3:3,b6:2,b6l2:1x20"),
]


@pytest.mark.parametrize(("mother", "member"), GROWTHS)
def test_each_kind_of_growth_is_exact_alone_and_together(mother, member):
    task = LARGER if mother.startswith("vgg") else TASK
    grown_from, grown = hatched(mother, member, task=task)
    assert max(differences(grown_from, grown, task)) <= EXACT
    assert hatch_drift(grown_from, grown, images_of(64, 3, task)) <= EXACT
    # The comparison says something: logits of different images differ.
    assert float(grown_from.eval()(images_of(64, task=task)).detach().std(0).min()) > 1e-3


@pytest.mark.parametrize(("mother", "member"), DEEPENED)
def test_a_deepened_plain_network_is_exact_in_eval_mode_and_trains_a_few_percent_off(mother, member):
    grown_from, grown = hatched(mother, member, task=LARGER)
    assert max(differences(grown_from, grown, LARGER, [(False, 2), (False, 64)])) <= EXACT
    # Exact where the batch has the statistics that the new normalisations were calibrated on.
    assert max(differences(grown_from, grown, LARGER, [(True, 64)])) <= EXACT
    assert 1e-4 < hatch_drift(grown_from, grown, images_of(64, 3, LARGER)) < 0.3


@pytest.mark.parametrize("side", [9, 12])
@pytest.mark.parametrize(
    ("mother", "member"),
    [
        ("resnet-8-3", "resnet-14-5~b2l1:5x12"),
        ("wrn-10-1", "wrn-16-2~b2l1:5x40"),
        ("densenet-7-3", "densenet-10-5~b2l1:5x12"),
        ("vgg-11-2", "vgg-13-3~b2l1:5x12"),
    ],
)
def test_growth_is_exact_on_images_with_odd_maps(mother, member, side):
    task = Task(channels=3, height=side, width=side + 5, classes=4)
    grown_from, grown = hatched(mother, member, task=task)
    assert hatch_difference(grown_from, grown, images_of(4, task=task)) <= EXACT


@pytest.mark.slow
@pytest.mark.parametrize(
    "members",
    [
        ["vgg-13-64", "vgg-16-64~b3l2:5x384", "vgg-19-64~b5l4:5x600"],
        ["densenet-40-12", "densenet-40-24", "densenet-100-12"],
        ["resnet-20-16", "resnet-44-20", "resnet-110-16~b2l9:5x48"],
        ["wrn-16-1", "wrn-22-2", "wrn-28-4"],
    ],
)
def test_networks_of_published_size_are_grown_exactly(members):
    task = Task(channels=3, height=32, width=32, classes=100)
    specs = [parse_network(name) for name in members]
    mother_spec = mother_of(specs)
    mother = trained(mother_spec, task=task)
    for spec in specs:
        member = hatch(mother, mother_spec, spec, task, images_of(16, task=task), 0)
        assert hatch_difference(mother, member, images_of(8, 1, task)) <= EXACT
        if FAMILIES[spec.family].skip_connections:
            assert hatch_drift(mother, member, images_of(8, 1, task)) <= EXACT


def test_a_float32_mother_is_grown_within_the_rounding_of_its_shares():
    specs = parse_network("resnet-8-4"), parse_network("resnet-14-6")
    mother = trained(specs[0]).float()
    member = hatch(mother, *specs, TASK, images_of(64), 0)
    assert {p.dtype for p in member.parameters()} == {torch.float32}
    assert 0 < hatch_difference(mother, member, images_of(16)) < 1e-4


def test_weights_that_went_through_bfloat16_are_grown_exactly_in_float64():
    specs = parse_network("vgg-11-2"), parse_network("vgg-13-3")
    mother = trained(specs[0]).bfloat16().double()
    member = hatch(mother, *specs, TASK, images_of(64), 0)
    assert hatch_difference(mother, member, images_of(16, seed=2)) <= EXACT


@pytest.mark.parametrize(
    "growth", ["resnet-8-4 resnet-14-7", "densenet-7-3 densenet-10-5", "vgg-11-2 vgg-13-3"]
)
def test_hatching_depends_on_its_seed_and_images_alone(same_bits, growth):
    members = [hatched(*growth.split(), seed)[1].state_dict() for seed in (3, 3)]
    assert same_bits(*members)


def test_another_seed_draws_other_donors():
    mother = trained(parse_network("mlp-1-4"))
    specs = parse_network("mlp-1-4"), parse_network("mlp-1-16")
    one, other = (
        hatch(mother, *specs, TASK, images_of(2), seed).layer("classifier").weight for seed in (1, 2)
    )
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", ["resnet-8-3", "wrn-10-1", "densenet-7-3", "vgg-11-2", "mlp-2-6"])
def test_a_member_of_the_mothers_shape_is_a_copy(same_bits, name):
    mother, member = hatched(name, name)
    assert same_bits(mother.state_dict(), member.state_dict())


# What a trained mother has learnt.


@pytest.mark.parametrize(
    ("mother", "member", "rate"),
    [
        ("resnet-8-4", "resnet-14-6~b2l1:5x20", 0.1),
        ("wrn-10-1", "wrn-16-1~b1l1:5x20", 0.1),
        ("densenet-7-4", "densenet-10-6~b2l1:5x8", 0.1),
        ("vgg-11-4", "vgg-16-6~b3l2:5x30", 0.1),
        ("mlp-1-16", "mlp-3-24", 0.1),
    ],
)
def test_a_member_answers_as_its_trained_mother_on_every_image(digits, mother, member, rate):
    task = Task(channels=1, height=8, width=8, classes=10)
    specs = parse_network(mother), parse_network(member)
    pixels, held_out = (
        normalised(part.images, digits.mean, digits.deviation, "contiguous")
        for part in (digits.train, digits.validation)
    )
    network = build_network(lower(specs[0], task), 1)
    train_some_steps(network, pixels, digits.train.labels, 2 * len(pixels) // 32, rate)
    network = network.double().eval()
    grown = hatch(network, *specs, task, pixels[:256], 0).eval()
    with torch.no_grad():
        answers = [net(held_out.double()).argmax(1) for net in (network, grown)]
    assert torch.equal(*answers)
    # Two epochs are enough to have learnt something.
    assert float((answers[0] == digits.validation.labels).float().mean()) > 0.3
    # Train mode, which trains on, is where few per cent are lost by a deepened plain network.
    drift = hatch_drift(network, grown, pixels[256:320])
    assert drift < (0.1 if specs[0].family == "vgg" else EXACT)


def train_some_steps(network, images, labels, steps, rate, batch=32):
    """Plain SGD with momentum on batches in a fixed order."""
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    network.train()
    for step in range(steps):
        drawn = torch.arange(step * batch, (step + 1) * batch) % len(images)
        optimizer.zero_grad()
        functional.cross_entropy(network(images[drawn]), labels[drawn]).backward()
        optimizer.step()


def train_on_noise(network, steps, rate=0.05):
    """Train in float64 on random images and labels."""
    labels = torch.randint(0, 5, (64,), generator=torch.Generator().manual_seed(0))
    train_some_steps(network, images_of(64), labels, steps, rate, batch=64)


# New layers.

DEEPER = [
    ("resnet-8-2", "resnet-14-2"),
    ("wrn-10-1", "wrn-16-1"),
    ("densenet-7-2", "densenet-13-2"),
    ("vgg-11-4", "vgg-16-4"),
    ("mlp-1-8", "mlp-3-8"),
]


def new_layers(mother, member):
    return [n.name for n in member.graph.nodes if n.name not in mother.graph.shapes]


@pytest.mark.parametrize(("mother", "member"), DEEPER)
def test_a_new_layer_learns_from_the_third_step_on_at_the_latest(mother, member):
    grown_from, grown = hatched(mother, member)
    before = copy.deepcopy(grown.state_dict())
    train_on_noise(grown, 3)
    after = grown.state_dict()
    new = [f"layers.{name.replace('.', '_')}.weight" for name in new_layers(grown_from, grown)]
    assert {name for name in new if name in before}
    for name in new:
        assert name not in before or not torch.equal(before[name], after[name]), name


@pytest.mark.parametrize(
    ("mother", "member", "layer"),
    [
        ("vgg-11-3", "vgg-13-3~b1l2:5x3", "block1.layer2.conv"),
        ("vgg-11-3", "vgg-13-3~b2l2:1x6", "block2.layer2.conv"),
        ("vgg-11-3", "vgg-16-3~b4l3:7x24", "block4.layer3.conv"),
    ],
)
def test_a_new_plain_convolution_passes_every_channel_through_the_centre_of_its_kernel(mother, member, layer):
    weight = hatched(mother, member)[1].layer(layer).weight.detach()
    expected = torch.zeros_like(weight)
    for channel in range(len(weight)):
        expected[channel, channel, weight.shape[2] // 2, weight.shape[3] // 2] = 1
    assert torch.equal(weight, expected)


@pytest.mark.parametrize(
    ("mother", "member"),
    [
        ("wrn-10-1", "wrn-10-1~b2l1:5x32"),
        ("densenet-7-3", "densenet-7-3~b2l1:5x3"),
        ("vgg-11-3", "vgg-11-3~b2l1:5x6"),
        ("resnet-8-3", "resnet-8-3~b2l1:5x6"),
    ],
)
def test_a_larger_kernel_is_the_smaller_one_surrounded_by_zeros(mother, member):
    grown_from, grown = hatched(mother, member)
    (name,) = (n.name for n in grown.graph.nodes if getattr(grown.layer(n.name), "kernel_size", 0) == (5, 5))
    small, large = grown_from.layer(name).weight.detach(), grown.layer(name).weight.detach()
    assert torch.equal(large[:, :, 1:4, 1:4], small)
    assert float(large.abs().sum()) == pytest.approx(float(small.abs().sum()))


@pytest.mark.parametrize(
    ("mother", "member", "channels_without_donor"),
    [
        # Two normalisations in a new unit of each of three stages.
        ("resnet-8-2", "resnet-14-2", 2 * (2 + 4 + 8)),
        ("wrn-10-1", "wrn-16-1", 2 * (16 + 32 + 64)),
        # One in each new layer, which reads 18, 22 and 26 channels, and the 2 that it adds to its block.
        ("densenet-7-2", "densenet-10-2", 18 + 22 + 26 + 3 * 2),
        # One in the new layer of each block.
        ("vgg-11-4", "vgg-16-4~b5l3:3x40", 4 + 8 + 16 + 32 + 40),
    ],
)
def test_new_normalisations_hold_the_statistics_of_the_images_and_inherited_ones_the_mothers(
    mother, member, channels_without_donor
):
    grown_from, grown = hatched(mother, member)
    # By another route: with a momentum of 1, torch itself replaces running statistics by a batch's.
    measured = copy.deepcopy(grown).train()
    for module in measured.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    measured(images_of(64))
    counts = []
    for node in grown.graph.nodes:
        norm, batch = grown.layer(node.name), measured.layer(node.name)
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        new = torch.ones(norm.num_features, dtype=torch.bool)
        if node.name in grown_from.graph.shapes:
            donor = grown_from.layer(node.name)
            # Drawn at random, no two running means of the mother are the same.
            new = ~torch.isin(norm.running_mean, donor.running_mean)
            assert torch.isin(norm.running_var[~new], donor.running_var).all()
            assert torch.isin(donor.running_mean, norm.running_mean).all()
        values = 64 * node.shape[1] * node.shape[2]
        torch.testing.assert_close(norm.running_mean[new], batch.running_mean[new])
        torch.testing.assert_close(norm.running_var[new], batch.running_var[new] * (values - 1) / values)
        counts.append(int(new.sum()))
    assert sum(counts) == channels_without_donor


def test_a_new_dense_layer_is_read_with_zeros_by_what_the_mother_has_and_not_by_new_layers():
    _, grown = hatched("densenet-7-4", "densenet-13-4")
    # The stem has 16 channels and the mother's first layer 4; two new layers add 4 each.
    transition = grown.layer("transition1.conv").weight.detach()
    assert not transition[:, 20:].any()
    assert transition[:, :20].any()
    assert grown.layer("block1.layer3.conv").weight.detach()[:, 20:].all()


def test_a_larger_growth_rate_inserts_channels_into_the_middle_of_the_feature_vector():
    mother, grown = hatched("densenet-10-3", "densenet-10-5")
    # [stem 16, layer 1: 3, layer 2: 3] becomes [stem 16, layer 1: 3 + 2, layer 2: 3 + 2].
    kept = [*range(19), *range(21, 24)]
    assert torch.equal(
        grown.layer("transition1.norm").running_mean[kept], mother.layer("transition1.norm").running_mean
    )


def test_the_identity_shortcut_of_a_wide_resnet_grows_into_a_projection_that_repeats_the_stem():
    mother, grown = hatched("wrn-10-1", "wrn-10-2")
    projection = grown.layer("block1.unit1.projection").weight.detach()[:, :, 0, 0]
    assert "block1.unit1.projection" not in mother.graph.shapes
    assert torch.equal(projection[:16], torch.eye(16, dtype=torch.float64))
    assert torch.equal(projection.sum(1), torch.ones(32, dtype=torch.float64))


# The difference that is recorded.


def test_the_recorded_difference_is_the_largest_and_errors_of_both_signs_do_not_cancel():
    spec = parse_network("mlp-1-4")
    mother = trained(spec)
    member = copy.deepcopy(mother)
    with torch.no_grad():
        member.layer("classifier").bias += torch.tensor([0.25, -0.25, 0, 0, 0])
    assert hatch_difference(mother, member, images_of(3)) == pytest.approx(0.25, abs=1e-12)


def test_the_recorded_difference_leaves_both_networks_in_their_modes_and_precision():
    mother = trained(parse_network("resnet-8-2")).float().train()
    hatch_difference(mother, mother, images_of(3))
    assert mother.training
    assert mother.layer("stem.conv").weight.dtype == torch.float32


def test_the_drift_is_the_movement_of_the_logits_relative_to_their_std():
    mother = trained(parse_network("mlp-1-4"))
    member = copy.deepcopy(mother)
    with torch.no_grad():
        member.layer("classifier").bias += torch.tensor([0.25, -0.25, 0, 0, 0.5])
        logits = mother(images_of(7)).numpy()
    spread = np.sqrt(((logits - logits.mean(axis=0)) ** 2).mean())
    moved = np.sqrt((0.25**2 + 0.25**2 + 0.5**2) / 5)
    assert hatch_drift(mother, member, images_of(7)) == pytest.approx(moved / spread, rel=1e-12)


def test_the_drift_is_that_of_train_mode_and_moves_no_running_statistic(same_bits):
    mother = trained(parse_network("resnet-8-2")).eval()
    member = copy.deepcopy(mother)
    with torch.no_grad():
        # Eval mode reads these, train mode does not.
        member.layer("stem.norm").running_mean += 1
    before = copy.deepcopy(member.state_dict())
    assert hatch_drift(mother, member, images_of(9)) == 0
    assert hatch_difference(mother, member, images_of(9)) > 0
    assert same_bits(before, member.state_dict())
    assert not mother.training


# Copies of one channel.


@given(st.lists(st.integers(FREE, 5), min_size=1, max_size=30))
def test_the_shares_of_all_copies_of_a_channel_add_up_to_1_and_are_positive(source):
    shares = ChannelMap.of_sources(torch.tensor(source)).share
    assert not shares[torch.tensor(source) == FREE].any()
    for donor in set(source) - {FREE}:
        mine = shares[torch.tensor(source) == donor]
        assert float(mine.sum()) == pytest.approx(1, abs=1e-15)
        assert float(mine.min()) > 0


def test_three_copies_take_70_percent_then_70_percent_of_the_rest_then_what_remains():
    shares = ChannelMap.of_sources(torch.tensor([1, 0, 1, 1])).share
    assert shares.tolist() == pytest.approx([0.7, 1, 0.21, 0.09])


@pytest.mark.parametrize(
    ("mother", "member"),
    [
        ("resnet-8-2", "resnet-8-4"),
        ("wrn-10-1", "wrn-10-2"),
        ("densenet-7-2", "densenet-7-4"),
        ("vgg-11-2", "vgg-11-4"),
        ("mlp-2-4", "mlp-2-8"),
    ],
)
def test_twins_with_unequal_shares_separate_in_training_without_any_noise(mother, member):
    _, grown = hatched(mother, member)
    before = copy.deepcopy(grown)
    train_on_noise(grown, 5)
    separated = {}
    for node in grown.graph.nodes:
        start, end = before.layer(node.name), grown.layer(node.name)
        if isinstance(start, nn.Conv2d | nn.Linear):
            for i, j in twins(start.weight):
                # Channels whose rectifier is closed on all images do not learn at all.
                if not torch.equal(start.weight[i], end.weight[i]):
                    gap = (end.weight[i] - end.weight[j]).detach().norm() / end.weight[i].detach().norm()
                    separated[node.name, i, j] = float(gap)
    assert len(separated) >= 4
    assert min(separated.values()) > 1e-5


def twins(weight):
    """Pairs of outputs with the same weights."""
    rows = weight.detach().flatten(1)
    same = (rows[:, None] == rows[None]).all(2).triu(1)
    return same.nonzero().tolist()


def test_twins_with_equal_shares_would_never_separate(monkeypatch):
    def distance():
        _, member = hatched("mlp-1-1", "mlp-1-2")
        hidden = member.layer("block1.layer1.linear")
        with torch.no_grad():
            # The unit must be awake on some images.
            hidden.bias.fill_(1.0)
        train_on_noise(member, 30)
        return float((hidden.weight[0] - hidden.weight[1]).detach().abs().max())

    assert distance() > 1e-3
    monkeypatch.setattr(channels, "TWIN_SHARE", 0.5)
    assert distance() < 1e-12


# Noise.


def test_noise_is_relative_to_the_deviation_of_every_convolution_and_linear_layer():
    network = trained(parse_network("resnet-8-16"))
    with torch.no_grad():
        network.layer("block2.unit1.inner.conv").weight.mul_(100)
    before = copy.deepcopy(network.state_dict())
    perturb(network, 0.1, 5)
    for node in network.graph.nodes:
        module = network.layer(node.name)
        if isinstance(module, nn.Conv2d | nn.Linear):
            old = before[f"layers.{node.name.replace('.', '_')}.weight"]
            added = (module.weight - old).detach()
            assert float(added.std() / old.std()) == pytest.approx(0.1, rel=0.15), node.name
            assert abs(float(added.mean() / old.std())) < 0.02


def test_noise_touches_no_normalisation_no_shift_and_no_running_statistic():
    network = trained(parse_network("resnet-14-4"))
    before = copy.deepcopy(network.state_dict())
    perturb(network, 0.5, 5)
    after = network.state_dict()
    touched = {name for name in before if not torch.equal(before[name], after[name])}
    expected = {
        f"layers.{n.name.replace('.', '_')}.weight"
        for n in network.graph.nodes
        if isinstance(network.layer(n.name), nn.Conv2d | nn.Linear)
    }
    assert touched == expected


def test_noise_depends_on_its_seed_alone(same_bits):
    outcomes = []
    for seed in (1, 1, 2):
        network = trained(parse_network("mlp-2-8"))
        torch.rand(seed)
        perturb(network, 0.1, seed)
        outcomes.append(network.state_dict())
    assert same_bits(outcomes[0], outcomes[1])
    assert not same_bits(outcomes[0], outcomes[2])


def test_a_layer_of_a_single_weight_has_no_deviation_and_gets_no_noise():
    network = trained(parse_network("mlp-2-1"))
    before = network.layer("block1.layer2.linear").weight.clone()
    perturb(network, 0.1, 0)
    assert torch.equal(before, network.layer("block1.layer2.linear").weight)


# Refusals.


@pytest.mark.parametrize(
    ("mother", "member"),
    [("resnet-8-4", "mlp-2-64"), ("wrn-10-1", "resnet-8-16"), ("vgg-11-4", "densenet-7-4")],
)
def test_another_family_is_refused(mother, member):
    with pytest.raises((PlanError, InvalidDesignError), match=f"{member} cannot be hatched from {mother}"):
        hatched(mother, member)


@pytest.mark.parametrize(
    ("mother", "member"),
    [
        ("resnet-8-5", "resnet-8-4"),
        ("resnet-14-4", "resnet-8-6"),
        ("resnet-8-4~b2l1:5x8", "resnet-14-8"),
        ("resnet-8-4~b2l1:3x40", "resnet-8-6"),
        ("mlp-3-4", "mlp-2-8"),
        ("mlp-2-8", "mlp-2-8~b1l1:1x7"),
        ("wrn-10-2", "wrn-16-1"),
        ("densenet-10-4", "densenet-7-8"),
        ("vgg-13-2", "vgg-11-4"),
        # As wide as the mother in every convolution, but not in the head.
        ("vgg-11-2", "vgg-11-1~b1l1:3x2,b2l1:3x4,b3l1:3x8,b3l2:3x8,b4l1:3x16,b4l2:3x16,b5l1:3x16,b5l2:3x16"),
    ],
)
def test_a_mother_that_is_larger_than_its_member_anywhere_is_refused(mother, member):
    with pytest.raises(PlanError, match="larger than its member") as refused:
        hatched(mother, member)
    assert mother in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("filters", [(6, 6, 3), (6, 6, 9, 5), (8, 7, 5)])
def test_a_new_fully_connected_layer_that_is_too_narrow_to_pass_everything_on_is_refused(filters):
    mother_spec = units(6, 6)
    assert is_contained(mother_spec, units(*filters))
    with pytest.raises(PlanError, match="units") as refused:
        hatch(trained(mother_spec), mother_spec, units(*filters), TASK, images_of(2), 0)
    assert "\n" not in str(refused.value)
    assert "larger" not in str(refused.value)


def test_the_hidden_layers_of_a_head_that_grow_deeper_are_identities_behind_their_rectifier():
    _, grown = hatched("vgg-11-2", "vgg-11-2~b6:2,b6l2:1x20")
    weight = grown.layer("hidden2").weight.detach()
    # The first 16 units are passed on; the other four copy some of them.
    assert torch.equal(weight[:16], torch.eye(16, dtype=torch.float64))
    assert torch.equal(weight.sum(1), torch.ones(20, dtype=torch.float64))
    assert not grown.layer("hidden2").bias.detach().any()


def test_a_new_hidden_layer_of_a_head_that_is_too_narrow_is_refused():
    with pytest.raises(PlanError, match="hidden2 has 15 units and must pass on the 16"):
        hatched("vgg-11-2", "vgg-11-2~b6:2,b6l2:1x15")


@pytest.mark.parametrize(
    ("members", "mother"),
    [
        # The layer that only one member has is narrower than the layers of both before it.
        (["mlp-2-512~b1l2:1x256", "mlp-3-512~b1l2:1x256,b1l3:1x128"], "mlp-2-512~b1l2:1x128"),
        (["vgg-11-4", "vgg-11-4~b3:4,b3l3:3x9,b6:2,b6l2:1x20"], "vgg-11-4~b3l2:3x9,b6l1:1x20"),
    ],
)
def test_members_that_taper_compute_what_their_narrower_mother_computes(members, mother):
    specs = [parse_network(name) for name in members]
    assert mother_of(specs) == parse_network(mother)
    for name in members:
        grown_from, grown = hatched(mother, name)
        assert max(differences(grown_from, grown, modes=[(False, 2), (False, 64)])) <= EXACT


def test_a_new_convolution_of_a_plain_network_that_is_too_narrow_is_refused():
    with pytest.raises(PlanError, match="block3.layer3.conv has 7 filters and must pass on the 8"):
        hatched("vgg-11-2", "vgg-16-2~b3l3:3x7")


def test_a_new_fully_connected_layer_as_wide_as_the_mothers_last_one_is_enough():
    mother_spec, member_spec = units(6, 4), units(20, 9, 4, 4, 17)
    mother = trained(mother_spec)
    member = hatch(mother, mother_spec, member_spec, TASK, images_of(2), 0)
    assert max(differences(mother, member)) <= EXACT


def test_shrinking_scales_weights_of_convolutions_and_linear_layers_before_the_noise_and_nothing_else():
    graph = lower(parse_network("resnet-8-4"), Task(channels=1, height=8, width=8, classes=10))
    whole, shrunk, noisy = (build_network(graph, 3) for _ in range(3))
    perturb(noisy, 0.2, 5)
    perturb(shrunk, 0.2, 5, shrink=0.6)
    before, after, plain = (dict(n.named_parameters()) for n in (whole, shrunk, noisy))
    for name, weight in before.items():
        module = whole.get_submodule(name.rpartition(".")[0])
        scaled = name.endswith("weight") and isinstance(module, torch.nn.Conv2d | torch.nn.Linear)
        factor = 0.6 if scaled else 1.0
        expected = factor * weight + (plain[name] - weight)
        torch.testing.assert_close(after[name], expected, rtol=1e-5, atol=1e-7)
