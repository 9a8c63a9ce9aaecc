"""The tables of a recommendation, from answers made by hand."""

from __future__ import annotations

import io
import os
from dataclasses import replace

import pytest
from rich.console import Console

from advisor.decision.ranking import Objective
from advisor.decision.reasons import Evidence
from advisor.decision.threshold.switchover import Switchover
from advisor.designs.design import DesignClass
from advisor.estimate import Estimate
from advisor.plans.dataset import Augmentation
from advisor.plans.method_traits import Method
from cli.render.advice import _basis, recommendation
from cli.render.formats import table
from cli.workflows.answers.advise.advice import (
    Advice,
    AdvisedDesign,
    Device,
    MeasuringEffort,
    PredictedFigures,
    SearchEffort,
    Verdict,
    VerdictKind,
)
from cli.workflows.answers.advise.reasons import (
    DesignTrade,
    MeasureNext,
    NamedDesign,
    OtherObjective,
    ProposedProbe,
    WouldChange,
)
from cli.workflows.answers.advise.request import AnsweredRequest
from cli.workflows.files import write_file

EVIDENCE = Evidence(
    accuracy="prior", runs=0, runs_on_dataset=0, cost="measurements", measurements=20, known=True
)
exact = Estimate.exact
REQUEST = AnsweredRequest(
    budget="5M",
    budget_parameters=5_000_000,
    epochs=120,
    dataset="cifar10",
    augmentation=None,
    families=(),
    members=(),
    methods=(),
    objective=Objective.ERROR,
    device=None,
    batch=128,
    seed=0,
    profile_seconds=60.0,
    used_augmentation=Augmentation.CROP_FLIP,
)
DEVICE = Device(
    device="cpu",
    device_name="",
    driver="",
    torch="",
    threads=1,
    dtype="float32",
    memory_format="contiguous",
    processes=2,
)
NOTHING_CHANGES = WouldChange(thresholds=(), second=None, limits=(), objectives=())
NO_PROBE = MeasureNext(probe=None, allowed_seconds=60.0, none_within_allowed=True, worthwhile_points=0.02)


def predicted(reserved):
    peak = exact(2.0**30)
    return PredictedFigures(
        test_error=exact(0.05),
        epoch_seconds=exact(1.0),
        train_seconds=exact(1.0),
        inference_ms_per_image=exact(1.0),
        train_peak_bytes=peak,
        train_reserved_bytes=reserved,
        memory_bytes=reserved or peak,
    )


def row(rank, design, kind, chance, *, reserved=None, **changed):
    against = NamedDesign(design="resnet-26-16", method=Method.FULL_DATA)
    trade = DesignTrade(
        against=against, points_less=exact(0.5), epoch_times=exact(1.0), train_times=exact(1.0)
    )
    return AdvisedDesign(
        rank=rank,
        design=design,
        method=changed.get("method", Method.FULL_DATA),
        design_class=kind,
        members=4,
        clusters=4,
        parameters=1_000_000,
        predicted=predicted(reserved),
        probability_beats_single=chance,
        near_threshold=False,
        evidence=EVIDENCE,
        reference=changed.get("reference", False),
        trade=None if changed.get("reference") else trade,
        threshold=None,
        probability_beats_first=None,
        tie=changed.get("tie", False),
        untried=changed.get("untried", False),
        unmeasured=(),
        reasons=("because",),
        weight_decay=changed.get("tuned_weight_decay") or 1e-4,
        tuned_weight_decay=changed.get("tuned_weight_decay"),
        networks_exist=changed.get("networks_exist", False),
    )


SINGLE = row(2, "resnet-26-16", DesignClass.SINGLE, None, reference=True)
ENSEMBLE = row(1, "4xresnet-26-8", DesignClass.DEPTH_EQUIVALENT, 0.89, reserved=exact(2.0**31))
SNAPSHOTS = row(3, "4xresnet-26-8", DesignClass.DEPTH_EQUIVALENT, 0.7, method=Method.SNAPSHOT)


VERDICT = Verdict(
    kind=VerdictKind.ONLY_ENSEMBLES,
    known=True,
    rank=1,
    design="4xresnet-26-8",
    method=Method.FULL_DATA,
    trade=None,
    probability_less_error=None,
)


def advice(rows, *, objective=Objective.ERROR, switchover=(), new=24, verdict=VERDICT):
    return Advice(
        request=replace(REQUEST, objective=objective),
        device=DEVICE,
        profile=MeasuringEffort(seconds=60.2, measurements_new=new, measurements_reused=0),
        verdict=verdict,
        recommendations=tuple(rows),
        switchover=tuple(switchover),
        search=SearchEffort(trials=160, designs=160, seconds=2.0),
        would_change=NOTHING_CHANGES,
        measure_next=NO_PROBE,
        probing=None,
    )


