"""`advisor est`: where single networks give way to ensembles."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from advisor.accuracy.evidence import Curve, TrainedEvidence
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.accuracy.sources.published import ERRORS
from advisor.decision.threshold.switchover import Threshold
from advisor.designs.design import DesignClass, parse_design
from advisor.plans.dataset import DATASETS
from cli.render.examine.switchover import _first_past, letter_of, switchover
from cli.render.examine.switchover_words import words
from cli.render.formats import count
from cli.workflows.answers.examine.switchover import EnsembleTraining, EstRequest
from cli.workflows.examine.switchover import est
from cli.workflows.home import Home
from db.session import open_store

# Published errors on CIFAR-10.
PUBLISHED = sum(e.dataset == "cifar10" for e in ERRORS)
SMALL = ("--family", "resnet", "--budget", "1M-2M", "--epochs", "125-250")


REQUEST = EstRequest(
    family="resnet",
    members=4,
    dataset="cifar10",
    budget="20k-8M",
    epochs="60-500",
    clusters=1,
    reading="whole",
    seed=0,
)


@pytest.fixture(scope="module")
def answer():
    """The answer of `advisor est`, computed once."""
    return est(REQUEST, Home(Path("/nowhere/at/all")), print)


def test_the_answer_is_one_object_in_the_promised_form(answer):
    payload = answer.to_json()
    assert json.loads(json.dumps(payload)) == payload
    assert payload["schema_version"] == 1
    assert payload["reading"] == "whole"
    assert payload["schedule_epochs"] == 250
    assert set(payload["maps"]) == {"full_data", "mothernets_equal_epochs", "mothernets_equal_time"}
    budgets, epochs = payload["budgets_parameters"], payload["epochs"]
    for found in payload["maps"].values():
        for name in ("likelier_class", "better_ensemble_class", "probability_ensemble_wins"):
            assert [len(row) for row in found[name]] == [len(epochs)] * len(budgets)
        assert len(found["threshold_parameters"]) == len(epochs)
        assert len(found["threshold_epochs"]) == len(found["times_sooner"]) == len(budgets)
    assert payload["evidence"] == {
        "runs": 0,
        "runs_on_dataset": 0,
        "curves": 0,
        "curves_on_dataset": 0,
        "published_errors_on_dataset": PUBLISHED,
        "simple_classifiers": False,
    }


def test_the_published_threshold_of_resnets_lies_within_the_interval(answer):
    threshold = answer.full_data.threshold_parameters[answer.epochs.index(250)]
    assert threshold.low <= 1.25e6 <= threshold.high


@pytest.mark.parametrize("colour", [True, False])
def test_the_map_reads_at_80_columns_with_and_without_colour(answer, colour, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    console = Console(
        width=80, force_terminal=True, color_system="truecolor", no_color=not colour, highlight=False
    )
    with console.capture() as captured:
        console.print(switchover(answer))
    text = captured.get()
    assert ("48;2;" in text) is colour
    lines = [re.sub("\x1b\\[[0-9;]*m", "", line) for line in text.splitlines()]
    assert max(map(len, lines)) <= 80
    assert "Epochs: whole schedules of each length" in lines[1]
    rows = [line for line in lines if re.match(r" *[\d.]+[kM]( +[–sdw])", line)]
    # One map below the other.
    assert len(rows) == len(answer.maps) * len(answer.budgets_parameters)
    # Budgets rise upwards; four members do not fit into the least one.
    assert rows[0].startswith("    8M")
    assert rows[-1].split() == ["20k", *["–"] * len(answer.epochs)]
    assert any("*" in row for row in rows)
    titles = [line.strip() for line in lines if line.startswith(("full data", "MotherNets g=1,"))]
    assert titles == ["full data", "MotherNets g=1, equal epochs", "MotherNets g=1, time of full data"]
    assert "within the grid" in text
    assert f"{PUBLISHED} published errors, no training of yours" in " ".join(lines)


def test_a_notebook_shows_the_map(answer):
    page = answer._repr_html_()
    assert "full data" in page
    assert "background-color" in page


def test_a_wide_terminal_has_maps_side_by_side(answer):
    console = Console(width=140)
    with console.capture() as captured:
        console.print(switchover(answer))
    assert re.search("full data +MotherNets g=1, equal epochs", captured.get())


def test_a_threshold_at_the_first_budget_that_holds_an_ensemble_may_lie_below_it(answer):
    """An ensemble that wins from the first budget on that has one may win before."""
    budgets, column = answer.budgets_parameters, answer.epochs.index(250)
    # The second of them, too: the best single network there has no equivalents.
    position = 2
    with_ensembles = [bool(d.depth_equivalent or d.width_equivalent) for d in answer.designs]
    assert with_ensembles == [i >= position for i in range(len(budgets))]
    size = budgets[position]
    # Interpolated in logarithms, an end of the grid is moved by rounding.
    at_end = Threshold(median=size * (1 + 1e-9), low=size * (1 - 1e-9), high=None, reached=0.9)
    thresholds = list(answer.full_data.threshold_parameters)
    thresholds[column - 1 : column + 1] = [replace(at_end, median=1.01 * size), at_end]
    full_data = replace(answer.full_data, threshold_parameters=tuple(thresholds))
    won = replace(answer, maps={**answer.maps, EnsembleTraining.FULL_DATA: full_data})
    first, exact = count(size), count(1.01 * size)
    assert words(won)[0].endswith(f"takes over at ≤{first} (≤{first}–>8M) parameters.")
    assert _first_past(full_data, budgets, column) == position
    console = Console(width=200)
    with console.capture() as captured:
        console.print(switchover(won))
    assert f"{exact} (≤{first}–>8M)" in captured.get()


def test_a_question_makes_no_database_and_independent_members_need_one_map(advisor, home):
    answer = advisor("est", *SMALL, "--g", "4", "--json")
    assert answer.code == 0
    assert list(answer.json["maps"]) == ["full_data"]
    assert not home.exists()


def test_one_budget_and_one_length_are_one_cell(advisor):
    answer = advisor("est", "--family", "resnet", "--budget", "2M", "--epochs", "250")
    assert answer.code == 0
    assert "Threshold" not in answer.out
    assert re.search(r"2M +d +\d\d", answer.out)


@pytest.fixture
def trained(home, monkeypatch):
    """One stored training of digits with its learning curve."""
    run = TrainedEvidence(
        dataset="digits",
        task=DATASETS["digits"].task,
        design=parse_design("mlp-1-4"),
        epochs=5,
        member_errors=(0.4,),
        ensemble_error=0.4,
        test_images=360,
        curve=Curve(member=(0.8, 0.6, 0.45, 0.42, 0.4), ensemble=None, images=360),
    )
    open_store(Home(home).database).close()
    monkeypatch.setattr(
        "cli.workflows.examine.switchover.accuracy_for",
        lambda store, facts, seed: (AccuracyPredictor([facts.learned_as], [run], seed), [run]),
    )
    return replace(REQUEST, family="mlp", dataset="digits", budget="50k", epochs="10-20")


def test_stored_trainings_are_evidence(home, trained):
    answer = est(trained, Home(home), print)
    assert answer.evidence.runs_on_dataset == 1
    assert "digits: 1 training and no published error" in words(answer)[-1]


def test_with_a_learning_curve_one_long_schedule_can_be_read(home, trained):
    answer = est(replace(trained, reading="long"), Home(home), print)
    assert (answer.reading, answer.schedule_epochs, answer.epochs[-1]) == ("long", 20, 20)
    # Hatched members have no epochs of that schedule.
    assert list(answer.maps) == ["full_data"]
    assert "MotherNets have no map here" in " ".join(words(answer))
    assert "1 of 1 learning curves" in words(answer)[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--family", "resnet", "--members", "1"), 2, "2 to 256"),
        (("--family", "resnet", "--members", "1000"), 2, "2 to 256"),
        (("--family", "resnext"), 2, "did you mean 'resnet'"),
        ((), 2, "--family"),
        (("--family", "resnet", "--dataset", "cifar"), 2, "did you mean 'cifar10'"),
        (("--family", "resnet", "--budget", "8M-2M"), 2, "write 2M-8M"),
        (("--family", "resnet", "--epochs", "500-10"), 2, "write 10-500"),
        (("--family", "resnet", "--epochs", "10-"), 2, "lacks an end"),
        (("--family", "resnet", "--epochs", "0-10"), 2, "cannot read '0-10'"),
        (("--family", "resnet", "--epochs", "1-99999999999"), 2, "1,000,000 at most"),
        (("--family", "resnet", "--budget", "1M-99999999999999"), 2, "10G"),
        (("--family", "resnet", "--budget", "10-1M"), 1, "the smallest, resnet-8-4"),
        (("--family", "resnet", "--g", "5"), 2, "1 to 4 clusters"),
        (("--family", "resnet", "--seed", "-1"), 2, "--seed"),
        (("--family", "resnet", "--reading", "long"), 1, "no learning curves are known"),
        (("--family", "resnet", "--reading", "short"), 2, "reading"),
        (("--family", "resnet", "--plot", "map.pdf"), 2, ".html, .svg or .png"),
    ],
)
def test_a_refusal_is_one_line_and_writes_nothing(advisor, home, arguments, code, says):
    answer = advisor("est", *arguments)
    assert answer.code == code
    assert says in answer.error_line
    assert not home.exists()


def test_without_altair_a_plot_is_refused_with_the_command_that_helps(advisor, monkeypatch):
    monkeypatch.setattr("cli.web.charts.files.find_spec", lambda name: None)
    answer = advisor("est", "--family", "resnet", "--plot", "map.png")
    assert answer.code == 2
    assert "pip install 'ensemble-advisor[plot]'" in answer.error_line


def test_cells_where_both_classes_beat_the_single_network_are_marked(answer):
    """ "More or Less", figure 2: a capital letter where each class is likelier ahead."""
    found = answer.full_data
    errors, both = found.errors, found.both_classes_likelier
    single, deq, weq = (errors[kind] for kind in DesignClass if kind is not DesignClass.MIXED)
    cells = [(i, j) for i in range(len(both)) for j in range(len(both[0]))]
    assert any(both[i][j] for i, j in cells)
    for i, j in cells:
        assert single[i][j] is not None
        if both[i][j]:
            assert max(deq[i][j].mean, weq[i][j].mean) < 1.02 * single[i][j].mean
            assert found.likelier_class[i][j] is not DesignClass.SINGLE
        elif deq[i][j] is not None and weq[i][j] is not None:
            assert max(deq[i][j].mean, weq[i][j].mean) > 0.98 * single[i][j].mean
        letter = letter_of(found, i, j)
        assert letter.isupper() is both[i][j]
    console = Console(width=80)
    with console.capture() as captured:
        console.print(switchover(answer))
    assert re.search(r" [DW] +\d\d", captured.get())
    # Figure 3: error against size, in the column that sentences are about.
    at, mean = answer.reference_column, single[-1][answer.reference_column].mean
    assert f"Expected test error on full data at {answer.epochs[at]} epochs" in captured.get()
    assert f"{100 * mean:.2f} % (" in captured.get()
    assert set(answer.to_json()["maps"]["full_data"]["errors"]) == {
        "single",
        "depth_equivalent",
        "width_equivalent",
    }
