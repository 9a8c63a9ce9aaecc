"""Every format from files made here, and every way in which files can be wrong.

The published archives are replaced by small ones of the same layout; only sizes and checksums of
torchvision are patched.
"""

import gzip
import hashlib
import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from torchvision import datasets

from advisor.errors import DataError, UnknownNameError
from advisor.networks.layers import Task
from advisor.plans.dataset import DATASETS, Augmentation
from trainer.data import archives
from trainer.data.loading import find_facts, load_data, part_of


def small(name, train, validation, test):
    """Facts of a data set with other sizes."""
    return replace(DATASETS[name], train_images=train, validation_images=validation, test_images=test)


def refused(call, *words):
    """The call raises a DataError of one line that has every word."""
    with pytest.raises(DataError) as error:
        call()
    message = str(error.value)
    assert "\n" not in message
    assert [word for word in words if str(word) not in message] == [], message


def as_multiset(split):
    return Counter(
        (image.numpy().tobytes(), int(label)) for image, label in zip(split.images, split.labels, strict=True)
    )


# Digits.


def test_a_part_of_the_data_keeps_every_class_in_proportion_and_the_other_splits(digits):
    part = part_of(digits, replace(digits.facts, train_images=270))
    assert (len(part.train), part.facts.train_images) == (270, 270)
    whole, kept = (Counter(split.labels.tolist()) for split in (digits.train, part.train))
    assert all(abs(kept[label] - 270 * count / 1077) <= 1 for label, count in whole.items())
    assert as_multiset(part.train) <= as_multiset(digits.train)
    assert part.validation is digits.validation
    assert part.test is digits.test
    assert torch.equal(part.mean, digits.mean)
    assert part_of(digits, digits.facts) is digits


def test_a_plan_of_a_part_of_the_images_loads_that_part_wherever_it_is_executed(digits, tmp_path):
    facts = replace(digits.facts, train_images=270)
    loaded, part = load_data(facts, tmp_path), part_of(digits, facts)
    assert loaded.facts == facts
    assert torch.equal(loaded.train.images, part.train.images)
    assert torch.equal(loaded.validation.images, digits.validation.images)
    assert torch.equal(loaded.mean, digits.mean)


def test_the_digits_have_the_sizes_that_their_facts_promise(digits):
    facts = DATASETS["digits"]
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (1077, 360, 360)
    for split in (digits.train, digits.validation, digits.test):
        assert split.images.dtype == torch.uint8
        assert split.images.shape[1:] == (facts.task.channels, facts.task.height, facts.task.width)
        assert split.labels.dtype == torch.int64
        assert set(split.labels.tolist()) == set(range(10))


def test_the_splits_of_the_digits_share_no_image_and_leave_none_out(digits):
    from sklearn.datasets import load_digits

    source = load_digits()
    everything = Counter(
        ((image * 15).astype(np.uint8).tobytes(), int(label))
        for image, label in zip(source.images, source.target, strict=True)
    )
    assert as_multiset(digits.train) + as_multiset(digits.validation) + as_multiset(digits.test) == everything


def test_every_split_of_the_digits_has_its_share_of_every_class(digits):
    splits = (digits.train, digits.validation, digits.test)
    counts = np.array([np.bincount(split.labels, minlength=10) for split in splits])
    expected = counts.sum(0) * np.array([[1077], [360], [360]]) / 1797
    assert np.abs(counts - expected).max() <= 1.5


def test_the_splits_are_the_same_every_time(digits, tmp_path):
    again = load_data(DATASETS["digits"], tmp_path)
    for name in ("train", "validation", "test"):
        assert torch.equal(getattr(again, name).images, getattr(digits, name).images)
        assert torch.equal(getattr(again, name).labels, getattr(digits, name).labels)


def test_mean_and_deviation_are_those_of_the_training_pixels_alone(digits):
    pixels = digits.train.images.double() / 255
    assert digits.mean.tolist() == pytest.approx([float(pixels.mean())], rel=1e-5)
    assert digits.deviation.tolist() == pytest.approx([float(pixels.std(correction=0))], rel=1e-5)
    assert digits.mean.dtype == torch.float32


