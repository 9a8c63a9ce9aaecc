"""The figures of trained members on test images: what the end of a run reads the test set for."""

from __future__ import annotations

import numpy as np
import torch

from advisor.plans.plan import TrainingPlan
from advisor.plans.records import EnsembleMetrics
from trainer.data.loading import Data, Split
from trainer.ensembles.metrics import Predictions, ensemble_metrics
from trainer.networks.network import SpecNetwork
from trainer.run_files import RunFiles
from trainer.training.loop import load_network
from trainer.training.step import probabilities
from trainer.training.stored_probabilities import Probabilities


def evaluate(plan: TrainingPlan, files: RunFiles, data: Data, members: list[str]) -> EnsembleMetrics:
    """Return the figures of the named members on the test set.

    What the figures choose between members is chosen on the validation set.
    """
    torch.set_num_threads(plan.execution.threads)
    on_device = data.to(plan.execution.device)
    networks = {
        name: load_network(plan, name, files.of_network(name))[0]
        for name in plan.asked
        if not set(members).isdisjoint(plan.outputs_of(name))
    }
    test, validation = (
        Predictions(
            member_probabilities(plan, networks, on_device, split, members), split.labels.cpu().numpy()
        )
        for split in (on_device.test, on_device.validation)
    )
    return ensemble_metrics(test, validation)


def validation_errors(plan: TrainingPlan, files: RunFiles, data: Data) -> tuple[float, tuple[float, ...]]:
    """Return the errors of a trained ensemble and of its members on the validation images.

    For choices that are made before anything is tested.
    """
    torch.set_num_threads(plan.execution.threads)
    on_device = data.to(plan.execution.device)
    networks = {name: load_network(plan, name, files.of_network(name))[0] for name in plan.asked}
    names = [m.name for m in plan.members]
    outputs = member_probabilities(plan, networks, on_device, on_device.validation, names)
    labels = on_device.validation.labels.cpu().numpy()
    each = tuple(float((output.argmax(axis=1) != labels).mean()) for output in outputs)
    return float((outputs.mean(axis=0).argmax(axis=1) != labels).mean()), each


def member_probabilities(
    plan: TrainingPlan, networks: dict[str, SpecNetwork], data: Data, split: Split, members: list[str]
) -> Probabilities:
    """Return the class probabilities of the named members, float32 (members, images, classes).

    Args:
        plan: of the run.
        networks: those that compute the members, by name.
        data: on the device of the plan.
        split: of the data.
        members: in the order wanted.
    """
    found: dict[str, Probabilities] = {}
    for name, network in networks.items():
        output = probabilities(network, split.images, data.mean, data.deviation, plan.batch, plan.execution)
        outputs = plan.outputs_of(name)
        found |= zip(outputs, np.moveaxis(output.reshape(len(output), len(outputs), -1), 1, 0), strict=True)
    return np.stack([found[name] for name in members])
