"""Images of any size and kind, fitted to a task."""

import numpy as np
import pytest
from PIL import Image

from advisor.errors import DataError, UsageError
from advisor.networks.layers import Task
from trainer.data.images import read_fitted

GREY = Task(channels=1, height=8, width=8, classes=10)
COLOURED = Task(channels=3, height=8, width=8, classes=10)


def saved(tmp_path, array, mode=None):
    path = tmp_path / "image.png"
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path)
    return path


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def test_an_image_of_the_right_shape_comes_back_bit_for_bit(tmp_path):
    array = noise(8, 8)
    assert np.array_equal(read_fitted(saved(tmp_path, array), GREY), array[None])
    array = noise(8, 8, 3)
    assert np.array_equal(read_fitted(saved(tmp_path, array), COLOURED), array.transpose(2, 0, 1))


def test_a_wide_image_loses_its_sides_and_keeps_its_proportions(tmp_path):
    array = np.full((8, 24), 255, np.uint8)
    array[:, 8:16] = 7
    assert np.array_equal(read_fitted(saved(tmp_path, array), GREY), np.full((1, 8, 8), 7))


def test_a_larger_image_is_averaged_rather_than_sampled(tmp_path):
    # A fine chequerboard: sampling would give black or white, averaging gives grey.
    board = np.where(np.indices((64, 64)).sum(0) % 2, 255, 0).astype(np.uint8)
    fitted = read_fitted(saved(tmp_path, board), GREY)
    assert fitted.shape == (1, 8, 8)
    assert np.abs(fitted.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA"])
@pytest.mark.parametrize("task", [GREY, COLOURED])
def test_every_kind_of_image_becomes_what_the_task_has(tmp_path, mode, task):
    path = saved(tmp_path, np.full((10, 20), 255, np.uint8), mode)
    assert np.array_equal(read_fitted(path, task), np.full((task.channels, 8, 8), 255))


def test_a_smaller_image_is_enlarged(tmp_path):
    assert read_fitted(saved(tmp_path, np.full((3, 2), 9, np.uint8)), GREY).tolist() == [[[9] * 8] * 8]


def test_sixteen_bits_a_channel_are_scaled_rather_than_clipped(tmp_path):
    levels = np.array([0, 257, 40_000, 65_535], np.uint16).repeat(16).reshape(8, 8)
    fitted = read_fitted(saved(tmp_path, levels), GREY)
    # 40,000 of 65,535 is 155.64 of 255.
    assert fitted[0, ::2, 0].tolist() == [0, 1, 156, 255]


@pytest.mark.parametrize("content", [None, b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_image_is_one_line(tmp_path, content):
    path = tmp_path / "image.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="cannot read image") as error:
        read_fitted(path, GREY)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_task_that_is_neither_grey_nor_coloured_has_no_files(tmp_path):
    with pytest.raises(UsageError, match="2 channels"):
        read_fitted(tmp_path / "x.png", Task(channels=2, height=8, width=8, classes=2))
