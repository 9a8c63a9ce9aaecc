"""`advisor est --axis images`: the switchover by budget and number of training images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from advisor.plans.dataset import DATASETS
from cli.render.examine.switchover import switchover
from cli.render.examine.switchover_words import words
from cli.workflows.answers.examine.switchover import EstRequest
from cli.workflows.examine.switchover import est
from cli.workflows.home import Home

NOWHERE = Home(Path("/nowhere/at/all"))
ALL = DATASETS["digits"].train_images
REQUEST = EstRequest(
    family="resnet",
    members=4,
    dataset="digits",
    budget="79k-2M",
    epochs="20",
    clusters=4,
    reading="whole",
    seed=0,
    axis="images",
    images="100-4000",
)


@pytest.fixture(scope="module")
def answer():
    """The map of images, computed once."""
    return est(REQUEST, NOWHERE, None)


def shown(answer, columns=80):
    console = Console(width=columns)
    with console.capture() as captured:
        console.print(switchover(answer))
    return captured.get()


def test_columns_are_numbers_of_images_at_one_number_of_epochs(answer):
    payload = answer.to_json()
    assert (payload["axis"], payload["epochs"], payload["schedule_epochs"]) == ("images", [20], 20)
    images, budgets = payload["images"], payload["budgets_parameters"]
    assert (images[0], images[-1]) == (100, 4000)
    assert images[payload["reference_column"]] == ALL
    found = payload["maps"]["full_data"]
    for name in ("likelier_class", "better_ensemble_class", "probability_ensemble_wins"):
        assert [len(row) for row in found[name]] == [len(images)] * len(budgets)
    assert [len(row) for row in payload["designs_by_column"]] == [len(images)] * len(budgets)
    assert len(found["threshold_parameters"]) == len(images)
    assert len(found["threshold_images"]) == len(budgets)
    assert (found["threshold_epochs"], found["single_error_epochs"], found["times_sooner"]) == ([], [], [])


def test_at_the_images_of_the_data_set_the_map_of_epochs_says_the_same(answer):
    by_epochs = est(replace(REQUEST, axis="epochs", images=None, epochs="20-40"), NOWHERE, None)
    column = by_epochs.epochs.index(20)
    for i in range(len(answer.budgets_parameters)):
        here, there = answer.reference_column, column
        assert answer.designs_by_column[i][here] == by_epochs.designs_by_column[i][there]
        chances = [
            found.full_data.probability_ensemble_wins[i][j]
            for found, j in ((answer, here), (by_epochs, there))
        ]
        assert chances[0] == pytest.approx(chances[1], rel=1e-9)
    assert by_epochs.images == (ALL,)
    on_few = est(replace(REQUEST, axis="epochs", images="100", epochs="20"), NOWHERE, None)
    first = [row[0] for row in answer.full_data.probability_ensemble_wins]
    assert [row[0] for row in on_few.full_data.probability_ensemble_wins] == pytest.approx(first, rel=1e-9)
    assert "Epochs: whole schedules of each length, on 100 training images" in shown(on_few)


def test_beyond_twice_the_images_of_any_evidence_columns_are_marked(answer):
    assert answer.extrapolated_beyond_images == 2 * ALL
    assert answer.extrapolated == tuple(images > 2 * ALL for images in answer.images)
    assert any(answer.extrapolated)
    assert not all(answer.extrapolated)
    text = shown(answer)
    assert max(map(len, text.splitlines())) <= 80
    assert "Training images: whole schedules of 20 epochs on each number" in text
    (axis,) = [line for line in text.splitlines() if line.startswith("images")]
    assert axis.count("^") == sum(answer.extrapolated)
    assert f"^ extrapolated: beyond {2 * ALL:,} images" in text


def test_the_sentences_name_the_images_and_what_they_change(answer):
    said = " ".join(words(answer))
    assert f"After 20 epochs on {ALL:,} images the ensemble" in said
    assert "more images mean more steps" in said
    assert "From 100 to 4,000 images the chance at one budget changes by" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--axis", "pictures"), "axis"),
        (("--axis", "images", "--epochs", "10-20"), "--epochs: a range is for --axis epochs"),
        (("--images", "100-200"), "--images: a range is for --axis images"),
        (("--axis", "images", "--images", "3-200"), "10 training images or more, got 3"),
        (("--axis", "images", "--images", "many"), "cannot read 'many' as a number of images"),
        (("--axis", "images", "--images", "2k-1k"), "write 1k-2k"),
    ],
)
def test_a_question_about_images_that_cannot_be_is_refused_in_one_line(advisor, home, arguments, says):
    answer = advisor("est", "--family", "resnet", "--dataset", "digits", *arguments)
    assert answer.code == 2
    assert says in answer.error_line
    assert not home.exists()


def test_the_command_line_asks_for_images_too(advisor):
    found = advisor(
        "est", "--family", "mlp", "--dataset", "digits", "--budget", "50k", "--g", "4",
        "--axis", "images", "--images", "1k", "--epochs", "20", "--json",
    ).json  # fmt: skip
    assert (found["axis"], found["images"], found["request"]["images"]) == ("images", [1000], "1k")
