"""A trained ensemble as one `nn.Module`: images in, averaged class probabilities out.

::

    ensemble = trainer.load("runs/0001")
    with torch.inference_mode():
        ensemble(images)                       # (batch, classes)
        ensemble.member_probabilities(images)  # (members, batch, classes)

Images are the output of image decoders: uint8, or floating-point numbers from 0 to 255. Others are refused,
also floats of which none is above 1: they look like images from 0 to 1. Normalisation is part of the module.
Its arithmetic is float32 in contiguous memory, whatever the run was trained in. On CUDA the precision is the
setting of the process; torch's default is TF32 for convolutions. Networks run one after the other, so the
memory is that of the largest network. Members that share layers are one network, which computes the shared
layers once.

An ensemble is loaded from the folder of a run, or from one safetensors file. `save_ensemble` writes this file
and describes its format.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from advisor.errors import DataError, PlanError, RunError, StorageError, UnknownNameError
from advisor.files import read_regular
from advisor.networks.shared_layers import graph_of
from advisor.plans.plan import TrainingPlan
from trainer.data.batches import normalised
from trainer.ensembles.description import FILE, Description, description_from_json, description_to_json
from trainer.networks.network import SpecNetwork
from trainer.run_files import NETWORKS, network_folder
from trainer.training.checkpoint import Checkpoint, load_checkpoint

# Version of the format of `save_ensemble`, and the key of its metadata.
# 2: the checksum is of the members as well.
FORMAT_VERSION = 2
METADATA_KEY = "advisor_ensemble"
# Bytes of a description with the plan of some thousand networks and as many names of classes.
LARGEST_DESCRIPTION = 64 * 2**20


class Ensemble(nn.Module):
    """Members with the normalisation of their training images, in evaluation mode.

    Args:
        description: description of the run.
        networks: networks by name; together they compute the members.
        members: names of the members to average, in the order of their probabilities; all if empty.

    Attributes:
        classes: names of the classes by label; a class without a name has its number as text.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, description: Description, networks: Mapping[str, nn.Module], members: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.description = description
        self.networks = nn.ModuleDict(networks)
        # Names of the members that each network computes, in the order of its outputs.
        self._outputs = {name: description.plan.outputs_of(name) for name in networks}
        self.members = tuple(members) or tuple(name for names in self._outputs.values() for name in names)
        labels = range(description.plan.dataset.task.classes)
        self.classes = tuple(description.name_of(label) for label in labels)
        self.register_buffer("mean", torch.tensor(description.mean))
        self.register_buffer("deviation", torch.tensor(description.deviation))
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return class probabilities averaged over members, float32 (batch, classes).

        Args:
            images: images, uint8 or floating-point from 0 to 255, (batch, channels, height, width).

        Raises:
            DataError: the images have another shape, type or range.
        """
        each = self._each(images)
        total = each[self.members[0]]
        for name in self.members[1:]:
            total = total + each[name]
        return total / len(self.members)

    def member_probabilities(self, images: Tensor) -> Tensor:
        """Return the class probabilities of each member, float32 (members, batch, classes).

        Args:
            images: images, uint8 or floating-point from 0 to 255, (batch, channels, height, width).

        Raises:
            DataError: the images have another shape, type or range.
        """
        each = self._each(images)
        return torch.stack([each[name] for name in self.members])

    def _each(self, images: Tensor) -> dict[str, Tensor]:
        self._check(images)
        # A copy, because the normalisation overwrites its input.
        copied = images.to(torch.float32, copy=True)
        prepared = normalised(copied, self.mean, self.deviation, "contiguous")
        found: dict[str, Tensor] = {}
        for name, network in self.networks.items():
            probabilities = functional.softmax(network(prepared), dim=-1)
            if probabilities.dim() == 3:
                found |= zip(self._outputs[name], probabilities.unbind(1), strict=True)
            else:
                found[name] = probabilities
        return found

    def _check(self, images: Tensor) -> None:
        """Refuse what is not the output of an image decoder; it would be answered all the same."""
        task = self.description.plan.dataset.task
        rule = (
            f"images must be (batch, {task.channels}, {task.height}, {task.width}), uint8 or floats from "
            "0 to 255"
        )
        if not isinstance(images, Tensor):
            raise DataError(f"{rule}, got {type(images).__name__}: make a torch tensor of them")
        right = images.dtype == torch.uint8 or images.dtype.is_floating_point
        if not right or images.shape[1:] != (task.channels, task.height, task.width):
            raise DataError(f"{rule}, got {tuple(images.shape)} of {images.dtype}")
        # A traced program cannot depend on values, and its images need not be real ones.
        if images.dtype.is_floating_point and images.numel() and not torch.compiler.is_compiling():
            low, high = (float(bound) for bound in images.aminmax())
            got = f"got floats from {low:.3g} to {high:.3g}"
            if not 0 <= low <= high <= 255:
                raise DataError(f"{rule}, {got}: leave the normalisation to the ensemble")
            if 0 < high <= 1:
                raise DataError(f"{rule}, {got}: multiply them by 255")


def predicted(ensemble: Ensemble, images: Tensor, batch: int) -> NDArray[np.float32]:
    """Return the class probabilities of each member for many images, float32 (members, images, classes).

    Args:
        ensemble: trained ensemble on any device.
        images: images on any device, uint8 or floating-point from 0 to 255, (images, channels, height,
            width).
        batch: number of images at once.
    """
    with torch.inference_mode():
        parts = [
            ensemble.member_probabilities(part.to(ensemble.mean.device)).cpu() for part in images.split(batch)
        ]
    return torch.cat(parts, dim=1).numpy()


def load(
    path: Path | str,
    device: str = "cpu",
    *,
    members: Sequence[str] | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> Ensemble:
    """Return a trained ensemble, ready to predict.

    Args:
        path: folder of a run, or a file that `advisor export --to safetensors` wrote.
        device: device of the ensemble, ``cpu`` or ``cuda``.
        members: names of the members to average, such as ``member-1``; None for all.
        warn: receiver of one line about each damaged checkpoint that an earlier, equal one replaces.

    Raises:
        RunError: the path is neither a run nor an exported file, or members are not finished.
        StorageError: a checkpoint, the description or the file is damaged.
        UnknownNameError: there is no member of this name.
    """
    path = Path(path)
    if path.is_file():
        description, known, weights = _read_file(path)
        names = _wanted(members, known)
        weights = {name: weights[name] for name in _networks_of(description.plan, names)}
    else:
        description = read_description(path)
        names = _wanted(members, [m.name for m in description.plan.members])
        weights = _read_folder(path, description.plan, _networks_of(description.plan, names), warn)
    networks = {name: _network(description.plan, name, tensors, path) for name, tensors in weights.items()}
    return Ensemble(description, networks, names).to(device)


def read_description(folder: Path) -> Description:
    """Return the description in the folder of a run.

    Raises:
        RunError: the folder is not that of a run, or the run has no description.
        StorageError: the description is damaged.
    """
    if not (folder / NETWORKS).is_dir():
        raise RunError(f"{folder} is not the folder of a run with trained networks: see `advisor runs show`")
    path = folder / FILE
    if not path.exists():
        raise RunError(
            f"{folder} lacks {FILE}, which older runs did not write: `advisor predict` with the run's number "
            "adds it"
        )
    try:
        text = read_regular(path, LARGEST_DESCRIPTION).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read {path}: {error}") from None
    return description_from_json(text, path)


def save_ensemble(ensemble: Ensemble, path: Path) -> None:
    """Write an ensemble as one safetensors file.

    The names of the tensors are ``mean``, ``deviation`` and ``NETWORK/KEY`` with the keys of the network's
    state dictionary. The metadata have one key. Its value is JSON with the version of the format, the
    description, the members in their order, and a SHA-256 of members and tensors.

    Args:
        ensemble: ensemble to write.
        path: file to write.

    Raises:
        OSError: the disk refuses.
    """
    tensors = {"mean": ensemble.mean, "deviation": ensemble.deviation}
    for name, network in ensemble.networks.items():
        tensors |= {f"{name}/{key}": tensor for key, tensor in network.state_dict().items()}
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    document = {
        "format_version": FORMAT_VERSION,
        "description": json.loads(description_to_json(ensemble.description)),
        "members": list(ensemble.members),
        "sha256": _digest(tensors, ensemble.members),
    }
    path.write_bytes(safetensors.torch.save(tensors, {METADATA_KEY: json.dumps(document)}))


def _wanted(members: Sequence[str] | None, known: list[str]) -> list[str]:
    for name in members or ():
        if name not in known:
            raise UnknownNameError("member", name, known)
    return known if not members else list(dict.fromkeys(members))


def _networks_of(plan: TrainingPlan, members: Sequence[str]) -> list[str]:
    """Return the names of the networks that compute the given members."""
    return list(dict.fromkeys(plan.holder(name).name for name in members))


def _read_folder(
    folder: Path, plan: TrainingPlan, names: list[str], warn: Callable[[str], None]
) -> dict[str, dict[str, Tensor]]:
    """Return the weights of finished networks by name.

    Args:
        folder: folder of the run.
        plan: plan of the run.
        names: names of the networks.
        warn: receiver of one line about each damaged checkpoint that an earlier, equal one replaces.

    Raises:
        StorageError: all checkpoints of some networks are damaged.
        RunError: some networks are not finished.
    """
    weights: dict[str, dict[str, Tensor]] = {}
    damaged: list[str] = []
    missing: list[str] = []
    for name in names:
        skipped: list[str] = []
        checkpoint = load_checkpoint(network_folder(folder, name), skipped.append, plan.step_ids_of(name))
        if checkpoint is not None and is_finished(plan, name, checkpoint):
            weights[name] = checkpoint.weights
            for text in skipped:
                warn(text)
        else:
            (damaged if skipped else missing).append(name)
    if damaged:
        raise StorageError(
            f"{folder}: the checkpoints of {', '.join(damaged)} are damaged: train again, or load the others"
        )
    if missing:
        raise RunError(
            f"{folder}: {', '.join(missing)} of {len(plan.asked)} networks not finished: "
            "`advisor resume` goes on with the run"
        )
    return weights


def is_finished(plan: TrainingPlan, name: str, checkpoint: Checkpoint) -> bool:
    """Return whether a network finished its last step; its last two checkpoints have the same weights."""
    last, progress = plan.train_steps_of(name)[-1], checkpoint.progress
    return progress.step == last.id and (progress.done or last.schedule.finished(list(progress.train_errors)))


def _network(plan: TrainingPlan, name: str, weights: dict[str, Tensor], where: Path) -> SpecNetwork:
    network = SpecNetwork(graph_of(plan.network(name).network, plan.dataset.task))
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        raise StorageError(f"{where}: the weights of {name} are not those of {plan.design}") from None
    return network


def _read_file(path: Path) -> tuple[Description, list[str], dict[str, dict[str, Tensor]]]:
    """Return the description, the members, and the weights by network from a file of `save_ensemble`.

    Raises:
        StorageError: the file is damaged, of another kind, or of a newer format.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            document = json.loads((file.metadata() or {})[METADATA_KEY])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if document["format_version"] > FORMAT_VERSION:
            raise StorageError(
                f"{path} has format {document['format_version']} and this program reads up to "
                f"{FORMAT_VERSION}: upgrade advisor"
            )
        members = [str(name) for name in document["members"]]
        if _digest(tensors, members if document["format_version"] > 1 else ()) != document["sha256"]:
            raise ValueError("wrong checksum")
        description = description_from_json(json.dumps(document["description"]), path)
        weights = {name: _below(name, tensors) for name in _networks_of(description.plan, members)}
    except (OSError, ValueError, LookupError, TypeError, PlanError, safetensors.SafetensorError) as error:
        raise StorageError(
            f"{path} is damaged or not an ensemble that `advisor export --to safetensors` wrote ({error})"
        ) from None
    return description, members, weights


def _below(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{name}/"
    return {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}


def _digest(tensors: dict[str, Tensor], members: Sequence[str]) -> str:
    """Return the SHA-256 of the members, and of names, types, shapes and values in the order of the names."""
    digest = hashlib.sha256("".join(f"{name}\n" for name in members).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
