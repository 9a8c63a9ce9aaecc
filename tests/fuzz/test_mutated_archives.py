"""Damaged archives and exported ensembles: their readers give an error of ours or the truth."""

from __future__ import annotations

import gzip
import os
import pickle
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fuzzing import mutated_bytes, say_all

from advisor.errors import AdvisorError
from advisor.networks.layers import Task
from trainer.data.archives import _read_idx
from trainer.data.imagenet import _batch
from trainer.data.pickled import read_pickle
from trainer.ensembles.ensemble import load, save_ensemble

INPUTS = int(os.environ.get("ADVISOR_FUZZ_INPUTS", "1000"))
TASK = Task(channels=3, height=8, width=8, classes=5)
ROWS = {"data": np.arange(6 * 192).reshape(6, 192).astype(np.uint8), "labels": [1, 2, 3, 4, 5, 1]}


def _pickle(folder: Path) -> Path:
    path = folder / "batch"
    path.write_bytes(pickle.dumps(ROWS, protocol=2))
    return path


def _npz(folder: Path) -> Path:
    np.savez_compressed(folder / "batch.npz", **ROWS)
    return folder / "batch.npz"


def _idx(folder: Path) -> Path:
    path = folder / "images.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x03\0\0\0\x02\0\0\0\x04\0\0\0\x04" + bytes(range(32))))
    return path


def _exported(folder: Path, furnished: Path) -> Path:
    path = folder / "ensemble.safetensors"
    save_ensemble(load(furnished / "home" / "runs" / "0001"), path)
    return path


IMAGES = torch.arange(4 * 64, dtype=torch.uint8).reshape(4, 1, 8, 8)
READERS: dict[str, tuple[Callable[..., Path], Callable[[Path], Any]]] = {
    "pickle": (_pickle, read_pickle),
    "batch of ImageNet32": (_npz, lambda path: _batch(path.parent, "batch", TASK)),
    "idx file": (_idx, _read_idx),
    "exported ensemble": (_exported, lambda path: load(path)(IMAGES)),
}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_archive_is_refused_in_one_line(name, tmp_path, furnished):
    make, read = READERS[name]
    path = make(tmp_path, furnished) if name == "exported ensemble" else make(tmp_path)
    content, whole = path.read_bytes(), read(path)
    chance, faults = random.Random(name), []
    for number in range(INPUTS):
        path.write_bytes(mutated_bytes(content, chance))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found = read(path)
            if name == "exported ensemble" and not torch.equal(found, whole):
                faults.append(f"{number}: another answer")
        except AdvisorError as error:
            if len(str(error).splitlines()) != 1:
                faults.append(f"{number}: {error}")
        except Exception as error:
            faults.append(f"{number}: {error!r}")
    say_all(faults)
