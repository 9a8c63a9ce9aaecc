from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from advisor.cost.measurement import Fingerprint, LayerTime, Measurement, TrainedEpochs
from advisor.errors import StorageError, UsageError
from advisor.networks.layers import Task
from advisor.networks.shared_layers import graph_of
from advisor.plans.confusion import ConfusionMatrix
from advisor.plans.plan import Distillation, TrainingPlan, TrainStep
from advisor.plans.records import (
    EnsembleMetrics,
    EpochRecord,
    Forecast,
    Run,
    RunStatus,
    StepRecord,
    StepStatus,
)
from db.conversion.runs import trained_epochs_of
from db.queries import Store
from db.session import open_store

NewRun = Callable[[Store], Run]
NewEpoch = Callable[..., EpochRecord]

FINGERPRINT = Fingerprint(
    device="cpu",
    device_name="Example 9000 – “ß”",
    driver="",
    torch="2.10.0",
    threads=2,
    dtype="float32",
    memory_format="contiguous",
)
MEASUREMENT = Measurement(
    network="resnet-8-8",
    task=Task(channels=1, height=8, width=8, classes=10),
    batch=32,
    fingerprint=FINGERPRINT,
    processes=2,
    forward_seconds=0.001,
    backward_seconds=0.002,
    optimizer_seconds=0.0005,
    step_seconds=0.004,
    step_iqr_seconds=0.0001,
    inference_seconds=0.0009,
    peak_bytes=None,
    spent_seconds=1.25,
    measured_at="2026-01-01T00:00:00+00:00",
)
LAYERS = (
    LayerTime(name="stem.conv", forward_seconds=0.1, backward_seconds=1 / 3, inference_seconds=5e-324),
    LayerTime(name="“loß”", forward_seconds=0.0, backward_seconds=2.0, inference_seconds=1e300),
) * (len(graph_of("resnet-8-8", MEASUREMENT.task).nodes) // 2)
REQUEST: dict[str, Any] = {
    "budget": "60k",
    "epochs": 3,
    "dataset": "digits",
    "batch": 32,
    "seed": 0,
    "device": None,
}
RANKED: dict[str, Any] = {"recommendations": [{"design": "2xresnet-8-4", "method": "bagging"}]}
METRICS = EnsembleMetrics(
    error=0.04,
    member_errors=(0.05, 0.0625),
    oracle_error=0.01,
    disagreement=0.03,
    nll=0.2,
    voting_error=0.045,
    super_learner_error=0.035,
    super_learner_weights=(1 / 3, 2 / 3),
    calibration_error=5e-324,
    best_member=1,
    errors_by_members=(0.05625, 0.04),
)

CONFUSION = ConfusionMatrix(images=(4, 3, 3), confused=((0, 2, 3), (2, 0, 1)), names=("“ä”", "b", "c"))


def test_measurements_come_back_as_they_were_stored(store: Store) -> None:
    other = replace(MEASUREMENT, fingerprint=replace(FINGERPRINT, threads=4), peak_bytes=2**40)
    store.add_measurement(MEASUREMENT)
    store.add_measurement(other)
    assert store.measurements() == [MEASUREMENT, other]
    assert store.measurements(FINGERPRINT.digest) == [MEASUREMENT]
    assert store.measurements("unknown") == []


def test_layers_and_the_state_of_the_device_come_back_as_they_were_stored(store: Store) -> None:
    m = replace(
        MEASUREMENT,
        layers=LAYERS,
        reference_seconds=0.0015,
        reserved_bytes=2**41,
        watts=212.5,
        clock_mhz=1755,
        throttle="power cap, thermal limit",
    )
    store.add_measurement(m)
    assert store.measurements() == [m]


def test_a_measurement_that_did_not_fit_comes_back(store: Store) -> None:
    m = replace(MEASUREMENT, fits=False, step_seconds=0.0)
    store.add_measurement(m)
    assert store.measurements() == [m]


def test_layers_are_stored_without_spaces(store: Store) -> None:
    store.add_measurement(replace(MEASUREMENT, layers=LAYERS[:1]))
    with store.engine.connect() as connection:
        (text,) = connection.exec_driver_sql("SELECT layers FROM measurements").one()
    assert text == '[["stem.conv",0.1,0.3333333333333333,5e-324]]'


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("layers", text)
        for text in (
            "",
            "no json",
            "{}",
            "1",
            '"abcd"',
            "[1]",
            '["abcd"]',
            '[["a",1,1]]',
            '[["a",1,1,1,1]]',
            "[[1,1,1,1]]",
            '[["a",1,"1",1]]',
            '[["a",1,null,1]]',
            '[["a",1,-1,1]]',
            '[["a",1,NaN,1]]',
            '[["a",1,1,Infinity]]',
            '[["a",1,1,1],["b",true,1,1]]',
        )
    ]
    + [("fingerprint", "{}"), ("step_seconds", -1.0), ("step_seconds", "slow")]
    # One row of layers too many, and names, types and amounts that no measurement has.
    + [
        ("layers", json.dumps([["a", 1, 1, 1]] * (len(LAYERS) + 1))),
        ("network", "../resnet-8-8"),
        ("batch", 0),
        ("batch", "many"),
        ("processes", 1.5),
        ("peak_bytes", -1),
        ("spent_seconds", float("inf")),
        ("fits", "perhaps"),
        ("throttle", b"bytes"),
    ],
)
def test_a_damaged_measurement_is_named_once_and_left_out(
    store: Store, caplog: pytest.LogCaptureFixture, column: str, value: object
) -> None:
    store.add_measurement(replace(MEASUREMENT, layers=LAYERS))
    with store.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE measurements SET {column} = ?", (value,))
    store.add_measurement(MEASUREMENT)
    assert store.measurements() == store.measurements() == [MEASUREMENT]
    (line,) = [record.message for record in caplog.records]
    assert "left out: row 1 of measurements is damaged (" in line
    assert "\n" not in line
    (found,) = store.check()
    assert found in line


