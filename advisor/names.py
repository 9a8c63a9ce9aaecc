"""Names that come from files and become paths or keys.

A plan, a description or an exported file is written by whoever sends it. A name in it must not lead anywhere
else: it has letters, digits and hyphens only, so that it is one part of a path on every system.
"""

from __future__ import annotations

import re

from advisor.errors import UsageError

LONGEST_NAME = 64
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
        shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
        raise UsageError(
            f"the name of a {kind} has 1 to {LONGEST_NAME} letters, digits and hyphens, got {shown!r}: "
            "choose another"
        )
