"""Networks of one process that take turns batch by batch: the same bits, whatever happens to one of them."""

from dataclasses import replace

import pytest

from advisor.errors import StorageError
from advisor.plans.plan import TrainStep
from advisor.plans.records import EpochRecord, StepStatus
from trainer.training.checkpoint import load_checkpoint

DESIGN = "3xmlp-1-8@g1"


def elsewhere(files, name):
    """The files of another run."""
    return replace(files, folder=files.folder.with_name(name))


def in_turns(plan):
    return replace(plan, execution=replace(plan.execution, processes=3, streams=4))


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_networks_that_take_turns_end_with_the_bits_of_one_after_the_other(
    plan_of, run, files, weights, same_bits, mode
):
    plan = plan_of(DESIGN, step_mode=mode)
    alone, story = run(plan, elsewhere(files, "alone")), run(in_turns(plan))
    for network in plan.networks:
        assert same_bits(weights(network.name), weights(network.name, elsewhere(files, "alone")))
    assert story.epoch_records() == alone.epoch_records()
    assert story.ended.keys() == alone.ended.keys()
    assert {record.status for record in story.ended.values()} == {StepStatus.DONE}
    # The memory of the process is that of all of them.
    assert {record.peak_bytes for record in story.ended.values()} == {None}


def test_epochs_of_networks_that_take_turns_end_one_after_the_other(plan_of, run):
    story = run(in_turns(plan_of("4xmlp-1-8")))
    # Three at once; the fourth begins when the first has ended.
    assert [(r.network[-1], r.epoch) for r in story.epochs] == [
        *(("1", 0), ("2", 0), ("3", 0), ("1", 1), ("2", 1), ("3", 1), ("4", 0), ("4", 1)),
    ]


class StopAfter:
    def __init__(self, calls):
        self.left = calls

    def __call__(self):
        self.left -= 1
        return self.left < 0


def test_networks_that_are_stopped_again_and_again_end_with_the_same_bits(
    plan_of, run, files, weights, same_bits
):
    plan = in_turns(plan_of(DESIGN))
    whole = run(plan, elsewhere(files, "whole"))
    executions = 0
    while len((story := run(plan, stop=StopAfter(15))).ended) < len(plan.steps):
        executions += 1
        assert executions < 30
    assert executions > 2
    assert story.ended.keys() == whole.ended.keys()
    for network in plan.networks:
        assert same_bits(weights(network.name), weights(network.name, elsewhere(files, "whole")))


def test_a_network_that_diverges_ends_no_other(plan_of, run):
    plan = in_turns(plan_of("3xmlp-2-8"))
    steps = tuple(
        replace(step, schedule=replace(step.schedule, rate=1e30))
        if isinstance(step, TrainStep) and step.network == "member-2"
        else step
        for step in plan.steps
    )
    story = run(replace(plan, steps=steps))
    assert [story.status(f"train member-{n}") for n in (1, 2, 3)] == [
        StepStatus.DONE,
        StepStatus.DIVERGED,
        StepStatus.DONE,
    ]


def test_the_others_write_checkpoints_before_an_error_ends_the_run(plan_of, run, files, digits):
    from trainer.execution.execute import execute

    plan = in_turns(plan_of("3xmlp-1-8"))

    def refuses(event):
        if isinstance(event, EpochRecord) and event.network == "member-2":
            raise StorageError("the disk is full")

    with pytest.raises(StorageError, match="the disk is full"):
        execute(plan, files, digits, refuses, lambda: False)
    third = load_checkpoint(files.of_network("member-3"), pytest.fail)
    # It has trained all batches of the first epoch by then, and ends it.
    assert (third.progress.epoch, third.progress.batch) == (1, 0)
    story = run(plan)
    assert {record.status for record in story.ended.values()} == {StepStatus.DONE}
