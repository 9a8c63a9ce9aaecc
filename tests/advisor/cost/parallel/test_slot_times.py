"""Makespans on numbers of slots: by hand, by their bounds, and MotherNets beside snapshots."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.conformal import Correction, Quantity
from advisor.cost.parallel.slot_times import slot_times
from advisor.cost.parallel.spans import HATCH_SECONDS
from advisor.cost.pricing import price
from advisor.designs.design import parse_design
from advisor.estimate import Estimate
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.method_traits import Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.placement import placed

HATCH = HATCH_SECONDS.mean


@dataclass
class OneSecondAnEpoch:
    """A predictor of networks that take a second an epoch, 2 if they are wide, and slow each other down."""

    slowdown: float = 1.0

    def epoch_seconds(self, network, task, batch, *, steps, evaluated):
        mean = 2.0 if network.endswith("-16") else 1.0
        return Estimate(mean, mean / 2, mean * 3)

    def inference_seconds(self, network, task, batch):
        return Estimate.exact(0.001)

    def contention(self, processes):
        return self.slowdown if processes > 1 else 1.0

    def correction(self, quantity):
        return Correction(quantity=quantity, basis="measurements")


def planned(design, device="cpu", **options):
    execution = Execution(device=device, processes=1, threads=1, dtype="float32", memory_format="contiguous")
    return make_plan(
        parse_design(design),
        DATASETS["digits"],
        epochs=20,
        batch=32,
        seed=0,
        execution=execution,
        options=PlanOptions(**options),
    )


def means(found):
    return [times.train_seconds.mean for times in found]


def test_members_of_one_mother_train_side_by_side_after_her():
    plan = planned("4xresnet-8-8@g1", hatched_epochs=6)
    found = slot_times(plan, OneSecondAnEpoch(), [1, 2, 3, 4, 8])
    member = HATCH + 6
    # The mother takes 20 s; three slots take two turns as two do.
    assert means(found) == pytest.approx([20 + turns * member for turns in (4, 2, 2, 1, 1)])
    assert [times.used for times in found] == [1, 2, 3, 4, 4]
    assert all(times.work_seconds.mean == pytest.approx(20 + 4 * member) for times in found)
    assert all(times.critical_path_seconds.mean == pytest.approx(20 + member) for times in found)


def test_snapshots_take_their_sum_on_any_number_of_slots_and_full_data_do_not():
    """MotherNets (MLSys 2020), appendix D."""
    counts, predictor = [1, 2, 4, 8], OneSecondAnEpoch()
    chain = slot_times(planned("4xresnet-8-8", method=Method.SNAPSHOT), predictor, counts)
    # A cycle has 60 of 128 epochs.
    assert means(chain) == pytest.approx([4 * 9 + 3 * HATCH] * 4)
    full = slot_times(planned("4xresnet-8-8"), predictor, counts)
    assert means(full) == pytest.approx([80, 40, 20, 20])
    mothernets = slot_times(planned("4xresnet-8-8@g1"), predictor, counts)
    faster = [means(found)[0] / means(found)[2] for found in (chain, mothernets, full)]
    assert faster == sorted(faster)
    assert faster[1] > 1.5 > faster[0]


def test_idle_gpus_share_the_batches_of_a_network():
    found = slot_times(planned("2xresnet-8-8", device="cuda"), OneSecondAnEpoch(), [1, 2, 4])
    # Two GPUs a network are 1.8 times as fast as one.
    assert means(found) == pytest.approx([40, 20, 20 / 1.8])
    assert [times.sharing for times in found] == [1, 1, 2]
    # What sharing costs is work, and the chain of steps becomes shorter.
    assert found[2].work_seconds.mean == pytest.approx(40 / 0.9)
    assert found[2].critical_path_seconds.mean == pytest.approx(20 / 1.8)


class Whole(OneSecondAnEpoch):
    """The same with all that a price asks for."""

    watts = None

    def training_peak_bytes(self, network, task, batch):
        return Estimate.exact(1.0)

    inference_peak_bytes = training_peak_bytes

    def reserved_bytes(self, network, task, batch):
        return None

    def unmeasured(self, network, task, batch):
        return ()

    def fits(self, network, task, batch):
        return True


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_plan_takes_on_the_slots_of_its_machine_what_its_price_says(workers):
    plan, predictor = planned("2xresnet-8-8+resnet-8-16@g2"), Whole(slowdown=1.3)
    (found,) = slot_times(plan, predictor, [workers])
    assert found.train_seconds == price(placed(plan, workers), predictor).train_seconds


DESIGNS = ("resnet-8-8", "5xresnet-8-8", "3xresnet-8-8@g1", "2xresnet-8-8+2xresnet-8-16+resnet-14-8@g2")


@settings(max_examples=25, deadline=None)
@given(
    design=st.sampled_from(DESIGNS),
    device=st.sampled_from(["cpu", "cuda"]),
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    slowdown=st.floats(1.0, 2.0),
)
def test_no_training_is_shorter_than_its_longest_chain_or_all_steps_over_the_slots(
    design, device, counts, slowdown
):
    for times in slot_times(planned(design, device), OneSecondAnEpoch(slowdown), counts):
        for end in ("mean", "low", "high"):
            makespan, work, chain = (
                getattr(figure, end)
                for figure in (times.train_seconds, times.work_seconds, times.critical_path_seconds)
            )
            assert makespan >= max(chain, work / times.slots) - 1e-9
        assert times.used <= times.slots


@settings(max_examples=20, deadline=None)
@given(members=st.integers(1, 12), device=st.sampled_from(["cpu", "cuda"]))
def test_more_slots_never_slow_independent_equal_steps_down(members, device):
    design = "resnet-8-8" if members == 1 else f"{members}xresnet-8-8"
    found = means(slot_times(planned(design, device), OneSecondAnEpoch(), range(1, 14)))
    assert all(after <= before + 1e-9 for before, after in zip(found, found[1:], strict=False))


def test_intervals_are_corrected_as_those_of_the_price():
    class Corrected(OneSecondAnEpoch):
        def correction(self, quantity):
            assert quantity is Quantity.TIME
            return Correction(quantity=quantity, basis="measurements", factor=2.0, shipped=5)

    plan = planned("resnet-8-8")
    (plain,), (corrected,) = (slot_times(plan, p, [1]) for p in (OneSecondAnEpoch(), Corrected()))
    assert corrected.train_seconds == Corrected().correction(Quantity.TIME).applied(plain.train_seconds)
    assert corrected.train_seconds.high > plain.train_seconds.high
