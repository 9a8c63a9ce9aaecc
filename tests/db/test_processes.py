from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from advisor.plans.records import Run
from db.queries import Store
from db.session import open_store

ROOT = Path(__file__).parent.parent.parent

WRITER = """
import sys
from pathlib import Path
from advisor.plans.records import EpochRecord
from db.session import open_store

store = open_store(Path(sys.argv[1]))
for epoch in range(100_000):
    store.record_epoch(1, EpochRecord(
        step="train", network="mother-1", epoch=epoch, rate=0.1, train_loss=1.0, train_error=0.5,
        validation_loss=1.0, validation_error=0.5, validation_probabilities=bytes(20_000), seconds=1.0))
    print(epoch, flush=True)
"""

OPENER = """
import sys
from pathlib import Path
from db.session import open_store

print("ready", flush=True)
sys.stdin.readline()
with open_store(Path(sys.argv[1]), busy_seconds=30.0) as store:
    request = {"budget": "60k", "epochs": 3, "dataset": "digits", "batch": 32, "seed": 0, "device": None}
    store.add_recommendation("now", request, {"recommendations": []})
"""

MEASURER = """
import sys
from pathlib import Path
from advisor.networks.layers import Task
from advisor.cost.measurement import Fingerprint, LayerTime, Measurement
from db.session import open_store

path, name = Path(sys.argv[1]), sys.argv[2]
machine = Fingerprint(device="cpu", device_name="", driver="", torch="", threads=1, dtype="float32",
    memory_format="contiguous")
with open_store(path, busy_seconds=30.0) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(1, 41):
        layers = tuple(
            LayerTime(name=f"{name}.{number}.{i}", forward_seconds=number / 7, backward_seconds=i / 3,
                inference_seconds=0.0)
            for i in range(300))
        store.add_measurement(Measurement(
            network=name, task=Task(channels=1, height=8, width=8, classes=10), batch=number,
            fingerprint=machine, forward_seconds=0.0, backward_seconds=0.0, optimizer_seconds=0.0,
            step_seconds=0.0, step_iqr_seconds=0.0, inference_seconds=0.0, layers=layers, peak_bytes=None,
            spent_seconds=0.0, measured_at=""))
"""

PROFILER = """
import sys
from pathlib import Path
from advisor.networks.layers import Task
from advisor.plans.dataset import Augmentation
from advisor.plans.execution import Execution
from advisor.cost.measurement import Measurement
from db.session import open_store
from profiler.device import fingerprint
from profiler.isolate import MeasuringProcess
from trainer.training.workload import StepWorkload

if __name__ == "__main__":
    execution = Execution(
        device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")
    task = Task(channels=1, height=8, width=8, classes=10)
    with open_store(Path(sys.argv[1])) as store, MeasuringProcess("cpu", 1) as process:
        assert process.wait_until_ready()
        for network, seconds in (("mlp-1-4", 0.2), ("mlp-1-8", 60.0)):
            process.begin(StepWorkload(network=network, task=task, batch=8,
                augmentation=Augmentation.NONE, execution=execution), seconds)
            print(process._process.pid, flush=True)
            times = process.finish(60.0)
            if times is not None:
                store.add_measurement(Measurement(
                    network=network, task=task, batch=8, fingerprint=fingerprint(execution),
                    forward_seconds=times.forward, backward_seconds=times.backward,
                    optimizer_seconds=times.optimizer, step_seconds=times.step,
                    step_iqr_seconds=times.step_iqr, inference_seconds=times.inference,
                    layers=times.layers, peak_bytes=times.peak_bytes, spent_seconds=times.spent,
                    measured_at=""))
        print("done", flush=True)
"""

LATE = """
import sys
from pathlib import Path
from db.session import open_store

open_store(Path(sys.argv[1])).close()
print(any(name.partition(".")[0] == "alembic" for name in sys.modules))
"""


def start(code: str, path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def let_go(processes: list[subprocess.Popen[str]]) -> None:
    """Wait until all are ready, start them at once and see that all end well."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait() for process in processes] == [0] * len(processes)
    for process in processes:
        process.communicate()


def test_a_killed_writer_leaves_every_epoch_that_it_had_stored(
    path: Path, new_run: Callable[[Store], Run]
) -> None:
    with open_store(path) as store:
        run = new_run(store)
    with start(WRITER, path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 40:
                process.kill()
                break
        # What it printed between the 40th and the kill counts too.
        reported = 40 + len(process.stdout.readlines())
    with open_store(path) as store:
        epochs = [record.epoch for record in store.epochs(run.id)]
        assert store.check() == []
        assert store.run(run.id) == run
    assert epochs == list(range(len(epochs)))
    assert len(epochs) >= reported + 1


def test_processes_that_open_a_new_file_at_once_all_get_it(path: Path) -> None:
    let_go([start(OPENER, path) for _ in range(4)])
    with open_store(path) as store:
        last = store.last_recommendation()
        assert last is not None
        assert last.id == 4
        assert store.check() == []


# Networks of 300 layers.
NAMES = ("mlp-149-4", "mlp-149-8")


def test_processes_that_measure_at_once_spoil_no_measurement(path: Path) -> None:
    open_store(path).close()
    let_go([start(MEASURER, path, name) for name in NAMES])
    with open_store(path) as store:
        assert store.check() == []
        found = store.measurements()
    assert sorted((m.network, m.batch) for m in found) == [
        (name, number) for name in NAMES for number in range(1, 41)
    ]
    for m in found:
        assert [t.name for t in m.layers] == [f"{m.network}.{m.batch}.{i}" for i in range(300)]
        assert {t.forward_seconds for t in m.layers} == {m.batch / 7}
        assert [t.backward_seconds for t in m.layers] == [i / 3 for i in range(300)]


@pytest.mark.slow
def test_a_program_killed_in_the_middle_of_a_measurement_leaves_only_the_one_before(
    path: Path, tmp_path: Path
) -> None:
    # As a file: a spawned process imports the program of the one that started it.
    program = tmp_path / "profile_two.py"
    program.write_text(PROFILER, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(program), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        first, second = process.stdout.readline(), process.stdout.readline()
        assert first == second
        process.kill()
        # Otherwise its measuring process would go on until it finds no parent.
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(second), signal.SIGKILL)
    with open_store(path) as store:
        assert store.check() == []
        assert [m.network for m in store.measurements()] == ["mlp-1-4"]
        assert all(m.layers for m in store.measurements())


def test_opening_an_up_to_date_file_does_not_import_alembic(path: Path) -> None:
    open_store(path).close()
    with start(LATE, path) as process:
        assert process.communicate()[0] == "False\n"
