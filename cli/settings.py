"""Settings from files, and options of the program that may stand anywhere on the line.

Precedence: command line, then ADVISOR_* in the environment (both by Typer), then advisor.toml or
[tool.advisor] of pyproject.toml in the working folder, then the default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
import typer.main

from advisor.errors import UsageError
from advisor.files import read_regular

GLOBAL_FLAGS = ("--quiet", "-q", "--verbose", "-v", "--debug")
GLOBAL_VALUES = ("--home",)
# Options that a settings file cannot set.
OF_ONE_CALL = ("debug", "version")
# Bytes of a settings file; a pyproject.toml may hold much beside ours.
LARGEST_SETTINGS = 4 * 2**20


def hoist_global_options(arguments: Sequence[str]) -> list[str]:
    """Move options of the program in front of the command; after ``--`` everything stays."""
    front: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            return [*front, *rest, word, *waiting]
        if word in GLOBAL_FLAGS or word.startswith(tuple(f"{name}=" for name in GLOBAL_VALUES)):
            front.append(word)
        elif word in GLOBAL_VALUES and waiting:
            front += [word, waiting.pop(0)]
        else:
            rest.append(word)
    return front + rest


def load_settings(folder: Path, app: typer.Typer) -> dict[str, Any]:
    """Return the settings of a folder as Typer's default map.

    Raises:
        UsageError: a file that is not TOML in UTF-8, or a key that no command has.
    """
    for path, section in ((folder / "advisor.toml", ()), (folder / "pyproject.toml", ("tool", "advisor"))):
        try:
            settings: Any = tomllib.loads(_text_of(path))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"cannot read settings from {path}: {reason}") from None
        for key in section:
            settings = settings.get(key, {}) if isinstance(settings, dict) else settings
        if not isinstance(settings, dict):
            raise UsageError(f"{path}: [{'.'.join(section)}] must be a table of settings")
        if settings:
            return _checked(settings, path, typer.main.get_command(app))
    return {}


def _text_of(path: Path) -> str:
    """Return the text of a file, without the byte order mark with which some editors begin it."""
    content = read_regular(path, LARGEST_SETTINGS)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line} must be text in UTF-8; save the file as such") from None


def _checked(settings: Any, path: Path, command: Any) -> dict[str, Any]:
    """Rename keys to parameters and refuse those that do not exist."""
    parameters = {
        option.lstrip("-").replace("-", "_"): parameter.name
        for parameter in command.params
        for option in parameter.opts
        if parameter.name not in OF_ONE_CALL
    }
    commands = getattr(command, "commands", {})
    checked: dict[str, Any] = {}
    for key, value in settings.items():
        name = key.replace("-", "_")
        if isinstance(value, dict) and key in commands:
            checked[key] = _checked(value, path, commands[key])
        elif name in parameters and not isinstance(value, dict):
            checked[parameters[name]] = value
        else:
            raise UsageError(f"{path}: no setting is called {key!r}; settings are named as the options")
    return checked
