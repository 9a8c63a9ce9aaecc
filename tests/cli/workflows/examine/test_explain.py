"""A plan with its predicted cost, and a run beside its own forecast, through the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from measured import measurement

from advisor.conformal import Correction, Corrections, Quantity
from advisor.cost.measurement import LayerTime, Measurement
from advisor.cost.predictor import CostPredictor
from advisor.cost.pricing import PricedPlan, PricedStep
from advisor.designs.clustering import clusters_of
from advisor.designs.design import parse_design
from advisor.estimate import Estimate
from advisor.networks.architecture import lower, parse_network
from advisor.plans.dataset import dataset_named
from advisor.plans.execution import Execution
from advisor.plans.extension import with_cluster
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import plan_from_json, plan_to_json
from advisor.plans.records import EnsembleMetrics, Forecast, PredictedStep, RunStatus, StepRecord, StepStatus
from advisor.shipped_scores import shipped_scores
from cli.workflows.answers.examine.parts import ErrorBasis
from cli.workflows.examine import explain as workflow
from cli.workflows.examine.plan_clusters import explained_clusters
from cli.workflows.forecast.forecasting import PlanForecast
from cli.workflows.forecast.machine import plain_execution
from cli.workflows.home import Home
from cli.workflows.locks import locked
from db.schema import folder_of
from db.session import open_store
from profiler.device import fingerprint

EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="channels_last")
DESIGN = "2xresnet-8-4@g1"
HATCHED = ("explain", DESIGN, "--dataset", "digits", "--epochs", "10")
STEPS = ["train mother-1", "hatch member-1", "train member-1", "hatch member-2", "train member-2"]
FORECAST = Forecast(
    train_seconds=(100.0, 80.0, 120.0),
    train_peak_bytes=(4e6, 3e6, 5e6),
    inference_ms_per_image=(0.5, 0.4, 0.6),
    test_error=(0.05, 0.02, 0.10),
    steps=(
        *(PredictedStep(step=step, mean=20.0, low=15.0, high=25.0) for step in STEPS),
        PredictedStep(step="evaluate", mean=1.0, low=0.5, high=2.0),
    ),
    overhead_seconds=(4.0, 3.0, 6.0),
)


@pytest.fixture
def priced(monkeypatch):
    """Let every plan have a price; call with fields to change it."""

    def put(energy_joules: Estimate | None = None, unmeasured: tuple[str, ...] = ()) -> None:
        plan = PricedPlan(
            steps=tuple(
                PricedStep(step=step, network="resnet-8-4", seconds=Estimate(20.0, 15.0, 25.0))
                for step in (*STEPS, "evaluate")
            ),
            train_seconds=Estimate(7200.0, 3600.0, 10800.0),
            epoch_seconds=Estimate(30.0, 20.0, 40.0),
            inference_ms_per_image=Estimate(0.5, 0.4, 0.6),
            train_peak_bytes=Estimate(2.0**21, 2.0**20, 2.0**22),
            inference_peak_bytes=Estimate(2.0**20, 2.0**19, 2.0**21),
            energy_joules=energy_joules,
            unmeasured=unmeasured,
        )
        plan_forecast = PlanForecast(
            plan,
            Estimate(0.05, 0.02, 0.1),
            Estimate(0.2, 0.1, 0.4),
            Estimate(0.02, 0.01, 0.05),
            CostPredictor([], EXECUTION),
            0,
            ErrorBasis.PRIOR,
        )
        monkeypatch.setattr(workflow, "forecast_plan", lambda plan, store, **others: plan_forecast)

    put()
    return put


@pytest.fixture
def trained(home):
    """Make a run of what is given, without training it."""

    def make(
        forecast: Forecast | None = FORECAST,
        status: RunStatus = RunStatus.DONE,
        slow: float = 20.0,
        done: int = len(STEPS),
        overhead: float | None = 5.0,
    ) -> None:
        plan = make_plan(
            parse_design(DESIGN),
            dataset_named("digits"),
            epochs=10,
            batch=32,
            seed=0,
            execution=EXECUTION,
            options=PlanOptions(),
        )
        with open_store(home / "advisor.sqlite") as store:
            run = store.create_run(
                created_at="2026-11-21T10:00:00+00:00",
                plan=plan,
                parameters=9868,
                fingerprint="0123456789abcdef",
                forecast=forecast,
            )
            for i, step in enumerate(plan.steps[:done]):
                store.record_step(
                    run.id,
                    StepRecord(
                        step=step.id,
                        network=step.network,
                        status=StepStatus.DONE,
                        seconds=slow if i == 0 else 22.0,
                        peak_bytes=(i + 1) * 1_000_000,
                    ),
                )
            test = EnsembleMetrics(
                error=0.04, member_errors=(0.05, 0.05), oracle_error=0.02, disagreement=0.03, nll=0.2
            )
            store.update_run(
                run.id,
                status=status,
                train_seconds=110.0,
                overhead_seconds=overhead,
                test=test if status is RunStatus.DONE else None,
            )

    return make


def step_of(network: str, batch: int) -> Measurement:
    """What a step took whose every layer took 1 ms forward and 2 ms backward."""
    task = dataset_named("digits").task
    names = [node.name for node in lower(parse_network(network), task).nodes]
    layers = [
        LayerTime(name=name, forward_seconds=0.001, backward_seconds=0.002, inference_seconds=0.001)
        for name in [*names, "loss"]
    ]
    return measurement(
        network,
        task,
        batch,
        fingerprint=fingerprint(plain_execution("cpu")),
        forward_seconds=0.001 * len(layers),
        backward_seconds=0.002 * len(layers),
        optimizer_seconds=0.003,
        step_seconds=0.003 * len(layers) + 0.005,
        inference_seconds=0.001 * len(names),
        layers=tuple(layers),
    )


@pytest.fixture
def measured(home):
    """A machine with a few measurements of steps in layers."""
    with open_store(home / "advisor.sqlite") as store:
        for network in ("resnet-8-4", "resnet-14-4", "resnet-8-8"):
            for batch in (16, 32):
                store.add_measurement(step_of(network, batch))


LAYERS = (
    "explain",
    "resnet-8-4+resnet-8-6",
    "--dataset",
    "digits",
    "--batch",
    "32",
    "--device",
    "cpu",
    "--layers",
)


def row_of(out: str, name: str) -> str:
    return next(line for line in out.splitlines() if line.startswith(name))


def test_a_plan_is_explained_step_by_step_to_the_evaluation(advisor, priced):
    answer = advisor(*HATCHED, "--json").json
    assert [step["step"] for step in answer["steps"]] == [*STEPS, "evaluate"]
    assert [step["epochs"] for step in answer["steps"]] == [10, 0, 3, 0, 3, 0]
    assert answer["steps"][-1]["after"] == ["train member-1", "train member-2"]
    assert answer["steps"][0]["seconds"] == {"mean": 20.0, "low": 15.0, "high": 25.0}
    assert answer["run"] is None


def test_the_table_of_a_plan_has_every_step_and_total_with_its_interval(advisor, priced):
    out = advisor(*HATCHED).out
    assert row_of(out, "train mother-1").split() == [
        *("train", "mother-1", "resnet-8-4", "10", "20", "s", "15–25", "s")
    ]
    assert "all members" in row_of(out, "evaluate")
    assert "2 h" in row_of(out, "training")
    assert "30 s" in row_of(out, "an epoch")
    assert "1–4 MiB" in row_of(out, "peak memory")
    assert "0.4–0.6 ms" in row_of(out, "latency")
    assert "2.00–10.0 %" in row_of(out, "test error")
    assert "0.1–0.4" in row_of(out, "log-likelihood")
    assert "1.00–5.00 %" in row_of(out, "calibration")
    assert "energy" not in out
    assert "cost " not in out


def test_the_picture_of_a_plan_has_its_networks_above_its_steps(advisor, priced, tmp_path):
    answer = advisor(*HATCHED, "--json", "--plot", str(tmp_path / "plan.svg")).json
    assert [network["name"] for network in answer["networks"]] == ["mother-1", "member-1", "member-2"]
    assert answer["steps"][-2]["predicted_span_seconds"] == {"start": 40.0, "end": 60.0, "slots": [2]}
    svg = (tmp_path / "plan.svg").read_text()
    assert 0 < svg.index("its networks and how they begin") < svg.index("when each step runs")


def test_a_price_gives_the_cost_with_the_interval_of_the_time(advisor, priced):
    answer = advisor(*HATCHED, "--price-per-hour", "2.5", "--json").json
    assert answer["predicted"]["cost_usd"] == {"mean": 5.0, "low": 2.5, "high": 7.5}
    row = row_of(advisor(*HATCHED, "--price-per-hour", "2.5").out, "cost")
    assert row.split() == ["cost", "USD", "at", "2.5/h", "5.00", "2.50–7.50"]


@pytest.mark.parametrize("price", ["0", "-1", "nan", "inf"])
def test_a_price_that_is_none_is_refused(advisor, home, price):
    answer = advisor(*HATCHED, "--price-per-hour", price)
    assert answer.code == 2
    assert "--price-per-hour must be positive and finite" in answer.error_line
    assert not home.exists()


def test_energy_is_shown_where_it_is_known(advisor, priced):
    priced(energy_joules=Estimate(7.2e6, 3.6e6, 10.8e6))
    assert "1–3 kWh" in row_of(advisor(*HATCHED).out, "energy")
    assert advisor(*HATCHED, "--json").json["predicted"]["energy_joules"]["mean"] == 7.2e6


def test_what_was_never_measured_is_said_below(advisor, priced):
    priced(unmeasured=("family mlp", "batch 256"))
    assert advisor(*HATCHED, "--json").json["evidence"]["unmeasured"] == ["family mlp", "batch 256"]
    assert "so intervals are wider: family mlp, batch 256." in " ".join(advisor(*HATCHED).out.split())


def test_without_measurements_there_is_an_error_and_no_cost(advisor):
    answer = advisor(*HATCHED, "--price-per-hour", "1", "--json").json
    assert answer["predicted"]["train_seconds"] is None
    assert answer["predicted"]["cost_usd"] is None
    assert 0 < answer["predicted"]["test_error"]["mean"] < 1
    out = advisor(*HATCHED).out
    assert row_of(out, "training").split()[-2:] == ["–", "–"]
    assert "run advisor recommend" in out


def test_a_plan_file_is_explained_as_it_stands(advisor, priced):
    plan = make_plan(
        parse_design(DESIGN),
        dataset_named("digits"),
        epochs=10,
        batch=32,
        seed=3,
        execution=EXECUTION,
    )
    Path("plan.json").write_text(plan_to_json(plan))
    answer = advisor("explain", "plan.json", "--json").json
    assert answer["plan"]["seed"] == 3
    assert not any("devices share" in note for note in answer["notes"])
    shared = replace(plan, steps=(replace(plan.steps[0], devices=2), *plan.steps[1:]))
    Path("shared.json").write_text(plan_to_json(shared))
    other = advisor("explain", "shared.json", "--json").json
    assert any("Up to 2 devices share a network's batches" in note for note in other["notes"])


@pytest.mark.parametrize(
    ("design", "said"), [("mlp-1-8@g1", True), ("mlp-1-8", False), ("2xmlp-1-8@g2", True)]
)
def test_clusters_of_one_are_said_to_change_nothing(advisor, design, said):
    notes = advisor("explain", design, "--dataset", "digits", "--json").json["notes"]
    assert any("none is hatched" in note for note in notes) == said


# Two members of 8 units, one of 12 and 6, and one of another family. Their mother has 6 units, because the
# second layer of the third member passes hers on: 65·6 + 7·10 parameters.
CLUSTERED = ("explain", "2xmlp-1-8+mlp-2-12~b1l2:1x6+resnet-8-4@g2", "--dataset", "digits", "--epochs", "2")


def test_the_clusters_of_a_plan_are_shown_with_distances_and_the_mothers_share(advisor):
    hatched, alone = advisor(*CLUSTERED, "--json").json["clusters"]
    assert hatched["mother"] == "mlp-1-8~b1l1:1x6"
    assert [m["member"] for m in hatched["members"]] == ["member-1", "member-2", "member-3"]
    assert [m["distance"] for m in hatched["members"]] == [1, 1, 2]
    of_8, of_12 = 65 * 8 + 9 * 10, 65 * 12 + 13 * 6 + 7 * 10
    assert [m["mother_share"] for m in hatched["members"]] == pytest.approx(
        [460 / of_8, 460 / of_8, 460 / of_12]
    )
    assert alone["mother"] is None
    assert [(m["network"], m["mother_share"]) for m in alone["members"]] == [("resnet-8-4", 0.0)]
    rows = [line.split() for line in advisor(*CLUSTERED).out.splitlines()]
    assert ["mlp-1-8~b1l1:1x6", "2xmlp-1-8", "1", "75.4", "%"] in rows
    assert ["mlp-2-12~b1l2:1x6", "2", "49.6", "%"] in rows
    assert ["from", "scratch", "resnet-8-4", "–", "–"] in rows


def test_members_that_share_layers_are_explained_with_their_mother_and_other_methods_have_no_clusters(
    advisor,
):
    arguments = ("explain", "2xmlp-1-8@g1", "--dataset", "digits", "--method", "shared_mothernets")
    (cluster,) = advisor(*arguments, "--json").json["clusters"]
    assert cluster["mother"] == "mlp-1-8"
    assert [m["distance"] for m in cluster["members"]] == [0, 0]
    chain = advisor("explain", "2xmlp-1-8", "--dataset", "digits", "--method", "fge", "--json").json
    assert chain["clusters"] == []


def test_the_clusters_of_a_stored_plan_are_those_that_it_was_made_with():
    small, large = parse_network("mlp-1-8"), parse_network("mlp-2-12")
    plan = make_plan(
        parse_design("2xmlp-1-8+2xmlp-2-12@g1"),
        dataset_named("digits"),
        epochs=10,
        batch=32,
        seed=3,
        execution=EXECUTION,
    )
    plan = plan_from_json(plan_to_json(with_cluster(plan, [small, large])))
    # Clusters that are formed today would have one shape each.
    assert clusters_of(parse_design(plan.design)) == [(0, 1, 4), (2, 3, 5)]
    found = [[m.network for m in cluster.members] for cluster in explained_clusters(plan)]
    assert found == [["mlp-1-8"] * 2 + ["mlp-2-12"] * 2, ["mlp-1-8", "mlp-2-12"]]


def test_every_method_has_an_error_forecast_of_its_own(advisor):
    def error(design, method):
        arguments = ("explain", design, "--dataset", "digits", "--method", method)
        return advisor(*arguments, "--json").json["predicted"]["test_error"]["mean"]

    alone, copies, bootstrap = (error("2xmlp-1-8", m) for m in ("full_data", "snapshot", "bagging"))
    assert alone < copies
    assert alone < bootstrap


def test_members_that_share_layers_say_what_that_saves(advisor):
    answer = advisor("explain", "2xmlp-1-8", "--dataset", "digits", "--method", "treenets", "--json")
    # 64·8 + 8 of twice 64·8 + 8 + 8·10 + 10 parameters are there once.
    assert (
        f"tree has {100 * 520 / 1220:.0f} % fewer parameters than its members apart." in answer.json["notes"]
    )


def test_every_distinct_network_of_a_plan_is_reported_layer_by_layer(advisor, measured):
    networks = advisor(*LAYERS, "--json").json["layers"]
    assert [(n["network"], n["batch"]) for n in networks] == [("resnet-8-4", 32), ("resnet-8-6", 32)]
    for network in networks:
        nodes = lower(parse_network(network["network"]), dataset_named("digits").task).nodes
        assert [layer["name"] for layer in network["layers"]] == [*(n.name for n in nodes), "loss"]
        assert [layer["kind"] for layer in network["layers"]][:3] == ["Conv2d", "BatchNorm2d", "ReLU"]
    (one,) = advisor(*HATCHED[:1], "3xresnet-8-4", *LAYERS[2:], "--json").json["layers"]
    assert one["network"] == "resnet-8-4"


def test_predicted_layers_and_parts_add_up_to_the_predicted_step(advisor, measured):
    for network in advisor(*LAYERS, "--json").json["layers"]:
        whole = sum(layer["forward_seconds"] + layer["backward_seconds"] for layer in network["layers"])
        whole += sum(network["parts"].values())
        predicted = network["predicted_step_seconds"]
        assert whole == pytest.approx(predicted["mean"])
        assert predicted["low"] < predicted["mean"] < predicted["high"]
        assert network["step"]["step_seconds"] == predicted["mean"]
        updates = sum(layer["optimizer_seconds"] for layer in network["layers"])
        assert updates == pytest.approx(network["parts"]["optimizer_seconds"])
        # 9 weights, gradients and momenta a filter, and the batch of 32 images of 8×8 pixels, in 4 bytes.
        filters = int(network["network"].split("-")[-1])
        assert network["layers"][0]["parameter_bytes"] == 9 * filters * 3 * 4
        assert network["layers"][0]["saved_bytes"] == 32 * 64 * 4


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_of_layers_fits_and_stands_above_the_plan(advisor, measured, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    out = advisor(*LAYERS).out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= width
    table = out.split("Where the step goes")[0]
    for name in ("stem.conv ", "loss ", "batch preparation", "optimizer", "step  "):
        assert row_of(table, name)
    assert "remainder" not in out
    assert row_of(table, "stem.conv").split()[-1] == "Conv2d"
    assert len(row_of(table, "stem.conv").split()) == 6
    assert out.index("90 % interval") < out.index("train member-1")
    assert out.count("of the network alone on its cores") == 2


def test_layers_of_what_was_never_measured_are_one_line_with_the_remedy(advisor):
    assert advisor(*LAYERS, "--json").json["layers"] == []
    out = advisor(*LAYERS).out
    assert row_of(out, "Nothing was measured here yet: run advisor recommend or advisor profile.")
    assert "Where the step goes" not in out


def test_layers_are_reported_only_on_request(advisor, measured):
    assert advisor(*LAYERS[:-1], "--json").json["layers"] is None
    assert "stem.conv" not in advisor(*LAYERS[:-1]).out


def test_a_run_that_nobody_trains_any_more_is_interrupted(advisor, home, trained):
    trained(status=RunStatus.RUNNING, done=1)
    trained()
    assert advisor("explain", "1", "--json").json["run"]["status"] == "interrupted"
    assert advisor("runs", "show", "1", "--json").json["run"]["status"] == "interrupted"
    assert "interrupted" in row_of(advisor("runs", "list").out, "   1")
    assert "interrupted" in advisor("runs", "export").out
    assert "interrupted" in advisor("runs", "compare", "1", "2").out

    def ids(*options: str) -> list[int]:
        return [run["id"] for run in advisor("runs", "list", *options, "--json").json["runs"]]

    assert ids("--where", "status=interrupted") == [1]
    assert ids("--where", "status=running") == []
    assert ids("--where", "status=done", "--where", "batch=32") == [2]
    assert ids("--sort", "status") == [2, 1]
    assert ids("--sort", "-status", "--limit", "1") == [1]
    with open_store(home / "advisor.sqlite") as store:
        assert store.run(1).status is RunStatus.RUNNING


def test_a_run_whose_folder_is_locked_is_running(advisor, home, trained):
    trained(status=RunStatus.RUNNING, done=1)
    with open_store(home / "advisor.sqlite") as store:
        folder = Home(home).run_folder(store.run(1).folder)
    assert folder == Home(home).run_folder(folder_of(1))
    with locked(folder, "run 1"):
        assert advisor("runs", "list", "--json").json["runs"][0]["status"] == "running"
        assert advisor("runs", "list", "--where", "status=running", "--json").json["runs"]
        assert advisor("explain", "1", "--json").json["run"]["status"] == "running"
    assert advisor("runs", "list", "--json").json["runs"][0]["status"] == "interrupted"


def test_a_run_is_compared_with_the_forecast_from_its_beginning(advisor, trained, monkeypatch):
    trained()
    monkeypatch.setattr(workflow, "forecast_plan", lambda *_: pytest.fail("a run is not predicted again"))
    answer = advisor("explain", "last", "--price-per-hour", "36", "--json").json
    assert answer["run"]["status"] == "done"
    assert answer["predicted"]["train_seconds"] == {"mean": 100.0, "low": 80.0, "high": 120.0}
    assert answer["actual"] == {
        "train_seconds": 110.0,
        # The two largest of five steps, because two run at a time.
        "train_peak_bytes": 9_000_000,
        "test_error": 0.04,
        "cost_usd": pytest.approx(1.1),
        "overhead_seconds": 5.0,
    }
    assert answer["deviation"]["train_seconds"] == {"share": pytest.approx(0.1), "inside": True}
    assert answer["deviation"]["cost_usd"] == {"share": pytest.approx(0.1), "inside": True}
    assert answer["predicted"]["overhead_seconds"] == {"mean": 4.0, "low": 3.0, "high": 6.0}
    assert answer["deviation"]["overhead_seconds"] == {"share": pytest.approx(0.25), "inside": True}
    assert answer["deviation"]["train_peak_bytes"] == {"share": pytest.approx(1.25), "inside": False}
    assert answer["steps"][2]["deviation"] == {"share": pytest.approx(0.1), "inside": True}
    assert answer["steps"][-1]["step"] == "evaluate"
    assert answer["steps"][-1]["actual_seconds"] is None


def test_an_actual_figure_outside_its_interval_is_marked(advisor, trained):
    trained(slow=30.0)
    out = advisor("explain", "1").out
    assert row_of(out, "train mother-1").endswith("+50.0 %*")
    assert row_of(out, "train member-1").rstrip().endswith("+10.0 %")
    assert row_of(out, "peak memory").endswith("+125 %*")
    assert row_of(out, "test error").rstrip().endswith("-20.0 %")
    assert "* lies outside the 90 % interval" in out


BESIDE = "starting, storing, evaluating"


@pytest.mark.parametrize(
    ("forecast", "overhead", "explained", "shown"),
    [
        (FORECAST, 5.0, "4 s 3–6 s 5 s +25.0 %", "4 s 3–6 s 5 s"),
        # A run of an older program that a newer one forecast, and one that ended under a newer one.
        (FORECAST, None, "4 s 3–6 s – –", "4 s 3–6 s –"),
        (replace(FORECAST, overhead_seconds=None), 5.0, "– – 5 s –", "– – 5 s"),
        (None, None, None, None),
    ],
)
def test_what_is_waited_for_beside_the_training_has_a_row_of_its_own(
    advisor, trained, monkeypatch, forecast, overhead, explained, shown
):
    monkeypatch.setenv("COLUMNS", "120")
    trained(forecast, overhead=overhead)
    for command, figures in (("explain", explained), ("runs show", shown)):
        rows = [" ".join(row.split()) for row in advisor(*command.split(), "1").out.splitlines()]
        found = [row.partition(BESIDE)[2].strip() for row in rows if BESIDE in row]
        assert found == ([] if figures is None else [figures])


def test_a_run_that_stopped_is_compared_only_where_it_finished(advisor, trained):
    trained(status=RunStatus.DEADLINE, done=1)
    answer = advisor("explain", "1", "--json").json
    assert set(answer["deviation"].values()) == {None}
    assert answer["steps"][0]["deviation"] is not None
    assert answer["steps"][1]["actual_seconds"] is None
    assert "only its finished steps are compared" in advisor("explain", "1").out


@pytest.mark.parametrize(
    ("forecast", "said"),
    [
        (None, "No forecast was stored when this run began"),
        (
            Forecast(
                train_seconds=None,
                train_peak_bytes=None,
                inference_ms_per_image=None,
                test_error=(0.05, 0.02, 0.1),
                steps=(),
            ),
            "No cost was forecast when this run began",
        ),
    ],
)
def test_a_run_without_a_forecast_shows_what_it_took(advisor, trained, forecast, said):
    trained(forecast)
    out = advisor("explain", "1", "--price-per-hour", "36").out
    assert said in out
    assert row_of(out, "train mother-1").split()[-5:] == ["–", "–", "20", "s", "–"]
    assert "110 s" in row_of(out, "training")
    assert "1.10" in row_of(out, "cost")


def test_a_run_says_how_many_forecasts_of_its_machine_held_and_how_its_own_was_corrected(advisor, trained):
    factor = Correction(quantity=Quantity.TIME, basis="measurements", factor=1.25, own=7, shipped=124)
    trained(replace(FORECAST, corrections=(factor,)))
    answer = advisor("explain", "1", "--json").json
    # 110 s and 4 % are inside; 4 and 5 MB of two steps at a time are more than 5.
    assert answer["coverage"] == [
        {"quantity": quantity, "forecasts": 1, "inside": inside}
        for quantity, inside in (("time", 1), ("memory", 0), ("error", 1))
    ]
    assert answer["corrections"] == [
        {"quantity": "time", "basis": "measurements", "factor": 1.25, "own": 7, "shipped": 124}
    ]
    out = " ".join(advisor("explain", "1").out.split())
    assert "Of your last 1 forecast of time 1, of 1 forecast of memory 0, of 1 forecast of the error 1" in out
    assert "time × 1.25 (7 of yours and 124 shipped)" in out


def test_a_plan_without_a_history_says_by_what_its_intervals_are_corrected(advisor, measured):
    out = " ".join(advisor("explain", "resnet-8-4", "--dataset", "digits", "--device", "cpu").out.split())
    assert "Of your last" not in out
    shipped = Corrections(shipped=shipped_scores())
    for quantity in (Quantity.TIME, Quantity.LATENCY):
        correction = shipped.of(quantity, "few measurements")
        said = f"{quantity} × {correction.factor:.2f} ({correction.shipped} shipped)" in out
        # A factor of 1 changes nothing and is not mentioned.
        assert said == (correction.factor != 1)
    assert "time × " in out


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_of_a_run_fits_the_terminal(advisor, trained, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    trained(slow=30.0)
    lines = advisor("explain", "1", "--price-per-hour", "2.5").out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    header = next(i for i, line in enumerate(lines) if line.startswith("step"))
    assert lines[header].split() == [
        *("step", "network", "epochs", "predicted", "90", "%", "interval", "actual", "error")
    ]
    # A row on two lines would begin with the blank of its first column.
    assert not any(line[:1] == " " for line in lines if line.strip())
    # Last, the forecasts that held, which take two lines of the narrow terminal.
    held = 2 if width == 80 else 1
    # The three lines after the title are those of the clusters, with an empty one. Before the forecasts that
    # held stand the schedules of the mother and of her members, and a blank.
    assert len(lines) == 3 + 1 + 3 + 1 + 6 + 1 + 6 + 1 + 3 + 2 + held


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("1", "--epochs", "3"), "a run fixes its epochs"),
        (("1", "--device", "cpu"), "a run fixes its device"),
        (("3", "--layers"), "stored by step, not by layer: name a design"),
        (("3", "--slots", "8"), "--slots 3: a run has the slots that it began with: name a design"),
        (("7",), "no run"),
        (("last",), "no run"),
    ],
)
def test_bad_input_about_a_run_is_one_line_and_nothing_is_written(advisor, home, arguments, remedy):
    answer = advisor("explain", *arguments)
    assert answer.code == 2
    assert remedy in answer.error_line
    assert not home.exists()
