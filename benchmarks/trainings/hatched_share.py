"""How long should a hatched member train, and how much noise should it start with?

For every share of the schedule and every noise, MotherNets with one cluster is trained with several seeds.
The ensemble is scored on *validation* images only; the test set is never read. The result supports the
default `advisor.plans.methods.HATCHED_SHARE`. In the committed result, hatched members trained by the steps
of the recipe, as before ADR 10. The data sets are digits as shipped, and 6,000 images of Fashion-MNIST
(Debian's dataset-fashion-mnist).

    python benchmarks/trainings/hatched_share.py            # about 25 minutes on two cores, resumable
    python benchmarks/trainings/hatched_share.py --quick    # digits, one seed

Writes benchmarks/trainings/results/hatched_share.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t as student

from advisor.designs.design import parse_design
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import Execution
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import HatchStep, TrainingPlan
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from trainer.data.loading import Data, Split, find_facts, load_data
from trainer.ensembles.metrics import Predictions, ensemble_metrics
from trainer.events import Event, Notice
from trainer.execution.execute import execute
from trainer.run_files import RunFiles
from trainer.training.stored_probabilities import unpack_probabilities

RESULT = Path(__file__).parent / "results" / "hatched_share.json"
DESIGN = "4xresnet-8-8@g1"
SHARES = (0.1, 0.2, 0.3, 0.5)
NOISES = (1e-3, 0.2)
EXECUTION = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="channels_last")


class LastEpochs:
    """Receiver of events that keeps the newest epoch of every network."""

    def __init__(self) -> None:
        self.newest: dict[str, EpochRecord] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case EpochRecord():
                self.newest[event.network] = event
            case StepRecord():
                assert event.status is StepStatus.DONE, event
            case Notice(text):
                print(text)


def no_memory(device: str):
    return lambda: None


def data_set(name: str) -> tuple[DatasetFacts, Data, int]:
    """Return the facts, images and epochs of a data set of the benchmark."""
    facts = find_facts(name)
    data = load_data(facts, Path(tempfile.gettempdir()))
    if name == "digits":
        return facts, data, 20
    kept = 6000
    subset = replace(facts, train_images=kept, batch=64)
    train = Split(data.train.images[:kept], data.train.labels[:kept])
    validation = Split(data.validation.images[:3000], data.validation.labels[:3000])
    return subset, Data(subset, train, validation, data.test, data.mean, data.deviation), 10


def plan_of(facts: DatasetFacts, epochs: int, share: float, noise: float, seed: int) -> TrainingPlan:
    plan = make_plan(
        parse_design(DESIGN),
        facts,
        epochs=epochs,
        batch=facts.batch,
        seed=seed,
        execution=EXECUTION,
        options=PlanOptions(hatched_epochs=max(round(share * epochs), 1)),
    )
    steps = tuple(replace(s, noise=noise) if isinstance(s, HatchStep) else s for s in plan.steps)
    return replace(plan, steps=steps)


def score(facts: DatasetFacts, data: Data, plan: TrainingPlan) -> dict[str, float]:
    """Train a plan and return the ensemble's figures on the validation images."""
    newest = LastEpochs()
    with tempfile.TemporaryDirectory() as folder:
        files = RunFiles(folder=Path(folder), data_root=Path(folder), watch=no_memory)
        execute(plan, files, data, newest, lambda: False)
    outputs = [
        unpack_probabilities(newest.newest[m.name].validation_probabilities, facts.task.classes)
        for m in plan.members
    ]
    validation = Predictions(np.stack(outputs), data.validation.labels.numpy())
    figures = ensemble_metrics(validation, validation)
    return {
        "error": figures.error,
        "mean_member_error": figures.mean_member_error,
        "disagreement": figures.disagreement,
        "mother_error": newest.newest["mother-1"].validation_error,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="train on digits with one seed; nothing is written"
    )
    quick = parser.parse_args().quick
    jobs = [("digits", seed) for seed in range(1 if quick else 5)]
    jobs += [] if quick else [("fashion-mnist", seed) for seed in range(2)]
    result = json.loads(RESULT.read_text()) if RESULT.exists() and not quick else {"runs": []}
    done = {(r["dataset"], r["seed"], r["share"], r["noise"]) for r in result["runs"]}
    sets = {name: data_set(name) for name in dict.fromkeys(name for name, _ in jobs)}
    for name, seed in jobs:
        facts, data, epochs = sets[name]
        for share in SHARES:
            for noise in NOISES:
                if (name, seed, share, noise) in done:
                    continue
                figures = score(facts, data, plan_of(facts, epochs, share, noise, seed))
                row = {"dataset": name, "seed": seed, "share": share, "noise": noise, **figures}
                result["runs"].append(row)
                print(json.dumps(row), flush=True)
                if not quick:
                    write(result)
    table(result["runs"])


def write(result: dict) -> None:
    result["design"], result["split"] = DESIGN, "validation"
    result["device"] = f"{platform.machine()} CPU, 1 thread"
    result["versions"] = {"python": platform.python_version(), "torch": torch.__version__}
    result["date"] = datetime.now(UTC).date().isoformat()
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


def table(runs: list[dict]) -> None:
    """Print means over seeds with 90 % t-intervals."""
    print(f"{'data':14} {'share':>5} {'noise':>6} {'error %':>14} {'member %':>9} {'disagree %':>10} runs")
    for key in sorted({(r["dataset"], r["share"], r["noise"]) for r in runs}):
        rows = [r for r in runs if (r["dataset"], r["share"], r["noise"]) == key]
        errors = np.array([100 * r["error"] for r in rows])
        half = float("nan")
        if len(errors) > 1:
            half = student.ppf(0.95, len(errors) - 1) * errors.std(ddof=1) / np.sqrt(len(errors))
        member = np.mean([100 * r["mean_member_error"] for r in rows])
        differ = np.mean([100 * r["disagreement"] for r in rows])
        print(
            f"{key[0]:14} {key[1]:5} {key[2]:6} {errors.mean():7.2f} ± {half:4.2f} {member:9.2f} "
            f"{differ:10.2f} {len(rows)}"
        )


if __name__ == "__main__":
    main()
