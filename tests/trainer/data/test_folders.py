"""A look at a whole folder, and its images as training and prediction see them."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from drawn_images import draw, draw_folder, png, rgb16
from PIL import Image

from advisor.errors import DataError
from advisor.networks.layers import Task
from advisor.plans.dataset import DATASETS, PREPARED, Preparation
from trainer.data import images as images_module
from trainer.data.folders import Looking
from trainer.data.images import read_fitted
from trainer.data.loading import find_facts, load_data, load_new_data

BEFORE = Preparation()


def look(folder, said=None, **preparation):
    say = (lambda line: None) if said is None else said.append
    return find_facts(f"folder:{folder}", Looking(preparation=replace(PREPARED, **preparation), say=say))


def loaded(folder, **preparation):
    return load_data(look(folder, **preparation), folder)


def refusal(folder, **preparation):
    """The one line of the refusal."""
    with pytest.raises(DataError) as error:
        loaded(folder, **preparation)
    assert "\n" not in str(error.value)
    return str(error.value)


# Damage and sizes.


def test_all_damaged_files_and_all_sizes_are_in_one_error(tmp_path):
    folder = draw_folder(tmp_path / "data", suffix=".jpg")
    (folder / "train/a/000.jpg").write_bytes(b"")
    (folder / "train/b/001.jpg").write_text("<html>404</html>")
    (folder / "test/b/000.jpg").write_bytes((folder / "test/b/000.jpg").read_bytes()[:-40])
    draw(folder / "test/a/001.jpg", np.zeros((9, 12, 3), np.uint8))
    line = refusal(folder)
    for word in ("3 images", "a/000.jpg: it is empty", "b/001.jpg: it is not an image", "b/000.jpg", "9x12"):
        assert word in line
    assert "--skip-damaged" in line
    assert "--resize 8" in line


def test_the_first_few_of_many_files_are_named_and_the_others_are_counted(tmp_path):
    folder = draw_folder(tmp_path / "data", train=12)
    for path in sorted((folder / "train" / "a").iterdir())[:7]:
        path.write_bytes(b"")
    line = refusal(folder)
    assert "cannot read 7 images" in line
    assert line.count("it is empty") == 4
    assert "and 3 others" in line


def test_damaged_files_are_left_out_where_that_is_asked_for(tmp_path):
    folder = draw_folder(tmp_path / "data", train=10)
    (folder / "train/a/000.png").write_bytes(b"")
    (folder / "test/b/001.png").write_text("<html>404</html>")
    said = []
    facts = look(folder, said, skip_damaged=True)
    assert (facts.train_images + facts.validation_images, facts.test_images) == (19, 3)
    assert "2 damaged files left out: train/a/000.png, test/b/001.png" in said[0]
    data = load_data(facts, folder)
    assert (len(data.train) + len(data.validation), data.test.labels.tolist()) == (19, [0, 0, 1])


def test_damage_that_only_pixels_show_is_left_out_of_a_new_plan_and_refused_in_an_old_one(tmp_path):
    folder = draw_folder(tmp_path / "data", train=10)
    path = folder / "train/a/000.png"
    content = bytearray(path.read_bytes())
    pixels = content.index(b"IDAT") + 4
    content[pixels : pixels + 40] = bytes(40)
    path.write_bytes(content)
    assert "a/000.png" in refusal(folder)
    facts = look(folder, skip_damaged=True)
    assert facts.train_images + facts.validation_images == 20
    data = load_new_data(facts, folder)
    assert (
        data.facts.train_images + data.facts.validation_images == len(data.train) + len(data.validation) == 19
    )
    assert len(load_data(data.facts, folder).train) == len(data.train)
    with pytest.raises(DataError, match="19 training"):
        load_data(facts, folder)


def test_images_of_any_size_are_scaled_and_cropped_as_for_prediction(tmp_path):
    folder = draw_folder(tmp_path / "data", train=4, test=1)
    draw(folder / "test/a/000.png", np.arange(24 * 16 * 3).reshape(24, 16, 3).astype(np.uint8))
    draw(folder / "train/a/000.png", np.zeros((7, 30, 3), np.uint8))
    data = loaded(folder, resize=(10, 8))
    assert data.facts.task == Task(channels=3, height=10, width=8, classes=2)
    assert data.train.images.shape[1:] == (3, 10, 8)
    predicted = read_fitted(folder / "test/a/000.png", data.facts.task)
    assert np.array_equal(data.test.images[0], predicted)


def test_a_class_with_too_few_whole_images_says_how_many_are_needed(tmp_path):
    folder = draw_folder(tmp_path / "data", train=3)
    for i in (0, 1):
        (folder / f"train/b/{i:03}.png").write_bytes(b"")
    line = refusal(folder, skip_damaged=True)
    assert "train/b has 1 image and needs at least 2" in line


# One conversion.

ALIKE = [(2, "FLIP_LEFT_RIGHT"), (3, "ROTATE_180"), (6, "ROTATE_90"), (8, "ROTATE_270"), (5, "TRANSPOSE")]


@pytest.mark.parametrize(("orientation", "turn"), ALIKE)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_picture_that_viewers_show_alike_is_the_same_however_it_is_stored(
    tmp_path, orientation, turn, suffix
):
    upright = np.arange(8 * 12 * 3).reshape(8, 12, 3).astype(np.uint8)
    stored = np.asarray(Image.fromarray(upright).transpose(Image.Transpose[turn]))
    folder = draw_folder(tmp_path / "data", train=2, test=1, size=(8, 12))
    (folder / "test/a/000.png").unlink()
    path = draw(folder / f"test/a/000{suffix}", stored, orientation=orientation)
    data = loaded(folder)
    assert np.array_equal(data.test.images[0].numpy(), upright.transpose(2, 0, 1))
    assert np.array_equal(read_fitted(path, data.facts.task), upright.transpose(2, 0, 1))


def test_portraits_of_a_phone_have_one_size(tmp_path):
    folder = draw_folder(tmp_path / "data", size=(12, 8))
    draw(folder / "train/a/001.jpg", np.zeros((8, 12, 3), np.uint8), orientation=6)
    assert look(folder).task.text == "3x12x8"


def test_an_orientation_that_cannot_be_read_is_none(tmp_path):
    folder = draw_folder(tmp_path / "data", suffix=".jpg")
    path = folder / "train/a/000.jpg"
    image = Image.open(path)
    image.save(path, exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff")
    assert look(folder).task.text == "3x8x8"
    loaded(folder)


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255)])
def test_colours_under_full_transparency_do_not_count(tmp_path, hidden):
    cut = np.zeros((8, 8, 4), np.uint8)
    cut[..., :3] = hidden
    cut[2:6, 2:6] = (200, 60, 30, 255)
    expected = np.full((8, 8, 3), 255, np.uint8)
    expected[2:6, 2:6] = (200, 60, 30)
    folder = draw_folder(tmp_path / "data", train=2, test=1)
    path = draw(folder / "test/a/000.png", cut)
    said = []
    facts = look(folder, said)
    assert any("1 of 6 images have transparency, which is put on white" in line for line in said)
    assert np.array_equal(load_data(facts, folder).test.images[0].numpy(), expected.transpose(2, 0, 1))
    assert np.array_equal(read_fitted(path, facts.task), expected.transpose(2, 0, 1))


def test_half_transparency_is_half_white(tmp_path):
    path = draw(tmp_path / "half.png", np.full((8, 8, 4), (0, 0, 0, 128), np.uint8))
    assert (
        np.abs(read_fitted(path, Task(channels=3, height=8, width=8, classes=2)).astype(int) - 127).max() <= 1
    )


MODES = ("L", "RGB", "RGBA", "P", "CMYK", "LA", "1", "I;16")


@pytest.mark.parametrize("first", MODES)
def test_one_coloured_image_makes_the_task_coloured_whichever_comes_first(tmp_path, first):
    folder = tmp_path / "data"
    for split in ("train", "test"):
        for name in "ab":
            for i, mode in enumerate((first, *(m for m in MODES if m != first))):
                path = folder / split / name / f"{i}{'.jpg' if mode == 'CMYK' else '.png'}"
                path.parent.mkdir(parents=True, exist_ok=True)
                grey = Image.new("RGB", (8, 8), (255, 255, 255))
                (grey.convert("L").convert("I;16") if mode == "I;16" else grey.convert(mode)).save(path)
    said = []
    facts = look(folder, said)
    assert facts.task.text == "3x8x8"
    assert any(
        "16 of 32 images have colours and 16 are grey: all are read in colour" in line for line in said
    )
    data = load_data(facts, folder)
    white = [255 if mode != "I;16" else 1 for mode in (first, *(m for m in MODES if m != first))]
    assert data.test.images[: len(MODES), :, 4, 4].numpy().tolist() == [[level] * 3 for level in white]


def test_grey_of_any_kind_stays_grey(tmp_path):
    folder = draw_folder(tmp_path / "data", train=4, test=1)
    palette = Image.new("P", (8, 8), 3)
    palette.putpalette([level for i in range(256) for level in (i, i, i)])
    for path in folder.rglob("*.png"):
        Image.new("L", (8, 8), 77).save(path)
    Image.new("1", (8, 8), 1).save(folder / "train/a/000.png")
    Image.new("LA", (8, 8), (9, 0)).save(folder / "train/a/001.png")
    palette.save(folder / "test/a/000.png")
    draw(folder / "test/b/000.png", np.full((8, 8), 77 * 257, np.uint16))
    data = loaded(folder)
    assert data.facts.task.channels == 1
    assert data.test.images[:, 0, 0, 0].tolist() == [3, 77]
    assert sorted({*data.train.images.flatten().tolist(), *data.validation.images.flatten().tolist()}) == [
        77,
        255,
    ]


def test_sixteen_bits_a_channel_become_the_eight_that_they_stand_for(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint16)
    path = tmp_path / "deep.png"
    path.write_bytes(rgb16(levels * 257))
    task = Task(channels=3, height=8, width=8, classes=2)
    assert np.array_equal(read_fitted(path, task), levels.transpose(2, 0, 1))


# Runs that were stored before preparations were.


def test_images_of_an_older_run_are_prepared_as_it_was_trained(tmp_path):
    stored = np.arange(8 * 8 * 4).reshape(8, 8, 4).astype(np.uint8)
    path = draw(tmp_path / "old.png", stored, orientation=3)
    task = Task(channels=3, height=8, width=8, classes=2)
    assert np.array_equal(read_fitted(path, task, BEFORE), stored[..., :3].transpose(2, 0, 1))
    assert not np.array_equal(read_fitted(path, task), read_fitted(path, task, BEFORE))
    assert DATASETS["cifar10"].preparation == BEFORE
    assert DATASETS["cifar10"].preparation_of_files == PREPARED


# Splits.


@pytest.mark.parametrize("few", [2, 3, 4])
def test_every_class_has_an_image_to_train_on_and_one_to_validate_on(tmp_path, few):
    folder = draw_folder(tmp_path / "data", ("a", "b", "c"), train=60, test=1)
    for name in "bc":
        for path in sorted((folder / "train" / name).iterdir())[few:]:
            path.unlink()
    said = []
    facts = look(folder, said)
    data = load_data(facts, folder)
    assert min(Counter(data.validation.labels.tolist()).values()) >= 1
    assert sorted(Counter(data.validation.labels.tolist())) == sorted(Counter(data.train.labels.tolist()))
    assert (len(data.train), len(data.validation)) == (facts.train_images, facts.validation_images)
    both = Counter([*data.train.labels.tolist(), *data.validation.labels.tolist()])
    assert both == {0: 60, 1: few, 2: few}
    imbalanced = f"b has {few} images to train on and a has 60"
    assert [imbalanced in line for line in said] == [True]


def test_the_split_of_a_folder_without_rare_classes_is_the_stratified_one(tmp_path):
    from sklearn.model_selection import train_test_split

    folder = draw_folder(tmp_path / "data", train=19, test=1)
    data = loaded(folder)
    labels = np.repeat([0, 1], 19)
    _, validation = train_test_split(np.arange(38), test_size=4, stratify=labels, random_state=0)
    paths = sorted((folder / "train").rglob("*.png"))
    expected = [np.asarray(Image.open(paths[i])).transpose(2, 0, 1) for i in np.sort(validation)]
    assert np.array_equal(data.validation.images.numpy(), np.array(expected))
    before = load_data(replace(data.facts, preparation=BEFORE), folder)
    assert np.array_equal(data.validation.images, before.validation.images)


# Sizes that would exhaust the memory.


def test_an_image_above_the_limit_is_refused_in_one_line_of_ours(tmp_path):
    path = tmp_path / "huge.png"
    path.write_bytes(png(14_000, 14_000, 8, 0, b""))
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        with pytest.raises(DataError, match="196,000,000 pixels and may have 178,956,970: scale it down"):
            read_fitted(path, Task(channels=1, height=8, width=8, classes=2))
    assert raised == []


def test_a_large_image_below_the_limit_is_read_without_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    path = draw(tmp_path / "large.png", np.full((8, 8), 7, np.uint8))
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        assert read_fitted(path, Task(channels=1, height=8, width=8, classes=2)).max() == 7
    assert raised == []
    monkeypatch.setattr(images_module, "MOST_PIXELS", 60)
    with pytest.raises(DataError, match="64 pixels and may have 60"):
        read_fitted(path, Task(channels=1, height=8, width=8, classes=2))


@pytest.mark.parametrize("name", ["pipe", "/dev/zero"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, name):
    path = tmp_path / name
    if name == "pipe":
        os.mkfifo(path)
    with pytest.raises(DataError, match="only regular files are read"):
        read_fitted(path, Task(channels=1, height=8, width=8, classes=2))
