"""The images of a session in a file, which the processes of its probes map into their memory.

Each of them would otherwise read and prepare the data again, which takes seconds or minutes for photographs,
and keep a copy. The file lies in the home and not in shared memory, which containers have little of.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from advisor.errors import StorageError
from advisor.plans.dataset import DatasetFacts
from trainer.data.loading import Data, Split, part_of

FILE = "images.safetensors"


def write_images(data: Data, folder: Path) -> Path:
    """Write a data set into a file of a folder; return the file.

    Args:
        data: the data set.
        folder: folder of the session.

    Raises:
        StorageError: the disk refuses.
    """
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    tensors = {"mean": data.mean, "deviation": data.deviation}
    for name, split in splits.items():
        tensors |= {f"{name}_images": split.images, f"{name}_labels": split.labels}
    path = folder / FILE
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    except (OSError, SafetensorError) as error:
        raise StorageError(
            f"cannot write the images for probes side by side to {folder}: {error}; make room and repeat"
        ) from None
    return path


def read_images(path: Path, whole: DatasetFacts, facts: DatasetFacts) -> Data:
    """Return the data set of a plan from a file of `write_images`, without the names of classes.

    Args:
        path: the file.
        whole: facts of the data set that was written.
        facts: facts of the plan's data, all images or a part.
    """
    tensors = load_file(path)
    train, validation, test = (
        Split(tensors[f"{name}_images"], tensors[f"{name}_labels"])
        for name in ("train", "validation", "test")
    )
    return part_of(Data(whole, train, validation, test, tensors["mean"], tensors["deviation"]), facts)