def test_the_newest_recommendation_comes_back(store: Store) -> None:
    assert store.last_recommendation() is None
    request = REQUEST | {"path": "ü\udcff"}
    payload = {"recommendations": [{"design": "resnet-8-4", "error": 0.5}]}
    first = store.add_recommendation("2026-01-01", REQUEST, {"recommendations": []})
    second = store.add_recommendation("2026-01-02", request, payload)
    last = store.last_recommendation()
    assert last is not None
    assert first < second == last.id
    assert last.created_at == "2026-01-02"
    assert last.request == request
    assert last.payload == payload


@pytest.mark.parametrize(
    ("request_", "payload"),
    [
        ({name: value for name, value in REQUEST.items() if name != "epochs"}, RANKED),
        (REQUEST | {"batch": "32"}, RANKED),
        (REQUEST | {"epochs": 0}, RANKED),
        (REQUEST | {"seed": 1.5}, RANKED),
        (REQUEST | {"device": "tpu"}, RANKED),
        (REQUEST | {"dataset": "two\nlines"}, RANKED),
        (REQUEST | {"augmentation": "flop"}, RANKED),
        (REQUEST | {"budget": 5}, RANKED),
        (REQUEST, {}),
        (REQUEST, {"recommendations": {}}),
        (REQUEST, {"recommendations": [{"design": "../resnet-8-4"}]}),
        (REQUEST, {"recommendations": [{"design": "resnet-8-4", "method": "magic"}]}),
        ([], RANKED),
    ],
)
def test_a_damaged_recommendation_is_named_and_not_replaced_by_an_older_one(
    store: Store, request_: Any, payload: dict[str, Any]
) -> None:
    store.add_recommendation("2026-01-01", REQUEST, RANKED)
    store.add_recommendation("2026-01-02", request_, payload)
    with pytest.raises(StorageError, match="row 2 of recommendations is damaged .*`advisor db check`"):
        store.last_recommendation()
    assert [line.startswith("row 2 of recommendations is damaged (") for line in store.check()] == [True]


