"""Prices of plans: makespans by hand and by their bounds, and whole plans with a stub predictor."""

import math
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.conformal import Corrections, Quantity
from advisor.cost.parallel.spans import HATCH_SECONDS, epoch_seconds
from advisor.cost.pricing import price
from advisor.cost.timeline import timeline, timeline_of
from advisor.designs.design import parse_design
from advisor.estimate import Estimate, total
from advisor.networks.architecture import lower, parse_network
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.placement import placed
from advisor.plans.plan import HatchStep, TrainStep
from advisor.plans.schedule import PlateauSchedule

DIGITS = DATASETS["digits"]
# 1077 training images at batch 32 are 33 whole steps; 360 validation images at the same batch.
STEPS, EVALUATIONS = 33, 360 / 32


def planned(design, processes=1, epochs=20, **options):
    execution = Execution(
        device="cpu", processes=processes, threads=1, dtype="float32", memory_format="contiguous"
    )
    return make_plan(
        parse_design(design),
        DIGITS,
        epochs=epochs,
        batch=32,
        seed=0,
        execution=execution,
        options=PlanOptions(**options),
    )


@dataclass
class Stub:
    """A predictor that has a table: a training step costs its entry, inference a tenth of it."""

    steps: dict[str, float]
    slowdown: float = 1.0
    watts: float | None = None
    unknown: tuple[str, ...] = ()
    on_cuda: bool = False
    too_large: tuple[str, ...] = ()
    asked: list[tuple[str, int]] = field(default_factory=list)
    corrections: Corrections = field(default_factory=Corrections)

    def step_seconds(self, network, task, batch):
        self.asked.append((network, batch))
        return self._estimate(self.steps[network])

    def inference_seconds(self, network, task, batch):
        return self._estimate(self.steps[network] / 10)

    def epoch_seconds(self, network, task, batch, *, steps, evaluated):
        passes = self.inference_seconds(network, task, batch).scaled(evaluated / batch)
        return total([self.step_seconds(network, task, batch).scaled(steps), passes])

    def unmeasured(self, network, task, batch):
        return self.unknown

    def training_peak_bytes(self, network, task, batch):
        return self._estimate(1e6 * self.steps[network])

    def inference_peak_bytes(self, network, task, batch):
        return self._estimate(1e5 * self.steps[network])

    def reserved_bytes(self, network, task, batch):
        return self._estimate(2e6 * self.steps[network]) if self.on_cuda else None

    def fits(self, network, task, batch):
        return network not in self.too_large

    def correction(self, quantity):
        return self.corrections.of(quantity, "measurements")

    def contention(self, processes):
        return self.slowdown if processes > 1 else 1.0

    @staticmethod
    def _estimate(mean):
        return Estimate(mean, mean / 2, mean * 3)


# Makespans.


def makespan(*plan):
    return max((span.end for span in timeline(*plan).values()), default=0.0)


def test_one_process_takes_the_sum():
    assert makespan(["a", "b", "c"], [(), (), ()], [1.0, 2.0, 3.0], 1, 5.0) == 6.0


def test_two_processes_start_steps_in_order_as_they_become_free():
    # a and b start; c follows a at 1 and ends at 4.
    assert makespan(["a", "b", "c"], [(), (), ()], [1.0, 2.0, 3.0], 2, 1.0) == 4.0


def test_contention_slows_steps_only_while_they_have_company():
    # Both for 1 s of work at 1.5, then b alone for its other second.
    assert makespan(["a", "b"], [(), ()], [1.0, 2.0], 2, 1.5) == pytest.approx(1.5 + 1.0)


def test_a_step_waits_for_what_it_needs():
    # c needs both, d needs a: a 0-1, b 0-4, d 1-3, c 4-5.
    after = [(), (), ("a", "b"), ("a",)]
    assert makespan(["a", "b", "c", "d"], after, [1.0, 4.0, 1.0, 2.0], 2, 1.0) == 5.0


def test_a_chain_takes_its_sum_however_many_processes_there_are():
    assert makespan(["a", "b", "c"], [(), ("a",), ("b",)], [1.0, 2.0, 3.0], 8, 2.0) == 6.0


def test_nothing_takes_no_time():
    assert makespan([], [], [], 4, 1.5) == 0.0


def test_steps_without_duration_still_unlock_what_needs_them():
    assert makespan(["a", "b"], [(), ("a",)], [0.0, 2.0], 2, 1.0) == 2.0


