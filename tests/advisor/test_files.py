"""Files that a user names: read within limits, replaced whole or not at all."""

from __future__ import annotations

import os
import resource
import socket
import stat
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from advisor.files import check_replaceable, open_regular, read_regular, replacing, write_whole

MOST = 1000


@pytest.fixture
def other_kinds(tmp_path):
    """Paths that lead to no regular file, by kind."""
    os.mkfifo(tmp_path / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "link to a device").symlink_to("/dev/null")
    yield {
        "a pipe": tmp_path / "pipe",
        "a socket": tmp_path / "socket",
        "a folder": tmp_path / "folder",
        "a device": tmp_path / "link to a device",
    }
    listening.close()


@contextmanager
def full_disk(most):
    """Let no file of this process grow beyond a size, in bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def kinds(paths):
    return {words: stat.S_IFMT(os.lstat(path).st_mode) for words, path in paths.items()}


def test_only_regular_files_are_read_and_no_other_kind_makes_a_reader_wait(other_kinds):
    began = time.monotonic()
    for words, path in other_kinds.items():
        for read in (lambda p: read_regular(p, MOST), open_regular):
            with pytest.raises(OSError, match=f"{words}, and only regular files are read"):
                read(path)
    assert time.monotonic() - began < 2


def test_a_file_without_end_is_not_begun():
    with pytest.raises(OSError, match="a device"):
        read_regular(Path("/dev/zero"), MOST)


def test_a_file_is_read_up_to_a_size(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"x" * MOST)
    assert read_regular(file, MOST) == b"x" * MOST
    file.write_bytes(b"x" * (MOST + 1))
    with pytest.raises(OSError, match="must have at most"):
        read_regular(file, MOST)
    # A file that has no size before it is read.
    with pytest.raises(OSError, match="must have at most"):
        read_regular(Path("/proc/self/maps"), 10)


def test_nothing_but_a_regular_file_is_replaced(other_kinds):
    before = kinds(other_kinds)
    for words, path in other_kinds.items():
        for write in (check_replaceable, lambda p: write_whole(p, b"new")):
            with pytest.raises(OSError, match=f"{words}, and only regular files are written"):
                write(path)
    assert kinds(other_kinds) == before


def test_a_file_is_not_named_as_the_standard_output_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for write in (check_replaceable, lambda p: write_whole(p, b"new")):
        with pytest.raises(OSError, match="it is an open stream"):
            write(Path("-"))
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_replaces_the_target_of_a_link_and_keeps_permissions(tmp_path):
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "absent")
    write_whole(dangling, b"new")
    assert (tmp_path / "absent").read_text() == "new"


def test_a_full_disk_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path):
    file = tmp_path / "file"
    file.write_text("old")
    with full_disk(4096), pytest.raises(OSError, match="too large"):
        write_whole(file, b"x" * 10**6)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_work_that_fails_leaves_the_old_file_whole(tmp_path, error):
    file = tmp_path / "file.onnx"
    file.write_text("old")
    with pytest.raises(error), replacing(file) as part:  # noqa: PT012
        assert part.suffix == ".onnx"
        part.write_text("half")
        raise error
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_device_that_appears_during_the_work_is_not_replaced(tmp_path):
    file = tmp_path / "file"
    with pytest.raises(OSError, match="a pipe"), replacing(file) as part:  # noqa: PT012
        part.write_text("new")
        os.mkfifo(file)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_may_have_the_longest_name_there_is_and_no_longer_one(tmp_path):
    write_whole(tmp_path / ("x" * 255), b"new")
    assert (tmp_path / ("x" * 255)).read_text() == "new"
    for act in (check_replaceable, lambda p: read_regular(p, MOST)):
        with pytest.raises(OSError, match="at most 255 bytes.*256"):
            act(tmp_path / ("x" * 256))


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_an_open_stream_is_not_replaced_whatever_it_leads_to(name):
    with pytest.raises(OSError, match="an open stream"):
        check_replaceable(Path(name))
