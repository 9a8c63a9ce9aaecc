"""The cost predictor on synthetic machines, whose true times are a formula that it does not know."""

import hashlib
import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured import EXECUTION, MACHINE, measurement

from advisor.cost.measurement import LayerTime, TrainedEpochs
from advisor.cost.memory.peak import training_bytes
from advisor.cost.predictor import LEAST_MEASUREMENTS, CostPredictor
from advisor.cost.step_cost import Workpiece, at_usual_speed
from advisor.networks.architecture import lower, parse_network
from advisor.networks.layers import Task

CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
NAMES = [
    *(f"resnet-{d}-{w}" for d in (8, 14, 20, 32, 44) for w in (4, 6, 8, 12, 16, 24)),
    *(f"wrn-{d}-{w}" for d in (10, 16, 22) for w in (1, 2, 3)),
    *(f"densenet-{d}-{w}" for d in (7, 13, 22) for w in (4, 8, 12)),
    *(f"vgg-{d}-{w}" for d in (11, 13, 16) for w in (4, 8, 10, 16)),
]
BATCHES = (8, 32, 128)
NOISE = 0.02


@cache
def layers_of(name, batch):
    """Seconds of every layer in a forward pass: MACs, with a penalty on channels that are no multiple of 8,
    elements written, and a launch."""
    nodes = lower(parse_network(name), CIFAR10).nodes
    macs = [node.macs * (1.0 if node.shape[0] % 8 == 0 else 1.3) for node in nodes]
    return {
        node.name: batch * m / 3e10 + batch * node.elements / 2e9 + 2e-5
        for node, m in zip(nodes, macs, strict=True)
    }


@cache
def truth(name, batch):
    """Forward, backward, optimizer, step and inference seconds, and peak bytes."""
    graph = lower(parse_network(name), CIFAR10)
    layers = sum(layers_of(name, batch).values())
    forward, backward = layers + 1e-4, 2.1 * layers + 2e-4
    update = graph.parameters / 1e9 + 1e-5 * len(graph.nodes)
    step = forward + backward + update + 3e-6 * batch + 2e-4
    peak = 3e7 + 1.1 * training_bytes(name, CIFAR10, batch, "float32")
    return forward, backward, update, step, 0.8 * layers, peak


def measured(name, batch, seed=0, processes=1, slowdown=1.0):
    noise = np.random.default_rng([seed, batch, *name.encode()])
    values = [value * slowdown * np.exp(noise.normal(0, NOISE)) for value in truth(name, batch)]
    layers = [
        LayerTime(name=n, forward_seconds=t, backward_seconds=2.1 * t, inference_seconds=0.8 * t)
        for n, t in layers_of(name, batch).items()
    ]
    loss = LayerTime(name="loss", forward_seconds=1e-4, backward_seconds=2e-4, inference_seconds=0.0)
    return measurement(
        name,
        CIFAR10,
        batch,
        processes=processes,
        forward_seconds=values[0],
        backward_seconds=values[1],
        optimizer_seconds=values[2],
        step_seconds=values[3],
        inference_seconds=values[4],
        layers=(*layers, loss),
        peak_bytes=round(values[5]),
    )


def chosen(count, seed):
    generator = np.random.default_rng(seed)
    names = [NAMES[i] for i in generator.choice(len(NAMES), count, replace=False)]
    return [measured(name, int(generator.choice(BATCHES)), seed) for name in names]


@cache
def fitted(count, seed):
    measurements = chosen(count, seed)
    return CostPredictor(measurements, EXECUTION), {m.network for m in measurements}


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
    inside, errors = [], []
    for predictor, name, batch in held_out(20, seed=2):
        estimate, true = predictor.training_peak_bytes(name, CIFAR10, batch), truth(name, batch)[5]
        inside.append(estimate.low <= true <= estimate.high)
        errors.append(abs(estimate.mean / true - 1))
    assert np.mean(inside) >= 0.8
    assert np.mean(errors) < 0.2


@pytest.mark.parametrize(
    ("count", "basis"),
    [
        (0, "nominal"),
        (1, "few measurements"),
        (2, "few measurements"),
        (LEAST_MEASUREMENTS - 1, "few measurements"),
        (LEAST_MEASUREMENTS, "measurements"),
    ],
)
def test_the_basis_says_what_the_figures_rest_on(count, basis):
    predictor = CostPredictor(chosen(count, 0), EXECUTION)
    assert (predictor.basis, predictor.count) == (basis, count)


