"""Part of `gpu_check.py`: thin networks in one process, eager, as graphs, and as graphs on streams.

The three ways take turns. Sizes are those of the check.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch

from advisor.plans.dataset import DATASETS, DatasetFacts
from advisor.plans.execution import Execution
from trainer.training.step import unmarked
from trainer.training.workload import PreparedStep, StepWorkload

# Numbers of thin networks, and turns of each way that count.
THIN, TURNS = (1, 4, 8, 16), 5


class Sizes(Protocol):
    """What is measured: device, data set, network, and number of steps."""

    device: str
    dataset: str
    thin: str
    steps: int


def thin(sizes: Sizes) -> dict[str, Any]:
    """Train thin networks in one process, in three ways."""
    found = {}
    for count in THIN:
        networks = {mode: [_thin(sizes, mode) for _ in range(count)] for mode in ("eager", "graph")}
        at_once = _thin(sizes, "graph", count)
        ways = {
            "eager": lambda networks=networks: _one_after_the_other(networks["eager"]),
            "graphs": lambda networks=networks: _one_after_the_other(networks["graph"]),
            "graphs on streams": lambda at_once=at_once: at_once.train_step(unmarked),
        }
        seconds = timed(ways, sizes)
        found[str(count)] = {
            way: {
                "images_a_second": round(count * _facts(sizes).batch / taken),
                "step_ms": round(1e3 * taken / count, 3),
                "speed_over_eager": round(seconds["eager"] / taken, 2),
            }
            for way, taken in seconds.items()
        }
    return {
        "network": sizes.thin,
        "batch": _facts(sizes).batch,
        "networks": found,
        "difference_of_modes": _difference_of_modes(sizes),
    }


def _facts(sizes: Sizes) -> DatasetFacts:
    return DATASETS[sizes.dataset]


def _thin(sizes: Sizes, mode: str, copies: int = 1) -> PreparedStep:
    """Return thin networks that train at the same time in a mode of steps."""
    facts = _facts(sizes)
    execution = Execution(
        device=sizes.device,
        processes=1,
        threads=1,
        dtype="bfloat16",
        memory_format="channels_last",
        step_mode=mode,
    )
    return StepWorkload(
        network=sizes.thin,
        task=facts.task,
        batch=facts.batch,
        augmentation=facts.augmentation,
        execution=execution,
        copies=copies,
    ).prepare()


def _one_after_the_other(networks: list[PreparedStep]) -> None:
    for network in networks:
        network.train_step(unmarked)


def _difference_of_modes(sizes: Sizes) -> float:
    """Return the distance of the weights of both modes after the same steps, as a share of their change."""
    networks = [_thin(sizes, mode) for mode in ("eager", "graph")]
    # A mode that is built has done one step, at no rate.
    networks[0].train_step(unmarked)
    began = _weights(networks[0])
    for network in networks:
        network.rate = 0.05
        for _ in range(sizes.steps):
            network.train_step(unmarked)
    eager, graph = (_weights(network) for network in networks)
    return round(float((graph - eager).norm() / (eager - began).norm()), 6)


def _weights(network: PreparedStep) -> torch.Tensor:
    return torch.cat([p.detach().double().flatten().cpu() for p in network.module.parameters()])


def timed(ways: dict[str, Callable[[], None]], sizes: Sizes) -> dict[str, float]:
    """Return the median seconds of a step in every way, in turns, after some that are not counted."""
    steps = max(sizes.steps // TURNS, 1)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(TURNS + 1):
        for way, step in ways.items():
            _wait(sizes.device)
            began = time.perf_counter()
            for _ in range(steps):
                step()
            _wait(sizes.device)
            if turn:
                seconds[way].append((time.perf_counter() - began) / steps)
    return {way: statistics.median(taken) for way, taken in seconds.items()}


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
