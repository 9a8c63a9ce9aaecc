"""Steps moved from one augmentation to another keep their passes and get another preparation."""

from dataclasses import replace

import pytest
from measured import MACHINE as PLAIN
from measured import measurement

from advisor.cost.augmentation_transfer import transferred
from advisor.networks.layers import Task

AUGMENTED = replace(PLAIN, augmentation="crop+flip+randaugment")
TASK = Task(channels=3, height=10, width=10, classes=10)


def step(batch, preparation, machine=PLAIN, **changes):
    """A step whose passes take 30 ms."""
    values = {
        "forward_seconds": 0.010,
        "backward_seconds": 0.015,
        "optimizer_seconds": 0.005,
        "step_seconds": 0.030 + preparation,
        "inference_seconds": 0.008,
    }
    return measurement("resnet-8-4", TASK, batch, fingerprint=machine, **(values | changes))


def test_a_transferred_step_is_prepared_at_a_constant_and_a_rate():
    # 2 ms and 50 µs an image of 300 values, as two batches show; so 400 images take 22 ms.
    own = [step(20, 0.003, AUGMENTED), step(100, 0.007, AUGMENTED)]
    other = step(400, 0.001)
    (moved,) = transferred(own, [other])
    assert moved.step_seconds == pytest.approx(0.030 + 0.022)
    assert moved == replace(other, step_seconds=moved.step_seconds)


def test_one_own_step_gives_its_preparation_to_the_same_batch():
    (moved,) = transferred([step(64, 0.006, AUGMENTED)], [step(64, 0.001)])
    assert moved.step_seconds == pytest.approx(0.036)


@pytest.mark.parametrize("own", [[], [step(64, 0.1, AUGMENTED, processes=2)], [step(64, 0, fits=False)]])
def test_without_an_own_step_alone_nothing_is_transferred(own):
    assert transferred(own, [step(64, 0.001)]) == []


def test_that_a_network_does_not_fit_is_transferred_as_it_is():
    missing = step(64, 0.0, fits=False)
    assert transferred([step(64, 0.006, AUGMENTED)], [missing]) == [missing]


def test_a_step_shorter_than_its_passes_was_prepared_in_no_time():
    (moved,) = transferred([step(64, -0.001, AUGMENTED)], [step(64, 0.001)])
    assert moved.step_seconds == pytest.approx(0.030)


def test_the_digest_of_a_fingerprint_without_augmentation_is_that_of_older_programs():
    assert replace(PLAIN, device_name="example", torch="2.15.0").digest == "131cb6a4767491dc"
    assert AUGMENTED.digest != PLAIN.digest
