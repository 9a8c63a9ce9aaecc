"""Readings of the sensors, from a made-up library and made-up files."""

import sys
import time
from types import SimpleNamespace

import pytest
import torch

from profiler import sensors
from profiler.sensors import Conditions, Sensors, driver_version

IDENTITY = "0a1b2c3d-0000-0000-0000-000000000000"


@pytest.fixture
def passing(monkeypatch):
    """Let time pass only by the seconds given."""
    now = [50.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def let(seconds):
        now[0] += seconds

    return let


# Processors.


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder of powercap counters; each call sets them to microjoules by name."""
    monkeypatch.setattr(sensors, "_PACKAGES", tmp_path)

    def give(**microjoules):
        for name, value in microjoules.items():
            folder = tmp_path / name.replace("_", ":").replace("rapl", "intel-rapl")
            folder.mkdir(exist_ok=True)
            (folder / "energy_uj").write_text(f"{value}\n")
            (folder / "name").write_text("psys\n" if name == "rapl_9" else "package-0\n")

    return give


def test_the_power_of_a_processor_is_what_its_packages_used_by_the_second(packages, passing):
    packages(rapl_0=1_000_000, rapl_1=5_000_000)
    watched = Sensors("cpu")
    packages(rapl_0=81_000_000, rapl_1=25_000_000)
    passing(4.0)
    assert watched.read() == Conditions(watts=25.0, clock_mhz=None, throttle="")


def test_parts_of_a_package_and_other_counters_are_not_added_to_it(packages, passing, tmp_path):
    packages(rapl_0=0, rapl_0_0=0)
    (tmp_path / "intel-rapl").mkdir()
    (tmp_path / "dtpm").mkdir()
    watched = Sensors("cpu")
    packages(rapl_0=10_000_000, rapl_0_0=9_000_000)
    passing(1.0)
    assert watched.read().watts == 10.0


def test_the_counter_of_the_whole_machine_is_not_added_to_its_packages(packages, passing):
    packages(rapl_0=0, rapl_9=0)
    watched = Sensors("cpu")
    packages(rapl_0=10_000_000, rapl_9=15_000_000)
    passing(1.0)
    assert watched.read().watts == 10.0


def test_a_counter_that_overflowed_gives_no_power(packages, passing):
    packages(rapl_0=262_000_000_000)
    watched = Sensors("cpu")
    packages(rapl_0=1_000_000)
    passing(1.0)
    assert watched.read().watts is None


def test_a_counter_that_stands_still_and_a_watch_without_time_give_no_power(packages, passing):
    packages(rapl_0=1_000_000)
    watched = Sensors("cpu")
    passing(1.0)
    assert watched.read().watts is None
    watched = Sensors("cpu")
    packages(rapl_0=2_000_000)
    assert watched.read().watts is None


def test_a_processor_without_counters_gives_no_power(packages, passing):
    watched = Sensors("cpu")
    passing(1.0)
    assert watched.read() == Conditions(None, None, "")


@pytest.mark.parametrize("when", ["before", "after", "no number"])
def test_a_counter_that_cannot_be_read_gives_no_power(packages, passing, tmp_path, when):
    if when != "before":
        packages(rapl_0=1)
    watched = Sensors("cpu")
    packages(rapl_0=1_000_000)
    if when == "after":
        (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    if when == "no number":
        packages(rapl_0="many")
    passing(1.0)
    assert watched.read().watts is None


# GPUs.


class Nvml:
    """As pynvml, on one GPU whose energy counter is in millijoules."""

    class NVMLError(Exception):
        """What the library raises, whatever it is that it does not do."""

    NVML_CLOCK_SM = 1

    def __init__(self):
        self.millijoules, self.bits, self.broken, self.driver = 1_000_000, 0, set(), "600.1"

    def _answer(self, what, value):
        if what in self.broken:
            raise self.NVMLError(f"{what} is not supported")
        return value

    def nvmlInit(self):
        self._answer("init", None)

    def nvmlDeviceGetHandleByUUID(self, uuid):
        assert uuid == f"GPU-{IDENTITY}"
        return self._answer("handle", "a handle")

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        assert handle == "a handle"
        return self._answer("energy", self.millijoules)

    def nvmlDeviceGetClockInfo(self, handle, kind):
        assert (handle, kind) == ("a handle", self.NVML_CLOCK_SM)
        return self._answer("clock", 1755)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):
        return self._answer("throttle", self.bits)

    def nvmlSystemGetDriverVersion(self):
        return self._answer("driver", self.driver)


@pytest.fixture
def nvml(monkeypatch):
    library = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid=f"GPU-{IDENTITY}")
    )
    return library


def test_the_power_of_a_gpu_is_the_energy_it_used_by_the_second(nvml, passing):
    watched = Sensors("cuda")
    nvml.millijoules += 500_000
    passing(2.0)
    assert watched.read() == Conditions(watts=250.0, clock_mhz=1755, throttle="")


def test_the_gpu_is_found_by_its_identity_with_or_without_a_prefix(nvml, monkeypatch):
    # torch gives it without the prefix that the library wants.
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid=IDENTITY))
    assert Sensors("cuda").read().clock_mhz == 1755


@pytest.mark.parametrize(
    ("bits", "throttle"),
    [
        (0x0, ""),
        (0x1, ""),  # idle
        (0x2, ""),  # clocks as an application set them
        (0x4, "power cap"),
        (0x8, "hardware slowdown"),
        (0x20, "thermal limit"),
        (0x40, "hardware thermal limit"),
        (0x80, "power brake"),
        (0x4 | 0x20 | 0x1, "power cap, thermal limit"),
    ],
)
def test_what_holds_a_gpu_back_is_named(nvml, bits, throttle):
    watched = Sensors("cuda")
    nvml.bits = bits
    assert watched.read().throttle == throttle


def test_an_energy_counter_that_began_anew_gives_no_power(nvml, passing):
    watched = Sensors("cuda")
    nvml.millijoules = 10
    passing(1.0)
    assert watched.read() == Conditions(None, 1755, "")


@pytest.mark.parametrize("broken", ["energy", "clock", "throttle"])
def test_a_gpu_without_one_sensor_reports_the_others(nvml, passing, broken):
    nvml.bits = 0x4
    nvml.broken = {broken}
    watched = Sensors("cuda")
    nvml.millijoules += 1000
    passing(1.0)
    found = watched.read()
    assert found.watts == (None if broken == "energy" else 1.0)
    assert (found.clock_mhz, found.throttle) == ((1755, "power cap") if broken == "energy" else (None, ""))


def test_a_gpu_that_stops_answering_half_way_is_no_error(nvml, passing):
    watched = Sensors("cuda")
    nvml.broken = {"energy", "clock", "throttle"}
    passing(1.0)
    assert watched.read() == Conditions(None, None, "")


@pytest.mark.parametrize("broken", ["init", "handle", "driver"])
def test_a_driver_that_does_not_tell_its_version_has_none(nvml, broken):
    nvml.broken = {broken}
    assert driver_version() is None


@pytest.mark.parametrize("broken", ["init", "handle"])
def test_a_library_that_sees_no_driver_or_gpu_reports_nothing(nvml, passing, broken):
    nvml.broken = {broken}
    watched = Sensors("cuda")
    passing(1.0)
    assert watched.read() == Conditions(None, None, "")


def test_without_the_library_nothing_is_reported(monkeypatch, passing):
    monkeypatch.setitem(sys.modules, "pynvml", None)  # importing it raises ImportError
    watched = Sensors("cuda")
    passing(1.0)
    assert watched.read() == Conditions(None, None, "")
    assert driver_version() is None


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Found no NVIDIA driver on your system"),
        AssertionError("Torch not compiled with CUDA enabled"),
    ],
    ids=["no driver", "no CUDA"],
)
def test_a_torch_that_sees_no_gpu_reports_nothing(nvml, monkeypatch, error):
    def current_device():
        raise error

    monkeypatch.setattr(torch.cuda, "current_device", current_device)
    assert Sensors("cuda").read() == Conditions(None, None, "")
    assert driver_version() is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a torch that sees no GPU")
def test_this_torch_without_a_gpu_reports_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", Nvml())
    assert driver_version() is None


def test_a_mistake_in_the_program_is_not_taken_for_a_silent_gpu(nvml):
    watched = Sensors("cuda")
    nvml.nvmlDeviceGetClockInfo = None
    with pytest.raises(TypeError):
        watched.read()


@pytest.mark.parametrize("version", ["600.1", b"600.1"])
def test_the_drivers_version_is_text_in_old_and_new_libraries(nvml, version):
    nvml.driver = version
    assert driver_version() == "600.1"


def test_a_gpu_is_not_asked_while_the_processor_is_measured(nvml, packages, passing):
    watched = Sensors("cpu")
    nvml.millijoules += 1000
    passing(1.0)
    assert watched.read() == Conditions(None, None, "")
