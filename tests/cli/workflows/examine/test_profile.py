"""Where a step goes, through the command line; times are given, so that only their presentation is tested."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from measured import step_of

from advisor.conformal import Quantity
from advisor.cost.measurement import LayerTime
from advisor.plans.dataset import dataset_named
from cli.workflows.examine import profile as workflow
from cli.workflows.forecast.machine import plain_execution
from db.session import open_store
from profiler.device import choose_device, fingerprint
from profiler.layers import LayerFacts
from profiler.steps import StepTimes

MLP = ("profile", "mlp-1-8", "--dataset", "digits", "--batch", "4")
LAYERS = [
    LayerFacts(name="flatten", kind="Flatten", output_bytes=1024, saved_bytes=0, parameters=0, macs=0),
    LayerFacts(
        name="block1.layer1.linear",
        kind="Linear",
        output_bytes=128,
        saved_bytes=1024,
        parameters=520,
        macs=512,
    ),
    LayerFacts(
        name="block1.layer1.relu", kind="ReLU", output_bytes=128, saved_bytes=128, parameters=0, macs=0
    ),
    LayerFacts(name="classifier", kind="Linear", output_bytes=160, saved_bytes=128, parameters=90, macs=80),
]
# Forward 10 ms and backward 20 ms, of which layers and loss explain 9 and 18.
TIMES = StepTimes(
    forward=0.010,
    backward=0.020,
    optimizer=0.004,
    step=0.036,
    step_iqr=0.001,
    inference=0.008,
    layers=tuple(
        LayerTime(name=name, forward_seconds=forward, backward_seconds=backward, inference_seconds=0.001)
        for name, forward, backward in (
            ("flatten", 0.0, 0.0),
            ("block1.layer1.linear", 0.004, 0.010),
            ("block1.layer1.relu", 0.001, 0.002),
            ("classifier", 0.002, 0.004),
            ("loss", 0.002, 0.002),
        )
    ),
    reference=0.002,
    peak_bytes=2**20,
    reserved_bytes=2**21,
    watts=250.4,
    clock_mhz=1980,
    throttle="power cap",
    repetitions=30,
    disturbed=3,
)


class FakeProcess:
    """A measuring process that answers at once and records the cores to pin it to."""

    times: StepTimes | None = TIMES
    cores: tuple[int, ...] = ()

    def __init__(self, device: str, threads: int, cores: list[int]) -> None:
        type(self).cores = tuple(cores)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def wait_until_ready(self) -> bool:
        return True

    def begin(self, workload, seconds) -> None:
        """Nothing to do."""

    def finish(self, timeout):
        return self.times

    def layers(self, workload, timeout):
        return LAYERS


@pytest.fixture
def measuring(monkeypatch):
    monkeypatch.setattr(FakeProcess, "times", TIMES)
    monkeypatch.setattr(workflow, "MeasuringProcess", FakeProcess)
    return monkeypatch


def stored(home: Path):
    with open_store(home / "advisor.sqlite") as store:
        return store.measurements()


def rows_of(out: str, name: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith(name)]


def test_the_parts_of_a_step_add_up_to_the_step(advisor, measuring):
    answer = advisor(*MLP, "--json").json
    layers = sum(layer["forward_seconds"] + layer["backward_seconds"] for layer in answer["layers"])
    parts = answer["parts"]
    assert parts["data_seconds"] == pytest.approx(0.002)
    assert answer["remainder_seconds"] == pytest.approx(0.003)
    assert answer["remainder_share"] == pytest.approx(0.003 / 0.036)
    whole = layers + parts["data_seconds"] + parts["optimizer_seconds"] + answer["remainder_seconds"]
    assert whole == pytest.approx(answer["step"]["step_seconds"])


def test_every_layer_has_its_times_and_facts_and_the_loss_is_one(advisor, measuring):
    layers = advisor(*MLP, "--json").json["layers"]
    assert [layer["kind"] for layer in layers] == ["Flatten", "Linear", "ReLU", "Linear", "loss"]
    assert layers[1] == {
        "name": "block1.layer1.linear",
        "kind": "Linear",
        "forward_seconds": 0.004,
        "backward_seconds": 0.010,
        "inference_seconds": 0.001,
        "output_bytes": 128,
        "saved_bytes": 1024,
        "parameters": 520,
        "macs": 512,
    }
    assert layers[-1]["output_bytes"] is None


def test_memory_is_reported_by_three_routes(advisor, measuring):
    memory = advisor(*MLP, "--json").json["memory"]
    assert set(memory) == {
        "measured_peak_bytes",
        "formula_bytes",
        "simulated_bytes",
        "inference_formula_bytes",
        "reserved_bytes",
    }
    assert memory["measured_peak_bytes"] == 2**20
    # 610 weights with gradients and momentum are in both.
    assert 610 * 3 * 4 < memory["formula_bytes"] < 2**20
    assert memory["simulated_bytes"] == pytest.approx(memory["formula_bytes"], rel=0.05)
    assert memory["inference_formula_bytes"] < memory["formula_bytes"]


def test_the_conditions_of_measuring_are_reported(advisor, measuring):
    assert advisor(*MLP, "--json").json["conditions"] == {
        "disturbed": 3,
        "reference_seconds": 0.002,
        "watts": 250.4,
        "clock_mhz": 1980,
        "throttle": "power cap",
    }
    out = advisor(*MLP).out
    assert "repetitions under load: 3; reference convolution 2 ms; 250 W; 1980 MHz; throttled by" in out


def test_the_measuring_process_is_pinned_to_as_many_cores_as_it_has_threads(advisor, measuring):
    measuring.setattr(workflow, "cores_to_pin", lambda execution: [7] * execution.threads)
    advisor(*MLP)
    assert FakeProcess.cores == (7,)


def test_the_table_has_a_row_for_every_layer_and_every_other_part(advisor, measuring):
    out = advisor(*MLP).out
    table = out.split("Where the step goes")[0].splitlines()
    header = next(i for i, line in enumerate(table) if line.startswith("layer"))
    assert [line.split()[0] for line in table[header + 1 :] if line.strip()] == [
        "flatten",
        "block1.layer1.linear",
        "block1.layer1.relu",
        "classifier",
        "loss",
        "batch",
        "optimizer",
        "remainder",
        "step",
    ]
    assert rows_of(out, "remainder")[0].split() == ["remainder", "1.00", "2.00", "3.00", "8.3", *["–"] * 4]
    assert rows_of(out, "step ")[-1].split()[:5] == ["step", "10.00", "20.00", "36.00", "100.0"]


def test_bars_sum_by_kind_and_are_as_long_as_the_time(advisor, measuring):
    plot = advisor(*MLP).out.split("Where the step goes")[1]
    kinds, dearest = plot.split("most expensive layers")
    assert [line.split("  ")[0] for line in kinds.splitlines()[2:] if "." in line] == [
        "Linear",
        "loss",
        "optimizer",
        "ReLU",
        "remainder",
        "batch preparation",
        "Flatten",
    ]
    linear, relu = rows_of(kinds, "Linear")[0], rows_of(kinds, "ReLU")[0]
    assert "×2 20.00 55.6" in linear
    # 6 ms forward and 14 backward of the longest bar; a rectifier takes 3/20 of it.
    length = linear.count("█") + linear.count("▒")
    assert linear.count("█") == round(length * 0.3)
    assert relu.count("█") + relu.count("▒") == pytest.approx(length * 0.15, abs=1)
    assert "░" in rows_of(kinds, "optimizer")[0]
    assert dearest.index("block1.layer1.linear") < dearest.index("classifier") < dearest.index("loss")


@pytest.mark.parametrize("width", [80, 120])
def test_no_row_is_wrapped(advisor, measuring, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    out = advisor(*MLP).out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= width
    assert "…" not in out
    assert ("GMAC/s" in out) == (width == 120)


def test_without_measurements_nothing_was_predicted(advisor, measuring):
    assert advisor(*MLP, "--json").json["predicted_step_seconds"] is None


def test_the_measured_step_is_compared_with_its_forecast(advisor, home, measuring):
    advisor("profile", "mlp-1-16", *MLP[2:])
    measuring.setattr(FakeProcess, "times", replace(TIMES, step=0.054))
    with open_store(home / "advisor.sqlite") as store:
        execution = workflow.chosen_execution(store, choose_device(None), dataset_named("digits").task)
        predictor = workflow.predictor_for(store, execution)
    seconds = predictor.step_seconds("mlp-1-8", dataset_named("digits").task, 4)
    # One measurement on this machine: the shipped forecasts that rested on few were too narrow.
    forecast = predictor.correction(Quantity.TIME).applied(seconds)
    assert forecast.high > seconds.high
    predicted = advisor(*MLP, "--json").json["predicted_step_seconds"]
    error = predicted.pop("deviation")
    assert predicted == pytest.approx(asdict(forecast))
    assert error["share"] == pytest.approx(0.054 / forecast.mean - 1)
    assert error["inside"] == (forecast.low <= 0.054 <= forecast.high)
    assert rows_of(advisor(*MLP).out, "predicted before")[0].count("90 % interval") == 1


def test_on_a_busy_machine_one_line_offers_to_measure_again_which_replaces_the_same_step(
    advisor, home, measuring
):
    measuring.setattr(FakeProcess, "times", replace(TIMES, layers=()))
    measuring.setattr("cli.workflows.forecast.pace.pace_side_by_side", lambda copies: 2 * TIMES.reference)
    step = step_of("mlp-1-8", dataset_named("digits").task, 4, fingerprint(plain_execution("cpu")))
    step = replace(step, reference_seconds=TIMES.reference)
    others = [
        replace(step, network="mlp-1-9", layers=()),
        replace(step, batch=16),
        replace(step, processes=2),
    ]
    with open_store(home / "advisor.sqlite") as store:
        for each in (step, *others):
            store.add_measurement(each)
    answer = advisor(*MLP, "--remeasure")
    assert answer.code == 0
    assert answer.err.count("this machine is at 50 % of its usual speed") == 1
    assert "--remeasure measures again when it is quiet" in " ".join(answer.err.split())
    kept = stored(home)
    assert kept[:-1] == others
    assert (kept[-1].network, kept[-1].batch, kept[-1].step_seconds) == ("mlp-1-8", 4, TIMES.step)


def test_measuring_again_is_for_this_machine(advisor, home):
    refused = advisor("profile", "--cluster", "auto", "--remeasure")
    assert refused.code == 2
    assert "leave it or --cluster out" in refused.error_line


def test_csv_has_a_row_for_every_part_and_units_in_its_columns(advisor, measuring):
    answer = advisor(*MLP, "--csv", "-", "--quiet")
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert answer.out.splitlines()[0] == (
        "name,kind,forward_seconds,backward_seconds,total_seconds,inference_seconds,"
        "output_bytes,saved_bytes,parameters,macs"
    )
    assert [row["name"] for row in rows[-4:]] == ["loss", "batch preparation", "optimizer", "remainder"]
    assert sum(float(row["total_seconds"]) for row in rows) == pytest.approx(0.036)
    assert rows[1]["parameters"] == "520"
    assert rows[-1]["forward_seconds"] == ""


def test_csv_into_a_file_leaves_the_table_on_stdout(advisor, measuring, tmp_path):
    out = advisor(*MLP, "--csv", str(tmp_path / "layers.csv")).out
    assert "Where the step goes" in out
    assert (tmp_path / "layers.csv").read_text() == advisor(*MLP, "--csv", "-").out


def test_csv_and_json_are_refused_together(advisor, home):
    answer = advisor(*MLP, "--csv", "-", "--json")
    assert answer.code == 2
    assert "choose one" in answer.error_line
    assert not home.exists()


@pytest.mark.parametrize(("file", "rule"), [("nowhere/layers.csv", "no folder"), (".", "is a folder")])
def test_a_csv_file_that_cannot_be_written_is_refused_before_measuring(advisor, home, file, rule):
    answer = advisor(*MLP, "--csv", file)
    assert answer.code == 4
    assert rule in answer.error_line
    assert not home.exists()


def test_a_network_that_does_not_fit_is_an_error_and_a_stored_fact(advisor, home, measuring):
    measuring.setattr(FakeProcess, "times", StepTimes(fits=False, spent=1.0))
    answer = advisor(*MLP, "--quiet")
    assert answer.code == 1
    assert "does not fit into memory: lower --batch" in answer.error_line
    (measurement,) = stored(home)
    assert (measurement.network, measurement.batch, measurement.fits) == ("mlp-1-8", 4, False)


def test_a_measuring_process_that_dies_is_one_line(advisor, home, measuring):
    measuring.setattr(FakeProcess, "times", None)
    answer = advisor(*MLP, "--quiet")
    assert answer.code == 1
    assert "perhaps for want of memory" in answer.error_line
    assert stored(home) == []


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("resnet-8-4+resnet-14-4",), "one by one"),
        (("resnet-8-4", "--batch", "1"), "at least 2"),
        (("resnet-8-4", "--dataset", "digit"), "did you mean 'digits'"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(advisor, home, arguments, remedy):
    answer = advisor("profile", *arguments)
    assert answer.code == 2
    assert remedy in answer.error_line
    assert not home.exists()


@pytest.mark.slow
def test_a_real_measurement_names_the_layers_of_the_network(advisor, home, monkeypatch):
    monkeypatch.setattr(workflow, "SECONDS", 0.3)
    answer = advisor("profile", "resnet-8-4", "--dataset", "digits", "--json", "--quiet").json
    names = [layer["name"] for layer in answer["layers"]]
    assert names[0] == "stem.conv"
    assert names[-2:] == ["classifier", "loss"]
    assert sum(layer["macs"] for layer in answer["layers"]) == answer["macs"]
    assert answer["memory"]["simulated_bytes"] == answer["memory"]["formula_bytes"]
    (measurement,) = stored(home)
    assert measurement.step_seconds == answer["step"]["step_seconds"]
    assert [layer.name for layer in measurement.layers] == names


def test_a_step_that_cannot_fit_into_memory_is_refused_before_a_process_starts(advisor, measuring):
    measuring.setattr(workflow, "free_bytes", lambda device: 1e6)
    measuring.setattr(workflow, "MeasuringProcess", None)
    line = advisor(*MLP).error_line
    assert "is expected to need" in line
    assert "0.001 GB are free: lower --batch" in line
