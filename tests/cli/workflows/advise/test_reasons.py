"""The command that makes the next probe, and reasons as a person reads them."""

from __future__ import annotations

import io
import shlex
from dataclasses import fields, replace
from types import SimpleNamespace

import pytest
from rich.console import Console, Group

from advisor.estimate import Estimate
from cli.render.reasons import COMMAND_COLUMNS, _threshold, measure_next, why, would_change
from cli.workflows.advise import reasons
from cli.workflows.advise.request import RecommendRequest

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
    augmentation="crop+flip",
    families=("resnet", "vgg"),
    members=(2, 4),
    device="cpu",
    batch=64,
    seed=7,
    profile_seconds=2.5,
)
LIMITED = replace(
    FULL,
    objective="time",
    max_memory_bytes=8e9,
    max_latency_ms=0.125,
    max_train_seconds=1e7,
    trials=60,
)


def test_a_request_is_probed_by_the_command_that_has_its_options():
    plain = "advisor probe --budget 60k --epochs 20 --dataset digits --minutes 3"
    assert reasons.command(PLAIN, 3) == plain
    # How designs are ranked is no matter to what is probed.
    assert reasons.command(replace(PLAIN, objective="time"), 3) == plain
    assert reasons.command(replace(PLAIN, max_memory_bytes=8e9), 3) == (
        "advisor recommend --budget 60k --epochs 20 --dataset digits --max-memory 8000000000 --probe 3"
    )


def test_every_field_of_a_request_has_an_option():
    known = reasons.OPTIONS.keys() | reasons.ADVICE_OPTIONS.keys()
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
        return {}

    monkeypatch.setattr(workflow, listen)
    program, *words = shlex.split(reasons.command(asked, 3))
    assert program == "advisor"
    assert advisor(*words, "--json").code == 0
    assert heard[0] == asked
    (probing,) = (other for other in heard if hasattr(other, "download"))
    assert probing.seconds == 180


def test_a_probe_may_take_a_tenth_of_a_long_training_and_all_of_a_short_one():
    assert [reasons.allowed_seconds(s) for s in (9.0, 600.0, 3000.0, 6000.0, 36_000.0)] == [
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
    )


def next_of(monkeypatch, *seconds, train_seconds=100.0):
    """What is measured next, where `next_probe` knows probes that take so long, the best a second first."""
    asked = []

    def chosen(scenario, evaluated, *, budget, seconds, done, seed):
        asked.append(seconds)
        assert (budget, done, seed) == (60_000, {"resnet-8-4 for 5"}, 0)
        return next((p for p in probes if p.seconds.high <= seconds), None)

    probes = [probe_of(s) for s in seconds]
    monkeypatch.setattr(reasons, "next_probe", chosen)
    return reasons.measure_next(PLAIN, None, [], {"resnet-8-4 for 5"}, train_seconds), asked


def test_the_probe_that_is_named_is_chosen_for_the_minutes_that_are_named(monkeypatch):
    found, asked = next_of(monkeypatch, 40.0)
    # 60 s at most, and 20 s to get there: two minutes, of which 100 s are left for the probe.
    assert asked == [100.0, 100.0]
    assert not found["none_within_allowed"]
    assert found["probe"]["minutes"] == 2
    assert found["probe"]["command"].endswith("--minutes 2")
    assert found["probe"]["seconds"] == {"mean": 40.0, "low": 20.0, "high": 60.0}
    # In two minutes a longer one is possible, which is worth more a second: the command would make that. It
    # takes longer than a training of 70 s allows, where one that does not is worth its while, too.
    found, _ = next_of(monkeypatch, 60.0, 40.0, train_seconds=70.0)
    assert found["probe"]["seconds"] == {"mean": 60.0, "low": 30.0, "high": 90.0}
    assert found["allowed_seconds"] == 70.0
    assert not found["none_within_allowed"]
    assert "None that ends" not in drawn(measure_next({"measure_next": found}))


