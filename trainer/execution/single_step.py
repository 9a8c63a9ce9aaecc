"""One step of a plan by a process of its own, and processes that share its batches.

The process of the step is rank 0 of a shared training step (`trainer.training.parallel`), the others are its
children. Only rank 0 tells of progress, writes checkpoints and is asked to stop. Children ignore the signals
that end a job, because schedulers send them to every process, and end with their parent.
"""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from advisor.library_messages import take_over_as_parent
from advisor.plans.placement import devices_of
from advisor.plans.plan import Step, TrainingPlan
from advisor.plans.records import StepRecord
from advisor.spawning import OF_TERMINALS, apart_from_caller
from trainer.data.loading import Data, load_data
from trainer.events import Event, Tell
from trainer.execution.child import exit_with_parent
from trainer.execution.free_gpus import free_gpus
from trainer.execution.plan_step import run_step
from trainer.execution.preloading import worker_context
from trainer.run_files import RunFiles
from trainer.training.parallel import Rendezvous, make_rendezvous, reason_file

# Time that the other ranks have to end after rank 0 has ended.
END_SECONDS = 30.0


def execute_step(
    plan: TrainingPlan,
    step: Step,
    files: RunFiles,
    data: Data,
    tell: Tell,
    stop: Callable[[], bool],
    meeting: Path,
) -> StepRecord:
    """Execute a step in this process, and in as many others as its devices ask for.

    Args:
        plan: plan that the step belongs to.
        step: step to execute, whose dependencies are done.
        files: folders of the run and of data sets.
        data: images of all splits in the memory of this process.
        tell: receiver of epochs and notices.
        stop: question whether to stop, asked before every batch.
        meeting: folder of this step alone, in which its processes find each other; it is removed.

    Returns:
        Record of the step, which may be stopped.

    Raises:
        StorageError: a checkpoint could not be written.
        RunError: this process sees fewer GPUs than the step has devices.
    """
    torch.set_num_threads(plan.execution.threads)
    with free_gpus(plan.execution.device, devices_of(step)) as gpus:
        if gpus:
            torch.cuda.set_device(gpus[0])
        shutil.rmtree(meeting, ignore_errors=True)
        first, *others = make_rendezvous(devices_of(step), meeting)
        children = [_begun(plan, step, files, each, gpus) for each in others if each is not None]
        try:
            on_device = data.to(plan.execution.device)
            # The first watch in a process loads libraries for seconds, which must not count as training.
            files.watch(plan.execution.device)
            return run_step(plan, step, files, on_device, tell, stop, first)
        finally:
            for child in children:
                child.join(END_SECONDS)
                child.kill()
            shutil.rmtree(meeting, ignore_errors=True)


def _begun(
    plan: TrainingPlan, step: Step, files: RunFiles, rendezvous: Rendezvous, gpus: list[int]
) -> BaseProcess:
    """Start the process of another rank."""
    gpu = gpus[rendezvous.share.rank] if gpus else None
    context = worker_context()
    child = context.Process(target=_take_part, args=(plan, step, files, rendezvous, gpu), daemon=True)
    with apart_from_caller():
        child.start()
    threading.Thread(target=_report_death, args=(child, rendezvous), daemon=True).start()
    return child


def _report_death(child: BaseProcess, rendezvous: Rendezvous) -> None:
    """Tell rank 0 of a rank that has died: it would wait for it otherwise."""
    child.join()
    if child.exitcode:
        # The folder is gone if the step has ended.
        with suppress(OSError):
            reason_file(rendezvous).write_text(f"the process of rank {rendezvous.share.rank} died")


def _take_part(
    plan: TrainingPlan, step: Step, files: RunFiles, rendezvous: Rendezvous, gpu: int | None
) -> None:
    """Execute a step as one rank of several."""
    take_over_as_parent()
    for number in (*OF_TERMINALS, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=exit_with_parent, daemon=True).start()
    torch.set_num_threads(plan.execution.threads)
    if gpu is not None:
        torch.cuda.set_device(gpu)
    data = load_data(plan.dataset, files.data_root).to(plan.execution.device)
    with suppress(Exception):
        # Rank 0 fails with it, and tells.
        run_step(plan, step, files, data, _discard, _never, rendezvous)


def _discard(event: Event) -> None:
    """Drop an event: rank 0 tells all of them."""


def _never() -> bool:
    return False
