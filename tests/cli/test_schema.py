"""The JSON of every command has a schema, generated from its answer's class and committed.

That outputs keep it is checked wherever a test reads JSON (`Answer.json` in conftest.py).
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

import pytest
from jsonschema import Draft202012Validator, ValidationError

from cli.app import COMMANDS, DB_COMMANDS, PROBE_COMMANDS, RUNS_COMMANDS
from cli.commands.probes import probe
from cli.render.notebook import RENDERERS
from cli.workflows import answers
from cli.workflows.answers.answer import NO_KEY, Answer, key
from cli.workflows.answers.commands import ANSWERS
from cli.workflows.answers.schema import schema_of

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schema"
GROUPS = {
    "": COMMANDS | {"probe": probe},
    "probe ": PROBE_COMMANDS,
    "runs ": RUNS_COMMANDS,
    "db ": DB_COMMANDS,
}


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part.

    Attributes:
        size: size in bytes,
            on two lines.
    """

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(Answer):
    """An example.

    Attributes:
        kind: word that Python keeps for itself.
    """

    kind: Colour = field(metadata=key("class"))
    parts: tuple[Part, ...]
    pair: tuple[float, str] | None
    by_name: dict[str, float]
    hidden: object = field(default=None, metadata=NO_KEY)


EXAMPLE = Example(kind=Colour.RED, parts=(Part(size=3),), pair=(0.5, "a"), by_name={"x": 1.0}, hidden={1, 2})


def test_an_answer_writes_its_fields_in_order_under_their_keys():
    assert json.dumps(EXAMPLE.to_json()) == (
        '{"schema_version": 1, "class": "red", "parts": [{"size": 3}], "pair": [0.5, "a"], '
        '"by_name": {"x": 1.0}}'
    )


def test_the_schema_of_an_answer_describes_its_fields_and_admits_nothing_else():
    schema = schema_of(Example)
    assert schema["required"] == ["schema_version", "class", "parts", "pair", "by_name"]
    assert schema["properties"]["class"] == {
        "enum": ["red"],
        "description": "word that Python keeps for itself.",
    }
    assert schema["$defs"]["Part"]["properties"]["size"]["description"] == "size in bytes, on two lines."
    validator = Draft202012Validator(schema)
    validator.validate(EXAMPLE.to_json())
    for wrong in (
        {"class": "blue"},
        {"parts": [{"size": "3"}]},
        {"pair": [0.5]},
        {"further": 1},
        {"schema_version": 2},
    ):
        with pytest.raises(ValidationError):
            validator.validate(EXAMPLE.to_json() | wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested(Answer):
    """An answer whose fields stand in an object of their own."""

    json_key: ClassVar[str | None] = "part"

    size: int


def test_an_answer_can_have_its_fields_in_an_object_of_their_own():
    nested = Nested(size=3)
    assert nested.to_json() == {"schema_version": 1, "part": {"size": 3}}
    schema = schema_of(Nested)
    assert (schema["title"], schema["required"]) == ("Nested", ["schema_version", "part"])
    validator = Draft202012Validator(schema)
    validator.validate(nested.to_json())
    for wrong in ({"schema_version": 1, "size": 3}, {"schema_version": 1, "part": {}}):
        with pytest.raises(ValidationError):
            validator.validate(wrong)


def test_a_command_may_answer_in_one_of_several_forms():
    schema = schema_of((Example, Nested))
    assert [form["title"] for form in schema["oneOf"]] == ["Example", "Nested"]
    validator = Draft202012Validator(schema)
    for answer in (EXAMPLE, Nested(size=3)):
        validator.validate(answer.to_json())
    with pytest.raises(ValidationError):
        validator.validate(EXAMPLE.to_json() | Nested(size=3).to_json())


def test_what_json_does_not_have_is_refused_and_not_guessed():
    with pytest.raises(TypeError, match="PosixPath"):
        Example(kind=Colour.RED, parts=(), pair=None, by_name={"x": Path("x")}).to_json()


def test_every_command_that_prints_json_has_an_answer():
    printing = {
        f"{group}{name}"
        for group, commands in GROUPS.items()
        for name, command in commands.items()
        if {"as_json", "format"} & command.__annotations__.keys()
    }
    assert printing == set(ANSWERS)


@pytest.mark.parametrize("command", ANSWERS)
def test_the_committed_schema_is_that_of_the_answer(command):
    path = SCHEMAS / f"{command.replace(' ', '/')}.json"
    assert json.loads(path.read_text()) == schema_of(ANSWERS[command]), "run `make schema`"


def below(kind):
    """All classes that derive from a class."""
    return [each for own in kind.__subclasses__() for each in (own, *below(own))]


def test_a_notebook_can_show_every_answer():
    for module in pkgutil.walk_packages(answers.__path__, f"{answers.__name__}."):
        importlib.import_module(module.name)
    ours = [kind for kind in below(Answer) if kind.__module__.startswith(answers.__name__)]
    # By name: a dataclass with slots takes the place of a class that it leaves behind.
    bases = {base.__name__ for kind in ours for base in kind.__mro__[1:]}
    assert {kind.__name__ for kind in ours} - bases <= {kind.__name__ for kind in RENDERERS}


def test_no_schema_is_left_over():
    found = {str(path.relative_to(SCHEMAS)) for path in SCHEMAS.rglob("*.json")}
    assert found == {f"{name.replace(' ', '/')}.json" for name in ANSWERS}
