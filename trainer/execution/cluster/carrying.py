"""Checkpoints as bytes, for nodes that do not see the folder of the run.

The names of the files are those of `trainer.training.checkpoint`, so that the numbers go on.
"""

from __future__ import annotations

from pathlib import Path

from trainer.training.checkpoint import checkpoint_files, newest_checkpoint, write_checkpoint_files

# Content of the files of one checkpoint, by their names.
Files = dict[str, bytes]


def packed(folder: Path) -> Files:
    """Return the newest complete checkpoint of a folder as bytes; nothing where there is none.

    Args:
        folder: folder of one network's checkpoints.
    """
    number = newest_checkpoint(folder)
    if number is None:
        return {}
    return {path.name: path.read_bytes() for path in checkpoint_files(folder, number)}


def unpack(folder: Path, files: Files) -> None:
    """Write a checkpoint from its bytes.

    Args:
        folder: folder of the network's checkpoints.
        files: content by name; nothing is written where there is none.

    Raises:
        StorageError: the disk refuses.
    """
    if files:
        write_checkpoint_files(folder, files)
