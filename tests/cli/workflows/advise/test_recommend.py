"""Budget to advice through the command line, with few measurements."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from advisor.accuracy.sources.reported import ReportedTraining
from advisor.errors import InfeasibleError, InterruptedRunError, StorageError
from advisor.plans.dataset import DATASETS
from cli.render.formats import design_lines
from cli.workflows.advise.comparison import saying_what_usd_buy
from cli.workflows.advise.last_recommendation import completed_request
from cli.workflows.advise.probe import ProbingSession
from cli.workflows.advise.recommend import KEPT_STUDIES, _journal, recommend
from cli.workflows.advise.request import seconds_allowed
from cli.workflows.answers.advise.advice import Advice
from cli.workflows.answers.advise.request import RecommendRequest
from cli.workflows.answers.schema import schema_of
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from cli.workflows.home import Home
from db.session import open_store

QUICK = ("recommend", "--dataset", "digits", "--budget", "60k", "--epochs", "5", "--family", "resnet")


# Without measuring, and with a search that is soon done.
AGAIN = (*QUICK, "--profile-seconds", "0", "--trials", "60")


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A home with a recommendation that rests on real measurements, and the answer."""
    home = tmp_path_factory.mktemp("measured")
    # On a machine so busy that the measuring process does not come up in time, once more with more.
    for seconds in ("8", "60"):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from cli.__main__ import main; main()",
                *("--home", str(home), *QUICK),
                *("--profile-seconds", seconds, "--trials", "60", "--quiet", "--json"),
            ],
            check=True,
            capture_output=True,
        )
        answer = json.loads(done.stdout)
        if answer["profile"]["measurements_new"]:
            break
    return home, answer


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
        "verdict",
        "recommendations",
        "switchover",
        "search",
        "would_change",
        "measure_next",
        "probing",
        "cluster",
    }
    assert answer["cluster"] is None
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
            "memory_bytes",
        ):
            figure = row["predicted"][name]
            assert 0 <= figure["low"] <= figure["mean"] <= figure["high"]
        # Nothing is reserved on a CPU.
        assert row["predicted"]["train_reserved_bytes"] is None
        assert row["predicted"]["memory_bytes"] == row["predicted"]["train_peak_bytes"]
        chance = row["probability_beats_single"]
        assert chance is None if row["reference"] else 0 <= chance <= 1
        # Nothing was trained, but the images were looked at.
        assert row["evidence"]["accuracy"] == "data"
        assert row["reasons"]
        assert all(isinstance(reason, str) for reason in row["reasons"])
    for threshold in answer["switchover"]:
        assert set(threshold) == {
            *("family", "members", "parameters", "epochs", "probability_past"),
            *("smallest", "largest", "longest"),
        }


def test_a_row_trades_what_its_figures_and_those_of_the_reference_say(asked):
    rows = asked[1]["recommendations"]
    reference = next(row for row in rows if row["reference"])
    for row in rows:
        if row is reference:
            continue
        traded = row["trade"]
        assert traded["against"]["design"] == reference["design"]
        for ratio, figure in (("epoch_times", "epoch_seconds"), ("train_times", "train_seconds")):
            own, other = (each["predicted"][figure]["mean"] for each in (row, reference))
            assert traded[ratio]["low"] <= traded[ratio]["mean"] <= traded[ratio]["high"]
            assert traded[ratio]["mean"] == pytest.approx(own / other)
        assert traded["points_less"]["low"] <= traded["points_less"]["high"]
        assert f"error than {reference['design']}" in row["reasons"][0]


def test_the_verdict_is_about_two_rows_of_the_ranking(asked):
    verdict, rows = asked[1]["verdict"], asked[1]["recommendations"]
    taken = rows[verdict["rank"] - 1]
    against = next(row for row in rows if row["design"] == verdict["trade"]["against"]["design"])
    assert (verdict["design"], verdict["method"]) == (taken["design"], taken["method"])
    assert (taken["members"] == 1) is not (against["members"] == 1)
    chance = verdict["probability_less_error"]
    if taken["rank"] == 1:
        assert chance == pytest.approx(1 - against["probability_beats_first"])
    else:
        assert chance == taken["probability_beats_first"]
        assert verdict["kind"] == "either"


