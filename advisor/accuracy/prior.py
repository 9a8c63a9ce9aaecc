"""The prior of the accuracy formula's parameters θ, from published studies.

Every parameter has a normal prior, written as (mean, standard deviation). θ consists of

- global parameters, which all families and data sets share;
- one penalty for each training method that costs its members accuracy;
- deviations of each family, and of each data set, from the global parameters;
- level, floor and pace of each data set.

`advisor.accuracy.formula` explains what each parameter does. A parameter that must be positive is given by
its logarithm (``log_…``), a share by its logit (``logit_…``). "Chosen" marks a prior that no publication
gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from advisor.accuracy.pooled import USUAL_IMAGES, Pooled
from advisor.accuracy.sources.published import HATCHED_PENALTY, SHARED_MOTHER_CORRELATION, SNAPSHOT_PENALTY
from advisor.errors import require_entries
from advisor.estimate import Floats, Normal
from advisor.networks.families import FAMILIES
from advisor.networks.layers import Task
from advisor.plans.method_traits import Method

GLOBAL: dict[str, Normal] = {
    "log_alpha": (np.log(0.55), 0.3),
    # Chosen: at equal size, a quarter of the usual depth or four times it costs about 8 % more error.
    "delta": (0.04, 0.02),
    # Chosen: half the published schedule costs about a tenth more error; a tenth of it doubles the error.
    "log_c": (np.log(0.08), 0.6),
    # Chosen: what a short schedule costs is nearly independent of the error of a long one.
    "xi": (1.0, 0.2),
    "beta": (1.0, 0.25),
    # Chosen: a network of twice the depth needs 40 % more epochs to get as far.
    "kappa": (0.5, 0.25),
    "logit_s": (-0.95, 0.5),
    # Chosen: published ensembles of Wide ResNets remove 0.25 to 0.4 at 0.4 million parameters, and 0.16 to
    # 0.2 at 36.5 million.
    "s_power": (1.0, 0.5),
    "log_h": (np.log(0.3), 0.6),
    # Chosen: the errors of two members of one shape that share a mother correlate by a third to one.
    "logit_r_same": (0.4, 0.8),
    "logit_r_mixed": (np.log(SHARED_MOTHER_CORRELATION / (1 - SHARED_MOTHER_CORRELATION)), 0.4),
    # Chosen: an epoch at the full learning rate has about twice the error of a whole schedule of that length,
    # an epoch at a tenth of the rate about 15 % more. Averaging removes most of the excess.
    "log_nu": (0.0, 0.5),
    "log_gamma": (np.log(0.8), 0.3),
    "logit_rho": (1.0, 0.7),
    # Exponent of the number of training images: a third to a half for images (Hestness et al. 2017).
    "eta": (0.35, 0.1),
    # Chosen: ten times the weight decay of the recipe changes the error by less than a tenth, either way.
    "omega": (0.0, 0.05),
    "zeta": (0.0, 0.03),
}
# Logarithm of the error of a member trained by a method over that of one trained from scratch on all images.
# MotherNets and snapshots have published figures. Of the others the MotherNets paper has an order: bagging
# may have more error than the best single network, distillation has more than MotherNets with one mother, and
# TreeNets have as much as these after 3.8 times their time. None: the method costs members nothing and has no
# parameter in θ.
_METHOD: dict[Method, Normal | None] = {
    Method.FULL_DATA: None,
    Method.MOTHERNETS: (float(np.log(HATCHED_PENALTY)), 0.06),
    Method.SHARED_MOTHERNETS: (float(np.log(HATCHED_PENALTY)), 0.1),
    Method.SNAPSHOT: (float(np.log(SNAPSHOT_PENALTY)), 0.15),
    Method.FGE: (float(np.log(SNAPSHOT_PENALTY)), 0.15),
    Method.BAGGING: (0.25, 0.1),
    Method.DISTILLATION: (0.2, 0.1),
    Method.TREENETS: (0.2, 0.1),
}
require_entries("advisor/accuracy/prior.py: _METHOD", _METHOD, Method)
PENALISED = tuple(name for name, penalty in _METHOD.items() if penalty is not None)
# Methods whose members hatch from a mother network.
HATCHING = (Method.MOTHERNETS, Method.SHARED_MOTHERNETS)
# Standard deviations of a family's deviations from the global parameters. The gain of averaging differs by
# family: published ensembles of four have 21 % less error than one member (ResNet) and 15 % (Wide ResNet).
_FAMILY_STD = {"log_u": 0.15, "log_alpha": 0.25, "logit_s": 0.4}
# Standard deviations of a data set's deviations: of the exponent of size, the gain of averaging, the cost of
# a short schedule, the cost of a high learning rate, the best depth, the cost of another depth, the slope of
# the weight decay, and the penalty of hatching (chosen: 8.4 to 8.1 % on CIFAR-10, none on small data). CIFAR
# defines the usual depth; smaller or simpler images need less.
_DATASET_STD = {
    "alpha_on": 0.3,
    "s_on": 1.0,
    "c_on": 0.7,
    "nu_on": 0.5,
    "depth_on": 0.6,
    "delta_on": 0.8,
    "omega_on": 0.1,
    "hatched_on": 0.05,
}
_PUBLISHED_DATASET_STD = {
    "alpha_on": 0.1,
    "s_on": 0.15,
    "c_on": 0.1,
    "nu_on": 0.2,
    "depth_on": 0.1,
    "delta_on": 0.1,
    "omega_on": 0.03,
    "hatched_on": 0.05,
}
# Level, floor and pace of a data set. The published schedules are those of CIFAR, so its pace is 1. A data
# set without published errors has a wide prior; most need fewer epochs than CIFAR.
_DATASET = ("log_level", "logit_floor", "log_tau")
PUBLISHED_DATASETS: dict[str, tuple[Normal, Normal, Normal]] = {
    "cifar10": ((np.log(0.116), 0.3), (-0.46, 0.5), (0.0, 0.01)),
    "cifar100": ((np.log(0.52), 0.3), (-0.74, 0.5), (0.0, 0.01)),
    # Chosen around their published errors. Their published schedules have fewer epochs: 100, 90 and 40 or 90.
    "svhn": ((np.log(0.05), 0.5), (0.0, 1.0), (np.log(0.5), 0.4)),
    "tiny-imagenet": ((np.log(1.0), 0.5), (-0.5, 1.0), (np.log(0.5), 0.4)),
    "imagenet32": ((np.log(1.6), 0.5), (-0.5, 1.0), (np.log(0.3), 0.4)),
}
# Data sets whose published errors say what families, sizes and ensembles have in common. The others have too
# few, and are fitted only where they are asked about.
ANCHORS = ("cifar10", "cifar100")
_OTHER_DATASET: tuple[Normal, Normal, Normal] = (
    (np.log(0.022), 1.5),
    (-0.15, 1.5),
    (np.log(0.2), 1.0),
)
# Chosen: level of a data set of which nothing is known but its size, between the data sets above and those of
# the grids. It rises with the number of classes, as from CIFAR-10 to CIFAR-100, and with the side of the
# images, and falls with the number of images.
_SIZE_LEVEL: Normal = (np.log(0.1), 1.2)
_LEVEL_POWERS = {"classes": 0.65, "images": -0.2, "side": 0.2}
# Chosen: more images need fewer epochs, more classes and pixels some more, as published schedules have it.
_PACE_POWERS = {"classes": 0.1, "images": -0.2, "side": 0.1}
# Size to which the constants of the level, and those of the pace, belong.
_LEVEL_SIZE = {"classes": 10, "images": 10_000, "side": 32}
_PACE_SIZE = {"classes": 10, "images": USUAL_IMAGES, "side": 28}


@dataclass(frozen=True, slots=True)
class Prior:
    """The normal prior of θ, written as θ = mean + root · z with z ~ N(0, I).

    Attributes:
        names: name of every parameter, in the order of θ.
        mean: mean of θ, shape (parameters,).
        root: root of the covariance of θ, shape (parameters, parameters).
    """

    names: tuple[str, ...]
    mean: Floats
    root: Floats

    @property
    def index(self) -> dict[str, int]:
        """Position of each parameter in θ."""
        return {name: i for i, name in enumerate(self.names)}

    def theta(self, z: Floats) -> Floats:
        """Return θ for z, shape (…, parameters) as given."""
        result: Floats = self.mean + z @ self.root.T
        return result


def prior_of(
    datasets: Sequence[str],
    pooled: Pooled | None = None,
    images: Mapping[str, int] | None = None,
    split_stds: Mapping[str, float] | None = None,
    tasks: Mapping[str, Task] | None = None,
) -> Prior:
    """Return the prior of θ.

    Args:
        datasets: names of the data sets that θ has parameters for.
        pooled: what trainings on other data sets say; None for the published studies alone.
        images: training images of data sets, by name; the others have as many as the pooled ones.
        split_stds: standard deviation of the log error on the validation images over that on all images, by
            name; 0 for the others.
        tasks: input shapes and classes of data sets of which nothing else is known, by name.
    """
    of_dataset = dict(zip(_DATASET, _OTHER_DATASET, strict=True))
    of_dataset |= {name: (0.0, std) for name, std in _DATASET_STD.items()}
    normal = dict(GLOBAL)
    normal |= {f"log_method/{name}": value for name, value in _METHOD.items() if value is not None}
    normal |= {f"{name}/{family}": (0.0, std) for family in FAMILIES for name, std in _FAMILY_STD.items()}
    for dataset in datasets:
        of_this = of_dataset
        if pooled is not None:
            of_this = of_dataset | pooled.of_dataset((images or {}).get(dataset))
        if tasks is not None and dataset in tasks:
            of_this |= _of_size(of_this["log_tau"], tasks[dataset], (images or {}).get(dataset))
        if dataset in PUBLISHED_DATASETS:
            of_this = dict(zip(_DATASET, PUBLISHED_DATASETS[dataset], strict=True))
            of_this |= {name: (0.0, std) for name, std in _PUBLISHED_DATASET_STD.items()}
        normal |= {f"{name}/{dataset}": value for name, value in of_this.items()}
        normal[f"split_on/{dataset}"] = (0.0, (split_stds or {}).get(dataset, 0.0))
    mean, std = (np.array([value[i] for value in normal.values()], dtype=float) for i in (0, 1))
    prior = Prior(tuple(normal), mean, np.diag(std))
    if pooled is not None:
        places = [prior.index[name] for name in pooled.names]
        prior.mean[places] = pooled.mean
        prior.root[np.ix_(places, places)] = np.linalg.cholesky(pooled.covariance)
    return prior


def _of_size(log_tau: Normal, task: Task, images: int | None) -> dict[str, Normal]:
    """Return level and pace of a data set of which nothing is known but its size.

    Args:
        log_tau: pace of a data set of usual size.
        task: input shape and classes.
        images: number of training images; None where it is unknown.
    """
    size = {"classes": task.classes, "side": (task.height * task.width) ** 0.5}
    if images is not None:
        size["images"] = images

    def shift(powers: Mapping[str, float], usual: Mapping[str, float]) -> float:
        return float(sum(powers[name] * np.log(value / usual[name]) for name, value in size.items()))

    level, level_std = _SIZE_LEVEL
    pace, pace_std = log_tau
    return {
        "log_level": (level + shift(_LEVEL_POWERS, _LEVEL_SIZE), level_std),
        "log_tau": (pace + shift(_PACE_POWERS, _PACE_SIZE), pace_std),
    }