def test_measurements_without_a_memory_figure_still_teach_time():
    # Where the peak cannot be read it is None.
    unread = [replace(m, peak_bytes=None) for m in chosen(12, 0)]
    with_memory, without = fitted(12, 0)[0], CostPredictor(unread, EXECUTION)
    asked = ("resnet-20-16", CIFAR10, 32)
    assert without.step_seconds(*asked) == with_memory.step_seconds(*asked)
    assert without.training_peak_bytes(*asked).high / without.training_peak_bytes(*asked).low > 2


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_without_measurements_times_are_nominal_and_span_a_factor_of_ten_either_way(device):
    predictor = CostPredictor([], replace(EXECUTION, device=device))
    macs = lower(parse_network("resnet-20-16"), CIFAR10).macs
    rate = {"cpu": 3e10, "cuda": 3e12}[device]
    step = predictor.step_seconds("resnet-20-16", CIFAR10, 32)
    assert step.mean == pytest.approx(3 * 32 * macs / rate)
    assert step.high / step.mean == pytest.approx(10)
    assert step.mean / step.low == pytest.approx(10)
    assert predictor.inference_seconds("resnet-20-16", CIFAR10, 32).mean == pytest.approx(32 * macs / rate)


def test_few_measurements_give_a_factor_of_two_either_way():
    step = CostPredictor(chosen(4, 0), EXECUTION).step_seconds("resnet-20-16", CIFAR10, 32)
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
    predictor = CostPredictor(measurements, EXECUTION)
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
    predictor = CostPredictor([measured(name, 32) for name in names], EXECUTION)
    known = np.median([spread_of(predictor, name, 32) for name in NAMES if name.startswith("resnet")])
    for other in ("densenet-40-12", "vgg-11-8", "wrn-16-4"):
        assert spread_of(predictor, other, 32) > known


def test_a_batch_far_above_the_measured_ones_has_a_wider_interval():
    predictor = CostPredictor([measured(name, b) for name in NAMES[::4] for b in (8, 16)], EXECUTION)
    for name in ("resnet-20-16", "vgg-13-8"):
        assert spread_of(predictor, name, 4096) > spread_of(predictor, name, 16)


def test_the_same_measurements_give_the_same_figures():
    measurements = chosen(15, 4)
    first, second = (CostPredictor(measurements, EXECUTION) for _ in range(2))
    for name in NAMES[::5]:
        assert first.step_seconds(name, CIFAR10, 64) == second.step_seconds(name, CIFAR10, 64)
        assert first.training_peak_bytes(name, CIFAR10, 64) == second.training_peak_bytes(name, CIFAR10, 64)


def test_measurements_among_several_processes_are_kept_out_of_the_fit():
    alone = chosen(12, 5)
    crowded = [measured(name, 32, processes=2, slowdown=3.0) for name in NAMES[:20]]
    plain, mixed = (CostPredictor(m, EXECUTION) for m in (alone, alone + crowded))
    assert mixed.count == 12
    for name in NAMES[::5]:
        assert mixed.step_seconds(name, CIFAR10, 64) == plain.step_seconds(name, CIFAR10, 64)
        assert mixed.inference_seconds(name, CIFAR10, 64) == plain.inference_seconds(name, CIFAR10, 64)
        assert mixed.training_peak_bytes(name, CIFAR10, 64) == plain.training_peak_bytes(name, CIFAR10, 64)


def side_by_side(ratios):
    """One design alone at 0.1 s and among so many processes at so many times of it."""
    alone = replace(measured("resnet-20-16", 32), step_seconds=0.1)
    crowded = replace(alone, reference_seconds=0.1)
    return [alone, *(replace(crowded, processes=n, step_seconds=0.1 * ratio) for n, ratio in ratios)]


def test_contention_is_the_median_ratio_to_the_same_step_alone_right_before():
    predictor = CostPredictor(side_by_side([(2, 1.3), (2, 1.2), (2, 9.0)]), EXECUTION)
    assert predictor.contention(2) == pytest.approx(1.3)