def test_a_probe_that_was_found_only_for_a_longer_time_is_no_proof_that_none_is_within_it(monkeypatch):
    """Optuna proposes others for another time: one that would have ended in time may be found then."""
    short, long = probe_of(40.0), probe_of(400.0)
    answers = iter([None, long, short])
    monkeypatch.setattr(reasons, "next_probe", lambda *_, **__: next(answers))
    found = reasons.measure_next(PLAIN, None, [], set(), 100.0)
    assert found["probe"]["seconds"]["high"] <= found["allowed_seconds"]
    assert not found["none_within_allowed"]


def test_a_probe_that_takes_long_is_named_where_no_shorter_one_tells_anything(monkeypatch):
    found, asked = next_of(monkeypatch, 400.0)
    assert asked == [100.0, float("inf"), 640.0]
    assert found["none_within_allowed"]
    assert "None that ends within 100 s is worth" in drawn(measure_next({"measure_next": found}))


def test_where_no_probe_is_worth_its_while_that_is_said(monkeypatch):
    found, _ = next_of(monkeypatch)
    assert found["probe"] is None
    text = drawn(measure_next({"measure_next": found}), columns=120)
    assert "More probing would not change this: no training would move the comparison by 0.02 points." in text


def drawn(parts, columns=80):
    console = Console(file=io.StringIO(), width=columns)
    console.print(Group(*parts))
    return console.file.getvalue()


def exact(mean):
    return {"mean": mean, "low": mean, "high": mean}


def row(rank, design, *, trade=None, threshold=None, sentences=("because",), method="full_data"):
    return {
        "rank": rank,
        "design": design,
        "method": method,
        "reference": trade is None,
        "trade": trade,
        "threshold": threshold,
        "reasons": list(sentences),
    }


TRADE = {
    "points_less": {"mean": 1.3, "low": 0.7, "high": 1.9},
    "epoch_times": exact(2.1),
    "train_times": exact(2.05),
}
ENDS = {"smallest": 20e3, "largest": 1e9, "longest": 2000}
THRESHOLD = {"parameters": exact(1.2e6), "epochs": exact(30.0)} | ENDS
FIGURES = {"test_error": exact(0.045), "train_seconds": exact(300.0), "method": "full_data"}


def test_the_first_row_has_its_reasons_in_full_and_each_other_row_a_line():
    rows = [
        row(1, "4xresnet-20-8", trade=TRADE, threshold=THRESHOLD, sentences=("it is good", "it is cheap")),
        row(2, "3xresnet-20-9", trade=TRADE, threshold=THRESHOLD),
        row(3, "4xresnet-20-8", trade=TRADE, method="snapshot"),
        row(4, "resnet-38-8"),
    ]
    lines = drawn(why({"recommendations": rows})).splitlines()
    text = [" ".join(line.split()) for line in lines]
    assert text[:4] == ["Why 4xresnet-20-8", "- it is good", "- it is cheap", ""]
    assert "The others against resnet-38-8" in text
    # Less error than the reference is a negative difference, as in `advisor whatif`.
    assert text[-3:] == [
        "2 3xresnet-20-9 -1.30 ± 0.60 2.1x 2.05x 1.2M, 30 epochs",
        "3 4xresnet-20-8 snapshot -1.30 ± 0.60 2.1x 2.05x –",
        "4 resnet-38-8 – – – –",
    ]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("size", "epochs", "said"),
    [
        (1.2e6, 30.0, "1.2M, 30 epochs"),
        (20e3, 30.0, "≤20k, 30 epochs"),
        (1.2e6, 1.0, "1.2M, ≤1 epoch"),
        (1e9, 2000.0, ">1G, >2000 epochs"),
        # Interpolated in logarithms, an end of the grid is moved by rounding.
        (1e9 * (1 - 1e-9), 1999.0, ">1G, 1999 epochs"),
    ],
)
def test_a_threshold_at_an_end_of_what_was_looked_at_lies_there_or_beyond(size, epochs, said):
    assert _threshold({"parameters": exact(size), "epochs": exact(epochs)} | ENDS) == said


