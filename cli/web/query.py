"""The query of an address: the state of a page, which a reader may keep, send and open again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

from advisor.errors import UsageError

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Query:
    """Names and values of a query, in their order; a name may have several values.

    Attributes:
        pairs: the names with their values.
    """

    pairs: Sequence[tuple[str, str]] = ()

    def text(self, name: str, default: str = "") -> str:
        """Return the last value of a name that is not empty, else the default."""
        return next((value for key, value in reversed(self.pairs) if key == name and value), default)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return all values of a name that are not empty, each once."""
        return tuple(dict.fromkeys(value for key, value in self.pairs if key == name and value))

    def integer(self, name: str, default: int | None = None) -> int | None:
        """Return a value as a whole number.

        Raises:
            UsageError: it is none.
        """
        return self._number(name, int, default)

    def real(self, name: str) -> float | None:
        """Return a value as a number, None if it is not given.

        Raises:
            UsageError: it is none.
        """
        return self._number(name, float, None)

    def _number(self, name: str, kind: type[Number], default: Number | None) -> Number | None:
        text = self.text(name)
        if not text:
            return default
        try:
            return kind(text)
        except ValueError:
            raise UsageError(f"{name} must be a number, got {text!r:.40}") from None

    def address(self, **changes: str | int | None) -> str:
        """Return the query as text, with some values replaced; None leaves a name out."""
        kept = [(key, value) for key, value in self.pairs if key not in changes and value]
        added = [(key, str(value)) for key, value in changes.items() if value is not None]
        return "?" + urlencode([*kept, *added])