def test_contention_between_measured_numbers_grows_evenly():
    predictor = CostPredictor(side_by_side([(5, 1.8)]), EXECUTION)
    assert [predictor.contention(n) for n in range(1, 6)] == pytest.approx([1.0, 1.2, 1.4, 1.6, 1.8])
    assert predictor.contention(9) >= 1.8


def test_company_is_never_taken_to_speed_a_step_up():
    assert CostPredictor(side_by_side([(2, 0.9)]), EXECUTION).contention(2) == 1.0


def test_contention_without_a_measurement_is_a_small_slowdown():
    predictor = CostPredictor([], EXECUTION)
    assert predictor.contention(1) == 1.0
    assert 1.0 < predictor.contention(4) < 1.5
    # A crowded step that was not measured alone before says nothing.
    alone, crowded = side_by_side([(2, 3.0)])
    lonely = replace(crowded, reference_seconds=None)
    assert CostPredictor([alone, lonely], EXECUTION).contention(2) == predictor.contention(2)


# Layers, phases, epochs.


def test_layers_and_the_other_phases_add_up_to_the_step():
    predictor, _ = fitted(12, 0)
    for name in NAMES[::6]:
        layers = predictor.layer_seconds(name, CIFAR10, 32)
        phases = predictor.phase_seconds(name, CIFAR10, 32)
        assert [layer.name for layer in layers] == [*layers_of(name, 32), "loss"]
        assert sum(t.forward_seconds for t in layers) == pytest.approx(phases["forward"])
        assert sum(t.backward_seconds for t in layers) == pytest.approx(phases["backward"])
        assert sum(phases.values()) == pytest.approx(predictor.step_seconds(name, CIFAR10, 32).mean)
        inferred = predictor.inference_seconds(name, CIFAR10, 32).mean
        assert sum(t.inference_seconds for t in layers) == pytest.approx(inferred)


def test_an_epoch_is_its_steps_and_its_evaluation():
    predictor, _ = fitted(20, 0)
    name = "resnet-20-16"
    epoch = predictor.epoch_seconds(name, CIFAR10, 32, steps=100, evaluated=320)
    step, passes = (f(name, CIFAR10, 32) for f in (predictor.step_seconds, predictor.inference_seconds))
    assert epoch.mean == pytest.approx(100 * step.mean + 10 * passes.mean, rel=0.01)
    # That real epochs may differ from their steps makes the interval wider.
    assert epoch.high / epoch.low > step.high / step.low


def trained(name, slowdown):
    seconds = slowdown * (100 * truth(name, 32)[3] + 10 * truth(name, 32)[4])
    return TrainedEpochs(
        network=name,
        task=CIFAR10,
        batch=32,
        train_images=3200,
        validation_images=320,
        processes=1,
        epochs=5,
        seconds=seconds,
    )


def test_real_epochs_teach_what_epochs_take_and_leave_steps_alone():
    measurements = chosen(16, 1)
    lessons = [trained(name, 1.2) for name in ("resnet-14-8", "vgg-11-8", "wrn-10-1", "densenet-13-8")]
    before, after = CostPredictor(measurements, EXECUTION), CostPredictor(measurements, EXECUTION, lessons)
    asked = dict(steps=100, evaluated=320)
    ratio = [p.epoch_seconds("resnet-20-12", CIFAR10, 32, **asked) for p in (before, after)]
    assert 1.05 < ratio[1].mean / ratio[0].mean < 1.25
    steps = [p.step_seconds("resnet-20-12", CIFAR10, 32).mean for p in (before, after)]
    assert steps[1] / steps[0] == pytest.approx(1.0, abs=0.12)


def doubled(times, names):
    return {name: 2 * getattr(times, name) for name in names}


def slowed(m):
    """The same at half the machine's speed, which layers and the reference see as well."""
    passes = ("forward_seconds", "backward_seconds", "inference_seconds")
    whole = ("optimizer_seconds", "step_seconds", "step_iqr_seconds", "reference_seconds")
    layers = tuple(replace(layer, **doubled(layer, passes)) for layer in m.layers)
    return replace(m, layers=layers, **doubled(m, passes), **doubled(m, whole))


def at_reference(measurements):
    return [replace(m, reference_seconds=1e-3) for m in measurements]