def test_facts_that_do_not_fit_the_files_are_refused(tmp_path):
    refused(lambda: load_data(small("digits", 1078, 360, 360), tmp_path), "digits", "1437", "fetch it anew")


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        find_facts("digit")


# Fashion-MNIST: idx files.

LABELS = np.arange(40) % 10


def idx(array):
    """The idx format by its description: two zeros, type 8, number of dimensions, sizes, bytes."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def fashion_files(seed=0):
    generator = np.random.default_rng(seed)
    return {
        "train-images-idx3-ubyte": generator.integers(0, 256, (40, 28, 28)),
        "train-labels-idx1-ubyte": LABELS,
        "t10k-images-idx3-ubyte": generator.integers(0, 256, (20, 28, 28)),
        "t10k-labels-idx1-ubyte": LABELS[:20],
    }


FASHION = small("fashion-mnist", 30, 10, 20)


@pytest.fixture
def debian(tmp_path, monkeypatch):
    """Gzipped files where Debian's package puts them."""
    folder = tmp_path / "debian"
    folder.mkdir()
    for name, array in fashion_files().items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    monkeypatch.setattr(archives, "DEBIAN_FASHION_MNIST", folder)
    return folder


@pytest.fixture
def without_debian(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "DEBIAN_FASHION_MNIST", tmp_path / "not there")


def put_fashion_raw(root):
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name, array in fashion_files().items():
        (folder / name).write_bytes(idx(array))
    return folder


def assert_is_fashion(loaded):
    files = fashion_files()
    assert torch.equal(loaded.test.images[:, 0], torch.tensor(files["t10k-images-idx3-ubyte"]).byte())
    assert loaded.test.labels.tolist() == LABELS[:20].tolist()
    assert loaded.train.images.shape == (30, 1, 28, 28)
    assert np.bincount(loaded.validation.labels).tolist() == [1] * 10
    both = as_multiset(loaded.train) + as_multiset(loaded.validation)
    images = files["train-images-idx3-ubyte"].astype(np.uint8)
    assert both == Counter((i.tobytes(), int(n)) for i, n in zip(images, LABELS, strict=True))


def test_fashion_mnist_is_read_from_debians_gzipped_files(debian, tmp_path):
    assert_is_fashion(load_data(FASHION, tmp_path / "root"))


def test_fashion_mnist_is_read_from_torchvisions_folder(without_debian, tmp_path):
    put_fashion_raw(tmp_path)
    assert_is_fashion(load_data(FASHION, tmp_path))


def test_a_downloaded_fashion_mnist_goes_before_debians(debian, tmp_path):
    put_fashion_raw(tmp_path)
    for file in debian.iterdir():
        file.write_bytes(b"damaged")
    assert_is_fashion(load_data(FASHION, tmp_path))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-30],
        lambda content: content[:100] + bytes(b ^ 255 for b in content[100:200]) + content[200:],
        lambda content: b"",
        lambda content: b"<html>not found</html>",
        lambda content: gzip.compress(gzip.decompress(content)[:-1]),
        lambda content: gzip.compress(b"\0\0\x0d\3" + gzip.decompress(content)[4:]),
        lambda content: gzip.compress(b""),
    ],
    ids=["truncated", "flipped", "empty", "html", "short inside", "other type", "nothing inside"],
)
def test_damaged_idx_files_are_named(debian, tmp_path, damage):
    path = debian / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    refused(lambda: load_data(FASHION, tmp_path / "root"), path, "damaged", "anew")


def test_a_missing_idx_file_is_named(debian, tmp_path):
    path = debian / "t10k-labels-idx1-ubyte.gz"
    path.unlink()
    refused(lambda: load_data(FASHION, tmp_path / "root"), path, "missing", "install or fetch it anew")


