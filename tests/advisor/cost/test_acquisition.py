"""What to measure next: never twice, families in turn, then where the least is known."""

from dataclasses import replace

import numpy as np
import pytest
from measured import EXECUTION, measurement

from advisor.cost.acquisition import (
    BATCHES,
    NETWORKS_PER_FAMILY,
    STEP_SECONDS,
    Room,
    Wanted,
    measurement_pool,
    measurement_seconds,
    next_measurement,
    smaller_networks,
)
from advisor.cost.measurement import LayerTime
from advisor.cost.predictor import CostPredictor
from advisor.cost.step_cost import Workpiece
from advisor.designs.space import enumerate_candidates
from advisor.networks.architecture import lower, parse_network
from advisor.networks.layers import Task

CIFAR10 = Task(channels=3, height=32, width=32, classes=10)
FAMILIES = ["resnet", "vgg", "wrn"]
CANDIDATES = enumerate_candidates(200_000, FAMILIES, CIFAR10)


def measured(wanted, processes=1, task=CIFAR10):
    nodes = lower(parse_network(wanted.network), task).nodes
    shares = {node.name: wanted.batch * node.macs / 2e10 + 1e-3 / len(nodes) for node in nodes}
    forward = sum(shares.values())
    return measurement(
        wanted.network,
        task,
        wanted.batch,
        processes=processes,
        forward_seconds=forward,
        backward_seconds=2 * forward,
        optimizer_seconds=1e-4,
        step_seconds=3 * forward + 1e-3,
        inference_seconds=forward,
        layers=tuple(
            LayerTime(name=name, forward_seconds=s, backward_seconds=2 * s, inference_seconds=s)
            for name, s in shares.items()
        ),
    )


def family(wanted):
    return wanted.network.split("-")[0]


def predictor_of(measurements):
    return CostPredictor(measurements, EXECUTION)


def measured_in_order(rounds, batch=128, start=()):
    """Measure what is proposed, so many times, refitting as the program does."""
    measurements, proposed = list(start), []
    for _ in range(rounds):
        predictor = predictor_of(measurements)
        pool = measurement_pool(CANDIDATES, CIFAR10, batch, predictor)
        wanted = next_measurement(pool, measurements, CIFAR10, predictor, batch=128)
        if wanted is None:
            break
        proposed.append(wanted)
        measurements.append(measured(wanted))
    return proposed


@pytest.mark.parametrize("batch", [2, 3, 20, 128, 4096])
def test_the_pool_stays_within_the_batch_and_what_a_step_may_take(batch):
    predictor = predictor_of([])
    pool = measurement_pool(CANDIDATES, CIFAR10, batch, predictor)
    for wanted in pool:
        step = predictor.step_seconds(wanted.network, CIFAR10, wanted.batch).mean
        assert 2 <= wanted.batch <= batch
        assert step <= STEP_SECONDS["cpu"] or wanted.batch == 2
        # The next larger batch would be above the request or too slow.
        larger = [b for b in BATCHES if wanted.batch < b <= batch]
        slower = [predictor.step_seconds(wanted.network, CIFAR10, b).mean for b in larger]
        assert all(seconds > STEP_SECONDS["cpu"] for seconds in slower)


def test_the_pool_spreads_over_families_and_sizes():
    pool = measurement_pool(CANDIDATES, CIFAR10, 64, predictor_of([]))
    assert {family(w) for w in pool} == set(FAMILIES)
    for name in FAMILIES:
        own = [w.network for w in pool if family(w) == name]
        assert len(own) == len(set(own)) <= NETWORKS_PER_FAMILY
        macs = {f"{c.family}-{c.depth}-{c.width}": c.macs / c.members for c in CANDIDATES if c.family == name}
        assert {min(macs, key=macs.get), max(macs, key=macs.get)} <= set(own)
        assert [macs[n] for n in own] == sorted(macs[n] for n in own)


def test_first_measurements_take_families_in_turn():
    first = measured_in_order(6)
    assert sorted(family(w) for w in first[:3]) == FAMILIES
    assert sorted(family(w) for w in first[3:]) == FAMILIES


def test_first_measurements_of_a_family_differ_much_in_size():
    chosen = [w for w in measured_in_order(9) if family(w) == "resnet"][:2]
    sizes = [lower(parse_network(w.network), CIFAR10).macs for w in chosen]
    assert sizes[1] > 4 * sizes[0]


@pytest.mark.slow
def test_nothing_is_proposed_twice():
    proposed = measured_in_order(25)
    assert len(proposed) == len(set(proposed)) == 25


def test_a_measurement_among_several_processes_or_of_another_task_does_not_count():
    predictor = predictor_of([])
    pool = [Wanted("resnet-8-4", 32)]
    other = replace(CIFAR10, classes=100)
    crowded = [measured(pool[0], processes=2), measured(pool[0], task=other)]
    assert next_measurement(pool, crowded, CIFAR10, predictor, batch=128) == pool[0]


def test_with_enough_measurements_the_most_instructive_a_second_is_next():
    measurements = [measured(w) for w in measured_in_order(10)]
    predictor = predictor_of(measurements)
    assert predictor.basis == "measurements"
    pool = measurement_pool(CANDIDATES, CIFAR10, 128, predictor)
    wanted = next_measurement(pool, measurements, CIFAR10, predictor, batch=128)
    done = {(m.network, m.batch) for m in measurements}
    left = [w for w in pool if (w.network, w.batch) not in done]
    goals = [Workpiece(w.network, CIFAR10, 128) for w in pool]

    def worth(w):
        gain = predictor.expected_reductions([Workpiece(w.network, CIFAR10, w.batch)], goals)[0]
        return gain / measurement_seconds(w, CIFAR10, predictor)

    assert worth(wanted) == pytest.approx(max(worth(w) for w in left))


