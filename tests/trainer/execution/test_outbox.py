"""Records wait in the folder of the run until they are stored, whatever happens to the process."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from advisor.errors import StorageError
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from trainer.execution.outbox import UNSTORED, Outbox


@pytest.fixture
def outbox(tmp_path, plan_of):
    return Outbox(tmp_path / "run", plan_of("2xmlp-1-4@g1"))


def epoch_of(step, epoch, error=0.5):
    return EpochRecord(
        step=step,
        network=step.removeprefix("train "),
        epoch=epoch,
        rate=0.1,
        train_loss=math.pi,
        train_error=0.25,
        validation_loss=1.5,
        validation_error=error,
        validation_probabilities=bytes(range(256)),
        seconds=2.0,
    )


def end_of(step):
    return StepRecord(
        step=step, network=step.removeprefix("train "), status=StepStatus.DONE, seconds=3.0, peak_bytes=7
    )


def test_records_come_back_as_they_were_in_the_order_of_steps_and_epochs(outbox):
    mother = [epoch_of("train mother-1", epoch) for epoch in (0, 9, 10)]
    records = [*mother, end_of("train mother-1"), epoch_of("train member-2", 0)]
    for record in reversed(records):
        outbox.put(record)
    assert outbox.records() == records


def test_a_later_record_of_an_epoch_replaces_the_earlier_one(outbox):
    first, again = epoch_of("train mother-1", 0), epoch_of("train mother-1", 0, error=0.75)
    outbox.put(first)
    outbox.put(again)
    assert outbox.records() == [again]


def test_a_stored_record_is_forgotten_and_the_last_one_leaves_nothing_behind(outbox):
    for record in (epoch_of("train mother-1", 0), end_of("train mother-1")):
        outbox.put(record)
        outbox.close()
        assert outbox.records() == [record]
        outbox.remove(record)
        outbox.remove(record)
    outbox.close()
    assert list(outbox.run.iterdir()) == []


def test_damaged_records_and_those_of_other_plans_are_left_out(outbox, plan_of):
    kept, damaged = epoch_of("train mother-1", 0), epoch_of("train mother-1", 1)
    for record in (kept, damaged):
        outbox.put(record)
    path = outbox.run / UNSTORED / "0000.000001.epoch.json"
    path.write_text(path.read_text()[:100])
    # Of a process that was killed while it wrote.
    (outbox.run / UNSTORED / ".0000.000002.epoch.json.1.tmp").write_text("{")
    assert outbox.records() == [kept]
    assert replace(outbox, plan=plan_of("mlp-1-4")).records() == []


def test_a_disk_that_refuses_is_a_storage_error_in_one_line(outbox):
    outbox.run.write_text("a file in place of the folder")
    with pytest.raises(StorageError, match=r"cannot write a record to .+; make room and resume"):
        outbox.put(epoch_of("train mother-1", 0))
    assert outbox.records() == []
