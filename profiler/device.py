"""Which machine this is: the part of a fingerprint that only the machine can tell."""

from __future__ import annotations

import math
import os
import platform
import time
from pathlib import Path

import torch

from advisor.cost.measurement import CUDA_PRECISION, CUDNN_BENCHMARK, PROTOCOL, Fingerprint
from advisor.errors import UsageError
from advisor.plans.execution import DEVICES, Execution
from profiler.sensors import driver_version

# Long enough for a few of the kernel's ticks.
QUIET_SECONDS = 0.1
# Of the processes of a container, seen from within.
_CGROUP = Path("/sys/fs/cgroup")
_CAN_BE_HELD = hasattr(os, "sched_setaffinity")


def choose_device(wanted: str | None) -> str:
    """Return `wanted` if it is there, or CUDA if there is one, or the CPU.

    Raises:
        UsageError: an unknown device, or CUDA where there is none.
    """
    if wanted is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted not in DEVICES:
        raise UsageError(f"unknown device {wanted!r}: choose {' or '.join(DEVICES)}")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("device 'cuda': torch finds no CUDA device here; use --device cpu")
    return wanted


def usable_cores() -> int:
    """Cores that this process may run on, no more than its container may use the time of."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _quota() or cores)


def _quota() -> int | None:
    """Cores' worth of time that a container has, rounded up; None without a limit."""
    try:
        quota, period = _read_quota()
        return max(math.ceil(int(quota) / int(period)), 1) if int(quota) > 0 else None
    # There is no such file, or it says "max".
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _read_quota() -> tuple[str, str]:
    """Microseconds of processor time in each period of so many, as the kernel writes them."""
    if (unified := _CGROUP / "cpu.max").exists():
        quota, period = unified.read_text().split()
        return quota, period
    folder = _CGROUP / "cpu"
    return (folder / "cpu.cfs_quota_us").read_text(), (folder / "cpu.cfs_period_us").read_text()


def visible_gpus() -> int:
    """GPUs that this process may use, at least 1: plans for CUDA can be made where there is none."""
    return max(torch.cuda.device_count(), 1)


def fingerprint(execution: Execution, augmentation: str = "") -> Fingerprint:
    """Return the fingerprint of this machine under the settings of a plan.

    Args:
        execution: of the plan.
        augmentation: of its batches, if that is to be told apart (`Augmentation.key`).
    """
    on_cuda = execution.device == "cuda"
    return Fingerprint(
        device=execution.device,
        device_name=torch.cuda.get_device_name() if on_cuda else f"{_processor()}, {usable_cores()} cores",
        driver=_cuda_driver() if on_cuda else f"{platform.system()} {platform.machine()}",
        torch=torch.__version__,
        threads=execution.threads,
        cores=0 if on_cuda or not _CAN_BE_HELD else execution.threads,
        kernels=_cuda_kernels() if on_cuda else torch.backends.cpu.get_cpu_capability(),
        dtype=execution.dtype,
        memory_format=execution.memory_format,
        protocol=PROTOCOL,
        augmentation=augmentation,
    )


def quiet_cores(count: int) -> list[int]:
    """Return up to `count` cores of those this process may use, the least busy of the last moments first."""
    if not _CAN_BE_HELD:
        return []
    cores = sorted(os.sched_getaffinity(0))
    before = _idle_ticks()
    time.sleep(QUIET_SECONDS)
    after = _idle_ticks()
    # The first core serves most interrupts, so of equals the last is taken.
    idle = {core: after.get(core, 0) - before.get(core, 0) for core in cores}
    return sorted(cores, key=lambda core: (idle[core], core), reverse=True)[:count]


def hold_to(cores: list[int]) -> None:
    """Keep this process on some cores, all of its threads to come included."""
    if cores and _CAN_BE_HELD:
        os.sched_setaffinity(0, cores)


def cores_to_hold(execution: Execution) -> list[int]:
    """Return cores to hold a measuring process to: none for a GPU's, as its fingerprint says.

    Beside the thread that fills a GPU's queue run those of the driver and of the backward pass.
    """
    return quiet_cores(execution.threads) if execution.device == "cpu" else []


def _idle_ticks() -> dict[int, int]:
    """Ticks that each core has been idle, where the system says."""
    try:
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
        return {int(f[0][3:]): int(f[4]) for f in lines if f[0].startswith("cpu") and f[0] != "cpu"}
    except (OSError, ValueError, IndexError):
        return {}


def _cuda_kernels() -> str:
    autotuned = "autotuned" if CUDNN_BENCHMARK else "default"
    return f"{CUDA_PRECISION}, cuDNN {torch.backends.cudnn.version()}, {autotuned}"


def _cuda_driver() -> str:
    """Driver version through nvidia-ml-py where it is installed, with the CUDA version of torch."""
    driver, cuda = driver_version(), f"CUDA {torch.version.cuda}"
    return cuda if driver is None else f"{driver}, {cuda}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
