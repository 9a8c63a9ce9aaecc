"""Several processes, and processes that are killed: the bits at the end are those of one quiet process."""

import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import trainer.execution.mailbox
import trainer.execution.pool
from advisor.errors import RunError, StorageError
from advisor.plans.dataset import dataset_named
from advisor.plans.plan import plan_to_json
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from trainer.events import Notice
from trainer.execution.execute import execute
from trainer.execution.mailbox import Mailbox
from trainer.execution.pool import Pool
from trainer.run_files import RunFiles
from trainer.training.checkpoint import load_checkpoint

# Executes a plan and prints its events; a folder and a plan are the arguments.
SCRIPT = """
import multiprocessing
import sys
from pathlib import Path

from advisor.plans.plan import plan_from_json
from advisor.plans.records import EpochRecord, StepRecord
from profiler.memory import watch_peak
from trainer.data.loading import load_data
from trainer.events import Notice, TrainingStarted
from trainer.execution.execute import execute
from trainer.run_files import RunFiles


def never():
    return False


def tell(event):
    match event:
        case TrainingStarted():
            print("workers", *(p.pid for p in multiprocessing.active_children()), flush=True)
        case EpochRecord():
            print("epoch", event.network, event.epoch, flush=True)
        case StepRecord():
            print("step", event.step, event.status, flush=True)
        case Notice(text):
            print("notice", text, flush=True)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    plan = plan_from_json(Path(sys.argv[2]).read_text())
    files = RunFiles(folder=folder, data_root=folder, watch=watch_peak)
    execute(plan, files, load_data(plan.dataset, folder), tell, never)
"""


@pytest.fixture(scope="module")
def plan(plan_of):
    """Three members of a few seconds in all."""
    return plan_of("3xresnet-14-4", epochs=3)


def nothing(device):
    """Watch no memory; picklable by name."""
    return no_figure


def no_figure():
    return None


@pytest.fixture(scope="module")
def reference(plan, digits, tmp_path_factory):
    """Weights and epochs of one process that nobody disturbs."""
    folder = tmp_path_factory.mktemp("reference")
    files = RunFiles(folder=folder, data_root=folder, watch=nothing)
    epochs = {}

    def keep(event):
        if isinstance(event, EpochRecord):
            epochs[event.step, event.epoch] = replace(event, seconds=0.0)

    execute(plan, files, digits, keep, lambda: False)
    return {m.name: checkpoint_of(files, m.name).weights for m in plan.members}, epochs


def checkpoint_of(files, name):
    return load_checkpoint(files.of_network(name), pytest.fail)


@pytest.fixture
def assert_equals_reference(reference, files, same_bits):
    def check(story):
        weights, epochs = reference
        assert {r.status for r in story.ended.values()} == {StepStatus.DONE}
        for name, expected in weights.items():
            assert same_bits(expected, checkpoint_of(files, name).weights)
        for key, record in story.epoch_records().items():
            assert record == epochs[key]

    return check


def picklable(files):
    return replace(files, watch=nothing)


class Executing:
    """A subprocess that executes a plan."""

    def __init__(self, plan, folder: Path) -> None:
        folder.mkdir()
        script, written = folder.with_name("script.py"), folder.with_name("plan.json")
        script.write_text(SCRIPT)
        written.write_text(plan_to_json(plan))
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(folder), str(written)], stdout=subprocess.PIPE, text=True
        )

    def wait_for(self, *beginnings: str) -> str:
        """Read what it tells up to the line that has one of the beginnings."""
        for line in self.process.stdout:
            if line.startswith(beginnings):
                return line
        raise AssertionError("the process ended before it told what was waited for")

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


