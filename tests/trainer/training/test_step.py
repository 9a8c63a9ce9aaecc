"""One step of SGD against arithmetic by hand, in whole batches and in parts."""

import copy
import math

import pytest
import torch
from torch import nn

from advisor.networks.architecture import lower, parse_network
from advisor.networks.layers import Task
from advisor.plans.dataset import Augmentation
from advisor.plans.execution import Execution
from trainer.data.batches import normalised
from trainer.data.preparation import Preparation
from trainer.networks.network import build_network
from trainer.training.optimizer import SGD
from trainer.training.step import (
    prepare_module,
    probabilities,
    ran_out_of_memory,
    training_step,
)
from trainer.training.workload import StepWorkload

TASK = Task(channels=1, height=8, width=8, classes=4)
ZERO, ONE = torch.zeros(1), torch.ones(1)


def batch_of(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return images, torch.randint(0, 4, (count,), generator=generator)


def step(network, images, labels, execution, rate=0.1, **settings):
    """One step without augmentation, on pixels between 0 and 1."""
    optimizer = SGD(network, settings.pop("momentum", 0.0), settings.pop("weight_decay", 0.0))
    optimizer.rate = rate
    return training_step(
        network.train(),
        optimizer,
        images,
        labels,
        preparation=Preparation(Augmentation.NONE, ZERO, ONE, execution.memory_format),
        seed=0,
        execution=execution,
        **settings,
    )


@pytest.fixture
def mlp():
    return build_network(lower(parse_network("mlp-2-8"), TASK), 1)


# By hand: two pixels, two classes, weights 1 0 / 0 2, shifts 0.


@pytest.fixture
def by_hand():
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        layer.bias.zero_()
    return nn.Sequential(nn.Flatten(), layer)


IMAGES = torch.tensor([[[[255, 0]]], [[[0, 255]]], [[[255, 255]]]], dtype=torch.uint8)
LABELS = torch.tensor([0, 0, 1])
# Pixels (1, 0), (0, 1), (1, 1) give logits (1, 0), (0, 2), (1, 2): the second answer is wrong.
SHARE_OF_CLASS_1 = [1 / (1 + math.e), 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-1))]


def test_the_loss_is_summed_and_wrong_answers_are_counted_over_the_batch(by_hand, plain):
    loss, wrong = step(by_hand, IMAGES, LABELS, plain)
    p = SHARE_OF_CLASS_1
    assert float(loss) == pytest.approx(-math.log(1 - p[0]) - math.log(1 - p[1]) - math.log(p[2]), rel=1e-6)
    assert int(wrong) == 1


def test_weights_move_against_the_mean_gradient(by_hand, plain):
    step(by_hand, IMAGES, LABELS, plain, rate=0.3)
    p = SHARE_OF_CLASS_1
    # d loss / d logit of class 1 is p − [label is 1], and the opposite for class 0.
    slopes = [p[0], p[1], p[2] - 1]
    pixels = [(1, 0), (0, 1), (1, 1)]
    gradient = [sum(s * x[i] for s, x in zip(slopes, pixels, strict=True)) / 3 for i in range(2)]
    expected = [[1 + 0.3 * gradient[0], 0.3 * gradient[1]], [-0.3 * gradient[0], 2 - 0.3 * gradient[1]]]
    assert by_hand[1].weight.tolist() == [pytest.approx(row, abs=1e-6) for row in expected]
    shift = 0.3 * sum(slopes) / 3
    assert by_hand[1].bias.tolist() == pytest.approx([shift, -shift], abs=1e-6)


def test_momentum_and_weight_decay_are_those_of_sgd():
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(2.0)
    optimizer = SGD(layer, 0.9, 0.5)
    optimizer.rate = 0.1
    expected, velocity = 2.0, 0.0
    for gradient in (1.0, -3.0, 0.5):
        layer.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        velocity = 0.9 * velocity + gradient + 0.5 * expected
        expected -= 0.1 * velocity
        assert float(layer.weight.detach()) == pytest.approx(expected, rel=1e-6)


def test_pixels_are_normalised_before_the_network_sees_them(plain):
    seen = []
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    network.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].clone()))
    training_step(
        network,
        SGD(network, 0.9, 0.0),
        IMAGES,
        LABELS,
        preparation=Preparation(
            Augmentation.NONE, torch.tensor([0.5]), torch.tensor([0.25]), plain.memory_format
        ),
        seed=0,
        execution=plain,
    )
    assert seen[0].flatten().tolist() == [2, -2, -2, 2, 2, 2]


# Phases.


def test_the_phases_are_reported_in_order(mlp, plain):
    phases = []
    step(mlp, *batch_of(8), plain, mark=phases.append)
    assert phases == ["data", "forward", "backward", "optimizer"]


def test_every_part_of_a_batch_has_its_forward_and_backward_phase(mlp, plain):
    phases = []
    step(mlp, *batch_of(8), plain, mark=phases.append, micro_batch=3)
    assert phases == ["data", *["forward", "backward"] * 3, "optimizer"]


# Parts of a batch.


