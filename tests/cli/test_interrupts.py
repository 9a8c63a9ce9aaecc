"""Ctrl-C at any moment: no traceback, exit code 130."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import weakref

import pytest

from cli.workflows.home import Home

# Sends Ctrl-C to itself when the program's own imports come to one of its modules.
DURING_IMPORTS = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "advisor.errors":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from cli.__main__ import main
main()
"""
# Says when the program begins to import its own modules. Before that there is only Python itself.
STARTED = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "cli.app":
            os.write(1, b".")
sys.meta_path.insert(0, Finder())
from cli.__main__ import main
main()
"""


class Thing:
    pass


def interrupt(*arguments):
    signal.raise_signal(signal.SIGINT)


def turned_into_another_error(*arguments):
    try:
        interrupt()
    except KeyboardInterrupt:
        raise RuntimeError("a library's own") from None


@pytest.mark.parametrize("act", [interrupt, turned_into_another_error])
def test_an_interrupt_inside_a_command_is_no_traceback(advisor, monkeypatch, act):
    monkeypatch.setattr(Home, "find", act)
    answer = advisor("db", "path")
    assert (answer.code, answer.out, answer.err) == (130, "", "")


def test_an_interrupt_that_python_would_print_and_forget_ends_the_program(advisor, monkeypatch):
    ended = []

    def inside_a_callback(*arguments):
        thing = Thing()
        reference = weakref.ref(thing, interrupt)
        del thing
        return reference

    def end(code):
        ended.append(code)
        raise SystemExit(code)

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(Home, "find", inside_a_callback)
    advisor("db", "path")
    assert ended == [130]


def test_a_termination_has_the_code_that_shells_give(advisor, monkeypatch):
    monkeypatch.setattr(Home, "find", lambda wanted: signal.raise_signal(signal.SIGTERM))
    answer = advisor("db", "path")
    assert (answer.code, answer.err) == (143, "")


def test_an_interrupt_during_the_first_imports_is_no_traceback():
    done = subprocess.run(
        [sys.executable, "-c", DURING_IMPORTS, "db", "path"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("--help",),
        ("runs", "list"),
        ("db", "path"),
        ("explain", "mlp-1-4", "--dataset", "digits"),
        ("train", "mlp-1-4", "--dataset", "digits", "--epochs", "500"),
        ("recommend", "--budget", "20k", "--epochs", "5", "--dataset", "digits"),
    ],
    ids=lambda command: command[0],
)
def test_real_processes_that_are_interrupted_at_any_moment_say_nothing(command, tmp_path):
    codes = []
    for wait in (*range(0, 300, 10), 500, 1000, 2000, 4000):
        process = subprocess.Popen(
            [sys.executable, "-c", STARTED, "--home", str(tmp_path / "home"), "-q", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout.read(1) == b"."
        time.sleep(wait / 1000)
        # As from a terminal: the whole group gets it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        lines = err.decode().strip().splitlines()
        assert "Traceback" not in err.decode(), (wait, err.decode())
        assert all(line.startswith("advisor: ") for line in lines), (wait, lines)
        # Python's last act leaves the signal to the system, which ends the process; shells call it 130 too.
        assert process.returncode in (0, 130, -signal.SIGINT), (wait, process.returncode, lines)
        codes.append(process.returncode)
    # The quickest commands may end before the later interrupts.
    assert codes[0] == 130