def test_what_leads_to_the_same_change_is_one_sentence():
    crossover = {"family": "resnet", "members": 1, "design": None, "side": "below", "open_ended": False}
    size, length = {"mean": 1.2e6, "low": 9e5, "high": 3e6}, {"mean": 30.0, "low": 8.0, "high": 90.0}
    change = {
        "thresholds": [
            crossover | {"axis": "parameters", "at": size},
            crossover | {"axis": "epochs", "at": length, "open_ended": True},
        ],
        "second": FIGURES | {"design": "6xresnet-14-8", "objective": "error", "probability": 0.41},
        "limits": [
            FIGURES
            | {"need": "train_seconds", "below": 340.0, "down_to": 300.0, "design": "4xresnet-20-9@g1"},
            FIGURES | {"need": "latency_ms", "below": 12.5, "down_to": 9.0, "design": "4xresnet-20-9@g1"},
            FIGURES | {"need": "memory_bytes", "below": 2**30, "down_to": 2**29, "design": "resnet-38-8"},
        ],
        "objectives": [FIGURES | {"objective": "time", "design": "resnet-38-8"}],
    }
    text = drawn(would_change({"would_change": change}), columns=200)
    assert [" ".join(line.split()) for line in text.splitlines()] == [
        "",
        "What would change this",
        "- below 1.2M parameters (90 %: 900k–3M) or before 30 epochs (90 %: 8–90 or beyond): "
        "one resnet network has less error",
        "- 6xresnet-14-8, the second, has less error with probability 41%",
        "- with --max-train-time below 5.67 min (down to 5 min) or --max-latency-ms below 12.5 (down to 9): "
        "4xresnet-20-9@g1, 4.50 % in 5 min",
        "- with --max-memory below 1 GiB (down to 512 MiB) or --objective time: resnet-38-8, 4.50 % in 5 min",
    ]
    by_time = FIGURES | {"design": "4xresnet-20-8", "objective": "time", "probability": 0.03}
    against = {"design": "3xresnet-20-9", "method": "snapshot"}
    pair = crossover | {"axis": "epochs", "at": length, "design": "3xresnet-20-9", "method": "snapshot"}
    change = {"thresholds": [pair], "second": by_time | {"against": against}, "limits": [], "objectives": []}
    text = drawn(would_change({"would_change": change}), columns=200)
    assert [" ".join(line.split()) for line in text.splitlines()[2:]] == [
        "- before 30 epochs (90 %: 8–90): 3xresnet-20-9 snapshot has less error",
        "- with probability 3% the first does not match 3xresnet-20-9 snapshot: then 4xresnet-20-8",
    ]
    nothing = {"thresholds": [], "second": None, "limits": [], "objectives": []}
    assert would_change({"would_change": nothing}) == []


@pytest.mark.parametrize("dataset", ["digits", "folder:/data/cats --and dogs"])
def test_a_long_command_is_one_command_for_a_shell_and_fits_the_terminal(dataset):
    written = reasons.command(replace(LIMITED, dataset=dataset), 12)
    payload = reasons_payload(written)
    text = drawn(measure_next(payload))
    shown = text[text.index("  advisor ") :]
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= COMMAND_COLUMNS
    # A shell takes a backslash at the end of a line and the line break for nothing.
    joined = "".join(line.rstrip().removesuffix("\\") for line in shown.splitlines())
    assert shlex.split(joined) == shlex.split(written)


def reasons_payload(command):
    probe = {"design": "2xresnet-20-8", "epochs": 30, "seconds": exact(40.0), "move_points": 0.12} | {
        "share_of_images": 0.5
    }
    found = {"allowed_seconds": 60.0, "none_within_allowed": False}
    return {"measure_next": found | {"probe": probe | {"command": command}}}
