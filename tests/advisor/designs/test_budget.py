"""Reading a parameter budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.designs.budget import parse_budget
from advisor.errors import UsageError


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("5M", 5_000_000),
        ("1.5m", 1_500_000),
        ("750k", 750_000),
        ("750K", 750_000),
        ("5000000", 5_000_000),
        ("5_000_000", 5_000_000),
        ("5e6", 5_000_000),
        ("5E6", 5_000_000),
        ("5e+6", 5_000_000),
        ("1.2e3k", 1_200_000),
        ("5.m", 5_000_000),
        (".5m", 500_000),
        ("0.1M", 100_000),
        # In binary floating point 4.35 * 100 is 434.99999999999994.
        ("0.00435k", 4),
        ("4.35k", 4350),
        ("1", 1),
        ("1.9", 1),
        ("10G", 10**10),
        ("1e10", 10**10),
        ("  2M ", 2_000_000),
    ],
)
def test_a_budget_is_read_in_every_usual_form(text, parameters):
    assert parse_budget(text) == parameters


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "M",
        ".",
        "e6",
        "5MM",
        "5 M",
        "5,000",
        "-5M",
        "+5M",
        "five",
        "5Mi",
        "0x10",
        "nan",
        "inf",
        "1e",
        "5e6e",
    ],
)
def test_another_form_of_budget_is_refused_with_the_forms_that_are_read(text):
    with pytest.raises(UsageError, match="write 5M, 750k, 5000000 or 5e6") as caught:
        parse_budget(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["0", "0M", "0.4", "1e-9", "10.0001G", "1e11", "1e99", "99999999999"])
def test_a_budget_out_of_range_is_refused_with_the_range(text):
    with pytest.raises(UsageError, match="between 1 and 10G parameters") as caught:
        parse_budget(text)
    assert repr(text) in str(caught.value)


def test_a_long_budget_is_refused_and_never_read_in_part():
    with pytest.raises(UsageError):
        parse_budget("1." + "0" * 60 + "M")
    with pytest.raises(UsageError):
        parse_budget("9" * 100_000)


@given(st.integers(1, 10**10))
def test_every_whole_number_in_range_is_read_exactly(parameters):
    assert parse_budget(str(parameters)) == parameters
    assert parse_budget(f"{parameters:_}") == parameters


@given(st.integers(1, 9_999_999))
def test_thousands_with_three_decimals_are_read_exactly(parameters):
    assert parse_budget(f"{parameters // 1000}.{parameters % 1000:03d}k") == parameters


@given(st.text() | st.text("0123456789.eEkKmMgG+-_ ", max_size=12))
def test_random_text_is_a_budget_or_a_usage_error(text):
    message = ""
    try:
        assert 1 <= parse_budget(text) <= 10**10
    except UsageError as error:
        message = str(error)
    assert "\n" not in message
