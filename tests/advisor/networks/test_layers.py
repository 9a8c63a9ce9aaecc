"""The task a network is built for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import UsageError
from advisor.networks.layers import Layer, Task


@given(st.integers(1, 10), st.integers(8, 4000), st.integers(8, 4000), st.integers(2, 10**6))
def test_an_input_shape_reads_back_from_its_text(channels, height, width, classes):
    task = Task(channels=channels, height=height, width=width, classes=classes)
    assert task.text == f"{channels}x{height}x{width}"
    assert Task.parse(task.text, classes) == task


def test_an_input_shape_may_be_written_with_a_capital_x():
    assert Task.parse("3X32x28", 10) == Task(channels=3, height=32, width=28, classes=10)


@pytest.mark.parametrize(
    "text", ["", "32x32", "3x32", "3x32x32x1", "3x32x", "3x-32x32", "3 x 32 x 32", "3x3.2e1x32", "3x²x32"]
)
def test_another_form_of_input_shape_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="as 3x32x32") as caught:
        Task.parse(text, 10)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["0x32x32", "3x7x32", "3x32x7"])
def test_images_that_are_too_small_are_refused(text):
    with pytest.raises(UsageError, match=f"input {text}: images need at least 1 channel and 8x8 pixels"):
        Task.parse(text, 10)


@pytest.mark.parametrize("classes", [1, 0, -5])
def test_a_classifier_needs_two_classes(classes):
    with pytest.raises(UsageError, match=f"at least 2 classes, got {classes}"):
        Task.parse("3x32x32", classes)


@pytest.mark.timeout(10)
def test_sizes_of_thousands_of_digits_are_refused():
    with pytest.raises(UsageError, match="cannot read input shape"):
        Task.parse("3x32x" + "9" * 10_000, 10)


@given(st.text())
def test_random_text_is_a_shape_or_a_usage_error(text):
    message = ""
    try:
        Task.parse(text, 10)
    except UsageError as error:
        message = str(error)
    assert "\n" not in message


def test_layers_are_ordered_by_kernel_and_then_by_filters():
    assert sorted([Layer(3, 8), Layer(1, 9), Layer(3, 4)]) == [Layer(1, 9), Layer(3, 4), Layer(3, 8)]
