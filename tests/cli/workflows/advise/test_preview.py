"""Advice for a page: predictors stay fitted, and the ranking is that of the command line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from measured import home_with_steps, step_of
from recorded_runs import DIGITS, record_run

from advisor.errors import InfeasibleError, UsageError
from advisor.plans.records import RunStatus
from cli.workflows.advise import preview
from cli.workflows.advise.preview import FIRST_LOOK, Previews, SupersededError
from cli.workflows.advise.recommend import recommend
from cli.workflows.answers.advise.advice import Advice
from cli.workflows.answers.advise.request import RecommendRequest
from cli.workflows.answers.stored import answer_of
from cli.workflows.forecast.machine import plain_execution
from cli.workflows.home import Home
from cli.workflows.reading import state_of_evidence
from cli.workflows.views import silent
from db.session import open_store
from profiler.device import fingerprint

REQUEST = RecommendRequest(
    budget="20k",
    epochs=3,
    dataset="digits",
    augmentation=None,
    families=("resnet",),
    members=(),
    objective="error",
    device="cpu",
    batch=16,
    seed=0,
    profile_seconds=0.0,
)
STEP = ("resnet-8-4", DIGITS.task)


@pytest.fixture(scope="module")
def measured_home(tmp_path_factory):
    return home_with_steps(tmp_path_factory.mktemp("preview"), DIGITS.task, ["resnet-8-4", "resnet-14-4"])


@pytest.fixture(scope="module")
def previews(measured_home):
    return Previews(measured_home, lambda: state_of_evidence(measured_home))


@pytest.fixture
def fits(monkeypatch):
    """How often predictors were fitted."""
    found, fitted = [], preview.Fitted

    class Counting(fitted):
        @classmethod
        def of(cls, *arguments):
            found.append(1)
            return fitted.of(*arguments)

    monkeypatch.setattr(preview, "Fitted", Counting)
    return found


def as_asked(**changes):
    return replace(REQUEST, **changes)


def test_the_whole_search_ranks_as_the_command_line_does(previews, measured_home):
    # The command looks at data that nothing is known of, which is evidence for the page, too.
    told = recommend(REQUEST, measured_home, None, silent)
    shown = previews.answer(REQUEST, whole=True)
    assert shown.whole
    for name in ("rank", "design", "method", "tie", "predicted", "probability_beats_single", "evidence"):
        assert [getattr(row, name) for row in shown.recommendations] == [
            getattr(row, name) for row in told.recommendations
        ]
    assert shown.verdict == told.verdict
    assert shown.device == told.device
    # Every design of the ranking is among the points.
    points = {(e.design, e.method): e.predicted for e in shown.evaluated}
    for row in shown.recommendations:
        assert points[row.design, row.method].train_seconds == row.predicted.train_seconds
    # What the database kept is the answer that was given.
    with open_store(measured_home.database) as store:
        stored = store.last_recommendation()
    assert answer_of(Advice, stored.payload) == told


def test_a_first_look_is_a_part_of_the_starting_points_and_says_so(previews):
    shown = previews.answer(REQUEST, whole=False)
    assert not shown.whole
    assert 1 <= len(shown.recommendations) <= shown.search.designs <= FIRST_LOOK
    whole = previews.answer(REQUEST, whole=True)
    assert {e.design for e in shown.evaluated} <= {e.design for e in whole.evaluated}


def test_predictors_are_fitted_again_only_where_there_is_more_to_learn_from(previews, measured_home, fits):
    previews.answer(REQUEST, whole=False)
    del fits[:]
    for budget, epochs in (("20k", 3), ("15k", 4), ("25k", 5)):
        previews.answer(as_asked(budget=budget, epochs=epochs), whole=False)
    assert not fits
    with open_store(measured_home.database) as store:
        run = record_run(store, "resnet-8-4", {"member-1": [0.5]}, epochs=2, status=RunStatus.RUNNING)
    previews.answer(REQUEST, whole=False)
    assert not fits, "a run that trains teaches nothing yet"
    with open_store(measured_home.database) as store:
        store.update_run(run, status=RunStatus.FAILED, train_seconds=1.0, test=None)
    previews.answer(REQUEST, whole=False)
    assert len(fits) == 1
    with open_store(measured_home.database) as store:
        store.add_measurement(step_of(*STEP, 8, fingerprint(plain_execution("cpu"))))
    previews.answer(REQUEST, whole=False)
    assert len(fits) == 2
    previews.answer(as_asked(dataset="cifar10"), whole=False)
    assert len(fits) == 3


def test_a_bad_request_is_refused_as_on_the_command_line(previews):
    with pytest.raises(UsageError, match="epochs"):
        previews.answer(as_asked(epochs=0), whole=False)
    with pytest.raises(InfeasibleError, match="smallest"):
        previews.answer(as_asked(budget="10"), whole=False)


def test_a_home_without_a_database_stays_without(home):
    previews = Previews(Home(home), lambda: state_of_evidence(Home(home)))
    assert previews.answer(REQUEST, whole=False).recommendations
    assert not home.exists()


def test_a_newer_question_of_the_same_reader_ends_a_search(tmp_path, monkeypatch):
    previews = Previews(Home(tmp_path), lambda: ())
    asked = []

    def meanwhile(trials, go_on):
        def look(own, behind):
            # The reader drags on while the search runs: another page's question changes nothing.
            previews.answer(REQUEST, whole=False, reader="another")
            go_on()
            asked.append(trials)
            previews.answer(replace(REQUEST, epochs=2), whole=False, reader="one")
            go_on()
            raise AssertionError("the search went on")

        return look

    monkeypatch.setattr(preview, "whole_search", meanwhile)
    with pytest.raises(SupersededError, match="newer question"):
        previews.answer(REQUEST, whole=True, reader="one")
    assert asked == [REQUEST.trials]
