"""Checkpoints that survive `kill -9` and never execute.

A checkpoint consists of two files. A safetensors file contains the weights (``weights/…``) and the momentum
of SGD (``momentum/…``). A JSON manifest contains the progress and the SHA-256 of progress and tensors. Each
file is written under a temporary name, flushed to the disk and renamed. The manifest comes last, so a
checkpoint exists if its manifest exists. The newest two are kept. If the newest one fails its checksum, the
one before is read.

A training is an *attempt* with a number, higher than that of every earlier one on the same network. A save of
an earlier attempt is refused: a machine that was cut off from its cluster may train on while another one has
taken over.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import safetensors.torch
from torch import Tensor

from advisor.errors import StorageError
from advisor.plans.records import EpochRecord
from advisor.serial import from_plain, to_plain

# Number of checkpoints in a folder.
KEPT = 2
# File with the number of the newest attempt, in the same folder.
ATTEMPT = "attempt"
SUFFIXES = ("safetensors", "json")

# Errors that a truncated, overwritten or missing file can raise when it is read.
_DAMAGE = (OSError, ValueError, LookupError, TypeError, RecursionError, safetensors.SafetensorError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Progress of the training of a network.

    Attributes:
        step: id of the plan's step that is under way or done.
        done: whether this step is finished.
        epoch: number of finished epochs of the step.
        batch: number of finished batches of the current epoch.
        loss_sum, wrong: sum of the losses and number of wrong answers so far in the current epoch.
        train_errors: training error of every finished epoch, as a share.
        rollbacks: number of returns to a checkpoint because the loss was not finite.
        micro_batch: number of images that fit into memory at once, 0 for the whole batch.
        seconds: wall clock of the step so far.
        epoch_seconds: wall clock of the current epoch so far.
        hatch_difference: `hatch_difference` of the hatching before the step, None if there was none.
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
    """State of the training of a network.

    Attributes:
        progress: counters and totals.
        weights: parameters and buffers by their names in the network.
        momentum: momentum of SGD by the name of the parameter.
    """

    progress: Progress
    weights: dict[str, Tensor]
    momentum: dict[str, Tensor] = field(default_factory=dict)


def begin_attempt(folder: Path) -> int:
    """Return the number of a new attempt to train a network; saves of earlier ones are refused from now on.

    Args:
        folder: folder of the network's checkpoints, created if it is missing.

    Raises:
        StorageError: the disk refuses.
    """
    number = newest_attempt(folder) + 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(folder / ATTEMPT, str(number).encode())
    except OSError as error:
        raise _refused(folder, error) from None
    return number


def newest_attempt(folder: Path) -> int:
    """Return the number of the newest attempt in a folder; 0 if there was none, or its file is damaged."""
    try:
        return int((folder / ATTEMPT).read_text())
    except (OSError, ValueError):
        return 0


def save_checkpoint(folder: Path, checkpoint: Checkpoint, attempt: int | None = None) -> None:
    """Write a checkpoint and delete all but the newest two.

    Args:
        folder: folder of the network's checkpoints, created if it is missing.
        checkpoint: state to write.
        attempt: number of the attempt that saves it; None where no other can have begun.

    Raises:
        StorageError: a later attempt has begun, or the disk refuses; earlier checkpoints stay as they were.
    """
    if attempt is not None and (newest := newest_attempt(folder)) > attempt:
        raise StorageError(
            f"{folder.name} is trained by somebody else since: this is attempt {attempt}, and the newest is "
            f"{newest}; nothing was overwritten"
        )
    tensors = {f"weights/{k}": v.detach().cpu().contiguous() for k, v in checkpoint.weights.items()}
    tensors |= {f"momentum/{k}": v.detach().cpu().contiguous() for k, v in checkpoint.momentum.items()}
    content = safetensors.torch.save(tensors)
    progress = to_plain(checkpoint.progress)
    manifest = {"sha256": _digest(progress, content), "progress": progress}
    tensors_file, manifest_file = checkpoint_files(folder, (newest_checkpoint(folder) or 0) + 1)
    write_checkpoint_files(
        folder, {tensors_file.name: content, manifest_file.name: json.dumps(manifest).encode()}
    )


def checkpoint_files(folder: Path, number: int) -> tuple[Path, Path]:
    """Return the files of a checkpoint in the order in which they are written: tensors, then manifest."""
    tensors, manifest = (folder / f"checkpoint-{number:06d}.{suffix}" for suffix in SUFFIXES)
    return tensors, manifest


def newest_checkpoint(folder: Path) -> int | None:
    """Return the number of the newest complete checkpoint of a folder, whose content may be damaged."""
    return max(_numbers(folder), default=None)


def write_checkpoint_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a checkpoint and delete all but the newest two.

    Args:
        folder: folder of the network's checkpoints, created if it is missing.
        files: content by the name of the file, in the order in which they are written.

    Raises:
        StorageError: the disk refuses; earlier checkpoints stay as they were.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_durably(folder / name, content)
        for number in _numbers(folder)[:-KEPT]:
            for path in reversed(checkpoint_files(folder, number)):
                path.unlink(missing_ok=True)
        # Left over from a killed process. A folder has only one writer.
        for unfinished in folder.glob(".checkpoint-*.tmp"):
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(folder, error) from None


def _refused(folder: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot write a checkpoint to {folder}: {error.strerror}; make room and resume")


def load_checkpoint(
    folder: Path, warn: Callable[[str], None], steps: Container[str] | None = None
) -> Checkpoint | None:
    """Return the newest intact checkpoint of a folder, or None if there is none.

    Args:
        folder: folder of one network's checkpoints.
        warn: receiver of one line about every damaged checkpoint that is skipped.
        steps: ids of the network's steps; a checkpoint of another step counts as damaged. None: any step.
    """
    for number in reversed(_numbers(folder)):
        path = folder / f"checkpoint-{number:06d}.json"
        try:
            return _read(path, steps)
        except _DAMAGE as error:
            warn(f"{folder.name}: {path.stem} is damaged ({error}); falling back to the one before")
    return None


def damaged_checkpoints(folder: Path, steps: Container[str]) -> list[str]:
    """Return one line for every damaged checkpoint of a folder.

    Args:
        folder: folder of one network's checkpoints.
        steps: ids of the network's steps.
    """
    lines = []
    for number in _numbers(folder):
        path = folder / f"checkpoint-{number:06d}.json"
        try:
            _read(path, steps)
        except _DAMAGE as error:
            lines.append(f"{folder.name}: {path.stem} is damaged ({error})")
    return lines


def _digest(progress: object, content: bytes) -> str:
    """Return the SHA-256 of the progress, as JSON with sorted keys, and of the tensors' file."""
    return hashlib.sha256(json.dumps(progress, sort_keys=True).encode() + content).hexdigest()


def _read(path: Path, steps: Container[str] | None) -> Checkpoint:
    manifest = json.loads(path.read_text())
    content = path.with_suffix(".safetensors").read_bytes()
    if _digest(manifest["progress"], content) != manifest["sha256"]:
        raise ValueError("wrong checksum")
    tensors = safetensors.torch.load(content)
    parts: dict[str, dict[str, Tensor]] = {"weights": {}, "momentum": {}}
    for key, tensor in tensors.items():
        part, _, name = key.partition("/")
        parts[part][name] = tensor
    progress = from_plain(Progress, manifest["progress"])
    if steps is not None and progress.step not in steps:
        raise ValueError(f"of the step {progress.step!r:.60}, which is not one of this network")
    return Checkpoint(progress, parts["weights"], parts["momentum"])


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that after a crash it is either complete or missing.

    Raises:
        OSError: the disk refuses.
    """
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
    """Return the numbers of the complete checkpoints, oldest first; other files are ignored."""
    names = (path.stem.removeprefix("checkpoint-") for path in folder.glob("checkpoint-*.json"))
    return sorted(int(name) for name in names if name.isdecimal())
