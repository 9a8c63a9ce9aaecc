"""The query of an address: what a reader may write there, and what becomes of it."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import UsageError
from cli.web.query import Query

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def test_the_last_value_that_is_not_empty_counts():
    families = [("family", name) for name in ("vgg", "resnet", "vgg")]
    query = Query([("id", "3"), ("id", "7"), ("id", ""), *families])
    assert query.text("id") == "7"
    assert query.text("none", "other") == "other"
    assert query.texts("family") == ("vgg", "resnet")
    assert query.integer("id") == 7
    assert query.integer("none", 4) == 4
    assert query.real("none") is None


@pytest.mark.parametrize("text", ["abc", "1e99", "1.5", "0x10", "9" * 5000])
def test_a_whole_number_is_one(text):
    with pytest.raises(UsageError, match="page must be a number") as refused:
        Query([("page", text)]).integer("page")
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize("text", ["abc", "1,5", "--1"])
def test_a_number_is_one(text):
    with pytest.raises(UsageError, match="latency must be a number, got"):
        Query([("latency", text)]).real("latency")


@given(st.lists(st.tuples(WORDS, WORDS)), WORDS, WORDS)
def test_an_address_keeps_what_is_not_changed_and_is_read_as_it_was_written(pairs, name, value):
    changed = Query(pairs).address(**{name: value})
    assert changed.startswith("?")
    assert parse_qsl(changed[1:]) == [*(pair for pair in pairs if pair[0] != name), (name, value)]
    assert parse_qsl(Query(pairs).address(**{name: None})[1:]) == [p for p in pairs if p[0] != name]
