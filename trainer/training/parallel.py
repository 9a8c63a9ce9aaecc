"""Data parallelism: processes, each with a device of its own, share the batches of one training step.

MotherNets (MLSys 2020), appendix D: GPUs for which no network is ready help those that are training. How many
a step has is the plan's to say (`advisor.plans.placement`); the processes are idle workers of the run's pool.

*Rank* r of n processes takes slice r of every batch. All hold the network and go through the same epochs and
batches; `DistributedDataParallel` averages their gradients, which are scaled to give the gradient of the
whole batch. What decides the course is the same on all: losses and errors are summed, and a request to stop
counts wherever it arrives. Rank 0 alone evaluates, reports and writes checkpoints; all read them on resuming.

Batch normalisation: on CUDA statistics are those of the whole batch (`SyncBatchNorm`). On a CPU torch has no
such layer; every rank normalises by its own slice and all keep rank 0's running statistics, so networks with
batch normalisation come out otherwise than on one device. Plans made here share batches on CUDA only.

When something goes wrong nobody waits for long:

- A rank that fails writes its reason into the folder where they met; the others lose contact and give it too.
- A killed rank ends the whole pool (`trainer.execution.pool`), and with it the others.
- A rank that cannot leave, because its device waits for one that is gone, ends its process after `GRACE`.
- A rank that stands still is given up after `PATIENCE`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from advisor.errors import RunError
from advisor.plans.placement import devices_of, slots
from advisor.plans.plan import TrainingPlan, TrainStep
from advisor.plans.records import EpochRecord
from trainer.data.loading import Data
from trainer.training.checkpoint import Progress
from trainer.training.loop import DivergedError, NetworkTraining, Reporter, StoppedError
from trainer.training.step import Share

# Others wait while rank 0 evaluates and writes a checkpoint, which a large data set may draw out.
PATIENCE = timedelta(minutes=30)
# Seconds that a rank has to leave after another one failed, and that a reason may take to be written.
GRACE, REASON_SECONDS = 30.0, 5.0
POLL_SECONDS = 0.2
# Ranks are on one machine: they need no other network, and nobody else should reach them.
LOOPBACK = {"linux": "lo", "darwin": "lo0"}


@dataclass(frozen=True, slots=True)
class Seat:
    """A process's place among those that share a step.

    Attributes:
        share: its rank, and how many there are.
        meeting: folder where they find each other, empty at first.
    """

    share: Share
    meeting: Path


def seats(count: int, within: Path) -> list[Seat | None]:
    """Return a seat for each of `count` processes, in a new folder; one process alone needs none."""
    if count == 1:
        return [None]
    meeting = Path(tempfile.mkdtemp(dir=within))
    return [Seat(Share(rank, count), meeting) for rank in range(count)]


def take_device(device: str, workers: Barrier) -> None:
    """Give each of the waiting workers of a pool a GPU of its own as long as there are enough."""
    if device == "cuda":
        torch.cuda.set_device(workers.wait() % torch.cuda.device_count())


def check_devices(plan: TrainingPlan) -> None:
    """Refuse a plan that shares batches among more GPUs than there are.

    Raises:
        RunError: as said.
    """
    shared = any(devices_of(step) > 1 for step in plan.steps)
    if plan.execution.device == "cuda" and shared and torch.cuda.device_count() < slots(plan):
        raise RunError(
            f"the plan needs {slots(plan)} GPUs and torch finds {torch.cuda.device_count()}: make a new plan"
        )


def train(
    plan: TrainingPlan, step: TrainStep, data: Data, folder: Path, reporter: Reporter, seat: Seat | None
) -> Progress:
    """Train to the end of a step, alone or in a seat among others.

    Raises:
        StoppedError, DivergedError, StorageError: as `NetworkTraining.run`.
        RunError: another process that shares the step failed or was lost.
    """
    if seat is None:
        return NetworkTraining(plan, step, data, folder, reporter).run()
    with _gathered(plan.execution.device, step.network, seat):
        return SharedTraining(plan, step, data, folder, reporter, seat.share).run()


class SharedTraining(NetworkTraining):
    """A rank's part in the training of a network; see `NetworkTraining`.

    Args:
        share: of this process.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        step: TrainStep,
        data: Data,
        folder: Path,
        reporter: Reporter,
        share: Share,
    ) -> None:
        self.share = share
        leads = share.rank == 0
        shared = Reporter(
            reporter.epoch if leads else _unheard,
            reporter.warn if leads else _unheard,
            lambda: _agreed(reporter.stop()),
        )
        super().__init__(plan, step, data, folder, shared)

    def _restore(self) -> None:
        super()._restore()
        if self.plan.execution.device == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(self.network)
        self.module = DistributedDataParallel(self.network)

    def _train_batch(self, which: torch.Tensor, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        loss, wrong = super()._train_batch(which, number)
        sums = torch.stack([loss.double(), wrong.double()])
        distributed.all_reduce(sums)
        return sums[0], sums[1].long()

    def _halve_micro_batch(self) -> None:
        # The others have no want of memory and wait in the middle of the batch: there is no second attempt.
        raise RunError(
            f"{self.step.network} does not fit into memory with its batch shared by {self.share.count} "
            "devices; choose a smaller design or batch"
        )

    def weights_are_finite(self) -> bool:
        """Whether no rank has a weight that is infinite or not a number; running statistics are its own."""
        return not _agreed(not super().weights_are_finite())

    def _evaluated(self, train_loss: float, train_error: float, started: float) -> EpochRecord:
        if self.share.rank == 0:
            return super()._evaluated(train_loss, train_error, started)
        # Neither reported nor kept.
        return EpochRecord(
            step=self.step.id,
            network=self.step.network,
            epoch=self.progress.epoch,
            rate=0.0,
            train_loss=train_loss,
            train_error=train_error,
            validation_loss=0.0,
            validation_error=0.0,
            validation_probabilities=b"",
            seconds=0.0,
        )

    def _save(self) -> None:
        if self.share.rank == 0:
            super()._save()


def _unheard(what: object) -> None:
    """Ignore what rank 0 reports for all."""


def _agreed(wanted: bool) -> bool:
    """Whether any rank wants something; all ask, and get one answer."""
    votes = torch.tensor(int(wanted))
    distributed.all_reduce(votes)
    return bool(votes)


@contextmanager
def _gathered(device: str, network: str, seat: Seat) -> Iterator[None]:
    """Meet the other ranks, and part from them when all are done or something failed."""
    left = threading.Event()
    threading.Thread(target=_leave_in_time, args=(_reason_file(seat), left), daemon=True).start()
    try:
        _meet(device, seat)
        yield
        # Nobody tears down what another one still uses.
        _agreed(False)
    except (StoppedError, DivergedError):
        # All ranks come to this end together.
        raise
    except Exception as error:
        if _lost_contact(error):
            raise RunError(_reason_of_others(seat) or _lost(network, seat)) from None
        _reason_file(seat).write_text(str(error).partition("\n")[0] or type(error).__name__)
        raise
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
        left.set()


def _meet(device: str, seat: Seat) -> None:
    # The first optimizer imports it, for seconds in which other ranks would wait in the middle of a batch.
    import torch._dynamo  # noqa: F401

    if sys.platform in LOOPBACK:
        for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(variable, LOOPBACK[sys.platform])
    distributed.init_process_group(
        # Votes are tensors on the CPU also where gradients are on CUDA.
        "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo",
        store=distributed.FileStore(  # type: ignore[attr-defined]
            str(seat.meeting / "store"), seat.share.count
        ),
        rank=seat.share.rank,
        world_size=seat.share.count,
        timeout=PATIENCE,
    )


def _leave_in_time(reason: Path, left: threading.Event) -> None:
    """End this process if it has not left long after a rank failed."""
    while not left.wait(POLL_SECONDS):
        if _reasons(reason.parent) and not left.wait(GRACE):
            os._exit(1)


def _lost_contact(error: Exception) -> bool:
    """Whether another rank was the cause; gloo's errors have no class of their own."""
    gloo = isinstance(error, RuntimeError) and "gloo" in str(error)
    return gloo or isinstance(error, distributed.DistError)


def _reason_of_others(seat: Seat) -> str:
    """What a rank that failed wrote, if one does in time."""
    deadline = time.monotonic() + REASON_SECONDS
    while not (reasons := _reasons(seat.meeting)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return reasons[0] if reasons else ""


def _reason_file(seat: Seat) -> Path:
    return seat.meeting / f"reason-{seat.share.rank}"


def _reasons(meeting: Path) -> list[str]:
    texts = [path.read_text() for path in meeting.glob("reason-*")]
    return [text for text in texts if text]


def _lost(network: str, seat: Seat) -> str:
    return f"one of the {seat.share.count} processes that share {network} was lost; resume the run"
