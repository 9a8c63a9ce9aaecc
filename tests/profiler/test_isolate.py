"""A process of its own measures, ends when the time is up, and is never waited for in vain."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import wait

import pytest

from advisor.networks.architecture import lower, parse_network
from db.session import open_store
from profiler.isolate import MeasuringProcess
from profiler.layers import LOSS, LayerFacts
from profiler.steps import StepTimes

CAN_PIN = hasattr(os, "sched_setaffinity")
# Empty where a process cannot be pinned to cores.
CORES = [min(os.sched_getaffinity(0))] if CAN_PIN else []


@pytest.fixture
def process():
    with MeasuringProcess("cpu", 1, CORES) as opened:
        assert opened.wait_until_ready()
        yield opened
    assert not opened.alive


def test_one_process_measures_one_workload_after_another_on_the_cores_it_is_pinned_to(process, workload):
    if CAN_PIN:
        assert os.sched_getaffinity(process._process.pid) == set(CORES)
    for network in ("resnet-8-4", "mlp-2-8"):
        process.begin(workload(network), 0.1)
        times = process.finish(60)
        assert isinstance(times, StepTimes)
        assert times.fits
        assert times.step > 0
        nodes = lower(parse_network(network), workload(network).task).nodes
        assert [t.name for t in times.layers] == [*(n.name for n in nodes), LOSS]
    facts = process.layers(workload("mlp-2-8"), 60)
    assert all(isinstance(f, LayerFacts) for f in facts)
    assert [f.name for f in facts if f.macs] == [
        "block1.layer1.linear",
        "block1.layer2.linear",
        "classifier",
    ]
    assert process.alive


def test_a_measurement_that_takes_too_long_ends_the_process_in_time(process, workload):
    # Even the least repetitions of this one take longer than the time.
    process.begin(workload("resnet-56-32", batch=512), 60)
    began = time.perf_counter()
    assert process.finish(0.5) is None
    assert time.perf_counter() - began < 2
    assert not process.alive
    # Whoever goes on asking hears that there is nothing, at once.
    process.begin(workload("mlp-2-8"), 0.1)
    assert process.finish(30) is None
    assert process.layers(workload("mlp-2-8"), 30) == []
    assert not process.wait_until_ready()
    assert time.perf_counter() - began < 3


def test_a_killed_process_gives_nothing_to_store_and_is_not_waited_for(process, workload, tmp_path):
    with open_store(tmp_path / "advisor.db") as store:
        process.begin(workload("resnet-56-32", batch=512), 60)
        os.kill(process._process.pid, signal.SIGKILL)
        began = time.perf_counter()
        assert process.finish(60) is None
        assert time.perf_counter() - began < 5
        assert not process.alive
        process.close()
        # Nobody but the one who waits has the database open, so there is nothing half done in it.
        assert store.measurements() == []
        assert store.check() == []


PARENT = """
import time
from advisor.plans.dataset import Augmentation
from advisor.networks.layers import Task
from advisor.plans.execution import Execution
from profiler.isolate import MeasuringProcess
from trainer.training.workload import StepWorkload

if __name__ == "__main__":
    execution = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")
    task = Task(channels=3, height=16, width=16, classes=10)
    workload = StepWorkload(
        network="resnet-56-32", batch=512, task=task, augmentation=Augmentation.NONE, execution=execution
    )
    with MeasuringProcess("cpu", 1) as process:
        assert process.wait_until_ready()
        process.begin(workload, 60)
        time.sleep(2)
        print(process._process.pid, process.alive, flush=True)
        time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_measuring_process_ends_soon_after_its_parent_was_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, alive = parent.stdout.readline().split()
    assert alive == "True"
    parent.kill()
    assert parent.wait() == -signal.SIGKILL
    try:
        # The child holds the same output, which ends when nobody is left who could write to it.
        assert wait([parent.stdout], timeout=3)
        assert parent.stdout.read() == ""
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
        parent.stdout.close()


def test_a_workload_that_breaks_the_process_gives_nothing(process, workload, capfd):
    process.begin(workload("no such network"), 0.1)
    assert process.finish(60) is None
    assert not process.alive
