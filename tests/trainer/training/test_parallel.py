"""Steps whose batches several processes share: the weights of one device, and an end whatever happens."""

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import pytest
import torch

import trainer.execution.pool
from advisor.errors import RunError
from advisor.plans.plan import TrainStep
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from trainer.data.preparation import Preparation
from trainer.execution.execute import execute
from trainer.run_files import RunFiles
from trainer.training import parallel
from trainer.training.checkpoint import load_checkpoint
from trainer.training.loop import StoppedError
from trainer.training.optimizer import SGD
from trainer.training.step import Share, training_step
from trainer.training.work_in_turns import drained

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
# A rank that is waited for in vain would be given up after half an hour.
SOON = 20.0


def shared(plan, devices):
    """The plan with all its training steps on some devices."""
    steps = tuple(replace(s, devices=devices) if isinstance(s, TrainStep) else s for s in plan.steps)
    return replace(plan, steps=steps)


def nothing(device):
    """Watch no memory; picklable by name."""
    return no_figure


def no_figure():
    return None


def ignore(event):
    """Receive an event that is not asked about."""


def never():
    return False


# What a rank does when it is asked whether to stop, which is before every batch; picklable by name.


def fails():
    raise RuntimeError("the device is on fire\nand more")


def hangs():
    time.sleep(10 * SOON)


def dies():
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class After:
    """Stop, but not at the first calls."""

    calls: int

    def __call__(self):
        self.calls -= 1
        return self.calls < 0


@dataclass
class Story:
    """What each rank came to, by rank, and the epochs that ranks reported: (rank, epoch, loss)."""

    ends: dict = field(default_factory=dict)
    epochs: list = field(default_factory=list)


class Ranks:
    """The ranks of a plan's first step, each a process.

    They are forks of a server that has imported torch and computed nothing: autograd refuses to work in forks
    of a process in which it started threads, as it may have in this one.
    """

    def __init__(self, plan, files, data, within, count):
        step = plan.steps[0]
        self.training = plan, step, data, files.of_network(step.network)
        self.rendezvous = parallel.make_rendezvous(count, within)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([__name__])

    def end(self, stop=None, **constants):
        """Return the story of the ranks.

        Args:
            stop: how some answer when they are asked whether to stop, by rank; others never do.
            constants: of `trainer.training.parallel`, where they differ.
        """
        heard = self.context.Queue()
        processes = [
            self.context.Process(
                target=trained,
                args=(*self.training, place, (stop or {}).get(place.share.rank, never), constants, heard),
            )
            for place in self.rendezvous
        ]
        for process in processes:
            process.start()
        story, deadline = Story(), time.monotonic() + SOON
        while len(story.ends) < sum(not p.exitcode for p in processes) and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                rank, end, epoch = heard.get(timeout=0.05)
                if epoch is None:
                    story.ends[rank] = end
                else:
                    story.epochs.append((rank, *epoch))
        hanging = sum(not p.exitcode for p in processes) - len(story.ends)
        for process in processes:
            process.kill()
            process.join()
        assert hanging == 0, "a rank waits in vain"
        return story


def trained(plan, step, data, folder, rendezvous, stop, constants, heard):
    """Train as one rank, and write down every epoch and the end."""
    torch.set_num_threads(plan.execution.threads)
    for name, value in constants.items():
        setattr(parallel, name, value)
    rank = rendezvous.share.rank

    def tell(event):
        if isinstance(event, EpochRecord):
            heard.put((rank, "", (event.epoch, event.train_loss)))

    try:
        drained(parallel.train_turns(plan, step, data, folder, tell, stop, rendezvous))
    except (RuntimeError, StoppedError, RunError) as error:
        heard.put((rank, f"{type(error).__name__}: {error}", None))
    else:
        heard.put((rank, "done", None))
    # As a worker does: what the others hear of this rank is not the end of its process.
    time.sleep(2 * SOON)


def weights_of(files, name="member-1"):
    return load_checkpoint(files.of_network(name), pytest.fail).weights


@pytest.fixture
def plan(plan_of):
    """8 batches an epoch, no batch normalisation."""
    return plan_of("mlp-2-8", rate=0.5)


@pytest.fixture
def single(plan, run, files):
    """Weights that one device ends with, and its epochs."""
    where = replace(files, folder=files.folder.with_name("single"))
    story = run(plan, where)
    return weights_of(where), story.epochs


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6)


# A batch and its slices.


