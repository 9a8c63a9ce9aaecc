"""Budget to advice through the command line, with few measurements."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from cli.workflows.home import Home
from db.session import open_store

QUICK = ("recommend", "--dataset", "digits", "--budget", "60k", "--epochs", "5", "--family", "resnet")


# Without measuring, and with a search that is soon done.
AGAIN = (*QUICK, "--profile-seconds", "0", "--trials", "60")


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A home with a recommendation that rests on real measurements, and the answer."""
    home = tmp_path_factory.mktemp("measured")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from cli.app import main; main()",
            *("--home", str(home), *QUICK, "--profile-seconds", "20", "--trials", "60", "--quiet", "--json"),
        ],
        check=True,
        capture_output=True,
    )
    return home, json.loads(done.stdout)


@pytest.fixture(scope="module")
def measured_home(asked):
    return asked[0]


def test_the_answer_has_the_promised_form(asked):
    answer = asked[1]
    assert answer["schema_version"] == 1
    assert set(answer) == {
        "schema_version",
        "request",
        "device",
        "profile",
        "recommendations",
        "switchover",
        "search",
        "probing",
    }
    assert set(answer["profile"]) == {"seconds", "measurements_new", "measurements_reused"}
    assert answer["profile"]["measurements_new"] > 0
    rows = answer["recommendations"]
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert any(row["class"] == "single" for row in rows)
    assert any(row["members"] > 1 for row in rows)
    for row in rows:
        assert row["parameters"] <= 60_000
        for name in (
            "test_error",
            "epoch_seconds",
            "train_seconds",
            "inference_ms_per_image",
            "train_peak_bytes",
        ):
            figure = row["predicted"][name]
            assert 0 <= figure["low"] <= figure["mean"] <= figure["high"]
        assert 0 <= row["probability_beats_single"] <= 1
        assert row["evidence"]["accuracy"] == "prior"
        assert row["reasons"]
    for threshold in answer["switchover"]:
        assert set(threshold) == {"family", "members", "parameters", "epochs", "probability_past"}


def test_a_repeated_request_measures_nothing_and_answers_from_what_is_known(asked, advisor):
    home, first = asked
    repeated = advisor("--home", str(home), *AGAIN, "--json").json["profile"]
    assert repeated["measurements_new"] == 0
    assert repeated["measurements_reused"] == first["profile"]["measurements_new"]


def test_the_table_fits_a_terminal_of_80_columns(measured_home, advisor, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = advisor("--home", str(measured_home), *AGAIN).out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert "Next: advisor train" in out


def test_a_study_can_be_opened_by_optuna(measured_home):
    storage = optuna.storages.RDBStorage(f"sqlite:///{measured_home / 'studies.sqlite'}")
    studies = storage.get_all_studies()
    assert studies
    assert len(storage.get_all_trials(studies[0]._study_id)) == 60


def test_a_saved_plan_is_explained_and_trained_as_it_stands(measured_home, advisor):
    plan = Path("plan.json")
    home = ("--home", str(measured_home))
    advisor(*home, *AGAIN, "--save", str(plan))
    explained = advisor(*home, "explain", str(plan), "--json").json
    assert explained["predicted"]["train_seconds"]["mean"] > 0
    run = advisor(*home, "train", str(plan), "--json", "--quiet").json["run"]
    assert run["design"] == explained["plan"]["design"]
    assert run["predicted"]["train_seconds"]["mean"] == pytest.approx(
        explained["predicted"]["train_seconds"]["mean"]
    )


@pytest.mark.slow
def test_train_without_a_name_takes_the_last_recommendation(measured_home, advisor):
    home = ("--home", str(measured_home))
    rows = advisor(*home, *AGAIN, "--json").json["recommendations"]
    smallest = min(rows, key=lambda row: row["predicted"]["train_seconds"]["mean"])
    run = advisor(*home, "train", "--rank", str(smallest["rank"]), "--epochs", "1", "--quiet", "--json").json
    assert run["run"]["design"] == smallest["design"]
    assert run["run"]["dataset"] == "digits"
    answer = advisor(*home, "train", "--rank", "99")
    assert answer.code == 2
    assert "ranks 1 to" in answer.error_line


def test_limits_that_nothing_keeps_are_infeasible(measured_home, advisor):
    answer = advisor("--home", str(measured_home), *AGAIN, "--max-train-time", "0.001", "--quiet")
    assert answer.code == 1
    assert "no design keeps the limits" in answer.error_line


@pytest.mark.slow
def test_profile_reports_layers_that_add_up_to_the_network(measured_home, advisor):
    answer = advisor(
        "--home", str(measured_home), "profile", "resnet-8-4", "--dataset", "digits", "--json"
    ).json
    explicit = advisor("equivalents", "resnet-8-4", "--input", "1x8x8", "--json").json
    assert answer["parameters"] == explicit["single"]["parameters"]
    assert sum(layer["macs"] for layer in answer["layers"]) == answer["macs"]
    assert answer["step"]["step_seconds"] > 0
    assert answer["layers"][0]["name"] == "stem.conv"


def test_probes_teach_the_next_recommendation_and_are_kept(measured_home, advisor, tmp_path):
    home = tmp_path / "probed"
    shutil.copytree(measured_home, home)
    probing = ("--home", str(home), "probe", *QUICK[1:], "--minutes", "0.12", "--profile-seconds", "0")
    answer = advisor(*probing, "--json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert told["ended"] in ("time", "nothing worthwhile", "too little time")
    assert told["probes"], "nothing is known about digits, so that something is worth probing"
    with open_store(Home(home).database) as store:
        kept = store.reported()
    assert [(k.design, k.epochs, k.error) for k in kept] == [
        (p["design"], p["epochs"], p["error"]) for p in told["probes"]
    ]
    # Scored on validation images, never on the test set.
    assert {k.test_images for k in kept} == {360}
    first = told["probes"][0]
    assert 0 <= first["predicted_error"]["low"] <= first["predicted_error"]["high"] <= 1
    assert told["before"]["test_error"] != told["after"]["test_error"]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("--minutes", "0"), "--minutes must be positive, got 0"),
        (("--minutes", "nan"), "--minutes must be positive, got nan"),
        (("--minutes", "1", "--dataset", "nothing"), "nothing"),
    ],
)
def test_a_probe_that_cannot_be_made_is_one_line(advisor, home, arguments, rule):
    answer = advisor("probe", "--budget", "60k", "--epochs", "5", "--dataset", "digits", *arguments)
    assert answer.code == 2
    assert rule in answer.err
    assert answer.err.count("\n") <= 2


def test_probing_that_cannot_be_done_is_refused_before_anything_is_measured(advisor, home):
    missing = advisor(*QUICK[:1], "--dataset", "cifar10", *QUICK[3:], "--probe", "1")
    negative = advisor(*QUICK, "--probe", "-1")
    assert (missing.code, negative.code) == (2, 2)
    assert "pass --download" in missing.err
    assert "--probe must be positive, got -1" in negative.err
    assert "measuring" not in missing.err + negative.err
