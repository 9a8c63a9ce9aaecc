"""Evaluation of trained members: metrics on the test set, and errors on the validation set.

Only `evaluate`, at the end of a run, reads the test set.
"""

from __future__ import annotations

import numpy as np
import torch

from advisor.plans.plan import TrainingPlan
from advisor.plans.records import Evaluation
from trainer.data.loading import Data, Split
from trainer.ensembles.metrics import Predictions, confusion_of, ensemble_metrics
from trainer.networks.network import SpecNetwork
from trainer.run_files import RunFiles
from trainer.training.loop import load_network
from trainer.training.step import probabilities
from trainer.training.stored_probabilities import Probabilities


def evaluate(plan: TrainingPlan, files: RunFiles, data: Data, members: list[str]) -> Evaluation:
    """Return what the test images tell of members; choices between members use the validation set.

    Args:
        plan: plan of the run.
        files: folders of the run.
        data: images of all splits.
        members: names of the members to evaluate.

    Raises:
        RunError: a network has no intact checkpoint.
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
    return Evaluation(metrics=ensemble_metrics(test, validation), confusion=confusion_of(test, data.classes))


def validation_errors(plan: TrainingPlan, files: RunFiles, data: Data) -> tuple[float, tuple[float, ...]]:
    """Return the errors of a trained ensemble and of its members on the validation images.

    These errors may guide choices, because they do not use the test set.

    Args:
        plan: plan of the run.
        files: folders of the run.
        data: images of all splits.

    Returns:
        Error of the averaged probabilities, and of each member in the order of the plan, as shares.

    Raises:
        RunError: a network has no intact checkpoint.
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
    """Return the class probabilities of members, float32 (members, images, classes).

    Args:
        plan: plan of the run.
        networks: networks by name; together they compute the members.
        data: data set on the device of the plan.
        split: images to evaluate on, a split of the data.
        members: names of the members, in the order of the result.
    """
    found: dict[str, Probabilities] = {}
    for name, network in networks.items():
        output = probabilities(network, split.images, data.mean, data.deviation, plan.batch, plan.execution)
        outputs = plan.outputs_of(name)
        found |= zip(outputs, np.moveaxis(output.reshape(len(output), len(outputs), -1), 1, 0), strict=True)
    return np.stack([found[name] for name in members])
