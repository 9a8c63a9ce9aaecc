"""The form of an answer, and its JSON.

An answer is a frozen dataclass that is built once. Its JSON is an object with a key for each field, in order,
after ``schema_version``. That key comes first in an answer within another answer, too. A field has another
key where Python reserves the word (``class``), and no key where only the Python interface has it:

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Design:
        design_class: DesignClass = field(metadata=key("class"))
        probabilities: Floats = field(metadata=NO_KEY)

An answer whose fields JSON nests in one object (``{"schema_version": 1, "run": {…}}``) names its key in
`Answer.json_key`.

`cli.workflows.answers.schema` derives the JSON schema of an answer from the same fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from typing import Any, ClassVar

# The version rises when a key is renamed, dropped or changes its meaning; new keys do not raise it.
SCHEMA_VERSION = 1
_KEY = "json key"
# Metadata of a field that JSON leaves out.
NO_KEY: dict[str, str | None] = {_KEY: None}


def key(name: str) -> dict[str, str | None]:
    """Return the metadata of a field whose key in JSON is `name`."""
    return {_KEY: name}


class Answer:
    """The result of a workflow; a subclass is a frozen dataclass.

    Attributes:
        json_key: key of the object that has the fields in JSON; None where they stand beside the version.
    """

    __slots__ = ()
    json_key: ClassVar[str | None] = None

    def to_json(self) -> dict[str, Any]:
        """Return the answer as the object that ``--json`` prints."""
        own = _fields(self)
        return {"schema_version": SCHEMA_VERSION} | (own if self.json_key is None else {self.json_key: own})

    def _repr_html_(self) -> str:
        """Return the answer as a notebook shows it: the tables of the command line."""
        # Rich is slow to import, and programs that read fields need no tables.
        from cli.render.notebook import as_html

        return as_html(self)


def keyed_fields(kind: Any) -> Iterator[tuple[str, Field[Any]]]:
    """Yield the JSON key and the field of every field that a dataclass, or an instance of one, writes."""
    for field in fields(kind):
        name = field.metadata.get(_KEY, field.name)
        if name is not None:
            yield name, field


def plain(value: Any) -> Any:
    """Return an answer, or a part of one, as dicts, lists, strings, numbers, booleans and None.

    Raises:
        TypeError: a value whose type JSON lacks.
    """
    if value is None or isinstance(value, str | int | float) and not isinstance(value, Enum):
        return value
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        # An answer within an answer has its own version, except in a list of its kind.
        versioned = isinstance(value, Answer) and value.json_key is None
        return ({"schema_version": SCHEMA_VERSION} if versioned else {}) | _fields(value)
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise TypeError(f"an answer holds {type(value).__name__}, which JSON does not have")


def _fields(value: Any) -> dict[str, Any]:
    return {name: plain(getattr(value, field.name)) for name, field in keyed_fields(value)}
