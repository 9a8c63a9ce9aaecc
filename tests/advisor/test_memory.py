"""Peak training memory: by hand, its growth, and the saved activations that torch really keeps."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from advisor.architecture import lower, parse_network
from advisor.features import features_of
from advisor.layers import Task
from advisor.memory import training_bytes
from trainer.network import build_network

DIGITS = Task(channels=1, height=8, width=8, classes=10)
CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
NAMES = ["resnet-14-8", "wrn-10-2", "densenet-10-6", "vgg-11-4", "mlp-2-32"]


def test_an_mlp_by_hand_in_float32():
    # 310 weights thrice; an image saves 4 units, has 2 gradients of the largest map (64) and itself (64).
    assert training_bytes(features_of("mlp-1-4", DIGITS), 10, "float32") == 4 * (
        3 * 310 + 10 * (4 + 128 + 64)
    )


def test_an_mlp_by_hand_in_bfloat16():
    # Activations take 2 bytes, the weights have a copy of 2 bytes, images stay float32.
    expected = (3 * 4 + 2) * 310 + 10 * (2 * (4 + 128) + 4 * 64)
    assert training_bytes(features_of("mlp-1-4", DIGITS), 10, "bfloat16") == expected


def test_positions_of_maxima_take_eight_bytes_in_any_arithmetic():
    found = features_of("vgg-11-4", DIGITS)
    maps = found.saved_elements + 2 * found.largest_elements
    assert training_bytes(found, 1, "float32") == 12 * found.parameters + 4 * maps + 8 * 112 + 4 * 64
    assert training_bytes(found, 1, "bfloat16") == 14 * found.parameters + 2 * maps + 8 * 112 + 4 * 64


@given(
    st.sampled_from(NAMES),
    st.integers(1, 4096),
    st.integers(1, 4096),
    st.sampled_from(["float32", "bfloat16"]),
)
def test_a_larger_batch_never_takes_less_memory(name, batch, more, dtype):
    found = features_of(name, CIFAR10)
    assert training_bytes(found, batch, dtype) < training_bytes(found, batch + more, dtype)


@pytest.mark.parametrize("task", [DIGITS, CIFAR10], ids=["8x8", "32x32"])
@pytest.mark.parametrize("name", NAMES)
def test_saved_activations_are_what_torch_keeps_for_the_backward_pass(name, task):
    batch = 32
    network = build_network(lower(parse_network(name), task), 0).train()
    images = torch.randn(batch, task.channels, task.height, task.width)
    others = {t.untyped_storage().data_ptr() for t in (*network.parameters(), *network.buffers(), images)}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in others:
            # Holding the storage keeps its address from being used again.
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = network(images)
    found = features_of(name, task)
    expected = batch * (4 * found.saved_elements + 8 * found.saved_positions)
    assert logits.shape == (batch, 10)
    assert sum(storage.nbytes() for storage in kept.values()) == pytest.approx(expected, rel=0.05)
