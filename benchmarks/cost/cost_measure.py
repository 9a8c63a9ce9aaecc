"""Measurements of the designs of `cost_model.py`: in fresh processes, in random order, twice and far apart.

    python benchmarks/cost/cost_measure.py [--device cpu] [--quick] [--work FILE]

The script appends a line of JSON for each job to a working file and skips jobs that the file has. It can be
stopped and run again at any time. A pass does every job once in random order. The second pass begins after
the first, so that two measurements of a design are far apart in time.

A job of the pool is a measurement as `advisor recommend` makes it, with a dozen measurements per process. A
job of the test set or of the development set has its own process. It measures the step (time, inference, peak
memory) and then trains for a few real epochs by the trainer's own loop, on 1,024 images with 256 for
validation. Its epoch time is that of the epoch records (batches, augmentation, optimizer, evaluation).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

DESIGNS = Path(__file__).with_name("cost_model_designs.json")
QUICK_TEST, QUICK_POOL = 8, 16
PASSES = 2
TRAIN_IMAGES, VALIDATION_IMAGES = 1024, 256
SECONDS = 1.0
POOL_AT_ONCE = 12
LONGEST_SECONDS = 120.0
# Multiply-adds per image above which a network trains for two epochs instead of four.
LARGE_MACS = 1e7


def frozen_designs() -> dict:
    """Return the lists of designs, which were drawn before anything was fitted."""
    return json.loads(DESIGNS.read_text())


def facts_of_subset():
    """Return the facts of the images of the real epochs."""
    from advisor.plans.dataset import dataset_named

    facts = dataset_named(frozen_designs()["dataset"])
    return replace(facts, train_images=TRAIN_IMAGES, validation_images=VALIDATION_IMAGES)


def execution_on(device: str):
    """Return the settings of every measurement: float32, channels last, one thread."""
    from advisor.plans.execution import Execution

    return Execution(device=device, processes=1, threads=1, dtype="float32", memory_format="channels_last")


def workload(network: str, batch: int, device: str):
    """Return the trainer's step of a network as a workload."""
    from trainer.training.workload import StepWorkload

    facts = facts_of_subset()
    return StepWorkload(
        network=network,
        task=facts.task,
        batch=batch,
        augmentation=facts.augmentation,
        execution=execution_on(device),
    )


def jobs_of(quick: bool, pass_number: int) -> list[tuple[str, list]]:
    """Return the jobs of a pass in its own random order: (kind, [[network, batch], …])."""
    lists = frozen_designs()
    chance = random.Random(pass_number)
    pool, test, develop = list(lists["pool"]), list(lists["test"]), list(lists["develop"])
    chance.shuffle(pool)
    if quick:
        chance = random.Random(0)
        pool, test, develop = chance.sample(pool, QUICK_POOL), chance.sample(test, QUICK_TEST), []
    # The predictor is fitted on the pool, which a user measures once, too.
    if pass_number:
        pool = []
    jobs = [("pool", pool[i : i + POOL_AT_ONCE]) for i in range(0, len(pool), POOL_AT_ONCE)]
    # Quickly: all in one process, whose start takes longer than a measurement.
    jobs += [("test", test)] if quick else [("test", [row]) for row in test]
    jobs += [("develop", [row]) for row in develop]
    random.Random(100 + pass_number).shuffle(jobs)
    return jobs


def measured(kind: str, rows: list, device: str) -> Iterator[dict]:
    """Yield a result for each row of a job, in a fresh process for the job."""
    if kind == "pool":
        yield from _measured_pool(rows, device)
        return
    command = [sys.executable, __file__, "--designs", json.dumps(rows), "--device", device]
    # A line at a time: what was measured stays if the process dies, or this one.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        print(f"measuring ended early, among {rows}", file=sys.stderr)


def _measured_pool(rows: list, device: str) -> Iterator[dict]:
    from profiler.device import quiet_cores
    from profiler.isolate import MeasuringProcess

    with MeasuringProcess(device, 1, quiet_cores(1)) as process:
        process.wait_until_ready()
        for network, batch in rows:
            process.begin(workload(network, batch, device), SECONDS)
            times = process.finish(LONGEST_SECONDS)
            if times is not None and times.fits:
                yield {"network": network, "batch": batch, **_plain(times)}


def _settle(device: str) -> None:
    """Keep this process to one thread, and on a CPU to one core that nobody else uses."""
    import torch

    from profiler.device import pin_to, quiet_cores

    if device == "cpu":
        pin_to(quiet_cores(1))
    torch.set_num_threads(1)