def test_the_first_row_has_the_least_expected_error(asked):
    errors = [row["predicted"]["test_error"]["mean"] for row in asked[1]["recommendations"]]
    # Counted on test images, which rounds: one image of 360.
    assert errors[0] <= min(errors) + 1 / 360


def test_conditions_that_would_change_the_advice_have_figures(asked):
    answer = asked[1]
    # Simple classifiers are known of these data.
    assert answer["verdict"]["known"] is True
    assert {row["evidence"]["known"] for row in answer["recommendations"]} == {True}
    first, second = answer["recommendations"][:2]
    change = answer["would_change"]
    assert set(change) == {"thresholds", "second", "limits", "objectives"}
    assert change["second"]["design"] == second["design"]
    assert change["second"]["probability"] == second["probability_beats_first"]
    needs = {"train_seconds": "train_seconds", "latency_ms": "inference_ms_per_image"}
    for limit in change["limits"]:
        assert limit["down_to"] < limit["below"]
        if limit["need"] in needs:
            assert limit["below"] <= first["predicted"][needs[limit["need"]]]["mean"]


@pytest.mark.slow
def test_the_probe_that_is_named_is_the_one_that_the_command_makes(measured_home, advisor, monkeypatch):
    home = ("--home", str(measured_home))
    probe = advisor(*home, *AGAIN, "--json").json["measure_next"]["probe"]
    words = shlex.split(probe["command"])
    assert words[:2] == ["advisor", "recommend"], "60 trials are no option of `advisor probe`"
    assert words[-2:] == ["--probe", str(probe["minutes"])]
    chosen = []

    def train(session, found, signals):
        chosen.append(found)
        raise InterruptedRunError("enough", exit_code=130)

    monkeypatch.setattr(ProbingSession, "_train", train)
    assert advisor(*home, *words[1:]).code == 130
    assert (chosen[0].plan.design, chosen[0].plan.epochs) == (probe["design"], probe["epochs"])
    assert chosen[0].move == probe["move_points"]


@pytest.fixture
def trained_vgg(measured_home, tmp_path):
    """The measured home with a poor training of a VGG on digits, as an import brings it."""
    home = tmp_path / "trained"
    shutil.copytree(measured_home, home)
    digits = DATASETS["digits"]
    training = ReportedTraining(
        dataset="digits",
        task=digits.task,
        augmentation=digits.augmentation,
        train_images=digits.train_images,
        test_images=digits.test_images,
        design="vgg-11-4",
        epochs=5,
        batch=32,
        seed=0,
        error=0.5,
        member_errors=(0.5,),
        device="",
        date="2026-11-28",
    )
    with open_store(Home(home).database) as store:
        store.add_reported([training], source="test", imported_at="2026-11-28T00:00:00")
    return home


BOTH = (*AGAIN[:-1], "40", "--family", "vgg", "--json")


def test_the_family_that_was_trained_leads_and_the_one_that_would_is_offered_as_a_probe(trained_vgg, advisor):
    answer = advisor("--home", str(trained_vgg), *BOTH).json
    rows = answer["recommendations"]
    assert (rows[0]["design"].split("-")[0], rows[0]["untried"]) == ("vgg", False)
    resnets = [row for row in rows if "resnet" in row["design"]]
    assert [row["untried"] for row in resnets] == [True] * max(len(resnets), 1)
    # Its forecast is better by far, but nothing of its kind was trained here.
    assert resnets[0]["predicted"]["test_error"]["mean"] < rows[0]["predicted"]["test_error"]["mean"]
    assert "ranked behind families that have" in " ".join(resnets[0]["reasons"])
    assert answer["verdict"]["known"] is True
    assert "vgg" in answer["verdict"]["design"]
    offered = answer["measure_next"]
    assert offered["untried"]["design"] in {row["design"] for row in resnets}
    assert "resnet" in offered["probe"]["design"]
    assert "--family resnet" in offered["probe"]["command"]
    assert "vgg" not in offered["probe"]["command"]
    assert answer["search"]["designs"] == 40