@pytest.mark.parametrize(("count", "micro_batch"), [(64, 32), (64, 2), (33, 16), (127, 63), (10, 4), (7, 7)])
def test_gradients_of_parts_add_up_to_those_of_the_batch(mlp, plain, count, micro_batch):
    parted = copy.deepcopy(mlp)
    whole_loss, whole_wrong = step(mlp, *batch_of(count), plain, momentum=0.9)
    loss, wrong = step(parted, *batch_of(count), plain, momentum=0.9, micro_batch=micro_batch)
    assert float(loss) == pytest.approx(float(whole_loss), rel=1e-6)
    assert int(wrong) == int(whole_wrong)
    for a, b in zip(mlp.parameters(), parted.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("count", "micro_batch"), [(33, 16), (127, 63), (65, 32), (9, 4)])
def test_no_part_is_larger_than_asked_for_or_a_single_image(mlp, plain, count, micro_batch):
    sizes = []
    mlp.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    step(mlp, *batch_of(count), plain, micro_batch=micro_batch)
    assert sum(sizes) == count
    assert max(sizes) <= micro_batch
    assert min(sizes) >= 2


def test_a_vgg_whose_maps_are_single_pixels_trains_in_odd_parts(plain):
    network = build_network(lower(parse_network("vgg-11-2"), TASK), 0)
    loss, _ = step(network, *batch_of(33), plain, micro_batch=16)
    assert math.isfinite(float(loss))


# Arithmetic and memory format.


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_bfloat16_computes_in_bfloat16_and_keeps_weights_in_float32(memory_format):
    execution = Execution(device="cpu", processes=1, threads=1, dtype="bfloat16", memory_format=memory_format)
    network = prepare_module(build_network(lower(parse_network("resnet-8-4"), TASK), 0), execution)
    kinds = set()
    network.layer("block1.unit1.inner.conv").register_forward_hook(lambda _m, _i, out: kinds.add(out.dtype))
    before = network.layer("stem.conv").weight.clone()
    loss, _ = step(network, *batch_of(16), execution)
    assert kinds == {torch.bfloat16}
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert math.isfinite(float(loss))
    assert not torch.equal(before, network.layer("stem.conv").weight)


def test_channels_last_changes_the_layout_and_the_result_only_by_rounding(plain):
    execution = Execution(
        device="cpu", processes=1, threads=1, dtype="float32", memory_format="channels_last"
    )
    networks = [build_network(lower(parse_network("resnet-8-4"), TASK), 0) for _ in range(2)]
    prepare_module(networks[1], execution)
    assert (
        networks[1].layer("block2.unit1.inner.conv").weight.is_contiguous(memory_format=torch.channels_last)
    )
    losses = [
        float(step(network, *batch_of(16), how)[0])
        for network, how in zip(networks, (plain, execution), strict=True)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


# Probabilities.


@pytest.mark.parametrize("batch", [256, 7, 300, 1000])
def test_probabilities_are_the_softmax_of_every_image_alone(plain, batch):
    network = build_network(lower(parse_network("resnet-8-2"), TASK), 0).train()
    images, _ = batch_of(300)
    mean, deviation = torch.tensor([0.4]), torch.tensor([0.3])
    found = probabilities(network, images, mean, deviation, batch, plain)
    assert found.shape == (300, 4)
    assert not network.training
    for n in (0, 255, 256, 299):
        with torch.no_grad():
            logits = network(normalised(images[n : n + 1], mean, deviation, "contiguous"))[0].double()
        weights = [math.exp(z) for z in logits.tolist()]
        assert found[n].tolist() == pytest.approx([w / sum(weights) for w in weights], abs=1e-6)


def test_no_more_images_than_a_batch_are_looked_at_at_once(plain, mlp):
    sizes = []
    mlp.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    probabilities(mlp, batch_of(20)[0], ZERO, ONE, 8, plain)
    assert sizes == [8, 8, 4]


def test_asking_for_probabilities_changes_no_weight_and_no_statistic(plain, same_bits):
    network = build_network(lower(parse_network("resnet-8-2"), TASK), 0).train()
    before = copy.deepcopy(network.state_dict())
    probabilities(network, batch_of(20)[0], ZERO, ONE, 8, plain)
    assert same_bits(before, network.state_dict())


# Memory.


def test_an_allocation_that_cannot_be_had_is_recognised():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**55)
    assert ran_out_of_memory(error.value)
    assert ran_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not ran_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


# The workload that the profiler is handed.


@pytest.mark.parametrize("network", ["resnet-8-4", "mlp-2-8"])
def test_the_workload_trains_and_infers_on_images_of_its_task(plain, network):
    workload = StepWorkload(
        network=network, task=TASK, batch=16, augmentation=Augmentation.CROP_FLIP, execution=plain
    )
    prepared = workload.prepare()
    phases = []
    before = [p.clone() for p in prepared.module.parameters()]
    prepared.train_step(phases.append)
    assert phases == ["data", "forward", "backward", "optimizer"]
    # Its rate is zero, so that no loss can run away while the clock runs.
    assert all(torch.equal(a, b) for a, b in zip(before, prepared.module.parameters(), strict=True))
    assert prepared.example.shape == (16, 1, 8, 8)
    assert prepared.inference_step().shape == (16, 4)
