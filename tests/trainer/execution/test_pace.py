"""The pace is asked for between epochs: outside of their seconds, and without a change of a single bit."""

from __future__ import annotations

import time
from dataclasses import replace

import profiler.pace
from advisor.plans.records import EpochRecord
from profiler.pace import watch_pace
from trainer.events import CheckpointWritten, Paced

SECONDS = 0.1


class Sleeper:
    """A pace that takes time and computes; every second epoch it measures nothing."""

    def __init__(self):
        self.asked = 0

    def __call__(self, device):
        return self.read

    def read(self):
        import torch

        self.asked += 1
        time.sleep(SECONDS)
        torch.nn.functional.conv2d(torch.ones(1, 4, 8, 8), torch.ones(4, 4, 3, 3))
        return 0.5 if self.asked % 2 else None


def test_the_pace_is_told_after_an_epoch_and_is_no_part_of_its_seconds(
    plan_of, run, files, weights, same_bits
):
    plan = plan_of("2xmlp-1-8@g1")
    story = run(plan, replace(files, pace=Sleeper()))
    kinds = [e for e in story.events if isinstance(e, EpochRecord | Paced)]
    epochs = [e for e in kinds if isinstance(e, EpochRecord)]
    assert all(record.seconds < SECONDS for record in epochs)
    for number, record in enumerate(epochs):
        if number % 2 == 0:
            assert kinds[kinds.index(record) + 1] == Paced(record.step, 0.5)
    assert len(kinds) == len(epochs) + (len(epochs) + 1) // 2

    unwatched = replace(files, folder=files.folder.with_name("unwatched"))
    assert run(plan, unwatched).epoch_records() == story.epoch_records()
    for network in plan.networks:
        assert same_bits(weights(network.name), weights(network.name, unwatched))


def test_nothing_is_told_of_a_pace_that_nobody_wants(plan_of, run):
    events = run(plan_of("mlp-1-8")).events
    assert not any(isinstance(event, Paced) for event in events)
    assert any(isinstance(event, CheckpointWritten) for event in events)


def test_the_reference_convolution_between_epochs_changes_no_bit(
    plan_of, run, files, weights, same_bits, monkeypatch
):
    monkeypatch.setattr(profiler.pace, "INTERVAL", 0.0)
    monkeypatch.setattr(profiler.pace, "BETWEEN_SECONDS", 0.01)
    plan = plan_of("resnet-8-4")
    watched, unwatched = (replace(files, folder=files.folder.with_name(name)) for name in ("a", "b"))
    story = run(plan, replace(watched, pace=watch_pace))
    assert sum(isinstance(event, Paced) for event in story.events) == len(story.epochs)
    assert run(plan, unwatched).epoch_records() == story.epoch_records()
    assert same_bits(weights("member-1", watched), weights("member-1", unwatched))