@st.composite
def graphs(draw):
    """Names, dependencies on earlier steps, and durations in halves, so that sums are exact."""
    count = draw(st.integers(1, 9))
    names = [f"s{i}" for i in range(count)]
    after = [tuple(draw(st.sets(st.sampled_from(names[:i]), max_size=3))) if i else () for i in range(count)]
    seconds = [draw(st.integers(0, 20)) / 2 for _ in names]
    return names, after, seconds


def longest_chain(names, after, seconds):
    ends = {}
    for name, needs, duration in zip(names, after, seconds, strict=True):
        ends[name] = duration + max((ends[n] for n in needs), default=0.0)
    return max(ends.values())


@given(graphs(), st.integers(1, 5))
def test_a_makespan_is_between_its_bounds(graph, processes):
    names, after, seconds = graph
    found = makespan(names, after, seconds, processes, 1.0)
    assert found >= max(longest_chain(names, after, seconds), sum(seconds) / processes) - 1e-9
    assert found <= sum(seconds) + 1e-9
    # Graham 1969: list scheduling is at most (2 - 1/m) times the best.
    best = max(longest_chain(names, after, seconds), sum(seconds) / processes)
    assert (
        found <= sum(seconds) / processes + (1 - 1 / processes) * longest_chain(names, after, seconds) + 1e-9
    )
    assert found <= 2 * best + 1e-9


@given(graphs(), st.integers(1, 5), st.floats(1.0, 3.0))
def test_contention_lengthens_by_at_most_its_factor(graph, processes, contention):
    names, after, seconds = graph
    found = makespan(names, after, seconds, processes, contention)
    assert longest_chain(names, after, seconds) - 1e-9 <= found <= contention * sum(seconds) + 1e-9


@given(graphs())
def test_as_many_processes_as_steps_take_the_longest_chain(graph):
    names, after, seconds = graph
    assert makespan(names, after, seconds, len(names), 1.0) == pytest.approx(
        longest_chain(names, after, seconds)
    )


@given(graphs(), st.integers(1, 5), st.floats(1.0, 2.0))
def test_a_makespan_agrees_with_a_simulation_in_small_ticks(graph, processes, contention):
    names, after, seconds = graph
    left, needs = dict(zip(names, seconds, strict=True)), dict(zip(names, after, strict=True))
    waiting, running, clock = list(names), [], 0.0
    while waiting or running:
        for name in list(waiting):
            if len(running) < processes and all(n not in waiting and n not in running for n in needs[name]):
                waiting.remove(name)
                running.append(name)
        # Durations are halves, so half a second of work ends no step between two ticks.
        tick = min([0.5, *(left[n] for n in running)])
        clock += tick * (contention if len(running) > 1 else 1.0)
        for name in running:
            left[name] -= tick
        running = [n for n in running if left[n] > 0]
    assert makespan(names, after, seconds, processes, contention) == pytest.approx(clock)


# Whole plans.


def test_an_epoch_is_its_steps_and_the_evaluation():
    stub = Stub({"resnet-8-4": 2.0})
    found = epoch_seconds("resnet-8-4", planned("resnet-8-4"), stub)
    assert found.mean == pytest.approx(STEPS * 2.0 + EVALUATIONS * 0.2)
    assert (found.low, found.high) == (pytest.approx(found.mean / 2), pytest.approx(found.mean * 3))


def test_a_single_network_trains_its_epochs():
    priced = price(planned("resnet-8-4", epochs=20), Stub({"resnet-8-4": 2.0}))
    epoch = STEPS * 2.0 + EVALUATIONS * 0.2
    assert priced.epoch_seconds.mean == pytest.approx(epoch)
    assert priced.train_seconds.mean == pytest.approx(20 * epoch)
    assert priced.inference_ms_per_image.mean == pytest.approx(1000 * 0.2 / 32)
    assert priced.train_peak_bytes.mean == pytest.approx(2e6)
    assert [step.step for step in priced.steps] == ["train member-1", "evaluate"]
    # The validation images, for weights of members, and the test images.
    assert priced.steps[-1].seconds.mean == pytest.approx((360 + 360) / 32 * 0.2)


def test_compiling_takes_time_before_the_first_step_of_every_network():
    plan = planned("2xmlp-2-8")
    compiled = replace(plan, execution=replace(plan.execution, step_mode="compiled"))
    eager, more = (price(each, Stub({"mlp-2-8": 0.1})).steps for each in (plan, compiled))
    for step, same in list(zip(more, eager, strict=True))[:2]:
        # Three layers with weights.
        assert step.seconds.mean - same.seconds.mean == pytest.approx(2.0 + 3 * 1.5)
        assert step.seconds.high - same.seconds.high == pytest.approx(2 * (2.0 + 3 * 1.5))


