"""What is shown of runs while they train and after: curves, progress, and whether forecasts were right."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator
from recorded_runs import DIGITS, epoch_of, packed, record_run
from sqlalchemy import Engine, event

import advisor as face
from advisor.conformal import Correction, Quantity
from advisor.estimate import Estimate
from advisor.plans.method_traits import Method
from advisor.plans.records import Forecast, PredictedStep, RunStatus
from cli.workflows.answers.examine.parts import QuantityCoverage
from cli.workflows.answers.runs.curves import CurvePoint, EnsemblePoint
from cli.workflows.answers.schema import schema_of
from cli.workflows.forecast import machine
from cli.workflows.home import Home
from cli.workflows.runs.watching.curves import run_curves
from cli.workflows.runs.watching.ensemble_curve import MemberCurve, _common_epochs, ensemble_curve
from cli.workflows.runs.watching.forecast_history import forecast_history
from cli.workflows.runs.watching.sample import even_sample
from db.session import open_store
from trainer.data.loading import load_data
from trainer.training.stored_probabilities import unpack_probabilities

# A cluster of two members and one of one: a mother of 10 epochs, members of 3, and one of 10 from scratch.
CLUSTERED = "3xmlp-1-8@g2"
FORECAST = Forecast(
    train_seconds=(100.0, 80.0, 150.0),
    train_peak_bytes=(4e6, 2e6, 8e6),
    inference_ms_per_image=None,
    test_error=(0.05, 0.04, 0.08),
    steps=tuple(
        PredictedStep(step=f"train {name}", mean=mean, low=mean / 2, high=2 * mean)
        for name, mean in (("mother-1", 40.0), ("member-1", 10.0), ("member-2", 10.0), ("member-3", 40.0))
    ),
)


@pytest.fixture
def store(home):
    with open_store(Home(home).database) as opened:
        yield opened


def falling(first, count):
    return [first - 0.01 * i for i in range(count)]


def test_a_hatched_member_goes_on_where_its_mother_ended(store, home):
    curves = {
        "mother-1": falling(0.5, 10),
        "member-1": [0.3, 0.2, 0.1],
        "member-2": [0.2, 0.2, 0.2],
        "member-3": falling(0.4, 10),
    }
    record_run(store, CLUSTERED, curves, epochs=10, forecast=FORECAST, error=0.07)
    found = run_curves(Home(home), "last")
    networks = {n.name: n for n in found.networks}
    assert {n.name: (n.role.value, n.mother, n.cluster, n.start) for n in found.networks} == {
        "mother-1": ("mother", None, 1, 0),
        "member-1": ("member", "mother-1", 1, 10),
        "member-2": ("member", "mother-1", 1, 10),
        "member-3": ("member", None, 2, 0),
    }
    assert [p.epoch for p in networks["mother-1"].points] == list(range(1, 11))
    assert networks["member-1"].points[0] == CurvePoint(
        epoch=11, validation_error=0.3, train_error=0.3, seconds=1.0
    )
    assert [p.epoch for p in networks["member-1"].points] == [11, 12, 13]
    # The member from scratch has ended at 10 with 0.31, and stays as it is while the others train.
    assert [p.epoch for p in found.ensemble] == [11, 12, 13]
    means = [(0.3 + 0.2 + 0.31) / 3, (0.2 + 0.2 + 0.31) / 3, (0.1 + 0.2 + 0.31) / 3]
    assert [p.mean_member_error for p in found.ensemble] == pytest.approx(means)
    assert {p.validation_error for p in found.ensemble} == {None}
    assert (found.status, found.test_error) == (RunStatus.DONE, 0.07)
    assert found.predicted_test_error == Estimate(0.05, 0.04, 0.08)
    assert (found.progress.epochs_done, found.progress.epochs_planned) == (26, 26)
    assert found.progress.seconds_left == Estimate.exact(0.0)
    for answer in (found, forecast_history(Home(home))):
        Draft202012Validator(schema_of(type(answer))).validate(json.loads(json.dumps(answer.to_json())))


def test_members_disagree_on_the_images_that_are_counted_by_hand(store, home):
    # Of four images: two pairs of three differ on one image each, then no pair on any.
    answers = {
        "member-1": [[0, 1, 2, 3], [0, 1, 2, 3]],
        "member-2": [[0, 1, 2, 3], [0, 1, 2, 3]],
        "member-3": [[0, 1, 2, 9], [0, 1, 2, 3]],
    }
    record_run(store, "3xmlp-1-8", {name: [0.5, 0.4] for name in answers}, epochs=2, answers=answers)
    shares = [p.disagreement for p in run_curves(Home(home), "1").ensemble]
    assert shares == pytest.approx([2 / 3 / 4, 0.0])
    without = run_curves(Home(home), "1", probabilities=False)
    assert [(p.epoch, p.disagreement) for p in without.ensemble] == [(1, None), (2, None)]


def test_the_error_of_the_ensemble_is_that_of_the_averaged_probabilities(store, home):
    # Answers are given with a probability of 0.9: of three members, two outvote the third.
    answers = {
        "member-1": [[0, 1, 5, 3], [0, 1, 2, 3]],
        "member-2": [[0, 1, 5, 7], [0, 1, 2, 3]],
        "member-3": [[0, 6, 2, 3], [0, 1, 2, 9]],
    }
    curves = {name: [0.5, 0.4] for name in answers}
    run = record_run(store, "3xmlp-1-8", curves, epochs=2, answers=answers)
    assert [p.validation_error for p in run_curves(Home(home), "1").ensemble] == [None, None]
    store.set_validation_classes(run, [0, 1, 2, 3])
    assert [p.validation_error for p in run_curves(Home(home), "1").ensemble] == [0.25, 0.0]
    without = run_curves(Home(home), "1", probabilities=False)
    assert [p.validation_error for p in without.ensemble] == [None, None]
    # Classes of other images than those that the members answered for.
    store.set_validation_classes(run, [0, 1, 2])
    assert [p.validation_error for p in run_curves(Home(home), "1").ensemble] == [None, None]


def test_a_network_of_several_members_counts_as_often_as_it_has_members(store, home):
    joint, single = MemberCurve([point(1)], [("a", 0)], True, 3), MemberCurve([point(1)], [("b", 0)], True, 1)
    run = record_run(store, "2xmlp-1-8", {}, epochs=1)
    store.set_validation_classes(run, [0, 1])
    for step, answers in (("a", [0, 5]), ("b", [7, 1])):
        store.record_epoch(run, replace(epoch_of("member-1", 0, 0.5, packed(answers)), step=step))
    (found,) = ensemble_curve(store, store.run(run), [joint, single], probabilities=True)
    # Both answers of the joint network stand, the right and the wrong one.
    assert (found.validation_error, found.mean_member_error, found.disagreement) == (0.5, None, None)


def test_a_real_training_has_the_error_that_its_probabilities_and_its_data_give(home, monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    face.train("2xmlp-1-8", dataset="digits", epochs=2, home=home)
    point = run_curves(Home(home), "last").ensemble[-1]
    with open_store(Home(home).database) as store:
        last = [e for e in store.epochs(1) if e.epoch == 1]
    members = [unpack_probabilities(e.validation_probabilities, 10) for e in last]
    answers = (members[0] / 2 + members[1] / 2).argmax(axis=1)
    labels = load_data(DIGITS, home / "data").validation.labels.numpy()
    # Two averages may be equal in one way of counting and not in the other.
    assert point.validation_error == pytest.approx((answers != labels).mean(), abs=2.1 / len(labels))
    assert 0 < point.validation_error <= point.mean_member_error + 2.1 / len(labels)


def test_a_run_without_any_epoch_has_its_plan_and_nothing_else(store, home):
    record_run(store, CLUSTERED, {}, epochs=10, status=RunStatus.RUNNING, seconds=0.0)
    found = run_curves(Home(home), "1")
    # No process trains it.
    assert found.status is RunStatus.INTERRUPTED
    assert [(n.start, n.planned_epochs, n.points) for n in found.networks] == [
        (0, 10, ()),
        (10, 3, ()),
        (10, 3, ()),
        (0, 10, ()),
    ]
    assert found.ensemble == ()
    assert (found.progress.epochs_done, found.progress.epochs_planned) == (0, 26)
    assert found.progress.seconds_left is found.predicted_test_error is found.test_error is None


def test_what_is_left_is_the_forecast_of_the_rest_at_the_pace_so_far(store, home):
    # 5 of 10 epochs of the mother: 20 of 100 predicted seconds are done, and took 1 s each: 5 s.
    record_run(
        store,
        CLUSTERED,
        {"mother-1": falling(0.5, 5)},
        epochs=10,
        forecast=FORECAST,
        status=RunStatus.RUNNING,
        ended=(),
        seconds=6.0,
    )
    progress = run_curves(Home(home), "1").progress
    assert (progress.epochs_done, progress.seconds_spent) == (5, 6.0)
    left, factor = progress.seconds_left, 0.8 * 5 / 20
    assert (left.mean, left.low, left.high) == pytest.approx((100 * factor, 80 * factor, 150 * factor))


def test_the_ensemble_waits_for_a_member_that_is_behind(store, home):
    curves = {"member-1": falling(0.5, 4), "member-2": falling(0.5, 2)}
    record_run(store, "2xmlp-1-8", curves, epochs=4, ended=(), status=RunStatus.RUNNING)
    record_run(store, "2xmlp-1-8", curves, epochs=4, ended=("member-2",), status=RunStatus.RUNNING)
    record_run(store, "2xmlp-1-8", {"member-1": falling(0.5, 4)}, epochs=4, status=RunStatus.RUNNING)
    assert [p.epoch for p in run_curves(Home(home), "1").ensemble] == [1, 2]
    assert [p.epoch for p in run_curves(Home(home), "2").ensemble] == [1, 2, 3, 4]
    assert run_curves(Home(home), "3").ensemble == ()


def test_a_member_that_diverged_is_left_out_and_its_error_is_unknown(store, home):
    curves = {"member-1": [0.5, math.nan], "member-2": [0.4, 0.3], "member-3": [0.2, 0.1]}
    record_run(
        store,
        "3xmlp-1-8",
        curves,
        epochs=2,
        ended=("member-2", "member-3"),
        failed=("member-1",),
        status=RunStatus.PARTIAL,
    )
    found = run_curves(Home(home), "1")
    assert [p.validation_error for p in found.networks[0].points] == [0.5, None]
    assert [p.mean_member_error for p in found.ensemble] == pytest.approx([0.3, 0.2])


def test_snapshots_follow_each_other_and_one_network_is_its_own_ensemble(store, home):
    # Cycles of 60 of 128 epochs: 5 of 10.
    curves = {"member-1": falling(0.5, 5), "member-2": falling(0.4, 5)}
    record_run(store, "2xmlp-1-8", curves, epochs=10, method=Method.SNAPSHOT)
    record_run(store, "mlp-1-8", {"member-1": [0.5, 0.25]}, epochs=2)
    chain = run_curves(Home(home), "1")
    assert [(n.mother, n.cluster, n.start) for n in chain.networks] == [(None, 1, 0), ("member-1", 1, 5)]
    assert [p.epoch for p in chain.ensemble] == [6, 7, 8, 9, 10]
    assert run_curves(Home(home), "2").ensemble[-1] == EnsemblePoint(
        epoch=2, mean_member_error=0.25, validation_error=0.25, disagreement=None
    )


def test_without_probabilities_the_large_probabilities_are_not_read(store, home):
    record_run(store, "2xmlp-1-8", {"member-1": [0.5], "member-2": [0.5]}, epochs=1)
    asked: list[str] = []

    def note(connection, cursor, statement, *rest):
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        run_curves(Home(home), "1", probabilities=False)
        assert not any("validation_probabilities" in sql for sql in asked)
        run_curves(Home(home), "1")
        assert any("validation_probabilities" in sql for sql in asked)
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_a_damaged_epoch_is_one_line(store, home, advisor):
    run = record_run(store, "mlp-1-8", {}, epochs=2)
    store.record_epoch(run, epoch_of("member-1", 0, 0.5))
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE epochs SET validation_error = 7")
    answer = advisor("runs", "show", "1", "--plot", "curves.svg")
    assert answer.code == 4
    assert "row 1 of epochs is damaged" in answer.error_line


def test_a_sample_is_even_and_has_both_ends():
    assert even_sample(range(10), 4) == [0, 3, 6, 9]
    assert even_sample([1, 2], 4) == [1, 2]
    long = MemberCurve([point(i) for i in range(1, 2001)], [], True, 1)
    assert _common_epochs([long])[-1] == 2000


def point(epoch):
    return CurvePoint(epoch=epoch, validation_error=0.5, train_error=0.5, seconds=1.0)


def test_forecasts_stand_beside_what_they_came_to(store, home):
    hostile = replace(DIGITS, name="folder:<img src=x onerror=alert(1)>")
    record_run(store, "mlp-1-8", {}, forecast=FORECAST, error=0.07, seconds=90.0)
    record_run(
        store,
        "mlp-1-8",
        {"member-1": [0.5]},
        forecast=FORECAST,
        error=0.2,
        seconds=200.0,
        peak=3_000_000,
        fingerprint="elsewhere",
        facts=hostile,
    )
    record_run(store, "mlp-1-8", {}, forecast=FORECAST, status=RunStatus.FAILED)
    record_run(store, "mlp-1-8", {}, error=0.1)
    found = forecast_history(Home(home))
    assert [(f.run, f.quantity.value, f.actual, f.inside) for f in found.forecasts] == [
        (2, "time", 200.0, False),
        (2, "memory", 3_000_000, True),
        (2, "error", 0.2, False),
        (1, "time", 90.0, True),
        (1, "error", 0.07, True),
    ]
    assert found.forecasts[0].predicted == Estimate(100.0, 80.0, 150.0)
    assert (found.forecasts[0].design, found.forecasts[0].dataset) == ("mlp-1-8", hostile.name)
    assert found.coverage == (
        QuantityCoverage(quantity=Quantity.TIME, forecasts=2, inside=1),
        QuantityCoverage(quantity=Quantity.MEMORY, forecasts=1, inside=1),
        QuantityCoverage(quantity=Quantity.ERROR, forecasts=2, inside=1),
    )
    assert (found.runs, found.machines, found.devices) == (2, 2, ("cpu",))


def test_the_history_has_every_run_and_its_corrections(store, home):
    corrections = (Correction(quantity=Quantity.ERROR, basis="runs", factor=1.5, own=3, shipped=4),)
    corrected = replace(FORECAST, corrections=corrections)
    record_run(store, "mlp-1-8", {}, forecast=corrected, error=0.07)
    with store.engine.begin() as connection:
        columns = [row[1] for row in connection.exec_driver_sql("PRAGMA table_info(runs)") if row[1] != "id"]
        names = ", ".join(f'"{name}"' for name in columns)
        connection.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1199) "
            f"INSERT INTO runs ({names}) SELECT {names} FROM runs, n WHERE runs.id = 1"
        )
    assert forecast_history(Home(home)).runs == 1200
    assert [run.id for run in store.finished_runs(2)] == [1200, 1199]
    assert store.finished_runs(1)[0].forecast == replace(corrected, steps=())


def test_a_home_without_runs_has_an_empty_history(home):
    assert forecast_history(Home(home)).forecasts == ()
    assert not home.exists()