@pytest.mark.parametrize("kept", [0, 8, 1000])
def test_a_half_downloaded_fashion_mnist_is_not_complete(without_debian, tmp_path, kept):
    path = put_fashion_raw(tmp_path) / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:kept])
    refused(lambda: load_data(FASHION, tmp_path), "fashion-mnist", tmp_path, "--download")


# CIFAR: python pickles, read only after their checksum.


def cifar_batch(count, seed, **labels):
    generator = np.random.default_rng(seed)
    rows = generator.integers(0, 256, (count, 3 * 32 * 32)).astype(np.uint8)
    return {"data": rows, **labels}


def put(folder, name, content):
    """Write a pickle and return its name with its checksum, as torchvision lists them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(content))
    return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]


CIFAR10 = small("cifar10", 30, 10, 20)
CIFAR100 = small("cifar100", 200, 100, 100)


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    train = [cifar_batch(20, n, labels=LABELS[:20].tolist()) for n in (1, 2)]
    test = cifar_batch(20, 3, labels=LABELS[:20].tolist())
    listed = [put(folder, f"data_batch_{n}", batch) for n, batch in enumerate(train, 1)]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", listed)
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [put(folder, "test_batch", test)])
    meta = put(folder, "batches.meta", {"label_names": [str(n) for n in range(10)]})
    monkeypatch.setattr(datasets.CIFAR10, "meta", {"filename": meta[0], "key": "label_names", "md5": meta[1]})
    return folder, train, test


def test_cifar_10_is_read_plane_by_plane(cifar10, tmp_path):
    _, train, test = cifar10
    loaded = load_data(CIFAR10, tmp_path)
    assert torch.equal(loaded.test.images, torch.tensor(test["data"].reshape(20, 3, 32, 32)))
    assert loaded.test.labels.tolist() == test["labels"]
    assert loaded.train.images.shape == (30, 3, 32, 32)
    assert loaded.train.images.is_contiguous()
    rows = np.concatenate([batch["data"] for batch in train])
    both = as_multiset(loaded.train) + as_multiset(loaded.validation)
    assert both == Counter((r.tobytes(), n % 10) for n, r in enumerate(rows))


def test_cifar_100_has_fine_labels(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-100-python"
    fine = (np.arange(300) % 100).tolist()
    train = cifar_batch(300, 1, fine_labels=fine, coarse_labels=[0] * 300)
    test = cifar_batch(100, 2, fine_labels=fine[:100], coarse_labels=[0] * 100)
    monkeypatch.setattr(datasets.CIFAR100, "train_list", [put(folder, "train", train)])
    monkeypatch.setattr(datasets.CIFAR100, "test_list", [put(folder, "test", test)])
    meta = put(folder, "meta", {"fine_label_names": ["x"] * 100})
    monkeypatch.setattr(
        datasets.CIFAR100, "meta", {"filename": meta[0], "key": "fine_label_names", "md5": meta[1]}
    )
    loaded = load_data(CIFAR100, tmp_path)
    assert loaded.test.labels.tolist() == list(range(100))
    assert np.bincount(loaded.validation.labels).tolist() == [1] * 100
    assert torch.equal(loaded.test.images, torch.tensor(test["data"].reshape(100, 3, 32, 32)))


class Malicious:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("name", ["data_batch_2", "test_batch", "batches.meta"])
def test_a_pickle_whose_checksum_is_wrong_is_not_opened(cifar10, tmp_path, name):
    victim = tmp_path / "executed"
    (cifar10[0] / name).write_bytes(pickle.dumps(Malicious(victim)))
    refused(lambda: load_data(CIFAR10, tmp_path), "cifar10", tmp_path, "--download")
    assert not victim.exists()


@pytest.mark.parametrize("damage", ["missing", "truncated", "empty"])
def test_an_incomplete_cifar_10_names_its_folder_and_the_remedy(cifar10, tmp_path, damage):
    path = cifar10[0] / "data_batch_2"
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2 if damage == "truncated" else 0])
    refused(lambda: load_data(CIFAR10, tmp_path), "cifar10 is not complete under", tmp_path, "--download")


def test_other_sizes_than_the_facts_are_refused(cifar10, tmp_path):
    refused(lambda: load_data(small("cifar10", 31, 10, 20), tmp_path), "cifar10 has 40 training", "41")


# SVHN: MATLAB files.

SVHN = small("svhn", 30, 10, 20)


@pytest.fixture
def svhn(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    images, lists = {}, {}
    for split, count in (("train", 40), ("test", 20)):
        images[split] = generator.integers(0, 256, (32, 32, 3, count)).astype(np.uint8)
        path = tmp_path / f"{split}_32x32.mat"
        # Labels are 1 to 10, where 10 is the digit 0.
        labels = (LABELS[:count, None] % 10).copy()
        labels[labels == 0] = 10
        scipy.io.savemat(path, {"X": images[split], "y": labels.astype(np.uint8)})
        lists[split] = ["no address", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(datasets.SVHN, "split_list", lists)
    return images


def test_svhn_is_read_image_by_image_and_its_label_10_is_the_digit_0(svhn, tmp_path):
    loaded = load_data(SVHN, tmp_path)
    for n in range(20):
        assert np.array_equal(loaded.test.images[n].numpy(), svhn["test"][:, :, :, n].transpose(2, 0, 1))
    assert loaded.test.labels.tolist() == LABELS[:20].tolist()
    assert loaded.train.images.shape == (30, 3, 32, 32)


def test_a_half_downloaded_svhn_is_not_complete(svhn, tmp_path):
    path = tmp_path / "test_32x32.mat"
    path.write_bytes(path.read_bytes()[:1000])
    refused(lambda: load_data(SVHN, tmp_path), "svhn is not complete under", tmp_path, "--download")


@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10", "cifar100", "svhn"])
def test_a_data_set_that_is_not_there_is_refused_with_the_way_to_get_it(without_debian, tmp_path, name):
    refused(lambda: load_data(DATASETS[name], tmp_path / "none"), name, tmp_path, "pass --download to fetch")


def test_a_download_that_fails_names_the_network(without_debian, tmp_path, monkeypatch):
    def unreachable(self):
        raise OSError("no route to host\nsecond line")

    monkeypatch.setattr(datasets.CIFAR10, "download", unreachable)
    refused(
        lambda: load_data(CIFAR10, tmp_path, download=True), "no route to host", "check the network", tmp_path
    )


# Folders.


def picture(path, value=0, size=(8, 9), mode="L"):
    """Write an image of one value; size is height, width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = size if mode == "L" else (*size, 3)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    """Classes a and b with ten images each to train on and two to test on."""
    place = tmp_path / "flowers"
    for split, count in (("train", 10), ("test", 2)):
        for label, name in enumerate("ab"):
            for n in range(count):
                picture(place / split / name / f"{n}.png", 100 * label + n)
    return place