def test_what_would_take_longer_than_the_time_left_is_not_proposed():
    predictor = predictor_of([measured(w) for w in measured_in_order(10)])
    pool = [Wanted("resnet-8-4", 2), Wanted("wrn-22-4", 256)]
    seconds = measurement_seconds(pool[0], CIFAR10, predictor)
    assert measurement_seconds(pool[1], CIFAR10, predictor) > seconds
    assert next_measurement(pool, [], CIFAR10, predictor, batch=256, seconds=seconds) == pool[0]
    assert next_measurement(pool, [], CIFAR10, predictor, batch=256, seconds=seconds / 2) is None


def test_measuring_ends_when_the_pool_is_exhausted():
    pool = [Wanted(name, 16) for name in ("resnet-8-4", "vgg-11-4", "wrn-10-1", "resnet-14-4")]
    measurements = []
    for _ in pool:
        wanted = next_measurement(pool, measurements, CIFAR10, predictor_of(measurements), batch=128)
        assert wanted in pool
        measurements.append(measured(wanted))
    assert next_measurement(pool, measurements, CIFAR10, predictor_of(measurements), batch=128) is None
    assert next_measurement([], [], CIFAR10, predictor_of([]), batch=128) is None


@pytest.mark.slow
def test_measuring_narrows_what_was_least_known():
    pool = measurement_pool(CANDIDATES, CIFAR10, 64, predictor_of([]))

    def width(count):
        predictor = predictor_of([measured(w) for w in measured_in_order(count)])
        steps = [predictor.step_seconds(w.network, CIFAR10, w.batch) for w in pool]
        return np.mean([step.high / step.low for step in steps])

    assert width(30) < width(10)


def test_proposals_are_the_same_every_time():
    assert measured_in_order(12) == measured_in_order(12)


# Large images: what a measurement may take is known before it is started.

PHOTOGRAPHS = Task(channels=3, height=224, width=224, classes=2)
LARGE = enumerate_candidates(1_000_000, ["resnet", "vgg"], PHOTOGRAPHS, [1, 2])


@pytest.mark.parametrize("megabytes", [200, 350])
def test_the_memory_of_everything_in_the_pool_fits_as_predicted(megabytes):
    predictor, room = predictor_of([]), Room(bytes=1e6 * megabytes)
    pool = measurement_pool(LARGE, PHOTOGRAPHS, 16, predictor, room)
    assert {family(w) for w in pool} == {"resnet", "vgg"}
    for wanted in pool:
        assert predictor.training_peak_bytes(wanted.network, PHOTOGRAPHS, wanted.batch).mean <= room.bytes
    # Without the limit there are measurements that would not fit.
    anywhere = measurement_pool(LARGE, PHOTOGRAPHS, 16, predictor)
    assert any(not room.holds_memory(w, PHOTOGRAPHS, predictor) for w in anywhere)


def test_a_network_that_fits_at_a_smaller_batch_is_measured_there():
    predictor = predictor_of([])
    (candidate,) = [c for c in LARGE if c.family == "vgg"][:1]
    name = f"vgg-{candidate.depth}-{candidate.width}"
    (plain,) = measurement_pool([candidate], PHOTOGRAPHS, 16, predictor)
    assert plain.network == name
    peak = predictor.training_peak_bytes(name, PHOTOGRAPHS, plain.batch).mean
    found = measurement_pool([candidate], PHOTOGRAPHS, 16, predictor, Room(bytes=peak - 1))
    assert found[0].network == name
    assert found[0].batch == plain.batch // 2


def test_candidates_that_fit_come_before_stand_ins_which_are_smaller_networks_of_the_family():
    predictor = predictor_of([])
    candidates = {f"resnet-{c.depth}-{c.width}" for c in LARGE if c.family == "resnet"}
    large = [c for c in LARGE if c.family == "resnet"]

    def pool(megabytes):
        return measurement_pool(large, PHOTOGRAPHS, 16, predictor, Room(bytes=1e6 * megabytes))

    assert {w.network for w in pool(1000)} <= candidates
    few = pool(80)
    assert few
    assert not {w.network for w in few} & candidates
    assert pool(1) == []


def test_what_was_given_up_is_neither_tried_again_nor_at_larger_batches():
    predictor, wanted = predictor_of([]), Wanted("resnet-8-4", 8)
    candidates = [c for c in CANDIDATES if c.family == "resnet"]
    refused = measurement_pool(candidates, CIFAR10, 128, predictor)[3]
    pool = measurement_pool(candidates, CIFAR10, 128, predictor, Room(refused={refused}))
    assert [w.batch for w in pool if w.network == refused.network] == [refused.batch // 2]
    assert not Room(refused={wanted}).holds(Wanted("resnet-8-4", 16), CIFAR10, predictor)
    assert Room(refused={wanted}).holds(Wanted("resnet-8-4", 4), CIFAR10, predictor)


def test_a_measurement_that_would_take_too_long_is_not_in_the_pool():
    predictor = predictor_of([])
    pool = measurement_pool(LARGE, PHOTOGRAPHS, 16, predictor, Room(seconds=6.0))
    assert pool
    assert all(measurement_seconds(w, PHOTOGRAPHS, predictor) <= 6 for w in pool)


def test_smaller_networks_are_half_as_wide_each_and_then_less_deep():
    names = list(smaller_networks("resnet-20-16"))
    assert names == ["resnet-20-8", "resnet-20-4", "resnet-14-4", "resnet-8-4"]
    macs = [lower(parse_network(name), CIFAR10).macs for name in names]
    assert macs == sorted(macs, reverse=True)
