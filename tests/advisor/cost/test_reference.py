"""The reference stays what it was up to 64×64 pixels, and shrinks beyond so that it can be measured."""

import pytest

from advisor.cost.memory.peak import training_bytes
from advisor.cost.reference import LARGEST_BYTES, REFERENCES, references
from advisor.networks.layers import Task
from advisor.plans.dataset import DATASETS


def square(side, classes=2):
    return Task(channels=3, height=side, width=side, classes=classes)


@pytest.mark.parametrize("facts", DATASETS.values(), ids=DATASETS)
def test_every_known_data_set_has_the_reference_it_always_had(facts):
    assert (references(facts.task)[0].network, references(facts.task)[0].batch) == ("resnet-20-16", 32)


@pytest.mark.parametrize("side", [8, 28, 32, 48, 64])
def test_so_have_folders_of_images_up_to_64_pixels(side):
    assert references(square(side, 1000)) == REFERENCES


@pytest.mark.parametrize("side", [96, 128, 224, 256, 512, 1500])
def test_larger_images_have_a_smaller_reference_within_the_memory(side):
    first, *smaller = references(square(side))
    bytes_of = [
        training_bytes(r.network, square(side), r.batch, "float32", "channels_last") for r in REFERENCES
    ]
    size = dict(zip(REFERENCES, bytes_of, strict=True))
    assert first != REFERENCES[0]
    assert size[first] <= LARGEST_BYTES or not smaller
    # The next larger one would not fit.
    assert all(size[r] > LARGEST_BYTES for r in REFERENCES[: REFERENCES.index(first)])


def test_references_fall_in_size():
    sizes = [training_bytes(r.network, square(224), r.batch, "float32", "channels_last") for r in REFERENCES]
    assert sizes == sorted(sizes, reverse=True)
