"""What trainings on several data sets say about any other one.

The trainings of the two grids in benchmarks/trainings/results are fitted together. What they say about a new
data set is a normal distribution of two kinds of parameters of the accuracy formula:

- parameters that all data sets share, with their means and covariance;
- parameters of one data set, with mean and standard deviation over the data sets of the grids. The share of
  the error that no size removes falls with the number of images: the mean of its logit is linear in the
  logarithm of their number, between the data sets of the grids and CIFAR.

The file has one such distribution for every origin that is left out, so that the grids never answer for data
that they were trained on. `benchmarks/trainings/pooled.py` writes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from advisor.estimate import Floats, Normal

FILE = Path(__file__).with_name("pooled.json")
# Data sets of the program that a grid was trained on, with their origin in the file.
ORIGINS = {"digits": "digits", "fashion-mnist": "fashion"}
# Training images at which the means are given, and the parameter whose mean depends on them.
USUAL_IMAGES, BY_IMAGES = 2000, "logit_floor"
# More images than these change the mean no further: no evidence has more.
MOST_IMAGES = 50_000
# Entry of the file that leaves nothing out.
NOTHING = ""


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """Normal distributions of parameters of the formula.

    Attributes:
        names: parameters that all data sets share.
        mean: their means, shape (names,).
        covariance: their covariance, shape (names, names).
        normals: parameters of one data set with `USUAL_IMAGES` training images.
        floor_slope: change of the mean of `BY_IMAGES` when the images are e times as many.
        trainings: number of trainings behind the figures.
    """

    names: tuple[str, ...]
    mean: Floats
    covariance: Floats
    normals: Mapping[str, Normal]
    floor_slope: float
    trainings: int

    def of_dataset(self, images: int | None) -> dict[str, Normal]:
        """Return mean and standard deviation of the parameters of one data set.

        Args:
            images: number of training images; None where it is unknown.
        """
        found = dict(self.normals)
        if images is not None and BY_IMAGES in found:
            mean, std = found[BY_IMAGES]
            most = math.log(MOST_IMAGES / USUAL_IMAGES)
            more = min(max(math.log(images / USUAL_IMAGES), -most), most)
            found[BY_IMAGES] = (mean + self.floor_slope * more, std)
        return found


def pooled_without(dataset: str) -> Pooled:
    """Return what the trainings of other origins say about a data set.

    Args:
        dataset: name of the data set.
    """
    return _read()[ORIGINS.get(dataset, NOTHING)]


@cache
def _read() -> dict[str, Pooled]:
    entries = json.loads(FILE.read_text())["without"]
    return {
        origin: Pooled(
            names=tuple(entry["names"]),
            mean=np.array(entry["mean"]),
            covariance=np.array(entry["covariance"]),
            normals={name: (mean, std) for name, (mean, std) in entry["normals"].items()},
            floor_slope=entry["floor_slope"],
            trainings=entry["trainings"],
        )
        for origin, entry in entries.items()
    }
