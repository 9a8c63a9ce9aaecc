"""What a database kept of an answer becomes that answer again, or is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.errors import UsageError
from cli.workflows.advise.last_recommendation import last_advice, stored_last_request
from cli.workflows.answers.advise.request import RecommendRequest
from cli.workflows.answers.answer import Answer, key
from cli.workflows.answers.stored import answer_of
from cli.workflows.home import Home
from db.session import open_store


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    number: int
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(Answer):
    name: str
    colour: Colour = field(metadata=key("kind"))
    parts: tuple[Part, ...]
    pair: tuple[float, float]
    counts: Mapping[str, int]
    any: Any
    chosen: Part | None = None
    on: bool = False


# Greater ones are refused, as in all that a database keeps.
COUNTS = st.integers(-(2**63) + 1, 2**63 - 1)
PARTS = st.builds(Part, number=COUNTS, share=st.none() | st.floats(allow_nan=False))
EXAMPLES = st.builds(
    Example,
    name=st.text(),
    colour=st.sampled_from(Colour),
    parts=st.lists(PARTS, max_size=3).map(tuple),
    pair=st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)),
    counts=st.dictionaries(st.text(), COUNTS, max_size=3),
    any=st.none() | st.integers(),
    chosen=st.none() | PARTS,
    on=st.booleans(),
)
REQUEST = RecommendRequest(
    budget="1M",
    epochs=60,
    dataset="digits",
    augmentation=None,
    families=(),
    members=(),
    objective="error",
    device=None,
    batch=None,
    seed=0,
    profile_seconds=0.0,
)
STORED = Example(
    name="x", colour=Colour.RED, parts=(Part(number=1, share=0.5),), pair=(1.0, 2.0), counts={}, any=None
).to_json()


@settings(max_examples=40, deadline=None)
@given(EXAMPLES)
def test_an_answer_comes_back_from_its_json(answer):
    assert answer_of(Example, json.loads(json.dumps(answer.to_json()))) == answer


def test_what_a_newer_program_adds_has_its_default_in_an_older_answer():
    older = {name: value for name, value in STORED.items() if name not in ("chosen", "on")}
    assert answer_of(Example, older).chosen is None


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"kind": "green"}, "green"),
        ({"kind": None}, "None"),
        ({"name": 7}, "must be"),
        ({"parts": [{"number": 1}]}, "share.* is missing"),
        ({"parts": ["one"]}, "must be an object"),
        ({"parts": "none"}, "must be"),
        ({"pair": [1.0]}, "must have 2 entries"),
        ({"counts": [1]}, "must be"),
        ({"on": 1}, "must be"),
        ({"made_up": 1}, "unknown field"),
    ],
    ids=str,
)
def test_a_value_of_another_type_is_refused(change, rule):
    with pytest.raises(ValueError, match=rule):
        answer_of(Example, STORED | change)


@pytest.mark.parametrize(
    "payload", [{"schema_version": 1, "recommendations": []}, {"recommendations": [], "request": 3}]
)
def test_a_recommendation_of_an_older_program_is_one_line(home, payload):
    with open_store(Home(home).database) as store:
        request = asdict(REQUEST)
        store.add_recommendation("2026-01-01T00:00:00+00:00", request, payload)
    with pytest.raises(UsageError, match="is of another version .* ask `advisor recommend` again"):
        last_advice(Home(home))
    assert stored_last_request(Home(home)) == json.loads(json.dumps(request))


def test_without_a_recommendation_a_line_says_what_makes_one(home):
    with pytest.raises(UsageError, match="there is no recommendation yet: `advisor recommend` makes one"):
        last_advice(Home(home))
    assert stored_last_request(Home(home)) is None
    assert not home.exists()
