"""Rectifiers by kernels of whole numbers beside torch's: single maps, and whole steps, on one core.

    taskset -c 1 python benchmarks/rectifier.py          # some six minutes of a quiet machine

The maps are bfloat16, channels last. Steps are those of the trainer on synthetic images, in bfloat16 and
three ways: with torch's rectifier, as they are now, and compiled. Whatever is compared takes turns. Seconds
are those of the thread, without the time that other programs have the core. `same_bits` tells whether the
weights are the same after all steps, with torch's rectifier and now. Writes results/rectifier-PROCESSOR.json.
"""

from __future__ import annotations

import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from os import environ
from pathlib import Path

import torch
from speed_dense import cpu_slug, thread_seconds
from torch import nn

from advisor.plans.dataset import DATASETS
from advisor.plans.execution import COMPILED, EAGER, Execution
from profiler.device import processor_name
from trainer.networks.rectifier import ReLU
from trainer.training.heap import keep_freed_memory
from trainer.training.step import unmarked
from trainer.training.workload import PreparedStep, StepWorkload

RESULTS = Path(__file__).parent / "results"
NETWORKS = ("resnet-20-16", "wrn-16-2", "vgg-16-16", "densenet-40-12")
# Sizes of maps, in MiB.
SIZES = (1, 4, 16, 64)
WARM_UP, TURNS = 4, 9


def in_turns(ways: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Return the seconds of every way, after turns that are not counted."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(WARM_UP + TURNS):
        for way, work in ways.items():
            taken = thread_seconds(work)
            if turn >= WARM_UP:
                seconds[way].append(taken)
    return seconds


def of_map(size: int) -> dict[str, object]:
    """Compare a forward and a backward pass of one map."""
    channels = 64
    maps = torch.randn(size * 2**20 // (2 * channels * 256), channels, 16, 16).bfloat16()
    maps = maps.contiguous(memory_format=torch.channels_last).requires_grad_()
    slopes, made = torch.randn_like(maps), maps * 1

    def forward(layer: nn.Module) -> Callable[[], object]:
        def work() -> None:
            with torch.inference_mode():
                layer(made)

        return work

    def backward(layer: nn.Module) -> Callable[[], object]:
        output = layer(maps.clone())
        return lambda: torch.autograd.grad(output, maps, slopes, retain_graph=True)

    ways = {"torch": nn.ReLU(inplace=True), "now": ReLU()}
    return {
        "mib": size,
        "forward_ms": _medians_ms(in_turns({way: forward(layer) for way, layer in ways.items()})),
        "backward_ms": _medians_ms(in_turns({way: backward(layer) for way, layer in ways.items()})),
    }


def _medians_ms(seconds: dict[str, list[float]]) -> dict[str, float]:
    return {way: round(1e3 * statistics.median(taken), 3) for way, taken in seconds.items()}


def prepared(network: str, mode: str) -> PreparedStep:
    facts = DATASETS["cifar10"]
    execution = Execution(
        device="cpu",
        processes=1,
        threads=1,
        dtype="bfloat16",
        memory_format="channels_last",
        step_mode=mode,
    )
    step = StepWorkload(
        network=network,
        task=facts.task,
        batch=facts.batch,
        augmentation=facts.augmentation,
        execution=execution,
    ).prepare()
    step.rate = 0.1
    return step


def of_network(network: str) -> dict[str, object]:
    """Compare steps of a network."""
    before, now = prepared(network, EAGER), prepared(network, EAGER)
    for name, layer in before.module.layers.items():
        if isinstance(layer, ReLU):
            before.module.layers[name] = nn.ReLU(inplace=True)
    began = time.perf_counter()
    compiled = prepared(network, COMPILED)
    built = time.perf_counter() - began
    steps = {"torch": before, "now": now, "now compiled": compiled}
    seconds = in_turns({way: lambda step=step: step.train_step(unmarked) for way, step in steps.items()})
    pairs = zip(before.module.parameters(), now.module.parameters(), strict=True)
    return {
        "network": network,
        "step_ms": _medians_ms(seconds),
        "least_and_largest_ms": {w: [round(1e3 * f(s), 1) for f in (min, max)] for w, s in seconds.items()},
        # The middle of the ratios of single turns.
        "speed": {
            way: round(statistics.median(b / s for b, s in zip(seconds["torch"], own, strict=True)), 3)
            for way, own in seconds.items()
        },
        "same_bits": all(torch.equal(a, b) for a, b in pairs),
        "building_seconds": round(built, 1),
    }


def main() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as cache:
        environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        result: dict[str, object] = {
            "device": f"one core of {processor_name()}",
            "python": platform.python_version(),
            "torch": version("torch"),
            "date": datetime.now(UTC).date().isoformat(),
            "maps": [of_map(size) for size in SIZES],
            "networks": [],
        }
        print(json.dumps(result["maps"]), flush=True)
        for network in NETWORKS:
            result["networks"].append(of_network(network))
            print(json.dumps(result["networks"][-1]), flush=True)
    (RESULTS / f"rectifier-{cpu_slug()}.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