def measure_one(network: str, batch: int, device: str) -> dict:
    """Measure a step, then train for real epochs; a new process calls this function."""
    from profiler.memory import watch_peak
    from profiler.steps import measure_step

    # The first call loads libraries, whose memory belongs to the idle process.
    watch_peak(device)
    times = measure_step(workload(network, batch, device), device, SECONDS)
    result = {"network": network, "batch": batch, **_plain(times)}
    seconds, reference = _real_epochs(network, batch, device)
    return result | {"epoch_seconds": statistics.fmean(seconds), "epoch_reference": reference}


def _real_epochs(network: str, batch: int, device: str) -> tuple[list[float], float | None]:
    """Return the seconds of real epochs, and the seconds of the reference convolution during them.

    The trainer asks before every batch whether to stop. The reference is sampled at that moment, and the time
    of the samples is subtracted from the epoch.
    """
    from advisor.cost.features import features_of
    from advisor.designs.design import parse_design
    from advisor.plans.methods import make_plan
    from advisor.plans.records import EpochRecord
    from profiler.clock import Reference
    from trainer.events import Notice
    from trainer.training.loop import NetworkTraining

    facts = facts_of_subset()
    data = _random_data(facts).to(device)
    epochs = 2 if features_of(network, facts.task).macs > LARGE_MACS else 4
    plan = make_plan(
        parse_design(network), facts, epochs=epochs, batch=batch, seed=0, execution=execution_on(device)
    )
    reference = Reference()
    seconds: list[float] = []
    spent = [0.0]

    def tell(event) -> None:
        if isinstance(event, EpochRecord):
            seconds.append(event.seconds - (reference.spent - spent[0]))
            spent[0] = reference.spent
        elif isinstance(event, Notice):
            print(event.text, file=sys.stderr)

    def asked() -> bool:
        if device == "cpu":
            reference.sample()
        return False

    with tempfile.TemporaryDirectory() as folder:
        NetworkTraining(plan, plan.steps[0], data, Path(folder), tell, asked).run()
    return seconds, reference.seconds


def _random_data(facts):
    """Return random images of a data set's shape, because a machine may not have the data set itself."""
    import torch

    from trainer.data.loading import Data, Split

    generator = torch.Generator().manual_seed(0)
    task = facts.task

    def split(count: int) -> Split:
        shape = (count, task.channels, task.height, task.width)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        return Split(images, torch.randint(0, task.classes, (count,), generator=generator))

    return Data(
        facts,
        split(TRAIN_IMAGES),
        split(VALIDATION_IMAGES),
        split(VALIDATION_IMAGES),
        torch.full((task.channels,), 0.5),
        torch.full((task.channels,), 0.25),
    )


def _plain(times) -> dict:
    plain = asdict(times)
    plain["layers"] = [
        [
            t["name"],
            *(float(f"{t[k]:.4g}") for k in ("forward_seconds", "backward_seconds", "inference_seconds")),
        ]
        for t in plain["layers"]
    ]
    return plain


def run(device: str, quick: bool, work: Path) -> None:
    """Measure every job that the working file lacks."""
    done = {(r["kind"], r["pass"], r["network"], r["batch"]) for r in read(work)}
    for number in range(1 if quick else PASSES):
        for kind, rows in jobs_of(quick, number):
            left = [row for row in rows if (kind, number, *row) not in done]
            if left:
                _append(work, kind, number, measured(kind, left, device))


def _append(work: Path, kind: str, number: int, results: Iterator[dict]) -> None:
    for result in results:
        # Only the pool needs layers, which the predictor is fitted on. Other designs need the whole step.
        result = result if kind == "pool" else result | {"layers": []}
        line = {"kind": kind, "pass": number, "at": round(time.time()), "load": os.getloadavg()[0], **result}
        with work.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(f"pass {number + 1} {kind:8} {result['network']} at batch {result['batch']}", file=sys.stderr)


def read(work: Path) -> list[dict]:
    """Return the rows of the working file without a line that was cut short by a kill."""
    if not work.exists():
        return []
    rows = []
    for line in work.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--quick", action="store_true", help="measure a part of the designs, once each")
    parser.add_argument("--work", type=Path, default=Path(".cost-model.jsonl"), help="working file")
    parser.add_argument(
        "--designs", type=json.loads, help="measure [[network, batch], …] and print a line for each"
    )
    given = parser.parse_args()
    if given.designs:
        _settle(given.device)
        for network, batch in given.designs:
            print(json.dumps(measure_one(network, batch, given.device)), flush=True)
    else:
        run(given.device, given.quick, given.work)


if __name__ == "__main__":
    main()
