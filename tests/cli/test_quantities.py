from __future__ import annotations

import pytest

from advisor.errors import UsageError
from advisor.estimate import Estimate
from cli.quantities import parse_bytes, parse_image_counts, parse_seconds
from cli.render.examine.explain import energy
from cli.render.formats import bounds, count, deviation, duration, percent, size
from cli.settings import hoist_global_options


@pytest.mark.parametrize(
    ("text", "value"),
    [("8G", 8e9), ("8GB", 8e9), ("512MiB", 512 * 2**20), ("1000", 1000.0), ("1.5k", 1500.0)],
)
def test_memory_is_read_in_decimal_and_binary_units(text, value):
    assert parse_bytes(text, "--max-memory") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90.0), ("90s", 90.0), ("10m", 600.0), ("10min", 600.0), ("1.5h", 5400.0), ("2d", 172800.0)],
)
def test_durations_are_read_in_seconds(text, value):
    assert parse_seconds(text, "--time-limit") == value


@pytest.mark.parametrize("text", ["", "-1", "0", "soon", "1e400", "9" * 400, "10 parsecs", "nan", "inf"])
def test_other_quantities_are_refused(text):
    with pytest.raises(UsageError):
        parse_seconds(text, "--time-limit")
    with pytest.raises(UsageError):
        parse_bytes(text, "--max-memory")


def test_nothing_given_is_no_limit():
    assert parse_bytes(None, "--max-memory") is None
    assert parse_seconds(None, "--time-limit") is None


def test_figures_are_shown_in_readable_units():
    assert [count(v) for v in (12, 1250, 4_990_000, 2.5e9)] == ["12", "1.25k", "4.99M", "2.5G"]
    assert [duration(v) for v in (0.0125, 15, 150, 9000, 259200)] == [
        "12.5 ms",
        "15 s",
        "2.5 min",
        "2.5 h",
        "3 d",
    ]
    assert [size(v) for v in (10, 2048, 3 * 2**20, 1.5 * 2**30)] == ["10 B", "2 KiB", "3 MiB", "1.5 GiB"]
    assert [percent(v) for v in (0.0056, 0.173)] == ["0.56 %", "17.3 %"]
    assert bounds(Estimate(0.015, 0.01, 0.02), percent) == "1.00–2.00 %"
    assert bounds(Estimate(100, 50, 300), duration) == "50 s–5 min"


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [
        (1023, "1023 B"),
        (2**10, "1 KiB"),
        (999 * 2**10, "999 KiB"),
        (999.5 * 2**10, "0.976 MiB"),
        (1020 * 2**20, "0.996 GiB"),
        (2**30 - 1, "1 GiB"),
        (2**30, "1 GiB"),
        (1000 * 2**30, "0.977 TiB"),
        (5000 * 2**40, "5,000 TiB"),
    ],
)
def test_sizes_at_the_boundaries_of_units_have_three_digits(bytes_, text):
    assert size(bytes_) == text


def test_no_figure_is_shown_with_an_exponent_at_the_boundary_of_its_unit():
    assert [count(v) for v in (999, 999_499, 999_500, 999.9e6, 5e12)] == ["999", "999k", "1M", "1G", "5,000G"]
    assert [duration(v) for v in (0.9994, 0.9996, 119.9, 1500 * 86400)] == [
        "999 ms",
        "1 s",
        "120 s",
        "1,500 d",
    ]
    assert [energy(v) for v in (999, 999.6, 9.99e5, 1.8e6)] == ["999 J", "1 kJ", "999 kJ", "0.5 kWh"]
    assert [deviation(v) for v in (0.091, -0.2, 1.25, 12.5)] == ["+9.1 %", "-20.0 %", "+125 %", "+1,250 %"]


def test_options_of_the_program_may_stand_anywhere():
    assert hoist_global_options(["runs", "list", "--home", "x", "-q"]) == [
        "--home",
        "x",
        "-q",
        "runs",
        "list",
    ]
    assert hoist_global_options(["--home=x", "db", "path"]) == ["--home=x", "db", "path"]
    assert hoist_global_options(["runs", "--", "--quiet"]) == ["runs", "--", "--quiet"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, None), ("4000", (4000, 4000)), ("20k", (20_000, 20_000)), ("500-1.2M", (500, 1_200_000))],
)
def test_numbers_of_images_are_read_with_units_and_as_ranges(text, expected):
    assert parse_image_counts(text, "--images") == expected


@pytest.mark.parametrize("text", ["many", "-5", "0", "10-", "20k-500", "1e40"])
def test_numbers_of_images_that_cannot_be_name_the_option(text):
    with pytest.raises(UsageError, match="--images"):
        parse_image_counts(text, "--images")
