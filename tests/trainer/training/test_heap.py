"""Freed memory that stays with the process, seen in the page faults of a process of its own."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.training import heap
from trainer.training.heap import keep_freed_memory

ROOT = Path(__file__).resolve().parents[3]

# Page faults of fifty tensors of 8 MB, each filled and freed again, before and after the settings.
FAULTS = """
import resource

import torch

from trainer.training.heap import keep_freed_memory


def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        torch.ones(2_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


faults()
before = faults()
assert keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.fixture
def unasked():
    """The answer is kept, so that it is forgotten before and after."""
    keep_freed_memory.cache_clear()
    yield
    keep_freed_memory.cache_clear()


def test_asking_twice_is_harmless_and_gives_one_answer():
    first = keep_freed_memory()
    assert isinstance(first, bool)
    assert keep_freed_memory() is first


@pytest.mark.usefixtures("unasked")
@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_another_system_is_left_alone(monkeypatch, system):
    monkeypatch.setattr(heap.sys, "platform", system)
    monkeypatch.setattr(heap.ctypes, "CDLL", pytest.fail)
    assert keep_freed_memory() is False


@pytest.mark.usefixtures("unasked")
def test_an_allocator_without_settings_is_left_alone(monkeypatch):
    monkeypatch.setattr(heap.sys, "platform", "linux")
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: object())
    assert keep_freed_memory() is False


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the allocator of glibc")
@pytest.mark.slow
def test_large_tensors_that_follow_each_other_fault_hardly_any_page():
    # Left alone, glibc moves its threshold with what was freed before, which differs from run to run.
    held = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(128 * 1024)}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True, cwd=ROOT, env=held
    )
    before, after = map(int, done.stdout.split())
    assert after < before / 10, (before, after)
