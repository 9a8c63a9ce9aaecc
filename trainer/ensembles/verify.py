"""Verification of the files of a run: its description, and every checkpoint of every network."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from advisor.errors import AdvisorError, StorageError
from advisor.networks.shared_layers import graph_of
from advisor.plans.dataset import FOLDER_PREFIX
from advisor.plans.plan import TrainingPlan
from trainer.ensembles.description import FILE
from trainer.ensembles.ensemble import is_finished, read_description
from trainer.networks.network import SpecNetwork
from trainer.run_files import NETWORKS, network_folder
from trainer.training.checkpoint import Checkpoint, damaged_checkpoints, load_checkpoint


def require_plan(folder: Path, plan: TrainingPlan) -> None:
    """Refuse the folder of a run whose description is that of another plan.

    Only the description is under a checksum, so it tells whether the plan of the database is still the one
    that was trained.

    Args:
        folder: folder of the run.
        plan: plan of the run in the database.

    Raises:
        StorageError: the description is intact and has another plan.
    """
    try:
        described = read_description(folder).plan
    except AdvisorError:
        return  # missing or damaged
    if _without_place(described) != _without_place(plan):
        raise StorageError(
            f"the plan in {folder / FILE} must be that of the database, and differs: put a backup of the "
            "database, or of the folder, in its place"
        )


def _without_place(plan: TrainingPlan) -> TrainingPlan:
    """Return a plan without the path of its data folder, which may move."""
    if not plan.dataset.in_folder:
        return plan
    return replace(plan, dataset=replace(plan.dataset, name=FOLDER_PREFIX))


def problems_of_run(folder: Path, plan: TrainingPlan, ended: Collection[str]) -> Iterator[str]:
    """Yield one line for every defect of a run's files.

    Args:
        folder: folder of the run.
        plan: plan of the run in the database.
        ended: ids of the steps that are done according to the database.
    """
    try:
        if (folder / FILE).exists() and (folder / NETWORKS).exists():
            read_description(folder)
            require_plan(folder, plan)
    except AdvisorError as error:
        yield str(error)
    names = [network.name for network in plan.built]
    present = sorted(each.name for each in (folder / NETWORKS).iterdir()) if _has_networks(folder) else []
    for name in present:
        if name not in names:
            yield f"{folder / NETWORKS / name} belongs to no network of the plan"
    for name in names:
        try:
            yield from _problems_of_network(folder, plan, name, ended)
        except StorageError as error:
            yield str(error)


def _has_networks(folder: Path) -> bool:
    return (folder / NETWORKS).is_dir()


def _problems_of_network(
    folder: Path, plan: TrainingPlan, name: str, ended: Collection[str]
) -> Iterator[str]:
    """Yield the defects of one network's checkpoints.

    Raises:
        StorageError: the folder lies outside the run's.
    """
    own, steps = network_folder(folder, name), plan.step_ids_of(name)
    yield from damaged_checkpoints(own, steps)
    checkpoint = load_checkpoint(own, lambda text: None, steps)
    last = plan.train_steps_of(name)[-1].id
    finished = checkpoint is not None and is_finished(plan, name, checkpoint)
    if last in ended and not finished:
        yield f"{name} is finished and has no intact checkpoint of its end"
    if checkpoint is not None and not _fits(plan, name, checkpoint):
        yield f"the newest checkpoint of {name} is not one of {plan.network(name).network}"


def _fits(plan: TrainingPlan, name: str, checkpoint: Checkpoint) -> bool:
    """Return whether weights and momentum have the names and shapes of the network's."""
    with torch.device("meta"):
        network = SpecNetwork(graph_of(plan.network(name).network, plan.dataset.task))
    shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
    return {key: tensor.shape for key, tensor in checkpoint.weights.items()} == shapes and all(
        tensor.shape == shapes.get(key) for key, tensor in checkpoint.momentum.items()
    )
