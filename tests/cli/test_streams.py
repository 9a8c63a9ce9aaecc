"""Standard output and error: no character fails, and a stream that refuses is one line or nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from cli import streams
from cli.progress import Speaker
from cli.render.formats import show, table

NAME = "caf\udce9"


def strict(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)


def written(stream):
    return stream.buffer.getvalue().decode(stream.encoding)


@pytest.mark.parametrize(
    ("encoding", "dash"),
    [("ascii", "- <= x ... \\u0416"), ("latin-1", "- <= × ... \\u0416"), ("utf-8", "– ≤ × … Ж")],
)
def test_a_table_is_shown_on_a_terminal_of_any_encoding(encoding, dash, monkeypatch):
    monkeypatch.setattr(sys, "stdout", strict(encoding))
    streams.prepare()
    show(table("", [("name", "l"), ("figure", "r")], [[NAME, "– ≤ × … Ж"]]))
    line = written(sys.stdout).splitlines()[1]
    assert line.split() == ["caf\\xe9", *dash.split()]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_name_that_is_no_text_is_shown_by_a_command(advisor, tmp_path, encoding, form, monkeypatch):
    monkeypatch.setattr(sys, "stdout", strict(encoding))
    answer = advisor("db", "path", "--home", str(tmp_path / NAME), *form)
    assert (answer.code, answer.err) == (0, "")
    shown = written(sys.stdout)
    database = json.loads(shown)["database"] if form else shown.strip()
    assert database == str(tmp_path / (NAME if form else "caf\\xe9") / "advisor.sqlite")


@pytest.mark.parametrize(
    "command", [("db", "path"), ("runs", "list"), ("runs", "list", "--json"), ("runs", "export"), ("--help",)]
)
def test_a_full_disk_behind_standard_output_is_one_line(advisor, command, monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        answer = advisor(*command)
    assert answer.code == 4
    assert "No space left on device" in answer.error_line


@pytest.mark.parametrize("command", [("runs", "list"), ("db", "path"), ("runs", "export")])
def test_a_reader_that_went_away_ends_the_program_without_a_word(advisor, command, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        answer = advisor(*command)
    assert (answer.code, answer.err) == (141, "")


def test_an_error_is_no_traceback_where_standard_error_is_full(advisor, monkeypatch):
    full = open("/dev/full", "w")  # noqa: SIM115
    monkeypatch.setattr(sys, "stderr", full)
    assert advisor("runs", "show", "three").code == 2
    full.close()


def test_progress_that_cannot_be_shown_ends_no_training(monkeypatch):
    full = open("/dev/full", "w")  # noqa: SIM115
    monkeypatch.setattr(sys, "stderr", full)
    Speaker(quiet=False)("a line")
    streams.finish()
    full.close()


def test_every_line_of_a_verbose_progress_has_its_time(capsys):
    Speaker(quiet=False, verbose=True)("searching")
    assert capsys.readouterr().err.endswith(" s] searching\n")


def test_closed_streams_are_no_traceback(command_apart):
    done = subprocess.run(
        [
            "bash",
            "-c",
            '"$@" >&- 2>&- <&-',
            "bash",
            *command_apart,
            "space",
            "--budget",
            "5X",
        ],
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", b"")


def test_main_leaves_what_it_took_over(advisor):
    import signal

    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    assert advisor("db", "path").code == 0
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before
