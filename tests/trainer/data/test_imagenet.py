"""Tiny ImageNet and ImageNet32 from small files of the published layouts."""

import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from advisor.errors import DataError
from advisor.plans.dataset import DATASETS
from trainer.data import loading as data_module
from trainer.data.loading import load_data


def facts_of(name, classes, train, validation, test):
    facts = DATASETS[name]
    task = replace(facts.task, classes=classes)
    return replace(facts, task=task, train_images=train, validation_images=validation, test_images=test)


def refused(call, *words):
    with pytest.raises(DataError) as error:
        call()
    message = str(error.value)
    assert "\n" not in message
    assert [word for word in words if str(word) not in message] == [], message


# Tiny ImageNet.

WNIDS = ["n02", "n01", "n03"]
TINY = facts_of("tiny-imagenet", 3, 9, 3, 6)


def picture(path, value, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (64, 64), value if mode == "L" else (value, 0, 255)).save(path, quality=100)


@pytest.fixture
def tiny(tmp_path):
    """Three classes of four training images; the value of red tells the class. One image is grey."""
    place = tmp_path / "tiny-imagenet-200"
    place.mkdir()
    (place / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    (place / "words.txt").write_text("n00\tthing\nn01\tgoldfish, Carassius auratus\nn02\ttailed frog\n")
    for label, name in enumerate(WNIDS):
        for n in range(4):
            picture(place / "train" / name / "images" / f"{name}_{n}.JPEG", 50 * label)
        (place / "train" / name / f"{name}_boxes.txt").write_text("")
    picture(place / "train" / "n02" / "images" / "n02_0.JPEG", 9, "L")
    lines = []
    for n in range(6):
        picture(place / "val" / "images" / f"val_{n}.JPEG", 50 * (n % 3))
        lines.append(f"val_{n}.JPEG\t{WNIDS[n % 3]}\t0\t0\t63\t63")
    (place / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    return place


def test_tiny_imagenet_is_read_with_the_labels_of_its_lists(tiny, tmp_path):
    loaded = load_data(TINY, tmp_path)
    assert loaded.train.images.shape == (9, 3, 64, 64)
    assert loaded.test.labels.tolist() == [0, 1, 2] * 2
    # JPEG keeps a plain colour but for rounding.
    red = loaded.test.images[:, 0, 30, 30].int()
    assert (red - 50 * loaded.test.labels).abs().max() <= 2
    assert sorted(loaded.validation.labels.tolist()) == [0, 1, 2]
    assert loaded.classes == ("tailed frog", "goldfish", "n03")


def test_grey_images_of_tiny_imagenet_get_three_equal_channels(tiny, tmp_path):
    loaded = load_data(TINY, tmp_path)
    images = torch.cat((loaded.train.images, loaded.validation.images))
    grey = [i for i in images if torch.equal(i[0], i[1]) and torch.equal(i[1], i[2])]
    assert len(grey) == 1
    assert int(grey[0].max()) == 9


@pytest.mark.parametrize("name", ["wnids.txt", "val/val_annotations.txt"])
def test_a_missing_list_is_named_with_what_to_unzip(tiny, tmp_path, name):
    (tiny / name).unlink()
    refused(lambda: load_data(TINY, tmp_path), tiny / name, "not complete", "tiny-imagenet-200.zip")


def test_a_data_set_that_is_not_there_names_its_list(tmp_path):
    refused(lambda: load_data(DATASETS["tiny-imagenet"], tmp_path), "wnids.txt", "tiny-imagenet-200.zip")


def test_another_number_of_classes_is_refused(tiny, tmp_path):
    refused(lambda: load_data(DATASETS["tiny-imagenet"], tmp_path), "3 classes instead of 200")


def test_a_class_that_is_not_listed_is_named(tiny, tmp_path):
    (tiny / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn77\t0\t0\t1\t1\n")
    refused(lambda: load_data(TINY, tmp_path), "'n77'", "wnids.txt")


def test_a_missing_image_is_named_and_missing_training_images_are_counted(tiny, tmp_path):
    (tiny / "val" / "images" / "val_3.JPEG").unlink()
    refused(lambda: load_data(TINY, tmp_path), "val_3.JPEG", "cannot read")
    picture(tiny / "val" / "images" / "val_3.JPEG", 0)
    (tiny / "train" / "n01" / "images" / "n01_2.JPEG").unlink()
    refused(lambda: load_data(TINY, tmp_path), "11 training", "12")


def test_an_annotation_cannot_lead_out_of_its_folder(tiny, tmp_path):
    picture(tmp_path / "secret.JPEG", 1)
    (tiny / "val" / "val_annotations.txt").write_text("../../../secret.JPEG\tn01\t0\t0\t1\t1\n")
    refused(lambda: load_data(TINY, tmp_path), "val/images/secret.JPEG", "cannot read")


# ImageNet32.

SMALL = facts_of("imagenet32", 4, 32, 8, 8)


def batch(count, seed, kind=list):
    rows = np.random.default_rng(seed).integers(0, 256, (count, 3 * 32 * 32)).astype(np.uint8)
    # Labels are 1 to the number of classes.
    labels = np.arange(count) % 4 + 1
    return {"data": rows, "labels": labels.tolist() if kind is list else labels, "mean": rows.mean(axis=0)}


def put_pickle(path, content, protocol=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol))


def put_npz(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path.with_name(path.name + ".npz"), **content)


@pytest.fixture(params=[put_pickle, put_npz], ids=["pickle", "npz"])
def small(request, tmp_path):
    """Ten batches of four images and eight to test on, in folders as the archives unzip to."""
    folder = tmp_path / "imagenet32"
    for n in range(1, 11):
        request.param(folder / "Imagenet32_train" / f"train_data_batch_{n}", batch(4, n))
    request.param(folder / "val_data", batch(8, 0))
    return folder


def test_imagenet32_is_read_plane_by_plane_with_labels_from_zero(small, tmp_path):
    loaded = load_data(SMALL, tmp_path)
    expected = batch(8, 0)
    assert np.array_equal(loaded.test.images.numpy().reshape(8, -1), expected["data"])
    assert loaded.test.labels.tolist() == [label - 1 for label in expected["labels"]]
    both = [*zip(loaded.train.images, loaded.train.labels, strict=True)]
    both += zip(loaded.validation.images, loaded.validation.labels, strict=True)
    batches = [batch(4, n) for n in range(1, 11)]
    rows = [(b["data"][i].tobytes(), b["labels"][i] - 1) for b in batches for i in range(4)]
    assert Counter((image.numpy().tobytes(), int(label)) for image, label in both) == Counter(rows)


def test_labels_as_an_array_are_read_too(tmp_path):
    folder = tmp_path / "imagenet32"
    for n in range(1, 11):
        put_pickle(folder / f"train_data_batch_{n}", batch(4, n, np.ndarray), 5)
    put_pickle(folder / "val_data", batch(8, 0, np.ndarray), 0)
    assert load_data(SMALL, tmp_path).test.labels.tolist() == [0, 1, 2, 3] * 2


@pytest.mark.parametrize("name", ["train_data_batch_7", "val_data"])
def test_a_missing_batch_is_named(small, tmp_path, name):
    next(p for p in small.rglob(f"{name}*")).unlink()
    refused(lambda: load_data(SMALL, tmp_path), name, small, "image-net.org")


@pytest.mark.parametrize("kept", [0, 30, 4000])
def test_a_half_downloaded_batch_is_named(small, tmp_path, kept):
    path = next(p for p in small.rglob("train_data_batch_2*"))
    path.write_bytes(path.read_bytes()[:kept])
    refused(lambda: load_data(SMALL, tmp_path), path, "fetch it anew")


# Places in an entry of a ZIP file's directory: version and compression.
@pytest.mark.parametrize(("place", "word"), [(6, "version"), (10, "compression")])
def test_an_npz_whose_directory_names_what_zip_does_not_know_is_damaged(tmp_path, place, word):
    folder = tmp_path / "imagenet32"
    for n in range(1, 11):
        put_npz(folder / f"train_data_batch_{n}", batch(4, n))
    put_npz(folder / "val_data", batch(8, 0))
    path = folder / "train_data_batch_2.npz"
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + place] = 173
    path.write_bytes(content)
    refused(lambda: load_data(SMALL, tmp_path), path, word, "fetch it anew")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"data": np.zeros((4, 3072), np.float32)}, "float32"),
        ({"data": np.zeros((4, 3071), np.uint8)}, "reshape"),
        ({"data": np.zeros((5, 3072), np.uint8)}, "reshape"),
        ({"labels": [0, 1, 2, 3]}, "1 to 4"),
        ({"labels": [1, 2, 3, 5]}, "1 to 4"),
        ({"labels": [0.5, 1, 2, 3]}, "float64"),
        ({"labels": [1, [2], 3, 4]}, "not a batch"),
        ({"labels": 3}, "not a batch"),
    ],
)
def test_a_batch_that_is_not_what_was_published_is_refused(small, tmp_path, change, word):
    path = next(p for p in small.rglob("train_data_batch_2*"))
    path.unlink()
    put_pickle(small / "train_data_batch_2", batch(4, 2) | change)
    refused(lambda: load_data(SMALL, tmp_path), "train_data_batch_2", word, "fetch it anew")


