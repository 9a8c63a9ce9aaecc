"""A sparse confusion matrix and its rules."""

from __future__ import annotations

import pytest

from advisor.plans.confusion import ConfusionMatrix


def test_the_errors_of_a_class_are_all_images_that_are_taken_for_others():
    matrix = ConfusionMatrix(images=(5, 4, 0), confused=((0, 1, 2), (0, 2, 1), (1, 0, 4)))
    assert (matrix.classes, matrix.errors) == (3, (3, 4, 0))
    assert matrix.name_of(0) is None


@pytest.mark.parametrize(
    ("images", "confused", "names", "rule"),
    [
        ((), (), (), "needs classes"),
        ((1, -1), (), (), "needs classes"),
        ((1, 1), (), ("a",), "2 classes cannot have 1 names"),
        ((2, 2), ((1, 0, 1), (0, 1, 1)), (), "once, in order"),
        ((2, 2), ((0, 1, 1), (0, 1, 1)), (), "once, in order"),
        ((2, 2), ((0, 0, 1),), (), "are not two of 2"),
        ((2, 2), ((0, 2, 1),), (), "are not two of 2"),
        ((2, 2), ((0, 1, 0),), (), "confused on 0 images"),
        ((2, 2), ((0, 1, 3),), (), "more wrong images than images"),
    ],
)
def test_a_matrix_that_breaks_a_rule_is_refused(images, confused, names, rule):
    with pytest.raises(ValueError, match=rule):
        ConfusionMatrix(images=images, confused=confused, names=names)
