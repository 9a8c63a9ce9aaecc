"""Errors by class as a person sees them, on narrow and on wide terminals."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.console import Console

from advisor.plans.confusion import ConfusionMatrix
from cli.render.evaluation.class_errors import errors_by_class
from cli.workflows.answers.runs.class_errors import ErrorsByClass

PETS = ConfusionMatrix(
    images=(10, 20, 0), confused=((0, 1, 3), (0, 2, 1), (1, 0, 5)), names=("cat", "dog", "fox")
)


def lines_of(matrix, width):
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        console.print(errors_by_class(ErrorsByClass.of(matrix)))
    lines = [line.rstrip() for line in captured.get().splitlines()]
    assert all(cell_len(line) <= width for line in lines)
    return lines


@pytest.mark.parametrize("width", [80, 120])
def test_few_classes_have_a_row_each_and_the_whole_matrix(width):
    lines = lines_of(PETS, width)
    rows = [line.split() for line in lines]
    assert rows[1] == ["0", "cat", "10", "4", "40.0", "%", "1", "dog", "(3)"]
    assert rows[2] == ["1", "dog", "20", "5", "25.0", "%", "0", "cat", "(5)"]
    assert rows[3] == ["2", "fox", "0", "0", "–", "–"]
    assert rows[-4:] == [["0", "1", "2"], ["0", "6", "3", "1"], ["1", "5", "15", "·"], ["2", "·", "·", "·"]]


@pytest.mark.parametrize("width", [80, 120])
def test_twelve_classes_of_many_images_and_long_names_fit(width):
    cells = tuple((c, a, 4_000 + c) for c in range(12) for a in range(12) if a != c)
    names = tuple(f"a very long name of the class number {c}" for c in range(12))
    lines = lines_of(ConfusionMatrix(images=(99_999,) * 12, confused=cells, names=names), width)
    row = lines[-1].split()
    assert row == ["11", *["4011"] * 11, str(99_999 - 11 * 4011)]


@pytest.mark.parametrize("width", [80, 120])
def test_of_a_thousand_classes_the_worst_and_the_most_frequent_confusions_are_shown(width):
    # Class c is taken for the next one on c % 50 of its 50 images.
    cells = tuple((c, c + 1, c % 50) for c in range(999) if c % 50)
    names = tuple(f"n{c:08} a kind of thing" for c in range(1000))
    text = "\n".join(lines_of(ConfusionMatrix(images=(50,) * 1000, confused=cells, names=names), width))
    assert "10 worst of 1,000 classes" in text
    assert "10 most frequent of 979 confusions" in text
    assert "49 n00000049 a kind" in text
    assert "98.0 %" in text
    assert "true class by row" not in text
    assert "--json" in text


def test_many_classes_without_an_error_are_a_line():
    matrix = ConfusionMatrix(images=(1,) * 13, confused=())
    assert lines_of(matrix, 80) == ["no test image of the 13 classes is wrong"]


def test_json_has_all_classes_and_the_most_frequent_confusions_first():
    found = ErrorsByClass.of(PETS)
    assert [(c.class_index, c.name, c.images, c.wrong, c.error) for c in found.classes] == [
        (0, "cat", 10, 4, 0.4),
        (1, "dog", 20, 5, 0.25),
        (2, "fox", 0, 0, None),
    ]
    assert [(c.name, c.taken_for_name, c.images) for c in found.confusions] == [
        ("dog", "cat", 5),
        ("cat", "dog", 3),
        ("cat", "fox", 1),
    ]
