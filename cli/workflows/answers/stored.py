"""An answer from its JSON: what a database kept of an earlier answer, as the object that it was."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, is_dataclass
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from cli.workflows.answers.answer import Answer, keyed_fields

A = TypeVar("A", bound=Answer)


def answer_of(kind: type[A], value: Mapping[str, Any]) -> A:
    """Return the answer that an object of JSON describes.

    Args:
        kind: class of the answer.
        value: the object, as `Answer.to_json` gives it.

    Raises:
        ValueError: a key is missing or a value is not of its type, as in answers of older programs.
    """
    found: A = _object(kind, value if kind.json_key is None else value[kind.json_key])
    return found


def _object(kind: Any, value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError(f"{kind.__name__} must be an object, got {value!r:.40}")
    hints, given = get_type_hints(kind), {}
    for name, field in keyed_fields(kind):
        if name in value:
            given[field.name] = _value(hints[field.name], value[name])
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{kind.__name__} must have {name}")
    return kind(**given)


def _value(hint: Any, value: Any) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _alternative(args, value)
    if origin is tuple and isinstance(value, list):
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else args
        return tuple(_value(kind, item) for kind, item in zip(kinds, value, strict=True))
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {_value(args[0], name): _value(args[1], item) for name, item in value.items()}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if is_dataclass(hint):
        return _object(hint, value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is Any or isinstance(hint, type) and type(value) is hint:
        return value
    raise ValueError(f"{value!r:.40} must be {hint}")


def _alternative(kinds: tuple[Any, ...], value: Any) -> Any:
    """Return a value as the first of several types that it can be."""
    if value is None and type(None) in kinds:
        return None
    for kind in kinds:
        try:
            return _value(kind, value)
        except ValueError:
            continue
    raise ValueError(f"{value!r:.40} must be one of {kinds}")
