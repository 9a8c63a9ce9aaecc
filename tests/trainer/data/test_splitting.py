"""Splits against those of scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from advisor.errors import DataError
from trainer.data import loading
from trainer.data.splitting import SPLIT_SEED, stratified


@given(data=st.data())
def test_a_split_is_the_one_that_scikit_learn_draws(data):
    counts = data.draw(st.lists(st.integers(2, 40), min_size=2, max_size=9))
    labels = np.repeat(np.arange(len(counts)) * 3, counts)
    np.random.default_rng(data.draw(st.integers(0, 9))).shuffle(labels)
    rest = data.draw(st.integers(len(counts), len(labels) - len(counts)))
    expected = train_test_split(
        np.arange(len(labels)), test_size=rest, stratify=labels, random_state=SPLIT_SEED
    )
    assert [part.tolist() for part in stratified(labels, rest)] == [sorted(part) for part in expected]


@pytest.mark.parametrize(
    ("labels", "rest", "words"),
    [
        ([0, 0, 1, 1], 0, "both parts need images"),
        ([0, 0, 1, 1], 4, "both parts need images"),
        ([0, 0, 0, 1], 2, "a class has a single image"),
        ([0, 0, 1, 1], 1, "each part needs an image for each of the 2 classes"),
        ([0, 0, 1, 1], 3, "each part needs an image for each of the 2 classes"),
    ],
)
def test_too_few_images_are_refused(labels, rest, words):
    with pytest.raises(DataError, match=f"cannot hold back {rest} of 4 images for validation: {words}"):
        stratified(np.array(labels), rest)


@pytest.mark.parametrize("file", [loading.DIGITS_FILE, "datasets/data/elsewhere.csv.gz"])
def test_digits_are_those_that_scikit_learn_loads_wherever_its_file_lies(monkeypatch, file):
    monkeypatch.setattr(loading, "DIGITS_FILE", file)
    pixels, labels = loading._digits_of_sklearn()
    expected = load_digits()
    assert np.array_equal(pixels, expected.data)
    assert np.array_equal(labels, expected.target)
    assert (pixels.dtype, labels.dtype) == (np.float64, np.int64)
