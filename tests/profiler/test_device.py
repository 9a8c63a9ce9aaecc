"""Which device is chosen, what makes two machines differ, and on which cores a process is pinned."""

import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from advisor.cost.measurement import PROTOCOL
from advisor.errors import UsageError
from advisor.plans.execution import Execution
from profiler import device
from profiler.device import (
    choose_device,
    cores_to_pin,
    fingerprint,
    pin_to,
    quiet_cores,
    usable_cores,
    visible_gpus,
)

ROOT = Path(__file__).parent.parent.parent
can_pin = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")


@pytest.fixture
def without_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def with_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def test_without_cuda_the_processor_is_chosen(without_cuda):
    assert choose_device(None) == "cpu"
    assert choose_device("cpu") == "cpu"


def test_with_cuda_it_is_chosen_unless_the_processor_is_wanted(with_cuda):
    assert choose_device(None) == "cuda"
    assert choose_device("cuda") == "cuda"
    assert choose_device("cpu") == "cpu"


def test_cuda_that_is_not_there_is_refused_with_the_remedy(without_cuda):
    with pytest.raises(UsageError, match="no CUDA device here; use --device cpu") as refused:
        choose_device("cuda")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["gpu", "cuda:0", "CPU", ""])
def test_an_unknown_device_is_refused_with_the_choices(name):
    with pytest.raises(UsageError, match="choose cpu or cuda") as refused:
        choose_device(name)
    assert repr(name) in str(refused.value)


def test_usable_cores_are_those_of_this_process(monkeypatch):
    assert usable_cores() >= 1
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert usable_cores() == 3


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "6400000 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu.max": "nonsense"}, 8),
        ({}, 8),
    ],
)
def test_a_container_has_as_many_cores_as_it_may_use_the_time_of(monkeypatch, tmp_path, files, cores):
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(device, "_CGROUP", tmp_path)
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n")
    assert usable_cores() == cores


def test_a_process_that_drives_a_gpu_is_not_pinned(monkeypatch):
    monkeypatch.setattr(device, "quiet_cores", lambda count: [5, 6][:count])
    plain = Execution(device="cpu", processes=1, threads=2, dtype="float32", memory_format="contiguous")
    assert cores_to_pin(plain) == [5, 6]
    assert cores_to_pin(replace(plain, device="cuda", threads=1)) == []


@pytest.mark.parametrize(("found", "counted"), [(0, 1), (1, 1), (4, 4)])
def test_plans_for_cuda_count_one_gpu_at_least(monkeypatch, found, counted):
    monkeypatch.setattr(device.torch.cuda, "device_count", lambda: found)
    assert visible_gpus() == counted


def test_the_fingerprint_of_a_processor_names_it_its_cores_and_torch(execution):
    machine = fingerprint(execution)
    assert machine.device == "cpu"
    assert f"{usable_cores()} cores" in machine.device_name
    assert machine.torch == torch.__version__
    assert machine == fingerprint(execution)


def test_the_fingerprint_of_a_processor_has_its_instructions_the_pinned_cores_and_the_protocol(
    execution, monkeypatch
):
    machine = fingerprint(replace(execution, threads=2))
    assert machine.kernels == torch.backends.cpu.get_cpu_capability()
    assert machine.protocol == PROTOCOL
    assert machine.cores == (2 if hasattr(os, "sched_setaffinity") else 0)
    monkeypatch.setattr(device, "_CAN_PIN", False)
    assert fingerprint(execution).cores == 0


