"""The machine: its fingerprint, its devices, and the cores of a measuring process."""

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

# Time in which the load of the cores is observed: a few ticks of the kernel's clock.
QUIET_SECONDS = 0.1
# Limits of a container, as its processes see them.
_CGROUP = Path("/sys/fs/cgroup")
_CAN_PIN = hasattr(os, "sched_setaffinity")


def choose_device(wanted: str | None) -> str:
    """Return the device to use.

    Args:
        wanted: ``cpu`` or ``cuda``; None: CUDA if torch finds a device, else the CPU.

    Raises:
        UsageError: an unknown device, or CUDA without a CUDA device.
    """
    if wanted is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted not in DEVICES:
        raise UsageError(f"unknown device {wanted!r}: choose {' or '.join(DEVICES)}")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("device 'cuda': torch finds no CUDA device here; use --device cpu")
    return wanted


def usable_cores() -> int:
    """Return the number of cores that this process may run on, limited by the quota of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _quota() or cores)


def _quota() -> int | None:
    """Return the quota of a container in cores, rounded up; None without a limit."""
    try:
        quota, period = _read_quota()
        return max(math.ceil(int(quota) / int(period)), 1) if int(quota) > 0 else None
    # The file is missing, or it contains "max".
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _read_quota() -> tuple[str, str]:
    """Return a quota of processor time and its period, both in microseconds, as the kernel writes them."""
    if (unified := _CGROUP / "cpu.max").exists():
        quota, period = unified.read_text().split()
        return quota, period
    folder = _CGROUP / "cpu"
    return (folder / "cpu.cfs_quota_us").read_text(), (folder / "cpu.cfs_period_us").read_text()


def visible_gpus() -> int:
    """Return the number of GPUs for plans, at least 1: a plan for CUDA can be made on a machine without."""
    return max(torch.cuda.device_count(), 1)


def fingerprint(execution: Execution, augmentation: str = "") -> Fingerprint:
    """Return the fingerprint of this machine under the settings of a plan.

    Args:
        execution: device and arithmetic of the plan.
        augmentation: augmentation of its batches, if measurements are distinguished by it
            (`Augmentation.key`).
    """
    on_cuda = execution.device == "cuda"
    return Fingerprint(
        device=execution.device,
        device_name=torch.cuda.get_device_name()
        if on_cuda
        else f"{processor_name()}, {usable_cores()} cores",
        driver=_cuda_driver() if on_cuda else f"{platform.system()} {platform.machine()}",
        torch=torch.__version__,
        threads=execution.threads,
        cores=0 if on_cuda or not _CAN_PIN else execution.threads,
        kernels=_cuda_kernels() if on_cuda else torch.backends.cpu.get_cpu_capability(),
        dtype=execution.dtype,
        memory_format=execution.memory_format,
        protocol=PROTOCOL,
        augmentation=augmentation,
        step_mode=execution.step_mode,
    )


def quiet_cores(count: int) -> list[int]:
    """Return the least busy cores that this process may use, at most `count` of them."""
    if not _CAN_PIN:
        return []
    cores = sorted(os.sched_getaffinity(0))
    before = _idle_ticks()
    time.sleep(QUIET_SECONDS)
    after = _idle_ticks()
    # The first core serves most interrupts, so the last one is taken among equals.
    idle = {core: after.get(core, 0) - before.get(core, 0) for core in cores}
    return sorted(cores, key=lambda core: (idle[core], core), reverse=True)[:count]


def pin_to(cores: list[int]) -> None:
    """Pin this process and all threads that it will start to some cores; an empty list changes nothing."""
    if cores and _CAN_PIN:
        os.sched_setaffinity(0, cores)


def cores_to_pin(execution: Execution) -> list[int]:
    """Return the cores that a measuring process is pinned to; none on CUDA.

    On CUDA further threads, of the driver and of the backward pass, run beside the one that fills the queue.
    """
    return quiet_cores(execution.threads) if execution.device == "cpu" else []


def _idle_ticks() -> dict[int, int]:
    """Return the ticks that each core has been idle; empty where the system does not report them."""
    try:
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
        return {int(f[0][3:]): int(f[4]) for f in lines if f[0].startswith("cpu") and f[0] != "cpu"}
    except (OSError, ValueError, IndexError):
        return {}


def _cuda_kernels() -> str:
    autotuned = "autotuned" if CUDNN_BENCHMARK else "default"
    return f"{CUDA_PRECISION}, cuDNN {torch.backends.cudnn.version()}, {autotuned}"


def _cuda_driver() -> str:
    """Return the driver's version, where nvidia-ml-py is installed, and the CUDA version of torch."""
    driver, cuda = driver_version(), f"CUDA {torch.version.cuda}"
    return cuda if driver is None else f"{driver}, {cuda}"


def processor_and_cores() -> str:
    """Return the name of the processor and the number of cores that this process may use."""
    return f"{processor_name()}, {usable_cores()} cores"


def processor_name() -> str:
    """Return the name of the processor, or of its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