@pytest.mark.slow
def test_the_probe_of_an_untried_family_is_the_one_that_its_command_makes(trained_vgg, advisor, monkeypatch):
    probe = advisor("--home", str(trained_vgg), *BOTH).json["measure_next"]["probe"]
    chosen = []

    def train(session, found, signals):
        chosen.append(found)
        raise InterruptedRunError("enough", exit_code=130)

    monkeypatch.setattr(ProbingSession, "_train", train)
    assert advisor("--home", str(trained_vgg), *shlex.split(probe["command"])[1:]).code == 130
    assert (chosen[0].plan.design, chosen[0].plan.epochs) == (probe["design"], probe["epochs"])


def test_a_repeated_request_measures_nothing_and_answers_from_what_is_known(asked, advisor):
    home, first = asked
    answer = advisor("--home", str(home), *AGAIN, "--json")
    repeated = answer.json["profile"]
    assert repeated["measurements_new"] == 0
    assert repeated["measurements_reused"] == first["profile"]["measurements_new"]
    assert "looking at the data" not in answer.err


def test_the_table_fits_a_terminal_of_80_columns(measured_home, advisor, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = advisor("--home", str(measured_home), *AGAIN).out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert "Next: advisor train" in out
    assert "errors on published figures and simple classifiers on this data" in " ".join(out.split())
    assert "What would change this" in out
    assert "What to measure next" in out
    assert out.startswith(("Train ", "It does not matter here: "))
    assert "±" in out


def test_a_study_can_be_opened_by_optuna(measured_home):
    files = sorted((measured_home / "studies").glob("*.log"))
    storage = JournalStorage(JournalFileBackend(str(files[0])))
    (study,) = storage.get_all_studies()
    assert len(storage.get_all_trials(study._study_id)) == 60


@pytest.mark.slow
def test_by_likelihood_the_first_design_has_the_least_of_it(measured_home, advisor):
    answer = advisor("--home", str(measured_home), *AGAIN, "--objective", "nll", "--json").json
    rows = [row["predicted"] for row in answer["recommendations"]]
    assert all(
        0 < row[name]["low"] <= row[name]["mean"] <= row[name]["high"]
        for row in rows
        for name in ("test_nll", "calibration_error")
    )
    # The order is by expected figures, those of the rows have the noise of one training too.
    assert rows[0]["test_nll"]["mean"] < 1.05 * min(row["test_nll"]["mean"] for row in rows)


def test_of_many_searches_the_newest_can_be_looked_at(tmp_path):
    home = Home(tmp_path)
    home.studies.mkdir()
    for number in range(60):
        (home.studies / f"2026-01-01T00-00-{number:02}.log").touch()
    _journal(home)
    left = sorted(path.name for path in home.studies.glob("*.log"))
    assert len(left) in (KEPT_STUDIES - 1, KEPT_STUDIES)
    assert "2026-01-01T00-00-59.log" in left


def test_a_file_in_place_of_the_studies_is_named(tmp_path):
    home = Home(tmp_path)
    home.studies.touch()
    with pytest.raises(StorageError, match="studies"):
        _journal(home)


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


BUDGET = RecommendRequest(
    budget="60k",
    epochs=5,
    dataset="digits",
    augmentation=None,
    families=(),
    members=(),
    device=None,
    batch=None,
    seed=0,
    profile_seconds=0.0,
)


@pytest.mark.parametrize(
    ("seconds", "usd", "allowed"),
    [(None, None, None), (600, None, 600), (None, 1.02, 1200), (600, 1.02, 600), (1800, 1.02, 1200)],
)
def test_a_limit_in_usd_is_a_limit_on_time_and_the_tighter_of_the_two_counts(seconds, usd, allowed):
    request = replace(BUDGET, max_train_seconds=seconds, max_usd=usd, price_per_hour_usd=3.06)
    assert seconds_allowed(request) == (None if allowed is None else pytest.approx(allowed))


def test_a_limit_in_usd_that_nothing_keeps_says_which_time_it_buys():
    request = replace(BUDGET, max_usd=0.001, price_per_hour_usd=3.6)
    with (
        pytest.raises(
            InfeasibleError, match=r"raise a limit \(--max-usd 0.001 buys 1 s at 3.6 USD an hour\)"
        ),
        saying_what_usd_buy(request),
    ):
        raise InfeasibleError("no design keeps the limits: …; raise a limit")


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


@pytest.mark.slow
def test_probes_teach_the_next_recommendation_and_are_kept(measured_home, advisor, tmp_path):
    home = tmp_path / "probed"
    shutil.copytree(measured_home, home)
    # For the recommendation that was made in that home.
    probing = ("--home", str(home), "probe", "--dataset", "digits", "--minutes", "0.2")
    probing = (*probing, "--profile-seconds", "0")
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


@pytest.mark.slow
def test_a_recommendation_may_probe_before_it_answers(measured_home, advisor, tmp_path):
    home = tmp_path / "probed"
    shutil.copytree(measured_home, home)
    question = ("--home", str(home), *AGAIN[:-1], "8", "--json")
    before, after = advisor(*question).json, advisor(*question, "--probe", "0.2").json
    known = [answer["recommendations"][0]["evidence"]["runs_on_dataset"] for answer in (before, after)]
    assert after["probing"]["probes"]
    assert [answer["verdict"]["known"] for answer in (before, after)] == [number > 0 for number in known]
    assert known[1] - known[0] == len(after["probing"]["probes"])


def test_a_program_gets_advice_in_any_thread_and_nothing_is_printed(measured_home, capfd):
    request = RecommendRequest(
        budget="60k",
        epochs=5,
        dataset="digits",
        augmentation=None,
        families=("resnet",),
        members=(),
        device=None,
        batch=None,
        seed=0,
        trials=60,
        profile_seconds=0.0,
    )
    lines = []
    with ThreadPoolExecutor(1) as thread:
        advice = thread.submit(recommend, request, Home(measured_home), None, lines.append).result()
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert "searching" in lines
    assert advice.request.batch > 0
    assert advice.request.methods == ()
    Draft202012Validator(schema_of(Advice)).validate(advice.to_json())
    with open_store(Home(measured_home).database) as store:
        assert store.last_recommendation().payload == advice.to_json()
    assert advice.recommendations[0].design in advice._repr_html_()


def test_a_probe_without_a_budget_is_for_the_last_recommendation(measured_home):
    nothing = {"augmentation": None, "members": (), "device": None, "batch": None}
    options = {"seed": 3, "profile_seconds": 0.0}

    def of(**given):
        return completed_request(Home(measured_home), "digits", **(nothing | options | given))

    found = of(budget=None, epochs=None, families=())
    assert (found.budget, found.epochs, found.families, found.seed) == ("60k", 5, ("resnet",), 3)
    # Whatever else that was asked for holds too.
    assert found.trials == 60
    found = of(budget="1M", epochs=None, families=("wrn",))
    assert (found.budget, found.epochs, found.families) == ("1M", 5, ("wrn",))
    found = of(budget="1M", epochs=7, families=())
    assert (found.budget, found.epochs, found.families) == ("1M", 7, ())


@pytest.mark.parametrize("made", [True, False])
def test_a_probe_for_no_recommendation_says_what_to_give(measured_home, home, advisor, made):
    known = ("--home", str(measured_home)) if made else ()
    answer = advisor(*known, "probe", "--dataset", "fashion-mnist", "--minutes", "1")
    assert answer.code == 2
    which = "the last is for digits" if made else "there is no recommendation"
    assert f"no recommendation for fashion-mnist to probe for ({which}): give --budget" in answer.err


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
    assert "--probe must be auto, or a time in minutes that is 0 or more, got -1" in negative.err
    assert "measuring" not in missing.err + negative.err


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("--method", "boosting"), "unknown method 'boosting'"),
        (
            ("--method", "treenets", "--method", "shared_mothernets"),
            "--method: treenets and shared_mothernets cannot train resnet, which have skip connections",
        ),
    ],
)
def test_methods_that_train_nothing_are_one_line(advisor, home, arguments, rule):
    answer = advisor(*QUICK, *arguments, "--quiet")
    assert answer.code == 2
    assert rule in answer.error_line