def test_the_fingerprint_of_a_gpu_has_driver_precision_autotuning_and_cudnn(execution, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Example GPU")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    monkeypatch.setattr(device, "driver_version", lambda: "600.1")
    machine = fingerprint(replace(execution, device="cuda"))
    assert (machine.device, machine.device_name, machine.cores) == ("cuda", "Example GPU", 0)
    assert machine.driver == "600.1, CUDA 13.0"
    assert machine.kernels == "tf32, cuDNN 91002, autotuned"
    monkeypatch.setattr(device, "driver_version", lambda: None)
    assert fingerprint(replace(execution, device="cuda")).driver == "CUDA 13.0"


@pytest.mark.parametrize(
    "changes", [{"threads": 2}, {"dtype": "bfloat16"}, {"memory_format": "channels_last"}]
)
def test_settings_that_change_the_time_of_a_step_change_the_digest(execution, changes):
    assert fingerprint(replace(execution, **changes)).digest != fingerprint(execution).digest


def test_the_number_of_processes_is_no_part_of_the_fingerprint(execution):
    assert fingerprint(replace(execution, processes=4)) == fingerprint(execution)


def test_the_digest_changes_with_every_field(execution):
    machine = fingerprint(execution)
    digests = {machine.digest}
    for field in fields(machine):
        value = getattr(machine, field.name)
        digests.add(replace(machine, **{field.name: value + (1 if isinstance(value, int) else "x")}).digest)
    assert len(digests) == 1 + len(fields(machine))


# Cores.

BEFORE = """cpu  1 1 1 400 0
cpu0 1 1 1 100 0 0
cpu1 1 1 1 100 0 0
cpu2 1 1 1 100 0 0
cpu3 1 1 1 100 0 0
intr 1 2 3
"""


@pytest.fixture
def ticks(monkeypatch):
    """Four cores that this process may use, of which each was idle for the ticks given."""

    def give(*idle, before=BEFORE, usable=(0, 1, 2, 3)):
        after = before
        for core, more in enumerate(idle):
            after = after.replace(f"cpu{core} 1 1 1 100", f"cpu{core} 1 1 1 {100 + more}")
        texts = iter([before, after])
        stat = SimpleNamespace(read_text=lambda: next(texts))
        monkeypatch.setattr(device, "_CAN_PIN", True)
        monkeypatch.setattr(device.os, "sched_getaffinity", lambda _: set(usable), raising=False)
        monkeypatch.setattr(device, "Path", {"/proc/stat": stat}.__getitem__)
        monkeypatch.setattr(device, "QUIET_SECONDS", 0.0)

    return give


def test_the_idlest_cores_come_first(ticks):
    ticks(3, 9, 0, 7)
    assert quiet_cores(4) == [1, 3, 0, 2]
    ticks(3, 9, 0, 7)
    assert quiet_cores(2) == [1, 3]


def test_of_cores_that_are_idle_alike_the_last_comes_first(ticks):
    ticks(5, 5, 5, 5)
    assert quiet_cores(2) == [3, 2]


def test_only_cores_that_this_process_may_use_are_named_and_no_more_than_there_are(ticks):
    ticks(3, 9, 0, 7, usable=(0, 2))
    assert quiet_cores(4) == [0, 2]


@pytest.mark.parametrize("text", ["", "cpu0 1 1", "cpu0 1 1 1 many", "cpux 1 1 1 1"])
def test_a_system_that_does_not_count_as_expected_gives_the_last_cores(ticks, text):
    ticks(before=text)
    assert quiet_cores(2) == [3, 2]


def test_a_system_without_counters_gives_the_last_cores(ticks, monkeypatch):
    def missing():
        raise FileNotFoundError("/proc/stat")

    ticks()
    monkeypatch.setattr(device, "Path", lambda _: SimpleNamespace(read_text=missing))
    assert quiet_cores(1) == [3]


def test_where_processes_cannot_be_pinned_no_core_is_named_and_none_is_pinned(monkeypatch):
    monkeypatch.setattr(device, "_CAN_PIN", False)
    monkeypatch.setattr(device.os, "sched_setaffinity", pytest.fail, raising=False)
    assert quiet_cores(1) == []
    pin_to([0])


def test_holding_to_no_core_changes_nothing(monkeypatch):
    monkeypatch.setattr(device.os, "sched_setaffinity", pytest.fail, raising=False)
    pin_to([])


@can_pin
def test_real_quiet_cores_are_among_those_of_this_process():
    cores = quiet_cores(1000)
    assert sorted(cores) == sorted(os.sched_getaffinity(0))
    assert quiet_cores(1)[0] in cores


@pytest.mark.slow
@can_pin
def test_a_process_that_is_pinned_to_a_core_runs_there_with_all_its_threads():
    code = (
        "import json, os, threading\n"
        "from profiler.device import pin_to\n"
        "core = max(os.sched_getaffinity(0))\n"
        "pin_to([core])\n"
        "seen = [sorted(os.sched_getaffinity(0))]\n"
        "t = threading.Thread(target=lambda: seen.append(sorted(os.sched_getaffinity(0))))\n"
        "t.start(); t.join()\n"
        "print(json.dumps([core, seen]))\n"
    )
    before = os.sched_getaffinity(0)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    core, seen = json.loads(done.stdout)
    assert seen == [[core], [core]]
    assert os.sched_getaffinity(0) == before


def test_nothing_of_cuda_is_needed_to_import_the_profiler():
    code = (
        "import sys\n"
        "sys.modules['pynvml'] = None\n"  # importing it raises ImportError
        "import torch\n"
        "class Gone:\n"
        "    def __getattr__(self, name):\n"
        "        raise RuntimeError(f'torch.cuda.{name} at import')\n"
        "torch.cuda = Gone()\n"
        "import profiler.clock, profiler.device, profiler.isolate, profiler.layers, profiler.memory\n"
        "import profiler.sensors, profiler.simulation, profiler.steps, profiler.workload\n"
        "print(profiler.sensors.driver_version(), profiler.device.processor_name() != '')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.returncode) == ("None True\n", 0), done.stderr
