"""One step of a plan: a network is trained or hatched; what goes wrong with it ends up in its record.

A step depends on nothing but the plan, the data and the checkpoints of the run's folder; a step that is
done is recognised by its checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from advisor.errors import AdvisorError, StorageError
from advisor.networks.joint import parse_joint
from advisor.plans.plan import HatchStep, Role, Step, TrainingPlan, TrainStep
from advisor.plans.records import EpochRecord, StepRecord
from trainer.data.batches import epoch_order, normalised
from trainer.data.loading import Data
from trainer.networks.hatching import hatch, hatch_difference, hatch_drift, hatch_jointly, perturb
from trainer.run_files import RunFiles
from trainer.seeds import derived_seed
from trainer.training.checkpoint import Checkpoint, Progress, load_checkpoint, save_checkpoint
from trainer.training.loop import DivergedError, Reporter, StoppedError, load_network
from trainer.training.parallel import Seat, train

# Images that new normalisations are calibrated on; the mean of 256 is known to 6 % of the deviation.
CALIBRATION_IMAGES = 256
# How many of them the exactness of a hatching is recorded on.
PROBE_IMAGES = 64
# Drift in train mode that a record mentions; growth that is exact stays below by far.
TOLD_DRIFT = 1e-6


DONE, STOPPED, FAILED, DIVERGED = "done", "stopped", "failed", "diverged"


@dataclass(frozen=True, slots=True)
class Channel:
    """How a step speaks while it runs: finished epochs, notices, whether to stop, and with whom it shares."""

    epoch: Callable[[EpochRecord], None]
    notice: Callable[[str], None]
    stop: Callable[[], bool]
    seat: Seat | None = None


def run_step(plan: TrainingPlan, step: Step, files: RunFiles, data: Data, channel: Channel) -> StepRecord:
    """Execute one step; what goes wrong with a network ends up in the record.

    Raises:
        StorageError: a checkpoint could not be written.
    """
    read_peak = files.watch(plan.execution.device)
    try:
        progress, message = (
            _hatch(plan, step, files, data, channel)
            if isinstance(step, HatchStep)
            else _train(plan, step, files, data, channel)
        )
    except StoppedError:
        return stopped(step)
    except DivergedError as error:
        return StepRecord(
            step=step.id, network=step.network, status=DIVERGED, seconds=0.0, message=str(error)
        )
    except StorageError:
        raise
    except (AdvisorError, RuntimeError) as error:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        return StepRecord(step=step.id, network=step.network, status=FAILED, seconds=0.0, message=message)
    return StepRecord(
        step=step.id,
        network=step.network,
        status=DONE,
        seconds=progress.seconds,
        hatch_difference=progress.hatch_difference if isinstance(step, HatchStep) else None,
        peak_bytes=read_peak(),
        message=message,
    )


def stopped(step: Step) -> StepRecord:
    """Return the record of a step that was asked to stop."""
    return StepRecord(step=step.id, network=step.network, status=STOPPED, seconds=0.0)


def _train(
    plan: TrainingPlan, step: TrainStep, files: RunFiles, data: Data, channel: Channel
) -> tuple[Progress, str]:
    reporter = Reporter(channel.epoch, channel.notice, channel.stop)
    progress = train(plan, step, data, files.of_network(step.network), reporter, channel.seat)
    small = progress.micro_batch
    return progress, f"{small} images at a time, for want of memory" if small else ""


def _hatch(
    plan: TrainingPlan, step: HatchStep, files: RunFiles, data: Data, channel: Channel
) -> tuple[Progress, str]:
    folder = files.of_network(step.network)
    done = load_checkpoint(folder, channel.notice)
    if done is not None:
        return Progress(step=step.id, hatch_difference=done.progress.hatch_difference), ""
    started = time.perf_counter()
    mother = load_network(plan, step.source, files.of_network(step.source))[0].cpu().double()
    seed = derived_seed(plan.seed, step.id)
    images = _some_images(data, seed)
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
    save_checkpoint(folder, Checkpoint(progress, dict(member.state_dict())))
    return progress, _drift_text(drift)


def _drift_text(drift: float) -> str:
    return f"in train mode logits move by {100 * drift:.1f} % of their spread" if drift > TOLD_DRIFT else ""


def _some_images(data: Data, seed: int) -> Tensor:
    """Prepared training images, drawn by the seed since folders are stored class by class."""
    drawn = epoch_order(len(data.train), seed, 0)[:CALIBRATION_IMAGES]
    images = data.train.images[drawn.to(data.train.images.device)]
    return normalised(images, data.mean, data.deviation, "contiguous")
