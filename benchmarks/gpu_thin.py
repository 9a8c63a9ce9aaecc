"""Parts of `gpu_check.py` that compare steps of several networks in one process, in ways that take turns.

Sizes are those of the check.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch
from gpu_stacked import StackedStep

from advisor.designs.equivalents import equivalents
from advisor.networks.architecture import parse_network
from advisor.plans.dataset import DATASETS, DatasetFacts
from advisor.plans.execution import Execution
from trainer.training.step import unmarked
from trainer.training.workload import PreparedStep, StepWorkload

# Numbers of thin networks, and turns of each way that count.
THIN, TURNS = (1, 4, 8, 16), 5


class Sizes(Protocol):
    """What is measured: device, data set, networks, number of steps and of members."""

    device: str
    dataset: str
    single: str
    thin: str
    steps: int
    members: int


def thin(sizes: Sizes) -> dict[str, Any]:
    """Train thin networks in one process, in four ways."""
    found = {}
    for count in THIN:
        one = {mode: [_step(sizes, sizes.thin, mode) for _ in range(count)] for mode in ("eager", "graph")}
        at_once = _step(sizes, sizes.thin, "graph", count)
        joint = StackedStep(sizes.thin, _facts(sizes), _execution(sizes, "graph"), count)
        ways = {
            "eager": lambda one=one: _one_after_the_other(one["eager"]),
            "graphs": lambda one=one: _one_after_the_other(one["graph"]),
            "graphs on streams": lambda at_once=at_once: at_once.train_step(unmarked),
            "stacked": lambda joint=joint: joint.train_step(),
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


def _execution(sizes: Sizes, mode: str) -> Execution:
    return Execution(
        device=sizes.device,
        processes=1,
        threads=1,
        dtype="bfloat16",
        memory_format="channels_last",
        step_mode=mode,
    )


def workload(sizes: Sizes, network: str, mode: str = "eager", copies: int = 1) -> StepWorkload:
    """Return the step of networks that train at the same time in a mode."""
    facts = _facts(sizes)
    return StepWorkload(
        network=network,
        task=facts.task,
        batch=facts.batch,
        augmentation=facts.augmentation,
        execution=_execution(sizes, mode),
        copies=copies,
    )


def _step(sizes: Sizes, network: str, mode: str, copies: int = 1) -> PreparedStep:
    return workload(sizes, network, mode, copies).prepare()


def classes(sizes: Sizes) -> dict[str, Any]:
    """Compare the steps of a single network and of its equivalents, and their share of it."""
    found = equivalents(parse_network(sizes.single), sizes.members, _facts(sizes).task)
    names = {
        "single": sizes.single,
        "width_equivalent": found.width_equivalent.name,
        "depth_equivalent": found.depth_equivalent.name,
    }
    ways = {}
    for kind, name in names.items():
        members = 1 if kind == "single" else sizes.members
        eager = _step(sizes, name, "eager")
        at_once = _step(sizes, name, "graph", members)
        ways[f"{kind} eager"] = lambda eager=eager, n=members: _one_after_the_other([eager] * n)
        ways[f"{kind} graphs on streams"] = lambda at_once=at_once: at_once.train_step(unmarked)
    seconds = timed(ways, sizes)
    return {
        "members": sizes.members,
        "networks": names,
        "step_ms": {way: round(1e3 * taken, 3) for way, taken in seconds.items()},
        "share_of_the_single": {
            way: round(taken / seconds[f"single {way.partition(' ')[2]}"], 2)
            for way, taken in seconds.items()
        },
    }


def _one_after_the_other(networks: list[PreparedStep]) -> None:
    for network in networks:
        network.train_step(unmarked)


def _difference_of_modes(sizes: Sizes) -> float:
    """Return the distance of the weights of both modes after the same steps, as a share of their change."""
    networks = [_step(sizes, sizes.thin, mode) for mode in ("eager", "graph")]
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