def is_running(pid):
    """Whether a process lives; one that waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.slow
def test_two_processes_end_with_the_bits_of_one(plan, run, files, assert_equals_reference, reference):
    story = run(replace(plan, execution=replace(plan.execution, processes=2)), picklable(files))
    assert_equals_reference(story)
    assert story.epoch_records().keys() == reference[1].keys()
    assert story.begun == 1
    assert len(story.steps) == 3
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_two_processes_that_are_stopped_write_checkpoints_and_one_goes_on(
    plan, run, files, digits, assert_equals_reference
):
    parallel = replace(plan, execution=replace(plan.execution, processes=2))
    stop = threading.Event()

    def stop_after_the_second_epoch(event):
        if isinstance(event, EpochRecord) and event.epoch == 1:
            stop.set()

    ended = execute(parallel, picklable(files), digits, stop_after_the_second_epoch, stop.is_set)
    assert len(ended) < 3
    begun = [m.name for m in plan.members if files.of_network(m.name).exists()]
    assert max(checkpoint_of(files, name).progress.epoch for name in begun) >= 2
    assert multiprocessing.active_children() == []
    assert_equals_reference(run(plan))


def test_after_kill_9_in_the_middle_of_an_epoch_the_run_goes_on_to_the_same_bits(
    plan, run, files, assert_equals_reference
):
    executing = Executing(plan, files.folder)
    executing.wait_for("epoch member-2 0")
    # An epoch takes twice as long: its checkpoint is written and the next one is under way.
    time.sleep(0.04)
    executing.kill()
    assert checkpoint_of(files, "member-1").progress.done
    standing = checkpoint_of(files, "member-2")
    assert standing is None or not standing.progress.done
    assert not files.of_network("member-3").exists()
    assert_equals_reference(run(plan))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.slow
def test_workers_end_in_the_middle_of_their_work_when_their_parent_is_killed(plan_of, files):
    # Workers would go on for a minute.
    executing = Executing(plan_of("2xresnet-14-4", epochs=600, processes=2), files.folder)
    workers = [int(pid) for pid in executing.wait_for("workers").split()[1:]]
    assert len(workers) == 2
    executing.wait_for("epoch member-1 0", "epoch member-2 0")
    assert all(is_running(pid) for pid in workers)
    executing.kill()
    deadline = time.monotonic() + 5
    while (alive := [pid for pid in workers if is_running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    assert alive == [], "workers outlive their parent"
    # One of them may not have finished an epoch yet.
    standing = [checkpoint_of(files, f"member-{n}") for n in (1, 2)]
    assert any(standing)
    assert not any(checkpoint.progress.done for checkpoint in standing if checkpoint)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_worker_fails_its_steps_with_a_remedy_and_the_run_can_go_on(
    plan, run, files, digits, assert_equals_reference, number
):
    parallel = replace(plan, execution=replace(plan.execution, processes=2))
    records = []

    def kill_the_workers(event):
        match event:
            case EpochRecord():
                for worker in multiprocessing.active_children():
                    os.kill(worker.pid, number)
            case StepRecord():
                records.append(event)

    ended = execute(parallel, picklable(files), digits, kill_the_workers, lambda: False)
    # The two that ran and the one that waited.
    assert {r.status for r in ended.values()} == {StepStatus.FAILED}
    assert len(ended) == len(records) == 3
    assert all("worker process was killed" in r.message for r in records)
    assert all("resume the run" in r.message for r in records)
    assert_equals_reference(run(plan))


@pytest.mark.slow
def test_workers_that_cannot_load_the_data_say_why(plan_of, files, digits):
    missing = replace(dataset_named("digits"), train_images=1)
    plan = replace(plan_of("2xmlp-1-4", processes=2), dataset=missing)
    events = []
    with pytest.raises(RunError, match="worker process died while it started"):
        execute(plan, picklable(files), digits, events.append, lambda: False)
    # Training never started, and no step ended.
    assert events
    assert all(isinstance(event, Notice) for event in events)
    assert any("cannot hold back 1076 of 1077 images" in event.text for event in events)


def test_an_event_that_could_not_be_stored_is_reported_again():
    pool, told, arrived = object.__new__(Pool), [], [Notice("first"), Notice("second")]
    pool.mailbox = SimpleNamespace(take=lambda: arrived.pop(0) if arrived else None)
    pool.pending = None

    def full_disk(event):
        raise StorageError("the disk is full")

    pool.tell = full_disk
    with pytest.raises(StorageError):
        pool._tell_arrived()
    pool.tell = told.append
    pool._tell_arrived()
    assert told == [Notice("first"), Notice("second")]


@pytest.mark.slow
def test_a_broken_pool_kills_its_own_workers_and_not_those_of_a_later_pool(monkeypatch):
    monkeypatch.setattr(trainer.execution.pool, "TERMINATION_SECONDS", 2.0)
    monkeypatch.setattr(trainer.execution.pool, "TRANSFER_SECONDS", 0.0)
    context = multiprocessing.get_context("spawn")
    own, later = (context.Process(target=time.sleep, args=(60,)) for _ in range(2))
    pool = object.__new__(Pool)
    pool.others = set(multiprocessing.active_children())
    own.start()
    pool._kill_later()
    later.start()
    own.join(30)
    assert own.exitcode == -signal.SIGKILL
    assert later.is_alive()
    later.kill()
    later.join()


def test_what_a_killed_process_left_for_its_workers_to_meet_in_is_removed(plan_of, files):
    (files.folder / "rendezvous" / "left").mkdir(parents=True)
    pool = Pool(plan_of("2xmlp-1-4", processes=2), files, print, lambda: False)
    assert list(files.folder.iterdir()) == []
    pool.executor.shutdown()
    pool.mailbox.close()


def written(inbox, *events):
    for event in events:
        inbox.put(event)


def killed_while_writing(inbox):
    """Write the first half of a message under the queue's lock, as its thread does, and never return."""
    inbox._wlock.acquire()
    os.write(inbox._writer.fileno(), struct.pack("!i", 1000) + bytes(500))
    os.kill(os.getpid(), signal.SIGKILL)


def ended(context, target, *arguments):
    process = context.Process(target=target, args=arguments)
    process.start()
    process.join()


@pytest.mark.slow
def test_all_that_workers_wrote_has_arrived_when_the_mailbox_is_closed():
    context = multiprocessing.get_context("spawn")
    mailbox = Mailbox(context)
    events = [Notice("first"), Notice("x" * 1_000_000), Notice("last")]
    ended(context, written, mailbox.inbox, *events)
    mailbox.close()
    assert [mailbox.take() for _ in range(4)] == [*events, None]


@pytest.mark.slow
def test_nobody_waits_for_the_rest_of_a_message_whose_writer_was_killed(monkeypatch):
    monkeypatch.setattr(trainer.execution.mailbox, "COLLECT_SECONDS", 1.0)
    context = multiprocessing.get_context("spawn")
    mailbox = Mailbox(context)
    ended(context, written, mailbox.inbox, Notice("whole"))
    ended(context, killed_while_writing, mailbox.inbox)
    began = time.monotonic()
    mailbox.close()
    assert [mailbox.take(), mailbox.take()] == [Notice("whole"), None]
    assert time.monotonic() - began < 10
