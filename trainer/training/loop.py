"""The one training loop: it trains a network through one step of a plan and can resume at every batch.

Every random number comes from a seed that is derived from (run seed, network, step, epoch, batch). No random
generator lives through the training. A checkpoint therefore needs only weights, momentum and counters. On a
CPU a resumed run ends with the same bits as an uninterrupted one.

A loss or a weight that is not finite sends the training back to its last checkpoint, once, at half the
learning rate. When memory runs out, batches are computed in halves whose gradients add up to the same batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from advisor.errors import RunError, StepModeError, StorageError
from advisor.networks.shared_layers import graph_of
from advisor.plans.plan import TrainingPlan, TrainStep
from advisor.plans.records import EpochRecord
from trainer.data.batches import bootstrap_sample, epoch_order
from trainer.data.loading import Data
from trainer.data.preparation import Preparation
from trainer.events import CheckpointWritten, Notice, Tell
from trainer.networks.network import SpecNetwork, average_shared, build_network
from trainer.seeds import derived_seed
from trainer.training.checkpoint import (
    Checkpoint,
    Progress,
    begin_attempt,
    load_checkpoint,
    save_checkpoint,
)
from trainer.training.distillation import Teacher
from trainer.training.optimizer import SGD
from trainer.training.step import (
    WHOLE,
    Descent,
    Loss,
    label_loss,
    prepare_module,
    probabilities,
    ran_out_of_memory,
    training_step,
)
from trainer.training.step_modes import descent_in_mode
from trainer.training.stored_probabilities import pack_probabilities
from trainer.training.work_in_turns import Turns, drained

# Number of times that a training may go back to its last checkpoint, and the factor on its rate each time.
ROLLBACKS = 1
ROLLBACK_FACTOR = 0.5


class StoppedError(Exception):
    """The training was asked to stop, and its checkpoint is written."""


class DivergedError(RunError):
    """The loss was not finite, and again after a rollback."""


class NetworkTraining:
    """State of one network in one training step.

    Args:
        plan: plan that the step belongs to.
        step: training step to execute.
        data: images of all splits, on the device of the plan.
        folder: folder of the network's checkpoints, beside those of the plan's other networks.
        tell: receiver of the events; it gets every epoch and every notice.
        stop: question whether to stop, asked before every batch.

    Attributes:
        share: slice of every batch that this process computes.
        network: network in training.
        module: callable of the forward pass; the network, or a wrapper around it.
        progress: counters and totals of the training so far.
    """

    share = WHOLE

    def __init__(
        self,
        plan: TrainingPlan,
        step: TrainStep,
        data: Data,
        folder: Path,
        tell: Tell,
        stop: Callable[[], bool],
    ) -> None:
        self.plan, self.step, self.data, self.folder = plan, step, data, folder
        self.tell, self.stop = tell, stop
        self.seed = derived_seed(plan.seed, step.id)
        self.preparation = Preparation(
            augmentation=plan.dataset.augmentation,
            mean=data.mean,
            deviation=data.deviation,
            memory_format=plan.execution.memory_format,
        )
        graph = graph_of(plan.network(step.network).network, plan.dataset.task)
        self.network: SpecNetwork = build_network(graph, derived_seed(plan.seed, step.network, "weights"))
        self.progress = Progress(step=step.id)
        self.loss_of = self._loss()
        self.attempt: int | None = None
        self._restore()

    def _begin(self) -> int:
        """Return the number of this attempt at the network."""
        return begin_attempt(self.folder)

    def _restore(self) -> None:
        """Continue from the newest checkpoint, which may be of this step or of an earlier one.

        From an earlier step only the weights and the hatch difference are taken over.
        """
        self.module = prepare_module(self.network, self.plan.execution)
        if len(self.network.graph.outputs) > 1:
            average_shared(self.network)
        self.optimizer = SGD(self.network, self.step.momentum, self.step.weight_decay)
        self.descent = self._descent()
        steps = self.plan.step_ids_of(self.step.network)
        checkpoint = load_checkpoint(self.folder, self._notify, steps)
        if checkpoint is None:
            return
        self.network.load_state_dict(checkpoint.weights)
        if checkpoint.progress.step != self.step.id:
            self.progress = replace(self.progress, hatch_difference=checkpoint.progress.hatch_difference)
            return
        self.progress = checkpoint.progress
        try:
            self.optimizer.restore(checkpoint.momentum)
        except ValueError as error:
            raise StorageError(f"{self.folder}: {error}; train again") from None

    def run(self) -> Progress:
        """Train to the end of the schedule; see `turns`."""
        return drained(self.turns())

    def turns(self) -> Turns[Progress]:
        """Train to the end of the schedule, and let others have a turn after every batch.

        Returns:
            Progress at the end of the step.

        Raises:
            StoppedError: `stop` answered yes; the checkpoint is written.
            DivergedError: the loss was not finite twice.
            RunError: two images at a time do not fit into memory.
            StorageError: a checkpoint could not be written.
        """
        if self.progress.last_epoch is not None:
            # It may have been lost after its checkpoint was written.
            self.tell(self.progress.last_epoch)
        if not self.progress.done:
            self.attempt = self._begin()
        while not self.step.schedule.finished(list(self.progress.train_errors)):
            yield from self._run_epoch()
        if not self.progress.done:
            self.progress = replace(self.progress, done=True)
            self._save()
        return self.progress

    def _run_epoch(self) -> Turns[None]:
        started = time.perf_counter()
        loss_sum, wrong = yield from self._run_batches(started)
        images = self.plan.dataset.steps_per_epoch(self.plan.batch) * self.plan.batch
        if not (math.isfinite(loss_sum) and self.weights_are_finite()):
            self._roll_back()
            return
        # The mean over the members of a joint network, so that learning curves can be compared.
        loss = loss_sum / images / len(self.network.graph.outputs)
        record = self._evaluated(loss, wrong / images, started)
        self.tell(record)
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

    def _run_batches(self, started: float) -> Turns[tuple[float, int]]:
        """Train the remaining batches of the epoch, with a turn of others after each.

        Args:
            started: start of the epoch or of its continuation, by the clock of `time.perf_counter`.

        Returns:
            Sum of the losses and number of wrong answers, both over the whole epoch.

        Raises:
            StoppedError: `stop` answered yes.
        """
        train, batch = self.data.train, self.plan.batch
        order = self.epoch_indices(len(train)).to(train.labels.device)
        steps = self.plan.dataset.steps_per_epoch(batch)
        # The sums continue those of the checkpoint, in the precision in which they were saved.
        loss_sum = torch.tensor(self.progress.loss_sum, dtype=torch.float64, device=train.labels.device)
        wrong = torch.tensor(self.progress.wrong, device=train.labels.device)
        self.network.train()
        for number in range(self.progress.batch, steps):
            if self.stop():
                # Training cannot continue from the weights after a loss that is not finite.
                if math.isfinite(float(loss_sum)) and self.weights_are_finite():
                    self._save_within(number, float(loss_sum), int(wrong), started)
                raise StoppedError
            self._set_rate(self._rate_at(number / steps))
            loss, errors = self._train_batch(order[number * batch : (number + 1) * batch], number)
            loss_sum += loss
            wrong += errors
            yield
        return float(loss_sum), int(wrong)

    def weights_are_finite(self) -> bool:
        """Return whether all weights and running statistics are finite.

        No loss has been computed from the last update, so the losses alone do not show this.
        """
        numbers = [t for t in self.network.state_dict().values() if t.is_floating_point()]
        return bool(torch.stack([t.isfinite().all() for t in numbers]).all())

    def epoch_indices(self, count: int) -> torch.Tensor:
        """Return the training images of the current epoch in their order.

        Args:
            count: number of training images.

        Returns:
            Indices into the training images, int64 (count,).
        """
        order = epoch_order(count, self.seed, self.progress.epoch)
        # The sample is drawn once; every epoch visits all of it in a new order.
        return bootstrap_sample(count, self.seed)[order] if self.step.bootstrap else order

    def _loss(self) -> Loss:
        """Return the loss function of the step; a teacher network is read from its checkpoint."""
        settings = self.step.distillation
        if settings is None:
            return label_loss
        network, _ = load_network(self.plan, settings.teacher, self.folder.parent / settings.teacher)
        return Teacher(network.eval(), settings, self.plan.execution).loss

    def _train_batch(self, which: torch.Tensor, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Do one step of SGD, with smaller micro-batches each time that memory runs out.

        Args:
            which: indices of the batch's training images, int64 (batch,).
            number: number of the batch within the epoch.

        Returns:
            Sum of the losses and number of wrong answers, as `training_step`.
        """
        while True:
            try:
                return training_step(
                    self.module,
                    self.optimizer,
                    self.data.train.images[which],
                    self.data.train.labels[which],
                    preparation=self.preparation,
                    seed=derived_seed(self.seed, "augment", self.progress.epoch, number),
                    execution=self.plan.execution,
                    micro_batch=self.progress.micro_batch,
                    loss_of=self.loss_of,
                    share=self.share,
                    descent=self.descent,
                )
            except RuntimeError as error:
                if not ran_out_of_memory(error):
                    raise
            # Outside of the handler: its traceback keeps the activations of the failed attempt in memory.
            self._halve_micro_batch()

    def _descent(self) -> Descent | None:
        """Return what executes the steps of the plan's mode; None for eager steps."""
        tell, name = self.tell, self.step.network

        # Without this object, which would live on in a cycle, and its network and graphs with it.
        def refuse(error: StepModeError) -> None:
            tell(Notice(f"{name}: {error}; steps are eager"))

        return descent_in_mode(
            self.network, self.optimizer, self.preparation, self.plan.execution, refuse, self.loss_of
        )

    def _halve_micro_batch(self) -> None:
        smaller = (self.progress.micro_batch or self.plan.batch) // 2
        if smaller < 2:
            raise RunError(
                f"{self.step.network} does not fit into memory two images at a time; choose a smaller design"
            )
        self.progress = replace(self.progress, micro_batch=smaller)
        self._notify(f"{self.step.network}: out of memory, going on with {smaller} images at a time")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _notify(self, text: str) -> None:
        self.tell(Notice(text))

    def _rate_at(self, share: float) -> float:
        """Return the learning rate after a share of the current epoch's batches, between 0 and 1."""
        rate = self.step.schedule.rate_at(self.progress.epoch, share)
        return rate * ROLLBACK_FACTOR**self.progress.rollbacks

    def _set_rate(self, rate: float) -> None:
        self.optimizer.rate = rate

    def _evaluated(self, train_loss: float, train_error: float, started: float) -> EpochRecord:
        """Return the record of the epoch that has just been trained.

        Args:
            train_loss: mean loss of a training image and member.
            train_error: share of wrong answers in training.
            started: start of the epoch or of its continuation, by the clock of `time.perf_counter`.
        """
        validation = self.data.validation
        predicted = probabilities(
            self.network,
            validation.images,
            self.data.mean,
            self.data.deviation,
            self.plan.batch,
            self.plan.execution,
        )
        if predicted.ndim == 3:
            predicted = predicted.mean(axis=1)
        labels = validation.labels.cpu().numpy()
        likelihoods = np.take_along_axis(predicted, labels[:, None], axis=1)
        return EpochRecord(
            step=self.step.id,
            network=self.step.network,
            epoch=self.progress.epoch,
            rate=self._rate_at(1.0),
            train_loss=train_loss,
            train_error=train_error,
            validation_loss=float(-np.log(np.maximum(likelihoods, 1e-12)).mean()),
            validation_error=float((predicted.argmax(axis=1) != labels).mean()),
            validation_probabilities=pack_probabilities(predicted),
            seconds=self.progress.epoch_seconds + time.perf_counter() - started,
        )

    def _roll_back(self) -> None:
        """Continue from the last checkpoint, or from the first weights, at a smaller rate.

        Raises:
            DivergedError: there have been `ROLLBACKS` rollbacks.
        """
        rollbacks = self.progress.rollbacks + 1
        if rollbacks > ROLLBACKS:
            raise DivergedError(
                f"{self.step.network} diverged in epoch {self.progress.epoch + 1}: lower the learning rate"
            )
        self._notify(
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
        weights, momentum = dict(self.network.state_dict()), dict(self.optimizer.momentum)
        save_checkpoint(self.folder, Checkpoint(self.progress, weights, momentum), self.attempt)
        self.tell(CheckpointWritten(self.step.network))


def load_network(plan: TrainingPlan, name: str, folder: Path) -> tuple[SpecNetwork, Progress]:
    """Return a network of a run with the weights of its newest checkpoint.

    Args:
        plan: plan of the run.
        name: name of the network in the plan.
        folder: folder of the network's checkpoints.

    Returns:
        The network, on the device of the plan, and the progress of its training.

    Raises:
        RunError: there is no intact checkpoint.
    """
    damaged: list[str] = []
    checkpoint = load_checkpoint(folder, damaged.append, plan.step_ids_of(name))
    if checkpoint is None:
        raise RunError("; ".join([f"{name} has no checkpoint in {folder.name}", *damaged]))
    network = SpecNetwork(graph_of(plan.network(name).network, plan.dataset.task))
    network.load_state_dict(checkpoint.weights)
    prepare_module(network, plan.execution)
    return network, checkpoint.progress
