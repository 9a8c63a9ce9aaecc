"""Reasons of an advice as a person reads them, from parts that are made by hand."""

from __future__ import annotations

import io
import shlex
from dataclasses import replace

import pytest
from rich.console import Console, Group

from advisor.decision.alternatives import Crossover
from advisor.decision.ranking import Objective
from advisor.decision.threshold.switchover import Switchover
from advisor.designs.design import DesignClass
from advisor.estimate import Estimate
from advisor.plans.method_traits import Method
from cli.render.reasons import COMMAND_COLUMNS, _threshold, measure_next, why, would_change
from cli.workflows.answers.advise.advice import AdvisedDesign
from cli.workflows.answers.advise.reasons import (
    DesignTrade,
    MeasureNext,
    NamedDesign,
    Need,
    OtherObjective,
    ProposedProbe,
    RunnerUp,
    TighterLimit,
    WouldChange,
)

exact = Estimate.exact
COMMAND = (
    "advisor recommend --budget 60k --epochs 20 --dataset digits --augment crop+flip --family resnet "
    "--family vgg --members 2 --members 4 --device cpu --batch 64 --seed 7 --profile-seconds 2.5 "
    "--objective time --max-memory 8000000000 --max-latency-ms 0.125 --max-train-time 10000000 --trials 60 "
    "--probe 12"
)


def drawn(parts, columns=80):
    console = Console(file=io.StringIO(), width=columns)
    console.print(Group(*parts))
    return console.file.getvalue()


def named(design, method=Method.FULL_DATA):
    return {"design": design, "method": method}


TRADE = DesignTrade(
    against=NamedDesign(**named("resnet-38-8")),
    points_less=Estimate(1.3, 0.7, 1.9),
    epoch_times=exact(2.1),
    train_times=exact(2.05),
)
FIGURES = {"test_error": exact(0.045), "train_seconds": exact(300.0)}


def threshold(parameters=1.2e6, epochs=30.0):
    return Switchover(
        family="resnet",
        members=4,
        parameters=exact(parameters),
        epochs=exact(epochs),
        probability_past=0.9,
        smallest=20e3,
        largest=1e9,
        longest=2000,
    )


def row(
    rank,
    design,
    *,
    trade=None,
    threshold=None,
    reasons=("because",),
    method=Method.FULL_DATA,
    tuned_weight_decay=None,
):
    return AdvisedDesign(
        **named(design, method),
        rank=rank,
        design_class=DesignClass.SINGLE if trade is None else DesignClass.DEPTH_EQUIVALENT,
        members=1,
        clusters=1,
        parameters=1,
        predicted=None,
        probability_beats_single=None,
        near_threshold=False,
        evidence=None,
        reference=trade is None,
        trade=trade,
        threshold=threshold,
        probability_beats_first=None,
        tie=False,
        untried=False,
        unmeasured=(),
        reasons=reasons,
        weight_decay=1e-4 if tuned_weight_decay is None else tuned_weight_decay,
        tuned_weight_decay=tuned_weight_decay,
    )


def next_probe(**changed):
    known = {"allowed_seconds": 100.0, "none_within_allowed": False, "worthwhile_points": 0.02}
    return MeasureNext(**{"probe": probe_of(COMMAND)} | known | changed)


def probe_of(command):
    return ProposedProbe(
        design="2xresnet-20-8",
        epochs=30,
        share_of_images=0.5,
        seconds=exact(40.0),
        move_points=0.12,
        predicted_error=exact(0.05),
        minutes=12,
        command=command,
    )


def test_the_first_row_has_its_reasons_in_full_and_each_other_row_a_line():
    rows = [
        row(
            1,
            "4xresnet-20-8",
            trade=TRADE,
            threshold=threshold(),
            reasons=("it is good", "it is cheap"),
        ),
        row(2, "3xresnet-20-9", trade=TRADE, threshold=threshold()),
        row(3, "4xresnet-20-8", trade=TRADE, method=Method.SNAPSHOT),
        row(4, "resnet-38-8"),
    ]
    lines = drawn(why(rows)).splitlines()
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
    assert _threshold(threshold(size, epochs)) == said


def crossover(**changed):
    known = {"axis": "epochs", "at": Estimate(30.0, 8.0, 90.0), "open_ended": False, "side": "below"}
    return Crossover(**known | {"family": "resnet", "members": 1} | changed)


def limit(need, below, down_to, design):
    return TighterLimit(need=need, below=below, down_to=down_to, **named(design), **FIGURES)


def second(design, objective, probability, against=None):
    reference = against or NamedDesign(**named("resnet-38-8"))
    known = {"objective": objective, "probability": probability, "against": reference}
    return RunnerUp(**named(design), **FIGURES, **known)


