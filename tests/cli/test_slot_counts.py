"""Numbers of slots as a user writes them."""

import pytest
import torch

from cli.slot_counts import MOST_SLOTS, parse_slots


def test_numbers_are_read_once_each_and_rising():
    assert parse_slots("8, 1,2,8", None, None) == ((1, 2, 8), None)
    assert parse_slots(str(MOST_SLOTS), None, "cpu") == ((MOST_SLOTS,), "cpu")
    assert parse_slots(None, None, "cpu") == ((), "cpu")


@pytest.mark.parametrize("device", [None, "cuda"])
def test_gpus_are_slots_of_cuda(device):
    assert parse_slots(None, "1,8", device) == ((1, 8), "cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="only where no GPU can be measured")
def test_gpus_need_a_machine_with_one(advisor):
    refused = advisor("explain", "mlp-1-8", "--dataset", "digits", "--gpus", "8")
    assert refused.code == 2
    assert "torch finds no CUDA device here" in refused.error_line
