"""The same ensemble trained by this project and by torchensemble's VotingClassifier: time and error.

    pip install 'ensemble-advisor[benchmark]'
    python benchmarks/trainings/library.py            # about ten minutes on two cores

Both train four networks of one shape independently on 1,500 images of Fashion-MNIST at 14×14, with the same
networks, batch, epochs, optimizer and schedule. The library gets a DataLoader with crop and flip by
torchvision. It runs with each number of jobs, in float32 and in bfloat16 by autocast. This project runs in
both types, too. The best setting of each counts.

Both evaluate validation images after every epoch and keep checkpoints: this project every network after every
epoch, the library the whole ensemble whenever its accuracy has grown. The library also runs without either,
which this project cannot. Settings take turns for `ROUNDS` rounds. Writes results/library-cpu.json.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import platform
import random
import statistics
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from processor_time import EXECUTION, Clock, processor_watch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.io import write_png
from torchvision.transforms import v2
from torchvision.transforms.functional import resize

from advisor.designs.design import parse_design
from advisor.networks.architecture import lower, parse_network
from advisor.plans.methods import make_plan
from advisor.plans.recipes.table import RECIPES
from trainer.data.loading import Data, Split, find_facts, load_data
from trainer.ensembles.evaluate import evaluate
from trainer.execution.execute import execute
from trainer.networks.network import build_network
from trainer.run_files import RunFiles

RESULTS = Path(__file__).parent / "results" / "library-cpu.json"
NETWORK, MEMBERS, EPOCHS, BATCH, ROUNDS = "resnet-14-8", 4, 8, 64, 3
# Fashion-MNIST: images a class for training and for test, and their height and width.
TRAIN_A_CLASS, TEST_A_CLASS, SIZE = 150, 500, 14


class Images(Dataset):
    """Images that are augmented and normalised one by one, as a DataLoader reads them."""

    def __init__(self, data: Data, *, train: bool, split: Split | None = None) -> None:
        split = data.train if train else (data.test if split is None else split)
        height = data.facts.task.height
        steps: list[nn.Module] = []
        if train:
            steps = [v2.RandomCrop(height, padding=max(height // 8, 1)), v2.RandomHorizontalFlip()]
        steps += [
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(data.mean.tolist(), data.deviation.tolist()),
        ]
        self._images, self._labels, self._transform = split.images, split.labels, v2.Compose(steps)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._transform(self._images[index]), self._labels[index]


class Estimator(nn.Module):
    """One of this project's networks as an estimator of the library; each instance has another seed."""

    made = 0

    def __init__(self, task, bfloat16: bool) -> None:
        super().__init__()
        Estimator.made += 1
        self.network = build_network(lower(parse_network(NETWORK), task), Estimator.made)
        self.network.to(memory_format=torch.channels_last)
        self.bfloat16 = bfloat16

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            return self.network(images.contiguous(memory_format=torch.channels_last)).float()


def by_library(data: Data, jobs: int | None, bfloat16: bool, alike: bool) -> tuple[float, float]:
    """Train by torchensemble; return seconds and test error.

    Args:
        data: the images.
        jobs: number of processes.
        bfloat16: whether networks compute in bfloat16.
        alike: whether it validates and keeps checkpoints, as this project does.
    """
    from torchensemble import VotingClassifier

    torch.set_num_threads(1 if jobs and jobs > 1 else 2)
    arguments = {"task": data.facts.task, "bfloat16": bfloat16}
    model = VotingClassifier(
        estimator=Estimator, estimator_args=arguments, n_estimators=MEMBERS, cuda=False, n_jobs=jobs
    )
    recipe = RECIPES["resnet"]
    model.set_optimizer(
        "SGD", lr=recipe.rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True
    )
    drops = list(recipe.schedule(EPOCHS).drops)
    model.set_scheduler("MultiStepLR", milestones=drops, gamma=0.1)
    loader = DataLoader(Images(data, train=True), BATCH, shuffle=True, drop_last=True)
    validation = DataLoader(Images(data, train=False, split=data.validation), 256) if alike else None
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        model.fit(
            loader,
            epochs=EPOCHS,
            log_interval=10**6,
            test_loader=validation,
            save_model=alike,
            save_dir=folder,
        )
        seconds = time.perf_counter() - began
    accuracy = model.evaluate(DataLoader(Images(data, train=False), 256))
    return seconds, 1 - accuracy / 100