@pytest.mark.parametrize("count", [1, 2, 3])
def test_gradients_of_the_slices_have_the_gradient_of_the_batch_as_their_mean(plan, digits, count):
    images, labels = digits.train.images[:32], digits.train.labels[:32]
    totals = []

    def gradient(share):
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        loss, wrong = training_step(
            network,
            SGD(network, 0.0, 0.0),
            images,
            labels,
            preparation=Preparation(
                plan.dataset.augmentation, digits.mean, digits.deviation, plan.execution.memory_format
            ),
            seed=3,
            execution=plan.execution,
            share=share,
        )
        totals.append((share.count, float(loss), int(wrong)))
        return network[1].weight.grad

    whole = gradient(Share())
    parts = [gradient(Share(rank, count)) for rank in range(count)]
    torch.testing.assert_close(torch.stack(parts).mean(0), whole, rtol=1e-5, atol=1e-7)
    assert sum(loss for _, loss, _ in totals[1:]) == pytest.approx(totals[0][1], rel=1e-5)
    assert sum(wrong for *_, wrong in totals[1:]) == totals[0][2]


# Ranks.


@needs_fork
def test_ranks_end_with_the_weights_of_one_device_and_the_first_reports(
    plan, single, files, digits, tmp_path
):
    # Slices of 43, 43 and 42 images.
    story = Ranks(shared(plan, 3), files, digits, tmp_path, 3).end()
    assert story.ends == {0: "done", 1: "done", 2: "done"}
    expected, records = single
    assert_close(weights_of(files), expected)
    assert [(rank, epoch) for rank, epoch, _ in story.epochs] == [(0, r.epoch) for r in records]
    assert [loss for *_, loss in story.epochs] == pytest.approx([r.train_loss for r in records])


@needs_fork
def test_a_request_to_stop_that_reaches_one_rank_stops_all_and_they_resume(
    plan, single, files, digits, tmp_path
):
    story = Ranks(shared(plan, 2), files, digits, tmp_path, 2).end({1: After(calls=11)})
    assert story.ends == {0: "StoppedError: ", 1: "StoppedError: "}
    standing = load_checkpoint(files.of_network("member-1"), pytest.fail).progress
    # Asked before every batch, of which an epoch has 8.
    assert (standing.epoch, standing.batch) == (1, 3)
    story = Ranks(shared(plan, 2), files, digits, tmp_path, 2).end()
    assert set(story.ends.values()) == {"done"}
    assert_close(weights_of(files), single[0])


@needs_fork
@pytest.mark.parametrize("broken", [0, 1])
def test_a_rank_that_fails_is_the_reason_that_all_give(plan, files, digits, tmp_path, broken):
    story = Ranks(shared(plan, 2), files, digits, tmp_path, 2).end({broken: fails})
    assert story.ends[broken].startswith("RuntimeError: the device is on fire")
    assert story.ends[1 - broken] == "RunError: the device is on fire"


@needs_fork
def test_a_rank_that_disappears_is_an_error(plan, files, digits, tmp_path):
    story = Ranks(shared(plan, 2), files, digits, tmp_path, 2).end({1: dies}, REASON_SECONDS=0.1)
    assert story.ends == {0: "RunError: one of the 2 processes that share member-1 was lost; resume the run"}


@needs_fork
def test_a_rank_that_cannot_leave_ends_its_process(plan, files, digits, tmp_path):
    began = time.monotonic()
    story = Ranks(shared(plan, 2), files, digits, tmp_path, 2).end({0: fails, 1: hangs}, GRACE=0.2)
    assert story.ends == {0: "RuntimeError: the device is on fire\nand more"}
    assert time.monotonic() - began < SOON


