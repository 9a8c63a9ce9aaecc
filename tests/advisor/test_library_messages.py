"""Warnings and log lines of libraries as plain lines."""

from __future__ import annotations

import logging
import os
import warnings

import pytest

from advisor.library_messages import Shown, adopt, show, taken_over

SOURCE = "/usr/lib/python3/site-packages/PIL/Image.py"


def warn(text="too\nlarge"):
    warnings.warn_explicit(text, UserWarning, SOURCE, 12)


def test_a_warning_is_one_line_of_ours_however_often_it_comes(capsys):
    with taken_over():
        show(Shown.WARNINGS)
        for _ in range(3):
            warn()
    assert capsys.readouterr().err == "advisor: PIL says: too large\n"


def test_log_lines_are_plain_too_and_those_of_information_only_where_everything_is_shown(capsys):
    logger = logging.getLogger("somelibrary.part")
    logger.setLevel(logging.DEBUG)
    shown = {}
    for each in Shown:
        with taken_over():
            show(each)
            logger.info("found %d", 3)
            logger.warning("lost %d", 4)
            warn()
        shown[each] = [line.removeprefix("advisor: ") for line in capsys.readouterr().err.splitlines()]
    lost, warned = "somelibrary says: lost 4", "PIL says: too large"
    assert shown == {
        Shown.NOTHING: [],
        Shown.WARNINGS: [lost, warned],
        Shown.EVERYTHING: ["somelibrary says: found 3", lost, warned],
    }


def test_a_library_that_shows_its_lines_itself_goes_the_way_of_the_others(capsys):
    logger = logging.getLogger("otherlibrary")
    logger.addHandler(logging.StreamHandler())
    logger.propagate = False
    adopt("otherlibrary")
    logger.warning("unheard")
    with taken_over():
        show(Shown.WARNINGS)
        logger.warning("heard")
    assert capsys.readouterr().err == "advisor: otherlibrary says: heard\n"


def test_everything_is_as_before_afterwards(monkeypatch):
    before = warnings.showwarning, logging.lastResort, list(logging.getLogger().handlers), dict(os.environ)
    with pytest.raises(KeyError), taken_over():  # noqa: PT012
        show(Shown.EVERYTHING)
        raise KeyError
    after = warnings.showwarning, logging.lastResort, list(logging.getLogger().handlers), dict(os.environ)
    assert after == before
