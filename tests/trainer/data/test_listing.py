"""Which files of a folder are its images, and what is counted as passed over."""

from __future__ import annotations

import os
import shutil

import pytest
from drawn_images import draw_folder
from PIL import Image

from advisor.errors import DataError
from trainer.data.listing import list_folder


@pytest.fixture
def folder(tmp_path):
    return draw_folder(tmp_path / "flowers", train=4, test=1)


def names(listing):
    return [(path.name, label) for path, label in listing.train]


def test_a_clean_folder_is_listed_by_class_and_path_and_nothing_is_passed_over(folder):
    listing = list_folder(folder)
    assert listing.classes == ("a", "b")
    assert names(listing) == [(f"{i:03}.png", label) for label in (0, 1) for i in range(4)]
    assert (listing.passed_over, listing.passed_over_text) == ({}, "")


@pytest.mark.parametrize("service", [".ipynb_checkpoints", "@eaDir", ".thumbnails", "__MACOSX"])
@pytest.mark.parametrize("where", ["train/a", "train/a/deeper", "train", "test"])
def test_copies_in_hidden_and_service_folders_are_no_images_and_are_counted(folder, service, where):
    clean = list_folder(folder)
    hidden = folder / where / service
    hidden.mkdir(parents=True)
    for path in (folder / "train" / "a").glob("*.png"):
        shutil.copy(path, hidden / f"{path.stem}-checkpoint.png")
    listing = list_folder(folder)
    assert (listing.classes, listing.train, listing.test) == (clean.classes, clean.train, clean.test)
    assert listing.passed_over_text == f"{folder}: passed over 4 files: 4 in hidden folders"


def test_companions_of_images_are_counted_by_kind(folder):
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._000.png"):
        (folder / "train" / "a" / name).write_bytes(b"\0\0\0\1Bud1")
    (folder / "train" / "labels.csv").write_text("file,label")
    for i in range(2):
        (folder / "test" / "b" / f"{i}.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 40)
    (folder / "test" / "b" / "README").write_text("notes")
    text = list_folder(folder).passed_over_text
    assert "passed over 8 files: 4 hidden, 2 .heic, 1 outside class folders, 1 without suffix" in text


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jfif", ".JPE", ".gif", ".tiff", ".webp", ".bmp"])
def test_every_suffix_that_pillow_reads_is_an_image(folder, suffix):
    image = Image.open(folder / "train" / "a" / "000.png")
    path = folder / "train" / "a" / f"more{suffix}"
    image.save(path, format=None if suffix.lower() != ".jpe" else "JPEG")
    assert path in list_folder(folder).paths


@pytest.mark.parametrize("name", ["photo", "photo.jpg_large", "photo.jpeg.orig"])
def test_an_image_is_known_by_its_first_bytes_where_its_suffix_says_nothing(folder, name):
    Image.open(folder / "train" / "a" / "000.png").save(folder / "train" / "a" / name, format="JPEG")
    listing = list_folder(folder)
    assert folder / "train" / "a" / name in listing.paths
    assert not listing.passed_over


def test_formats_that_start_another_program_are_not_read(folder):
    (folder / "train" / "a" / "figure.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")
    assert list_folder(folder).passed_over == {".eps": 1}


def test_links_that_point_nowhere_and_linked_folders_are_counted_and_linked_images_are_read(folder, tmp_path):
    inside = folder / "train" / "b"
    (inside / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (inside / "around").symlink_to(inside)
    (inside / "linked.png").symlink_to(folder / "train" / "a" / "000.png")
    listing = list_folder(folder)
    assert inside / "linked.png" in listing.paths
    assert listing.passed_over == {"behind a link that points nowhere": 1, "behind a link to a folder": 1}


def test_a_pipe_is_passed_over_and_blocks_nothing(folder):
    os.mkfifo(folder / "train" / "a" / "pipe.png")
    os.mkfifo(folder / "train" / "pipe.png")
    listing = list_folder(folder)
    assert listing.passed_over == {"not a regular file": 1, "outside class folders": 1}


def test_a_folder_with_the_name_of_an_image_is_a_folder(folder):
    (folder / "train" / "b" / "folder.png").mkdir()
    shutil.copy(folder / "train" / "b" / "000.png", folder / "train" / "b" / "folder.png")
    listing = list_folder(folder)
    assert folder / "train" / "b" / "folder.png" / "000.png" in listing.paths
    assert len(listing.train) == 9


def test_a_class_whose_images_are_all_hidden_is_empty(folder):
    b = folder / "test" / "b"
    (b / ".hidden").mkdir()
    (b / "000.png").rename(b / ".hidden" / "000.png")
    with pytest.raises(DataError, match=r"test/b has no images"):
        list_folder(folder)
