"""Errors of the simple classifiers: neighbours by hand and by brute force, the others where they must win."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from trainer.data.look.classifiers import NEIGHBOURS, simple_errors
from trainer.data.look.sample import Sample


def sample(train, train_labels, validation, validation_labels) -> Sample:
    """A sample of images whose left half has one value and whose right half another one."""
    halves = [torch.tensor(pairs, dtype=torch.float32).view(-1, 1, 1, 2) for pairs in (train, validation)]
    images = [each.repeat_interleave(4, dim=3).expand(-1, 1, 8, 8) for each in halves]
    labels = [np.array(each, np.int64) for each in (train_labels, validation_labels)]
    return Sample(images[0], labels[0], images[1], labels[1])


def test_the_neighbours_of_two_clusters_are_those_counted_by_hand():
    found = simple_errors(
        sample(
            # The third image of class 1 lies amid class 0: one neighbour is wrong there, and five are right.
            [
                (0.0, 0.0),
                (0.1, 0.0),
                (0.0, 0.1),
                (0.1, 0.1),
                (1.0, 1.0),
                (0.9, 1.0),
                (0.05, 0.05),
                (1.0, 0.9),
            ],
            [0, 0, 0, 0, 1, 1, 1, 1],
            [(0.05, 0.06), (0.95, 0.95), (0.06, 0.05)],
            [0, 1, 0],
        ),
        seed=0,
    )
    # 15 neighbours are all 8, a tie that the nearest decides: (0.05, 0.06) becomes 1, as with k = 1.
    assert (found.k, found.neighbours.wrong, found.neighbours.images) == (5, 0, 3)
    assert found.train_images == 8


def test_of_equally_many_neighbours_the_class_of_the_nearest_wins():
    # Two of each class among four: whatever k is, the nearest decides or no tie exists.
    train, labels = [(0.0, 0.0), (0.3, 0.0), (0.4, 0.0), (0.9, 0.0)], [1, 0, 0, 1]
    found = simple_errors(sample(train, labels, [(0.0, 0.1)], [1]), seed=0)
    assert found.neighbours.wrong == 0


def test_neighbours_agree_with_brute_force_in_float64(digits):
    train, validation = digits.train.images[:150], digits.validation.images[:80]
    truth = digits.validation.labels[:80].numpy()
    labels = digits.train.labels[:150].numpy()
    found = simple_errors(Sample(train / 255, labels, validation / 255, truth), seed=0)
    distances = ((validation.double()[:, None] - train.double()[None]) ** 2).sum(dim=(2, 3, 4)).numpy()
    wrong = {}
    for k in NEIGHBOURS:
        nearest = labels[np.argsort(distances, axis=1, kind="stable")[:, :k]]
        votes = [max(set(row), key=lambda c: (row.count(c), -row.index(c))) for row in nearest.tolist()]
        wrong[k] = int((np.array(votes) != truth).sum())
    assert wrong[found.k] == min(wrong.values()) == found.neighbours.wrong


def moved_squares(count: int, seed: int) -> tuple[torch.Tensor, np.ndarray]:
    """Full squares and hollow squares of five pixels a side, anywhere in an image of 20 pixels a side."""
    draw = np.random.default_rng(seed)
    images, labels = np.zeros((count, 1, 20, 20), np.float32), draw.integers(2, size=count)
    for image, label in zip(images, labels, strict=True):
        row, column = draw.integers(16, size=2)
        image[0, row : row + 5, column : column + 5] = 0.5
        if label:
            image[0, row + 1 : row + 4, column + 1 : column + 4] = 0
    # As bright as each other, so that brightness alone does not tell the classes apart.
    images /= images.sum(axis=(1, 2, 3), keepdims=True) / 10
    return torch.from_numpy(images), labels


def test_patches_see_a_shape_that_moves_and_pixels_in_their_places_do_not():
    found = simple_errors(Sample(*moved_squares(200, 0), *moved_squares(200, 1)), seed=0)
    assert found.patches.share < 0.05
    assert found.linear.share > 0.2


def test_a_linear_classifier_learns_what_one_pixel_says():
    draw = np.random.default_rng(0)
    pixels = torch.from_numpy(draw.random((120, 1, 8, 8), dtype=np.float32))
    labels = (pixels[:, 0, 0, 0] > 0.5).long().numpy()
    pixels[:, :, 0, 0] = pixels[:, :, 0, 0].mul(4)
    found = simple_errors(Sample(pixels[:60], labels[:60], pixels[60:], labels[60:]), seed=0)
    assert found.linear.share < 0.15


def test_equal_seeds_give_equal_errors_and_labels_without_meaning_give_chance(digits):
    train, validation = digits.train.images[:100] / 255, digits.validation.images[:100] / 255
    draw = np.random.default_rng(3)
    blind = Sample(train, draw.integers(2, size=100), validation, draw.integers(2, size=100))
    first, again = simple_errors(blind, seed=1), simple_errors(replace(blind), seed=1)
    assert first == again
    assert all(0.3 < error.share < 0.7 for error in first.all)
