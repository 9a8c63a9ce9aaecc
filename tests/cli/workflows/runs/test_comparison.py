"""Runs compared: which of them are a group, and by how much groups differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.group_difference import CountedError, difference_by_counting, difference_over_seeds
from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS, Augmentation
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from advisor.plans.records import EnsembleMetrics, RunStatus
from cli.workflows.forecast.evidence import evidence_of
from cli.workflows.home import Home
from cli.workflows.runs.comparison import compare_runs
from db.session import open_store

EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="contiguous")


def plan(design="mlp-1-8", seed=0, epochs=3, execution=EXECUTION, facts=DATASETS["digits"]):
    return make_plan(parse_design(design), facts, epochs=epochs, batch=32, seed=seed, execution=execution)


def figures(error, nll=0.5, calibration_error=0.02, members=1):
    return EnsembleMetrics(
        error=error,
        member_errors=(error,) * members,
        oracle_error=error,
        disagreement=0.0,
        nll=nll,
        calibration_error=calibration_error,
    )


@pytest.fixture
def stored(home):
    """Store runs of plans with their figures, None for one that is not finished."""

    def store(*runs):
        with open_store(Home(home).database) as opened:
            for each, test in runs:
                run = opened.create_run(
                    created_at="2026-01-01T00:00:00+00:00",
                    plan=each,
                    parameters=1,
                    fingerprint="",
                    forecast=None,
                )
                status = RunStatus.DONE if test else RunStatus.FAILED
                opened.update_run(run.id, status=status, train_seconds=1.0, test=test)
        return Home(home)

    return store


def compared(home, *numbers):
    return compare_runs(home, [str(number) for number in numbers])


def test_runs_that_differ_by_nothing_but_their_seed_are_a_group(stored):
    faster = replace(EXECUTION, processes=1, threads=2, memory_format="channels_last")
    home = stored(
        (plan(), figures(0.1)),
        (plan(seed=7, execution=faster), figures(0.2)),
        (plan(epochs=4), figures(0.1)),
        (plan("mlp-1-9"), figures(0.1)),
        (plan(facts=replace(DATASETS["digits"], augmentation=Augmentation.NONE)), figures(0.1)),
        (plan(execution=replace(EXECUTION, dtype="bfloat16")), figures(0.1)),
    )
    groups = compared(home, 1, 3, 2, 4, 5, 6).groups
    assert [group.runs for group in groups] == [(1, 2), (3,), (4,), (5,), (6,)]
    assert groups[0].test_error == pytest.approx(0.15)


def test_groups_of_several_seeds_have_an_interval_over_seeds(stored):
    errors, others = (0.10, 0.12, 0.11), (0.20, 0.24)
    home = stored(
        *[(plan(seed=i), figures(e, nll=2 * e)) for i, e in enumerate(errors)],
        *[(plan("mlp-1-9", seed=i), figures(e, nll=2 * e)) for i, e in enumerate(others)],
    )
    answer = compared(home, 1, 2, 3, 4, 5)
    (difference,) = answer.differences
    assert difference.test_error.basis == "seeds"
    assert difference.test_error.value == difference_over_seeds(others, errors, resolution=1 / 360)
    expected = difference_over_seeds([2 * e for e in others], [2 * e for e in errors])
    assert (difference.nll.basis, difference.nll.value) == ("seeds", expected)
    assert difference.calibration_error is not None


def test_a_single_run_has_an_interval_by_counting_and_forecast_seed_noise(stored):
    home = stored((plan(), figures(0.1)), (plan("2xmlp-1-8"), figures(0.2, members=2)))
    (difference,) = compared(home, 1, 2).differences
    assert difference.test_error.basis == "counting and forecast seed noise"
    assert difference.nll is difference.calibration_error is None
    # An ensemble of two has 1/√2 of the noise between seeds of one network.
    with open_store(home.database) as store:
        std = AccuracyPredictor(["digits"], evidence_of(store.runs())).seed_stds["digits"]
    expected = difference_by_counting(
        CountedError(error=0.2, trainings=1, seed_std=std / 2**0.5, images=360),
        CountedError(error=0.1, trainings=1, seed_std=std, images=360),
    )
    found = difference.test_error.value
    assert (found.mean, found.low, found.high) == pytest.approx((expected.mean, expected.low, expected.high))


def test_a_seed_counts_once_and_unfinished_runs_do_not(stored):
    home = stored(
        (plan(), figures(0.1)),
        (plan(), figures(0.3)),
        (plan(seed=1), None),
        (plan("mlp-1-9"), None),
    )
    answer = compared(home, 1, 2, 3, 4)
    assert [(group.runs, group.counted) for group in answer.groups] == [((1, 2, 3), (1,)), ((4,), ())]
    (difference,) = answer.differences
    assert difference.test_error is None


def test_runs_on_other_test_images_are_not_subtracted(stored):
    fewer = replace(DATASETS["digits"], test_images=300)
    home = stored((plan(), figures(0.1)), (plan(facts=fewer), figures(0.2)))
    (difference,) = compared(home, 1, 2).differences
    assert (difference.same_test_images, difference.test_error) == (False, None)


def test_a_person_sees_the_differences_and_what_they_rest_on(stored, advisor):
    stored(
        (plan(), figures(0.1)),
        (plan(seed=1), figures(0.12)),
        (plan("2xmlp-1-8"), figures(0.05)),
        (plan("2xmlp-1-8", seed=1), figures(0.06)),
        (plan("mlp-1-9"), figures(0.2)),
    )
    shown = advisor("runs", "compare", "1", "2", "3", "4", "5").out
    assert "90 % interval" in shown
    assert "-5.50" in shown
    assert "+9.00*" in shown
    assert "Student's t over the seeds of both groups" in shown
    assert "* of a single run: counting on test images, and forecast seed noise." in shown
    json = advisor("runs", "compare", "1", "2", "3", "4", "5", "--json").json
    assert [group["runs"] for group in json["groups"]] == [[1, 2], [3, 4], [5]]
    assert json["differences"][0]["test_error"]["basis"] == "seeds"


@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_differences_fit_into_a_terminal(stored, advisor, monkeypatch, columns):
    stored((plan(), figures(0.1)), (plan("mlp-1-9"), figures(0.2)))
    monkeypatch.setenv("COLUMNS", columns)
    lines = advisor("runs", "compare", "1", "2").out.splitlines()
    assert max(map(len, lines)) <= int(columns)