def test_measurements_of_a_slow_minute_are_brought_to_the_usual_speed():
    # A third of them were taken in it.
    plain = at_reference(chosen(16, 2))
    mixed = [slowed(m) if i % 3 == 0 else m for i, m in enumerate(plain)]
    first, second = CostPredictor(plain, EXECUTION), CostPredictor(mixed, EXECUTION)
    for name in NAMES[::9]:
        assert first.step_seconds(name, CIFAR10, 32).mean == pytest.approx(
            second.step_seconds(name, CIFAR10, 32).mean, rel=1e-6
        )
        layers = [p.layer_seconds(name, CIFAR10, 32) for p in (first, second)]
        assert [t.backward_seconds for t in layers[0]] == pytest.approx(
            [t.backward_seconds for t in layers[1]], rel=1e-6
        )


def test_bringing_measurements_to_the_usual_speed_gives_them_back_and_changes_them_once():
    plain = at_reference(chosen(5, 2))
    brought = at_usual_speed([*plain[:3], *map(slowed, plain[3:])])
    assert brought == plain
    assert at_usual_speed(brought) == brought


def test_contention_is_distinguished_from_a_slow_minute():
    # The machine was at half its speed when the step was measured side by side, and alone right before.
    others = at_reference(measured(name, 32) for name in ("vgg-11-8", "wrn-10-1"))
    alone, crowded = side_by_side([(2, 1.4)])
    assert CostPredictor([*others, alone, slowed(crowded)], EXECUTION).contention(2) == pytest.approx(1.4)


# What was never measured.


def test_what_was_never_measured_is_named():
    predictor = CostPredictor([measured(n, b) for n in NAMES[:10] for b in (16, 32)], EXECUTION)
    digits = Task(channels=1, height=8, width=8, classes=10)
    assert predictor.unmeasured("resnet-20-16", CIFAR10, 24) == ()
    assert predictor.unmeasured("vgg-11-8", CIFAR10, 128) == ("family vgg", "batch 128")
    assert predictor.unmeasured("resnet-20-16", digits, 32) == ("images of 1x8x8",)


def test_measurements_in_another_arithmetic_are_transferred_at_the_measured_ratio_and_named():
    others = [measured(name, 32) for name in NAMES[::4]]
    half = replace(MACHINE, dtype="bfloat16")
    own = replace(others[3], fingerprint=half, step_seconds=others[3].step_seconds / 2)
    predictor = CostPredictor([*others, own], replace(EXECUTION, dtype="bfloat16"))
    full = CostPredictor(others, EXECUTION)
    asked = ("resnet-20-16", CIFAR10, 32)
    ratio = predictor.step_seconds(*asked).mean / full.step_seconds(*asked).mean
    assert ratio == pytest.approx(0.5, rel=0.1)
    assert predictor.unmeasured(*asked) == ("bfloat16",)
    assert predictor.basis == "few measurements"


def test_the_ratio_of_a_transfer_is_distinguished_from_a_slow_minute():
    others = at_reference(measured(name, 32) for name in NAMES[::4])
    other = replace(MACHINE, dtype="bfloat16")
    own = replace(others[3], fingerprint=other, step_seconds=others[3].step_seconds / 2)
    execution, asked = replace(EXECUTION, dtype="bfloat16"), ("resnet-20-16", CIFAR10, 32)
    quiet, busy = (CostPredictor([*others, m], execution).step_seconds(*asked) for m in (own, slowed(own)))
    assert busy.mean == pytest.approx(quiet.mean, rel=1e-6)


def test_measurements_in_another_memory_format_are_transferred_under_its_name():
    others = [measured(name, 32) for name in NAMES[::4]]
    predictor = CostPredictor(others, replace(EXECUTION, memory_format="channels_last"))
    assert predictor.unmeasured("resnet-20-16", CIFAR10, 32) == ("channels_last",)


def test_compiled_steps_take_the_measured_share_of_eager_ones():
    # Of 20 networks that were measured, one was also compiled, and took 0.7 times as long.
    eager = [measured(name, 32) for name in NAMES[:20]]
    compiled = replace(MACHINE, step_mode="compiled")
    own = replace(eager[3], fingerprint=compiled, step_seconds=0.7 * eager[3].step_seconds)
    in_halves = replace(eager[4], fingerprint=replace(MACHINE, dtype="bfloat16"))
    predictor = CostPredictor([*eager, own, in_halves], replace(EXECUTION, step_mode="compiled"))
    asked = ("resnet-20-16", CIFAR10, 32)
    ratio = predictor.step_seconds(*asked).mean / CostPredictor(eager, EXECUTION).step_seconds(*asked).mean
    assert ratio == pytest.approx(0.7, rel=0.1)
    assert predictor.unmeasured(*asked) == ("compiled",)


