"""The tables of a recommendation, from payloads made by hand."""

from __future__ import annotations

import io
import os

import pytest
from rich.console import Console

from cli.render.advice import _basis, recommendation
from cli.render.formats import table
from cli.workflows.files import write_file

EVIDENCE = {
    "accuracy": "prior",
    "runs": 0,
    "runs_on_dataset": 0,
    "families": {},
    "cost": "measurements",
    "measurements": 20,
    "unmeasured": [],
}


def exact(mean):
    return {"mean": mean, "low": mean, "high": mean}


def row(rank, design, kind, chance, *, reference=False, reserved=None, method="full_data"):
    peak = exact(2.0**30)
    return {
        "rank": rank,
        "design": design,
        "method": method,
        "class": kind,
        "parameters": 1e6,
        "reference": reference,
        "near_threshold": False,
        "probability_beats_single": chance,
        "trade": None
        if reference
        else {name: exact(1.0) for name in ("epoch_times", "train_times")} | {"points_less": exact(0.5)},
        "threshold": None,
        "reasons": ["because"],
        "evidence": EVIDENCE,
        "predicted": {name: exact(1.0) for name in ("epoch_seconds", "train_seconds")}
        | {"test_error": exact(0.05), "inference_ms_per_image": exact(1.0), "train_peak_bytes": peak}
        | {"train_reserved_bytes": reserved, "memory_bytes": reserved or peak},
    }


SINGLE = row(2, "resnet-26-16", "single", None, reference=True)
ENSEMBLE = row(1, "4xresnet-26-8", "depth_equivalent", 0.89, reserved=exact(2.0**31))
SNAPSHOTS = row(3, "4xresnet-26-8", "depth_equivalent", 0.7, method="snapshot")


def payload(rows, *, objective="error", switchover=(), new=24):
    return {
        "request": {"budget": "5M", "epochs": 120, "dataset": "cifar10", "batch": 128}
        | {"objective": objective},
        "recommendations": rows,
        "would_change": {"thresholds": [], "second": None, "limits": [], "objectives": []},
        "measure_next": {"probe": None, "worthwhile_points": 0.02},
        "switchover": list(switchover),
        "profile": {"seconds": 60.2, "measurements_new": new, "measurements_reused": 0},
        "search": {"trials": 160, "designs": 160, "seconds": 2.0},
    }


def lines(shown, columns=80):
    console = Console(file=io.StringIO(), width=columns)
    console.print(recommendation(shown))
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_each_row_has_its_chance_against_the_single_network_and_its_memory_as_limits_read_it():
    shown = lines(payload([ENSEMBLE, SINGLE, SNAPSHOTS]))
    # What the allocator reserves, where it is known: that is what --max-memory is compared with.
    assert "1 4xresnet-26-8 5.00 % 89% 1 s 1 s 2 GiB" in shown
    assert "2 resnet-26-16 5.00 % – 1 s 1 s 1 GiB" in shown
    at = shown.index("3 4xresnet-26-8 5.00 % 70% 1 s 1 s 1 GiB")
    assert shown[at + 1].startswith("deq, 1M, snapshot")


def test_without_a_single_network_nothing_is_said_to_beat_one():
    rows = [row(1, "4xresnet-8-8", "depth_equivalent", None, reference=True)]
    rows.append(row(2, "2xresnet-8-8", "depth_equivalent", None))
    text = lines(payload(rows, objective="time"))
    assert "1 4xresnet-8-8 5.00 % – 1 s 1 s 1 GiB" in text
    assert "2 2xresnet-8-8 5.00 % – 1 s 1 s 1 GiB" in text
    assert "Beats single: no single network keeps the limits." in text
    assert "Ranked by time, those first that likely match the most accurate one." in text
    assert not any("best single" in line for line in text)


@pytest.mark.parametrize(
    ("objective", "ranked"),
    [
        ("error", "by error to two significant digits, then the sooner trained."),
        ("time", "by time, those first that likely match the best single network."),
        ("balanced", "by error x seconds^0.1: ten times the training must buy a fifth less."),
    ],
)
def test_the_legend_of_the_ranking_is_four_lines_of_a_terminal(objective, ranked):
    shown = lines(payload([ENSEMBLE, SINGLE], objective=objective))
    at = shown.index(f"Ranked {ranked}")
    assert shown[at + 1 : at + 5] == [
        "Beats single: chance that one training has less error than the best single (–).",
        "deq, weq: depth- and width-equivalent ensemble, mixed: of several shapes.",
        "* is nearest the switchover threshold; latency is of one image; 90 % intervals.",
        "",
    ]


def test_thresholds_at_the_ends_of_what_was_looked_at_are_said_to_lie_there_or_beyond():
    ends = {"smallest": 21_544.0, "largest": 1e9, "longest": 2000}
    resnet = {"family": "resnet", "members": 2, "probability_past": 0.97} | ends
    resnet |= {"parameters": {"mean": 21_544.0, "low": 21_543.99, "high": 3.7e6}}
    resnet |= {"epochs": {"mean": 1.0, "low": 1.0, "high": 107.4}}
    wrn = {"family": "wrn", "members": 8, "probability_past": 0.02} | ends
    wrn |= {"parameters": {"mean": 47.3e6, "low": 6.37e6, "high": 1e9}}
    wrn |= {"epochs": {"mean": 2000.0, "low": 476.0, "high": 2000.0}}
    shown = lines(payload([ENSEMBLE, SINGLE], switchover=[resnet, wrn]))
    at = shown.index("resnet 2 ≤21.5k (≤21.5k–3.7M) ≤1 (≤1–107) 97%")
    assert shown[at + 1] == "wrn 8 47.3M (6.37M–>1G) >2000 (476–>2000) 2%"
    assert "≤ and >" in shown[at + 2]


@pytest.mark.parametrize(
    ("evidence", "new", "said"),
    [
        (
            {},
            24,
            "20 measurements of this machine under the settings chosen for it (24 made now in 60 s, of all "
            "settings), errors",
        ),
        ({}, 0, "20 measurements of this machine under the settings chosen for it, errors"),
        (
            {"cost": "few measurements", "measurements": 1},
            1,
            "1 measurement of this machine under the settings chosen for it (1 made now in 60 s, of all "
            "settings), errors",
        ),
        ({"cost": "nominal", "measurements": 0}, 0, "a formula that knows no machine: nothing"),
    ],
)
def test_what_costs_rest_on_is_told_in_counts_of_what_was_measured(evidence, new, said):
    text = _basis(EVIDENCE | evidence, payload([ENSEMBLE, SINGLE], new=new))
    assert text.startswith(f"Costs rest on {said}")


def test_brackets_in_names_are_no_markup():
    console = Console(width=60, file=io.StringIO())
    console.print(table("", [("image", "l")], [["photos[new]/cat.png"], ["album[/2020].png"]]))
    assert console.file.getvalue().split() == ["image", "photos[new]/cat.png", "album[/2020].png"]


def test_a_name_that_is_no_unicode_is_written_as_it_is(tmp_path):
    file = tmp_path / "rows.csv"
    write_file(file, "the rows", os.fsdecode(b"caf\xe9.png"))
    assert file.read_bytes() == b"caf\xe9.png"
