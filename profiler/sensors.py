"""Sensors of the device: power, clock, and reasons for a lowered clock.

A GPU is read through nvidia-ml-py where that is installed, a processor through Linux's powercap counters
where they may be read. A device without sensors is not an error; its figures are None.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGES = Path("/sys/class/powercap")
# Bits of NVML's clocks-event reasons that stand for a clock below the possible one.
_THROTTLE_REASONS = {
    0x0000000000000004: "power cap",
    0x0000000000000008: "hardware slowdown",
    0x0000000000000020: "thermal limit",
    0x0000000000000040: "hardware thermal limit",
    0x0000000000000080: "power brake",
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """Readings of the sensors.

    Attributes:
        watts: mean power since the sensors were made; None where there is no sensor.
        clock_mhz: present clock; None where there is no sensor.
        throttle: reasons for a lowered clock, separated by commas; empty if there are none.
    """

    watts: float | None
    clock_mhz: int | None
    throttle: str


class Sensors:
    """Sensors of a device; power is averaged from here on.

    Args:
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, device: str) -> None:
        self._handle = _nvml_handle() if device == "cuda" else None
        self._on_cpu = device == "cpu"
        self._began = time.perf_counter()
        self._joules = self._energy()

    def read(self) -> Conditions:
        """Return the readings since the sensors were made."""
        joules, seconds = self._energy(), time.perf_counter() - self._began
        watts = None
        # A counter that overflowed in between gives no difference.
        if joules is not None and self._joules is not None and joules > self._joules and seconds > 0:
            watts = (joules - self._joules) / seconds
        if self._handle is None:
            return Conditions(watts, None, "")
        return Conditions(watts, *_clock_and_throttle(*self._handle))

    def _energy(self) -> float | None:
        """Return the joules on the device's energy counter."""
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
    """Return the version of NVIDIA's driver; None if it cannot be read."""
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
    """Return the library and torch's GPU; None if the optional library is missing or finds no driver."""
    try:
        import pynvml
    except ImportError:
        return None
    # Torch takes long to import, and reading a processor does not need it.
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
    """Return the joules of all processor packages; the counters of their parts are left out."""
    try:
        counters = [p / "energy_uj" for p in _PACKAGES.glob("intel-rapl:*") if _is_package(p)]
        return sum(int(c.read_text()) for c in counters) / 1e6 if counters else None
    except (OSError, ValueError):
        return None


def _is_package(counter: Path) -> bool:
    """Return whether a counter is that of a package; "psys" counts the whole machine, packages included."""
    return counter.name.count(":") == 1 and (counter / "name").read_text().startswith("package")
