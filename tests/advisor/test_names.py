"""Names from files stay names: one part of a path, whatever the file says."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import UsageError
from advisor.names import LONGEST_NAME, check_line, check_name, check_step


@pytest.mark.parametrize("name", ["member-1", "mother-12", "teacher", "a", "A9", "x" * LONGEST_NAME])
def test_names_of_plans_are_accepted(name):
    check_name("network", name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "../a",
        "/a",
        "a\\b",
        "C:a",
        "-a",
        "a b",
        "a.b",
        "a\0",
        "a\n",
        "ä",
        "x" * (LONGEST_NAME + 1),
    ],
)
def test_what_could_lead_elsewhere_is_refused_in_one_line(name):
    with pytest.raises(UsageError, match="letters, digits and hyphens") as raised:
        check_name("network", name)
    assert len(str(raised.value)) < 250
    assert "\n" not in str(raised.value)


@given(st.text(max_size=80))
def test_an_accepted_name_is_one_part_of_a_path_on_every_system(name):
    try:
        check_name("network", name)
    except UsageError:
        return
    for kind in (PurePosixPath, PureWindowsPath):
        assert kind("run", name).parts == ("run", name)


@pytest.mark.parametrize(
    "step", ["", "../x", "train  m", " train", "train m ", "a b c d", "/etc", "train\nm"]
)
def test_an_id_of_a_step_has_one_to_three_plain_words(step):
    check_step("train member-1")
    with pytest.raises(UsageError, match="the id of a step has 1 to 3 words"):
        check_step(step)


@pytest.mark.parametrize("text", ["", "two\nlines", "\x1b[31mred", "nul\0", "x" * 5001])
def test_a_name_that_is_only_shown_is_one_line(text):
    check_line("class", "Größe – \udcff")
    with pytest.raises(UsageError, match="the name of a class has 1 to"):
        check_line("class", text)