def load_folder(place):
    return load_data(find_facts(f"folder:{place}"), place)


def test_the_facts_of_a_folder_are_found_by_looking_into_it(folder):
    facts = find_facts(f"folder:{folder}")
    assert facts.task == Task(channels=1, height=8, width=9, classes=2)
    # A tenth of 20 images is held back, one of each class.
    assert (facts.train_images, facts.validation_images, facts.test_images) == (18, 2, 4)
    assert facts.augmentation is Augmentation.CROP_FLIP
    assert facts.batch == 2


def test_the_images_of_a_folder_are_loaded_with_the_classes_in_alphabetical_order(folder):
    loaded = load_folder(folder)
    assert loaded.test.images[:, 0, 0, 0].tolist() == [0, 1, 100, 101]
    assert loaded.test.labels.tolist() == [0, 0, 1, 1]
    assert sorted(loaded.validation.labels.tolist()) == [0, 1]
    both = torch.cat((loaded.train.images, loaded.validation.images))[:, 0, 0, 0].tolist()
    assert sorted(both) == [*range(10), *range(100, 110)]


def test_colours_are_loaded_as_red_green_and_blue(tmp_path):
    for split in ("train", "test"):
        for name in "ab":
            for n in range(2):
                path = tmp_path / split / name / f"{n}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (8, 8), (10, 20, 30)).save(path)
    loaded = load_folder(tmp_path)
    assert loaded.test.images[0, :, 3, 3].tolist() == [10, 20, 30]


