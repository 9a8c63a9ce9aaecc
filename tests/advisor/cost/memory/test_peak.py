"""Peak memory: by hand, byte for byte on real tensors, against fake ones, and what holds for any network."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from advisor.cost.memory.peak import (
    GraphMemory,
    Moment,
    graph_memory,
    inference_bytes,
    saved_bytes,
    training_bytes,
)
from advisor.networks.architecture import lower, parse_network
from advisor.networks.graph import GlobalAveragePool, GraphBuilder, Relu
from advisor.networks.layers import Task
from advisor.plans.dataset import Augmentation
from advisor.plans.execution import Execution
from profiler.simulation import (
    inference_peak,
    simulate_inference_bytes,
    simulate_training_bytes,
    training_peak,
)
from trainer.networks.network import build_network
from trainer.training.workload import StepWorkload

pytestmark = pytest.mark.usefixtures("one_thread")

DIGITS = Task(channels=1, height=8, width=8, classes=10)
FASHION = Task(channels=1, height=28, width=28, classes=10)
CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
# Images that are not square: the maps of a VGG are no single pixels where they are flattened.
WIDE = Task(channels=3, height=8, width=32, classes=7)

NAMES = ["resnet-14-8", "wrn-10-1", "densenet-10-6", "vgg-11-4", "mlp-2-32"]
DTYPES = ["float32", "bfloat16"]
# Bytes of an image of 8×8 and its label, stored and gathered, and of its place in the order.
DIGIT_DATA = 2 * (64 + 8) + 8


def workload(name, task, batch, dtype, memory_format="contiguous"):
    execution = Execution(device="cpu", processes=1, threads=1, dtype=dtype, memory_format=memory_format)
    return StepWorkload(
        network=name, task=task, batch=batch, augmentation=Augmentation.CROP_FLIP, execution=execution
    )


@pytest.fixture
def small_network():
    """Convolution of 18 weights, batch normalisation of 4, classifier of 9, on maps of 8×8."""
    build = GraphBuilder((1, 8, 8))
    out = build.add("relu", Relu(), build.norm("norm", build.conv("conv", "input", 2, 3)))
    build.linear("classifier", build.add("pool", GlobalAveragePool(), out), 3)
    return build.build()


def test_an_mlp_trains_at_its_peak_while_images_are_augmented_and_old_gradients_are_there():
    # Places of all pixels in images with a margin of one, and the pixels that are picked; row, column and
    # flip of the image, rows, and columns before and after they are moved.
    augmenting = 8 * 64 + 100 + 64 + 8 * (3 + 8 + 2 * 8)
    # 310 weights with momentum and gradient, mean and deviation of one channel.
    expected = 3 * 4 * 310 + 2 * 4 + 10 * (DIGIT_DATA + augmenting)
    assert training_bytes("mlp-1-4", DIGITS, 10, "float32") == expected
    assert training_bytes("mlp-1-4", DIGITS, 10, "bfloat16") == expected


def test_an_mlp_infers_with_its_weights_the_images_and_one_layer_by_hand():
    # Beside the images, hidden units and logits; with bfloat16 the first layer's copies of all it reads.
    assert inference_bytes("mlp-1-4", DIGITS, 10, "float32") == 4 * 310 + 10 * (4 * 64 + 4 * (4 + 10))
    copies = 2 * (64 * 4 + 4)
    assert inference_bytes("mlp-1-4", DIGITS, 10, "bfloat16") == 4 * 310 + copies + 10 * (4 + 2) * 64 + 10 * 8


def test_a_small_convolutional_network_trains_at_its_peak_in_the_gradient_of_the_rectifier(small_network):
    # Weights and momentum, running statistics and their count, mean and deviation of pixels.
    constant = 2 * 4 * 31 + (2 * 2 * 4 + 8) + 2 * 4
    # Loss sum and count, loss, mean and its gradient; kept statistics; gradients of the classifier.
    constant += (4 + 8) + 3 * 4 + 2 * 2 * 4 + 4 * 9
    # Images; outputs of convolution and rectifier; logits; gradients of both sides of the rectifier.
    image = DIGIT_DATA + 4 * 64 + 2 * 512 + 12 + 2 * 512
    assert graph_memory(small_network, "float32").training_bytes(50) == constant + 50 * image


def test_a_small_convolutional_network_infers_with_two_maps_at_once_by_hand(small_network):
    weights = 4 * 31 + (2 * 2 * 4 + 8)
    assert graph_memory(small_network, "float32").inference_bytes(50) == weights + 50 * (256 + 2 * 512)
    assert graph_memory(small_network, "bfloat16").inference_bytes(50) == weights + 50 * (256 + 2 * 256)


def test_a_layer_is_charged_for_what_it_is_first_to_keep_by_hand(small_network):
    kept = {"conv": 256, "norm": 512, "relu": 512, "pool": 0, "classifier": 8}
    assert saved_bytes(small_network, "float32") == kept
    # The convolution keeps a copy of the image in bfloat16.
    assert saved_bytes(small_network, "bfloat16") == {name: count // 2 for name, count in kept.items()}


def test_positions_of_maxima_take_eight_bytes_in_any_arithmetic():
    graph = lower(parse_network("vgg-11-4"), DIGITS)
    # Four channels of 4×4 after the first pooling; what it reads is kept by the rectifier already.
    assert saved_bytes(graph, "float32")["block1.pool"] == 8 * 4 * 16
    assert saved_bytes(graph, "bfloat16")["block1.pool"] == 8 * 4 * 16


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("task", "memory_format"),
    [(DIGITS, "contiguous"), (WIDE, "channels_last")],
    ids=["8x8 contiguous", "8x32 channels last"],
)
@pytest.mark.parametrize("name", [*NAMES, "vgg-11-4~b2l1:5x9", "vgg-11-4~b2:2,b6:3", "resnet-8-4~b1l1:5x6"])
def test_peaks_are_those_of_real_tensors_byte_for_byte(name, task, dtype, memory_format):
    found = graph_memory(lower(parse_network(name), task), dtype, memory_format)
    prepare = workload(name, task, 6, dtype, memory_format).prepare
    assert found.training_bytes(6) == training_peak(prepare())
    assert found.inference_bytes(6) == inference_peak(prepare())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("task", "batch"), [(FASHION, 2), (CIFAR10, 128)], ids=["2 of 28x28", "128 of 32x32"]
)
@pytest.mark.parametrize("name", NAMES)
def test_peaks_are_those_of_fake_tensors_within_two_hundredths(name, task, batch, dtype):
    step = workload(name, task, batch, dtype)
    training, inference = simulate_training_bytes(step), simulate_inference_bytes(step)
    assert training_bytes(name, task, batch, dtype) == pytest.approx(training, rel=0.02)
    assert inference_bytes(name, task, batch, dtype) == pytest.approx(inference, rel=0.02)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_what_layers_keep_is_what_torch_keeps_for_the_backward_pass(name, dtype):
    batch = 29  # not the size of any weight, since weights are recognised by their sizes
    graph = lower(parse_network(name), CIFAR10)
    network = build_network(graph, 0).train()
    weights = {t.untyped_storage().data_ptr() for t in (*network.parameters(), *network.buffers())}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        # Holding the storage keeps its address from being used again.
        if storage.data_ptr() not in weights and tensor.shape[:1] == (batch,):
            kept[storage.data_ptr()] = storage
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
        network(torch.randn(batch, 3, 32, 32))
    assert sum(storage.nbytes() for storage in kept.values()) == batch * sum(
        saved_bytes(graph, dtype).values()
    )


def test_the_peak_of_a_batch_is_the_largest_moment_of_that_batch():
    memory = GraphMemory(training=(Moment(10, 3), Moment(50, 1)), inference=(Moment(7, 2),))
    assert [memory.training_bytes(batch) for batch in (1, 20, 21)] == [51, 70, 73]
    assert memory.inference_bytes(5) == 17


def test_only_moments_that_decide_some_batch_are_kept(small_network):
    moments = graph_memory(small_network, "bfloat16").training
    assert all(
        not (other.constant >= moment.constant and other.image >= moment.image)
        for moment in moments
        for other in moments
        if other is not moment
    )


networks = st.sampled_from(NAMES)
tasks = st.builds(
    Task,
    channels=st.integers(1, 4),
    height=st.integers(8, 40),
    width=st.integers(8, 40),
    classes=st.integers(2, 100),
)


@given(networks, tasks, st.integers(1, 4096), st.integers(1, 4096), st.sampled_from(DTYPES))
def test_a_larger_batch_takes_more_memory(name, task, batch, more, dtype):
    for peak in (training_bytes, inference_bytes):
        assert 0 < peak(name, task, batch, dtype) < peak(name, task, batch + more, dtype)


@given(networks, tasks, st.integers(1, 4096), st.sampled_from(DTYPES))
def test_training_takes_more_than_inference_and_inference_more_than_the_weights(name, task, batch, dtype):
    graph = lower(parse_network(name), task)
    inference = inference_bytes(name, task, batch, dtype)
    assert 4 * graph.parameters < inference < training_bytes(name, task, batch, dtype)


@given(networks, tasks, st.integers(1, 4096), st.sampled_from(DTYPES))
def test_what_layers_keep_is_part_of_the_training_peak(name, task, batch, dtype):
    kept = saved_bytes(lower(parse_network(name), task), dtype)
    assert min(kept.values()) >= 0
    assert batch * sum(kept.values()) <= training_bytes(name, task, batch, dtype)


@given(networks, tasks, st.integers(1, 4096), st.sampled_from(DTYPES))
def test_more_classes_take_no_less_memory(name, task, batch, dtype):
    larger = dataclasses.replace(task, classes=2 * task.classes)
    for peak in (training_bytes, inference_bytes):
        assert peak(name, task, batch, dtype) <= peak(name, larger, batch, dtype)
