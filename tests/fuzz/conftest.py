"""A home with something of every kind in it, made once, and the folder around it."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from fuzzing import Program
from PIL import Image

from cli.workflows.forecast import machine
from cli.workflows.stopping import StopSignals

# Batches of the training that is stopped.
MOST_POLLS = 30
MADE = (
    ("recommend", "--budget", "15k", "--dataset", "digits", "--epochs", "2", "--profile-seconds", "0",
     "--trials", "20", "--save", "{work}/plan.json"),
    ("train", "2xmlp-1-8@g1", "--dataset", "digits", "--epochs", "2"),
    ("train", "mlp-1-8", "--dataset", "folder:{work}/images", "--epochs", "2"),
    # It is stopped, so there is something to resume.
    ("train", "2xmlp-1-8@g1", "--dataset", "folder:{work}/images", "--epochs", "12", "--time-limit", "60s"),
    ("profile", "mlp-1-8", "--dataset", "digits"),
)  # fmt: skip
TABLE = """dataset,shape,classes,augmentation,train_images,test_images,design,clusters,epochs,batch,seed,\
error,member_errors,device,date
mine,3x32x32,10,crop+flip,45000,10000,2xresnet-20-16,2,120,128,0,0.081,0.092;0.095,one H100,2026-11-21
"""
SETTINGS = """quiet = false
[recommend]
epochs = 20
profile-seconds = 0
[runs.list]
limit = 5
"""


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home, and a working folder with images, a plan and a table; nothing in it is used."""
    folder = tmp_path_factory.mktemp("furnished")
    work = folder / "work"
    draw = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 3)):
        for label in ("a", "b"):
            (work / "images" / split / label).mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(0, 255, (8, 8, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(work / "images" / split / label / f"{i}.png")
    Image.fromarray(draw.integers(0, 255, (8, 8, 3)).astype(np.uint8)).save(work / "image.png")
    Image.fromarray(draw.integers(0, 255, (8, 8)).astype(np.uint8)).save(work / "grey.png")
    (work / "broken.png").write_bytes((work / "image.png").read_bytes()[:60])
    (work / "trainings.csv").write_text(TABLE)
    (work / "advisor.toml").write_text(SETTINGS)
    (folder / "outside").mkdir()
    (folder / "outside" / "keep.txt").write_text("as it was")
    os.mkfifo(work / "fifo")
    with pytest.MonkeyPatch.context() as patch:
        # A pool of processes takes longer to start than the training that is stopped may take.
        patch.setattr(machine, "usable_cores", lambda: 1)
        # The time limit comes after some epochs, however fast the machine is.
        polls = itertools.count()
        limited = lambda signals: signals.deadline is not None and next(polls) > MOST_POLLS  # noqa: E731
        patch.setattr(StopSignals, "past_deadline", limited)
        program = Program(folder, patch, _Unheard())
        for line in MADE:
            ended = program.run(*(word.format(work=work) for word in line))
            assert ended.code == (75 if "--time-limit" in line else 0), (line, ended)
    assert list((folder / "home" / "runs" / "0003").glob("networks/*/*.safetensors"))
    return folder


class _Unheard:
    """In place of pytest's capture, which ends with a test."""

    def readouterr(self):
        class Captured:
            out = err = ""

        return Captured


@pytest.fixture
def fuzzed(furnished, tmp_path, monkeypatch, capfd) -> Program:
    """The program over a copy of the furnished folder."""
    folder = tmp_path / "place"
    folder.mkdir()
    for part in ("home", "outside"):
        shutil.copytree(furnished / part, folder / part)
    shutil.copytree(furnished / "work", folder / "work", ignore=shutil.ignore_patterns("fifo"))
    os.mkfifo(folder / "work" / "fifo")
    return Program(folder, monkeypatch, capfd)


@pytest.fixture
def hidden_answers(monkeypatch):
    """Questions find no one to answer them."""
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115