def test_a_plan_for_more_gpus_than_there_are_is_refused(plan, run, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    on_gpus = replace(shared(plan, 2), execution=replace(plan.execution, device="cuda"))
    with pytest.raises(RunError, match=r"needs 2 GPUs and torch finds 1: make a new plan"):
        run(on_gpus)


# The pool.


class Slots:
    """An executor whose steps take a moment, and how many slots were taken when each began."""

    def __init__(self, workers, *rest):
        self.workers, self.taken, self.order = workers, 0, []
        self.lock = threading.Lock()

    def submit(self, function, *arguments):
        future = Future()
        if not arguments:
            future.set_result(None)
            return future
        step, rendezvous = arguments
        if rendezvous is None or rendezvous.share.rank == 0:
            with self.lock:
                self.taken += rendezvous.share.count if rendezvous else 1
                self.order.append((step.id, self.taken))
        threading.Timer(0.02, self._finish, (future, step, rendezvous)).start()
        return future

    def _finish(self, future, step, rendezvous):
        if rendezvous is None or rendezvous.share.rank == 0:
            with self.lock:
                self.taken -= rendezvous.share.count if rendezvous else 1
        record = StepRecord(step=step.id, network=step.network, status=StepStatus.DONE, seconds=0.0)
        future.set_result(record)

    def shutdown(self, wait, cancel_futures):
        """Nothing runs any more."""


def test_steps_wait_until_as_many_slots_are_free_as_they_have_devices(plan_of, run, monkeypatch):
    made = []

    def executor(*arguments):
        made.append(Slots(*arguments))
        return made[0]

    monkeypatch.setattr(trainer.execution.pool, "ProcessPoolExecutor", executor)
    plan = plan_of("3xmlp-1-4", processes=2)
    devices = {"member-1": 2, "member-2": 2, "member-3": 1}
    uneven = replace(plan, steps=tuple(replace(s, devices=devices[s.network]) for s in plan.steps))
    story = run(uneven)
    assert {r.status for r in story.ended.values()} == {StepStatus.DONE}
    # Two at a time need four at the most; the third member finds none free.
    assert made[0].workers == 4
    assert made[0].order[:2] == [("train member-1", 2), ("train member-2", 4)]
    assert max(taken for _, taken in made[0].order) == 4
    # The mother takes both slots, then the members one each.
    made.clear()
    plan = plan_of("2xmlp-1-4@g1", processes=2)
    mother = replace(plan.steps[0], devices=2)
    story = run(replace(plan, steps=(mother, *plan.steps[1:])))
    assert {r.status for r in story.ended.values()} == {StepStatus.DONE}
    assert made[0].workers == 2
    assert made[0].order[0] == ("train mother-1", 2)
    assert max(taken for _, taken in made[0].order) == 2


@pytest.mark.slow
def test_a_plan_with_shared_steps_ends_with_the_weights_of_one_device(plan_of, run, files, digits):
    plan = plan_of("2xmlp-1-8@g1", processes=2, rate=0.5)
    one = replace(files, folder=files.folder.with_name("single"))
    run(replace(plan, execution=replace(plan.execution, processes=1)), one)
    mother = replace(plan.steps[0], devices=2)
    story = run(replace(plan, steps=(mother, *plan.steps[1:])), replace(files, watch=nothing))
    assert {r.status for r in story.ended.values()} == {StepStatus.DONE}
    assert {r.network for r in story.epochs} == {n.network for n in plan.steps}
    assert multiprocessing.active_children() == []
    for name in ("mother-1", "member-1", "member-2"):
        assert_close(weights_of(files, name), weights_of(one, name))


@pytest.mark.slow
def test_a_killed_worker_fails_the_step_that_it_shares_and_the_run_goes_on(plan_of, files, digits):
    # Long enough that it is not over before its first epoch is heard of.
    plan = plan_of("mlp-2-8", rate=0.5, epochs=60)
    where: RunFiles = replace(files, watch=nothing)
    undisturbed = replace(where, folder=files.folder.with_name("undisturbed"))
    execute(shared(plan, 2), undisturbed, digits, ignore, never)

    def kill_one(event):
        if isinstance(event, EpochRecord):
            os.kill(multiprocessing.active_children()[-1].pid, signal.SIGKILL)

    began = time.monotonic()
    (record,) = execute(shared(plan, 2), where, digits, kill_one, never).values()
    assert record.status is StepStatus.FAILED
    assert "killed" in record.message or "was lost" in record.message
    assert "resume the run" in record.message
    assert time.monotonic() - began < 60
    assert multiprocessing.active_children() == []
    (record,) = execute(shared(plan, 2), where, digits, ignore, never).values()
    assert record.status is StepStatus.DONE
    assert_close(weights_of(files), weights_of(undisturbed))


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
@pytest.mark.parametrize("design", ["mlp-2-8", "resnet-8-4"])
def test_two_gpus_end_with_the_weights_of_one(plan_of, run, files, digits, design):
    plan = plan_of(design, device="cuda")
    one = replace(files, folder=files.folder.with_name("single"), watch=nothing)
    run(plan, one)
    story = run(shared(plan, 2), replace(files, watch=nothing))
    assert {r.status for r in story.ended.values()} == {StepStatus.DONE}
    found, expected = weights_of(files), weights_of(one)
    for name in expected:
        # Convolutions and products in TF32 have 10 bits of mantissa.
        torch.testing.assert_close(found[name], expected[name], rtol=0.05, atol=5e-3)