def test_recommendations_with_probes_are_found_and_damaged_ones_left_out(store: Store) -> None:
    probed = RANKED | {"probing": {"probes": []}}
    store.add_recommendation("2026-01-01", REQUEST, RANKED | {"probing": None})
    store.add_recommendation("2026-01-02", REQUEST, probed)
    store.add_recommendation("2026-01-03", REQUEST | {"epochs": -1}, probed)
    store.add_recommendation("2026-01-04", REQUEST, probed | {"recommendations": []})
    found = store.probed_recommendations()
    assert [each.created_at[-2:] for each in found] == ["02", "04"]
    assert found[0].payload == probed


def test_a_new_run_is_running_and_has_its_folder(
    store: Store, plan: TrainingPlan, forecast: Forecast
) -> None:
    run = store.create_run(
        created_at="2026-01-01", plan=plan, parameters=9876, fingerprint="abc", forecast=forecast
    )
    assert run == Run(
        id=1,
        created_at="2026-01-01",
        status=RunStatus.RUNNING,
        plan=plan,
        parameters=9876,
        fingerprint="abc",
        folder="runs/0001",
        forecast=forecast,
        train_seconds=0.0,
        test=None,
        message="",
    )
    assert store.run(run.id) == run


def test_a_run_survives_closing_and_opening(path: Path, new_run: NewRun) -> None:
    with open_store(path) as store:
        run = new_run(store)
    with open_store(path) as store:
        assert store.runs() == [run]


def test_an_update_changes_status_time_message_and_test_figures(store: Store, new_run: NewRun) -> None:
    run = new_run(store)
    store.update_run(run.id, status=RunStatus.PARTIAL, train_seconds=9.5, message="one\nfailed", test=METRICS)
    expected = replace(run, status=RunStatus.PARTIAL, train_seconds=9.5, message="one\nfailed", test=METRICS)
    assert store.run(run.id) == expected


def test_an_update_without_test_figures_keeps_those_stored(store: Store, new_run: NewRun) -> None:
    run = new_run(store)
    store.update_run(run.id, status=RunStatus.DONE, train_seconds=1.0, test=METRICS)
    store.update_run(run.id, status=RunStatus.RUNNING, train_seconds=2.0)
    assert store.run(run.id).test == METRICS


def test_a_confusion_matrix_comes_back_is_replaced_and_goes_with_its_run(
    store: Store, new_run: NewRun
) -> None:
    run, other = new_run(store), new_run(store)
    assert store.confusion(run.id) is None
    for matrix in (CONFUSION, replace(CONFUSION, confused=((1, 2, 1),))):
        store.update_run(run.id, status=RunStatus.DONE, train_seconds=1.0, confusion=matrix)
        assert store.confusion(run.id) == matrix
    store.update_run(run.id, status=RunStatus.DONE, train_seconds=2.0)
    assert store.confusion(run.id) == matrix
    assert store.confusion(other.id) is None
    store.delete_run(run.id)
    assert store.confusion(run.id) is None


@pytest.mark.parametrize(
    ("column", "value"),
    [("images", "[1, 2"), ("images", "[2, 2]"), ("confused", "[[0, 0, 1]]"), ("confused", "[[0, 1, 9]]"),
     ("names", '["one"]')],
)  # fmt: skip
def test_a_damaged_confusion_matrix_is_named_and_refuses(
    store: Store, new_run: NewRun, column: str, value: str
) -> None:
    run = new_run(store)
    store.update_run(run.id, status=RunStatus.DONE, train_seconds=1.0, confusion=CONFUSION)
    with store.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE confusion_matrices SET {column} = ?", (value,))
    with pytest.raises(StorageError, match="row 1 of confusion_matrices is damaged"):
        store.confusion(run.id)
    (line,) = store.check()
    assert "row 1 of confusion_matrices is damaged" in line


