"""Training as a function: off the main thread, and with the signals of the program that calls it."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import trainer
from advisor.errors import InterruptedRunError
from advisor.plans.records import RunStatus
from cli.progress import Speaker
from cli.workflows.forecast import machine
from cli.workflows.forecast.planning import PlanRequest
from cli.workflows.home import Home
from cli.workflows.runs.description import show_run
from cli.workflows.runs.train import TrainOptions, resume, train

SILENT = Speaker(quiet=True)
# Enough that an interrupt after the first comes before the last.
EPOCHS = 20


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    """Plans of one process, which train in this one: starting others takes far longer than they train."""
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)


@pytest.fixture
def place(home):
    return Home(home)


def request(epochs):
    return PlanRequest(target="mlp-1-4", dataset="digits", epochs=epochs, seed=1)


def trained(place, epochs, **options):
    return train(request(epochs), TrainOptions(**options), place, SILENT)


@pytest.fixture
def interrupting(home):
    """Send this process a SIGINT as soon as a network has a checkpoint."""

    def interrupt():
        latest = time.monotonic() + 60
        while time.monotonic() < latest:
            if list(home.glob("runs/0001/networks/*/checkpoint-*.safetensors")):
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.002)

    thread = threading.Thread(target=interrupt)
    thread.start()
    yield
    thread.join()


def test_a_program_can_train_off_the_main_thread(place):
    with ThreadPoolExecutor(1) as executor:
        run = executor.submit(trained, place, 2).result()
    assert run.status is RunStatus.DONE
    assert run.test is not None
    assert 0 < run.test.error < 1
    assert run.path == place.path / "runs" / "0001"
    assert len(trainer.load(run.path).members) == len(run.plan.members) == 1
    assert run == show_run(place, "last")
    assert "mlp-1-4 on digits, 2 epochs" in run._repr_html_()


def test_signals_keep_their_handlers_unless_training_may_take_them(place, monkeypatch):
    taken = []
    monkeypatch.setattr("cli.workflows.stopping.signal.signal", lambda number, handler: taken.append(number))
    # As in a terminal; `nohup` would have SIGHUP ignored.
    monkeypatch.setattr("cli.workflows.stopping.signal.getsignal", lambda number: signal.SIG_DFL)
    trained(place, 1)
    assert taken == []
    trained(place, 1, take_signals=True)
    assert set(taken) == {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


@pytest.mark.slow
def test_a_keyboard_interrupt_marks_the_run_and_reaches_the_program(place, interrupting):
    with pytest.raises(KeyboardInterrupt):
        trained(place, EPOCHS)
    run = show_run(place, "1")
    assert (run.status, run.message) == (RunStatus.INTERRUPTED, "SIGINT")
    assert run.train_seconds > 0
    assert 0 < run.networks[0].epochs < EPOCHS
    assert run.test is None
    resumed = resume(1, TrainOptions(), place, SILENT)
    assert resumed.test == trained(place, EPOCHS).test


@pytest.mark.slow
def test_the_same_signal_checkpoints_where_training_may_take_it(place, interrupting):
    with pytest.raises(InterruptedRunError, match="interrupted and checkpointed"):
        trained(place, EPOCHS, take_signals=True)
    assert show_run(place, "1").status is RunStatus.INTERRUPTED
