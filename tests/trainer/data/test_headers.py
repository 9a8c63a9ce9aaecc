"""What headers say, and their cache."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from drawn_images import draw, draw_folder
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from trainer.data import headers
from trainer.data.headers import Header, read_headers


def header_of(path):
    return read_headers(path.parent, [path], None)[0]


def picture(mode, tmp_path, name="image.png", size=(9, 8)):
    path = tmp_path / name
    Image.new("RGB", size, (200, 60, 30)).convert(mode).save(path)
    return path


@pytest.mark.parametrize(
    ("mode", "coloured", "transparent"),
    [("RGB", True, False), ("RGBA", True, True), ("P", True, False)]
    + [("L", False, False), ("LA", False, True), ("1", False, False)],
)
def test_a_header_says_size_colour_and_transparency(tmp_path, mode, coloured, transparent):
    assert header_of(picture(mode, tmp_path)) == Header(8, 9, coloured, transparent)


def test_a_palette_of_greys_has_no_colours(tmp_path):
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8), "P")
    image.putpalette([level for i in range(256) for level in (255 - i,) * 3])
    for name in ("grey.png", "grey.bmp", "grey.gif", "grey.tif"):
        image.save(tmp_path / name)
        assert not header_of(tmp_path / name).coloured, name
    image.putpalette([255, 0, 0, *[level for i in range(255) for level in (i,) * 3]])
    for name in ("red.png", "red.bmp", "red.gif", "red.tif"):
        image.save(tmp_path / name)
        assert header_of(tmp_path / name).coloured, name


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize(("orientation", "size"), [(1, (8, 12)), (3, (8, 12)), (6, (12, 8)), (8, (12, 8))])
def test_the_size_is_that_of_the_picture_that_viewers_show(tmp_path, suffix, orientation, size):
    path = draw(tmp_path / f"photo{suffix}", np.zeros((8, 12, 3), np.uint8), orientation=orientation)
    found = header_of(path)
    assert (found.height, found.width) == size


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "it is empty"), (b"<html>404</html>", "it is not an image"), (None, "No such file")],
)
def test_a_file_that_is_no_image_has_a_fault(tmp_path, content, reason):
    path = tmp_path / "image.jpg"
    if content is not None:
        path.write_bytes(content)
    assert reason in header_of(path).fault


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_file_that_is_cut_off_is_found_though_its_header_is_whole(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    path = draw(tmp_path / f"image{suffix}", noise)
    assert not header_of(path).fault
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert header_of(path).fault


def test_whole_files_are_not_decoded(tmp_path, monkeypatch):
    folder = draw_folder(tmp_path / "data", suffix=".jpg")
    monkeypatch.setattr(JpegImageFile, "load", None)
    assert not any(header.fault for header in read_headers(folder, sorted(folder.rglob("*.jpg")), None))


def test_a_folder_of_photographs_with_films_behind_them_is_not_decoded_as_a_whole(tmp_path, monkeypatch):
    folder = draw_folder(tmp_path / "data", suffix=".jpg")
    paths = sorted(folder.rglob("*.jpg"))
    for path in paths:
        path.write_bytes(path.read_bytes() + b"a short film")
    decoded, load = [], JpegImageFile.load
    monkeypatch.setattr(headers, "MOST_DECODED", 3)
    monkeypatch.setattr(JpegImageFile, "load", lambda image: decoded.append(image.size) or load(image))
    assert not any(header.fault for header in read_headers(folder, paths, None))
    assert len(decoded) == 3


def test_bytes_behind_the_end_of_an_image_are_no_damage(tmp_path):
    path = draw(tmp_path / "motion.jpg", np.zeros((8, 8, 3), np.uint8))
    path.write_bytes(path.read_bytes() + b"a short film")
    assert not header_of(path).fault


def test_what_is_known_of_a_file_is_not_read_again_until_it_changes(tmp_path, monkeypatch):
    folder, cache = draw_folder(tmp_path / "data", train=2, test=1), tmp_path / "home" / "cache"
    paths = sorted(folder.rglob("*.png"))
    first = read_headers(folder, paths, cache)
    read = []
    original = headers._header
    monkeypatch.setattr(headers, "_header", lambda path: read.append(path) or original(path))
    assert read_headers(folder, paths, cache) == first
    assert read == []
    draw(paths[1], np.zeros((9, 10), np.uint8))
    os.utime(paths[2], (1, 1))
    again = read_headers(folder, paths, cache)
    assert sorted(read) == paths[1:3]
    assert again[1] == Header(9, 10)
    assert [again[0], *again[2:]] == [first[0], *first[2:]]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"reader": 3}', "null"])
def test_a_damaged_cache_counts_as_none(tmp_path, content):
    folder, cache = draw_folder(tmp_path / "data", train=1, test=1), tmp_path / "cache"
    paths = sorted(folder.rglob("*.png"))
    first = read_headers(folder, paths, cache)
    (file,) = cache.iterdir()
    file.write_text(content)
    assert read_headers(folder, paths, cache) == first


def test_a_cached_value_of_another_type_is_not_believed(tmp_path):
    folder, cache = draw_folder(tmp_path / "data", train=1, test=1), tmp_path / "cache"
    paths = sorted(folder.rglob("*.png"))
    first = read_headers(folder, paths, cache)
    (file,) = cache.iterdir()
    plain = json.loads(file.read_text())
    for row in plain["files"].values():
        row[2] = "8"
    file.write_text(json.dumps(plain))
    assert read_headers(folder, paths, cache) == first


def test_where_no_cache_can_be_written_the_answers_are_the_same(tmp_path):
    folder = draw_folder(tmp_path / "data", train=1, test=1)
    (tmp_path / "file").write_text("not a folder")
    paths = sorted(folder.rglob("*.png"))
    assert read_headers(folder, paths, tmp_path / "file" / "cache") == read_headers(folder, paths, None)