def test_palettes_and_transparency_become_three_channels(folder):
    for path in folder.rglob("*.png"):
        Image.open(path).convert("RGBA" if path.name == "0.png" else "P").save(path)
    assert load_folder(folder).train.images.shape[1] == 3


def test_images_in_deeper_folders_and_hidden_class_folders_are_treated_as_imagefolder_does(folder):
    picture(folder / "train" / "a" / "more" / "x.PNG")
    (folder / "train" / ".cache").mkdir()
    (folder / "train" / "a" / "readme.txt").write_text("not an image")
    facts = find_facts(f"folder:{folder}")
    assert facts.train_images + facts.validation_images == 21


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    refused(lambda: find_facts(f"folder:{tmp_path / 'none'}"), tmp_path / "none", "does not exist")


def test_the_error_for_a_folder_without_splits_names_the_layout(tmp_path):
    refused(lambda: find_facts(f"folder:{tmp_path}"), tmp_path, "train/CLASS/", "test/CLASS/")


def test_the_error_for_a_folder_without_a_test_split_names_the_layout(tmp_path):
    picture(tmp_path / "train" / "a" / "0.png")
    refused(lambda: find_facts(f"folder:{tmp_path}"), tmp_path, "no test folder", "test/CLASS/")


def test_class_folders_that_differ_are_named(folder):
    picture(folder / "test" / "c" / "0.png")
    refused(lambda: find_facts(f"folder:{folder}"), folder, "same class folders", "'c'", "add or remove")


def test_splits_without_classes_are_refused(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
    refused(lambda: find_facts(f"folder:{tmp_path}"), tmp_path, "0 class folders", "needs 2")


def test_an_empty_class_folder_is_named(folder):
    for split in ("train", "test"):
        (folder / split / "c").mkdir()
    refused(lambda: find_facts(f"folder:{folder}"), folder / "train" / "c", "no images", ".png", "add some")


def test_a_class_of_one_image_is_named(folder):
    for n in range(1, 10):
        (folder / "train" / "b" / f"{n}.png").unlink()
    refused(lambda: find_facts(f"folder:{folder}"), folder / "train" / "b", "at least 2", "add images")


def test_a_class_of_two_images_is_enough_even_among_many_classes(tmp_path):
    for split in ("train", "test"):
        for label in range(12):
            for n in range(2):
                picture(tmp_path / split / f"class{label:02}" / f"{n}.png", label)
    loaded = load_folder(tmp_path)
    assert sorted(loaded.validation.labels.tolist()) == sorted(loaded.train.labels.tolist()) == [*range(12)]


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_image_of_another_size_is_named(folder, split):
    path = folder / split / "b" / "1.png"
    picture(path, size=(9, 9))
    refused(lambda: load_folder(folder), path, "9x9", "8x9", "--resize 8")


@pytest.mark.parametrize("first", [True, False])
def test_a_text_file_that_is_called_png_is_named(folder, first):
    path = folder / "train" / "a" / ("0.png" if first else "7.png")
    path.write_text("this is no image")
    refused(lambda: load_folder(folder), path, "cannot read image", "remove it or fetch it anew")


@pytest.mark.parametrize("kept", [0, 20, 50])
def test_a_half_downloaded_image_is_named(folder, kept):
    path = folder / "test" / "b" / "0.png"
    path.write_bytes(path.read_bytes()[:kept])
    refused(lambda: load_folder(folder), path, "cannot read image", "remove it or fetch it anew")


def test_images_that_vanish_after_the_facts_were_found_are_an_error(folder):
    facts = find_facts(f"folder:{folder}")
    (folder / "train" / "a" / "4.png").unlink()
    refused(lambda: load_data(facts, folder), folder, "'a' has 9 training images, not 10")