def test_the_classes_of_validation_images_come_back_are_replaced_and_go_with_their_run(
    store: Store, new_run: NewRun
) -> None:
    run, other = new_run(store), new_run(store)
    assert store.validation_classes(run.id) is None
    for classes in ([0, 9, 999_999, 3], [2, 1], []):
        store.set_validation_classes(run.id, classes)
        found = store.validation_classes(run.id)
        assert found is not None
        assert found.tolist() == classes
    assert store.validation_classes(other.id) is None
    store.delete_run(run.id)
    assert store.validation_classes(run.id) is None
    with pytest.raises(UsageError, match=f"there is no run {run.id}"):
        store.set_validation_classes(run.id, [1])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"no zlib", "cannot be unpacked"),
        (zlib.compress(b"12345"), "multiple of element size"),
        (zlib.compress(b"\xff\xff\xff\xff"), "classes are numbers from 0 on, got -1"),
        ("text", "classes"),
    ],
)
def test_damaged_classes_of_validation_images_are_named_and_refuse(
    store: Store, new_run: NewRun, value: object, words: str
) -> None:
    run = new_run(store)
    store.set_validation_classes(run.id, [1, 2])
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE validation_classes SET classes = ?", (value,))
    with pytest.raises(StorageError, match="row 1 of validation_classes is damaged") as refused:
        store.validation_classes(run.id)
    assert words in str(refused.value)
    (line,) = store.check()
    assert "row 1 of validation_classes is damaged" in line


def test_runs_are_listed_oldest_first_and_by_status(store: Store, new_run: NewRun) -> None:
    ids = [new_run(store).id for _ in range(3)]
    store.update_run(ids[1], status=RunStatus.DONE, train_seconds=1.0)
    assert [run.id for run in store.runs()] == ids
    assert [run.id for run in store.runs(RunStatus.DONE)] == [ids[1]]


