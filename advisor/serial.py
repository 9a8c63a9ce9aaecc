"""Frozen dataclasses to plain JSON and back, checked on the way in.

`to_plain` writes every dataclass as an object of its fields; each carries its class name as ``"kind"``,
which distinguishes the members of a union; bytes are base64. `from_plain` follows the type annotations and
names the field that is wrong. Other plain data have other keys, which a `Form` tells.
"""

from __future__ import annotations

import base64
import dataclasses
import types
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

# Largest size of an integer. Counts stay far below it, and greater ones cannot be stored in SQLite.
LARGEST = 2**63 - 1


class MalformedError(ValueError):
    """Plain data that does not describe the dataclass; the message names the field."""


@dataclasses.dataclass(frozen=True)
class Form:
    """How plain data write a dataclass.

    Attributes:
        fields_of: function from a class to its keys with their fields.
        beside: keys that no field has.
    """

    fields_of: Callable[[Any], Iterable[tuple[str, dataclasses.Field[Any]]]]
    beside: frozenset[str]


STORED = Form(lambda kind: ((f.name, f) for f in dataclasses.fields(kind)), frozenset({"kind"}))


def to_plain(value: Any) -> Any:
    """Return `value` as dicts, lists, strings, numbers, booleans and None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **plain}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def from_plain(kind: type[T], plain: Any, where: str = "", form: Form = STORED) -> T:
    """Return an instance of the dataclass `kind`.

    Args:
        kind: the class.
        plain: the plain data.
        where: path of the data in the document, for errors.
        form: how they write a dataclass; by default as `to_plain` does.

    Raises:
        MalformedError: a field is missing, unknown, of a wrong type or breaks a rule of its class.
    """
    if not isinstance(plain, dict):
        raise MalformedError(f"{where or 'the document'} must be an object, got {type(plain).__name__}")
    hints, fields = _hints(kind), dict(form.fields_of(kind))  # type: ignore[arg-type]
    unknown = plain.keys() - fields.keys() - form.beside
    if unknown:
        raise MalformedError(f"{where or 'the document'} has the unknown field {sorted(unknown)[0]!r}")
    values = {}
    for key, field in fields.items():
        path = f"{where}.{key}" if where else key
        if key in plain:
            values[field.name] = _convert(hints[field.name], plain[key], path, form)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise MalformedError(f"the field {path!r} is missing")
    try:
        return kind(**values)
    except MalformedError:
        raise
    except Exception as error:
        raise MalformedError(f"{where or kind.__name__}: {error}") from error


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    """Return the types of the fields of a class; to resolve them takes longer than to convert a value."""
    return get_type_hints(kind)


def _convert(hint: Any, value: Any, where: str, form: Form) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(args, value, where, form)
    if hint is Any:
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise MalformedError(f"{where} must be a list")
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(value):
            raise MalformedError(f"{where} must have {len(kinds)} entries")
        return tuple(
            _convert(k, v, f"{where}[{i}]", form) for i, (k, v) in enumerate(zip(kinds, value, strict=True))
        )
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            raise MalformedError(f"{where} must be an object")
        return {key: _convert(args[1], item, f"{where}.{key}", form) for key, item in value.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return from_plain(hint, value, where, form)
    return _convert_scalar(hint, value, where)


def _convert_union(args: tuple[Any, ...], value: Any, where: str, form: Form) -> Any:
    if value is None and type(None) in args:
        return None
    choices = [arg for arg in args if arg is not type(None)]
    if len(choices) == 1:
        return _convert(choices[0], value, where, form)
    kind = value.get("kind") if isinstance(value, dict) else None
    for choice in choices:
        if choice.__name__ == kind:
            return from_plain(choice, value, where, form)
    raise MalformedError(f"{where} has the unknown kind {kind!r}")


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if issubclass(hint, Enum):
        try:
            return hint(value)
        except ValueError:
            raise MalformedError(f"{where} has the unknown value {value!r}") from None
    if hint is bytes and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except ValueError:
            raise MalformedError(f"{where} is not base64") from None
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise MalformedError(f"{where} is too large a number") from None
    if type(value) is not hint:
        raise MalformedError(f"{where} must be {hint.__name__}, got {value!r:.60}")
    if type(value) is int and abs(value) > LARGEST:
        raise MalformedError(f"{where} is too large a number")
    return value
