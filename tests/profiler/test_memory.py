"""Peak memory: an allocation of known size is seen, also when it is gone again."""

import sys

import pytest
import torch

from profiler import memory
from profiler.memory import watch_peak

MEGABYTE = 2**20


@pytest.fixture
def watch():
    read = watch_peak("cpu")
    if read() is None:
        pytest.skip("the kernel lets no process reset its peak here")
    return watch_peak


linux = pytest.mark.skipif(sys.platform != "linux", reason="the peak can be reset on Linux")


@linux
def test_an_allocation_of_200_mb_is_seen_within_a_tenth(watch):
    read = watch("cpu")
    tensor = torch.ones(200 * MEGABYTE // 4)
    assert tensor.sum() > 0
    assert read() == pytest.approx(200 * MEGABYTE, rel=0.1)


@linux
def test_the_peak_is_seen_after_the_memory_is_given_back(watch):
    read = watch("cpu")
    tensor = torch.ones(200 * MEGABYTE // 4)
    del tensor
    assert read() == pytest.approx(200 * MEGABYTE, rel=0.1)


@linux
def test_each_watch_begins_anew(watch):
    torch.ones(100 * MEGABYTE // 4)
    read = watch("cpu")
    assert read() < 20 * MEGABYTE


@linux
def test_memory_that_was_there_before_does_not_count(watch):
    tensor = torch.ones(100 * MEGABYTE // 4)
    read = watch("cpu")
    more = torch.ones(50 * MEGABYTE // 4)
    assert read() == pytest.approx(50 * MEGABYTE, rel=0.2)
    assert len(tensor) > len(more)


def test_without_the_kernels_help_there_is_no_figure(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "none" / "clear_refs")
    assert watch_peak("cpu")() is None


def test_a_kernel_that_reports_no_peak_gives_no_figure(monkeypatch, tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tpython\n")
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "clear_refs")
    monkeypatch.setattr(memory, "_STATUS", status)
    assert watch_peak("cpu")() is None


def test_the_figures_of_the_kernel_are_in_kibibytes(monkeypatch, tmp_path):
    status = tmp_path / "status"
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "clear_refs")
    monkeypatch.setattr(memory, "_STATUS", status)
    status.write_text("VmHWM:\t    9000 kB\nVmRSS:\t    5000 kB\n")
    read = watch_peak("cpu")
    assert (tmp_path / "clear_refs").read_text() == "5"
    status.write_text("VmHWM:\t    7000 kB\nVmRSS:\t    6000 kB\n")
    assert read() == 2000 * 1024


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_allocation_on_a_gpu_is_seen_exactly_and_after_it_is_gone():
    tensor = torch.ones(10 * MEGABYTE, device="cuda")
    read = watch_peak("cuda")
    more = torch.ones(50 * MEGABYTE, device="cuda")
    del more
    assert read() == 200 * MEGABYTE
    assert tensor.is_cuda
