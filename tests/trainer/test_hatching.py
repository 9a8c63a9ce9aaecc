"""Growth is exact in float64, in eval mode and in train mode, for random mothers and members.

Train mode needs 8 values a channel in every normalisation: a batch of 2 on 8×8 images has 2·2×2 in the
third stage of a ResNet.
"""

import copy

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from advisor.architecture import NetworkSpec, Task, lower, parse_network, regular_network
from advisor.errors import PlanError
from advisor.layers import Layer
from advisor.mothernet import mother_of
from trainer import hatching
from trainer.hatching import ChannelMap, hatch, hatch_difference, perturb
from trainer.network import build_network

TASK = Task(channels=2, height=8, width=8, classes=5)
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


def differences(mother, member):
    """max |logits(member) − logits(mother)| in eval mode and in train mode at batches of 2 and 64."""
    found = []
    for training, count in [(False, 2), (False, 64), (True, 2), (True, 64)]:
        images = images_of(count)
        # Copies, since a pass in train mode moves the running statistics.
        outputs = [copy.deepcopy(network).train(training)(images) for network in (mother, member)]
        found.append(float((outputs[0] - outputs[1]).detach().abs().max()))
    return found


def hatched(mother_name, member_name, seed=0):
    mother_spec, member_spec = parse_network(mother_name), parse_network(member_name)
    mother = trained(mother_spec, seed)
    return mother, hatch(mother, mother_spec, member_spec, TASK, seed)


# Random mothers and members.


@st.composite
def residual(draw):
    spec = regular_network("resnet", draw(st.sampled_from([8, 14, 20])), draw(st.integers(1, 4)))
    blocks = [list(block) for block in spec.blocks]
    for _ in range(draw(st.integers(0, 4))):
        b = draw(st.integers(0, 2))
        i = draw(st.integers(0, len(blocks[b]) - 1))
        filters = blocks[b][i].filters if i % 2 else draw(st.integers(1, 9))
        blocks[b][i] = Layer(draw(st.sampled_from([1, 3, 5])), filters)
    return NetworkSpec(family="resnet", width=spec.width, blocks=tuple(tuple(b) for b in blocks))


def units(*filters):
    """Fully connected network of the given layers."""
    return NetworkSpec(family="mlp", width=filters[0], blocks=(tuple(Layer(1, f) for f in filters),))


fully_connected = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(lambda f: units(*f))


@settings(max_examples=40)
@given(
    members=st.one_of(
        st.lists(residual(), min_size=1, max_size=3), st.lists(fully_connected, min_size=1, max_size=3)
    ),
    seed=st.integers(0, 2**32),
)
def test_every_member_computes_what_its_mother_computes(members, seed):
    mother_spec = mother_of(members)
    mother = trained(mother_spec, seed % 1000)
    before = copy.deepcopy(mother.state_dict())
    for member_spec in members:
        last = mother_spec.blocks[0][-1].filters
        new = member_spec.blocks[0][len(mother_spec.blocks[0]) :]
        assume(member_spec.family != "mlp" or all(layer.filters >= last for layer in new))
        member = hatch(mother, mother_spec, member_spec, TASK, seed)
        assert member.graph == lower(member_spec, TASK)
        assert max(differences(mother, member)) <= EXACT
        assert hatch_difference(mother, member, images_of(8).float()) <= EXACT
    after = mother.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("mother", "member"),
    [
        ("resnet-8-4", "resnet-8-4"),
        ("resnet-8-4", "resnet-8-7"),
        ("resnet-8-4", "resnet-20-4"),
        ("resnet-8-4", "resnet-8-4~b1l1:5x4,b2l1:7x8,b3l2:5x16"),
        ("resnet-8-4", "resnet-8-4~b2l1:3x11"),
        ("resnet-8-4~b1l1:1x3,b2l1:1x8", "resnet-26-9~b1l1:5x20,b2l1:5x19,b3l1:5x37"),
        ("mlp-2-6", "mlp-2-15"),
        ("mlp-2-6", "mlp-5-6"),
        ("mlp-2-6", "mlp-5-13~b1l4:1x30"),
    ],
)
def test_each_kind_of_growth_is_exact_alone_and_together(mother, member):
    grown_from, grown = hatched(mother, member)
    assert max(differences(grown_from, grown)) <= EXACT
    # The comparison says something: logits of different images differ.
    assert float(grown_from.eval()(images_of(64)).detach().std(0).min()) > 1e-3


