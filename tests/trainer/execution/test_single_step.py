"""One step by a process of its own: which steps are done, and which GPUs it takes."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest

from advisor.plans.plan import TrainStep
from advisor.plans.records import EpochRecord, StepStatus
from trainer.data.loading import load_data
from trainer.execution.execute import execute
from trainer.execution.finished_steps import is_done, unfinished
from trainer.execution.free_gpus import taken
from trainer.execution.plan_step import run_step
from trainer.execution.single_step import execute_step
from trainer.run_files import RunFiles
from trainer.training.checkpoint import load_checkpoint


def never():
    return False


def nothing(device):
    """Watch no memory; picklable by name."""
    return no_figure


def no_figure():
    return None


@pytest.fixture
def files(tmp_path):
    return RunFiles(folder=tmp_path / "run", data_root=tmp_path / "data", watch=nothing)


def test_a_step_is_done_when_its_checkpoint_says_so_and_not_before(plan_of, files, one_thread):
    plan = plan_of("2xmlp-1-4@g1")
    data = load_data(plan.dataset, files.data_root)
    mother, hatch = plan.steps[:2]
    epochs = []
    # Stopped in the second epoch.
    run_step(plan, mother, files, data, epochs.append, lambda: bool(epochs))
    assert not is_done(plan, mother, files.folder, pytest.fail)
    run_step(plan, mother, files, data, epochs.append, never)
    run_step(plan, hatch, files, data, epochs.append, never)
    left = [step.id for step in plan.steps[2:]]
    assert unfinished(plan, plan.steps, files.folder, pytest.fail) == left
    # The hatching stays done once its member has been trained further.
    run_step(plan, plan.steps[2], files, data, epochs.append, never)
    assert is_done(plan, hatch, files.folder, pytest.fail)
    for path in files.of_network("member-1").glob("*.json"):
        path.write_text("{}")
    damaged = []
    assert not is_done(plan, hatch, files.folder, damaged.append)
    assert len(damaged) == 2


def test_processes_take_different_gpus_as_long_as_there_are_some(tmp_path):
    names = ["a", "b", "c"]
    with ExitStack() as first, ExitStack() as second, ExitStack() as third:
        assert taken(names, 2, first, tmp_path) == [0, 1]
        assert taken(names, 1, second, tmp_path) == [2]
        # None is left: two share.
        assert taken(names, 2, third, tmp_path) == [0, 1]
        second.close()
        assert taken(names, 2, third, tmp_path) == [0, 2]


@pytest.mark.slow
def test_processes_that_share_a_step_end_as_those_of_the_pool(plan_of, files, tmp_path):
    plan = plan_of("mlp-2-8")
    steps = tuple(replace(s, devices=2) if isinstance(s, TrainStep) else s for s in plan.steps)
    plan = replace(plan, steps=steps)
    told = []
    data = load_data(plan.dataset, files.data_root)
    record = execute_step(plan, steps[0], files, data, told.append, never, tmp_path / "meeting")
    assert (record.status, record.message) == (StepStatus.DONE, "")
    assert [event.epoch for event in told if isinstance(event, EpochRecord)] == [0, 1]
    assert not (tmp_path / "meeting").exists()
    pool = replace(files, folder=tmp_path / "pool")
    execute(plan, pool, data, told.append, never)
    ours, theirs = (load_checkpoint(f.of_network("member-1"), pytest.fail).weights for f in (files, pool))
    assert all(ours[name].equal(theirs[name]) for name in theirs)
