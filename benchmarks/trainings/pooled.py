"""What the trainings of both grids say about any other data set: `advisor/accuracy/pooled.json`.

    python benchmarks/trainings/pooled.py     # trains nothing

All trainings are fitted together by the accuracy predictor, whose prior for a data set then becomes what the
data sets of the grids have in common (empirical Bayes): mean and standard deviation of every parameter of one
data set are estimated from the posterior, and the fit is repeated with them, `ROUNDS` times. Parameters that
all data sets share have the mean and covariance of the last posterior.

The number of data sets is small, so the standard deviations start from those of the published studies and
count as `GUESSED` data sets.

The parts of Fashion-MNIST at 28×28 are one data set, of which networks saw a part of the images. The file has
one entry for every origin that is left out, and one that leaves out nothing. Trainings on the data set that
`grid2.py` sets aside are never read.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from grid2 import SET_ASIDE

from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.pooled import BY_IMAGES, FILE, NOTHING, USUAL_IMAGES, Pooled
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.accuracy.prior import ANCHORS, prior_of
from advisor.accuracy.sources.reported import read_reported
from cli.workflows.forecast.evidence import evidence_of_reported

RESULTS = Path(__file__).parent / "results"
GRIDS = (RESULTS / "advice-cpu.csv", RESULTS / "grid2-cpu.csv")
# Beginnings of the names of data sets of one origin, and the origins that the file leaves out.
ORIGINS = ("digits", "fashion", "icons")
WHOLE = {"fashion-28x28": 8000}
# Training images of the data sets.
TRAIN_IMAGES = {
    "digits": 1077,
    "fashion-14x14-400": 400,
    "fashion-14x14-4000": 4000,
    "fashion-14x14-4000-noisy": 4000,
    "fashion-28x28": 8000,
    "icons": 1741,
    "cifar10": 45_000,
    "cifar100": 45_000,
}
ROUNDS, GUESSED = 3, 2
# Parameters of one data set that trainings elsewhere say something about. What they have in common is theirs
# alone in a data set's parameters that have no global counterpart.
WITH_MEAN = ("logit_floor", "log_tau")
WITHOUT_MEAN = ("alpha_on", "s_on", "c_on", "nu_on", "depth_on", "delta_on", "omega_on", "hatched_on")
SHARED = ("log_method/mothernets", "log_u/resnet", "log_alpha/resnet", "logit_s/resnet")


def trainings(files: Sequence[Path] = GRIDS) -> Iterator[TrainedEvidence]:
    """Yield the trainings of both grids, without those on the data set that is set aside."""
    for file in files:
        text = file.read_text()
        reported = read_reported(text[: text.rfind("\n") + 1], file.name)
        kept = [training for training in reported if training.dataset != SET_ASIDE]
        for training, e in zip(kept, evidence_of_reported(kept), strict=True):
            yield _renamed(e, training.train_images)


def _renamed(e: TrainedEvidence, images: int) -> TrainedEvidence:
    """Return a training under the name of the data set that its images are a part of."""
    whole = next((name for name in WHOLE if e.dataset.startswith(name)), None)
    if whole is None:
        return e
    return replace(e, dataset=whole, image_share=images / WHOLE[whole])


def origin_of(dataset: str) -> str:
    """Return the origin of a data set."""
    return next(origin for origin in ORIGINS if dataset.startswith(origin))


def pooled(evidence: Sequence[TrainedEvidence], say: Any = print) -> Pooled:
    """Return what trainings say about any other data set."""
    datasets = sorted({e.dataset for e in evidence})
    found = None
    for number in range(ROUNDS):
        began = time.monotonic()
        accuracy = AccuracyPredictor(
            datasets, evidence, pooled=found and _normals_alone(found), images=TRAIN_IMAGES
        )
        found = _summary(accuracy, datasets, len(evidence))
        say(f"  round {number + 1}: {time.monotonic() - began:.0f} s", flush=True)
    return found


def _normals_alone(found: Pooled) -> Pooled:
    """Return only what is said of parameters of one data set, so that no training counts twice."""
    return replace(found, names=(), mean=np.empty(0), covariance=np.empty((0, 0)))


def _summary(accuracy: AccuracyPredictor, datasets: Sequence[str], count: int) -> Pooled:
    samples, index = accuracy._posterior.samples, accuracy._index
    first = prior_of(["new"])
    guess = dict(zip(first.names, zip(first.mean, np.diag(first.root), strict=True), strict=True))
    # CIFAR counts too: without large data, size would seem to matter nowhere.
    known = (*datasets, *ANCHORS)
    normals, slope = {}, 0.0
    for name in (*WITH_MEAN, *WITHOUT_MEAN):
        drawn = samples[:, [index[f"{name}/{dataset}"] for dataset in known]]
        middle, std = guess[f"{name}/new"]
        design = np.ones((len(known), 1 + (name == BY_IMAGES)))
        if name == BY_IMAGES:
            design[:, 1] = [np.log(TRAIN_IMAGES[dataset] / USUAL_IMAGES) for dataset in known]
        if name in WITHOUT_MEAN:
            fitted, widening = np.zeros(len(known)), 1.0
        else:
            # Ridge towards the guess, which counts as GUESSED data sets.
            penalty = np.diag([GUESSED] + [0.1] * (design.shape[1] - 1))
            coefficients = np.linalg.solve(
                design.T @ design + penalty, design.T @ drawn.mean(axis=0) + penalty[:, 0] * middle
            )
            fitted, middle = design @ coefficients, float(coefficients[0])
            slope = float(coefficients[1]) if name == BY_IMAGES else slope
            widening = np.sqrt(1 + 1 / len(known))
        squares = ((drawn - fitted) ** 2).mean(axis=0).sum() + GUESSED * std**2
        normals[name] = (
            round(middle, 4),
            round(float(np.sqrt(squares / (len(known) + GUESSED)) * widening), 4),
        )
    prior = prior_of([])
    names = [name for name in prior.names if "/" not in name or name in SHARED]
    drawn = samples[:, [index[name] for name in names]]
    return Pooled(tuple(names), drawn.mean(axis=0), np.cov(drawn.T), normals, round(slope, 4), count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, default=FILE, help="JSON file that is written")
    given = parser.parse_args()
    evidence = list(trainings())
    present = {origin_of(e.dataset) for e in evidence}
    without: dict[str, Any] = {}
    for origin in (NOTHING, *(origin for origin in ORIGINS if origin in present)):
        print(f"without {origin or 'nothing'}")
        kept = [e for e in evidence if origin_of(e.dataset) != origin]
        without[origin] = _json(pooled(kept))
    given.file.write_text(
        json.dumps(
            {
                "python": platform.python_version(),
                "versions": {name: version(name) for name in ("numpy", "scipy")},
                "date": datetime.now(UTC).date().isoformat(),
                "without": without,
            }
        )
        + "\n"
    )


def _json(found: Pooled) -> dict[str, Any]:
    return {
        "names": list(found.names),
        "mean": [round(float(x), 5) for x in found.mean],
        "covariance": [[float(f"{x:.5g}") for x in row] for row in found.covariance],
        "normals": found.normals,
        "floor_slope": found.floor_slope,
        "trainings": found.trainings,
    }


if __name__ == "__main__":
    main()
