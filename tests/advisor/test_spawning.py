"""Processes of our own: where they search for modules, and what they hear."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from advisor import spawning
from advisor.spawning import apart_from_caller, forked_context, searched_folders, spawn_context

CHILD = """
import json, os, signal, sys, warnings
warnings.warn("raw")
from advisor.library_messages import take_over_as_parent
take_over_as_parent()
warnings.simplefilter("always")
warnings.warn("ours")
blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
json.dump({"path": sys.path, "deaf": blocked}, open(target, "w"))
"""
SHADOWS = ("signal", "types", "socket", "random", "logging", "tempfile")


def test_modules_of_the_working_folder_are_not_those_of_a_process(tmp_path, monkeypatch, capfd):
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the working folder')")
    monkeypatch.chdir(tmp_path)
    # As under `python -c` and `python -m`, and as in a notebook.
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.setenv("ADVISOR_LIBRARY_MESSAGES", "nothing")
    before = list(sys.path), dict(os.environ)
    context = spawn_context()
    process = context.Process(target=exec, args=(CHILD, {"target": str(tmp_path / "seen.json")}))
    with apart_from_caller():
        process.start()
    assert (list(sys.path), dict(os.environ)) == before
    process.join()
    assert process.exitcode == 0
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert str(tmp_path) not in map(os.path.realpath, seen["path"])
    assert [folder for folder in sys.path if folder] == [f for f in seen["path"] if f in sys.path]
    assert seen["deaf"]
    assert capfd.readouterr().err == ""


def test_the_working_folder_is_searched_if_the_user_names_it_or_we_lie_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), "/elsewhere"])
    assert searched_folders() == ["/elsewhere"]
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert searched_folders() == sys.path
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.chdir(Path(__file__).parents[2])
    assert searched_folders() == sys.path


@pytest.mark.parametrize(("length", "way"), [(75, "forkserver"), (76, "spawn")])
def test_a_temporary_folder_with_a_long_name_has_no_place_for_a_socket(monkeypatch, length, way):
    # 107 characters at most, of which Python adds "/pymp-12345678/listener-12345678".
    monkeypatch.setattr(spawning, "gettempdir", lambda: "/" + "x" * (length - 1))
    assert forked_context(()).get_start_method() == way
