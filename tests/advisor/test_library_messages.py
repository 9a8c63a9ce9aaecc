"""Warnings and log lines of libraries as plain lines."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import warnings

import pytest

from advisor.library_messages import Shown, show, taken_over

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
    with taken_over():
        show(Shown.NOTHING)
        logger.warning("unheard")
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


LIBRARIES = """
import logging, sys, warnings
from advisor import library_messages
with library_messages.taken_over():
    library_messages.show(library_messages.Shown(sys.argv[1]))
    import numpy, optuna, torch
    from PIL import Image
    from sklearn.linear_model import LogisticRegression
    numpy.log(numpy.array([-1.0]))
    LogisticRegression(max_iter=1).fit(numpy.random.rand(50, 3), numpy.arange(50) % 2)
    Image.MAX_IMAGE_PIXELS = 10
    Image._decompression_bomb_check((4, 4))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    torch.optim.lr_scheduler.StepLR(optimizer, 1).step()
    logging.getLogger("torch.export").warning("a line of torch")
    optuna.logging.get_logger("optuna.study").warning("a line of optuna")
"""


@pytest.mark.slow
@pytest.mark.parametrize("shown", list(Shown))
def test_no_library_shows_a_message_in_its_own_form(shown):
    done = subprocess.run(
        [sys.executable, "-c", LIBRARIES, shown.value], capture_output=True, text=True, check=True
    )
    lines = done.stderr.splitlines()
    assert all(re.match(r"advisor: \S+ says: \S", line) for line in lines), lines
    words = ("invalid value", "failed to converge", "16 pixels", "lr_scheduler", "of torch", "of optuna")
    found = [word for word in words if any(word in line for line in lines)]
    assert found == ([] if shown is Shown.NOTHING else list(words))
