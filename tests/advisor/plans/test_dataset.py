"""Data sets as facts."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import UsageError
from advisor.networks.layers import Task
from advisor.plans.dataset import DATASETS, PREPARED, dataset_named
from advisor.plans.identity import ClassIdentity, DatasetIdentity

ARCHIVES = {
    # Training and test images as published; the digits have no split of their own.
    "digits": (1797, 0, "1x8x8", 10),
    "fashion-mnist": (60_000, 10_000, "1x28x28", 10),
    "cifar10": (50_000, 10_000, "3x32x32", 10),
    "cifar100": (50_000, 10_000, "3x32x32", 100),
    "svhn": (73_257, 26_032, "3x32x32", 10),
    # Their validation images stand for the test images, whose labels are not published.
    "tiny-imagenet": (100_000, 10_000, "3x64x64", 200),
    "imagenet32": (1_281_167, 50_000, "3x32x32", 1000),
}


@pytest.mark.parametrize("name", sorted(ARCHIVES))
def test_the_splits_add_up_to_the_published_archive(name):
    train, test, shape, classes = ARCHIVES[name]
    facts = dataset_named(name)
    assert facts.train_images + facts.validation_images + facts.test_images == train + test
    if test:
        assert facts.test_images == test
    assert (facts.name, facts.task.text, facts.task.classes) == (name, shape, classes)


def test_every_data_set_is_checked_against_its_archive():
    assert DATASETS.keys() == ARCHIVES.keys()


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion-mnist", "svhn", "tiny-imagenet"])
def test_a_tenth_of_the_training_images_validates(name):
    facts = dataset_named(name)
    share = facts.validation_images / (facts.train_images + facts.validation_images)
    assert share == pytest.approx(0.1, abs=1e-4)


@given(st.sampled_from(sorted(DATASETS)), st.integers(2, 100_000))
def test_an_epoch_is_as_many_whole_batches_as_fit_and_one_at_least(name, batch):
    facts = DATASETS[name]
    steps = facts.steps_per_epoch(batch)
    assert steps >= 1
    assert steps * batch <= facts.train_images or steps == 1
    assert (steps + 1) * batch > facts.train_images


def test_an_epoch_of_cifar_10_has_351_steps_of_128():
    assert dataset_named("cifar10").steps_per_epoch(128) == 351


def test_evidence_of_the_same_files_in_two_sizes_is_kept_apart_wherever_they_lie():
    identity = DatasetIdentity.of([ClassIdentity(name, 9, 2, name, name) for name in "ab"])

    def key(side, place="folder:/here", **preparation):
        task = Task(channels=3, height=side, width=side, classes=2)
        prepared = replace(PREPARED, resize=(side, side), **preparation)
        facts = replace(dataset_named("digits"), name=place, task=task, identity=identity)
        return replace(facts, preparation=prepared).key

    assert key(32) == key(32, "folder:/there") != key(64)
    assert key(32) == key(32, skip_damaged=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("train_images", 0),
        ("validation_images", -1),
        ("test_images", -1),
        ("batch", 0),
        ("test_images", 2**60),
    ],
)
def test_no_data_set_has_a_number_of_images_that_cannot_be(field, value):
    with pytest.raises(UsageError, match=f"^{field} of digits must be between .*, got {value}$"):
        replace(DATASETS["digits"], **{field: value})