def sentences(change):
    text = drawn(would_change(change), columns=200)
    return [" ".join(line.split()) for line in text.splitlines()]


def test_what_leads_to_the_same_change_is_one_sentence():
    by_time = OtherObjective(objective=Objective.TIME, **named("resnet-38-8"), **FIGURES)
    change = WouldChange(
        thresholds=(
            crossover(axis="parameters", at=Estimate(1.2e6, 9e5, 3e6)),
            crossover(open_ended=True),
        ),
        second=second("6xresnet-14-8", Objective.ERROR, 0.41),
        limits=(
            limit(Need.TRAIN_SECONDS, 340.0, 300.0, "4xresnet-20-9@g1"),
            limit(Need.LATENCY_MS, 12.5, 9.0, "4xresnet-20-9@g1"),
            limit(Need.MEMORY_BYTES, 2.0**30, 2.0**29, "resnet-38-8"),
        ),
        objectives=(by_time,),
    )
    assert sentences(change) == [
        "",
        "What would change this",
        "- below 1.2M parameters (90 %: 900k–3M) or before 30 epochs (90 %: 8–90 or beyond): "
        "one resnet network has less error",
        "- 6xresnet-14-8, the second, has less error with probability 41%",
        "- with --max-train-time below 5.67 min (down to 5 min) or --max-latency-ms below 12.5 (down to 9): "
        "4xresnet-20-9@g1, 4.50 % in 5 min",
        "- with --max-memory below 1 GiB (down to 512 MiB) or --objective time: resnet-38-8, 4.50 % in 5 min",
    ]


def test_a_change_names_the_method_that_the_name_of_a_design_does_not_say():
    against = NamedDesign(design="3xresnet-20-9", method=Method.SNAPSHOT)
    change = WouldChange(
        thresholds=(crossover(design=against.design, method=against.method),),
        second=second("4xresnet-20-8", Objective.TIME, 0.03, against),
        limits=(),
        objectives=(),
    )
    assert sentences(change)[2:] == [
        "- before 30 epochs (90 %: 8–90): 3xresnet-20-9 snapshot has less error",
        "- with probability 3% the first does not match 3xresnet-20-9 snapshot: then 4xresnet-20-8",
    ]


def test_nothing_is_said_where_nothing_would_change_the_advice():
    assert would_change(WouldChange(thresholds=(), second=None, limits=(), objectives=())) == []


def test_that_no_probe_is_short_enough_is_said_where_it_is_so():
    assert "None that ends" not in drawn(measure_next(next_probe()))
    text = drawn(measure_next(next_probe(none_within_allowed=True)))
    assert "None that ends within 100 s is worth" in text


def test_where_no_probe_is_worth_its_cost_that_is_said():
    text = drawn(measure_next(next_probe(probe=None)), columns=120)
    assert "More probing would not change this: no training would move the comparison by 0.02 points." in text


@pytest.mark.parametrize("dataset", ["digits", "'folder:/data/cats --and dogs'"])
def test_a_long_command_is_one_command_for_a_shell_and_fits_the_terminal(dataset):
    written = COMMAND.replace("digits", dataset)
    text = drawn(measure_next(next_probe(probe=probe_of(written))))
    shown = text[text.index("  advisor ") :]
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= COMMAND_COLUMNS
    # A shell takes a backslash at the end of a line and the line break for nothing.
    joined = "".join(line.rstrip().removesuffix("\\") for line in shown.splitlines())
    assert shlex.split(joined) == shlex.split(written)


def test_another_weight_decay_than_the_recipe_s_is_named_wherever_a_design_is():
    rows = [
        row(1, "4xresnet-20-8", trade=TRADE, tuned_weight_decay=1e-3),
        row(2, "resnet-38-8", tuned_weight_decay=3e-3),
    ]
    lines = drawn(why(rows)).splitlines()
    assert lines[0].strip() == "Why 4xresnet-20-8 with weight decay 1e-3"
    assert [" ".join(line.split()) for line in lines[-2:]] == ["2 resnet-38-8 – – –", "weight decay 3e-3"]
    assert max(map(len, lines)) <= 80
    by_time = OtherObjective(
        objective=Objective.TIME, **named("resnet-38-8"), **FIGURES, tuned_weight_decay=3e-4
    )
    change = WouldChange(thresholds=(), second=None, limits=(), objectives=(by_time,))
    assert any("resnet-38-8 with weight decay 3e-4, " in sentence for sentence in sentences(change))
    probe = replace(probe_of(COMMAND), tuned_weight_decay=3e-3)
    text = " ".join(drawn(measure_next(next_probe(probe=probe))).split())
    assert "Train 2xresnet-20-8 with weight decay 3e-3 for 30 epochs on 50% of the images" in text