@pytest.mark.slow
def test_only_the_methods_asked_for_train_ensembles(measured_home, advisor):
    methods = ("--method", "snapshot", "--method", "bagging")
    rows = advisor("--home", str(measured_home), *AGAIN, *methods, "--json").json["recommendations"]
    assert {row["method"] for row in rows if row["members"] == 1} == {"full_data"}
    ensembles = {row["method"] for row in rows if row["members"] > 1}
    assert ensembles
    assert ensembles <= {"snapshot", "bagging"}


@pytest.mark.slow
def test_a_plan_is_saved_with_the_method_of_rank_1_and_the_table_tells_it(
    measured_home, advisor, monkeypatch
):
    home = ("--home", str(measured_home))
    monkeypatch.setenv("COLUMNS", "80")
    asked = (*AGAIN, "--members", "4", "--method", "snapshot", "--save", "plan.json")
    rows = advisor(*home, *asked, "--json").json["recommendations"]
    plan = json.loads(Path("plan.json").read_text())
    assert (plan["design"], plan["method"]) == (rows[0]["design"], rows[0]["method"])
    out = advisor(*home, *asked).out
    # The cell may be wrapped before the word.
    assert any(line.strip() == "snapshot" or ", snapshot" in line for line in out.splitlines())
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80


@pytest.mark.parametrize("method", ["snapshot", "bagging", "full_data"])
def test_a_recommended_design_is_planned_by_its_method(tmp_path, method):
    request = {"budget": "9k", "dataset": "digits", "epochs": 4, "batch": 32, "seed": 0, "device": "cpu"}
    rows = [{"design": "resnet-8-4", "method": "full_data"}, {"design": "2xresnet-8-4", "method": method}]
    with open_store(Home(tmp_path).database) as store:
        store.add_recommendation("", request, {"recommendations": rows})
        plan = planned_target(PlanRequest(rank=2)).with_settings(store)
        assert (plan.design, plan.method) == ("2xresnet-8-4", method)
        assert planned_target(PlanRequest(rank=2, method="fge")).with_settings(store).method == "fge"


@pytest.mark.parametrize(
    ("design", "method"), [("2xresnet-8-4", "full_data"), ("2xresnet-8-4@g1", "mothernets")]
)
def test_a_recommendation_of_an_older_program_is_trained_as_its_clusters_say(tmp_path, design, method):
    request = {"budget": "9k", "dataset": "digits", "epochs": 4, "batch": 32, "seed": 0, "device": "cpu"}
    with open_store(Home(tmp_path).database) as store:
        store.add_recommendation("", request, {"recommendations": [{"design": design}]})
        assert planned_target(PlanRequest()).with_settings(store).method == method


def test_the_name_of_a_mixture_is_broken_between_members():
    name = "2xdensenet-7-130+2xdensenet-10-59+2xdensenet-13-38+2xdensenet-16-28@g3"
    assert design_lines(name).replace("\n", "") == name
    assert max(map(len, design_lines(name).splitlines())) <= 22
    assert design_lines("wrn-10-1+wrn-10-2") == "wrn-10-1+wrn-10-2"
    assert design_lines("16xdensenet-100-12@g12") == "16xdensenet-100-12@g12"