def test_energy_is_the_power_that_was_measured_over_the_training():
    stub = Stub({"resnet-8-4": 2.0})
    assert price(planned("resnet-8-4"), stub).energy_joules is None
    priced = price(planned("resnet-8-4"), replace(stub, watts=50.0))
    assert priced.energy_joules == priced.train_seconds.scaled(50.0)


def test_what_was_never_measured_is_named_once():
    stub = Stub({"resnet-8-4": 1.0, "mlp-1-4": 0.5}, unknown=("batch 32",))
    assert price(planned("2xresnet-8-4+mlp-1-4"), stub).unmeasured == ("batch 32",)


def test_inference_needs_the_weights_of_all_and_what_one_member_needs_beside_its_own():
    stub = Stub({"resnet-8-4": 2.0, "mlp-1-4": 0.1})
    priced = price(planned("2xresnet-8-4+mlp-1-4"), stub)
    # 64·4 + 4 + 4·10 + 10 weights of the MLP; those of the ResNet are in its own figure once.
    resnet = lower(parse_network("resnet-8-4"), DIGITS.task).parameters
    assert priced.inference_peak_bytes.mean == pytest.approx(2e5 + 4 * (resnet + 310))


def test_reserved_memory_is_there_where_it_was_measured():
    stub = Stub({"resnet-8-4": 1.0, "mlp-1-4": 0.5})
    plan = planned("2xresnet-8-4+mlp-1-4", processes=2)
    assert price(plan, stub).train_reserved_bytes is None
    reserved = price(plan, replace(stub, on_cuda=True)).train_reserved_bytes
    assert reserved is not None
    assert reserved.mean == pytest.approx(4e6)


def test_a_plan_fits_unless_one_of_its_networks_is_known_not_to():
    stub = Stub({"resnet-8-4": 1.0, "mlp-1-4": 0.5}, too_large=("mlp-1-4",))
    assert price(planned("2xresnet-8-4"), stub).fits
    assert not price(planned("2xresnet-8-4+mlp-1-4"), stub).fits


def test_members_one_after_the_other_take_the_sum():
    stub = Stub({"resnet-8-4": 1.0, "mlp-1-4": 0.5})
    priced = price(planned("2xresnet-8-4+mlp-1-4", epochs=10), stub)
    epoch = STEPS + EVALUATIONS * 0.1
    assert priced.epoch_seconds.mean == pytest.approx(2.5 * epoch)
    assert priced.train_seconds.mean == pytest.approx(10 * 2.5 * epoch)
    assert priced.inference_ms_per_image.mean == pytest.approx(1000 * 0.25 / 32)
    # One at a time: the largest network.
    assert priced.train_peak_bytes.mean == pytest.approx(1e6)


def test_members_side_by_side_take_turns_and_share_memory():
    stub = Stub({"resnet-8-4": 1.0, "mlp-1-4": 0.5}, slowdown=1.2)
    priced = price(planned("2xresnet-8-4+mlp-1-4", processes=2, epochs=10), stub)
    epoch = STEPS + EVALUATIONS * 0.1
    # Two resnets with company for a whole epoch each, then the mlp alone.
    assert priced.epoch_seconds.mean == pytest.approx((1.2 + 0.5) * epoch)
    assert priced.train_seconds.mean == pytest.approx(10 * (1.2 + 0.5) * epoch)
    assert priced.train_peak_bytes.mean == pytest.approx(2e6)


def test_a_mother_is_trained_before_her_members_hatch():
    plan = planned("2xresnet-8-4@g1", processes=2, epochs=20, hatched_epochs=5)
    priced = price(plan, Stub({"resnet-8-4": 1.0}, slowdown=1.5))
    epoch = STEPS + EVALUATIONS * 0.1
    hatch = HATCH_SECONDS.mean
    # The mother alone, then both members hatch and train side by side.
    assert priced.train_seconds.mean == pytest.approx(20 * epoch + 1.5 * (hatch + 5 * epoch))
    # An epoch of every member leaves the mother out.
    assert priced.epoch_seconds.mean == pytest.approx(1.5 * epoch)
    # Steps last as long as they take beside their neighbours, as those of a run do.
    assert [s.seconds.mean for s in priced.steps[:-1]] == pytest.approx(
        [20 * epoch, 1.5 * hatch, 1.5 * 5 * epoch, 1.5 * hatch, 1.5 * 5 * epoch]
    )
    networks = [s.network for s in priced.steps[:-1]]
    assert networks == ["mother-1", "member-1", "member-1", "member-2", "member-2"]


