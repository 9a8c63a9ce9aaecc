"""Checkpoints come back as they were written, survive damage and full disks, and never execute."""

import errno
import json
import os
import pickle
import random
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import StorageError
from advisor.plans.records import EpochRecord
from trainer.training.checkpoint import (
    Checkpoint,
    Progress,
    begin_attempt,
    load_checkpoint,
    save_checkpoint,
)

EPOCH = EpochRecord(
    step="train a",
    network="a",
    epoch=2,
    rate=0.1,
    train_loss=0.1 + 0.2,
    train_error=1 / 3,
    validation_loss=1e-300,
    validation_error=0.25,
    validation_probabilities=bytes(range(256)),
    seconds=1.5,
)


def numbered(number):
    """A checkpoint whose tensors tell its number."""
    return Checkpoint(
        Progress(step="train a", epoch=number, train_errors=(0.5,) * number, last_epoch=EPOCH),
        {"w": torch.full((3, 2), float(number)), "n": torch.tensor(number)},
        {"w": torch.full((3, 2), -float(number))},
    )


def silent(text):
    raise AssertionError(f"an intact checkpoint is called damaged: {text}")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "member-1"


@pytest.fixture
def saved(folder):
    """A folder with the checkpoints 1 and 2; the newest is to be damaged."""
    for number in (1, 2):
        save_checkpoint(folder, numbered(number))
    return folder


# Round trip.


def test_a_checkpoint_comes_back_as_it_was_written(folder):
    written = Checkpoint(
        Progress(
            step="train a",
            epoch=3,
            batch=4,
            loss_sum=123.456789012345678,
            wrong=17,
            train_errors=(1 / 3, 0.1, 0.0),
            rollbacks=1,
            micro_batch=16,
            seconds=2.5,
            epoch_seconds=0.25,
            hatch_difference=1.5e-13,
            last_epoch=EPOCH,
        ),
        {"a.weight": torch.randn(4, 3, 2, 2), "bn.num_batches_tracked": torch.tensor(7)},
        {"a.weight": torch.randn(4, 3, 2, 2)},
    )
    save_checkpoint(folder, written)
    read = load_checkpoint(folder, silent)
    assert read.progress == written.progress
    for part in ("weights", "momentum"):
        assert getattr(read, part).keys() == getattr(written, part).keys()
        for name, tensor in getattr(written, part).items():
            assert torch.equal(getattr(read, part)[name], tensor)
            assert getattr(read, part)[name].dtype == tensor.dtype


