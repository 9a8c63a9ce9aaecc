"""The check of a GPU, dry: it works before it costs device time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from advisor.networks.shared_layers import graph_of
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from trainer.networks.network import build_network
from trainer.training.optimizer import SGD
from trainer.training.step import prepare_module, training_step

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def gpu_check(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import gpu_check

    return gpu_check


@pytest.fixture
def checked(gpu_check, monkeypatch):
    """Check parts made by hand."""

    def run(parts, result, seconds=0.0):
        clock, kept = iter([0.0, *([seconds] * 50)]), []
        monkeypatch.setattr(gpu_check, "PARTS", parts)
        monkeypatch.setattr(gpu_check.time, "monotonic", lambda: next(clock))
        gpu_check.check(gpu_check.DRY, list(parts), result, lambda: kept.append(dict(result)))
        return kept

    return run


def fails(*given):
    raise RuntimeError("the device is\non fire")


def test_every_part_is_kept_as_soon_as_it_ends_and_one_that_fails_costs_no_other(checked):
    result = {}
    kept = checked({"a": lambda *_: {"x": 1}, "b": fails, "c": lambda *_: {"x": 3}}, result)
    assert [list(each) for each in kept] == [["a"], ["a", "b"], ["a", "b", "c"]]
    assert result["b"]["failed"] == "the device is on fire"
    assert result["c"]["x"] == 3


def test_a_check_that_was_stopped_does_what_is_missing_or_failed(checked):
    result = {"a": {"x": 1}, "b": {"failed": "once"}}
    checked({"a": fails, "b": lambda *_: {"x": 2}, "c": lambda *_: {"x": 3}}, result)
    assert (result["a"], result["b"]["x"], result["c"]["x"]) == ({"x": 1}, 2, 3)


def test_it_begins_nothing_when_its_time_is_over(checked, gpu_check):
    result = {}
    assert checked({"a": fails}, result, gpu_check.LONGEST + 1) == []
    assert result == {}


def test_thin_networks_are_stepped_in_one_process(gpu_check, tmp_path):
    found = gpu_check.PARTS["thin"](gpu_check.DRY, tmp_path)
    assert list(found["networks"]) == ["1", "4", "8", "16"]
    for ways in found["networks"].values():
        assert list(ways) == ["eager", "graphs", "graphs on streams", "stacked"]
        assert all(way["images_a_second"] > 0 for way in ways.values())
    # On a CPU a replayed step is the eager one.
    assert found["difference_of_modes"] == 0


def test_a_stacked_step_is_the_step_of_every_network_on_its_own_batch(gpu_check):
    from gpu_stacked import StackedStep

    eager = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="channels_last")
    facts = DATASETS["digits"]
    joint = StackedStep("resnet-8-4", facts, replace(eager, step_mode="graph"), 3)
    joint.optimizer.rate = 0.1
    joint.train_step()
    images, labels = (stored[joint.order].chunk(3) for stored in (joint.images, joint.labels))
    alone = [build_network(graph_of("resnet-8-4", facts.task), seed).train() for seed in range(3)]
    for number, network in enumerate(alone):
        optimizer = SGD(prepare_module(network, eager), 0.9, 1e-4)
        optimizer.rate = 0.1
        batch = images[number], labels[number]
        training_step(network, optimizer, *batch, preparation=joint.preparation, seed=0, execution=eager)
    for name, found in joint.network.state_dict().items():
        expected = torch.stack([network.state_dict()[name] for network in alone])
        torch.testing.assert_close(found.expand(3) if not found.dim() else found.view_as(expected), expected)


@pytest.mark.slow
def test_the_whole_check_runs_dry_and_writes_nothing():
    results = BENCHMARKS / "results"
    before = {file: file.stat().st_mtime_ns for file in results.iterdir()}
    script = str(BENCHMARKS / "gpu_check.py")
    done = subprocess.run([sys.executable, script, "--dry"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"repeated_agrees": true, "resumed_agrees": true' in done.stdout
    assert {file: file.stat().st_mtime_ns for file in results.iterdir()} == before
