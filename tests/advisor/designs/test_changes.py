"""Changes of numbers and of designs, by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.designs.changes import DesignChange, parse_change
from advisor.designs.design import parse_design
from advisor.errors import UsageError


def change(text):
    return parse_change(text, "--depth")


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("32", 26, 32),
        ("+6", 26, 32),
        ("-6", 26, 20),
        ("−6", 26, 20),
        ("x2", 8, 16),
        ("×2", 8, 16),
        ("x1.5", 8, 12),
        ("/2", 8, 4),
        ("/0.5", 8, 16),
        ("-9", 8, -1),
    ],
)
def test_a_change_is_absolute_or_relative(text, before, after):
    assert change(text).of(before) == after


@given(st.integers(1, 10**6), st.integers(1, 999_999))
def test_a_relative_change_is_undone_by_its_opposite(value, amount):
    assert change(f"-{amount}").of(change(f"+{amount}").of(value)) == value
    assert change(f"/{amount}").of(change(f"x{amount}").of(value)) == value


@pytest.mark.parametrize("text", ["", "much", "++6", "6+", "x", "2x", "1e3", "x-2", "12345678"])
def test_another_form_is_refused_with_the_forms_there_are(text):
    with pytest.raises(UsageError, match=r"write a number such as 32, or \+6, -6, x2 or /2"):
        change(text)


def test_a_change_to_a_number_that_is_not_whole_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="7 would become 3.5, which is not whole: .* --depth 4"):
        change("/2").of(7)
    with pytest.raises(UsageError, match="divided by 0"):
        change("/0").of(7)


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ("4xresnet-26-8@g1", {"depth": "+6"}, "4xresnet-32-8@g1"),
        ("4xresnet-26-8", {"width": "x2"}, "4xresnet-26-16"),
        ("resnet-20-8+resnet-32-8", {"depth": "+6"}, "resnet-26-8+resnet-38-8"),
        ("resnet-20-8+densenet-22-8", {"width": "12"}, "resnet-20-12+densenet-22-12"),
        ("4xresnet-26-8", {"members": "6"}, "6xresnet-26-8"),
        ("resnet-26-8", {"members": "x4"}, "4xresnet-26-8"),
        ("4xresnet-26-8@g2", {"members": "6"}, "6xresnet-26-8@g2"),
        ("4xresnet-26-8@g2", {"members": "1"}, "resnet-26-8"),
        ("4xresnet-26-8", {"clusters": "2"}, "4xresnet-26-8@g2"),
        ("4xresnet-26-8@g2", {"clusters": "x2"}, "4xresnet-26-8"),
        ("4xresnet-26-8", {"members": "6", "clusters": "2"}, "6xresnet-26-8@g2"),
        ("V5", {"clusters": "1"}, "V5@g1"),
    ],
)
def test_a_design_is_changed_in_what_is_said_and_in_nothing_else(before, changes, after):
    found = DesignChange(**{name: change(text) for name, text in changes.items()})
    assert found.of(parse_design(before)).name == after


@pytest.mark.parametrize(
    ("before", "changes", "remedy"),
    [
        ("4xresnet-26-8", {"depth": "+3"}, "nearest valid depth is 26 or 32"),
        ("vgg-16-8", {"depth": "+1"}, "nearest valid depth is 16 or 19"),
        ("resnet-26-8", {"depth": "-60"}, "nearest valid depth is 8"),
        ("vgg-16-8~b1l1:5x8", {"depth": "19"}, "for example vgg-16-8$"),
        ("vgg-16-8~b1l1:5x8", {"width": "x2"}, "for example vgg-16-8$"),
        ("resnet-26-8", {"width": "-8"}, "at least 1, got 0"),
        ("4xresnet-26-8", {"members": "-4"}, "1 to 256 members, got 0"),
        ("resnet-26-8", {"members": "x999999"}, "1 to 256 members"),
        ("resnet-20-8+resnet-32-8", {"members": "4"}, "for example 2xresnet-20-8"),
        ("4xresnet-26-8", {"clusters": "5"}, "1 to 4 clusters"),
        ("resnet-20-8+densenet-22-8", {"clusters": "1"}, "at least 2 clusters"),
    ],
)
def test_a_design_that_cannot_be_is_refused_with_a_remedy(before, changes, remedy):
    with pytest.raises(UsageError, match=remedy):
        DesignChange(**{name: change(text) for name, text in changes.items()}).of(parse_design(before))


@pytest.mark.parametrize(
    ("text", "nearest"), [("x2", 2154), ("/2", 538), ("/4", 269), ("x1.5", 1616), ("500", 500)]
)
def test_a_number_that_need_not_be_exact_is_rounded(text, nearest):
    assert change(text).nearest(1077) == nearest


def test_no_number_is_divided_by_zero():
    with pytest.raises(UsageError, match="write for example /2"):
        change("/0").nearest(1077)
