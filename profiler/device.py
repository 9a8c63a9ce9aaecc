"""Which machine this is: the part of a fingerprint that only the machine can tell."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from advisor.errors import UsageError
from advisor.measurement import Execution, Fingerprint

DEVICES = ("cpu", "cuda")


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
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fingerprint(execution: Execution) -> Fingerprint:
    """Return the fingerprint of this machine under the settings of a plan."""
    on_cuda = execution.device == "cuda"
    return Fingerprint(
        device=execution.device,
        device_name=torch.cuda.get_device_name() if on_cuda else f"{_processor()}, {usable_cores()} cores",
        driver=_cuda_driver() if on_cuda else f"{platform.system()} {platform.machine()}",
        torch=torch.__version__,
        threads=execution.threads,
        dtype=execution.dtype,
        memory_format=execution.memory_format,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cuda_driver() -> str:
    """Driver version through nvidia-ml-py where it is installed, with the CUDA version of torch."""
    cuda = f"CUDA {torch.version.cuda}"
    try:
        import pynvml

        pynvml.nvmlInit()
        driver = pynvml.nvmlSystemGetDriverVersion()
    except Exception:  # an optional library that may be missing or see no driver
        return cuda
    return f"{driver.decode() if isinstance(driver, bytes) else driver}, {cuda}"
