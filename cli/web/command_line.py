"""Commands as a page shows them for copying; values that a shell would read otherwise are quoted."""

from __future__ import annotations

import shlex


def command_line(command: str, *arguments: object, **options: object) -> str:
    """Return a command of the program.

    Args:
        command: name of the command, with that of its group.
        arguments: its arguments.
        options: its options by their names with underscores; None and False leave one out, True is a switch.
    """
    words = ["advisor", *command.split(), *map(str, arguments)]
    for name, value in options.items():
        if value is None or value is False:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words.append(str(value))
    return shlex.join(words)
