"""Probing where a request says nothing of it: how long, on which data, and once for a question."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from advisor.decision.probes.probing import BESIDE_SECONDS
from advisor.designs.design import parse_design
from advisor.errors import DataError, UsageError
from advisor.estimate import Estimate
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from cli.workflows.advise.probe_options import PREPARING_SECONDS, ProbeOptions, probe_options
from cli.workflows.advise.probe_session import default_probing
from cli.workflows.advise.probe_session.default_probing import (
    announcement,
    data_to_probe,
    default_seconds,
    full_seconds_of,
    lesson,
    probed_before,
)
from cli.workflows.advise.probe_session.session_time import LONGEST_SECONDS, TrainedProbe, default_left
from cli.workflows.answers.advise.probing import BestDesign, Probing, ProbingEnd
from cli.workflows.home import Home
from trainer.data import archives, loading

AUTO = ProbeOptions(seconds=None)


def full(design, high, tuned_weight_decay=None):
    return SimpleNamespace(
        plan=SimpleNamespace(design=design),
        seconds=Estimate(high / 2, high / 4, high),
        tuned_weight_decay=tuned_weight_decay,
    )


def test_the_time_is_that_of_two_full_trainings_and_a_twentieth_of_the_recommended_one():
    both = [full("4xresnet-8-7", 40.0), full("resnet-26-6", 20.0)]
    assert seconds_of(both, 30.0) == pytest.approx(60 + 2 * BESIDE_SECONDS + 1.5)
    # What was trained before is not trained again.
    assert seconds_of(both[1:], 30.0) == pytest.approx(20 + BESIDE_SECONDS + 1.5)
    assert seconds_of([], 30.0) == 0.0
    assert seconds_of([], 3600.0) == LONGEST_SECONDS == 180.0
    assert seconds_of([full("4xresnet-8-7", 9000.0)], 9000.0) == LONGEST_SECONDS


def seconds_of(first, train_seconds):
    return default_seconds(full_seconds_of(first), train_seconds)


def test_before_it_is_said_what_is_probed_and_for_how_long():
    first = [full("4xresnet-8-7", 40.0), full("resnet-26-6", 400.0)]
    assert announcement(first, 70.0) == (
        "probing first: full training of 4xresnet-8-7, at most 70 s (--probe 0 for none)"
    )
    assert announcement(first[1:], 180.0).startswith("probing first: short trainings, at most 180 s")
    tuned = [full("resnet-26-6", 40.0, 3e-3)]
    assert "full training of resnet-26-6 with weight decay 3e-3," in announcement(tuned, 70.0)


@pytest.fixture
def answer():
    def best(design, mean):
        return BestDesign(design=design, test_error=Estimate(mean, mean / 2, 2 * mean))

    return Probing(
        dataset="digits",
        budget_parameters=60_000,
        epochs=20,
        probes=("one", "two"),
        ended=ProbingEnd.TIME_IS_UP,
        worthwhile_points=0.02,
        before=best("resnet-26-6", 0.14),
        after=best("4xresnet-8-7", 0.02),
        after_as_before=Estimate(0.15, 0.006, 0.58),
        at_stake_points=0.31,
    )


def test_after_it_is_said_what_was_learned_and_whether_more_would_change_the_answer(answer):
    assert lesson(answer) == (
        "learned from 2 probes: 4xresnet-8-7 leads now, not resnet-26-6, 2 % (1–4) instead of 15 % (0.6–58); "
        "more probes could save 0.31 points"
    )
    settled = replace(answer, ended=ProbingEnd.NOTHING_WORTHWHILE, before=answer.after)
    assert "leads as before" in lesson(settled)
    assert lesson(settled).endswith("more probes would not change the answer")
    assert lesson(replace(settled, probes=())) == "nothing was probed: no training would change the answer"


def left_of_80(*trained):
    """What is left of 70 s for the first probes and a twentieth of 200 s."""
    return default_seconds(70.0, 200.0, trained)


def test_what_probes_took_is_no_longer_left_and_a_slow_full_training_counts_as_forecast():
    first, short = TrainedProbe(0.0, 45.0, 30.0, True), TrainedProbe(30.0, 9.0, 8.0, False)
    assert left_of_80() == 80.0
    assert left_of_80(first) == pytest.approx(80 - 30)
    assert left_of_80(first, short) == pytest.approx(80 - 30 - 8)
    # A shorter probe that is slower than its forecast counts as it is.
    assert left_of_80(first, replace(short, actual=19.0)) == pytest.approx(80 - 30 - 19)
    assert left_of_80(first, TrainedProbe(30.0, 20.0, 90.0, True)) == pytest.approx(80 - 30 - 20)
    assert left_of_80(first, replace(first, began=30.0), replace(first, began=60.0)) == 0.0


def test_probes_side_by_side_use_the_time_together():
    first = TrainedProbe(0.0, 45.0, 30.0, True)
    assert left_of_80(first, first) == pytest.approx(80 - 30)
    # One began after 20 s: both took 50 s by the clock. Their order of end does not matter.
    later = replace(first, began=20.0)
    assert left_of_80(first, later) == left_of_80(later, first) == pytest.approx(80 - 50)
    # A short one trained within a long one; another began when both had ended.
    within = TrainedProbe(5.0, 9.0, 8.0, False)
    assert left_of_80(first, within) == pytest.approx(80 - 30)
    assert left_of_80(first, within, replace(first, began=100.0)) == pytest.approx(80 - 60)
    # Of two at once that take twice their forecasts, half of the clock counts.
    slow = TrainedProbe(0.0, 30.0, 60.0, True)
    assert left_of_80(slow, slow) == pytest.approx(80 - 30)


def test_a_probe_that_has_just_begun_leaves_the_time_for_others():
    begun = TrainedProbe(7.0, 45.0, 0.0, True)
    assert left_of_80(begun) == 80.0
    assert left_of_80(begun, replace(begun, actual=1.0)) == pytest.approx(79.0)


def test_a_default_time_does_not_count_choosing_nor_what_forecasts_missed(monkeypatch):
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr("time.monotonic", lambda: now.seconds)
    assert default_left(50.0, 1180.0, []) == (1000 + 50 + PREPARING_SECONDS, 50.0)
    now.seconds = 1060.0
    # A training took three times its forecast: 120 s are left for 40 of the forecast.
    assert default_left(50.0, 1180.0, [TrainedProbe(1000.0, 10.0, 30.0, True)])[1] == 40.0
    assert default_left(50.0, 1180.0, [TrainedProbe(1000.0, 30.0, 10.0, True)])[1] == 50.0
    # Three minutes are the limit whatever it takes.
    now.seconds = 1175.0
    assert default_left(50.0, 1180.0, []) == (1180.0, 5.0)
    now.seconds = 1185.0
    assert default_left(50.0, 1180.0, []) == (1180.0, 0.0)


@pytest.mark.parametrize("wrong", ["soon", "-1", "nan", "inf", ""])
def test_another_time_than_auto_or_minutes_is_refused(wrong):
    with pytest.raises(UsageError, match="--probe must be auto, or a time in minutes"):
        probe_options(wrong)


def test_auto_minutes_and_nothing_are_told_apart():
    assert probe_options("auto").seconds is None
    assert probe_options("1.5", download=True) == ProbeOptions(seconds=90.0, download=True)
    assert probe_options("0") is probe_options(0) is None


@pytest.mark.parametrize("name", DATASETS)
def test_without_data_at_hand_nothing_is_probed_and_it_is_said_in_a_line(name, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "DEBIAN_FASHION_MNIST", tmp_path / "none")
    monkeypatch.setattr(loading, "DEBIAN_FASHION_MNIST", tmp_path / "none")
    said, home = [], Home(tmp_path)
    found = data_to_probe(DATASETS[name], home, AUTO, said.append)
    if name == "digits":
        assert (len(found.train), said) == (1077, [])
        return
    assert found is None
    assert said == [f"nothing is probed: {name} is not at hand (--download fetches it)"]


def test_data_that_are_large_or_damaged_are_not_probed_unasked(tmp_path, monkeypatch):
    (tmp_path / "data" / "tiny-imagenet-200").mkdir(parents=True)
    tiny, said, home = DATASETS["tiny-imagenet"], [], Home(tmp_path)
    assert data_to_probe(tiny, home, AUTO, said.append) is None
    assert said == ["nothing is probed: tiny-imagenet is large (--probe MINUTES probes all the same)"]
    monkeypatch.setattr(default_probing, "LARGEST_BYTES", 2**40)
    assert data_to_probe(tiny, home, AUTO, said.append) is None
    assert said[1].startswith("nothing is probed: tiny-imagenet is not complete")
    # Whoever asks for probes is refused.
    with pytest.raises(DataError, match="not complete"):
        data_to_probe(tiny, home, ProbeOptions(seconds=60.0), said.append)


REQUEST = {"budget": "60k", "epochs": 20, "dataset": "digits", "objective": "error", "members": []}


def probed(*names, ended="time"):
    return {"probes": [{"design": n, "epochs": 20, "share_of_images": 1.0} for n in names], "ended": ended}


def asked_again(monkeypatch, probing, trained, request=REQUEST):
    """Whether a question that was answered with `probing` counts as probed where so much is `trained`."""
    monkeypatch.setattr(default_probing, "stored_request", lambda *_: REQUEST)
    facts = DATASETS["digits"]
    rows = [
        SimpleNamespace(
            design=name, epochs=20, train_images=images, dataset=data, weight_decay=(*decay, 1.0)[0]
        )
        for name, images, data, *decay in trained
    ]
    execution = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")
    run = SimpleNamespace(
        plan=make_plan(parse_design("resnet-8-9"), facts, epochs=20, batch=32, seed=0, execution=execution)
    )
    store = SimpleNamespace(
        probed_recommendations=lambda: [SimpleNamespace(request=request, payload={"probing": probing})],
        reported=lambda: rows,
        runs=lambda: [run],
    )
    return probed_before(store, None, SimpleNamespace(facts=facts))


def test_a_question_is_probed_for_once_while_its_probes_are_there(monkeypatch):
    whole, half = ("resnet-26-6", 1077, "digits"), ("resnet-26-6", 538, "digits")
    one, two = probed("resnet-26-6"), probed("resnet-26-6", "resnet-8-9")
    assert asked_again(monkeypatch, one, [whole])
    # The other has become a run.
    assert asked_again(monkeypatch, two, [whole])
    assert not asked_again(monkeypatch, one, [])
    assert not asked_again(monkeypatch, one, [half])
    assert not asked_again(monkeypatch, one, [("resnet-26-6", 1077, "mine")])
    # A training with another weight decay is another one.
    tuned = {"probes": [one["probes"][0] | {"tuned_weight_decay": 1e-3}], "ended": "time"}
    assert not asked_again(monkeypatch, tuned, [whole])
    assert asked_again(monkeypatch, tuned, [(*whole, 10.0)])
    # In another order, or with other measurements, it is the same question; with another budget it is not.
    assert asked_again(monkeypatch, one, [whole], REQUEST | {"objective": "time"})
    assert not asked_again(monkeypatch, one, [whole], REQUEST | {"budget": "1M"})
    # Older programs had no --tune, and did what `auto` does where nothing is known of weight decay.
    assert asked_again(monkeypatch, one, [whole], REQUEST | {"tune": "auto"})
    assert not asked_again(monkeypatch, one, [whole], REQUEST | {"tune": "off"})


def test_where_no_probe_ended_in_time_the_next_call_tries_again(monkeypatch):
    assert not asked_again(monkeypatch, probed(), [])
    assert asked_again(monkeypatch, probed(ended="nothing worthwhile"), [])
    for damaged in (None, 3, [], {"probes": [3], "ended": "time"}, {"probes": None}):
        assert not asked_again(monkeypatch, damaged, [])


@pytest.mark.slow
def test_by_default_a_recommendation_probes_and_its_repetition_does_not(advisor, home, monkeypatch):
    monkeypatch.delenv("ADVISOR_RECOMMEND_PROBE")
    asked = ("recommend", "--dataset", "digits", "--budget", "12k", "--epochs", "2", "--family", "resnet")
    asked = (*asked, "--profile-seconds", "0", "--trials", "20")
    first = advisor(*asked, "--json")
    assert first.code == 0, first.err
    probes = first.json["probing"]["probes"]
    assert [(p["epochs"], p["share_of_images"]) for p in probes[:2]] == [(2, 1.0)] * 2
    assert {p["design"].startswith("resnet") for p in probes[:2]} == {True, False}
    assert "probing first: " in first.err
    assert "learned from " in first.err
    listed = advisor("probe", "list", "--json").json["probes"]
    assert [p["design"] for p in reversed(listed)] == [p["design"] for p in probes]
    again = advisor(*asked, "--objective", "time", "--json")
    assert again.json["probing"] is None
    assert "probes of an earlier call are used again" in again.err
    assert advisor("probe", "list", "--json").json["probes"] == listed
    # Of what is recommended some was trained already, whichever of the leading designs it is.
    forecasts = {
        row["design"]: row["predicted"]["test_error"]
        for row in first.json["recommendations"]
        if row["networks_exist"] and row["tuned_weight_decay"] is None
    }
    trained = next(iter(forecasts))
    assert trained in [p["design"] for p in listed if p["networks_kept"]]
    # It is compared by what its own training showed, and forecast so.
    explained = advisor("explain", trained, "--dataset", "digits", "--epochs", "2", "--json").json
    assert forecasts[trained] == explained["predicted"]["test_error"]
    done = advisor("train", trained, "--dataset", "digits", "--epochs", "2")
    assert "the networks were trained by a probe" in done.err