def test_tensors_in_another_memory_format_keep_their_values(folder):
    weight = torch.randn(4, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    save_checkpoint(folder, Checkpoint(Progress(step="s"), {"w": weight}))
    assert torch.equal(load_checkpoint(folder, silent).weights["w"], weight)


@given(st.floats(allow_nan=False), st.floats(0, 1), st.integers(0, 2**40))
def test_progress_comes_back_to_the_last_bit(tmp_path_factory, loss, error, wrong):
    folder = tmp_path_factory.mktemp("progress")
    progress = Progress(step="s", loss_sum=loss, train_errors=(error,), wrong=wrong)
    save_checkpoint(folder, Checkpoint(progress, {}))
    assert load_checkpoint(folder, silent).progress == progress


def test_a_folder_without_checkpoints_or_none_at_all_has_nothing_to_load(folder):
    assert load_checkpoint(folder, silent) is None
    folder.mkdir()
    assert load_checkpoint(folder, silent) is None


def test_the_newest_two_are_kept_and_the_newest_is_loaded(folder):
    for number in range(1, 6):
        save_checkpoint(folder, numbered(number))
        assert load_checkpoint(folder, silent).progress.epoch == number
    assert names(folder) == [
        "checkpoint-000004.json",
        "checkpoint-000004.safetensors",
        "checkpoint-000005.json",
        "checkpoint-000005.safetensors",
    ]


def test_a_file_that_a_killed_process_was_writing_is_swept_up(saved):
    (saved / ".checkpoint-000003.safetensors.4711.tmp").write_bytes(b"half")
    assert load_checkpoint(saved, silent).progress.epoch == 2
    save_checkpoint(saved, numbered(3))
    assert not [name for name in names(saved) if name.startswith(".")]


def test_tensors_without_a_manifest_are_no_checkpoint_and_are_written_over(saved):
    (saved / "checkpoint-000003.safetensors").write_bytes(b"killed before the manifest")
    assert load_checkpoint(saved, silent).progress.epoch == 2
    save_checkpoint(saved, numbered(3))
    assert load_checkpoint(saved, silent).progress.epoch == 3


def test_files_of_other_names_are_left_alone(saved):
    for name in ("checkpoint-best.json", "checkpoint-000001 (copy).json", "notes.txt"):
        (saved / name).write_text("{}")
    assert load_checkpoint(saved, silent).progress.epoch == 2
    save_checkpoint(saved, numbered(3))
    assert {"checkpoint-best.json", "checkpoint-000001 (copy).json", "notes.txt"} <= set(names(saved))


# Damage.


def assert_falls_back(folder):
    warnings = []
    assert load_checkpoint(folder, warnings.append).progress == numbered(1).progress
    (warning,) = warnings
    assert "member-1: checkpoint-000002 is damaged" in warning
    assert "falling back to the one before" in warning
    # Training goes on from there, and the damaged one does not come back.
    save_checkpoint(folder, numbered(7))
    assert load_checkpoint(folder, silent).progress == numbered(7).progress


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_file_falls_back_to_the_checkpoint_before(saved, suffix, kept):
    path = saved / f"checkpoint-000002.{suffix}"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert_falls_back(saved)


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
def test_any_flipped_bit_falls_back_to_the_checkpoint_before(saved, suffix):
    path = saved / f"checkpoint-000002.{suffix}"
    content = path.read_bytes()
    generator = random.Random(0)
    for _ in range(60):
        place, bit = generator.randrange(len(content)), 1 << generator.randrange(8)
        path.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        warnings = []
        read = load_checkpoint(saved, warnings.append)
        # White space and the case of an escape may change and mean the same; nothing else may.
        assert (read.progress.epoch, len(warnings)) == (1, 1) or (
            suffix == "json" and read.progress == numbered(2).progress
        )


def test_missing_tensors_fall_back_to_the_checkpoint_before(saved):
    (saved / "checkpoint-000002.safetensors").unlink()
    assert_falls_back(saved)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x00\xff\xfe",
        b"null",
        b"[]",
        b"3",
        b'"text"',
        b"{}",
        b'{"sha256": 5, "progress": []}',
        b'{"sha256": "00", "progress": {"step": "train a"}}',
        b"[" * 100_000,
    ],
    ids=["empty", "bytes", "null", "list", "number", "text", "object", "types", "checksum", "deep"],
)
def test_a_manifest_of_garbage_falls_back_to_the_checkpoint_before(saved, garbage):
    (saved / "checkpoint-000002.json").write_bytes(garbage)
    assert_falls_back(saved)


def test_progress_that_is_changed_by_hand_falls_back_to_the_checkpoint_before(saved):
    path = saved / "checkpoint-000002.json"
    manifest = json.loads(path.read_text())
    manifest["progress"]["epoch"] = 1
    path.write_text(json.dumps(manifest))
    assert_falls_back(saved)


def test_when_all_are_damaged_there_is_none_and_each_is_named(saved):
    for number in (1, 2):
        (saved / f"checkpoint-00000{number}.safetensors").write_bytes(b"x")
    warnings = []
    assert load_checkpoint(saved, warnings.append) is None
    assert ["000002" in warnings[0], "000001" in warnings[1]] == [True, True]


# Disks that refuse.