def by_us(data: Data, root: Path, bfloat16: bool) -> tuple[float, float]:
    """Train by this project; return seconds and test error."""
    execution = replace(EXECUTION, dtype="bfloat16" if bfloat16 else "float32")
    plan = make_plan(
        parse_design(f"{MEMBERS}x{NETWORK}"),
        data.facts,
        epochs=EPOCHS,
        batch=BATCH,
        seed=0,
        execution=execution,
    )
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        files = RunFiles(folder=Path(folder), data_root=root, watch=processor_watch)
        execute(plan, files, data, clock, lambda: False)
        seconds = time.perf_counter() - clock.began
        return seconds, evaluate(plan, files, data, [m.name for m in plan.members]).metrics.error


def small_fashion(folder: Path) -> str:
    """Write the first images of every class of Fashion-MNIST, scaled down, as a folder data set."""
    target = folder / "fashion"
    if (target / "complete").exists():
        return f"folder:{target}"
    data = load_data(find_facts("fashion-mnist"), folder)
    for split, part, count in (("train", data.train, TRAIN_A_CLASS), ("test", data.test, TEST_A_CLASS)):
        scaled = resize(part.images, [SIZE, SIZE], antialias=True)
        for label in range(data.facts.task.classes):
            place = target / split / str(label)
            place.mkdir(parents=True, exist_ok=True)
            for number, image in enumerate(scaled[part.labels == label][:count]):
                write_png(image, str(place / f"{number:04d}.png"))
    (target / "complete").touch()
    return f"folder:{target}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--work", type=Path, default=None, help="folder of the data; default: a temporary folder"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = given.work or Path(temporary)
        root.mkdir(parents=True, exist_ok=True)
        facts = find_facts(small_fashion(root))
        rows = measured(load_data(facts, root), root)
    ours, alike, without = (
        min(r["seconds"] for r in rows if (r["by"], r["validated"]) == which)
        for which in (("us", True), ("library", True), ("library", False))
    )
    result = {
        "device": f"{platform.machine()} CPU, 2 cores",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "torchensemble", "torchvision")},
        "date": datetime.now(UTC).date().isoformat(),
        "network": NETWORK,
        "members": MEMBERS,
        "epochs": EPOCHS,
        "settings": rows,
        "times_faster": alike / ours,
        "times_faster_than_without_validation": without / ours,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(f"ours is {result['times_faster']:.2f} times as fast as the library's best setting")


def measured(data: Data, root: Path) -> list[dict]:
    """Return the median seconds and the mean error of every setting."""
    settings = [("us", None, b, True) for b in (False, True)]
    settings += [
        ("library", jobs, b, alike)
        for jobs in (None, 2, MEMBERS)
        for b in (False, True)
        for alike in (True, False)
    ]
    found: dict[tuple, list[tuple[float, float]]] = {s: [] for s in settings}
    for number in range(ROUNDS):
        random.Random(number).shuffle(settings)
        for side, jobs, bfloat16, alike in settings:
            outcome = by_us(data, root, bfloat16) if side == "us" else by_library(data, jobs, bfloat16, alike)
            found[side, jobs, bfloat16, alike].append(outcome)
            print(
                f"{side:8} jobs {jobs} bfloat16 {bfloat16} validated {alike}: "
                f"{outcome[0]:.1f} s, {outcome[1]:.2%}",
                flush=True,
            )
    return [
        {
            "by": side,
            "jobs": jobs,
            "bfloat16": bfloat16,
            "validated": alike,
            "seconds": statistics.median(s for s, _ in outcomes),
            "range": [min(s for s, _ in outcomes), max(s for s, _ in outcomes)],
            "error": statistics.fmean(e for _, e in outcomes),
        }
        for (side, jobs, bfloat16, alike), outcomes in found.items()
    ]


if __name__ == "__main__":
    main()