def test_a_batch_without_labels_is_refused(small, tmp_path):
    next(p for p in small.rglob("val_data*")).unlink()
    put_pickle(small / "val_data", {"data": np.zeros((8, 3072), np.uint8)})
    refused(lambda: load_data(SMALL, tmp_path), "val_data", "labels")


class Malicious:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.victim),)


def test_a_batch_that_wants_to_execute_is_refused(small, tmp_path):
    next(p for p in small.rglob("val_data*")).unlink()
    put_pickle(small / "val_data", batch(8, 0) | {"extra": Malicious(tmp_path / "executed")})
    refused(lambda: load_data(SMALL, tmp_path), "val_data", "mkdir")
    assert not (tmp_path / "executed").exists()


def test_an_npz_with_objects_is_refused_without_loading_them(tmp_path):
    folder = tmp_path / "imagenet32"
    bad = np.array([Malicious(tmp_path / "executed")], object)
    put_npz(folder / "train_data_batch_1", {"data": bad, "labels": np.array([1])})
    refused(lambda: load_data(SMALL, tmp_path), "train_data_batch_1.npz", "allow_pickle")
    assert not (tmp_path / "executed").exists()


# Moments.


def test_moments_counted_by_level_are_those_of_the_pixels(monkeypatch):
    plane = np.random.default_rng(0).integers(0, 200, (50, 7, 5)).astype(np.uint8)
    copied = data_module._moments(plane)
    monkeypatch.setattr(data_module, "COPIED_PIXELS", 0)
    monkeypatch.setattr(data_module, "COUNTED_IMAGES", 8)
    pixels = plane.astype(np.float64) / 255
    assert data_module._moments(plane) == pytest.approx((pixels.mean(), pixels.std()), rel=1e-12)
    assert copied == pytest.approx((pixels.mean(), pixels.std()), rel=1e-5)
