"""What a person sees while training goes on: the epoch, and a guess at the time that is left."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from advisor.plans.records import EpochRecord
from cli import progress
from cli.progress import Speaker
from cli.workflows.views import OneOfSeveral, TrainingBegun, TrainingEnded

ONE_CORE = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")
EPOCH = EpochRecord(
    step="train member-1",
    network="member-1",
    epoch=0,
    rate=0.1,
    train_loss=1.0,
    train_error=0.5,
    validation_loss=1.0,
    validation_error=0.5,
    validation_probabilities=b"",
    seconds=60.0,
)


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    seconds = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds[0])
    return seconds


@pytest.fixture
def plan():
    return make_plan(
        parse_design("mlp-1-4"), DATASETS["digits"], epochs=120, batch=32, seed=0, execution=ONE_CORE
    )


@pytest.fixture
def speaker(plan, clock, capfd):
    found = Speaker(quiet=False)
    found(TrainingBegun(plan, None))
    return found


def line_of(capfd):
    return capfd.readouterr().err.strip().splitlines()[-1]


def test_the_time_left_is_that_of_the_epochs_left_at_the_pace_so_far(speaker, clock, capfd):
    clock[0] = 60.0
    speaker(EPOCH)
    assert line_of(capfd).endswith("about 119 min left")


def test_epochs_from_before_a_run_was_resumed_do_not_count_for_the_pace(speaker, clock, capfd):
    # The last one of them is reported again at once.
    speaker(replace(EPOCH, epoch=99))
    assert "left" not in line_of(capfd)
    clock[0] = 60.0
    speaker(replace(EPOCH, epoch=100))
    assert line_of(capfd).endswith("about 19 min left")


def test_a_step_by_itself_counts_its_own_epochs_only(clock, capfd):
    three = make_plan(
        parse_design("3xmlp-1-4"), DATASETS["digits"], epochs=120, batch=32, seed=0, execution=ONE_CORE
    )
    speaker = Speaker(quiet=False)
    speaker(TrainingBegun(three, None, step="train member-1"))
    clock[0] = 60.0
    speaker(EPOCH)
    assert line_of(capfd).endswith("about 119 min left")


def test_a_text_is_one_line_without_markup(speaker, capfd):
    speaker("run 1: [bold] is not markup")
    assert line_of(capfd) == "run 1: [bold] is not markup"


def test_a_training_that_begins_says_how_long_it_is_expected_to_take(plan, capfd):
    Speaker(quiet=False)(TrainingBegun(plan, 90.0))
    assert line_of(capfd) == "expected to take 90 s"


def test_without_a_terminal_one_of_many_trainings_shows_no_epochs(plan, capfd):
    speaker = Speaker(quiet=False)
    speaker(TrainingBegun(plan, 90.0, one_of_many=True))
    speaker(EPOCH)
    speaker(TrainingEnded())
    assert capfd.readouterr().err == ""


def test_on_a_terminal_trainings_side_by_side_have_a_bar_each(plan, monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(
        progress, "progress", lambda: Console(file=written, force_terminal=True, width=150, color_system=None)
    )
    speaker = Speaker(quiet=False)
    for name in ("probe 1", "probe 2"):
        speaker(OneOfSeveral(name, TrainingBegun(plan, 90.0, one_of_many=True)))
    speaker(OneOfSeveral("probe 2", EPOCH))
    one, two = speaker._bars.tasks
    assert (one.description, one.completed) == ("probe 1", 0)
    assert two.description.startswith("probe 2: member-1 epoch 1: training error 50")
    assert (two.completed, two.total) == (1, 120)
    speaker(OneOfSeveral("probe 1", TrainingEnded()))
    speaker("a line between them")
    assert "a line between them" in written.getvalue()
    speaker(OneOfSeveral("probe 2", TrainingEnded()))
    # Both bars are gone at the end, and a training by itself begins a new one.
    assert speaker._bars is None
    speaker(TrainingBegun(plan, None))
    speaker(TrainingEnded())
    assert speaker._bars is None


def test_a_training_may_end_before_it_began(capfd):
    Speaker(quiet=False)(TrainingEnded())
    assert capfd.readouterr().err == ""


def test_a_quiet_speaker_shows_nothing(plan, capfd):
    quiet = Speaker(quiet=True)
    for said in ("a line", TrainingBegun(plan, 90.0), EPOCH, TrainingEnded()):
        quiet(said)
    assert capfd.readouterr().err == ""
