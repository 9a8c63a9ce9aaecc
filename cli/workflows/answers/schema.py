"""The JSON schema of every answer, derived from its dataclass and committed below docs/schema.

    python -m cli.workflows.answers.schema docs/schema     # `make schema`; a test compares

Types map as follows: a dataclass is an object that has all its keys and no others, a tuple an array, an
enumeration the list of its values, ``X | None`` also allows null. Descriptions come from the docstrings: the
first line of the class, and its Attributes. A command that answers in one of several forms has ``oneOf``
their schemas.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from advisor.files import write_whole
from cli.workflows.answers.answer import SCHEMA_VERSION, Answer, keyed_fields

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
VERSION: Schema = {"const": SCHEMA_VERSION}
SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
}


def schema_of(answer: type[Answer] | tuple[type[Answer], ...]) -> Schema:
    """Return the JSON schema of an answer, or of an answer in one of several forms."""
    definitions: dict[str, Schema] = {}
    kinds = answer if isinstance(answer, tuple) else (answer,)
    forms = [_answer(kind, definitions) for kind in kinds]
    body = forms[0] if len(forms) == 1 else {"oneOf": forms}
    found: Schema = {"$schema": DIALECT} | body
    return found | ({"$defs": dict(sorted(definitions.items()))} if definitions else {})


def _answer(kind: type[Answer], definitions: dict[str, Schema]) -> Schema:
    body = _object(kind, definitions)
    if kind.json_key is not None:
        body["properties"] = {"schema_version": VERSION, kind.json_key: _reference(kind, definitions)}
        body["required"] = list(body["properties"])
    return {"title": kind.__name__} | body


def _object(kind: Any, definitions: dict[str, Schema]) -> Schema:
    hints, described = get_type_hints(kind), _attributes(kind)
    versioned = issubclass(kind, Answer) and kind.json_key is None
    properties: Schema = {"schema_version": VERSION} if versioned else {}
    for name, field in keyed_fields(kind):
        schema = _schema(hints[field.name], definitions)
        # Descriptions begin with a small letter, as in docstrings.
        properties[name] = schema | ({"description": text} if (text := described.get(field.name)) else {})
    return {
        "description": (inspect.getdoc(kind) or "").partition("\n")[0],
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _schema(hint: Any, definitions: dict[str, Schema]) -> Schema:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(arg, definitions) for arg in args]}
    if origin is tuple and args[-1] is Ellipsis:
        return {"type": "array", "items": _schema(args[0], definitions)}
    if origin is tuple:
        items = [_schema(arg, definitions) for arg in args]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if origin in (dict, Mapping) or (inspect.isclass(origin) and issubclass(origin, Mapping)):
        return {"type": "object", "additionalProperties": _schema(args[1], definitions)}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [member.value for member in hint]}
    if is_dataclass(hint):
        return _reference(hint, definitions)
    if hint in SCALARS:
        return dict(SCALARS[hint])
    raise TypeError(f"an answer has a field of type {hint}, which has no JSON schema")


def _reference(kind: Any, definitions: dict[str, Schema]) -> Schema:
    if kind.__name__ not in definitions:
        # The name is reserved before its schema is derived, so that a class may contain itself.
        definitions[kind.__name__] = {}
        definitions[kind.__name__] = _object(kind, definitions)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _attributes(kind: Any) -> dict[str, str]:
    """Return the descriptions below ``Attributes:`` in the docstrings of a class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        section = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")[2]
        names: list[str] = []
        for line in section.splitlines():
            if head := re.match(r"    (\w+(?:, \w+)*): (.*)", line):
                names = head[1].split(", ")
                found |= dict.fromkeys(names, head[2])
            elif line.startswith("     ") and names:
                found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


def write(folder: Path) -> None:
    """Write the schema of every command into a folder; that of ``runs list`` is runs/list.json."""
    from cli.workflows.answers.commands import ANSWERS

    for command, kind in ANSWERS.items():
        text = json.dumps(schema_of(kind), indent=2, ensure_ascii=False) + "\n"
        file = folder / f"{command.replace(' ', '/')}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, text.encode())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
