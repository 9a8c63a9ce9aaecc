"""Simulation: storages counted by hand, fake tensors against real ones, and a loud end if torch changes."""

from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from advisor.plans.dataset import Augmentation
from profiler import simulation
from profiler.simulation import (
    StorageCount,
    inference_peak,
    simulate_inference_bytes,
    simulate_training_bytes,
    training_peak,
)


class TwoLayers:
    """64 images of 10 values, through 20 hidden units to 5 outputs, and SGD with momentum."""

    def __init__(self):
        self.module = nn.Sequential(nn.Linear(10, 20), nn.ReLU(inplace=True), nn.Linear(20, 5))
        self.example = torch.randn(64, 10)
        self._optimizer = torch.optim.SGD(self.module.parameters(), lr=0.1, momentum=0.9, fused=True)

    def train_step(self, mark):
        loss = self.module(self.example).sum()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()

    def eager_step(self, mark):
        self.train_step(mark)

    def inference_step(self):
        with torch.inference_mode():
            return self.module(self.example)


@dataclass
class TwoLayersLater:
    built: list[TwoLayers] = field(default_factory=list)

    def prepare(self):
        self.built.append(TwoLayers())
        return self.built[-1]


WEIGHTS = 4 * (11 * 20 + 21 * 5)


def test_a_storage_counts_once_until_it_is_freed():
    with StorageCount() as count:
        ones = torch.ones(100)
        part = ones[:50]
        assert count.alive == 400
        del ones
        assert count.alive == 400
        del part
        assert count.alive == 0
    assert count.peak == 400


def test_a_tensor_from_before_counts_from_where_it_is_first_read():
    before = torch.ones(100)
    with StorageCount() as count:
        torch.zeros(10)
        assert count.peak == 40
        doubled = 2 * before
    assert count.alive == doubled.nbytes + before.nbytes == 800


def test_operations_made_of_others_are_counted_in_parts_without_gradients():
    maps = torch.ones(1, 1, 8, 8)
    with torch.inference_mode(), StorageCount() as count:
        torch.nn.functional.max_pool2d(maps, 2)
    # Beside the maps and maxima, the positions that are thrown away.
    assert count.peak == 4 * 64 + 4 * 16 + 8 * 16


def test_inference_of_two_layers_by_hand():
    expected = WEIGHTS + 4 * 64 * (10 + 20 + 5)
    assert simulate_inference_bytes(TwoLayersLater()) == expected
    assert inference_peak(TwoLayers()) == expected


def test_training_of_two_layers_by_hand():
    # In the gradient of the rectifier: weights and momentum, gradients of the second layer; images, hidden
    # units, gradients of both sides of the rectifier; the sum and what its gradient begins with.
    expected = 2 * WEIGHTS + 4 * 21 * 5 + 4 * 64 * (10 + 20 + 20 + 20) + 2 * 4
    assert simulate_training_bytes(TwoLayersLater()) == expected
    assert training_peak(TwoLayers()) == expected


def test_torchs_own_tracker_counts_the_same_on_real_tensors():
    mem_tracker = pytest.importorskip("torch.distributed._tools.mem_tracker")
    layers = TwoLayers()
    tracker = mem_tracker.MemTracker()
    tracker.track_external(layers.module, layers._optimizer, layers.example)
    with tracker:
        layers.train_step(None)
        tracker.reset_mod_stats()
        layers.train_step(None)
    (peak,) = tracker.get_tracker_snapshot("peak").values()
    assert simulate_training_bytes(TwoLayersLater()) == peak["Total"]


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
@pytest.mark.parametrize(
    "network", ["resnet-8-4", "densenet-7-4", "vgg-11-2", "vgg-11-2~b2:2,b6:3,b6l2:1x40"]
)
def test_fake_tensors_take_the_bytes_of_real_ones(workload, execution, network, memory_format):
    settings = type(execution)(
        device="cpu", processes=1, threads=1, dtype="float32", memory_format=memory_format
    )
    step = workload(network, augmentation=Augmentation.CROP_FLIP, execution=settings)
    assert simulate_training_bytes(step) == training_peak(step.prepare())
    assert simulate_inference_bytes(step) == inference_peak(step.prepare())


def test_two_steps_are_the_same_again(workload):
    step = workload("mlp-1-4")
    assert simulate_training_bytes(step) == simulate_training_bytes(step)


def test_a_step_that_fills_a_machine_is_simulated_without_its_memory(workload):
    assert simulate_training_bytes(workload("wrn-10-4", batch=2**14)) > 8 * 2**30


def test_what_was_prepared_stays_real_and_is_not_trained():
    later = TwoLayersLater()
    before = torch.random.get_rng_state()
    simulate_training_bytes(later)
    torch.random.set_rng_state(before)
    (used,) = later.built
    for parameter, expected in zip(used.module.parameters(), TwoLayers().module.parameters(), strict=True):
        assert not isinstance(parameter, FakeTensor)
        assert parameter.grad is None
        assert torch.equal(parameter, expected)


def test_a_copy_that_is_not_fake_ends_with_an_error(monkeypatch):
    monkeypatch.setattr(simulation, "FakeCopyMode", lambda mode: nullcontext())
    with pytest.raises(RuntimeError, match="fake"):
        simulate_training_bytes(TwoLayersLater())
