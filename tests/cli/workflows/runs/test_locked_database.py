"""Another program holds the database's lock, or the disk refuses: training goes on, and nothing is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from functools import partial
from types import SimpleNamespace

import pytest

from advisor.errors import StorageError
from advisor.plans.records import EpochRecord, RunStatus
from cli.workflows import patience
from cli.workflows.forecast import machine
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.home import Home
from cli.workflows.runs import train as training
from cli.workflows.runs.description import show_run
from cli.workflows.runs.train import TrainOptions
from cli.workflows.views import TrainingEnded
from db.session import open_store

EPOCHS = 5
REQUEST = PlanRequest(
    target="2xmlp-1-4@g1", dataset="digits", epochs=EPOCHS, batch=256, hatched_epochs=3, seed=1
)


class Died(BaseException):
    """The process ends here, as `kill -9` ends it: nobody stores anything any more."""


class Browser:
    """Another program that takes the database's lock once an epoch is told, and what training says."""

    def __init__(self, home, *, network, epoch, then=None):
        self.path, self.when, self.then = home / "advisor.sqlite", (network, epoch), then
        self.connection, self.said = None, []

    def __call__(self, said):
        self.said.append(said)
        if isinstance(said, EpochRecord) and (said.network, said.epoch) == self.when:
            self.connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
            self.connection.execute("BEGIN IMMEDIATE")
        elif self.connection and self.then is not None:
            self.then(self, said)

    @property
    def lines(self):
        return [said for said in self.said if isinstance(said, str)]

    def let_go(self):
        if self.connection is not None:
            self.connection.close()


def nothing_forecast(plan, store, **others):
    return SimpleNamespace(priced=None, forecast=None)


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """One process, no forecast, a database that refuses at once, and little patience at the end."""
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    monkeypatch.setattr(training, "forecast_plan", nothing_forecast)
    for module in ("cli.workflows.runs.train", "db.session"):
        monkeypatch.setattr(f"{module}.open_store", partial(open_store, busy_seconds=0.01))
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.05)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Figures and epochs of a run that nobody disturbs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "usable_cores", lambda: 1)
        patch.setattr(training, "forecast_plan", nothing_forecast)
        home = Home(tmp_path_factory.mktemp("undisturbed"))
        run = training.train(REQUEST, TrainOptions(), home, lambda said: None)
    return run.test, stored(home.path)


def stored(home):
    """Epochs in the database in the order in which they were stored, and the steps that are done."""
    with open_store(home / "advisor.sqlite") as store:
        epochs = [(e.step, e.epoch, e.train_loss, e.validation_probabilities) for e in store.epochs(1)]
        return epochs, [(s.step, s.status, s.hatch_difference) for s in store.steps(1)]


def train(home, say):
    return training.train(REQUEST, TrainOptions(), Home(home), say)


def resume(home):
    return training.resume(1, TrainOptions(), Home(home), lambda said: None)


def left_behind(home):
    return sorted(path.name for path in (home / "runs" / "0001").rglob("unstored*"))


def test_a_training_goes_on_while_the_database_is_locked_and_stores_its_records_in_order(home, uninterrupted):
    def end_soon_after_the_training(browser, said):
        if isinstance(said, TrainingEnded):
            threading.Timer(0.1, browser.let_go).start()

    browser = Browser(home, network="mother-1", epoch=0, then=end_soon_after_the_training)
    run = train(home, browser)
    assert run.status is RunStatus.DONE
    assert (run.test, stored(home)) == uninterrupted
    assert left_behind(home) == []
    # One line when it begins, one at the end, where it is waited for.
    about = [line for line in browser.lines if "locked by another process" in line]
    assert [line.partition(":")[0] for line in about] == [
        "training goes on and its records are stored later",
        "waiting for up to 0 minutes",
    ]
    # A person sees the epochs all the same.
    assert sum(isinstance(said, EpochRecord) for said in browser.said) == EPOCHS + 3 + 3


@pytest.mark.slow
def test_a_lock_that_outlasts_the_training_is_a_storage_error_and_resuming_stores_the_rest(
    home, uninterrupted, advisor
):
    browser = Browser(home, network="mother-1", epoch=1)
    with pytest.raises(StorageError, match="run 1 is checkpointed, but how it ended is not stored") as raised:
        train(home, browser)
    assert "`advisor resume 1` stores it" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert left_behind(home)
    browser.let_go()
    assert show_run(Home(home), "1").status is RunStatus.INTERRUPTED
    run = resume(home)
    assert (run.test, stored(home)) == uninterrupted
    assert left_behind(home) == []


@pytest.mark.parametrize(
    ("network", "epoch"),
    [pytest.param("mother-1", 4, marks=pytest.mark.slow), ("member-2", 1)],
)
def test_a_process_that_is_killed_while_the_database_is_locked_loses_no_record(
    home, uninterrupted, network, epoch
):
    def die(browser, said):
        if isinstance(said, EpochRecord) and (said.network, said.epoch) == (network, epoch):
            raise Died

    browser = Browser(home, network="mother-1", epoch=0, then=die)
    with pytest.raises(Died):
        train(home, browser)
    browser.let_go()
    run = resume(home)
    assert (run.test, stored(home)) == uninterrupted


@pytest.mark.slow
def test_a_disk_that_refuses_the_database_to_the_end_ends_the_training_with_checkpoints(
    home, uninterrupted, monkeypatch
):
    def full(*arguments, **values):
        raise StorageError("no space is left for the database")

    with monkeypatch.context() as patch:
        patch.setattr("db.queries.Store.record_epoch", full)
        with pytest.raises(StorageError, match="no space is left"):
            train(home, lambda said: None)
    run = resume(home)
    assert (run.test, stored(home)) == uninterrupted


@pytest.mark.slow
def test_a_training_that_is_asked_to_stop_does_not_wait_for_the_lock(home, monkeypatch):
    def terminate(browser, said):
        if isinstance(said, EpochRecord):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 600.0)
    browser = Browser(home, network="mother-1", epoch=1, then=terminate)
    with pytest.raises(StorageError, match="locked by another process"):
        training.train(REQUEST, TrainOptions(take_signals=True), Home(home), browser)
    browser.let_go()
