"""One step of a plan: a network is trained or hatched, and a failure of the network becomes its record.

A step depends on nothing but the plan, the data and the checkpoints in the run's folder. A finished step is
recognised by its checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from torch import Tensor

from advisor.errors import AdvisorError, StorageError
from advisor.networks.shared_layers import parse_joint
from advisor.plans.plan import HatchStep, Role, Step, TrainingPlan, TrainStep
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from trainer.data.batches import epoch_order, normalised
from trainer.data.loading import Data
from trainer.events import CheckpointWritten, Event, Notice, Paced, Tell
from trainer.execution.outbox import Outbox
from trainer.execution.ready_steps import failed_record, stopped_record
from trainer.networks.hatching import hatch, hatch_difference, hatch_drift, hatch_jointly, perturb
from trainer.run_files import RunFiles
from trainer.seeds import derived_seed
from trainer.training.checkpoint import (
    Checkpoint,
    Progress,
    begin_attempt,
    load_checkpoint,
    save_checkpoint,
)
from trainer.training.loop import DivergedError, StoppedError, load_network
from trainer.training.parallel import Rendezvous, train_turns
from trainer.training.work_in_turns import Turns, drained

# Training images for the statistics of new normalisations. The standard error of a mean over 256 images is
# 6 % of their standard deviation.
CALIBRATION_IMAGES = 256
# Number of these images on which the exactness of a hatching is measured.
PROBE_IMAGES = 64
# Smallest drift in train mode that a record mentions. Exact growth stays far below it.
REPORTED_DRIFT = 1e-6


def run_step(
    plan: TrainingPlan,
    step: Step,
    files: RunFiles,
    data: Data,
    tell: Tell,
    stop: Callable[[], bool],
    rendezvous: Rendezvous | None = None,
) -> StepRecord:
    """Execute one step; a failure of the network becomes its record.

    Args:
        plan: plan that the step belongs to.
        step: step to execute, whose dependencies are done.
        files: folders of the run and of data sets.
        data: images of all splits, on the device of this process.
        tell: receiver of epochs and notices; the record of the step is only returned.
        stop: question whether to stop, asked before every batch.
        rendezvous: rank of this process in a shared training step; None for a step of one process.

    Returns:
        Record of the step, which may be stopped.

    Raises:
        StorageError: a checkpoint could not be written.
    """
    return drained(step_turns(plan, step, files, data, tell, stop, rendezvous))


def step_turns(
    plan: TrainingPlan,
    step: Step,
    files: RunFiles,
    data: Data,
    tell: Tell,
    stop: Callable[[], bool],
    rendezvous: Rendezvous | None = None,
) -> Turns[StepRecord]:
    """Execute one step, and let others have a turn after every batch; otherwise as `run_step`."""
    # Before the watch of the memory, which would count what the pace is measured on.
    if isinstance(step, TrainStep):
        tell = _paced(step, files.pace(plan.execution.device), tell)
    read_peak = files.watch(plan.execution.device)
    tell = _kept(Outbox(files.folder, plan), tell)
    try:
        progress, message = (
            _hatch(plan, step, files, data, tell)
            if isinstance(step, HatchStep)
            else (yield from _train(plan, step, files, data, tell, stop, rendezvous))
        )
    except StoppedError:
        return stopped_record(step)
    except DivergedError as error:
        return failed_record(step, str(error), StepStatus.DIVERGED)
    except StorageError:
        raise
    except (AdvisorError, RuntimeError) as error:
        return failed_record(step, str(error).splitlines()[0] if str(error) else type(error).__name__)
    return StepRecord(
        step=step.id,
        network=step.network,
        status=StepStatus.DONE,
        seconds=progress.seconds,
        hatch_difference=progress.hatch_difference if isinstance(step, HatchStep) else None,
        peak_bytes=read_peak(),
        message=message,
    )


def _kept(outbox: Outbox, tell: Tell) -> Tell:
    """Return a receiver that keeps the record of an epoch until it is stored, and then tells it."""

    def keep_and_tell(event: Event) -> None:
        if isinstance(event, EpochRecord):
            outbox.put(event)
        tell(event)

    return keep_and_tell


def _paced(step: TrainStep, read_pace: Callable[[], float | None], tell: Tell) -> Tell:
    """Return a receiver that tells of an epoch, whose seconds are known by then, and then of the pace."""

    def tell_both(event: Event) -> None:
        tell(event)
        if isinstance(event, EpochRecord) and (seconds := read_pace()) is not None:
            tell(Paced(step.id, seconds))

    return tell_both


def _train(
    plan: TrainingPlan,
    step: TrainStep,
    files: RunFiles,
    data: Data,
    tell: Tell,
    stop: Callable[[], bool],
    rendezvous: Rendezvous | None,
) -> Turns[tuple[Progress, str]]:
    """Return the progress at the end of a training step, and the message of its record."""
    progress = yield from train_turns(
        plan, step, data, files.of_network(step.network), tell, stop, rendezvous
    )
    small = progress.micro_batch
    return progress, f"{small} images at a time, for want of memory" if small else ""


def _hatch(
    plan: TrainingPlan, step: HatchStep, files: RunFiles, data: Data, tell: Tell
) -> tuple[Progress, str]:
    """Return the progress at the end of a hatching, and the message of its record."""
    folder = files.of_network(step.network)
    done = load_checkpoint(folder, lambda text: tell(Notice(text)), plan.step_ids_of(step.network))
    if done is not None:
        return Progress(step=step.id, hatch_difference=done.progress.hatch_difference), ""
    attempt, started = begin_attempt(folder), time.perf_counter()
    mother = load_network(plan, step.source, files.of_network(step.source))[0].cpu().double()
    seed = derived_seed(plan.seed, step.id)
    images = _calibration_images(data, seed)
    spec, grown = plan.network(step.source).spec, plan.network(step.network)
    if grown.role is Role.JOINT:
        member = hatch_jointly(mother, spec, parse_joint(grown.network), plan.dataset.task, images, seed)
    else:
        member = hatch(mother, spec, grown.spec, plan.dataset.task, images, seed)
    probe = images[:PROBE_IMAGES]
    difference, drift = hatch_difference(mother, member, probe), hatch_drift(mother, member, probe)
    perturb(member.float(), step.noise, seed, step.shrink)
    progress = Progress(
        step=step.id, done=True, hatch_difference=difference, seconds=time.perf_counter() - started
    )
    save_checkpoint(folder, Checkpoint(progress, dict(member.state_dict())), attempt)
    tell(CheckpointWritten(step.network))
    return progress, _drift_text(drift)


def _drift_text(drift: float) -> str:
    if drift <= REPORTED_DRIFT:
        return ""
    return f"in train mode logits move by {100 * drift:.1f} % of their spread"


def _calibration_images(data: Data, seed: int) -> Tensor:
    """Return normalised training images, float32 (images, channels, height, width).

    They are drawn from the whole training set, because folders of images are stored class by class.
    """
    drawn = epoch_order(len(data.train), seed, 0)[:CALIBRATION_IMAGES]
    images = data.train.images[drawn.to(data.train.images.device)]
    return normalised(images, data.mean, data.deviation, "contiguous")