def test_epochs_come_back_in_the_order_of_execution(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    run, other = new_run(store), new_run(store)
    records = [epoch_of(0, "train b"), epoch_of(1, "train b"), epoch_of(0, "train a")]
    for record in records:
        store.record_epoch(run.id, record)
    store.record_epoch(other.id, epoch_of())
    assert store.epochs(run.id) == records


def test_an_epoch_that_is_repeated_replaces_the_first(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    run = new_run(store)
    store.record_epoch(run.id, epoch_of(0))
    store.record_epoch(run.id, epoch_of(1))
    again = epoch_of(0, loss=9.0)
    store.record_epoch(run.id, again)
    first, second = store.epochs(run.id)
    assert first == again
    assert second.epoch == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(loss=st.floats())
def test_a_loss_may_be_any_float(store: Store, new_run: NewRun, epoch_of: NewEpoch, loss: float) -> None:
    run = new_run(store)
    store.record_epoch(run.id, epoch_of(loss=loss))
    (record,) = store.epochs(run.id)
    assert record.train_loss == loss or (math.isnan(record.train_loss) and math.isnan(loss))


def test_steps_come_back_and_are_replaced(store: Store, new_run: NewRun) -> None:
    run = new_run(store)
    failed = StepRecord(
        step="hatch member-1", network="member-1", status=StepStatus.FAILED, seconds=1.0, message="x"
    )
    done = StepRecord(
        step="hatch member-1",
        network="member-1",
        status=StepStatus.DONE,
        seconds=2.0,
        hatch_difference=1e-7,
        peak_bytes=123,
    )
    other = replace(done, step="train member-1", hatch_difference=None)
    for record in (failed, other, done):
        store.record_step(run.id, record)
    assert store.steps(run.id) == [done, other]
    # The column contains the plain text.
    with store.engine.connect() as connection:
        statuses = connection.exec_driver_sql("SELECT status FROM steps ORDER BY id").scalars().all()
    assert statuses == ["done", "done"]


def test_a_step_of_unknown_status_is_named_with_a_remedy(store: Store, new_run: NewRun) -> None:
    run = new_run(store)
    store.record_step(run.id, StepRecord(step="s", network="n", status=StepStatus.DONE, seconds=1.0))
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE steps SET status = 'lost'")
    with pytest.raises(StorageError, match="row 1 of steps is damaged .*'lost'.*`advisor db check`"):
        store.steps(run.id)


def test_deleting_a_run_deletes_its_epochs_and_steps_only(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    kept, gone = new_run(store), new_run(store)
    for run in (kept, gone):
        store.record_epoch(run.id, epoch_of())
        store.record_step(run.id, StepRecord(step="s", network="n", status=StepStatus.DONE, seconds=1.0))
    store.delete_run(gone.id)
    assert [run.id for run in store.runs()] == [kept.id]
    assert (store.epochs(gone.id), store.steps(gone.id)) == ([], [])
    assert len(store.epochs(kept.id)) == len(store.steps(kept.id)) == 1


def test_the_number_of_a_deleted_run_is_never_given_again(store: Store, new_run: NewRun) -> None:
    first = new_run(store)
    store.delete_run(first.id)
    assert new_run(store).id == first.id + 1


@pytest.mark.parametrize(
    "use",
    [
        lambda store, epoch: store.run(7),
        lambda store, epoch: store.delete_run(7),
        lambda store, epoch: store.update_run(7, status=RunStatus.DONE, train_seconds=0.0),
        lambda store, epoch: store.record_epoch(7, epoch),
        lambda store, epoch: store.record_step(
            7, StepRecord(step="s", network="n", status=StepStatus.DONE, seconds=1.0)
        ),
    ],
)
def test_an_unknown_run_is_named_with_where_to_look(
    store: Store, epoch_of: NewEpoch, use: Callable[[Store, EpochRecord], None]
) -> None:
    with pytest.raises(UsageError, match="no run 7: `advisor runs list`"):
        use(store, epoch_of())


def test_a_number_that_sqlite_cannot_hold_is_refused_in_one_line(store: Store, plan: TrainingPlan) -> None:
    with pytest.raises(StorageError, match="cannot hold a value"):
        store.create_run(
            created_at="", plan=replace(plan, seed=2**63), parameters=1, fingerprint="", forecast=None
        )
    assert store.runs() == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("plan", "{}"),
        ("plan", "no json"),
        ("status", "odd"),
        ("forecast", "[]"),
        # A mean outside its interval.
        (
            "forecast",
            '{"train_seconds": [9, 1, 2], "train_peak_bytes": null, "inference_ms_per_image": null, '
            '"test_error": null, "steps": []}',
        ),
        ("test", '{"error": 2, "member_errors": [2], "oracle_error": 0, "disagreement": 0, "nll": 1}'),
        ("plan", "../../0001"),
        ("test", '{"error": 1}'),
        ("test", "no json"),
        (
            "test",
            '{"error": 0.1, "member_errors": [0.1], "oracle_error": 0, "disagreement": 0, "nll": 1, '
            '"best_member": 1}',
        ),
        (
            "test",
            '{"error": 0.1, "member_errors": [0.1], "oracle_error": 0, "disagreement": 0, "nll": 1, '
            '"errors_by_members": [0.1, 0.1]}',
        ),
    ],
)
def test_a_run_that_cannot_be_read_is_reported_and_can_be_deleted(
    store: Store, new_run: NewRun, column: str, value: str
) -> None:
    run = new_run(store)
    with store.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET {column} = ?", (value,))
    other = new_run(store)
    with pytest.raises(StorageError, match=f"row {run.id} of runs is damaged"):
        store.run(run.id)
    assert store.runs() == [other]
    assert len(store.check()) == 1
    store.delete_run(run.id)
    assert store.check() == []


# Learning curves.


def learn(
    store: Store, run: Run, epoch_of: NewEpoch, *errors: float, network: str = "mother-1", first: int = 0
) -> None:
    for number, error in enumerate(errors, first):
        epoch = replace(epoch_of(number, f"train {network}"), network=network, validation_error=error)
        store.record_epoch(run.id, epoch)


def test_curves_are_of_every_network_of_the_runs_asked_for(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    first, second, other = (new_run(store) for _ in range(3))
    learn(store, first, epoch_of, 0.9, 0.5, 0.25)
    learn(store, first, epoch_of, 0.125, network="member-1")
    learn(store, second, epoch_of, 0.75)
    learn(store, other, epoch_of, 1.0)
    assert store.curves([second.id, first.id]) == {
        first.id: {"mother-1": (0.9, 0.5, 0.25), "member-1": (0.125,)},
        second.id: {"mother-1": (0.75,)},
    }
    assert store.curves([]) == {}


def test_training_errors_and_epochs_are_kept_apart_by_step(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    run = new_run(store)
    for number, error in enumerate((0.5, 0.25, 0.125)):
        store.record_epoch(run.id, replace(epoch_of(number, "train mother-1"), train_error=error))
    # A run that extends another has the last epoch of its old steps only.
    store.record_epoch(run.id, epoch_of(6, "train member-1"))
    assert store.train_errors([run.id, 99]) == {run.id: {"train mother-1": (0.5, 0.25, 0.125)}, 99: {}}
    assert store.epoch_counts(run.id) == {"train mother-1": 3, "train member-1": 7}
    assert store.epoch_counts(99) == {}
    each = epoch_of(0, "train mother-1").seconds
    assert store.epoch_seconds(run.id) == pytest.approx({"train mother-1": 3 * each, "train member-1": each})
    assert store.epoch_seconds(99) == {}


def test_a_run_without_epochs_has_no_curves(store: Store, new_run: NewRun) -> None:
    run = new_run(store)
    assert store.curves([run.id, 99]) == {run.id: {}, 99: {}}


def test_steps_of_one_network_follow_each_other_as_they_began(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    run = new_run(store)
    for step, numbers in (("train z", (1, 0)), ("train a", (0, 2, 1))):
        for number in numbers:
            error = (0.5 if step == "train z" else 0.25) - number / 32
            store.record_epoch(run.id, replace(epoch_of(number, step), validation_error=error))
    assert store.curves([run.id]) == {run.id: {"mother-1": (0.5, 0.46875, 0.25, 0.21875, 0.1875)}}


def test_an_epoch_of_a_resumed_run_counts_once(store: Store, new_run: NewRun, epoch_of: NewEpoch) -> None:
    run = new_run(store)
    learn(store, run, epoch_of, 0.9, 0.8)
    learn(store, run, epoch_of, 0.5, network="member-1")
    learn(store, run, epoch_of, 0.7, 0.6, first=1)
    assert store.curves([run.id]) == {run.id: {"mother-1": (0.9, 0.7, 0.6), "member-1": (0.5,)}}


def test_a_network_that_lacks_an_epoch_has_no_curve(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    run = new_run(store)
    learn(store, run, epoch_of, 0.9, 0.8)
    learn(store, run, epoch_of, 0.5, first=3)
    learn(store, run, epoch_of, 0.25, network="member-1", first=1)
    learn(store, run, epoch_of, 0.5, network="member-2")
    assert store.curves([run.id]) == {run.id: {"member-2": (0.5,)}}


def test_a_network_that_diverged_has_nan_in_its_curve(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    run = new_run(store)
    learn(store, run, epoch_of, 0.9, math.nan)
    first, second = store.curves([run.id])[run.id]["mother-1"]
    assert first == 0.9
    assert math.isnan(second)


def test_curves_of_many_runs_are_read_in_few_statements_without_the_probabilities(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    run = new_run(store)
    learn(store, run, epoch_of, 0.5)
    asked: list[tuple[str, tuple[object, ...]]] = []

    @event.listens_for(store.engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, sql: str, values: tuple[object, ...], *_: object) -> None:
        asked.append((sql, values))

    found = store.curves(range(1, 1001))
    event.remove(store.engine, "before_cursor_execute", note)
    assert (len(found), found[1]) == (1000, {"mother-1": (0.5,)})
    of_epochs = [(sql, values) for sql, values in asked if "FROM epochs" in sql]
    assert len(of_epochs) == 2
    assert all("validation_probabilities" not in sql and "seconds" not in sql for sql, _ in of_epochs)
    with store.engine.connect() as connection:
        way = [
            row[3]
            for sql, values in of_epochs
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        ]
    assert not any("SCAN epochs" in line for line in way), way


# Epochs as evidence.

MACHINE = "0123456789abcdef"


def finish(store: Store, run: Run, status: RunStatus = RunStatus.DONE) -> None:
    store.update_run(run.id, status=status, train_seconds=1.0)


def record(store: Store, run: Run, epoch_of: NewEpoch, *seconds: float, step: str = "train mother-1") -> None:
    for number, spent in enumerate(seconds):
        store.record_epoch(run.id, replace(epoch_of(number, step), seconds=spent))


def test_epochs_are_evidence_with_as_many_networks_at_once_as_trained_beside_each_other(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    run = new_run(store)
    record(store, run, epoch_of, 3.0, step="train member-1")
    record(store, run, epoch_of, 3.0, step="train member-2")
    record(store, run, epoch_of, 9.0, 1.0, 4.0, 2.0, step="train mother-1")
    finish(store, run)
    mother = TrainedEpochs(
        network="resnet-8-8",
        task=Task(channels=1, height=8, width=8, classes=10),
        batch=32,
        train_images=1077,
        validation_images=360,
        processes=1,
        epochs=3,
        seconds=2.0,
    )
    # The mother trained alone, both members at once.
    member = replace(mother, processes=2, epochs=1, seconds=3.0)
    assert store.trained_epochs(MACHINE) == [mother, member, member]


def test_what_an_extended_run_adopted_neither_counts_again_nor_trained_beside_anything(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    run = new_run(store)
    # Of mother and first member only the last epoch is reported again.
    for step in ("train mother-1", "train member-1"):
        store.record_epoch(run.id, replace(epoch_of(7, step), seconds=9.0))
    record(store, run, epoch_of, 2.0, step="train member-2")
    finish(store, run)
    assert [(e.seconds, e.processes) for e in store.trained_epochs(MACHINE)] == [(2.0, 1)]


def test_epochs_in_which_a_teacher_answered_too_are_no_evidence(store: Store, new_run: NewRun) -> None:
    plan = new_run(store).plan
    taught = Distillation(teacher="mother-1")
    steps = tuple(replace(s, distillation=taught) if s.id == "train member-1" else s for s in plan.steps)
    found = trained_epochs_of(replace(plan, steps=steps), {"train mother-1": [1.0], "train member-1": [5.0]})
    assert [e.seconds for e in found] == [1.0]


@pytest.mark.parametrize(
    ("seconds", "epochs", "median"),
    [((9.0,), 1, 9.0), ((9.0, 1.0), 2, 5.0), ((9.0, 1.0, 2.0), 2, 1.5), ((9.0, 1.0, 2.0, 50.0), 3, 2.0)],
)
def test_the_first_epoch_is_left_out_where_there_are_more_than_two(
    store: Store,
    new_run: NewRun,
    epoch_of: NewEpoch,
    seconds: tuple[float, ...],
    epochs: int,
    median: float,
) -> None:
    run = new_run(store)
    record(store, run, epoch_of, *seconds)
    finish(store, run)
    (found,) = store.trained_epochs(MACHINE)
    assert (found.epochs, found.seconds) == (epochs, median)


def test_the_first_epoch_is_the_one_numbered_zero_and_not_the_one_stored_first(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    run = new_run(store)
    for number, spent in ((2, 3.0), (1, 5.0), (0, 100.0)):
        store.record_epoch(run.id, replace(epoch_of(number), seconds=spent))
    finish(store, run)
    assert [e.seconds for e in store.trained_epochs(MACHINE)] == [4.0]


def test_epochs_of_runs_that_failed_diverged_or_run_still_are_no_evidence(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    for number, status in enumerate(RunStatus, 1):
        run = new_run(store)
        record(store, run, epoch_of, float(number))
        finish(store, run, status)
    counted = (RunStatus.DONE, RunStatus.PARTIAL, RunStatus.INTERRUPTED, RunStatus.DEADLINE)
    expected = [float(number) for number, status in enumerate(RunStatus, 1) if status in counted]
    assert [e.seconds for e in store.trained_epochs(MACHINE)] == expected


def test_epochs_of_another_machine_and_of_steps_outside_the_plan_are_no_evidence(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    run, bare = new_run(store), new_run(store)
    record(store, run, epoch_of, 1.0, step="train nobody")
    record(store, run, epoch_of, 1.0, step="hatch member-1")
    finish(store, run)
    finish(store, bare)
    assert store.trained_epochs(MACHINE) == []
    record(store, run, epoch_of, 1.0)
    assert store.trained_epochs("another") == []
    assert len(store.trained_epochs(MACHINE)) == 1


def test_epochs_whose_batches_several_devices_shared_are_no_evidence(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    run = new_run(store)
    seconds = {step.id: [1.0] for step in run.plan.steps}
    alone = trained_epochs_of(run.plan, seconds)
    shared = tuple(replace(s, devices=2) if isinstance(s, TrainStep) else s for s in run.plan.steps)
    assert alone
    assert trained_epochs_of(replace(run.plan, steps=shared), seconds) == []


def test_evidence_is_read_without_the_probabilities(
    store: Store, new_run: NewRun, epoch_of: NewEpoch
) -> None:
    run = new_run(store)
    record(store, run, epoch_of, 1.0)
    finish(store, run)
    asked: list[tuple[str, tuple[object, ...]]] = []

    @event.listens_for(store.engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, sql: str, values: tuple[object, ...], *_: object) -> None:
        asked.append((sql, values))

    store.trained_epochs(MACHINE)
    event.remove(store.engine, "before_cursor_execute", note)
    assert not any("validation_probabilities" in sql for sql, _ in asked)
    (of_epochs,) = [(sql, values) for sql, values in asked if "FROM epochs" in sql]
    with store.engine.connect() as connection:
        way = [
            row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {of_epochs[0]}", of_epochs[1])
        ]
    # Else SQLite would walk through the pages of every blob on its way to the column behind it.
    assert any("epochs USING COVERING INDEX ix_epochs_run_id_step_epoch_seconds" in line for line in way), way


def test_finished_runs_are_those_with_a_forecast_newest_first(
    store: Store, plan: TrainingPlan, forecast: Forecast, new_run: Callable[[Store], Run]
) -> None:
    given = {"created_at": "2026-01-01T00:00:00+00:00", "plan": plan, "parameters": 1, "fingerprint": "here"}
    runs = [store.create_run(forecast=forecast, **given) for _ in range(4)]
    for run in (*runs[:3], new_run(store)):
        store.update_run(run.id, status=RunStatus.DONE, train_seconds=1.0)
    for peak in (None, 7_000_000):
        step = f"train member-{1 + bool(peak)}"
        store.record_step(
            runs[1].id,
            StepRecord(step=step, network="member-1", status=StepStatus.DONE, seconds=1.0, peak_bytes=peak),
        )
    assert [(run.id, run.train_peak_bytes) for run in store.finished_runs(2)] == [
        (runs[2].id, None),
        (runs[1].id, 7_000_000),
    ]


@pytest.mark.parametrize(
    "damage", ["forecast = '{'", "plan = '{}'", "test_error = 7", "train_seconds = -1", "fingerprint = x'00'"]
)
def test_a_damaged_finished_run_is_left_out_and_spoils_no_other(
    store: Store, plan: TrainingPlan, forecast: Forecast, damage: str
) -> None:
    given = {"created_at": "2026-01-01T00:00:00+00:00", "plan": plan, "parameters": 1, "fingerprint": "here"}
    runs = [store.create_run(forecast=forecast, **given) for _ in range(2)]
    for run in runs:
        store.update_run(run.id, status=RunStatus.DONE, train_seconds=1.0)
    with store.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET {damage} WHERE id = {runs[0].id}")
    assert [run.id for run in store.finished_runs(10)] == [runs[1].id]
