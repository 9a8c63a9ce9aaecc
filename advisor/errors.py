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
     ├─ PartialRunError        some members failed, the others are usable
     ├─ DeadlineError          the time limit is reached; resumable
     ├─ InterruptedRunError    stopped by the user; resumable
     └─ StorageError           the database or the disk refuses

The exit code of each class is the business of `cli.app`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AdvisorError(Exception):
    """Base of everything that is reported in one line without a traceback."""


class UsageError(AdvisorError):
    """The request cannot be understood."""


class UnknownNameError(UsageError):
    """A name outside a closed list; the message gives the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(names)}"
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