def test_a_single_hatched_step_costs_next_to_nothing():
    plan = planned("2xresnet-8-4@g1")
    hatches = [s.id for s in plan.steps if isinstance(s, HatchStep)]
    priced = {s.step: s.seconds for s in price(plan, Stub({"resnet-8-4": 1.0})).steps}
    assert len(hatches) == 2
    assert all(priced[name].mean == pytest.approx(HATCH_SECONDS.mean) for name in hatches)


def test_a_plateau_is_priced_by_its_expected_epochs():
    plan = planned("resnet-8-4", epochs=100)
    schedule = PlateauSchedule(epochs=100, rate=0.1, expected=37.5)
    step = plan.steps[0]
    assert isinstance(step, TrainStep)
    plateau = replace(plan, steps=(replace(step, schedule=schedule),))
    epoch = STEPS + EVALUATIONS * 0.1
    assert price(plateau, Stub({"resnet-8-4": 1.0})).train_seconds.mean == pytest.approx(37.5 * epoch)
    # Never more than its limit.
    short = replace(schedule, epochs=10)
    plateau = replace(plan, steps=(replace(step, schedule=short),))
    assert price(plateau, Stub({"resnet-8-4": 1.0})).train_seconds.mean == pytest.approx(10 * epoch)


def test_the_interval_of_time_contains_the_uncertainty_of_the_epochs():
    plan = planned("resnet-8-4", epochs=100)
    fixed, schedule = price(plan, Stub({"resnet-8-4": 1.0})).train_seconds, plan.steps[0].schedule

    def priced(low, high):
        plateau = PlateauSchedule(epochs=100, rate=0.1, expected=40, low=low, high=high, following=schedule)
        steps = (replace(plan.steps[0], schedule=plateau),)
        return price(replace(plan, steps=steps), Stub({"resnet-8-4": 1.0})).train_seconds

    certain, uncertain = priced(40, 40), priced(10, 90)
    assert uncertain.mean == certain.mean == pytest.approx(0.4 * fixed.mean)
    assert certain.low == pytest.approx(0.4 * fixed.low)
    # A quarter of the epochs at least, and at most 90 of 40.
    assert uncertain.low <= certain.mean / 4
    assert uncertain.high >= certain.mean * 90 / 40


def test_networks_are_priced_at_the_batch_of_the_plan():
    stub = Stub({"resnet-8-4": 1.0})
    price(planned("resnet-8-4"), stub)
    assert set(stub.asked) == {("resnet-8-4", 32)}


@given(
    st.sampled_from(
        ["resnet-8-4", "3xresnet-8-4", "4xresnet-8-4@g2", "resnet-8-4+2xmlp-1-4", "3xmlp-1-4@g1"]
    ),
    st.integers(1, 4),
    st.integers(1, 300),
    st.floats(1.0, 2.0),
)
@settings(max_examples=40)
def test_every_figure_is_an_interval_and_a_forecast_repeats_it(design, processes, epochs, slowdown):
    plan = planned(design, processes=processes, epochs=epochs)
    priced = price(plan, Stub({"resnet-8-4": 1.0, "mlp-1-4": 0.3}, slowdown=slowdown))
    for found in (
        priced.train_seconds,
        priced.epoch_seconds,
        priced.inference_ms_per_image,
        priced.train_peak_bytes,
        priced.inference_peak_bytes,
        *(s.seconds for s in priced.steps),
    ):
        assert 0 < found.low < found.mean < found.high
    trained = sum(s.seconds.mean for s in priced.steps[:-1])
    assert trained / processes <= priced.train_seconds.mean * (1 + 1e-9)
    assert priced.train_seconds.mean <= trained * (1 + 1e-9)
    forecast = priced.forecast(Estimate(0.2, 0.1, 0.3))
    assert forecast.train_seconds == (
        priced.train_seconds.mean,
        priced.train_seconds.low,
        priced.train_seconds.high,
    )
    assert forecast.test_error == (0.2, 0.1, 0.3)
    assert [s.step for s in forecast.steps] == [*(s.id for s in plan.steps), "evaluate"]
    assert priced.forecast(None).test_error is None


