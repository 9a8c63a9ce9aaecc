"""The sample of simple classifiers: every class in proportion, small, and never a test image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from trainer.data.loading import Split
from trainer.data.look import sample
from trainer.data.look.sample import sample_of, stratified_sample


@settings(max_examples=30)
@given(
    counts=st.lists(st.integers(1, 300), min_size=2, max_size=8),
    most=st.integers(10, 400),
    seed=st.integers(0, 5),
)
def test_every_class_is_in_the_sample_in_proportion(counts, most, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    chosen = stratified_sample(labels, most, seed)
    assert len(chosen) == len(set(chosen.tolist())) == min(most, len(labels))
    found = np.bincount(labels[chosen], minlength=len(counts))
    assert found.min() >= 1
    # Its share, rounded up or down, moved by at most one image for each other class.
    assert np.abs(found - np.array(counts) * len(chosen) / len(labels)).max() <= len(counts) + 1


def test_the_sample_depends_on_the_seed_and_on_nothing_else():
    labels = np.repeat(np.arange(3), 50)
    first, again, other = (stratified_sample(labels, 20, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_test_images_are_never_looked_at(digits):
    changed = replace(digits, test=Split(255 - digits.test.images, 9 - digits.test.labels))
    first, second = sample_of(digits, 0), sample_of(changed, 0)
    assert torch.equal(first.train, second.train)
    assert torch.equal(first.validation, second.validation)
    tested = {image.numpy().tobytes() for image in digits.test.images}
    shown = [(255 * image).round().byte().numpy().tobytes() for image in first.validation]
    assert not tested & set(shown)


def test_large_images_are_scaled_to_at_most_32_pixels_a_side_and_at_least_8(digits):
    wide = Split(torch.full((4, 1, 50, 100), 102, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
    small = sample_of(replace(digits, train=wide, validation=wide), 0)
    assert small.train.shape == (4, 1, 16, 32)
    long = Split(torch.zeros((4, 1, 8, 400), dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
    assert sample_of(replace(digits, train=long, validation=long), 0).train.shape == (4, 1, 8, 32)
    # 102 of 255 levels, and a constant image stays constant.
    assert torch.allclose(small.train, torch.tensor(0.4))


def test_few_large_images_are_floats_at_once_and_the_sample_is_the_same(digits, monkeypatch):
    pixels = torch.randint(
        256, (30, 3, 40, 50), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    data = replace(digits, train=Split(pixels, torch.arange(30) % 3))
    together = sample_of(data, 0)
    scaled: list[int] = []
    whole = functional.interpolate

    def counted(images, **options):
        scaled.append(len(images))
        return whole(images, **options)

    monkeypatch.setattr(sample, "BATCH", 7)
    monkeypatch.setattr(functional, "interpolate", counted)
    assert torch.equal(sample_of(data, 0).train, together.train)
    assert max(scaled) == 7
    assert sum(scaled) == 30