@pytest.mark.parametrize("side", [9, 12])
def test_growth_is_exact_on_images_with_odd_maps(side):
    task = Task(channels=3, height=side, width=side + 5, classes=4)
    specs = parse_network("resnet-8-3"), parse_network("resnet-14-5~b2l1:5x12")
    mother = trained(specs[0], task=task)
    member = hatch(mother, *specs, task, 3)
    assert hatch_difference(mother, member, images_of(4, task=task)) <= EXACT


def test_a_float32_mother_is_grown_within_the_rounding_of_its_shares():
    specs = parse_network("resnet-8-4"), parse_network("resnet-14-6")
    mother = trained(specs[0]).float()
    member = hatch(mother, *specs, TASK, 0)
    assert {p.dtype for p in member.parameters()} == {torch.float32}
    assert 0 < hatch_difference(mother, member, images_of(16)) < 1e-4


def test_hatching_depends_on_its_seed_alone(same_bits):
    members = [hatched("resnet-8-4", "resnet-14-7", seed)[1].state_dict() for seed in (3, 3)]
    assert same_bits(*members)
    mother = trained(parse_network("mlp-1-4"))
    specs = parse_network("mlp-1-4"), parse_network("mlp-1-16")
    others = [hatch(mother, *specs, TASK, seed).state_dict() for seed in (1, 2)]
    assert not same_bits(*others)


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


# Copies of one channel.


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_the_shares_of_all_copies_of_a_channel_add_up_to_1_and_are_positive(source):
    shares = ChannelMap.of_sources(torch.tensor(source)).share
    for donor in set(source):
        mine = shares[torch.tensor(source) == donor]
        assert float(mine.sum()) == pytest.approx(1, abs=1e-15)
        assert float(mine.min()) > 0


def test_three_copies_take_70_percent_then_70_percent_of_the_rest_then_what_remains():
    shares = ChannelMap.of_sources(torch.tensor([1, 0, 1, 1])).share
    assert shares.tolist() == pytest.approx([0.7, 1, 0.21, 0.09])


def distance_of_twins_after_training(steps=30):
    """Grow one hidden unit into twins, train without noise, and compare what they read."""
    mother, member = hatched("mlp-1-1", "mlp-1-2")
    with torch.no_grad():
        # The unit must be awake on some images.
        member.layer("block1.layer1.linear").bias.fill_(1.0)
    hidden = member.layer("block1.layer1.linear")
    assert torch.equal(hidden.weight[0], hidden.weight[1])
    optimizer = torch.optim.SGD(member.parameters(), lr=0.05, momentum=0.9)
    images, labels = images_of(64), torch.randint(0, 5, (64,), generator=torch.Generator().manual_seed(0))
    for _ in range(steps):
        optimizer.zero_grad()
        functional.cross_entropy(member(images), labels).backward()
        optimizer.step()
    return float((hidden.weight[0] - hidden.weight[1]).detach().abs().max())


def test_twins_with_unequal_shares_separate_in_training_without_any_noise():
    assert distance_of_twins_after_training() > 1e-3


def test_twins_with_equal_shares_would_never_separate(monkeypatch):
    monkeypatch.setattr(hatching, "TWIN_SHARE", 0.5)
    assert distance_of_twins_after_training() < 1e-12


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
    [
        ("resnet-8-4", "mlp-2-64"),
        ("densenet-7-4", "densenet-10-4"),
        ("vgg-11-4", "vgg-13-4"),
        ("wrn-10-1", "wrn-10-2"),
    ],
)
def test_other_families_are_refused(mother, member):
    with pytest.raises(PlanError, match=f"{member} cannot be hatched from {mother}"):
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
    assert mother_of([mother_spec, units(*filters)]) == mother_spec
    with pytest.raises(PlanError, match="units") as refused:
        hatch(trained(mother_spec), mother_spec, units(*filters), TASK, 0)
    assert "\n" not in str(refused.value)
    assert "larger" not in str(refused.value)


def test_a_new_fully_connected_layer_as_wide_as_the_mothers_last_one_is_enough():
    mother_spec, member_spec = units(6, 4), units(20, 9, 4, 4, 17)
    mother = trained(mother_spec)
    assert max(differences(mother, hatch(mother, mother_spec, member_spec, TASK, 0))) <= EXACT
