"""Freed memory that stays with the process, seen in the page faults of a process of its own."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.training import heap
from trainer.training.heap import LEAST_GROWTH, STEPS, LargePages, keep_freed_memory

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


# Large pages.


@pytest.fixture
def moved(monkeypatch):
    """Sizes of heaps that were moved, of a process whose heap is made up."""
    sizes = []
    monkeypatch.setattr(LargePages, "_size", None)
    monkeypatch.setattr(heap, "keep_freed_memory", lambda: True)
    monkeypatch.setattr(heap, "_move", lambda parts: sizes.append(sum(b - a for a, b in parts)))

    def of(*parts):
        monkeypatch.setattr(heap, "_heap", lambda: iter(parts))
        return sizes

    # What was imported.
    of((0, 1000))
    LargePages("cpu")
    return of


def train(steps=10, device="cpu"):
    pages = LargePages(device)
    for _ in range(steps):
        pages.after_step()


def test_a_large_heap_is_moved_once_a_network_when_it_has_its_size(moved):
    sizes = moved((0, 1000), (2000, LEAST_GROWTH + 2000))
    train(steps=STEPS - 1)
    assert sizes == []
    train()
    assert sizes == [LEAST_GROWTH + 1000]


def test_it_is_moved_again_only_when_another_network_has_made_it_much_larger(moved):
    first, second = LEAST_GROWTH + 1000, 2 * LEAST_GROWTH + 1000
    sizes = moved((0, first))
    train()
    moved((0, second - 1))
    train()
    assert sizes == [first]
    moved((0, second))
    train()
    assert sizes == [first, second]


def test_a_small_heap_and_the_memory_of_a_gpu_stay_as_they_are(moved):
    sizes = moved((0, LEAST_GROWTH + 999))
    train()
    moved((0, 10 * LEAST_GROWTH))
    train(device="cuda")
    assert sizes == []


def test_a_system_that_does_not_tell_its_heap_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(heap, "_MAPS", tmp_path / "none")
    assert list(heap._heap()) == []


MOVED = """
import re
from pathlib import Path

import torch

from trainer.training import heap

assert heap.keep_freed_memory()
pages = heap.LargePages("cpu")
tensors = [torch.full((4_000_000,), float(n)) for n in range(20)]
for _ in range(heap.STEPS):
    pages.after_step()
assert [float(t[-1]) for t in tensors] == list(range(20))
print(re.search("AnonHugePages: *([0-9]+)", Path("/proc/self/smaps_rollup").read_text())[1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the allocator of glibc")
def test_tensors_are_in_large_pages_afterwards_and_hold_what_they_held():
    done = subprocess.run([sys.executable, "-c", MOVED], capture_output=True, text=True, check=True, cwd=ROOT)
    version = re.match(r"(\d+)\.(\d+)", platform.release())
    if tuple(map(int, version.groups())) < (6, 1) or not heap_of_large_pages():
        pytest.skip("this system moves no heap at once")
    # 20 tensors of 16 MB.
    assert int(done.stdout) * 1024 > 0.9 * 20 * 16e6


def heap_of_large_pages():
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return setting.is_file() and "[never]" not in setting.read_text()


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
