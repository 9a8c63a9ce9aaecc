"""A real second user: processes of other users, which only root can start, in homes of their own and shared.

Other users often cannot read the interpreter of root. So one process of root imports everything by training
once. Every command is a fork of it that becomes another user first.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "setuid") or os.getuid() != 0, reason="needs root"),
]
ANNA, BEN, GROUP = 65501, 65502, 65500
TINY = ("train", "2xmlp-1-8", "--dataset", "digits", "--epochs", "2", "--seed", "1", "-q")


@pytest.fixture
def place():
    """A folder that everybody may enter; those of pytest belong to one user."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def folder_of(user: int, path: Path, mode: int) -> Path:
    path.mkdir()
    os.chown(path, user, GROUP)
    path.chmod(mode)
    return path


# Reads one command a line as JSON, and answers with its exit code, stdout and stderr.
SERVER = """
import contextlib, io, json, os, sys, tempfile
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from cli.app import main

def call(arguments):
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["advisor", *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            return [int(ended.code or 0), out.getvalue(), err.getvalue()]

tiny = sys.argv[1:]
with tempfile.TemporaryDirectory() as home:
    for words in (tiny, ["runs", "list", "--json"], ["runs", "show", "1"], ["resume", "1"],
                  [*tiny, "--time-limit", "0.01s"], ["resume", "2"], ["runs", "delete", "1", "--yes"]):
        call(["--home", home, *words])
print("ready", flush=True)
for line in sys.stdin:
    user, group, umask, home, *arguments = json.loads(line)
    read, write = os.pipe()
    if os.fork() == 0:
        os.chdir("/")
        os.setgroups([]), os.setgid(group), os.setuid(user), os.umask(umask)
        os.write(write, json.dumps(call(["--home", home, *arguments])).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        print(answer.read(), flush=True)
    os.wait()
"""


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def run():
    """Run the command line as another user."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, *TINY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        assert server.stdout.readline() == "ready\n"

        def run(user: int, home: Path, *arguments: str, umask: int = 0o022) -> Done:
            print(json.dumps([user, GROUP, umask, str(home), *arguments]), file=server.stdin, flush=True)
            return Done(*json.loads(server.stdout.readline()))

        yield run
        server.stdin.close()


def one_line(done: Done) -> str:
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("advisor: ")
    return line


def everything_below(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_the_home_of_another_user_is_read_and_never_written(place, run):
    home = folder_of(ANNA, place / "anna", 0o755)
    assert run(ANNA, home, *TINY).returncode == 0
    before = everything_below(home)
    listed = run(BEN, home, "runs", "list", "--json")
    assert (listed.returncode, '"status": "done"' in listed.stdout) == (0, True)
    for arguments in (TINY, ("resume", "1"), ("runs", "delete", "1", "--yes")):
        refused = run(BEN, home, *arguments)
        assert refused.returncode == 4, refused.stderr
        assert "writable" in one_line(refused)
    assert everything_below(home) == before


def test_a_home_that_nobody_else_may_enter_is_refused_in_one_line(place, run):
    private = folder_of(ANNA, place / "anna", 0o700)
    below = folder_of(ANNA, private / "home", 0o755)
    assert run(ANNA, below, *TINY).returncode == 0
    for home, code in ((private, 2), (below, 4)):
        refused = run(BEN, home, *TINY)
        assert refused.returncode == code, refused.stderr
        assert str(home) in one_line(refused)


def test_a_folder_of_runs_that_cannot_be_written_ends_the_run_with_a_message(place, run):
    home = folder_of(ANNA, place / "anna", 0o755)
    folder_of(BEN, home / "runs", 0o755)
    refused = run(ANNA, home, *TINY)
    assert refused.returncode == 4
    assert "cannot write to" in one_line(refused)
    (row,) = json.loads(run(ANNA, home, "runs", "list", "--json").stdout)["runs"]
    assert (row["status"], "cannot write to" in row["message"]) == ("failed", True)


def test_a_group_shares_a_home_where_the_umask_lets_it(place, run):
    # The bit of the group: new files and folders belong to the group of their folder.
    home = folder_of(ANNA, place / "shared", 0o2775)
    stopped = run(ANNA, home, *TINY[:5], "5000", "--time-limit", "1s", "-q", umask=0o002)
    assert stopped.returncode == 75, stopped.stderr
    again = run(BEN, home, "resume", "1", "--time-limit", "1s", umask=0o002)
    assert again.returncode == 75, again.stderr
    assert run(BEN, home, *TINY, umask=0o002).returncode == 0
    assert run(ANNA, home, "runs", "delete", "1", "--yes", umask=0o002).returncode == 0
    for path in home.rglob("*"):
        assert path.stat().st_gid == GROUP
        assert not path.stat().st_mode & 0o002, f"everybody may write {path}"


def test_files_are_for_others_to_read_and_for_the_owner_alone_to_write(place, run):
    home = folder_of(ANNA, place / "anna", 0o755)
    assert run(ANNA, home, *TINY).returncode == 0
    for path in home.rglob("*"):
        mode = path.stat().st_mode & 0o777
        assert mode == (0o755 if path.is_dir() else 0o644), path
