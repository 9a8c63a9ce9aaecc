"""`advisor data` on a folder with faults that were planted, and on digits."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
from drawn_images import draw, draw_folder
from rich.console import Console

from cli.render.examine.data import data_look
from cli.workflows.examine.data import DataRequest, look_at
from cli.workflows.home import Home
from cli.workflows.views import silent


def noise(path, seed):
    return draw(path, np.random.default_rng(seed).integers(0, 255, (12, 12, 3)).astype(np.uint8))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """A look at a folder: a rare class, leaked test images, a wrong label, and one image in two classes."""
    place = draw_folder(tmp_path_factory.mktemp("data") / "images", train=40, test=4, size=(12, 12))
    for number in range(3, 40):
        (place / "train" / "b" / f"{number:03}.png").unlink()
    leaked, other = noise(place / "train" / "a" / "x.png", 1), noise(place / "train" / "a" / "y.png", 2)
    shutil.copy(leaked, place / "test" / "a" / "again.png")
    shutil.copy(other, place / "test" / "b" / "otherwise.png")
    both = noise(place / "train" / "a" / "both.png", 3)
    shutil.copy(both, place / "train" / "b" / "both.png")
    return look_at(DataRequest(dataset=f"folder:{place}"), Home(place.parent / "home"), silent)


def test_the_faults_of_a_folder_are_counted(faulty):
    sizes = [(size.name, size.images) for size in (faulty.rarest, faulty.most_frequent)]
    assert sizes == [("b", 4), ("a", 43)]
    repeated = faulty.repeated
    assert (repeated.repeated, repeated.contradicting) == (1, 2)
    assert (repeated.test_in_training, repeated.test_mislabelled) == (2, 1)
    # Always answering a is right for 43 of 47 images.
    assert faulty.chance_error == pytest.approx(4 / 47)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_faults_of_a_folder_are_said_once_each_in_a_table_that_fits(faulty, columns):
    console = Console(width=columns, file=io.StringIO())
    console.print(data_look(faulty))
    drawn = console.file.getvalue()
    assert max(map(len, drawn.splitlines())) <= columns
    said = " ".join(drawn.split())
    for part in (
        "classes are imbalanced",
        "1 class has fewer than 20 images to train on (b: 4)",
        "2 of 10 test images are also images to train on",
        "1 of these has another label",
        "2 images to train on have equal pixels and different labels",
        "no simple classifier is better than guessing",
    ):
        assert said.count(part) == 1, part


def test_where_classifiers_of_pixels_guess_the_expected_error_is_called_unsure(tmp_path):
    # A bright cross or a bright square, somewhere on noise.
    place, generator = tmp_path / "images", np.random.default_rng(0)
    shapes = {"cross": np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]), "square": np.ones((3, 3))}
    for split, number in (("train", 150), ("test", 10)):
        for name, shape in shapes.items():
            for i in range(number):
                image = generator.integers(0, 120, (16, 16, 3)).astype(np.uint8)
                down, right = generator.integers(0, 13, 2)
                image[down : down + 3, right : right + 3][shape > 0] = 255
                draw(place / split / name / f"{i:03}.png", image)
    look = look_at(DataRequest(dataset=f"folder:{place}"), Home(tmp_path / "home"), silent)
    (said,) = [text for text in look.warnings if "pixels make most of the errors of guessing" in text]
    assert "networks may have a quarter of the expected error" in said
    assert look.expected.high / look.expected.low > 5


def test_digits_are_known_to_be_easy_before_any_training(advisor):
    answer = advisor("data", "digits", "--seed", "1", "--json")
    found = answer.json
    assert (found["train_images"], found["validation_images"], found["test_images"]) == (1077, 360, 360)
    assert [simple["neighbours"] is None for simple in found["simple"]] == [False, True, True]
    assert all(simple["error"] < 0.1 < found["chance_error"] for simple in found["simple"])
    expected = found["expected"]
    # Networks reach 0.5 to 2 % on digits (benchmarks/trainings/results/advice-cpu.csv).
    assert expected["low"] < 0.02
    assert expected["high"] > 0.005
    assert found["warnings"] == []


def test_a_folder_of_one_class_is_refused_in_one_line(advisor, tmp_path):
    draw_folder(tmp_path / "images", classes=("a",))
    answer = advisor("data", f"folder:{tmp_path / 'images'}", "--quiet")
    assert answer.code == 2
    assert "1 class folders; a classifier needs 2" in answer.error_line


def test_options_of_folders_are_refused_for_published_data(advisor):
    answer = advisor("data", "digits", "--resize", "8", "--quiet")
    assert answer.code == 2
    assert "--resize is for folders" in answer.error_line
