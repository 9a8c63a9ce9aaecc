"""What trainings on several data sets say about any other one.

The trainings of the two grids in benchmarks/trainings/results are fitted together. What they say about a new
data set is a normal distribution of two kinds of parameters of the accuracy formula:

- parameters that all data sets share, with their means and covariance;
- parameters of one data set, with mean and standard deviation over the data sets of the grids.

The file has one such distribution for every origin that is left out, so that the grids never answer for data
that they were trained on. `benchmarks/trainings/pooled.py` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from advisor.estimate import Floats, Normal

FILE = Path(__file__).with_name("pooled.json")
# Data sets of the program that a grid was trained on, with their origin in the file.
ORIGINS = {"digits": "digits", "fashion-mnist": "fashion"}
# Entry of the file that leaves nothing out.
NOTHING = ""


@dataclass(frozen=True, slots=True)
class Pooled:
    """Normal distributions of parameters of the formula.

    Attributes:
        names: parameters that all data sets share.
        mean: their means, shape (names,).
        covariance: their covariance, shape (names, names).
        of_dataset: parameters of one data set.
        trainings: number of trainings behind the figures.
    """

    names: tuple[str, ...]
    mean: Floats
    covariance: Floats
    of_dataset: Mapping[str, Normal]
    trainings: int


def pooled_without(dataset: str) -> Pooled:
    """Return what the trainings of other origins say about a data set.

    Args:
        dataset: name that errors on the data are learned under.
    """
    # The augmentation may follow the name.
    origin = next((origin for name, origin in ORIGINS.items() if dataset.startswith(name)), NOTHING)
    return _read()[origin]


@cache
def _read() -> dict[str, Pooled]:
    entries = json.loads(FILE.read_text())["without"]
    return {
        origin: Pooled(
            names=tuple(entry["names"]),
            mean=np.array(entry["mean"]),
            covariance=np.array(entry["covariance"]),
            of_dataset={name: (mean, std) for name, (mean, std) in entry["of_dataset"].items()},
            trainings=entry["trainings"],
        )
        for origin, entry in entries.items()
    }
