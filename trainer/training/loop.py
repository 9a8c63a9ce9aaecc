"""The one training loop: a network through one training step of a plan, resumable at every batch.

Randomness comes from seeds derived of (run seed, network, step, epoch, batch), never from a generator that
lives through training; a checkpoint therefore needs weights, momentum and counters only, and on a CPU a
resumed run ends with the same bits as an uninterrupted one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from advisor.errors import RunError
from advisor.networks.joint import graph_of
from advisor.plans.plan import TrainingPlan, TrainStep
from advisor.plans.records import EpochRecord
from trainer.data.batches import bootstrap_sample, epoch_order
from trainer.data.loading import Data
from trainer.networks.network import SpecNetwork, average_shared, build_network
from trainer.seeds import derived_seed
from trainer.training.checkpoint import Checkpoint, Progress, load_checkpoint, save_checkpoint
from trainer.training.distillation import Teacher
from trainer.training.step import (
    WHOLE,
    Loss,
    make_optimizer,
    of_labels,
    prepare_module,
    probabilities,
    ran_out_of_memory,
    training_step,
)
from trainer.training.stored_probabilities import pack_probabilities

# A run whose loss is not finite goes back to its last checkpoint once, at half the rate.
ROLLBACKS = 1
ROLLBACK_FACTOR = 0.5


class StoppedError(Exception):
    """Training was asked to stop; its checkpoint is written."""


class DivergedError(RunError):
    """The loss was not finite, again after a rollback."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Where the loop speaks to: finished epochs, warnings, and the question whether to stop."""

    epoch: Callable[[EpochRecord], None]
    warn: Callable[[str], None]
    stop: Callable[[], bool]


