"""Folders of images on the command line: what is said and refused, and how a run prepares images."""

from __future__ import annotations

import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from drawn_images import draw, draw_folder

from advisor.plans.dataset import DATASETS, Augmentation
from advisor.plans.identity import ClassIdentity, DatasetIdentity
from advisor.plans.plan import Role
from advisor.plans.records import RunStatus
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import _completed
from cli.workflows.names import facts_of
from cli.workflows.runs.description import _hint

# Every command that plans or counts for a data set, with what it needs beside it.
PLANNING = {
    "recommend": ("--budget", "15k", "--epochs", "1"),
    "probe": ("--minutes", "1", "--budget", "15k", "--epochs", "1"),
    "train": ("mlp-1-4", "--epochs", "1"),
    "explain": ("mlp-1-4",),
    "whatif": ("mlp-1-4", "--epochs", "x2"),
    "profile": ("mlp-1-4",),
    "est": ("--family", "resnet"),
    "space": ("--budget", "15k"),
    "equivalents": ("resnet-8-8",),
}
commands = pytest.mark.parametrize("command", PLANNING)


@pytest.fixture
def folder(tmp_path):
    return draw_folder(tmp_path / "flowers", train=12)


def call(advisor, command, dataset, *options):
    return advisor(command, *PLANNING[command], "--dataset", str(dataset), *options)


@commands
def test_a_folder_is_looked_at_before_anything_is_measured_or_trained(advisor, home, folder, command):
    (folder / "train/a/003.png").write_bytes(b"")
    draw(folder / "test/b/000.png", np.zeros((9, 8, 3), np.uint8))
    answer = call(advisor, command, f"folder:{folder}")
    assert answer.code == 2
    for word in ("a/003.png: it is empty", "b/000.png has 9x8", "--skip-damaged", "--resize 8"):
        assert word in answer.error_line
    assert not (home / "advisor.sqlite").exists()


@commands
def test_options_of_folders_are_refused_for_published_data(advisor, command):
    answer = call(advisor, command, "digits", "--resize", "8")
    assert answer.code == 2
    assert "--resize is for folders of images, and digits is a published data set" in answer.error_line
    assert "--skip-damaged is for folders" in call(advisor, command, "digits", "--skip-damaged").error_line


@pytest.mark.parametrize("command", ["space", "equivalents"])
def test_what_is_counted_for_a_folder_has_the_options_that_its_errors_name(advisor, folder, command):
    (folder / "train/a/003.png").write_bytes(b"")
    draw(folder / "test/b/000.png", np.zeros((9, 8, 3), np.uint8))
    counted = call(advisor, command, f"folder:{folder}", "--skip-damaged", "--resize", "8", "--json")
    assert "1 damaged file left out: train/a/003.png" in counted.err
    plain = advisor(command, *PLANNING[command], "--input", "3x8x8", "--classes", "2", "--json")
    assert counted.json == plain.json
    for option in (["--resize", "8"], ["--skip-damaged"]):
        line = advisor(command, *PLANNING[command], *option).error_line
        assert f"{option[0]} is for folders of images: add --dataset folder:PATH" in line


@pytest.mark.parametrize("size", ["8x8x3", "4", "", "x", "-8", "9000", "8 8", "٨"])
def test_a_size_that_cannot_be_read_is_refused(advisor, folder, size):
    line = call(advisor, "train", f"folder:{folder}", "--resize", size).error_line
    assert f"--resize: cannot read {size!r} as an image size: write 64 or 48x64" in line
    assert "8 to 8,192" in line


