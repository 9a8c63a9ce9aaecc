"""Charts: what they draw of an answer, and what their files are."""

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from cli.web.charts.files import write_chart
from cli.web.charts.switchover import edges, switchover_chart
from cli.web.charts.theme import chart_of, finished, log_ticks, size_ticks, time_ticks
from cli.workflows.answers.examine.switchover import EstRequest
from cli.workflows.examine.switchover import est
from cli.workflows.home import Home

REQUEST = EstRequest(
    family="resnet",
    members=4,
    dataset="cifar10",
    budget="1M-2M",
    epochs="125-250",
    clusters=1,
    reading="whole",
    seed=0,
)
TODAY = date(2026, 11, 29)


@pytest.fixture(scope="module")
def answer():
    return est(REQUEST, Home(Path("/nowhere/at/all")))


@pytest.fixture(scope="module")
def specification(answer):
    return switchover_chart(answer, TODAY).to_dict()


def panels(specification):
    return specification["hconcat"]


def values_of(specification, layer):
    return specification["datasets"][layer["data"]["name"]]


def marks(panel, kind):
    return [layer for layer in panel["layer"] if layer["mark"]["type"] == kind]


def test_a_map_has_a_panel_for_every_training_and_a_square_for_every_cell(answer, specification):
    assert len(panels(specification)) == len(answer.maps)
    cells = len(answer.budgets_parameters) * len(answer.columns)
    for panel, found in zip(panels(specification), answer.maps.values(), strict=True):
        (squares,) = marks(panel, "rect")
        values = values_of(specification, squares)
        assert len(values) == cells
        chances = [chance for row in found.probability_ensemble_wins for chance in row]
        assert [value["chance"] for value in values] == [
            None if c is None else round(100 * c) for c in chances
        ]


def test_squares_cover_the_panel_without_gap_or_overlap(answer, specification):
    (squares,) = marks(panels(specification)[0], "rect")
    for low, high in (("left", "right"), ("low", "high")):
        ends = sorted({(v[low], v[high]) for v in values_of(specification, squares)})
        assert all(before[1] == after[0] for before, after in zip(ends, ends[1:], strict=False))


def test_edges_lie_halfway_in_the_logarithm():
    assert edges([10, 1000]) == pytest.approx([1, 100, 10_000])


def test_the_threshold_is_a_line_with_its_interval(answer, specification):
    (line,) = marks(panels(specification)[0], "line")
    median = [v for v in values_of(specification, line) if v["line"] == "median"]
    known = answer.full_data.threshold_parameters
    assert [v["column"] for v in median] == list(answer.columns)
    for value, threshold in zip(median, known, strict=True):
        if threshold.median is not None:
            assert value["threshold"] == threshold.median


def test_the_caption_says_designs_data_evidence_and_date(specification):
    lines = " ".join(specification["title"]["subtitle"])
    assert all(
        word in lines for word in ("resnet on cifar10", "whole schedules", "2026-11-29", "published errors")
    )


def test_a_map_of_images_marks_what_is_extrapolated():
    of_images = replace(
        REQUEST, dataset="digits", budget="79k", epochs="20", axis="images", images="2k-2200", clusters=4
    )
    small = est(of_images, Home(Path("/nowhere/at/all")))
    drawn = json.dumps(switchover_chart(small, TODAY).to_dict(), ensure_ascii=False)
    assert "training images (^ extrapolated)" in drawn
    assert "whole schedules of 20 epochs on each number" in drawn


def test_a_chart_becomes_a_picture_and_the_same_one_again(answer, tmp_path):
    names = ("map.png", "map.svg", "AGAIN.SVG")
    for name in names:
        write_chart(switchover_chart(answer, TODAY), tmp_path / name, "the map")
    png, svg, again = ((tmp_path / name).read_bytes() for name in names)
    assert png.startswith(b"\x89PNG")
    assert svg.startswith(b"<svg")
    assert svg == again


def test_a_page_loads_nothing_and_its_data_are_text(answer, tmp_path):
    hostile = replace(answer, request=replace(REQUEST, dataset="</script><img src=x onerror=alert(1)>"))
    page = tmp_path / "map.html"
    write_chart(switchover_chart(hostile, TODAY), page, "the map")
    html = page.read_text()
    assert "default-src 'none'" in html
    start = html.index('<script type="application/json"')
    # Only the elements of the page itself: two scripts that begin, and four elements that end.
    elements = re.findall(r"<(/?\w+)", html[start:])
    assert elements == ["script", "/script", "script", "/script", "/body", "/html"]
    (stored,) = re.findall(r'specification">(.*?)</script>', html[start:], re.DOTALL)
    assert "onerror" in json.dumps(json.loads(stored)["title"])


def test_round_times_are_those_a_person_counts():
    assert time_ticks(50, 4000) == [60, 120, 300, 600, 1800, 3600]
    assert log_ticks(0.9, 6) == [1, 2, 5]
    # Within a minute and a half there are too few of them.
    assert time_ticks(70, 170) == [90, 120]
    assert size_ticks(3 * 2**20, 300 * 2**20) == [n * 2**20 for n in (5, 10, 20, 50, 100, 200)]
    assert size_ticks(3 * 2**20, 9 * 2**20) == [n * 2**20 for n in (3, 4, 5, 6, 7, 8)]


def test_a_long_title_takes_several_lines():
    chart = finished(chart_of([{"x": 1}]).mark_point().encode(x="x:Q"), "word " * 60, ["line"])
    assert len(chart.to_dict()["title"]["text"]) == 4