def fail_with(code, after=0):
    calls = []

    def refuse(*_):
        calls.append(1)
        if len(calls) > after:
            raise OSError(code, os.strerror(code))

    return refuse


@pytest.mark.parametrize("after", range(4))
def test_a_disk_that_refuses_at_any_flush_leaves_an_intact_checkpoint_and_raises(saved, monkeypatch, after):
    # A save flushes four times: tensors, their folder, manifest, its folder.
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail_with(errno.ENOSPC, after))
        with pytest.raises(StorageError, match="No space left on device; make room and resume"):
            save_checkpoint(saved, numbered(3))
    assert load_checkpoint(saved, silent).progress.epoch == (3 if after == 3 else 2)
    assert not [name for name in names(saved) if name.endswith(".tmp")]
    save_checkpoint(saved, numbered(4))
    assert load_checkpoint(saved, silent).progress.epoch == 4


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "networks").write_text("a file is in the way")
    with pytest.raises(StorageError, match="cannot write a checkpoint to"):
        save_checkpoint(tmp_path / "networks" / "member-1", numbered(1))


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 256 KiB, where mounting is permitted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = sys.platform == "linux" and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("mounting is not permitted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full_keeps_the_earlier_checkpoints(tiny_disk):
    folder = tiny_disk / "member-1"
    for number in (1, 2):
        save_checkpoint(folder, replace(numbered(number), momentum={"w": torch.zeros(10_000)}))
    with pytest.raises(StorageError, match="No space left on device"):
        save_checkpoint(folder, replace(numbered(3), momentum={"w": torch.zeros(60_000)}))
    assert load_checkpoint(folder, silent).progress.epoch == 2
    save_checkpoint(folder, replace(numbered(3), momentum={"w": torch.zeros(10_000)}))
    assert load_checkpoint(folder, silent).progress.epoch == 3


# Nothing executes.


class Malicious:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("write", [pickle.dumps, "torch"])
def test_a_malicious_pickle_in_the_place_of_a_checkpoint_is_never_loaded(saved, tmp_path, write):
    victim = tmp_path / "executed"
    tensors, manifest = (saved / f"checkpoint-000002.{suffix}" for suffix in ("safetensors", "json"))
    if write == "torch":
        torch.save(Malicious(victim), tensors)
    else:
        tensors.write_bytes(write(Malicious(victim)))
    manifest.write_bytes(pickle.dumps(Malicious(victim)))
    for name in ("checkpoint-000003.pt", "checkpoint-000003.pkl", "optimizer.pt"):
        (saved / name).write_bytes(tensors.read_bytes())
    assert_falls_back(saved)
    assert not victim.exists()
    # The file is what it is said to be.
    pickle.loads(pickle.dumps(Malicious(victim)))
    assert victim.exists()


def test_a_checkpoint_is_made_of_json_and_safetensors_and_nothing_else(saved):
    json.loads((saved / "checkpoint-000002.json").read_text())
    content = (saved / "checkpoint-000002.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert sorted(header) == ["momentum/w", "weights/n", "weights/w"]


def test_a_save_of_an_earlier_attempt_is_refused_and_overwrites_nothing(folder):
    first = begin_attempt(folder)
    save_checkpoint(folder, numbered(1), first)
    second = begin_attempt(folder)
    save_checkpoint(folder, numbered(2), second)
    with pytest.raises(StorageError, match="this is attempt 1, and the newest is 2; nothing was overwritten"):
        save_checkpoint(folder, numbered(3), first)
    assert load_checkpoint(folder, silent).progress == numbered(2).progress
    save_checkpoint(folder, numbered(4), second)
    assert load_checkpoint(folder, silent).progress == numbered(4).progress


def test_a_damaged_number_of_the_attempt_stops_no_training(folder):
    begin_attempt(folder)
    (folder / "attempt").write_bytes(b"\xff")
    save_checkpoint(folder, numbered(1), begin_attempt(folder))
    assert load_checkpoint(folder, silent).progress == numbered(1).progress
