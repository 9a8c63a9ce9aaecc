"""Small trainings whose likelihood and calibration `likelihood.py` learns from, beside those of `grid2.py`.

    python benchmarks/trainings/likelihood_train.py   # all missing trainings: some 10 minutes of one core

Every training is of four members of one shape on at most 1,000 images. Its ensembles of the first 1, 2 and
4 members are a row each of results/likelihood-cpu.csv, with figures on at most 1,000 test images. Images of
other sets than those of `data_level_sets.py` and `grid2_sets.py`:

- fashion-3: tops, shoes, and all other kinds of Fashion-MNIST, 14×14;
- both-20: the digits of MNIST and the kinds of Fashion-MNIST, 14×14.
"""

from __future__ import annotations

import csv
import platform
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from data_level_sets import data_of
from grid2_sets import data_named
from processor_time import EXECUTION, processor_watch

from advisor.designs.design import parse_design
from advisor.networks.layers import Task
from advisor.plans.methods import make_plan
from trainer.data.loading import Data, Split
from trainer.ensembles.evaluate import member_probabilities
from trainer.ensembles.metrics import Predictions, ensemble_metrics
from trainer.execution.execute import execute
from trainer.run_files import RunFiles
from trainer.training.loop import load_network
from trainer.training.stored_probabilities import Probabilities

RESULTS = Path(__file__).parent / "results" / "likelihood-cpu.csv"
COLUMNS = (
    "dataset", "classes", "train_images", "test_images", "design", "epochs", "members", "error", "nll",
    "calibration_error", "device", "date", "torch",
)  # fmt: skip
SETS = (
    "mnist-14x14", "fashion-14x14-1500", "photographs", "icons", "fashion-14x14-1500-noisy", "both-20",
    "fashion-3", "moved-digits",
)  # fmt: skip
# Design and epochs, the cheapest first.
JOBS = (("4xresnet-8-4", 8), ("4xresnet-8-8", 4), ("4xresnet-8-4", 20))
MOST_TRAINED, MOST_TESTED, BATCH, SEED = 1000, 1000, 50, 0
ENSEMBLES = (1, 2, 4)
# Kinds of Fashion-MNIST: tops, shoes, all others.
COARSE = torch.tensor([0, 2, 0, 0, 0, 1, 0, 1, 2, 1])


def part_of(name: str) -> Data:
    """Return a data set by its name, with few images."""
    if name == "fashion-3":
        whole = data_of("fashion-14x14-1500")
        return _small(name, [Split(s.images, COARSE[s.labels]) for s in _splits(whole)], whole, 3)
    if name == "both-20":
        digits, clothes = data_of("mnist-14x14"), data_of("fashion-14x14-1500")
        splits = [
            Split(torch.cat([a.images, b.images]), torch.cat([a.labels, b.labels + 10]))
            for a, b in zip(_splits(digits), _splits(clothes), strict=True)
        ]
        return _small(name, splits, digits, 20)
    whole = data_named(name) if name == "icons" else data_of(name)
    return _small(name, _splits(whole), whole, whole.facts.task.classes)


def _splits(data: Data) -> list[Split]:
    return [data.train, data.validation, data.test]


def _small(name: str, splits: list[Split], like: Data, classes: int) -> Data:
    limits = (MOST_TRAINED, 500, MOST_TESTED)
    drawn = torch.Generator().manual_seed(0)
    kept = []
    for split, limit in zip(splits, limits, strict=True):
        chosen = torch.randperm(len(split.labels), generator=drawn)[:limit]
        kept.append(Split(split.images[chosen].contiguous(), split.labels[chosen]))
    train, validation, test = kept
    task = like.facts.task
    facts = replace(
        like.facts,
        name=name,
        task=Task(channels=task.channels, height=task.height, width=task.width, classes=classes),
        train_images=len(train.labels),
        validation_images=len(validation.labels),
        test_images=len(test.labels),
        batch=BATCH,
        identity=None,
    )
    pixels = train.images.float() / 255
    mean, deviation = pixels.mean(dim=(0, 2, 3)), pixels.std(dim=(0, 2, 3), unbiased=False)
    return Data(facts, train, validation, test, mean, deviation)


def train(name: str, design: str, epochs: int) -> list[dict[str, object]]:
    """Train a design on a data set and return a row for each of its ensembles."""
    data = part_of(name)
    execution = replace(EXECUTION, processes=1)
    plan = make_plan(
        parse_design(design), data.facts, epochs=epochs, batch=BATCH, seed=SEED, execution=execution
    )
    with tempfile.TemporaryDirectory(prefix="likelihood-") as folder:
        files = RunFiles(folder=Path(folder), data_root=Path(folder), watch=processor_watch)
        execute(plan, files, data, lambda event: None, lambda: False)
        names = [m.name for m in plan.members]
        networks = {n: load_network(plan, n, files.of_network(n))[0] for n in names}
        tested = member_probabilities(plan, networks, data, data.test, names)
    return [_row(data, design, epochs, tested[:members]) for members in ENSEMBLES]


def _row(data: Data, design: str, epochs: int, probabilities: Probabilities) -> dict[str, object]:
    test = Predictions(probabilities, data.test.labels.numpy())
    figures = ensemble_metrics(test, test)
    facts = data.facts
    return {
        "dataset": facts.name,
        "classes": facts.task.classes,
        "train_images": facts.train_images,
        "test_images": facts.test_images,
        "design": design,
        "epochs": epochs,
        "members": len(figures.member_errors),
        "error": f"{figures.error:.5f}",
        "nll": f"{figures.nll:.5f}",
        "calibration_error": f"{figures.calibration_error:.5f}",
        "device": f"{platform.machine()} CPU, one thread",
        "date": datetime.now(UTC).date().isoformat(),
        "torch": version("torch"),
    }


def rows() -> list[dict[str, str]]:
    """Return the rows so far."""
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    torch.set_num_threads(1)
    done = {(r["dataset"], r["design"], int(r["epochs"])) for r in rows()}
    jobs = [(name, design, epochs) for design, epochs in JOBS for name in SETS]
    for job in jobs:
        if job in done:
            continue
        found = train(*job)
        with RESULTS.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerows(found)
        print(job, [(r["members"], r["error"], r["nll"], r["calibration_error"]) for r in found], flush=True)


if __name__ == "__main__":
    main()