def test_a_bare_path_says_that_the_prefix_is_missing(advisor, folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    for path in (str(folder), "./flowers", "flowers", "~/flowers"):
        assert f"named --dataset folder:{path}" in call(advisor, "train", path).error_line
    (folder.parent / "digits").mkdir()
    assert facts_of("digits") == DATASETS["digits"]


def test_what_is_peculiar_about_a_folder_is_said_on_stderr_once_and_headers_are_cached(advisor, home, folder):
    copies = folder / "train" / "a" / ".ipynb_checkpoints"
    shutil.copytree(folder / "train" / "b", copies)
    draw(folder / "train" / "a" / "000.png", np.zeros((8, 8), np.uint8))
    answer = call(advisor, "explain", f"folder:{folder}", "--json")
    assert answer.code == 0
    assert answer.err.count("passed over 12 files: 12 in hidden folders") == 1
    assert answer.err.count("27 of 28 images have colours and 1 are grey") == 1
    assert answer.json["plan"]["dataset"] == f"folder:{folder}"
    assert len(list((home / "cache" / "headers").iterdir())) == 1


def test_a_recommendation_of_a_resized_folder_is_trained_resized(folder):
    asked = {"dataset": f"folder:{folder}", "epochs": 1, "batch": 2, "seed": 0, "device": None}
    last = SimpleNamespace(request=asked | {"resize": "9", "skip_damaged": True})
    filled = _completed(PlanRequest(), last)
    assert (filled.resize, filled.skip_damaged) == ("9", True)
    assert _completed(PlanRequest(resize="10"), last).resize == "10"
    elsewhere = _completed(PlanRequest(dataset="digits"), last)
    assert (elsewhere.resize, elsewhere.skip_damaged) == (None, False)
    assert _completed(PlanRequest(), SimpleNamespace(request=asked)).skip_damaged is False


@pytest.fixture
def mirrored(tmp_path):
    """Classes that only left and right tell apart, of several sizes, one file damaged."""
    random = np.random.default_rng(0)
    folder = tmp_path / "sides"
    for split, count in (("train", 30), ("test", 4)):
        for label, name in enumerate(("bright_left", "bright_right")):
            for i in range(count):
                image = random.integers(0, 60, (8 + i % 3, 8, 3)).astype(np.uint8)
                image[:, 4 * label : 4 * label + 4] += 180
                draw(folder / split / name / f"{i:03}.png", image)
    (folder / "train/bright_left/029.png").write_bytes(b"")
    return folder


@pytest.mark.slow
def test_a_run_prepares_what_it_predicts_as_what_it_was_trained_on(advisor, mirrored, tmp_path):
    options = ("--dataset", f"folder:{mirrored}", "--resize", "8", "--skip-damaged", "--batch", "8")
    trained = advisor("train", "mlp-1-8", *options, "--epochs", "8", "--augment", "none", "--json")
    assert trained.code == 0, trained.err
    assert "augmentation none" in trained.err
    assert "1 damaged file left out: train/bright_left/029.png" in trained.err
    assert (trained.json["run"]["augmentation"], trained.json["run"]["hint"]) == ("none", None)
    image = np.full((8, 8, 4), (40, 40, 40, 255), np.uint8)
    image[:, 4:, :3] += 180
    shown = draw(tmp_path / "shown.png", image[..., :3])
    turned = draw(tmp_path / "turned.png", np.ascontiguousarray(image[::-1, ::-1, :3]), orientation=3)
    # Its left half is black under full transparency, which is white.
    image[:, :4] = 0
    image[:, 4:, :3] = 40
    cut = draw(tmp_path / "cut.png", image)
    rows = advisor("predict", "1", str(shown), str(turned), str(cut), "--json").json["rows"]
    assert [row["name"] for row in rows] == ["bright_right", "bright_right", "bright_left"]
    assert rows[0]["probability"] == rows[1]["probability"]
    assert advisor("predict", "1", "--test", "--json").json["test_error"] == 0
    exported = advisor(
        "export", "1", "--to", "safetensors", "--output", str(tmp_path / "x.safetensors"), "--json"
    )
    assert exported.json["input"] == ("uint8 3x8x8, RGB, upright as viewers show them, transparency on white")


def test_errors_about_a_folder_that_a_run_shall_classify_name_no_option_that_predict_lacks(advisor, folder):
    options = ("--dataset", f"folder:{folder}", "--batch", "8", "--epochs", "1")
    assert advisor("train", "mlp-1-4", *options).code == 0
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    (other / "train/a/003.png").write_bytes(b"")
    draw(other / "test/b/000.png", np.zeros((9, 8, 3), np.uint8))
    line = advisor("predict", "1", "--dataset", f"folder:{other}").error_line
    assert "a/003.png: it is empty" in line
    assert "b/000.png has 9x8, the others have 8x8" in line
    assert "--" not in line


def test_a_run_that_stays_at_chance_gets_a_hint_at_its_flips(advisor, mirrored):
    options = ("--dataset", f"folder:{mirrored}", "--resize", "8", "--skip-damaged", "--batch", "8")
    trained = advisor("train", "mlp-1-8", *options, "--epochs", "1", "--lr", "0.0001")
    assert trained.code == 0, trained.err
    assert "augmentation crop+flip" in trained.out
    hint = re.search(r"Hint: (.*?)\n\n", trained.out, re.S)
    text = " ".join(hint[1].split())
    assert "stays at chance" in text
    assert "crop+flip flips images" in text
    assert "--augment crop or --augment none" in text


@pytest.mark.parametrize(
    ("images", "error", "hinted"),
    [
        # Of 100 validation images, chance is wrong on 50 ± 5, or on the 20 ± 4 of the rare class.
        ((450, 450), 0.48, True),
        ((450, 450), 0.40, False),
        ((720, 180), 0.19, True),
        ((720, 180), 0.10, False),
        # Chance is wrong on 0.6 ± 0.7 of 100: nothing can be said.
        ((895, 5), 0.01, False),
        (None, 0.48, True),
    ],
)
def test_chance_is_the_answer_of_the_most_frequent_class(images, error, hinted):
    classes = [ClassIdentity(name, n, 9, name, name) for name, n in zip("ab", images or (), strict=False)]
    facts = SimpleNamespace(
        augmentation=Augmentation.CROP_FLIP,
        task=SimpleNamespace(classes=2),
        validation_images=100,
        identity=DatasetIdentity.of(classes) if images else None,
    )
    run = SimpleNamespace(status=RunStatus.DONE, plan=SimpleNamespace(dataset=facts))
    member = SimpleNamespace(role=Role.MEMBER, validation_error=error)
    assert (_hint(run, [member]) is not None) is hinted