def test_every_interval_of_a_price_is_corrected_by_the_factor_of_its_quantity():
    factors = {Quantity.TIME: 2.0, Quantity.MEMORY: 0.5, Quantity.LATENCY: 1.5}
    known = Corrections({(q, "measurements"): [factor] * 20 for q, factor in factors.items()})
    steps, plan = {"resnet-8-4": 2.0}, planned("2xresnet-8-4@g1", processes=2)
    machine = {"slowdown": 1.5, "watts": 10.0, "on_cuda": True}
    before, after = (
        price(plan, Stub(steps, **machine)),
        price(plan, Stub(steps, **machine, corrections=known)),
    )

    def check(estimate, corrected, factor):
        assert corrected.mean == estimate.mean
        for end in ("low", "high"):
            widths = (math.log(getattr(e, end) / e.mean) for e in (corrected, estimate))
            assert next(widths) == pytest.approx(factor * next(widths))

    for figure, factor in (
        ("train_seconds", 2.0),
        ("epoch_seconds", 2.0),
        ("energy_joules", 2.0),
        ("train_peak_bytes", 0.5),
        ("train_reserved_bytes", 0.5),
        ("inference_peak_bytes", 0.5),
        ("inference_ms_per_image", 1.5),
    ):
        check(getattr(before, figure), getattr(after, figure), factor)
    for step, corrected in zip(before.steps, after.steps, strict=True):
        # The evaluation of the members is inference.
        check(step.seconds, corrected.seconds, 1.5 if step.step == "evaluate" else 2.0)
    stored = after.forecast(None)
    assert {c.quantity: (c.factor, c.own) for c in stored.corrections} == {
        quantity: (factor, 20) for quantity, factor in factors.items()
    }
    assert stored.train_seconds == (
        after.train_seconds.mean,
        after.train_seconds.low,
        after.train_seconds.high,
    )


# Steps on several devices.


def test_a_step_waits_until_enough_slots_are_free():
    # a takes two of three slots, b does not fit beside it but c does: a 0-2, c 0-1, b 2-5.
    names, devices = ["a", "b", "c"], {"a": 2, "b": 2}
    found = timeline(names, [(), (), ()], [2.0, 3.0, 1.0], 3, 1.0, devices)
    assert found == {"a": (0.0, 2.0, (1, 2)), "c": (0.0, 1.0, (3,)), "b": (2.0, 5.0, (1, 2))}


def test_a_step_on_all_devices_runs_alone():
    names, devices = ["a", "b"], {"a": 4, "b": 4}
    assert makespan(names, [(), ()], [1.0, 2.0], 4, 5.0, devices) == 3.0


def on_gpus(plan, count):
    return placed(replace(plan, execution=replace(plan.execution, device="cuda")), count)


def test_devices_that_share_a_network_are_nine_tenths_as_fast_each_or_gain_nothing():
    plan, stub = planned("resnet-8-4", epochs=20), Stub({"resnet-8-4": 2.0})
    alone, shared = (price(p, stub).train_seconds for p in (plan, on_gpus(plan, 4)))
    assert shared.mean == pytest.approx(alone.mean / (0.9 * 4))
    assert shared.low == pytest.approx(alone.low / 4)
    assert shared.high == pytest.approx(alone.high)


def test_a_mother_on_four_devices_and_then_members_on_two_each():
    plan = on_gpus(planned("2xresnet-8-4@g1", processes=2, epochs=20, hatched_epochs=5), 4)
    priced = price(plan, Stub({"resnet-8-4": 1.0}, slowdown=1.5, watts=10.0))
    epoch, hatch = STEPS + EVALUATIONS * 0.1, HATCH_SECONDS.mean
    mother, member = 20 * epoch / 3.6, 1.5 * 5 * epoch / 1.8
    assert priced.train_seconds.mean == pytest.approx(mother + 1.5 * hatch + member)
    assert priced.epoch_seconds.mean == pytest.approx(1.5 * epoch / 1.8)
    # Power of every device while it is in use: hatching takes one each.
    assert priced.energy_joules.mean == pytest.approx(10 * (4 * mother + 2 * 1.5 * hatch + 4 * member))


def test_durations_beside_neighbours_give_the_timeline_of_the_price_again():
    plan = planned("3xresnet-8-4+2xresnet-8-6@g2", processes=3, epochs=20)
    priced = price(plan, Stub({"resnet-8-4": 1.0, "resnet-8-6": 1.7}, slowdown=1.4))
    spans = timeline_of(plan, {step.step: step.seconds.mean for step in priced.steps})
    assert max(span.end for span in spans.values()) == pytest.approx(priced.train_seconds.mean)
    for slot in (1, 2, 3):
        beside = sorted((s.start, s.end) for s in spans.values() if slot in s.slots)
        assert all(before[1] <= after[0] for before, after in zip(beside, beside[1:], strict=False))
