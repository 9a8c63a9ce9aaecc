"""The cost predictor on synthetic machines, whose true times are a formula that it does not know."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.architecture import lower, parse_network
from advisor.cost import LEAST_MEASUREMENTS, CostPredictor, Workpiece
from advisor.layers import Task
from advisor.measurement import Fingerprint, Measurement

CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
MACHINE = Fingerprint(
    device="cpu",
    device_name="one",
    driver="",
    torch="2",
    threads=1,
    dtype="float32",
    memory_format="contiguous",
)
NAMES = [
    *(f"resnet-{d}-{w}" for d in (8, 14, 20, 32, 44) for w in (4, 6, 8, 12, 16, 24)),
    *(f"wrn-{d}-{w}" for d in (10, 16, 22) for w in (1, 2, 3)),
    *(f"densenet-{d}-{w}" for d in (7, 13, 22) for w in (4, 8, 12)),
    *(f"vgg-{d}-{w}" for d in (11, 13, 16) for w in (4, 8, 10, 16)),
]
BATCHES = (8, 32, 128)
NOISE = 0.02


@cache
def sizes(name):
    """MACs with a penalty on channels that are no multiple of 8, elements written, operations, weights."""
    graph = lower(parse_network(name), CIFAR10)
    macs = sum(node.macs * (1.0 if node.shape[0] % 8 == 0 else 1.3) for node in graph.nodes)
    return macs, sum(node.elements for node in graph.nodes), len(graph.nodes), graph.parameters


def truth(name, batch):
    """Forward, backward, optimizer, step and inference seconds, and peak bytes."""
    macs, elements, operations, parameters = sizes(name)
    forward = batch * macs / 3e10 + batch * elements / 2e9 + 2e-5 * operations + 1e-4
    backward = 2.1 * forward
    update = parameters / 1e9 + 1e-5 * operations
    step = forward + backward + update + 3e-6 * batch + 2e-4
    peak = 3e7 + 16 * parameters + 6 * batch * elements
    return forward, backward, update, step, 0.8 * forward, peak


def measured(name, batch, seed=0, processes=1, slowdown=1.0):
    noise = np.random.default_rng([seed, batch, *name.encode()])
    values = [value * slowdown * np.exp(noise.normal(0, NOISE)) for value in truth(name, batch)]
    return Measurement(
        network=name,
        task=CIFAR10,
        batch=batch,
        fingerprint=MACHINE,
        processes=processes,
        forward_seconds=values[0],
        backward_seconds=values[1],
        optimizer_seconds=values[2],
        step_seconds=values[3],
        step_iqr_seconds=0.0,
        inference_seconds=values[4],
        peak_bytes=round(values[5]),
        spent_seconds=1.0,
        measured_at="2026-01-01T00:00:00+00:00",
    )


def chosen(count, seed):
    generator = np.random.default_rng(seed)
    names = [NAMES[i] for i in generator.choice(len(NAMES), count, replace=False)]
    return [measured(name, int(generator.choice(BATCHES)), seed) for name in names]


@cache
def fitted(count, seed):
    measurements = chosen(count, seed)
    return CostPredictor(measurements, "cpu", "float32"), {m.network for m in measurements}


def held_out(count, seed):
    predictor, known = fitted(count, seed)
    for name in NAMES:
        if name not in known:
            for batch in (16, 64):
                yield predictor, name, batch


@pytest.mark.parametrize(
    ("count", "step_error", "worst"), [(8, 0.12, 0.5), (20, 0.05, 0.25), (40, 0.04, 0.2)]
)
def test_step_and_inference_times_of_other_designs_are_recovered(count, step_error, worst):
    steps, passes = [], []
    for predictor, name, batch in held_out(count, seed=1):
        _, _, _, step, inference, _ = truth(name, batch)
        steps.append(abs(predictor.step_seconds(name, CIFAR10, batch).mean / step - 1))
        passes.append(abs(predictor.inference_seconds(name, CIFAR10, batch).mean / inference - 1))
    assert np.mean(steps) < step_error
    assert np.mean(passes) < step_error * 1.5
    assert max(steps) < worst


@pytest.mark.parametrize("count", [8, 12, 25])
def test_intervals_hold_most_designs_that_were_not_measured(count):
    inside = [
        estimate.low <= true <= estimate.high
        for seed in range(4)
        for predictor, name, batch in held_out(count, seed)
        for estimate, true in [
            (predictor.step_seconds(name, CIFAR10, batch), truth(name, batch)[3]),
            (predictor.inference_seconds(name, CIFAR10, batch), truth(name, batch)[4]),
        ]
    ]
    assert np.mean(inside) >= 0.8


def test_intervals_are_not_so_wide_that_they_say_nothing():
    widths = [
        estimate.high / estimate.low
        for predictor, name, batch in held_out(25, 0)
        for estimate in [predictor.step_seconds(name, CIFAR10, batch)]
    ]
    assert np.median(widths) < 1.6


def test_memory_is_recovered_with_intervals_that_hold():
    inside, misses = [], []
    for predictor, name, batch in held_out(20, seed=2):
        estimate, true = predictor.training_peak_bytes(name, CIFAR10, batch), truth(name, batch)[5]
        inside.append(estimate.low <= true <= estimate.high)
        misses.append(abs(estimate.mean / true - 1))
    assert np.mean(inside) >= 0.8
    assert np.mean(misses) < 0.2


@pytest.mark.parametrize(
    ("count", "basis"),
    [
        (0, "nominal"),
        (1, "nominal"),
        (2, "few measurements"),
        (LEAST_MEASUREMENTS - 1, "few measurements"),
        (LEAST_MEASUREMENTS, "measurements"),
    ],
)
def test_the_basis_says_what_the_figures_rest_on(count, basis):
    predictor = CostPredictor(chosen(count, 0), "cpu", "float32")
    assert (predictor.basis, predictor.count) == (basis, count)


def test_measurements_without_a_memory_figure_still_teach_time():
    # Where the peak cannot be read it is None.
    unread = [replace(m, peak_bytes=None) for m in chosen(12, 0)]
    with_memory, without = fitted(12, 0)[0], CostPredictor(unread, "cpu", "float32")
    asked = ("resnet-20-16", CIFAR10, 32)
    assert without.step_seconds(*asked) == with_memory.step_seconds(*asked)
    assert without.training_peak_bytes(*asked).high / without.training_peak_bytes(*asked).low > 2


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_without_measurements_times_are_nominal_and_span_a_factor_of_ten_either_way(device):
    predictor = CostPredictor([], device, "float32")
    macs = lower(parse_network("resnet-20-16"), CIFAR10).macs
    rate = {"cpu": 3e10, "cuda": 3e12}[device]
    step = predictor.step_seconds("resnet-20-16", CIFAR10, 32)
    assert step.mean == pytest.approx(3 * 32 * macs / rate)
    assert step.high / step.mean == pytest.approx(10)
    assert step.mean / step.low == pytest.approx(10)
    assert predictor.inference_seconds("resnet-20-16", CIFAR10, 32).mean == pytest.approx(32 * macs / rate)


def test_few_measurements_give_a_factor_of_two_either_way():
    step = CostPredictor(chosen(4, 0), "cpu", "float32").step_seconds("resnet-20-16", CIFAR10, 32)
    assert step.high / step.mean == pytest.approx(2)
    assert step.mean / step.low == pytest.approx(2)


def test_few_measurements_are_within_their_wide_interval_for_most_designs():
    inside = []
    for seed in range(5):
        for predictor, name, batch in held_out(5, seed):
            estimate = predictor.step_seconds(name, CIFAR10, batch)
            inside.append(estimate.low <= truth(name, batch)[3] <= estimate.high)
    assert np.mean(inside) >= 0.8


DEGENERATE = {
    "one": [measured("resnet-20-16", 32)],
    "one design over and over": [measured("resnet-20-16", 32, seed) for seed in range(12)],
    "the very same measurement": [measured("resnet-20-16", 32)] * 12,
    "one design at three batches": [measured("resnet-20-16", b, s) for b in BATCHES for s in range(4)],
    "two designs": [measured(name, 32, s) for name in ("vgg-11-8", "mlp-1-4") for s in range(6)],
    "no time at all": [
        replace(
            measured(name, 32),
            forward_seconds=0.0,
            backward_seconds=0.0,
            optimizer_seconds=0.0,
            step_seconds=1e-9,
            inference_seconds=0.0,
        )
        for name in NAMES[:10]
    ],
    "phases longer than the step": [
        replace(measured(name, 32), step_seconds=truth(name, 32)[0]) for name in NAMES[:10]
    ],
    "one time for everything": [replace(measured(name, 32), step_seconds=0.1) for name in NAMES[:10]],
}


@pytest.mark.parametrize("measurements", DEGENERATE.values(), ids=DEGENERATE)
def test_poor_measurements_give_figures_all_the_same(measurements):
    predictor = CostPredictor(measurements, "cpu", "float32")
    for name in ("resnet-20-16", "densenet-40-12", "mlp-1-4"):
        for estimate in (
            predictor.step_seconds(name, CIFAR10, 64),
            predictor.inference_seconds(name, CIFAR10, 64),
            predictor.training_peak_bytes(name, CIFAR10, 64),
        ):
            assert 0 <= estimate.low <= estimate.mean <= estimate.high < float("inf")


@given(st.sampled_from(NAMES), st.integers(2, 2048), st.sampled_from([0, 3, 8, 20]))
@settings(max_examples=60)
def test_no_time_is_negative_and_every_interval_holds_its_mean(name, batch, count):
    predictor, _ = fitted(count, 0)
    for estimate in (
        predictor.step_seconds(name, CIFAR10, batch),
        predictor.inference_seconds(name, CIFAR10, batch),
        predictor.training_peak_bytes(name, CIFAR10, batch),
    ):
        assert 0 < estimate.low <= estimate.mean <= estimate.high


@pytest.mark.parametrize("count", [0, 5, 8, 20, 40])
def test_a_step_of_more_images_never_takes_less_time(count):
    predictor, _ = fitted(count, 3)
    for name in NAMES[::3]:
        times = [predictor.step_seconds(name, CIFAR10, b).mean for b in (2, 4, 8, 16, 32, 64, 128, 256, 512)]
        assert times == sorted(times)


def spread_of(predictor, name, batch):
    estimate = predictor.step_seconds(name, CIFAR10, batch)
    return estimate.high / estimate.low


def test_a_family_that_was_not_measured_has_wider_intervals():
    names = [name for name in NAMES if name.startswith("resnet")][::2]
    predictor = CostPredictor([measured(name, 32) for name in names], "cpu", "float32")
    known = np.median([spread_of(predictor, name, 32) for name in NAMES if name.startswith("resnet")])
    for other in ("densenet-40-12", "vgg-11-8", "wrn-16-4"):
        assert spread_of(predictor, other, 32) > known


def test_a_batch_far_above_the_measured_ones_has_a_wider_interval():
    predictor = CostPredictor([measured(name, b) for name in NAMES[::4] for b in (8, 16)], "cpu", "float32")
    for name in ("resnet-20-16", "vgg-13-8"):
        assert spread_of(predictor, name, 4096) > spread_of(predictor, name, 16)


def test_the_same_measurements_give_the_same_figures():
    measurements = chosen(15, 4)
    first, second = (CostPredictor(measurements, "cpu", "float32") for _ in range(2))
    for name in NAMES[::5]:
        assert first.step_seconds(name, CIFAR10, 64) == second.step_seconds(name, CIFAR10, 64)
        assert first.training_peak_bytes(name, CIFAR10, 64) == second.training_peak_bytes(name, CIFAR10, 64)


def test_measurements_among_several_processes_are_kept_out_of_the_fit():
    alone = chosen(12, 5)
    crowded = [measured(name, 32, processes=2, slowdown=3.0) for name in NAMES[:20]]
    plain, mixed = (CostPredictor(m, "cpu", "float32") for m in (alone, alone + crowded))
    assert mixed.count == 12
    for name in NAMES[::5]:
        assert mixed.step_seconds(name, CIFAR10, 64) == plain.step_seconds(name, CIFAR10, 64)
        assert mixed.inference_seconds(name, CIFAR10, 64) == plain.inference_seconds(name, CIFAR10, 64)
        assert mixed.training_peak_bytes(name, CIFAR10, 64) == plain.training_peak_bytes(name, CIFAR10, 64)


def side_by_side(ratios):
    """One design alone at 0.1 s and among so many processes at so many times of it."""
    alone = replace(measured("resnet-20-16", 32), step_seconds=0.1)
    return [alone, *(replace(alone, processes=n, step_seconds=0.1 * ratio) for n, ratio in ratios)]


def test_contention_is_the_median_ratio_to_the_same_step_alone():
    predictor = CostPredictor(side_by_side([(2, 1.3), (2, 1.2), (2, 9.0)]), "cpu", "float32")
    assert predictor.contention(2) == pytest.approx(1.3)


def test_contention_between_measured_numbers_grows_evenly():
    predictor = CostPredictor(side_by_side([(5, 1.8)]), "cpu", "float32")
    assert [predictor.contention(n) for n in range(1, 6)] == pytest.approx([1.0, 1.2, 1.4, 1.6, 1.8])
    assert predictor.contention(9) >= 1.8


def test_company_is_never_taken_to_speed_a_step_up():
    assert CostPredictor(side_by_side([(2, 0.9)]), "cpu", "float32").contention(2) == 1.0


def test_contention_without_a_measurement_is_a_small_slowdown():
    predictor = CostPredictor([], "cpu", "float32")
    assert predictor.contention(1) == 1.0
    assert 1.0 < predictor.contention(4) < 1.5
    # A crowded step of a design that was never measured alone says nothing.
    lonely = [m for m in side_by_side([(2, 3.0)]) if m.processes == 2]
    assert CostPredictor(lonely, "cpu", "float32").contention(2) == predictor.contention(2)


def test_spreads_are_those_of_the_step_intervals():
    predictor, _ = fitted(20, 0)
    pieces = [Workpiece.of(name, CIFAR10, 32) for name in NAMES[:4]]
    expected = [np.log(spread_of(predictor, name, 32)) / 2 / 1.6448536 for name in NAMES[:4]]
    assert predictor.spreads(pieces) == pytest.approx(expected, rel=1e-5)
