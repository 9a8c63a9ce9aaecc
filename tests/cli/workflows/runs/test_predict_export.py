"""What was trained is used through the command line: predictions, test errors, exported files."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import trainer
from advisor.errors import StorageError, UsageError
from advisor.plans.dataset import DATASETS
from cli.workflows.runs.trained import TrainedRun
from trainer.data.loading import Data, Split
from trainer.ensembles.description import FILE

TINY = ("train", "2xmlp-1-8", "--dataset", "digits", "--epochs", "3", "--seed", "5")


@pytest.fixture(scope="module")
def reference(train_apart):
    """One finished run, made by a process of its own."""
    return train_apart(TINY)


@pytest.fixture
def run(reference, home):
    """A copy of the run in the home of this test."""
    shutil.copytree(reference[0], home)
    return reference[1]


@pytest.fixture
def pictures(tmp_path):
    """Three digits as files."""
    digits = load_digits()
    for i in range(3):
        Image.fromarray((digits.images[i] * 15).astype(np.uint8)).save(tmp_path / f"{i}.png")
    return [str(tmp_path / f"{i}.png") for i in range(3)]


def with_status(home, status):
    with sqlite3.connect(home / "advisor.sqlite") as database:
        database.execute("UPDATE runs SET status = ?", (status,))
    database.close()


# Images.


def test_images_get_the_classes_that_the_loaded_ensemble_gives_them(advisor, home, run, pictures):
    answer = advisor("predict", "1", *pictures, "--json")
    assert answer.code == 0
    ensemble = trainer.load(home / run["folder"])
    images = np.stack([np.asarray(Image.open(p))[None] for p in pictures])
    with torch.inference_mode():
        members = ensemble.member_probabilities(torch.from_numpy(images)).double().numpy()
    mean = members.mean(axis=0)
    assert [row["image"] for row in answer.json["rows"]] == pictures
    for row, average, each in zip(answer.json["rows"], mean, members.transpose(1, 0, 2), strict=True):
        second, best = np.argsort(average)[-2:]
        assert (row["class"], row["second"]["class"]) == (best, second)
        assert row["probability"] == pytest.approx(average[best])
        assert row["second"]["probability"] == pytest.approx(average[second])
        assert row["agree"] == sum(member.argmax() == best for member in each)


def test_a_person_sees_a_line_an_image(advisor, run, pictures):
    lines = advisor("predict", "last", *pictures[:2]).out.splitlines()
    assert "2xmlp-1-8" in lines[0]
    assert lines[1].split() == ["image", "class", "probability", "second", "best", "agree"]
    assert lines[2].split()[-3:] in (["2", "of", "2"], ["1", "of", "2"])


def test_rows_of_images_have_no_label(advisor, run, pictures, tmp_path):
    shown = advisor("predict", "1", *pictures, "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(shown.out)))
    assert [row["image"] for row in rows] == pictures
    assert {row["label"] for row in rows} == {""}
    assert {row["members"] for row in rows} == {"2"}
    assert advisor("predict", "1", *pictures, "--csv", str(tmp_path / "rows.csv")).code == 0
    assert (tmp_path / "rows.csv").read_text() == shown.out


def test_wrong_files_are_a_line_each_and_the_others_are_answered(advisor, run, pictures, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    answer = advisor(
        "predict", "1", str(tmp_path / "none.png"), pictures[0], str(tmp_path / "text.png"), "--json"
    )
    assert answer.code == 3
    assert [row["image"] for row in answer.json["rows"]] == [pictures[0]]
    lines = answer.err.strip().splitlines()
    assert len(lines) == 3
    assert "none.png: No such file" in lines[0]
    assert "text.png" in lines[1]
    assert "2 of 3 images could not be read" in lines[2]
    assert len(answer.json["unread"]) == 2


def test_nothing_but_wrong_files_is_a_refusal(advisor, run, tmp_path):
    answer = advisor("predict", "1", str(tmp_path / "none.png"))
    assert answer.code == 2
    assert "none.png" in answer.error_line
    answer = advisor("predict", "1", str(tmp_path / "none.png"), str(tmp_path))
    assert answer.code == 2
    assert answer.err.strip().splitlines()[-1] == "advisor: none of 2 images could be read"


def test_classes_are_called_as_the_folder_calls_them(advisor, home, tmp_path):
    place = tmp_path / "shades"
    for split, count in (("train", 12), ("test", 3)):
        for value, name in ((20, "dark"), (230, "light")):
            (place / split / name).mkdir(parents=True)
            for n in range(count):
                Image.fromarray(np.full((8, 8), value + n, np.uint8)).save(place / split / name / f"{n}.png")
    assert advisor("train", "mlp-1-8", "--dataset", f"folder:{place}", "--epochs", "20", "--quiet").code == 0
    path = str(place / "test" / "light" / "0.png")
    # The name of the class, and no need for the data set once the run is described.
    assert advisor("predict", "1", path).code == 0
    shutil.move(place, tmp_path / "elsewhere")
    row = advisor("predict", "1", path.replace("shades", "elsewhere"), "--json").json["rows"][0]
    assert {row["name"], row["second"]["name"]} == {"dark", "light"}
    assert row["name"] == ["dark", "light"][row["class"]]


# Test sets.


@pytest.mark.parametrize("which", [("--test",), ("--dataset", "digits")])
def test_the_test_error_is_that_of_the_run(advisor, run, which):
    payload = advisor("predict", "1", *which, "--json").json
    assert payload["test_error"] == pytest.approx(run["test"]["error"])
    assert payload["member_errors"] == pytest.approx(run["test"]["member_errors"])
    assert (payload["dataset"], payload["images"]) == ("digits", 360)
    assert "rows" not in payload
    assert "test error" in advisor("predict", "1", *which).out


def test_errors_by_class_are_those_of_the_rows_and_of_the_run(advisor, home, run):
    answer = advisor("predict", "1", "--test", "--json").json
    rows = list(csv.DictReader(io.StringIO(advisor("predict", "1", "--test", "--csv", "-").out)))
    counted = Counter((int(row["label"]), int(row["class"])) for row in rows)
    by_class = answer["by_class"]
    for found in by_class["classes"]:
        label = found["class"]
        images = sum(number for (true, _), number in counted.items() if true == label)
        assert (found["images"], found["wrong"]) == (images, images - counted[label, label])
    assert {(c["class"], c["taken_for"]): c["images"] for c in by_class["confusions"]} == {
        pair: number for pair, number in counted.items() if pair[0] != pair[1]
    }
    wrong = sum(found["wrong"] for found in by_class["classes"])
    assert wrong / answer["images"] == pytest.approx(answer["test_error"])
    # The run stored the same when it ended.
    assert advisor("runs", "show", "1", "--json").json["run"]["by_class"] == by_class
    shown = advisor("runs", "show", "1").out
    assert "confusion matrix: true class by row, answer by column" in shown
    assert "confusion matrix" in advisor("predict", "1", "--test").out


def test_a_run_of_an_older_program_says_how_to_get_its_errors_by_class(advisor, home, run):
    with sqlite3.connect(home / "advisor.sqlite") as database:
        database.execute("DELETE FROM confusion_matrices")
    database.close()
    assert advisor("runs", "show", "1", "--json").json["run"]["by_class"] is None
    shown = advisor("runs", "show", "1").out
    assert "Errors by class were not stored when this run ended: advisor predict 1 --test" in shown


def test_rows_of_a_test_set_have_labels_that_give_the_error(advisor, run):
    rows = list(csv.DictReader(io.StringIO(advisor("predict", "1", "--test", "--csv", "-").out)))
    assert len(rows) == 360
    wrong = sum(row["label"] != row["class"] for row in rows) / 360
    assert wrong == pytest.approx(run["test"]["error"])


# Runs.


def test_an_old_run_is_described_when_it_is_first_used(advisor, home, run, pictures):
    path = home / run["folder"] / FILE
    path.unlink(missing_ok=True)
    assert advisor("predict", "1", pictures[0]).code == 0
    described = path.read_bytes()
    path.write_text("{")
    assert advisor("predict", "1", pictures[0]).code == 0
    assert path.read_bytes() == described


def test_of_a_partly_failed_run_the_finished_members_answer(advisor, home, run, pictures):
    with_status(home, "partial")
    with sqlite3.connect(home / "advisor.sqlite") as database:
        database.execute("UPDATE steps SET status = 'failed' WHERE step = 'train member-1'")
    database.close()
    shutil.rmtree(home / run["folder"] / "networks" / "member-1")
    answer = advisor("predict", "1", pictures[0], "--json")
    assert answer.json["members"] == 1
    assert "1 of 2 members" in answer.err


@pytest.mark.parametrize("status", ["interrupted", "failed", "diverged", "deadline"])
def test_a_run_that_is_not_finished_predicts_nothing(advisor, home, run, pictures, status):
    with_status(home, status)
    answer = advisor("predict", "1", pictures[0])
    assert answer.code == 1
    assert status in answer.error_line


def test_damaged_checkpoints_are_one_line(advisor, home, run, pictures):
    for path in (home / run["folder"] / "networks" / "member-2").glob("*.safetensors"):
        path.write_bytes(b"damaged")
    answer = advisor("predict", "1", pictures[0])
    assert answer.code == 4
    assert "member-2" in answer.error_line


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("predict", "1"), 2, "got none"),
        (("predict", "1", "a.png", "--test"), 2, "got several"),
        (("predict", "1", "a.png", "--dataset", "digits"), 2, "got several"),
        (("predict", "1", "--test", "--dataset", "digits"), 2, "digits is not a folder: leave it out"),
        (
            ("export", "1", "--to", "pt2", "--output", "x", "--dataset", "folder:."),
            2,
            "digits is not a folder",
        ),
        (("predict", "1", "--test", "--csv", "x", "--json"), 2, "choose one"),
        (("predict", "1", "--test", "--csv", "none/x"), 4, "no folder"),
        (("predict", "1", "--test", "--csv", "."), 4, "it is a folder"),
        (("predict", "1", "--dataset", "digit"), 2, "did you mean 'digits'"),
        (("predict", "1", "--dataset", "cifar10"), 2, "3x32x32"),
        (("predict", "7", "--test"), 2, "no run"),
        (("predict", "one", "--test"), 2, "number"),
        (("export", "1", "--to", "safetensors"), 2, "--output"),
        (("export", "1", "--to", "onx", "--output", "x"), 2, "did you mean 'onnx'"),
        (("export", "1", "--to", "pt2", "--output", "none/x"), 4, "no folder"),
        (("export", "7", "--to", "pt2", "--output", "x"), 2, "no run"),
    ],
)
def test_bad_requests_are_one_line(advisor, run, arguments, code, word):
    answer = advisor(*arguments)
    assert answer.code == code
    assert word in answer.error_line
    assert answer.out == ""


@pytest.mark.parametrize(
    "arguments", [("predict", "last", "--test"), ("export", "1", "--to", "pt2", "--output", "x")]
)
def test_without_any_run_nothing_is_written(advisor, home, arguments):
    answer = advisor(*arguments)
    assert answer.code == 2
    assert "no run" in answer.error_line
    assert not home.exists()


# Exports.


def test_an_exported_file_answers_as_the_run_does(advisor, run, tmp_path, pictures):
    path = tmp_path / "digits.safetensors"
    answer = advisor("export", "last", "--to", "safetensors", "--output", str(path), "--json")
    assert answer.code == 0
    assert answer.json["file"] == str(path)
    assert answer.json["bytes"] == path.stat().st_size
    assert (answer.json["checked_images"], answer.json["test_images"]) == (256, 360)
    assert answer.json["max_difference"] == 0
    images = torch.from_numpy(np.stack([np.asarray(Image.open(p))[None] for p in pictures]))
    with torch.inference_mode():
        classes = trainer.load(path)(images).argmax(dim=1).tolist()
    assert classes == [row["class"] for row in advisor("predict", "1", *pictures, "--json").json["rows"]]


def test_an_exported_file_is_kept_unless_forced(advisor, run, tmp_path):
    path = tmp_path / "digits.pt2"
    path.write_text("mine")
    answer = advisor("export", "1", "--to", "pt2", "--output", str(path))
    assert answer.code == 2
    assert "--force" in answer.error_line
    assert path.read_text() == "mine"
    answer = advisor("export", "1", "--to", "pt2", "--output", str(path), "--force", "--quiet")
    assert answer.code == 0
    assert "torch.export read it back" in answer.out
    assert answer.err == ""


@pytest.mark.slow
def test_onnx_comes_out_clean(advisor, run, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    answer = advisor("export", "1", "--to", "onnx", "--output", str(tmp_path / "x.onnx"), "--json", "--quiet")
    assert answer.code == 0
    assert answer.err == ""
    assert answer.json["max_difference"] < 1e-5


@pytest.mark.parametrize("command", ["predict", "export"])
def test_asking_for_help_imports_nothing_heavy(command):
    script = (
        "import sys\nfrom cli.app import main\n"
        f"sys.argv = ['advisor', {command!r}, '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('torch', 'numpy', 'sqlalchemy', 'PIL') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"


def trained_on(*classes):
    description = SimpleNamespace(classes=classes)
    ensemble = SimpleNamespace(description=description)
    return TrainedRun(SimpleNamespace(id=1), ensemble, None)


def labelled(labels, classes):
    split = Split(torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8), torch.tensor(labels))
    facts, mean = DATASETS["digits"], torch.zeros(1)
    return Data(facts, split, split, split, mean, mean, classes)


def test_labels_of_another_data_set_are_those_of_the_run_by_their_names():
    other = labelled([0, 1, 2, 0], ("boot", "shirt", "trouser"))
    found = trained_on("shirt", "trouser", "boot").labelled_alike(other)
    assert found.test.labels.tolist() == [2, 0, 1, 2]
    # Where one of them has no names, their order is all there is.
    assert trained_on().labelled_alike(other).test.labels.tolist() == [0, 1, 2, 0]


def test_a_data_set_of_other_classes_is_refused():
    with pytest.raises(UsageError, match="the classes 'cat', which run 1 does not know, and lacks 'boot'"):
        trained_on("shirt", "boot").labelled_alike(labelled([0], ("cat", "shirt")))


def test_a_digit_that_is_changed_in_a_description_changes_no_answer(advisor, home, run):
    before = advisor("predict", "1", "--test", "--json").json["test_error"]
    path = home / "runs" / "0001" / "ensemble.json"
    plain = json.loads(path.read_text())
    path.write_text(json.dumps(plain | {"mean": [plain["mean"][0] + 0.7]}))
    with pytest.raises(StorageError, match="wrong checksum"):
        trainer.load(path.parent)
    # The data set is at hand, from which the run is described anew.
    assert advisor("predict", "1", "--test", "--json").json["test_error"] == before
    assert json.loads(path.read_text()) == plain


# Files that are written, and images that are none.

WRITTEN = [
    ("predict", "1", "--test", "--csv", "result"),
    ("export", "1", "--to", "safetensors", "--force", "--output", "result"),
    pytest.param(("export", "1", "--to", "pt2", "--force", "--output", "result"), marks=pytest.mark.slow),
    pytest.param(("export", "1", "--to", "onnx", "--force", "--output", "result"), marks=pytest.mark.slow),
]


@pytest.mark.parametrize("command", WRITTEN)
def test_a_full_disk_leaves_the_file_that_was_there(advisor, run, command, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    Path("result").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    answer = advisor(*command, "--quiet")
    assert answer.code == 4
    assert "No space left on device" in answer.error_line
    assert [(path.name, path.read_text()) for path in Path().iterdir()] == [("result", "old")]


@pytest.mark.parametrize("command", WRITTEN)
def test_a_file_that_is_replaced_keeps_its_permissions_and_its_links(advisor, run, command):
    Path("result").symlink_to("target")
    Path("target").write_text("old")
    Path("target").chmod(0o604)
    assert advisor(*command, "--quiet").code == 0
    assert Path("result").is_symlink()
    assert stat.S_IMODE(Path("target").stat().st_mode) == 0o604
    assert Path("target").stat().st_size > 100


@pytest.mark.slow
@pytest.mark.parametrize("form", ["safetensors", "pt2", "onnx"])
def test_a_disk_that_fills_during_an_export_is_a_storage_error(advisor, run, form):
    Path("result").write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        answer = advisor("export", "1", "--to", form, "--force", "--output", "result", "--quiet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert answer.code == 4, answer.err
    assert [(path.name, path.read_text()) for path in Path().iterdir()] == [("result", "old")]


def test_standard_output_may_be_named(advisor, run):
    shown = {name: advisor("predict", "1", "--test", "--csv", name).out for name in ("-", "/dev/stdout")}
    assert shown["-"] == shown["/dev/stdout"]
    assert shown["-"].startswith("image,label")


def test_an_image_that_is_no_file_is_a_line(advisor, run, pictures, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    answer = advisor("predict", "1", pictures[0], str(tmp_path / "pipe.png"), "/dev/zero", "--json")
    assert answer.code == 3
    assert [row["image"] for row in answer.json["rows"]] == [pictures[0]]
    lines = answer.err.strip().splitlines()
    assert [("a pipe" in line, "a device" in line) for line in lines[:2]] == [(True, False), (False, True)]


def test_an_image_of_many_pixels_is_read_without_a_warning_of_the_library(
    advisor, run, pictures, monkeypatch
):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    warnings.simplefilter("always")
    assert advisor("predict", "1", pictures[0], "--json").err == ""