def threshold(family, members, parameters, epochs, past):
    ends = {"smallest": 21_544.0, "largest": 1e9, "longest": 2000}
    known = {"parameters": parameters, "epochs": epochs, "probability_past": past} | ends
    return Switchover(family=family, members=members, **known)


def lines(shown, columns=80):
    console = Console(file=io.StringIO(), width=columns)
    console.print(recommendation(shown))
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_each_row_has_its_chance_against_the_single_network_and_its_memory_as_limits_read_it():
    shown = lines(advice([ENSEMBLE, SINGLE, SNAPSHOTS]))
    # What the allocator reserves, where it is known: that is what --max-memory is compared with.
    assert "1 4xresnet-26-8 5.00 % 89% 1 s 1 s 2 GiB" in shown
    assert "2 resnet-26-16 5.00 % – 1 s 1 s 1 GiB" in shown
    at = shown.index("3 4xresnet-26-8 5.00 % 70% 1 s 1 s 1 GiB")
    assert shown[at + 1].startswith("deq, 1M, snapshot")


def test_with_a_price_the_time_of_training_has_its_cost_below_it():
    costing = replace(ENSEMBLE, predicted=replace(ENSEMBLE.predicted, cost_usd=exact(12.345)))
    shown = advice([costing, SINGLE])
    shown = replace(shown, request=replace(shown.request, price_per_hour_usd=3.06))
    text = lines(shown)
    assert any("12.35 USD" in line or "12.34 USD" in line for line in text)
    assert "USD: hours of training at 3.06 USD an hour." in text
    assert not any("USD" in line for line in lines(advice([ENSEMBLE, SINGLE])))


def test_by_likelihood_the_table_has_the_likelihood_in_the_place_of_the_epoch():
    nll = Estimate(0.25, 0.2, 0.3)
    known = replace(ENSEMBLE, predicted=replace(ENSEMBLE.predicted, test_nll=nll))
    shown = lines(advice([known, SINGLE], objective=Objective.NLL))
    assert "1 4xresnet-26-8 5.00 % 89% 1 s 0.25 2 GiB" in shown
    assert any("0.2–0.3" in line for line in shown)
    assert any(
        "nats" in line.split() for line in shown[: shown.index("1 4xresnet-26-8 5.00 % 89% 1 s 0.25 2 GiB")]
    )
    assert not any("0.2–0.3" in line for line in lines(advice([known, SINGLE])))


def test_without_a_single_network_nothing_is_said_to_beat_one():
    rows = [row(1, "4xresnet-8-8", DesignClass.DEPTH_EQUIVALENT, None, reference=True)]
    rows.append(row(2, "2xresnet-8-8", DesignClass.DEPTH_EQUIVALENT, None))
    text = lines(advice(rows, objective=Objective.TIME))
    assert "1 4xresnet-8-8 5.00 % – 1 s 1 s 1 GiB" in text
    assert "2 2xresnet-8-8 5.00 % – 1 s 1 s 1 GiB" in text
    assert "Beats single: no single network keeps the limits." in text
    assert "Ranked by time, those first that likely match the most accurate one." in text
    assert not any("best single" in line for line in text)


@pytest.mark.parametrize(
    ("objective", "ranked"),
    [
        (Objective.ERROR, "by expected error."),
        (Objective.NLL, "by expected negative log-likelihood of the averaged probabilities, nats."),
        (Objective.TIME, "by time, those first that likely match the best single network."),
        (Objective.BALANCED, "by error x seconds^0.1: ten times the training must buy a fifth less."),
    ],
)
def test_the_legend_of_a_ranking_without_ties_is_four_lines_of_a_terminal(objective, ranked):
    shown = lines(advice([ENSEMBLE, SINGLE], objective=objective))
    at = shown.index(f"Ranked {ranked}")
    assert shown[at + 1 : at + 5] == [
        "Beats single: chance that one training has less error than the best single (–).",
        "deq, weq: depth- and width-equivalent ensemble, mixed: of several shapes.",
        "* is nearest the switchover threshold; latency is of one image; 90 % intervals.",
        "",
    ]


def test_the_augmentation_is_said_and_what_flips_do():
    shown = advice([SINGLE])
    assert "Augmentation crop+flip, which makes left and right alike (--augment)." in lines(shown)
    request = replace(shown.request, used_augmentation=Augmentation.CROP)
    assert "Augmentation crop (--augment)." in lines(replace(shown, request=request))


def test_thresholds_at_the_ends_of_what_was_looked_at_are_said_to_lie_there_or_beyond():
    resnet = threshold("resnet", 2, Estimate(21_544.0, 21_543.99, 3.7e6), Estimate(1.0, 1.0, 107.4), 0.97)
    wrn = threshold("wrn", 8, Estimate(47.3e6, 6.37e6, 1e9), Estimate(2000.0, 476.0, 2000.0), 0.02)
    shown = lines(advice([ENSEMBLE, SINGLE], switchover=[resnet, wrn]))
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
def test_the_evidence_of_costs_is_the_number_of_measurements(evidence, new, said):
    text = _basis(replace(EVIDENCE, **evidence), advice([ENSEMBLE, SINGLE], new=new))
    assert text.startswith(f"Costs rest on {said}")


