"""Data parallelism: processes, each with a device of its own, share the batches of one training step.

GPUs for which no network is ready help the GPUs that are training (MotherNets, MLSys 2020, appendix D). The
plan says how many devices a step has (`advisor.plans.placement`). The processes are idle workers of the run's
pool.

Notation: *rank* r of n processes computes slice r of every batch. Every rank has a copy of the network and
goes through the same epochs and batches. `DistributedDataParallel` averages their gradients, which are scaled
so that the mean is the gradient of the whole batch. All ranks take the same decisions, because losses and
errors are summed over the ranks, and a request to stop counts whichever rank receives it. Only rank 0
evaluates, tells of progress and writes checkpoints. All ranks read them when a run is resumed.

Batch normalisation: on CUDA the statistics are those of the whole batch (`SyncBatchNorm`). Torch has no such
layer for a CPU. There every rank normalises with its own slice, and all keep the running statistics of rank
0. A network with batch normalisation then ends with other weights than on one device. The plans that the
advisor makes share batches on CUDA only.

No rank waits for long after a failure:

- A rank that fails writes its reason into the rendezvous folder. The others lose the connection, read the
  reason and fail with it.
- A killed rank ends the whole pool (`trainer.execution.pool`), and with it the other ranks.
- A rank that is stuck, because its device waits for another one, ends its process after `GRACE` seconds.
- A collective operation that does not end within `TIMEOUT` fails.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
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
from trainer.events import Event, Tell
from trainer.training.checkpoint import Progress
from trainer.training.loop import DivergedError, NetworkTraining, StoppedError
from trainer.training.step import Descent, Share
from trainer.training.work_in_turns import Turns

# The other ranks wait while rank 0 evaluates and writes a checkpoint, which takes long on a large data set.
TIMEOUT = timedelta(minutes=30)
# Seconds until a rank ends its process if it is stuck after another one failed, and seconds that the others
# wait for the reason of a failure.
GRACE, REASON_SECONDS = 30.0, 5.0
POLL_SECONDS = 0.2
# All ranks are on one machine, and no other machine should be able to connect to them.
LOOPBACK = {"linux": "lo", "darwin": "lo0"}


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """Rank of a process, and the folder through which it finds the other ranks of a training step.

    Attributes:
        share: rank of the process and number of ranks.
        folder: folder that all ranks use, empty at first.
    """

    share: Share
    folder: Path


def make_rendezvous(count: int, within: Path) -> list[Rendezvous | None]:
    """Return the rendezvous of each rank of one training step.

    Args:
        count: number of ranks.
        within: folder in which a new folder is made; it is created if it is missing.

    Returns:
        One entry a rank, in the order of the ranks; None for a process that trains alone.
    """
    if count == 1:
        return [None]
    within.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=within))
    return [Rendezvous(Share(rank, count), folder) for rank in range(count)]


def reason_file(rendezvous: Rendezvous) -> Path:
    """Return the file into which a rank writes why it failed; the others end when there is one."""
    return rendezvous.folder / f"reason-{rendezvous.share.rank}"


def choose_gpu(device: str, workers: Barrier) -> None:
    """Make a GPU the current one of this process, another one in each worker as long as there are enough.

    Args:
        device: device of the plan, ``cpu`` or ``cuda``; a CPU needs no choice.
        workers: barrier at which all workers of the pool wait for each other.
    """
    if device == "cuda":
        torch.cuda.set_device(workers.wait() % torch.cuda.device_count())


def check_devices(plan: TrainingPlan) -> None:
    """Refuse a plan that shares batches among more GPUs than this machine has.

    Raises:
        RunError: the plan needs more GPUs.
    """
    shared = any(devices_of(step) > 1 for step in plan.steps)
    if plan.execution.device == "cuda" and shared and torch.cuda.device_count() < slots(plan):
        raise RunError(
            f"the plan needs {slots(plan)} GPUs and torch finds {torch.cuda.device_count()}: make a new plan"
        )


def train_turns(
    plan: TrainingPlan,
    step: TrainStep,
    data: Data,
    folder: Path,
    tell: Tell,
    stop: Callable[[], bool],
    rendezvous: Rendezvous | None,
) -> Turns[Progress]:
    """Train to the end of a step, alone or as one of several ranks; others have a turn after every batch.

    Args:
        plan: plan that the step belongs to.
        step: training step to execute.
        data: images of all splits, on the device of this process.
        folder: folder of the network's checkpoints.
        tell: receiver of the events.
        stop: question whether to stop, asked before every batch.
        rendezvous: rank of this process and the way to the others; None for a process that trains alone.

    Returns:
        Progress at the end of the step.

    Raises:
        StoppedError, DivergedError, StorageError: as `NetworkTraining.turns`.
        RunError: another rank failed or was lost.
    """
    if rendezvous is None:
        return (yield from NetworkTraining(plan, step, data, folder, tell, stop).turns())
    with _process_group(plan.execution.device, step.network, rendezvous):
        training = SharedTraining(plan, step, data, folder, tell, stop, rendezvous.share)
        return (yield from training.turns())


class SharedTraining(NetworkTraining):
    """Part of one rank in the training of a network; see `NetworkTraining` for the other arguments.

    Args:
        share: rank of this process and number of ranks.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        step: TrainStep,
        data: Data,
        folder: Path,
        tell: Tell,
        stop: Callable[[], bool],
        share: Share,
    ) -> None:
        self.share = share
        from_rank_0 = tell if share.rank == 0 else _discard
        super().__init__(plan, step, data, folder, from_rank_0, lambda: _any_rank(stop()))

    def _restore(self) -> None:
        super()._restore()
        if self.plan.execution.device == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(self.network)
        self.module = DistributedDataParallel(self.network)

    def _descent(self) -> Descent | None:
        # Gradients are averaged between processes during an eager backward pass.
        return None

    def _train_batch(self, which: torch.Tensor, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        loss, wrong = super()._train_batch(which, number)
        sums = torch.stack([loss.double(), wrong.double()])
        distributed.all_reduce(sums)
        return sums[0], sums[1].long()

    def _halve_micro_batch(self) -> None:
        # A second attempt is impossible: the other ranks had enough memory and are waiting for this one.
        raise RunError(
            f"{self.step.network} does not fit into memory with its batch shared by {self.share.count} "
            "devices; choose a smaller design or batch"
        )

    def weights_are_finite(self) -> bool:
        """Return whether the weights and running statistics of every rank are finite."""
        return not _any_rank(not super().weights_are_finite())

    def _evaluated(self, train_loss: float, train_error: float, started: float) -> EpochRecord:
        if self.share.rank == 0:
            return super()._evaluated(train_loss, train_error, started)
        # This record is neither reported nor stored.
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

    def _begin(self) -> int:
        # Only rank 0 saves.
        return super()._begin() if self.share.rank == 0 else 0

    def _save(self) -> None:
        if self.share.rank == 0:
            super()._save()


def _discard(event: Event) -> None:
    """Drop an event that rank 0 tells too."""


def _any_rank(vote: bool) -> bool:
    """Return whether any rank votes yes; every rank must call this, and all get the same answer."""
    votes = torch.tensor(int(vote))
    distributed.all_reduce(votes)
    return bool(votes)


@contextmanager
def _process_group(device: str, network: str, rendezvous: Rendezvous) -> Iterator[None]:
    """Join the process group of all ranks, and leave it when all are done or one failed.

    Raises:
        RunError: another rank failed or was lost.
    """
    left = threading.Event()
    threading.Thread(target=_exit_when_stuck, args=(rendezvous.folder, left), daemon=True).start()
    try:
        _join(device, rendezvous)
        yield
        # No rank destroys the group while another one still uses it.
        _any_rank(False)
    except (StoppedError, DivergedError):
        # All ranks raise these at the same batch.
        raise
    except Exception as error:
        if _is_lost_connection(error):
            raise RunError(_reason_of_others(rendezvous.folder) or _lost(network, rendezvous)) from None
        reason_file(rendezvous).write_text(str(error).partition("\n")[0] or type(error).__name__)
        raise
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
        left.set()


def _join(device: str, rendezvous: Rendezvous) -> None:
    # DistributedDataParallel imports it for seconds, in which the other ranks would wait for this one. If its
    # constructor were the first to do so, the group would not end with it, and they would wait in vain.
    import torch._dynamo  # noqa: F401

    if sys.platform in LOOPBACK:
        for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(variable, LOOPBACK[sys.platform])
    distributed.init_process_group(
        # Votes are tensors on the CPU even if the gradients are on CUDA.
        "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo",
        store=distributed.FileStore(  # type: ignore[attr-defined]
            str(rendezvous.folder / "store"), rendezvous.share.count
        ),
        rank=rendezvous.share.rank,
        world_size=rendezvous.share.count,
        timeout=TIMEOUT,
    )


def _exit_when_stuck(folder: Path, left: threading.Event) -> None:
    """End this process if it has not left the group `GRACE` seconds after a rank failed."""
    while not left.wait(POLL_SECONDS):
        if _reasons(folder) and not left.wait(GRACE):
            os._exit(1)


def _is_lost_connection(error: Exception) -> bool:
    """Return whether another rank caused an error; errors of gloo have no class of their own."""
    gloo = isinstance(error, RuntimeError) and "gloo" in str(error)
    return gloo or isinstance(error, distributed.DistError)


def _reason_of_others(folder: Path) -> str:
    """Return the reason of a rank that failed, empty if none is written within `REASON_SECONDS`."""
    deadline = time.monotonic() + REASON_SECONDS
    while not (reasons := _reasons(folder)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return reasons[0] if reasons else ""


def _reasons(folder: Path) -> list[str]:
    texts = [path.read_text() for path in folder.glob("reason-*")]
    return [text for text in texts if text]


def _lost(network: str, rendezvous: Rendezvous) -> str:
    return f"one of the {rendezvous.share.count} processes that share {network} was lost; resume the run"
