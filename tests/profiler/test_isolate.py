"""A process of its own measures, ends when the time is up, and is never waited for in vain."""

import os
import signal
import time

import pytest

from profiler.isolate import MeasuringProcess
from profiler.steps import StepTimes


@pytest.fixture
def process():
    with MeasuringProcess("cpu", 1) as opened:
        assert opened.wait_until_ready()
        yield opened
    assert not opened.alive


def test_one_process_measures_one_workload_after_another(process, workload):
    for network in ("resnet-8-4", "mlp-2-8"):
        process.begin(workload(network), 0.1)
        times = process.finish(60)
        assert isinstance(times, StepTimes)
        assert times.fits
        assert times.step > 0
    profiles = process.layers(workload("mlp-2-8"), 60)
    assert [p.name for p in profiles if p.macs] == [
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


def test_a_killed_process_gives_nothing_and_is_not_waited_for(process, workload):
    process.begin(workload("resnet-56-32", batch=512), 60)
    os.kill(process._process.pid, signal.SIGKILL)
    began = time.perf_counter()
    assert process.finish(60) is None
    assert time.perf_counter() - began < 5
    assert not process.alive
    process.close()


def test_a_workload_that_breaks_the_process_gives_nothing(process, workload, capfd):
    process.begin(workload("no such network"), 0.1)
    assert process.finish(60) is None
    assert not process.alive