def test_brackets_in_names_are_no_markup():
    console = Console(width=60, file=io.StringIO())
    console.print(table("", [("image", "l")], [["photos[new]/cat.png"], ["album[/2020].png"]]))
    assert console.file.getvalue().split() == ["image", "photos[new]/cat.png", "album[/2020].png"]


def test_a_name_that_is_no_unicode_is_written_as_it_is(tmp_path):
    file = tmp_path / "rows.csv"
    write_file(file, "the rows", os.fsdecode(b"caf\xe9.png"))
    assert file.read_bytes() == b"caf\xe9.png"


# What is a tie, untried, or rests on nothing.


def test_a_design_whose_networks_exist_is_marked_and_the_page_says_what_that_means():
    note = "trained already: by a probe; its error is that of these networks."
    shown = lines(advice([ENSEMBLE, replace(SINGLE, networks_exist=True)]))
    assert shown.count("trained already") == 1
    assert note in shown
    assert note not in lines(advice([ENSEMBLE, SINGLE]))


def test_ties_and_untried_families_are_marked_and_the_page_says_what_that_means():
    tie = row(2, "2xresnet-8-8", DesignClass.DEPTH_EQUIVALENT, 0.5, tie=True)
    untried = row(3, "2xvgg-11-8", DesignClass.DEPTH_EQUIVALENT, 0.5, untried=True)
    shown = lines(advice([row(1, "resnet-26-16", DesignClass.SINGLE, None, reference=True), tie, untried]))
    assert "2 = 2xresnet-8-8 5.00 % 50% 1 s 1 s 1 GiB" in shown
    at = shown.index("3 2xvgg-11-8 5.00 % 50% 1 s 1 s 1 GiB")
    assert shown[at + 2] == "untried here"
    assert "= ties with 1: chance to have less error at least 1 in 5; cheapest first." in shown
    assert "untried here: behind families of which more is known on this data." in shown


@pytest.mark.parametrize("objective", list(Objective))
@pytest.mark.parametrize("columns", [80, 120])
def test_no_line_of_the_ranking_is_longer_than_the_terminal(objective, columns):
    rows = [ENSEMBLE, replace(SINGLE, tie=True), replace(SNAPSHOTS, untried=True)]
    console = Console(file=io.StringIO(), width=columns)
    console.print(recommendation(advice(rows, objective=objective)))
    text = console.file.getvalue()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= columns
    # Every line of the legend is one line of a terminal.
    legend = text[text.index("Ranked ") : text.index("Why ")].strip().splitlines()
    assert len(legend) == 6


def test_the_verdict_comes_before_the_table_and_names_the_rank_to_train():
    chosen = replace(VERDICT, kind=VerdictKind.ONLY_SINGLES, rank=2, design="resnet-26-16")
    shown = lines(advice([ENSEMBLE, SINGLE], verdict=chosen), columns=120)
    assert shown[0].startswith("Train one ResNet of depth 26 and width 16 (resnet-26-16). ")
    assert shown[2].startswith("5M parameters")
    assert any(line.startswith("Next: advisor train --rank 2 ") for line in shown)
    assert any(line.startswith("Next: advisor train (or") for line in lines(advice([ENSEMBLE, SINGLE])))


def test_where_nothing_is_known_no_error_is_shown():
    # Figures of errors that occur nowhere else.
    change = WouldChange(
        thresholds=(),
        second=None,
        limits=(),
        objectives=(
            OtherObjective(
                objective=Objective.TIME,
                design="resnet-8-8",
                method=Method.FULL_DATA,
                test_error=exact(0.7777),
                train_seconds=exact(1.0),
            ),
        ),
    )
    probe = ProposedProbe(
        design="resnet-8-4",
        epochs=3,
        share_of_images=1.0,
        seconds=exact(1.0),
        move_points=77.77,
        predicted_error=exact(0.7777),
        minutes=1,
        command="advisor probe",
    )

    def worst(row):
        trade = row.trade and replace(row.trade, points_less=exact(77.77))
        return replace(row, predicted=replace(row.predicted, test_error=exact(0.7777)), trade=trade)

    shown = replace(
        advice([worst(ENSEMBLE), worst(SINGLE)]),
        would_change=change,
        measure_next=replace(NO_PROBE, probe=probe),
    )
    assert sum("77." in line for line in lines(shown)) > 4
    unknown = lines(replace(shown, verdict=replace(VERDICT, known=False)))
    assert unknown[0].startswith("Nothing is known of this data: ")
    assert not any("77" in line for line in unknown)
    assert "1 4xresnet-26-8 ? 89% 1 s 1 s 2 GiB" in unknown
    assert "Ranked by expected error, by published studies of other data." in unknown
