"""The first minutes with a GPU: whatever was never run on one, in the order of what it tells.

    make gpu-check                                     # on the machine of the device, 8 minutes at most
    python benchmarks/gpu_check.py --part training     # one part; those that are finished stay
    python benchmarks/gpu_check.py --dry               # tiny sizes on a CPU: that the script itself works

1. `tests`: the tests that need a CUDA device.
2. `layers`: one network of every family: its longest layers, and the peak of memory by formula beside the
   measured one. Layers add up to the step by construction (`profiler.steps`).
3. `cost`: the cost model, fitted to a few measurements and judged on others (`cost/cost_model.py`).
4. `thin`: 1, 4, 8 and 16 thin ResNets: images a second with eager steps one after the other, with graphs one
   after the other, with graphs on a stream each, and stacked (`gpu_stacked.py`), in turns. And how far the
   weights of eager steps and graphs differ after the same steps.
5. `classes`: a step of a single network, and of its width- and depth-equivalent ensembles of four, as a share
   of the single network's; by the paper (V100) that is 1 and 2.
6. `training`: recommend, train, train again, kill -9 in the middle of a third training, resume.

Every part is kept as soon as it ends, so that a check that was stopped goes on. Needs no network. Writes
benchmarks/results/gpu-DEVICE.json; `--dry` writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gpu_thin
import torch

from advisor.cost.measurement import LayerTime
from advisor.cost.memory.peak import training_bytes
from advisor.plans.dataset import DATASETS
from profiler.isolate import MeasuringProcess
from profiler.steps import StepTimes

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
LONGEST = 480.0
# Seconds of the measurement of a step.
SECONDS = 1.0
# Lines of errors that are kept at most.
SHOWN = 8


@dataclass(frozen=True)
class Sizes:
    """What is measured, on a device or dry.

    Attributes:
        device: ``cuda`` or ``cpu``.
        networks: one network of every family.
        dataset: data set whose images they see.
        single: single network whose equivalents are compared.
        thin: thin network.
        steps: steps of a thin network.
        trained: design that is trained, killed and resumed.
        epochs: its epochs.
        members: members of the equivalents.
        tested: files of the tests; none for those that need a device.
    """

    device: str
    networks: tuple[str, ...]
    dataset: str
    single: str
    thin: str
    steps: int
    trained: str
    epochs: int
    members: int
    tested: tuple[str, ...]


REAL = Sizes(
    device="cuda",
    networks=("resnet-20-16", "wrn-16-4", "vgg-16-64", "densenet-40-12", "mlp-3-512"),
    dataset="cifar10",
    single="resnet-26-16",
    thin="resnet-20-8",
    steps=50,
    trained="4xresnet-20-16@g1",
    epochs=12,
    members=4,
    tested=(),
)
DRY = Sizes(
    device="cpu",
    networks=("resnet-8-4", "mlp-1-8"),
    dataset="digits",
    single="resnet-14-8",
    thin="resnet-8-4",
    steps=2,
    trained="2xresnet-8-4@g1",
    epochs=8,
    members=2,
    tested=("tests/profiler/test_clock.py",),
)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the checkout."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def advisor(home: Path, *arguments: str) -> dict[str, Any]:
    """Return the answer of a command."""
    done = python("-m", "cli", "--home", str(home), *arguments, "--json", "--quiet")
    if done.returncode:
        raise RuntimeError(f"advisor {' '.join(arguments)}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


def tests(sizes: Sizes, home: Path) -> dict[str, Any]:
    """Run the tests that need a device."""
    # Only their files: collecting all tests takes longer than these, and needs packages that they do not.
    marked = [f for f in (ROOT / "tests").rglob("test_*.py") if "mark.gpu" in f.read_text()]
    tested = sizes.tested or tuple(str(f) for f in sorted(marked))
    done = python("-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *tested)
    lines = done.stdout.strip().splitlines()
    failed = [line.split()[1] for line in lines if line.startswith(("FAILED", "ERROR"))]
    errors = [line[1:].strip() for line in lines if line.startswith("E  ")]
    return {"summary": lines[-1], "tests_that_failed": failed, "errors": errors[:SHOWN]}


def layers(sizes: Sizes, home: Path) -> dict[str, Any]:
    """Measure one network of every family in one process, and the first by the command as well."""
    found = {}
    with MeasuringProcess(sizes.device, 1) as process:
        process.wait_until_ready()
        for network in sizes.networks:
            process.begin(gpu_thin.workload(sizes, network), SECONDS)
            times = process.finish(LONGEST)
            found[network] = _layers(network, times, sizes) if times else {"failed": "no result"}
    by_command = advisor(
        home, "profile", sizes.networks[0], "--dataset", sizes.dataset, "--device", sizes.device
    )
    return {"networks": found, "by_command_step_ms": round(1e3 * by_command["step"]["step_seconds"], 3)}


def _longest(layers: Sequence[LayerTime]) -> dict[str, float]:
    """Return the milliseconds of the three layers that take longest."""
    seconds = {layer.name: layer.forward_seconds + layer.backward_seconds for layer in layers}
    return {name: round(1e3 * seconds[name], 3) for name in sorted(seconds, key=lambda n: -seconds[n])[:3]}


def _layers(network: str, times: StepTimes, sizes: Sizes) -> dict[str, Any]:
    facts = DATASETS[sizes.dataset]
    formula = training_bytes(network, facts.task, facts.batch, "bfloat16", "channels_last")
    return {
        "step_ms": round(1e3 * times.step, 3),
        "longest_layers_ms": _longest(times.layers),
        "formula_over_measured": round(formula / times.peak_bytes, 3) if times.peak_bytes else None,
        "inference_ms_per_image": round(1e3 * times.inference / facts.batch, 4),
        "watts": times.watts,
    }


def cost(sizes: Sizes, home: Path) -> dict[str, Any]:
    """Judge the cost model."""
    if sizes.device == "cpu":
        # Minutes, whatever the sizes: it has a committed result of its own on a CPU.
        return {"skipped": "dry"}
    with tempfile.TemporaryDirectory() as folder:
        script = ROOT / "benchmarks" / "cost" / "cost_model.py"
        work = Path(folder) / "work.jsonl"
        done = python(str(script), "--device", sizes.device, "--quick", "--work", str(work))
    if done.returncode:
        raise RuntimeError("; ".join(done.stderr.strip().splitlines()[-SHOWN:]))
    notes = [line for line in done.stderr.splitlines() if not line.startswith("pass ")]
    return {"table": done.stdout.splitlines(), "notes": notes[:SHOWN]}


def training(sizes: Sizes, home: Path) -> dict[str, Any]:
    """Recommend; then train three times by the same plan, the third time with kill -9 in the middle."""
    asked = ("--dataset", "digits", "--device", sizes.device)
    began = time.perf_counter()
    advice = advisor(
        home, "recommend", *asked, "--budget", "60k", "--epochs", "20", "--family", "resnet",
        *("--profile-seconds", "20" if sizes.device == "cuda" else "0", "--probe", "0", "--trials", "40"),
    )  # fmt: skip
    recommended = time.perf_counter() - began
    train = ("train", sizes.trained, *asked, "--epochs", str(sizes.epochs))
    whole, repeated = (advisor(home, *train)["run"] for _ in range(2))
    killed = _killed_in_the_middle(home, train, repeated["id"] + 1)
    resumed = advisor(home, "resume", str(repeated["id"] + 1))["run"]
    return {
        "recommended": advice["recommendations"][0]["design"],
        "recommend_seconds": round(recommended, 1),
        "trained": sizes.trained,
        "train_seconds": round(whole["train_seconds"], 2),
        "epochs_before_the_kill": killed,
        # Every process chooses its kernels anew on a GPU, so even two undisturbed trainings may not agree.
        "repeated_agrees": whole["test"] == repeated["test"],
        "resumed_agrees": whole["test"] == resumed["test"],
        "test_errors": [run["test"]["error"] for run in (whole, repeated, resumed)],
    }


def _killed_in_the_middle(home: Path, train: tuple[str, ...], run: int) -> int:
    """Start a training, kill it after a few epochs, and return how many were stored."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "--home", str(home), *train, "--quiet"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    ends = time.monotonic() + 120
    while _epochs(home, run) < 3 and process.poll() is None and time.monotonic() < ends:
        time.sleep(0.01)
    stored = _epochs(home, run)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return stored


