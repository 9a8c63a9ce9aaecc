"""Fitted peaks and how far to trust them, on synthetic machines whose peaks are drawn around a truth."""

from dataclasses import replace

import numpy as np
import pytest
from measured import EXECUTION as FLOAT32
from measured import MACHINE, measurement

from advisor.cost.memory.fit import LEAST_NETWORKS, MemoryFit
from advisor.cost.memory.peak import inference_bytes, training_bytes
from advisor.networks.layers import Task
from advisor.plans.execution import Execution

CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
CUDA = Execution(device="cuda", processes=1, threads=1, dtype="float32", memory_format="contiguous")
NAMES = [
    *(f"resnet-{d}-{w}" for d in (8, 14, 20) for w in (4, 8, 16)),
    *(f"wrn-{d}-{w}" for d in (10, 16) for w in (1, 2, 3)),
    *(f"densenet-{d}-{w}" for d in (7, 13) for w in (4, 8, 12)),
    *(f"vgg-{d}-{w}" for d in (11, 13) for w in (4, 8, 16)),
    *(f"mlp-{d}-{w}" for d in (1, 3) for w in (32, 128, 512)),
]
# Of the logarithm of a peak around its formula, on a synthetic machine: two tenths either way.
NOISE = 0.12


def measured(network, peak, batch=64, memory_format="contiguous", reserved=None):
    return measurement(
        network,
        CIFAR10,
        batch,
        fingerprint=replace(MACHINE, memory_format=memory_format),
        peak_bytes=round(peak),
        reserved_bytes=reserved,
    )


def computed(network, batch=64):
    return training_bytes(network, CIFAR10, batch, "float32")


def drawn(generator):
    """One machine: a peak by network, around 9 MB and 1.4 times the tensors, more where it convolves."""
    peaks = {}
    for name in NAMES:
        truth = 9e6 + 1.4 * computed(name) + (0.0 if name.startswith("mlp") else 5e6)
        peaks[name] = truth * np.exp(generator.normal(0, NOISE))
    return peaks


@pytest.mark.parametrize("count", [1, 3, 4, 5, 6, 8, 12, 20])
def test_intervals_hold_nine_tenths_of_unmeasured_peaks_however_few_are_measured(count):
    generator = np.random.default_rng(count)
    covered = []
    for _ in range(12):
        peaks = drawn(generator)
        known = generator.choice(NAMES, count, replace=False)
        fit = MemoryFit([measured(name, peaks[name]) for name in known], FLOAT32)
        for name in set(NAMES) - set(known):
            estimate = fit.training(name, CIFAR10, 64)
            covered.append(estimate.low <= peaks[name] <= estimate.high)
    assert np.mean(covered) >= 0.88


def test_intervals_narrow_as_networks_are_measured():
    peaks = drawn(np.random.default_rng(0))
    widths = []
    for count in (0, 8, 16, 30):
        estimate = MemoryFit([measured(n, peaks[n]) for n in NAMES[:count]], FLOAT32).training(
            NAMES[-1], CIFAR10, 64
        )
        widths.append(estimate.high / estimate.low)
    assert widths[0] == pytest.approx(1.5**2)
    assert widths[3] < widths[2] < widths[0]
    assert widths[3] < 1.8


def test_batches_of_one_network_do_not_count_as_networks():
    # Their peaks lie on a line of their own, far from the usual one.
    batches = [measured("mlp-3-512", 5 * computed("mlp-3-512", b), b) for b in (2, 4, 8, 16, 32, 64, 128)]
    few = [measured(name, 5 * computed(name)) for name in NAMES[: LEAST_NETWORKS - 2]]
    asked = ("resnet-20-8", CIFAR10, 64)
    assert MemoryFit([*batches, *few], FLOAT32).training(*asked) == MemoryFit([], FLOAT32).training(*asked)


def test_without_measurements_the_usual_peak_is_by_hand():
    name = "vgg-11-8"
    assert MemoryFit([], FLOAT32).training(name, CIFAR10, 64).mean == 1.5 * computed(name) + 8e6
    assert MemoryFit([], CUDA).training(name, CIFAR10, 64).mean == 1.2 * computed(name)


def test_a_few_small_networks_do_not_make_the_tensors_of_a_large_one_free():
    # All peaks are alike, as if nothing but libraries counted.
    small = [measured(name, 2e7, batch=2) for name in NAMES if name.startswith("mlp")]
    estimate = MemoryFit(small, FLOAT32).training("wrn-16-3", CIFAR10, 128)
    assert estimate.mean > 0.4 * computed("wrn-16-3", 128)
    assert MemoryFit(small, FLOAT32).inference("mlp-1-4", CIFAR10, 2).low > 0


def test_what_is_reserved_is_fitted_apart_from_what_is_used():
    both = [measured(n, 2 * computed(n), reserved=3 * computed(n)) for n in NAMES]
    fit = MemoryFit(both, CUDA)
    name = "resnet-14-8"
    assert fit.training(name, CIFAR10, 32).mean == pytest.approx(2 * computed(name, 32), rel=0.15)
    reserved = fit.reserved(name, CIFAR10, 32)
    assert reserved is not None
    assert reserved.mean == pytest.approx(3 * computed(name, 32), rel=0.15)
    assert MemoryFit([], CUDA).reserved(name, CIFAR10, 32) is None


def test_tensors_are_counted_in_the_memory_format_of_what_is_asked_and_of_what_was_measured():
    # Flattening an image of several channels copies it in channels last.
    last = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="channels_last")
    asked = ("mlp-1-16", CIFAR10, 128)
    for count in (training_bytes, inference_bytes):
        copied = count(*asked, "float32", "channels_last") - count(*asked, "float32", "contiguous")
        assert copied > 0
    assert inference_bytes(*asked, "float32", "channels_last") / inference_bytes(
        *asked, "float32"
    ) == pytest.approx(1.88, abs=0.01)
    assert MemoryFit([], last).training(*asked).mean > MemoryFit([], FLOAT32).training(*asked).mean
    # Peaks are twice what is computed in channels last: the factor is two, whatever is asked for then.
    names = [name for name in NAMES if name.startswith("mlp")]
    twice = [
        measured(n, 2 * training_bytes(n, CIFAR10, 8192, "float32", "channels_last"), 8192, "channels_last")
        for n in names
    ]
    for execution in (last, FLOAT32):
        expected = 2 * training_bytes(
            "mlp-3-64", CIFAR10, 8192, execution.dtype, memory_format=execution.memory_format
        )
        assert MemoryFit(twice, execution).training("mlp-3-64", CIFAR10, 8192).mean == pytest.approx(
            expected, rel=0.1
        )
