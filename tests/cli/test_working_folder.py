"""What lies in the working folder, or that it is gone, does not change what the program does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHADOWS = (
    "signal",
    "types",
    "socket",
    "random",
    "logging",
    "tempfile",
    "queue",
    "selectors",
    "torch",
    "numpy",
)
ROOT = Path(__file__).parents[2]
ASKED = ("--dataset", "digits", "--epochs", "2", "--json")


def test_a_working_folder_that_was_deleted_is_one_line(advisor, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for command in (("db", "path"), ("runs", "list"), ("train", "mlp-1-4", "--dataset", "digits")):
        answer = advisor(*command)
        assert answer.code == 4
        assert "working folder must exist" in answer.error_line
    assert advisor("--help").code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("train", "2xmlp-1-8", *ASKED),
        ("recommend", "--budget", "15k", "--family", "resnet", "--profile-seconds", "15", *ASKED),
    ],
    ids=lambda command: command[0],
)
def test_files_named_as_pythons_own_modules_change_nothing(command, tmp_path):
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the working folder')")
    # As the console script: its folder, not the working folder, is searched first.
    script = tmp_path / "elsewhere" / "advisor"
    script.parent.mkdir()
    script.write_text("from cli.__main__ import main\nmain()\n")
    done = subprocess.run(
        [sys.executable, str(script), "--home", str(tmp_path / "home"), *command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "of the working folder" not in done.stderr + done.stdout
    assert "formula" not in done.stderr
    if command[0] == "recommend":
        assert '"new": 0' not in done.stdout


def test_the_program_itself_is_not_shadowed_either(tmp_path):
    # Python itself needs types before the program begins.
    for name in set(SHADOWS) - {"types"}:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the working folder')")
    done = subprocess.run(
        [sys.executable, "-m", "cli", "--home", str(tmp_path / "home"), "db", "path"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
