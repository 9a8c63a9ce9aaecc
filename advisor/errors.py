"""Errors that a user can cause or must know of, each one line: the rule, the value, the remedy.

::

    AdvisorError
     ├─ UsageError             the request cannot be understood
     │   ├─ UnknownNameError   a family, data set, method … that does not exist
     │   └─ InvalidDesignError a network or ensemble that breaks a rule of its family
     ├─ InfeasibleError        understood, but nothing satisfies it
     ├─ DataError              a data set that is missing, incomplete or inconsistent
     ├─ PlanError              a plan file that is damaged or of a newer schema
     ├─ RunError               training failed
     │   └─ StepModeError      a faster way of executing a step fails on this machine
     ├─ PartialRunError        some members failed, the others are usable
     ├─ DeadlineError          the time limit is reached; resumable
     ├─ InterruptedRunError    stopped by the user; resumable
     └─ StorageError           the database or the disk refuses
         └─ LockedError        another process holds the lock of the database

The exit code of each class is the business of `cli.app`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TypeVar, overload

Entry = TypeVar("Entry")
Member = TypeVar("Member", bound=Enum)


class AdvisorError(Exception):
    """Base of everything that is reported in one line without a traceback."""


class UsageError(AdvisorError):
    """The request cannot be understood."""


class UnknownNameError(UsageError):
    """A name outside a closed list; the message gives the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=1)
        hint = hint or (f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(names)}")
        super().__init__(f"unknown {kind} {name!r}: {hint}")


class InvalidDesignError(UsageError):
    """A network or an ensemble that breaks a rule of its family."""


class InfeasibleError(AdvisorError):
    """Nothing satisfies the request."""


class DataError(AdvisorError):
    """A data set that is missing, incomplete or inconsistent."""


class PlanError(AdvisorError):
    """A plan that is damaged, of a newer schema, or not executable here."""


class RunError(AdvisorError):
    """Training could not be done."""


class StepModeError(RunError):
    """A step cannot be executed in a mode on this machine; eager steps can."""


class PartialRunError(AdvisorError):
    """Some members failed; the others are stored and usable."""


class DeadlineError(AdvisorError):
    """The time limit is reached; the run is resumable."""


class InterruptedRunError(AdvisorError):
    """The user stopped the run; it is resumable."""

    def __init__(self, message: str, *, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StorageError(AdvisorError):
    """The database or the disk refuses."""


class LockedError(StorageError):
    """Another process holds the lock of the database; it may succeed later."""


@overload
def lookup(kind: str, name: str, known: Mapping[str, Entry], *others: str) -> Entry: ...


@overload
def lookup(kind: str, name: str, known: type[Member], *others: str) -> Member: ...


def lookup(kind: str, name: str, known: Mapping[str, Entry] | type[Member], *others: str) -> Entry | Member:
    """Return what a name stands for in a closed list.

    Args:
        kind: word for such a name in the message, for example "family".
        name: name as the user wrote it.
        known: entries by name, or an enum whose values are the names.
        others: further forms that the message offers beside the names.

    Raises:
        UnknownNameError: the list has no such name.
    """
    entries = {str(e.value): e for e in known} if isinstance(known, type) else known
    if name not in entries:
        raise UnknownNameError(kind, name, [*entries, *others])
    return entries[name]


def require_entries(registry: str, given: Iterable[object], needed: Iterable[object]) -> None:
    """Refuse a registry that lacks an entry, or has one that nothing else knows.

    Registries with the same keys stand in several modules. The module of the later one calls this at import,
    so that a forgotten entry is an error before anything runs, not a default.

    Args:
        registry: file and name of the registry, for the message.
        given: its keys.
        needed: keys that it must have, all of them and no other.

    Raises:
        LookupError: the keys differ; the message names them and the file.
    """
    keys, wanted = set(map(str, given)), set(map(str, needed))
    if missing := sorted(wanted - keys):
        raise LookupError(f"{registry} has no entry for {', '.join(missing)}: add it")
    if unknown := sorted(keys - wanted):
        raise LookupError(f"{registry} has an entry for {', '.join(unknown)}, which nothing else knows")
