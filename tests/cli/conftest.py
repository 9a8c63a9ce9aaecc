"""The command line in this process, with a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cli.app import main
from cli.workflows.answers.commands import ANSWERS

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schema"


@dataclass(frozen=True)
class Answer:
    arguments: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What was printed; every test that reads it checks it against the committed schema."""
        payload = json.loads(self.out)
        command = command_of(self.arguments)
        if command is not None:
            validator_of(command).validate(payload)
        return payload

    @property
    def error_line(self) -> str:
        """The one line that a refusal consists of."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("advisor: ")
        assert "Traceback" not in self.err
        return lines[0]


def command_of(arguments: Sequence[str]) -> str | None:
    """Return the command of a command line that answers in JSON."""
    words = [word for word in arguments if not word.startswith("-")]
    return next((name for name in (" ".join(words[:2]), *words[:1]) if name in ANSWERS), None)


@cache
def validator_of(command: str) -> Draft202012Validator:
    """Return the validator of a command's committed schema."""
    return Draft202012Validator(json.loads((SCHEMAS / f"{command.replace(' ', '/')}.json").read_text()))


Advisor = Callable[..., Answer]
Trained = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="session")
def command_apart() -> list[str]:
    """The command line as a process of its own."""
    return [sys.executable, "-c", "from cli.__main__ import main; main()"]


@pytest.fixture(scope="session")
def to_one_core() -> Callable[[], None]:
    """Hold the calling process to a core, where a run starts no other processes.

    On a CPU those would end with the same bits. Test processes beside this one take another core.
    """
    cores, worker = sorted(os.sched_getaffinity(0)), os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    core = cores[int(worker.removeprefix("gw")) % len(cores)]
    return lambda: os.sched_setaffinity(0, {core})


@pytest.fixture(scope="session")
def train_apart(
    command_apart: list[str], to_one_core: Callable[[], None], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Trained]:
    """Make one finished run in a process of its own; every call trains, so a module keeps what it gets."""

    def train(arguments: Sequence[str]) -> Trained:
        """Return the home and the run that `arguments` made."""
        home = tmp_path_factory.mktemp("reference")
        done = subprocess.run(
            [*command_apart, "--home", str(home), *arguments, "--json", "--quiet"],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=to_one_core,
        )
        return home, json.loads(done.stdout)["run"]

    return train


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def advisor(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Advisor:
    """Call the command line as `advisor("runs", "list")`."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ADVISOR_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: str) -> Answer:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["advisor", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Answer(arguments, int(ended.value.code or 0), captured.out, captured.err)

    return call
