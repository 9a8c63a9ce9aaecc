"""Order, crops and flips of batches against plain loops over single images."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from advisor.plans.dataset import Augmentation
from trainer.data.augmentation import drawn, shifted
from trainer.data.batches import epoch_order, normalised, without_waiting
from trainer.seeds import derived_seed


def augmented(images, augmentation, seed):
    return shifted(*drawn(images, augmentation, seed))


def numbered(count, channels=2, height=8, width=8):
    """Images in which no two pixels of one image are equal and none is zero."""
    pixels = channels * height * width
    assert pixels < 256
    generator = torch.Generator().manual_seed(count)
    rows = [torch.randperm(255, generator=generator)[:pixels] + 1 for _ in range(count)]
    return torch.stack(rows).reshape(count, channels, height, width).to(torch.uint8)


def moved(image, down, right):
    """Move an image row by row; zeros move in."""
    _, height, width = image.shape
    moved = torch.zeros_like(image)
    columns = [j for j in range(width) if 0 <= j + right < width]
    for i in range(height):
        if 0 <= i + down < height:
            moved[:, i, columns] = image[:, i + down, [j + right for j in columns]]
    return moved


def possible(image, pad, *, flips):
    """Every outcome that the augmentation of one image may have, by its shift and flip."""
    outcomes = {}
    for down in range(-pad, pad + 1):
        for right in range(-pad, pad + 1):
            outcomes[down, right, False] = moved(image, down, right)
            if flips:
                outcomes[down, right, True] = moved(image, down, right).flip(2)
    return outcomes


def found(image, outcomes):
    return [key for key, outcome in outcomes.items() if torch.equal(outcome, image)]


# Order.


@given(st.integers(1, 500), st.integers(0, 2**62), st.integers(0, 300))
def test_the_order_of_an_epoch_visits_every_image_once(images, seed, epoch):
    assert sorted(epoch_order(images, seed, epoch).tolist()) == list(range(images))


def test_the_order_differs_between_epochs_and_between_seeds():
    orders = {tuple(epoch_order(50, seed, epoch).tolist()) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_the_order_depends_on_nothing_but_seed_and_epoch():
    first = epoch_order(50, 3, 2)
    torch.manual_seed(99)
    torch.rand(7)
    before = torch.get_rng_state()
    assert torch.equal(first, epoch_order(50, 3, 2))
    assert torch.equal(before, torch.get_rng_state())


def test_derived_seeds_tell_their_parts_apart_and_fit_into_63_bits():
    seeds = [derived_seed(1, "a", 2), derived_seed(1, "a", 3), derived_seed("1a", 2), derived_seed(2, "a", 2)]
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)
    # The seeds of published runs stay what they are: SHA-256 of "7/order/0", its first 63 bits.
    assert derived_seed(7, "order", 0) == 0x1B4B9CB806365A7F


# Crops and flips.


@pytest.mark.parametrize(("side", "pad"), [(8, 1), (9, 1)])
def test_every_cropped_image_is_its_original_shifted_by_up_to_an_eighth_of_the_height(side, pad):
    images = numbered(60, 2 if side == 8 else 1, side, side)
    cropped = augmented(images, Augmentation.CROP, seed=4)
    assert cropped.dtype == torch.uint8
    shifts = set()
    for image, result in zip(images, cropped, strict=True):
        (key,) = found(result, possible(image, pad, flips=False))
        shifts.add(key)
    # All nine shifts occur among 60 images (the chance that one is missing is below 1 %).
    assert len(shifts) == 9


@pytest.mark.slow
def test_images_of_16_rows_shift_by_up_to_2_pixels():
    images = numbered(150, 1, 16, 15)
    keys = [
        found(result, possible(image, 2, flips=False))[0]
        for image, result in zip(images, augmented(images, Augmentation.CROP, 1), strict=True)
    ]
    assert {key[0] for key in keys} == {key[1] for key in keys} == {-2, -1, 0, 1, 2}


def test_half_of_the_images_are_flipped_after_the_crop():
    images = numbered(200)
    results = augmented(images, Augmentation.CROP_FLIP, 11)
    keys = [
        found(result, possible(image, 1, flips=True))[0]
        for image, result in zip(images, results, strict=True)
    ]
    assert 70 <= sum(flipped for *_, flipped in keys) <= 130


def test_crops_without_flips_have_the_shifts_of_crops_with_flips():
    images = numbered(40)
    plain = augmented(images, Augmentation.CROP, 5)
    for cropped, result in zip(plain, augmented(images, Augmentation.CROP_FLIP, 5), strict=True):
        assert torch.equal(result, cropped) or torch.equal(result, cropped.flip(2))


@pytest.mark.parametrize("augmentation", list(Augmentation))
def test_augmentation_leaves_the_stored_images_and_the_global_random_state_untouched(augmentation):
    images = numbered(30)
    before, state = images.clone(), torch.get_rng_state()
    first = augmented(images, augmentation, 1)
    normalised(first, torch.tensor([0.5, 0.4]), torch.tensor([0.2, 0.3]), "channels_last").mul_(0)
    assert torch.equal(images, before)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("augmentation", [Augmentation.CROP, Augmentation.CROP_FLIP])
def test_augmentation_depends_on_its_seed_alone(augmentation):
    images = numbered(30)
    first = augmented(images, augmentation, 1)
    assert torch.equal(first, augmented(images, augmentation, 1))
    assert not torch.equal(first, augmented(images, augmentation, 2))


def test_no_augmentation_gives_the_images_back():
    images = numbered(5)
    assert torch.equal(augmented(images, Augmentation.NONE, 1), images)


def test_draws_reach_fake_tensors_on_a_gpu_without_being_pinned():
    # The profiler counts the memory of a step on fake tensors, which torch cannot pin.
    with FakeTensorMode():
        draws = without_waiting(torch.zeros(4, 3), torch.device("cuda"))
    assert (draws.device.type, draws.shape) == ("cuda", (4, 3))


# Normalisation.


def test_pixels_are_scaled_to_1_and_normalised_channel_by_channel():
    images = torch.tensor([[[[0, 255]], [[51, 102]]]], dtype=torch.uint8)  # (1, 2, 1, 2)
    result = normalised(images, torch.tensor([0.5, 0.2]), torch.tensor([0.25, 0.1]), "contiguous")
    assert result.dtype == torch.float32
    assert result.flatten().tolist() == pytest.approx([-2, 2, 0, 2], abs=1e-6)


def test_the_memory_format_changes_the_layout_and_no_value():
    images = numbered(4)
    mean, deviation = torch.tensor([0.5, 0.4]), torch.tensor([0.2, 0.3])
    rows, pixels = (normalised(images, mean, deviation, f) for f in ("contiguous", "channels_last"))
    assert torch.equal(rows, pixels)
    assert rows.is_contiguous()
    assert pixels.is_contiguous(memory_format=torch.channels_last)
