"""Copies that are planted among images are counted, whatever split and class they lie in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.networks.layers import Task
from advisor.plans.dataset import Augmentation, DatasetFacts
from trainer.data.loading import Data, Split
from trainer.data.look.duplicates import find_duplicates

Labelled = Sequence[tuple[int, int]]


@pytest.fixture(scope="module")
def data_of() -> Callable[..., Data]:
    """Data of images that have one value in all pixels each, given as (value, label)."""
    return drawn


def drawn(train: Labelled, validation: Labelled = (), test: Labelled = ()) -> Data:
    def split(pairs: Labelled) -> Split:
        values = torch.tensor([value for value, _ in pairs], dtype=torch.uint8)
        images = values.view(-1, 1, 1, 1).expand(-1, 3, 8, 8)
        return Split(images, torch.tensor([label for _, label in pairs], dtype=torch.int64))

    facts = DatasetFacts(
        name="drawn",
        task=Task(channels=3, height=8, width=8, classes=10),
        train_images=len(train),
        validation_images=len(validation),
        test_images=len(test),
        augmentation=Augmentation.NONE,
        batch=2,
    )
    return Data(facts, split(train), split(validation), split(test), torch.zeros(3), torch.ones(3))


def test_no_copy_is_found_among_different_images(data_of):
    found = find_duplicates(data_of([(1, 0), (2, 1)], [(3, 0)], [(4, 1), (0, 0)]))
    counts = (found.repeated, found.contradicting, found.validation_in_training)
    assert (*counts, found.test_in_training, found.test_mislabelled) == (0, 0, 0, 0, 0)


def test_every_kind_of_copy_has_its_count(data_of):
    found = find_duplicates(
        data_of(
            # 1 three times, of which one contradicts; 2 twice in agreement; 3 once here and once to validate.
            [(1, 0), (1, 0), (1, 5), (2, 1), (2, 1), (3, 2), (4, 3)],
            [(3, 2), (6, 0)],
            # 4 leaks with its label, 6 from validation, 2 with another label; 9 is new.
            [(4, 3), (6, 0), (2, 7), (9, 1)],
        )
    )
    assert found.repeated == 2 + 1 + 1
    assert found.contradicting == 3
    assert found.validation_in_training == 1
    assert found.test_in_training == 3
    assert found.test_mislabelled == 1


def test_a_test_image_with_the_label_of_one_of_two_copies_is_not_mislabelled(data_of):
    found = find_duplicates(data_of([(1, 0), (1, 1)], [(2, 0)], [(1, 1)]))
    assert (found.test_in_training, found.test_mislabelled, found.contradicting) == (1, 0, 2)


pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), min_size=1, max_size=12)


@settings(max_examples=30)
@given(train=pairs, validation=pairs, test=pairs)
def test_the_counts_are_those_of_comparing_all_pairs(train, validation, test):
    found, pool = find_duplicates(drawn(train, validation, test)), [*train, *validation]
    assert found.repeated == sum(value in [v for v, _ in pool[:i]] for i, (value, _) in enumerate(pool))
    assert found.contradicting == sum(any(v == w and a != b for w, b in pool) for v, a in pool)
    assert found.validation_in_training == sum(any(v == w for w, _ in train) for v, _ in validation)
    leaked = [(v, a) for v, a in test if any(v == w for w, _ in pool)]
    assert found.test_in_training == len(leaked)
    assert found.test_mislabelled == sum(pair not in pool for pair in leaked)


def test_images_that_differ_in_one_pixel_are_no_copies(data_of):
    data = data_of([(0, 0), (0, 0)], [(5, 0)], [(7, 0)])
    images = data.train.images.clone()
    images[1, 2, 7, 7] = 1
    found = find_duplicates(
        Data(
            data.facts,
            Split(images, data.train.labels),
            data.validation,
            data.test,
            data.mean,
            data.deviation,
        )
    )
    assert found.repeated == 0
    assert np.array_equal(images[0], data.train.images[0])
