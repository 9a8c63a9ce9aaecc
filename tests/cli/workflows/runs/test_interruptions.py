"""Signals at bad moments, and other processes at the same time; what needs real processes is slow."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from terminals import as_in_a_terminal

from advisor.errors import DeadlineError, InterruptedRunError, RunError, UsageError
from advisor.plans.records import RunStatus
from cli.workflows.forecast import machine
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.home import Home
from cli.workflows.locks import is_locked, locked, temporary_folder
from cli.workflows.runs import conclusion
from cli.workflows.runs import train as training
from cli.workflows.runs.description import show_run
from cli.workflows.runs.train import TrainOptions
from db.session import open_store
from trainer.training import checkpoint

REQUEST = PlanRequest(target="mlp-1-4", dataset="digits", epochs=4, batch=256, seed=1)
LONGER = ("train", "2xresnet-8-4@g1", "--dataset", "digits", "--epochs", "60", "--seed", "5")
SIGNALS = TrainOptions(take_signals=True)


def silent(said):
    pass


def terminate_once():
    """Return a function that sends this process a SIGTERM the first time that it is called."""
    sent = []

    def send():
        if not sent:
            sent.append(True)
            os.kill(os.getpid(), signal.SIGTERM)

    return send


@pytest.fixture
def place(home, monkeypatch):
    """A home for trainings in this process, without forecasts, which take longer than they do."""
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    nothing = SimpleNamespace(priced=None, forecast=None)
    monkeypatch.setattr(training, "forecast_plan", lambda plan, store, **others: nothing)
    return Home(home)


# In this process.


def test_a_signal_during_the_evaluation_or_while_a_checkpoint_is_written_changes_no_result(
    place, monkeypatch, tmp_path
):
    undisturbed = training.train(REQUEST, TrainOptions(), Home(tmp_path / "undisturbed"), silent)

    with monkeypatch.context() as patch:
        terminate, evaluate = terminate_once(), conclusion.evaluate
        patch.setattr(conclusion, "evaluate", lambda *given: (terminate(), evaluate(*given))[1])
        with pytest.raises(InterruptedRunError, match="continue with `advisor resume 1`") as raised:
            training.train(REQUEST, SIGNALS, place, silent)
    assert raised.value.exit_code == 143
    run = show_run(place, "1")
    assert (run.status, run.message, run.test) == (RunStatus.INTERRUPTED, "SIGTERM", None)
    assert training.resume(1, SIGNALS, place, silent).test == undisturbed.test

    with monkeypatch.context() as patch:
        terminate, write = terminate_once(), checkpoint.write_checkpoint_files
        patch.setattr(checkpoint, "write_checkpoint_files", lambda *given: (terminate(), write(*given))[1])
        with pytest.raises(InterruptedRunError):
            training.train(REQUEST, SIGNALS, place, silent)
    assert 0 < show_run(place, "2").networks[0].epochs < REQUEST.epochs
    assert training.resume(2, SIGNALS, place, silent).test == undisturbed.test


def test_a_run_that_another_process_ended_before_this_one_had_its_lock_is_not_resumed(place, monkeypatch):
    with pytest.raises(DeadlineError):
        training.train(REQUEST, TrainOptions(time_limit=1e-9), place, silent)

    @contextmanager
    def after_another_process(folder, what):
        with open_store(place.database) as store:
            store.update_run(1, status=RunStatus.DONE, train_seconds=7.0)
        with locked(folder, what):
            yield

    monkeypatch.setattr(training, "locked", after_another_process)
    with pytest.raises(UsageError, match="run 1 is done: there is nothing to resume"):
        training.resume(1, SIGNALS, place, silent)
    run = show_run(place, "1")
    assert (run.status, run.train_seconds) == (RunStatus.DONE, 7.0)


def test_a_run_whose_folder_cannot_be_made_is_marked_as_failed_with_a_message(advisor, home):
    home.mkdir()
    (home / "runs").write_text("a file where the folder of all runs should be")
    refused = advisor("train", "mlp-1-4", "--dataset", "digits", "--epochs", "2", "-q")
    assert refused.code == 4
    assert "cannot write to" in refused.error_line
    (run,) = advisor("runs", "list", "--json").json["runs"]
    assert (run["status"], "cannot write to" in run["message"]) == ("failed", True)


def test_a_lock_says_who_has_it(tmp_path):
    with (
        locked(tmp_path, "run 1"),
        pytest.raises(RunError, match=rf"run 1 is in use by another process \({os.getpid()} on .+, since 20"),
        locked(tmp_path, "run 1"),
    ):
        pass
    assert not is_locked(tmp_path)


def test_temporary_folders_of_killed_processes_are_removed_and_those_in_use_are_not(tmp_path):
    left, new = tmp_path / "left", tmp_path / "new"
    for folder in (left, new):
        folder.mkdir()
        (folder / "checkpoint").touch()
    os.utime(left, (0, 0))
    with temporary_folder(tmp_path) as first:
        os.utime(first, (0, 0))
        with temporary_folder(tmp_path) as second:
            assert sorted(tmp_path.iterdir()) == sorted([first, second, new])
    assert list(tmp_path.iterdir()) == [new]


# Processes of their own.


@contextmanager
def begun(command, home, *arguments, until="epoch 2", prepare=None):
    """A command in a process and session of its own that has told a line."""

    def prepared():
        as_in_a_terminal()
        if prepare:
            prepare()

    with subprocess.Popen(
        [*command, "--home", str(home), *arguments],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        preexec_fn=prepared,
    ) as process:
        try:
            assert process.stderr is not None
            assert any(until in line for line in process.stderr)
            yield process
        finally:
            process.kill()


@contextmanager
def database_locked(home):
    connection = sqlite3.connect(home / "advisor.sqlite", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    with contextlib.closing(connection):
        yield


@pytest.fixture(scope="module")
def reference(train_apart):
    """A run that nobody disturbs: its figures, and the figures of its epochs."""
    home, run = train_apart(LONGER)
    return run["test"], epochs_of(home)


def epochs_of(home):
    with open_store(home / "advisor.sqlite") as store:
        return {(e.step, e.epoch): (e.train_loss, e.validation_probabilities) for e in store.epochs(1)}


@pytest.mark.slow
@pytest.mark.parametrize("core", [None, "to_one_core"])
def test_a_lock_of_8_seconds_in_another_program_does_not_end_a_training(
    home, command_apart, reference, request, core
):
    prepare = request.getfixturevalue(core) if core else None
    with begun(command_apart, home, *LONGER, "--json", prepare=prepare) as process:
        with database_locked(home):
            time.sleep(8)
        out, err = process.communicate()
    assert (process.returncode, json.loads(out)["run"]["test"]) == (0, reference[0])
    assert epochs_of(home) == reference[1]
    assert sum("locked by another process" in line for line in err.splitlines()) in (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("core", [None, "to_one_core"])
def test_kill_9_while_the_database_is_locked_loses_no_record(
    home, command_apart, reference, request, core, advisor
):
    prepare = request.getfixturevalue(core) if core else None
    with begun(command_apart, home, *LONGER, prepare=prepare) as process, database_locked(home):
        # The parent waits for the lock while its workers go on.
        time.sleep(2)
        process.kill()
        process.wait()
    assert advisor("resume", "--json", "-q").json["run"]["test"] == reference[0]
    assert epochs_of(home) == reference[1]


@pytest.mark.slow
def test_a_closed_terminal_interrupts_a_training_within_the_epoch(home, command_apart, advisor, reference):
    process, terminal = pty.fork()
    if process == 0:
        as_in_a_terminal()
        os.execv(command_apart[0], [*command_apart, "--home", str(home), *LONGER])
    told = b""
    while b"epoch 2" not in told:
        told += os.read(terminal, 1000)
    # The kernel sends SIGHUP to all processes of the terminal, and writing to it fails from now on.
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    run = advisor("runs", "show", "1", "--json").json["run"]
    assert (run["status"], run["message"]) == ("interrupted", "SIGHUP")
    assert advisor("resume", "--json", "-q").json["run"]["test"] == reference[0]


@pytest.mark.slow
def test_under_nohup_a_closed_terminal_changes_nothing(home, command_apart, reference):
    def as_nohup():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with begun(command_apart, home, *LONGER, "--json", prepare=as_nohup) as process:
        os.killpg(process.pid, signal.SIGHUP)
        out, _ = process.communicate()
    assert (process.returncode, json.loads(out)["run"]["test"]) == (0, reference[0])


@pytest.mark.slow
def test_a_second_signal_ends_a_training_at_once(home):
    stuck = """
        import sys, time
        import cli.workflows.runs.train as training
        from cli.app import main

        def execute(*given):
            print("stuck", file=sys.stderr)
            time.sleep(600)

        training.execute = execute
        main()
    """
    command = [sys.executable, "-c", textwrap.dedent(stuck)]
    with begun(command, home, *LONGER, until="stuck") as process:
        process.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_a_recommendation_and_the_processes_that_measure_for_it(
    home, command_apart, number, code
):
    asked = ("recommend", "--budget", "60k", "--epochs", "20", "--dataset", "digits")
    measuring = (*asked, "--profile-seconds", "60")
    with begun(command_apart, home, *measuring, until="measuring") as process:
        time.sleep(3)
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert "Traceback" not in err


@pytest.mark.slow
def test_of_two_resumes_at_once_one_goes_on_and_the_other_says_who_has_the_run(
    home, command_apart, advisor, reference
):
    assert advisor(*LONGER, "--time-limit", "3s", "-q").code == 75
    resume = [*command_apart, "--home", str(home), "resume", "1", "--json", "-q"]
    both = [subprocess.Popen(resume, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "12"]
    try:
        said = [process.communicate() for process in both]
    finally:
        for process in both:
            process.kill()
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 1], said
    won, lost = codes.index(0), codes.index(1)
    assert json.loads(said[won][0])["run"]["test"] == reference[0]
    assert said[lost][0] == ""
    (line,) = said[lost][1].strip().splitlines()
    assert f"run 1 is in use by another process ({both[won].pid} on " in line
    assert epochs_of(home) == reference[1]


@pytest.mark.slow
def test_during_a_training_others_train_recommend_back_up_and_nothing_is_mixed(
    home, command_apart, advisor, reference, tmp_path
):
    copy = tmp_path / "copy"
    copy.mkdir()
    with begun(command_apart, home, *LONGER, "--json") as process:
        # First, because on a busy machine the training may end before the others do.
        refused = [advisor("resume", "1", "-q"), advisor("runs", "delete", "1", "--yes")]
        other = advisor("train", "mlp-1-4", "--dataset", "digits", "--epochs", "2", "-q", "--json")
        asked = ("recommend", "--budget", "20k", "--epochs", "5", "--dataset", "digits")
        advice = advisor(*asked, "--profile-seconds", "0", "--trials", "10", "-q")
        copied = advisor("db", "backup", str(copy / "advisor.sqlite"))
        out, _ = process.communicate()
    assert (process.returncode, json.loads(out)["run"]["test"]) == (0, reference[0])
    assert (other.code, other.json["run"]["id"], advice.code) == (0, 2, 0)
    assert [answer.code for answer in refused] == [1, 1]
    assert epochs_of(home) == reference[1]
    assert advisor("db", "check").code == 0
    assert copied.code == 0
    assert advisor("--home", str(copy), "db", "check").code == 0
