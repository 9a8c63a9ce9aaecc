"""Names that come from files and become paths or keys.

A plan, a description, an exported file or a database is written by whoever sends it. A name in it must not
lead anywhere else: it has letters, digits and hyphens only, so that it is one part of a path on every system.
The id of a step is one or several such names. What is only shown and compared, the name of a data set or of a
class, is one line of text.
"""

from __future__ import annotations

import re
import unicodedata

from advisor.errors import UsageError

LONGEST_NAME = 64
# Longer than a path may be on Linux.
LONGEST_LINE = 5000
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9-]{{0,{LONGEST_NAME - 1}}}")


def check_name(kind: str, name: str) -> None:
    """Refuse a name that could lead out of the folder in which it names something.

    Args:
        kind: word for what is named, for the message: "network".
        name: name as it was read.

    Raises:
        UsageError: other characters than letters, digits and hyphens, a leading hyphen, or too many of them.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"the name of a {kind} has 1 to {LONGEST_NAME} letters, digits and hyphens, got {_shown(name)}: "
            "choose another"
        )


def check_step(step: str) -> None:
    """Refuse an id of a step that is not one to three names with single spaces between them.

    Args:
        step: id as it was read, such as ``train member-1``.

    Raises:
        UsageError: it is not.
    """
    names = step.split(" ")
    if len(names) > 3 or not all(map(_NAME.fullmatch, names)):
        raise UsageError(
            f"the id of a step has 1 to 3 words of letters, digits and hyphens, got {_shown(step)}: "
            "choose another"
        )


def check_line(kind: str, text: str) -> None:
    """Refuse a text that is empty, very long, or has control characters such as line breaks.

    Args:
        kind: word for what is named, for the message: "class".
        text: text as it was read.

    Raises:
        UsageError: it is.
    """
    controls = not text.isprintable() and any(unicodedata.category(each) == "Cc" for each in text)
    if controls or not 1 <= len(text) <= LONGEST_LINE:
        raise UsageError(
            f"the name of a {kind} has 1 to {LONGEST_LINE} characters without line breaks and other "
            f"controls, got {_shown(text)}: choose another"
        )


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…")