def _epochs(home: Path, run: int) -> int:
    with closing(sqlite3.connect(home / "advisor.sqlite")) as connection:
        return int(connection.execute("SELECT count(*) FROM epochs WHERE run_id = ?", (run,)).fetchone()[0])


PARTS: dict[str, Callable[[Sizes, Path], dict[str, Any]]] = {
    "tests": tests,
    "layers": layers,
    "thin": lambda sizes, home: gpu_thin.thin(sizes),
    "classes": lambda sizes, home: gpu_thin.classes(sizes),
    "training": training,
    "cost": cost,
}


def check(sizes: Sizes, chosen: list[str], result: dict[str, Any], keep: Callable[[], None]) -> None:
    """Run parts that are missing, and keep each; a part that fails is kept as its error.

    Args:
        sizes: what is measured.
        chosen: names of the parts.
        result: parts that are finished, by their names; receives the others.
        keep: function that writes the result down.
    """
    ends = time.monotonic() + LONGEST
    with tempfile.TemporaryDirectory() as home:
        for name in chosen:
            if "failed" not in result.get(name, {"failed": ""}):
                continue
            if time.monotonic() > ends:
                print(f"{name}: no time left; run the check again")
                continue
            began = time.monotonic()
            try:
                result[name] = PARTS[name](sizes, Path(home))
            except Exception as error:
                result[name] = {"failed": " ".join(str(error).split())[:1000] or type(error).__name__}
            result[name]["seconds"] = round(time.monotonic() - began, 1)
            keep()
            print(f"{name}: {json.dumps(result[name])}", flush=True)


def device_name(device: str) -> str:
    """Return the name of the device, as a part of a file's name."""
    name = torch.cuda.get_device_name() if device == "cuda" else "dry"
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry", action="store_true", help="tiny sizes on a CPU; nothing is written")
    parser.add_argument("--part", choices=PARTS, help="only one of the six, again")
    given = parser.parse_args()
    sizes = DRY if given.dry else REAL
    if sizes.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch finds no CUDA device here: run this on a machine that has one, or --dry")
    path = RESULTS / f"gpu-{device_name(sizes.device)}.json"
    result = json.loads(path.read_text()) if path.is_file() and not given.dry else {}
    result["about"] = {
        "device": device_name(sizes.device),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "date": datetime.now(UTC).date().isoformat(),
    }
    if given.part:
        result.pop(given.part, None)

    def keep() -> None:
        if not given.dry:
            path.write_text(json.dumps(result, indent=2) + "\n")

    check(sizes, [given.part] if given.part else list(PARTS), result, keep)
    failed = [name for name in PARTS if "failed" in result.get(name, {})]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
