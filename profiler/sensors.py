"""What the device says of itself while it works: power, clock, and what holds it back.

A GPU is asked through nvidia-ml-py where that is installed, a processor through Linux's powercap counters
where they may be read. A device that says nothing is no error: the figures are then None.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGES = Path("/sys/class/powercap")
# Bits of NVML's clocks-event reasons that mean "slower than the program could run".
_THROTTLE_REASONS = {
    0x0000000000000004: "power cap",
    0x0000000000000008: "hardware slowdown",
    0x0000000000000020: "thermal limit",
    0x0000000000000040: "hardware thermal limit",
    0x0000000000000080: "power brake",
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """Mean power since the sensors were made, clock now, and what throttled, if anything."""

    watts: float | None
    clock_mhz: int | None
    throttle: str


class Sensors:
    """Begins to watch a device.

    Args:
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, device: str) -> None:
        self._handle = _nvml_handle() if device == "cuda" else None
        self._on_cpu = device == "cpu"
        self._began = time.perf_counter()
        self._joules = self._energy()

    def read(self) -> Conditions:
        """Return how the device fared since then."""
        joules, seconds = self._energy(), time.perf_counter() - self._began
        watts = None
        # A counter that overflowed in between is of no use.
        if joules is not None and self._joules is not None and joules > self._joules and seconds > 0:
            watts = (joules - self._joules) / seconds
        if self._handle is None:
            return Conditions(watts, None, "")
        return Conditions(watts, *_clock_and_throttle(*self._handle))

    def _energy(self) -> float | None:
        """Joules on a counter that runs for ever."""
        if self._on_cpu:
            return _processor_joules()
        if self._handle is None:
            return None
        nvml, handle = self._handle
        try:
            return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        except nvml.NVMLError:
            return None


def driver_version() -> str | None:
    """Return the version of NVIDIA's driver, or None."""
    found = _nvml_handle()
    if found is None:
        return None
    nvml, _ = found
    try:
        version = nvml.nvmlSystemGetDriverVersion()
    except nvml.NVMLError:
        return None
    return version.decode() if isinstance(version, bytes) else str(version)


def _nvml_handle() -> tuple[Any, Any] | None:
    """The library and the GPU that torch uses; an optional library that may be missing or see no driver."""
    try:
        import pynvml
    except ImportError:
        return None
    # Torch takes long to import, and who watches a processor does without.
    import torch

    try:
        pynvml.nvmlInit()
        identity = str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid)
        return pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{identity.removeprefix('GPU-')}")
    # Torch built without CUDA fails an assertion, torch without a driver or GPU raises a RuntimeError.
    except (pynvml.NVMLError, RuntimeError, AssertionError):
        return None


def _clock_and_throttle(nvml: Any, handle: Any) -> tuple[int | None, str]:
    try:
        clock = int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))
        bits = int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
    except nvml.NVMLError:
        return None, ""
    return clock, ", ".join(text for bit, text in _THROTTLE_REASONS.items() if bits & bit)


def _processor_joules() -> float | None:
    """Sum over processor packages, without their parts."""
    try:
        counters = [p / "energy_uj" for p in _PACKAGES.glob("intel-rapl:*") if _is_package(p)]
        return sum(int(c.read_text()) for c in counters) / 1e6 if counters else None
    except (OSError, ValueError):
        return None


def _is_package(counter: Path) -> bool:
    """Whether a counter is that of a whole package; "psys" counts the machine, packages and all."""
    return counter.name.count(":") == 1 and (counter / "name").read_text().startswith("package")
