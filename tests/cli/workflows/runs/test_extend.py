"""`advisor extend` on the digits, with tiny networks."""

from types import SimpleNamespace

import pytest

from advisor.plans.records import Forecast, PredictedStep, RunStatus
from cli.workflows.forecast import machine
from db.session import open_store

REFUSED = {
    (): "give either --add-members or --add-cluster",
    ("--add-members", "mlp-1-8", "--add-cluster", "mlp-1-8"): "give either",
    ("--add-members", "2xmlp-1-8@g1"): "leave out @g1",
    ("--add-members", "mlp-1-4"): "give it a cluster of its own",
    ("--add-cluster", "mlp-1-8+resnet-8-4"): "members of exactly one family",
    ("--add-members", "nonsense"): "unknown ensemble",
}


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    """Plans of one process, which train in this one: starting others takes far longer than they train."""
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)


def checkpoints(home, run, name):
    folder = home / "runs" / run / "networks" / name
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_an_ensemble_grows_and_nothing_is_trained_twice(advisor, home):
    made = advisor("train", "2xmlp-1-8@g1", "--dataset", "digits", "--epochs", "2", "-q")
    assert made.code == 0, made.err
    for options, reason in REFUSED.items():
        refused = advisor("extend", "1", *options)
        assert refused.code == 2
        assert reason in refused.error_line
    assert len(advisor("runs", "list", "--json").json["runs"]) == 1

    wider = advisor("extend", "--add-members", "mlp-1-12", "--json")
    assert wider.code == 0, wider.err
    run = wider.json["run"]
    assert run["design"] == "2xmlp-1-8+mlp-1-12@g1"
    assert len(run["test"]["member_errors"]) == 3
    for name in ("mother-1", "member-1", "member-2"):
        assert checkpoints(home, "0002", name) == checkpoints(home, "0001", name)
    # Checkpoints are shared between both runs; deleting one leaves the other whole.
    assert advisor("runs", "delete", "1", "--yes").code == 0
    assert checkpoints(home, "0002", "mother-1")


def test_what_a_run_did_and_was_expected_to_do_stays_with_the_run_that_extends_it(advisor, home, monkeypatch):
    """Old networks keep epochs, errors, seconds and forecasts; only what is added is forecast anew."""

    def forecasting(seconds):
        def forecast(plan, store, done=frozenset(), nodes=None, **others):
            steps = (PredictedStep(step=s.id, mean=t, low=t, high=t) for s, t in each(plan, done))
            whole = Forecast(
                train_seconds=(seconds,) * 3,
                train_peak_bytes=None,
                inference_ms_per_image=None,
                test_error=None,
                steps=tuple(steps),
            )
            return SimpleNamespace(priced=whole, forecast=whole)

        def each(plan, done):
            # As `advisor.cost.pricing.price` does: a step that is done costs nothing more.
            return [(step, 0.0 if step.id in done else seconds) for step in plan.steps]

        return forecast

    monkeypatch.setattr("cli.workflows.runs.train.forecast_plan", forecasting(3.0))
    monkeypatch.setattr("cli.workflows.runs.extend.forecast_plan", forecasting(5.0))
    made = advisor("train", "2xmlp-1-8@g1", "--dataset", "digits", "--epochs", "3", "--json", "-q")
    old = made.json["run"]
    new = advisor("extend", "--add-members", "mlp-1-12", "--json", "-q").json["run"]
    names = [network["name"] for network in old["networks"]]
    assert [n for n in new["networks"] if n["name"] in names] == old["networks"]
    assert [network["epochs"] for network in new["networks"]][:3] == [3, 1, 1]
    kept = {step["step"]: step for step in new["steps"]}
    assert [kept[step["step"]] for step in old["steps"]] == old["steps"]
    added = [step for step in new["steps"] if step["network"] not in names]
    assert {step["predicted_seconds"]["mean"] for step in added} == {5.0}
    assert new["predicted"]["train_seconds"]["mean"] == 5.0
    explained = {s["step"]: s for s in advisor("explain", "2", "--json").json["steps"]}
    for step in old["steps"]:
        assert explained[step["step"]]["seconds"]["mean"] == 3.0
        assert explained[step["step"]]["actual_seconds"] == step["actual_seconds"]
    # Evidence counts once: the epochs of the old mother belong to the old run.
    with open_store(home / "advisor.sqlite") as store:
        (fingerprint,) = {run.fingerprint for run in store.runs()}
        found = store.trained_epochs(fingerprint)
    # The first epoch of several does not count.
    assert [trained.epochs for trained in found].count(2) == 1


def test_a_run_that_is_not_finished_is_refused(advisor):
    advisor("train", "mlp-1-8", "--dataset", "digits", "--epochs", "5000", "--time-limit", "0.2s", "-q")
    refused = advisor("extend", "--add-cluster", "mlp-1-8")
    assert refused.code == 2
    assert "run `advisor resume 1` first" in refused.error_line


def test_a_run_whose_process_was_killed_is_refused_as_interrupted(advisor, home):
    assert advisor("train", "mlp-1-8", "--dataset", "digits", "--epochs", "1", "-q").code == 0
    with open_store(home / "advisor.sqlite") as store:
        store.update_run(1, status=RunStatus.RUNNING, train_seconds=0.0)
    refused = advisor("extend", "1", "--add-cluster", "mlp-1-8")
    assert refused.code == 2
    assert "run 1 is interrupted: run `advisor resume 1` first" in refused.error_line
