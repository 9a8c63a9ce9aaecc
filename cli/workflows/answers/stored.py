"""An answer from its JSON: what a database kept of an earlier answer, as the object that it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from advisor.serial import Form, from_plain
from cli.workflows.answers.answer import Answer, keyed_fields

A = TypeVar("A", bound=Answer)
# An answer within an answer has a version of its own.
FORM = Form(keyed_fields, frozenset({"schema_version"}))


def answer_of(kind: type[A], value: Mapping[str, Any]) -> A:
    """Return the answer that an object of JSON describes.

    Args:
        kind: class of the answer.
        value: the object, as `Answer.to_json` gives it.

    Raises:
        MalformedError: a key is missing or unknown, or a value is not of its type, as in answers of other
            programs.
    """
    return from_plain(kind, value if kind.json_key is None else value[kind.json_key], form=FORM)
