"""Checkpoints that survive `kill -9` and never execute.

A checkpoint is one safetensors file with the weights (``weights/…``), the momentum of SGD
(``momentum/…``) and, beside it, a JSON manifest with the progress and the SHA-256 of both. Both files
are written to a temporary name, flushed to the disk and renamed; the manifest comes last, so a
checkpoint exists when its manifest does. The newest two are kept: a file that fails its checksum falls
back to the one before.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import safetensors.torch
from torch import Tensor

from advisor.errors import StorageError
from advisor.plans.records import EpochRecord
from advisor.serial import from_plain, to_plain

KEPT = 2

# What a truncated, overwritten or missing file can raise when it is read.
_DAMAGE = (OSError, ValueError, LookupError, TypeError, RecursionError, safetensors.SafetensorError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where the training of a network stands.

    Attributes:
        step: id of the plan's step that is under way or done.
        done: whether that step is finished.
        epoch: epochs finished in the step.
        batch: batches finished in the epoch under way.
        loss_sum, wrong: totals of the epoch under way.
        train_errors: of the finished epochs.
        rollbacks: how often training went back to a checkpoint because the loss was not finite.
        micro_batch: images that fit into memory at once; 0 for the whole batch.
        seconds: wall clock spent in the step so far.
        epoch_seconds: wall clock spent in the epoch under way.
        hatch_difference: of the hatching before the step, if there was one.
        last_epoch: record of the newest finished epoch, reported again on resuming in case it was lost.
    """

    step: str
    done: bool = False
    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    wrong: int = 0
    train_errors: tuple[float, ...] = ()
    rollbacks: int = 0
    micro_batch: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    hatch_difference: float | None = None
    last_epoch: EpochRecord | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Progress with the tensors that belong to it, by name."""

    progress: Progress
    weights: dict[str, Tensor]
    momentum: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and drop all but the newest two.

    Raises:
        StorageError: the disk refuses; earlier checkpoints stay as they were.
    """
    tensors = {f"weights/{k}": v.detach().cpu().contiguous() for k, v in checkpoint.weights.items()}
    tensors |= {f"momentum/{k}": v.detach().cpu().contiguous() for k, v in checkpoint.momentum.items()}
    content = safetensors.torch.save(tensors)
    numbers = _numbers(folder)
    name = f"checkpoint-{max(numbers, default=0) + 1:06d}"
    progress = to_plain(checkpoint.progress)
    manifest = {"sha256": _digest(progress, content), "progress": progress}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(folder / f"{name}.safetensors", content)
        write_durably(folder / f"{name}.json", json.dumps(manifest).encode())
        for number in numbers[: len(numbers) + 1 - KEPT]:
            for suffix in ("json", "safetensors"):
                (folder / f"checkpoint-{number:06d}.{suffix}").unlink(missing_ok=True)
        # What a killed process was writing; a folder has one writer.
        for unfinished in folder.glob(".checkpoint-*.tmp"):
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot write a checkpoint to {folder}: {error.strerror}; make room and resume"
        ) from None


def load_checkpoint(folder: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """Return the newest intact checkpoint of a folder, or None if there is none.

    Args:
        folder: of one network.
        warn: told of every checkpoint that is passed over because it is damaged.
    """
    for number in reversed(_numbers(folder)):
        path = folder / f"checkpoint-{number:06d}.json"
        try:
            return _read(path)
        except _DAMAGE as error:
            warn(f"{folder.name}: {path.stem} is damaged ({error}); falling back to the one before")
    return None


def _digest(progress: object, content: bytes) -> str:
    """SHA-256 of the progress, written in one way, and the tensors."""
    return hashlib.sha256(json.dumps(progress, sort_keys=True).encode() + content).hexdigest()


def _read(path: Path) -> Checkpoint:
    manifest = json.loads(path.read_text())
    content = path.with_suffix(".safetensors").read_bytes()
    if _digest(manifest["progress"], content) != manifest["sha256"]:
        raise ValueError("wrong checksum")
    tensors = safetensors.torch.load(content)
    parts: dict[str, dict[str, Tensor]] = {"weights": {}, "momentum": {}}
    for key, tensor in tensors.items():
        part, _, name = key.partition("/")
        parts[part][name] = tensor
    return Checkpoint(from_plain(Progress, manifest["progress"]), parts["weights"], parts["momentum"])


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that after a crash it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _numbers(folder: Path) -> list[int]:
    """Numbers of the checkpoints that are complete, oldest first; other names are not ours."""
    names = (path.stem.removeprefix("checkpoint-") for path in folder.glob("checkpoint-*.json"))
    return sorted(int(name) for name in names if name.isdecimal())
