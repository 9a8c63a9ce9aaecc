"""`advisor extend` on the digits, with tiny networks."""

import pytest

from advisor.plans.records import RunStatus
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
