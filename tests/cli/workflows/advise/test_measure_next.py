"""The probe that is proposed, and the command line that makes it."""

from __future__ import annotations

import shlex
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest

from advisor.decision.probes.probing import WORTHWHILE
from advisor.estimate import Estimate
from cli.workflows.advise import measure_next
from cli.workflows.advise.measure_next import ADVICE_OPTIONS, OPTIONS, allowed_seconds, command
from cli.workflows.answers.advise.request import RecommendRequest

PLAIN = RecommendRequest(
    budget="60k",
    epochs=20,
    dataset="digits",
    augmentation=None,
    families=(),
    members=(),
    device=None,
    batch=None,
    seed=0,
    profile_seconds=60.0,
)
FULL = replace(
    PLAIN,
    dataset="folder:my data",
    resize="48x64",
    skip_damaged=True,
    augmentation="crop+flip",
    families=("resnet", "vgg"),
    members=(2, 4),
    device="cpu",
    batch=64,
    tune="off",
    seed=7,
    profile_seconds=2.5,
)
LIMITED = replace(
    FULL,
    objective="time",
    max_memory_bytes=8e9,
    max_latency_ms=0.125,
    max_train_seconds=1e7,
    price_per_hour_usd=0.9,
    max_usd=5.0,
    trials=60,
    recipe="published",
    until_converged=True,
    patience=7,
)


def test_a_request_is_probed_by_the_command_that_has_its_options():
    plain = "advisor probe --budget 60k --epochs 20 --dataset digits --minutes 3"
    assert command(PLAIN, 3) == plain
    # How designs are ranked is no matter to what is probed.
    assert command(replace(PLAIN, objective="time"), 3) == plain
    assert command(replace(PLAIN, max_memory_bytes=8e9), 3) == (
        "advisor recommend --budget 60k --epochs 20 --dataset digits --max-memory 8000000000 --probe 3"
    )


def test_every_field_of_a_request_has_an_option():
    known = OPTIONS.keys() | ADVICE_OPTIONS.keys()
    assert known == {f.name for f in fields(RecommendRequest)}


@pytest.mark.parametrize(
    ("asked", "workflow"),
    [
        (FULL, "cli.workflows.advise.probe.probe"),
        (LIMITED, "cli.workflows.advise.recommend.recommend"),
    ],
)
def test_the_command_line_asks_what_was_asked(asked, workflow, advisor, monkeypatch):
    heard = []

    def listen(request, *others):
        heard.extend([request, *others])
        return SimpleNamespace(to_json=dict)

    monkeypatch.setattr(workflow, listen)
    program, *words = shlex.split(command(asked, 3))
    assert program == "advisor"
    assert advisor(*words, "--json").code == 0
    assert heard[0] == asked
    (probing,) = (other for other in heard if hasattr(other, "download"))
    assert probing.seconds == 180


def test_a_probe_may_take_a_tenth_of_a_long_training_and_all_of_a_short_one():
    assert [allowed_seconds(s) for s in (9.0, 600.0, 3000.0, 6000.0, 36_000.0)] == [
        9,
        600,
        600,
        600,
        3600,
    ]


def probe_of(seconds):
    return SimpleNamespace(
        plan=SimpleNamespace(design="2xresnet-20-8", epochs=30),
        seconds=Estimate(seconds, seconds / 2, 1.5 * seconds),
        move=0.123,
        predicted_error=Estimate(0.1, 0.05, 0.2),
        image_share=0.5,
        tuned_weight_decay=None,
    )


def next_of(monkeypatch, *seconds, train_seconds=100.0):
    """What is measured next, where `next_probe` knows probes that take so long, the best a second first."""
    asked = []

    def chosen(scenario, evaluated, *, budget, seconds, done, seed, slowdown, valued):
        asked.append(seconds)
        assert (budget, done, seed) == (60_000, {"resnet-8-4 for 5"}, 0)
        return next((p for p in probes if p.seconds.high <= seconds), None)

    probes = [probe_of(s) for s in seconds]
    monkeypatch.setattr(measure_next, "next_probe", chosen)
    return measure_next.measure_next(PLAIN, None, [], {"resnet-8-4 for 5"}, train_seconds), asked


def test_the_probe_that_is_named_is_chosen_for_the_minutes_that_are_named(monkeypatch):
    found, asked = next_of(monkeypatch, 40.0)
    # 60 s at most, and 20 s to get there: two minutes, of which 100 s are left for the probe.
    assert asked == [100.0, 100.0]
    assert not found.none_within_allowed
    assert found.probe.minutes == 2
    assert found.probe.command.endswith("--minutes 2")
    assert found.probe.seconds == Estimate(40.0, 20.0, 60.0)
    # In two minutes a longer one is possible, which is worth more a second: the command would make that. It
    # takes longer than a training of 70 s allows, where one that does not is worth its while, too.
    found, _ = next_of(monkeypatch, 60.0, 40.0, train_seconds=70.0)
    assert found.probe.seconds == Estimate(60.0, 30.0, 90.0)
    assert found.allowed_seconds == 70.0
    assert not found.none_within_allowed


def test_a_probe_that_was_found_only_for_a_longer_time_is_no_proof_that_none_is_within_it(monkeypatch):
    """Optuna proposes others for another time: one that would have ended in time may be found then."""
    short, long = probe_of(40.0), probe_of(400.0)
    answers = iter([None, long, short])
    monkeypatch.setattr(measure_next, "next_probe", lambda *_, **__: next(answers))
    found = measure_next.measure_next(PLAIN, None, [], set(), 100.0)
    assert found.probe.seconds.high <= found.allowed_seconds
    assert not found.none_within_allowed


def test_a_probe_that_takes_long_is_named_where_no_shorter_one_tells_anything(monkeypatch):
    found, asked = next_of(monkeypatch, 400.0)
    assert asked == [100.0, float("inf"), 640.0]
    assert found.none_within_allowed


def test_prices_in_numbers_of_numpy_make_an_answer_in_json(monkeypatch):
    long = probe_of(np.float64(400.0))
    monkeypatch.setattr(
        measure_next, "next_probe", lambda *_, seconds, **__: long if seconds > 600.0 else None
    )
    assert measure_next.measure_next(PLAIN, None, [], set(), 100.0).none_within_allowed is True


def test_where_no_probe_is_worth_its_cost_none_is_proposed(monkeypatch):
    found, _ = next_of(monkeypatch)
    assert found.probe is None
    assert found.worthwhile_points == WORTHWHILE
