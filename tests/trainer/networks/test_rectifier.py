"""The rectifier against torch's own, bit by bit."""

import pytest
import torch
from torch import nn

from trainer.networks.rectifier import FROM_ELEMENTS, ReLU


def rectified(layer, numbers, gradient):
    """Output and gradient of the input of a layer that overwrites its input."""
    leaf = numbers.clone().requires_grad_()
    output = layer(leaf * 1)
    output.backward(gradient)
    return output.detach(), leaf.grad


def bits(tensor):
    return tensor.contiguous().view({2: torch.int16, 4: torch.int32}[tensor.element_size()])


def every_number():
    """All bfloat16 numbers except those that are not a number, sixteen times."""
    patterns = torch.arange(-(2**15), 2**15).repeat(FROM_ELEMENTS // 2**16)
    numbers = patterns.to(torch.int16).view(torch.bfloat16)
    # Zero below zero may keep its sign in torch's kernels.
    return torch.where(numbers.isnan() | (numbers == 0), torch.zeros_like(numbers), numbers)


def test_every_bfloat16_is_rectified_to_the_bits_of_torch():
    numbers = every_number()
    gradient = torch.randn(len(numbers)).bfloat16()
    found, expected = (rectified(r, numbers, gradient) for r in (ReLU(), nn.ReLU(inplace=True)))
    for own, wanted in zip(found, expected, strict=True):
        assert torch.equal(bits(own), bits(wanted))


def test_large_maps_keep_their_memory_format_and_their_storage():
    maps = torch.randn(64, 16, 32, 32).bfloat16().contiguous(memory_format=torch.channels_last)
    gradient = torch.randn_like(maps)
    output, slope = rectified(ReLU(), maps, gradient)
    wanted, expected = rectified(nn.ReLU(inplace=True), maps, gradient)
    for own, other in ((output, wanted), (slope, expected)):
        assert own.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(own, other)
    with torch.inference_mode():
        assert ReLU()(maps).data_ptr() == maps.data_ptr()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_small_maps_and_float32_are_left_to_torch(monkeypatch, dtype):
    monkeypatch.setattr("trainer.networks.rectifier._Rectified.apply", pytest.fail)
    size = FROM_ELEMENTS if dtype is torch.float32 else FROM_ELEMENTS - 1
    assert ReLU()(torch.full((size,), -1.0, dtype=dtype)).count_nonzero() == 0


def test_a_number_that_is_none_is_still_none_unless_it_has_a_sign():
    patterns = torch.tensor([0x7FC0, -1], dtype=torch.int16).repeat(FROM_ELEMENTS // 2)
    output = ReLU()(patterns.view(torch.bfloat16))
    assert output[0].isnan()
    assert output[1] == 0


def test_a_layer_that_may_not_overwrite_its_input_does_not():
    layer, numbers = ReLU(), torch.full((FROM_ELEMENTS,), -1.0, dtype=torch.bfloat16)
    layer.inplace = False
    assert layer(numbers).count_nonzero() == 0
    assert numbers.count_nonzero() == FROM_ELEMENTS


def test_layers_are_timed_and_counted_by_the_name_that_torch_gives_them():
    assert type(ReLU()).__name__ == "ReLU"
