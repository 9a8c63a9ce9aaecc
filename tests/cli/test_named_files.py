"""Files that a user names on the command line: what is read, what is written, and what is refused."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import trainer
from advisor.errors import RunError

LONG = "x" * 256
# Commands that write a file, with the place of its name.
OUTPUTS = [
    ("predict", "1", "--test", "--csv", "{}"),
    ("profile", "mlp-1-4", "--dataset", "digits", "--csv", "{}"),
    ("recommend", "--budget", "15k", "--epochs", "2", "--dataset", "digits", "--save", "{}"),
    ("export", "1", "--to", "safetensors", "--force", "--output", "{}"),
    ("export", "1", "--to", "onnx", "--force", "--output", "{}"),
    ("est", "--family", "resnet", "--dataset", "digits", "--plot", "{}.png"),
    ("frontier", "2xmlp-1-8", "--dataset", "digits", "--plot", "{}.svg"),
    ("explain", "2xmlp-1-8@g1", "--dataset", "digits", "--plot", "{}.svg"),
    ("equivalents", "mlp-2-8", "--compare", "--dataset", "digits", "--plot", "{}.svg"),
    ("runs", "show", "1", "--plot", "{}.svg"),
    ("runs", "compare", "1", "2", "--plot", "{}.svg"),
    ("report", "{}.html"),
]
# Commands that read one.
INPUTS = [
    ("explain", "{}.json"),
    ("train", "{}.json"),
    ("whatif", "{}.json", "--epochs", "x2"),
    ("db", "import", "{}.json"),
]


def special(kind, path):
    """Make something at a path that is no regular file."""
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null")


@pytest.mark.parametrize("command", OUTPUTS, ids=lambda command: " ".join(command[:4]))
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_nothing_but_a_file_is_written_to(advisor, home, tmp_path, command, kind):
    name = command[-1].format("result")
    special(kind, Path(name))
    before = os.lstat(name).st_ino
    answer = advisor(*command[:-1], name)
    assert answer.code == 4
    assert "cannot write" in answer.error_line
    assert name in answer.error_line
    assert os.lstat(name).st_ino == before
    # Refused before the work.
    assert not home.exists()


@pytest.mark.parametrize("command", OUTPUTS, ids=lambda command: " ".join(command[:4]))
def test_a_name_that_no_file_can_have_is_refused_before_the_work(advisor, home, command):
    answer = advisor(*command[:-1], command[-1].format(LONG))
    assert answer.code == 4
    assert "at most 255 bytes" in answer.error_line
    assert not home.exists()


@pytest.mark.parametrize("command", INPUTS, ids=lambda command: " ".join(command[:2]))
def test_nothing_but_a_file_is_read_and_nothing_is_waited_for(advisor, home, command):
    special("pipe", Path("given.json"))
    began = time.monotonic()
    answer = advisor(*(word.format("given") for word in command))
    assert answer.code == 2
    assert "given.json" in answer.error_line
    assert "unexpected" not in answer.error_line
    assert time.monotonic() - began < 20
    assert not home.exists()


@pytest.mark.parametrize("command", [INPUTS[0], INPUTS[-1]], ids=lambda command: " ".join(command[:2]))
@pytest.mark.parametrize("name", ["/dev/zero", LONG, "a\0b"])
def test_a_file_without_end_or_with_a_name_of_none_is_one_line(advisor, home, command, name):
    answer = advisor(*(word.format(name).replace(f"{name}.json", name) for word in command))
    assert answer.code == 2
    assert "unexpected" not in answer.error_line
    assert not home.exists()


def test_a_plan_has_a_largest_size(advisor):
    with open("plan.json", "wb") as file:
        file.truncate(2**40)
    assert "must have at most 16 MiB" in advisor("explain", "plan.json").error_line


def test_settings_are_a_file(advisor):
    special("pipe", Path("advisor.toml"))
    answer = advisor("db", "path")
    assert answer.code == 2
    assert "only regular files are read" in answer.error_line


def test_settings_may_begin_with_a_byte_order_mark_and_have_umlauts(advisor, home, monkeypatch):
    monkeypatch.delenv("ADVISOR_HOME")
    for encoding in ("utf-8", "utf-8-sig"):
        Path("advisor.toml").write_text(f"# für alle\nhome = '{home}ä'\n", encoding=encoding)
        assert advisor("db", "path").out.strip() == f"{home}ä/advisor.sqlite"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_settings_in_another_encoding_are_one_line(advisor, encoding):
    Path("advisor.toml").write_text("quiet = true\n# für alle\n", encoding=encoding)
    answer = advisor("db", "path")
    assert answer.code == 2
    assert "must be text in UTF-8; save the file as such" in answer.error_line
    assert f"line {2 if encoding == 'latin-1' else 1} " in answer.error_line


def test_a_home_of_an_unknown_user_is_one_line(advisor, monkeypatch):
    monkeypatch.setenv("ADVISOR_HOME", "~nobody-of-this-name")
    answer = advisor("db", "path")
    assert answer.code == 2
    assert "--home" in answer.error_line


def test_a_user_whom_the_system_does_not_know_is_asked_for_a_home(advisor, monkeypatch):
    for name in ("ADVISOR_HOME", "HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 5)
    answer = advisor("db", "path")
    assert answer.code == 2
    assert "--home" in answer.error_line
    assert not Path("~").exists()


def test_an_ensemble_is_loaded_from_no_pipe(tmp_path):
    special("pipe", tmp_path / "ensemble")
    with pytest.raises(RunError, match="not the folder of a run"):
        trainer.load(tmp_path / "ensemble")
