"""Every operation on a batch against torchvision, which takes one image, and how operations are drawn."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torchvision.transforms import InterpolationMode, v2

from advisor.networks.layers import Task
from advisor.plans.dataset import Augmentation
from advisor.plans.execution import Execution
from profiler.simulation import simulate_training_bytes
from trainer.data.augmentation import drawn, shifted
from trainer.data.randaugment import (
    GEOMETRIC,
    LARGEST_MAGNITUDE,
    MAGNITUDE,
    OPERATIONS,
    PIXELWISE,
    randaugmented,
    transformed,
)
from trainer.training.workload import StepWorkload

REFERENCE = v2.RandAugment(
    num_ops=2,
    magnitude=MAGNITUDE,
    num_magnitude_bins=LARGEST_MAGNITUDE + 1,
    interpolation=InterpolationMode.NEAREST,
)
SHAPES = [(3, 32, 32), (1, 28, 28), (1, 8, 8), (3, 64, 64), (3, 17, 30)]


def augmented(images, augmentation, seed):
    return shifted(*drawn(images, augmentation, seed))


def pictures(count, channels=3, height=32, width=32, seed=0):
    """Noise, gradients, single values, few values and narrow ranges, which the operations tell apart."""
    draw = torch.Generator().manual_seed(seed)
    shape = (count, channels, height, width)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=draw)
    images[1::5] = images[1::5] // 4 + 90
    images[2::5] = images[2::5, :, :1, :1]
    images[3::5] = images[3::5] // 64 * 64
    images[4::5] = ((torch.arange(width) * 255) // (width - 1)).to(torch.uint8)
    return images


def by_torchvision(image, name, sign):
    """Apply an operation to one image (c, h, w), as RandAugment does once it has drawn it."""
    of_size, signed = REFERENCE._AUGMENTATION_SPACE[name]
    magnitudes = of_size(REFERENCE.num_magnitude_bins, *image.shape[1:])
    magnitude = 0.0 if magnitudes is None else float(magnitudes[MAGNITUDE]) * (sign if signed else 1)
    return REFERENCE._apply_image_or_video_transform(
        image, name, magnitude, interpolation=REFERENCE.interpolation, fill={}
    )


def by_batch(images, name, signs):
    return transformed(images, np.full(len(images), OPERATIONS.index(name)), np.asarray(signs))


def both(name, shape):
    """The same operation on 40 images, with either sign, both ways."""
    images, signs = pictures(40, *shape), [1, -1, -1] * 13 + [1]
    expected = [by_torchvision(i, name, s) for i, s in zip(images, signs, strict=True)]
    return by_batch(images, name, signs), torch.stack(expected)


def test_the_operations_are_those_of_torchvision():
    assert set(OPERATIONS) == set(REFERENCE._AUGMENTATION_SPACE)
    assert len(OPERATIONS) == 14


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PIXELWISE)
def test_colour_operations_equal_those_of_torchvision_to_the_bit(name, shape):
    ours, expected = both(name, shape)
    assert ours.dtype == torch.uint8
    assert torch.equal(ours, expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", GEOMETRIC)
def test_geometric_operations_pick_the_pixels_that_torchvision_picks(name, shape):
    ours, expected = both(name, shape)
    assert ours.dtype == torch.uint8
    # Both round a place that may lie between two pixels, by sums of different order.
    assert (ours != expected).float().mean() < 0.001


def test_translation_to_the_right_lets_zeros_in_from_the_left():
    # 150/331 of 32 pixels at 14 of 30 are 6.77, of which torchvision takes the whole pixels.
    images = pictures(2)
    right, left = by_batch(images, "TranslateX", [1, -1])
    assert torch.equal(right[:, :, 6:], images[0, :, :, :-6])
    assert torch.equal(left[:, :, :-6], images[1, :, :, 6:])
    assert not right[:, :, :6].any()
    assert not left[:, :, -6:].any()


def test_a_grey_image_has_no_colour_to_change():
    images = pictures(6, channels=1)
    assert torch.equal(by_batch(images, "Color", [1, -1] * 3), images)


def test_a_batch_of_mixed_operations_keeps_the_order_of_its_images():
    images = pictures(70)
    kinds = np.random.default_rng(3).integers(len(OPERATIONS), size=70)
    signs = np.resize([1, -1], 70)
    for i, result in enumerate(transformed(images, kinds, signs)):
        alone = transformed(images[i : i + 1], kinds[i : i + 1], signs[i : i + 1])[0]
        assert torch.equal(result, alone)


def test_two_rounds_are_drawn_from_the_seed_alone():
    images = pictures(64)
    torch.manual_seed(1)
    np.random.seed(1)
    first = randaugmented(images, 5)
    torch.rand(3)
    assert torch.equal(first, randaugmented(images, 5))
    assert not torch.equal(first, randaugmented(images, 6))


def test_neighbours_do_not_change_an_image():
    images = pictures(64)
    others = pictures(64, seed=1)
    others[10] = images[10]
    assert torch.equal(randaugmented(images, 5)[10], randaugmented(others, 5)[10])


def test_images_of_one_batch_get_operations_of_their_own():
    alike = pictures(1).expand(64, -1, -1, -1)
    outcomes = {result.numpy().tobytes() for result in randaugmented(alike, 5)}
    assert len(outcomes) > 32


def test_every_pair_of_operations_is_as_likely_as_any_other(monkeypatch):
    seen = []

    def listened(images, kinds, signs):
        seen.append((kinds, signs))
        return images

    monkeypatch.setattr("trainer.data.randaugment.transformed", listened)
    randaugmented(torch.zeros(14_000, 3, 1, 1, dtype=torch.uint8), 0)
    (first, up), (second, _) = seen
    counts = Counter(zip(first.tolist(), second.tolist(), strict=True))
    pairs = [counts[i, j] for i in range(14) for j in range(14)]
    assert chisquare(pairs).pvalue > 0.01
    assert chisquare(np.bincount(2 * first + (up > 0), minlength=28)).pvalue > 0.01


@pytest.mark.parametrize("shape", [*SHAPES, (2, 8, 8), (3, 2, 2), (1, 1, 1)])
def test_any_shape_of_images_keeps_its_shape_and_type(shape):
    images = pictures(100, *shape) if min(shape[1:]) > 1 else torch.full((100, *shape), 7, dtype=torch.uint8)
    before = images.clone()
    result = randaugmented(images, 1)
    assert (result.shape, result.dtype) == (images.shape, torch.uint8)
    assert torch.equal(images, before)


def test_randaugment_comes_after_crop_and_flip():
    images = pictures(32)
    expected = randaugmented(augmented(images, Augmentation.CROP_FLIP, 9), 9)
    assert torch.equal(augmented(images, Augmentation.RANDAUGMENT, 9), expected)


@pytest.mark.gpu
def test_a_gpu_gives_what_a_processor_gives():
    images = pictures(128)
    on_gpu = randaugmented(images.cuda(), 2).cpu()
    # Sums of another order may round a pixel to its neighbour.
    assert (on_gpu != randaugmented(images, 2)).float().mean() < 0.001


def test_a_step_with_randaugment_can_be_simulated_without_pixels():
    execution = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")
    step = StepWorkload(
        network="mlp-1-4",
        task=Task(channels=3, height=8, width=8, classes=10),
        batch=2,
        augmentation=Augmentation.RANDAUGMENT,
        execution=execution,
    )
    assert simulate_training_bytes(step) > 0