class NetworkTraining:
    """State of one network in one training step.

    Args:
        plan: whose step it is.
        step: what to do.
        data: on the device of the plan.
        folder: of the network's checkpoints, beside those of the plan's other networks.
        reporter: told of every epoch.

    Attributes:
        share: of this process in every batch.
        module: by the training step, the network or what wraps it.
    """

    share = WHOLE

    def __init__(
        self, plan: TrainingPlan, step: TrainStep, data: Data, folder: Path, reporter: Reporter
    ) -> None:
        self.plan, self.step, self.data, self.folder, self.reporter = plan, step, data, folder, reporter
        self.seed = derived_seed(plan.seed, step.id)
        graph = graph_of(plan.network(step.network).network, plan.dataset.task)
        self.network: SpecNetwork = build_network(graph, derived_seed(plan.seed, step.network, "weights"))
        self.progress = Progress(step=step.id)
        self.loss_of = self._loss()
        self._restore()

    def _restore(self) -> None:
        """Continue from the newest checkpoint: of this step, or the weights that a step before left."""
        self.module = prepare_module(self.network, self.plan.execution)
        if len(self.network.graph.outputs) > 1:
            average_shared(self.network)
        self.optimizer = make_optimizer(self.network, self.step.momentum, self.step.weight_decay)
        checkpoint = load_checkpoint(self.folder, self.reporter.warn)
        if checkpoint is None:
            return
        self.network.load_state_dict(checkpoint.weights)
        if checkpoint.progress.step != self.step.id:
            self.progress = replace(self.progress, hatch_difference=checkpoint.progress.hatch_difference)
            return
        self.progress = checkpoint.progress
        for name, parameter in self.network.named_parameters():
            if name in checkpoint.momentum:
                buffer = torch.empty_like(parameter).copy_(checkpoint.momentum[name])
                self.optimizer.state[parameter]["momentum_buffer"] = buffer

    def run(self) -> Progress:
        """Train to the end of the schedule.

        Raises:
            StoppedError: the reporter asked to stop; the checkpoint is written.
            DivergedError: the loss was not finite twice.
            StorageError: a checkpoint could not be written.
        """
        if self.progress.last_epoch is not None:
            self.reporter.epoch(self.progress.last_epoch)
        while not self.step.schedule.finished(list(self.progress.train_errors)):
            self._run_epoch()
        if not self.progress.done:
            self.progress = replace(self.progress, done=True)
            self._save()
        return self.progress

    def _run_epoch(self) -> None:
        started = time.perf_counter()
        loss_sum, wrong = self._run_batches(started)
        images = self.plan.dataset.steps_per_epoch(self.plan.batch) * self.plan.batch
        if not (math.isfinite(loss_sum) and self.weights_are_finite()):
            self._roll_back()
            return
        # Of a joint network the mean over its members, so that curves compare.
        loss = loss_sum / images / len(self.network.graph.outputs)
        record = self._evaluated(loss, wrong / images, started)
        self.reporter.epoch(record)
        self.progress = replace(
            self.progress,
            epoch=self.progress.epoch + 1,
            batch=0,
            loss_sum=0.0,
            wrong=0,
            train_errors=(*self.progress.train_errors, wrong / images),
            seconds=self.progress.seconds + time.perf_counter() - started,
            epoch_seconds=0.0,
            last_epoch=record,
        )
        self._save()

    def _run_batches(self, started: float) -> tuple[float, int]:
        """Train what is left of the epoch; return its sum of losses and number of wrong answers."""
        train, batch = self.data.train, self.plan.batch
        order = self.epoch_indices(len(train)).to(train.labels.device)
        steps = self.plan.dataset.steps_per_epoch(batch)
        # Sums start from the checkpoint's, in the precision they were saved in.
        loss_sum = torch.tensor(self.progress.loss_sum, dtype=torch.float64, device=train.labels.device)
        wrong = torch.tensor(self.progress.wrong, device=train.labels.device)
        self.network.train()
        for number in range(self.progress.batch, steps):
            if self.reporter.stop():
                # Weights after a loss that is not finite are no point to go on from.
                if math.isfinite(float(loss_sum)) and self.weights_are_finite():
                    self._save_within(number, float(loss_sum), int(wrong), started)
                raise StoppedError
            self._set_rate(number / steps)
            loss, errors = self._train_batch(order[number * batch : (number + 1) * batch], number)
            loss_sum += loss
            wrong += errors
        return float(loss_sum), int(wrong)

    def weights_are_finite(self) -> bool:
        """Whether weights and running statistics are finite; the last update was seen by no loss."""
        numbers = [t for t in self.network.state_dict().values() if t.is_floating_point()]
        return bool(torch.stack([t.isfinite().all() for t in numbers]).all())

    def epoch_indices(self, count: int) -> torch.Tensor:
        """Return the images of this epoch in their order, (count,)."""
        order = epoch_order(count, self.seed, self.progress.epoch)
        # The sample is drawn once; every epoch goes through all of it in another order.
        return bootstrap_sample(count, self.seed)[order] if self.step.bootstrap else order

    def _loss(self) -> Loss:
        """Return what the step minimises; a teacher is read from its checkpoint."""
        settings = self.step.distillation
        if settings is None:
            return of_labels
        network, _ = load_network(self.plan, settings.teacher, self.folder.parent / settings.teacher)
        return Teacher(network.eval(), settings, self.plan.execution).loss

    def _train_batch(self, which: torch.Tensor, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """One step; when memory runs out, again in halves that add up to the same batch."""
        while True:
            try:
                return training_step(
                    self.module,
                    self.optimizer,
                    self.data.train.images[which],
                    self.data.train.labels[which],
                    mean=self.data.mean,
                    deviation=self.data.deviation,
                    augmentation=self.plan.dataset.augmentation,
                    seed=derived_seed(self.seed, "augment", self.progress.epoch, number),
                    execution=self.plan.execution,
                    micro_batch=self.progress.micro_batch,
                    loss_of=self.loss_of,
                    share=self.share,
                )
            except RuntimeError as error:
                if not ran_out_of_memory(error):
                    raise
            # Outside of the handler, so that the traceback holds no maps of the failed attempt.
            self._halve_micro_batch()

    def _halve_micro_batch(self) -> None:
        smaller = (self.progress.micro_batch or self.plan.batch) // 2
        if smaller < 2:
            raise RunError(
                f"{self.step.network} does not fit into memory two images at a time; choose a smaller design"
            )
        self.progress = replace(self.progress, micro_batch=smaller)
        self.reporter.warn(f"{self.step.network}: out of memory, going on with {smaller} images at a time")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _set_rate(self, progress: float) -> float:
        rate = self.step.schedule.rate_at(self.progress.epoch, progress)
        rate *= ROLLBACK_FACTOR**self.progress.rollbacks
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _evaluated(self, train_loss: float, train_error: float, started: float) -> EpochRecord:
        held = self.data.validation
        predicted = probabilities(
            self.network,
            held.images,
            self.data.mean,
            self.data.deviation,
            self.plan.batch,
            self.plan.execution,
        )
        if predicted.ndim == 3:
            predicted = predicted.mean(axis=1)
        labels = held.labels.cpu().numpy()
        right = np.take_along_axis(predicted, labels[:, None], axis=1)
        return EpochRecord(
            step=self.step.id,
            network=self.step.network,
            epoch=self.progress.epoch,
            rate=self._set_rate(1.0),
            train_loss=train_loss,
            train_error=train_error,
            validation_loss=float(-np.log(np.maximum(right, 1e-12)).mean()),
            validation_error=float((predicted.argmax(axis=1) != labels).mean()),
            validation_probabilities=pack_probabilities(predicted),
            seconds=self.progress.epoch_seconds + time.perf_counter() - started,
        )

    def _roll_back(self) -> None:
        rollbacks = self.progress.rollbacks + 1
        if rollbacks > ROLLBACKS:
            raise DivergedError(
                f"{self.step.network} diverged in epoch {self.progress.epoch + 1}: lower the learning rate"
            )
        self.reporter.warn(
            f"{self.step.network}: the loss is not finite, going back to the last checkpoint at half the rate"
        )
        graph, seed = self.network.graph, derived_seed(self.plan.seed, self.step.network, "weights")
        self.network = build_network(graph, seed)
        self.progress = Progress(step=self.step.id)
        self._restore()
        self.progress = replace(self.progress, rollbacks=rollbacks)

    def _save_within(self, number: int, loss_sum: float, wrong: int, started: float) -> None:
        spent = time.perf_counter() - started
        self.progress = replace(
            self.progress,
            batch=number,
            loss_sum=loss_sum,
            wrong=wrong,
            seconds=self.progress.seconds + spent,
            epoch_seconds=self.progress.epoch_seconds + spent,
        )
        self._save()

    def _save(self) -> None:
        momentum = {
            name: self.optimizer.state[parameter]["momentum_buffer"]
            for name, parameter in self.network.named_parameters()
            if "momentum_buffer" in self.optimizer.state[parameter]
        }
        save_checkpoint(self.folder, Checkpoint(self.progress, dict(self.network.state_dict()), momentum))


def load_network(plan: TrainingPlan, name: str, folder: Path) -> tuple[SpecNetwork, Progress]:
    """Return a network of a run as its newest checkpoint has it.

    Raises:
        RunError: it has no intact checkpoint.
    """
    damaged: list[str] = []
    checkpoint = load_checkpoint(folder, damaged.append)
    if checkpoint is None:
        raise RunError("; ".join([f"{name} has no checkpoint in {folder.name}", *damaged]))
    network = SpecNetwork(graph_of(plan.network(name).network, plan.dataset.task))
    network.load_state_dict(checkpoint.weights)
    prepare_module(network, plan.execution)
    return network, checkpoint.progress