def test_eager_steps_take_nothing_from_measurements_of_another_mode():
    graphs = [replace(measured(n, 32), fingerprint=replace(MACHINE, step_mode="graph")) for n in NAMES[:20]]
    assert CostPredictor(graphs, EXECUTION).basis == "nominal"


def test_a_fingerprint_without_a_mode_of_its_own_has_the_digest_of_before():
    # Fields of the first release, and their hash.
    fields = {
        "device": "cpu", "device_name": "one", "driver": "", "torch": "2", "threads": 1, "cores": 0,
        "kernels": "", "dtype": "float32", "memory_format": "contiguous", "protocol": 1,
    }  # fmt: skip
    text = json.dumps(fields, sort_keys=True)
    assert MACHINE.digest == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert replace(MACHINE, step_mode="graph").digest != MACHINE.digest


OUT_OF_MEMORY = replace(
    measured("resnet-20-16", 64),
    fits=False,
    forward_seconds=0.0,
    backward_seconds=0.0,
    optimizer_seconds=0.0,
    step_seconds=0.0,
    inference_seconds=0.0,
    layers=(),
    peak_bytes=None,
)


def test_what_did_not_fit_is_no_time_and_is_known_not_to_fit():
    failed = OUT_OF_MEMORY
    alone = [measured(name, 32) for name in NAMES[::4]]
    predictor = CostPredictor([*alone, failed], EXECUTION)
    assert predictor.count == len(alone)
    assert predictor.step_seconds("vgg-11-8", CIFAR10, 64) == CostPredictor(alone, EXECUTION).step_seconds(
        "vgg-11-8", CIFAR10, 64
    )
    fits = [predictor.fits("resnet-20-16", CIFAR10, batch) for batch in (32, 64, 128)]
    assert fits == [True, False, False]


@pytest.mark.parametrize(
    ("changed", "fits"),
    [
        ({}, True),
        ({"batch": 128}, True),
        ({"batch": 32}, False),
        ({"measured_at": "2025-12-31T00:00:00+00:00"}, False),
        ({"measured_at": OUT_OF_MEMORY.measured_at}, False),
        ({"network": "resnet-20-8"}, False),
        ({"fits": False}, False),
        ({"fingerprint": replace(MACHINE, dtype="bfloat16")}, False),
    ],
)
def test_what_did_not_fit_once_is_forgiven_where_as_much_fitted_later_under_the_same_settings(changed, fits):
    later = replace(measured("resnet-20-16", 64), measured_at="2026-01-02T00:00:00+00:00")
    for order in ([OUT_OF_MEMORY, replace(later, **changed)], [replace(later, **changed), OUT_OF_MEMORY]):
        assert CostPredictor(order, EXECUTION).fits("resnet-20-16", CIFAR10, 64) is fits


def test_a_discrepancy_beside_other_networks_is_not_refuted_by_the_network_alone():
    later = replace(measured("resnet-20-16", 64), measured_at="2026-01-02T00:00:00+00:00")
    crowded = replace(OUT_OF_MEMORY, processes=2)
    assert not CostPredictor([crowded, later], EXECUTION).fits("resnet-20-16", CIFAR10, 64)
    assert CostPredictor([OUT_OF_MEMORY, replace(later, processes=2)], EXECUTION).fits(
        "resnet-20-16", CIFAR10, 64
    )


def test_measuring_a_design_teaches_most_about_itself_and_something_about_its_family():
    predictor, _ = fitted(12, 0)
    wanted = [Workpiece("resnet-32-12", CIFAR10, 64)]
    options = [Workpiece(name, CIFAR10, 64) for name in ("resnet-32-12", "resnet-32-16", "vgg-16-4")]
    itself, sibling, stranger = predictor.expected_reductions(options, wanted)
    assert itself > sibling > stranger >= 0
