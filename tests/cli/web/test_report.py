"""`advisor report`: one file, and what is refused before it is written."""

from __future__ import annotations

import html
import re
from datetime import date
from pathlib import Path

import pytest
from recorded_runs import record_run

from advisor.errors import StorageError, UsageError
from cli.web.charts.files import POLICY, check_report
from cli.web.report import ReportOptions, write_report
from cli.workflows.home import Home
from db.session import open_store

TODAY = date(2026, 11, 29)


@pytest.fixture
def with_a_run(home):
    with open_store(Home(home).database) as store:
        record_run(store, "2xmlp-1-8", {"member-1": [0.5, 0.4]}, epochs=2, error=0.1)
    return Home(home)


@pytest.mark.parametrize("name", ["out.pdf", "out", "out.html.gz", "out.HTM"])
def test_a_report_is_an_html_file(advisor, home, name):
    answer = advisor("report", name)
    assert answer.code == 2
    assert ".html" in answer.error_line
    assert not Path(name).exists()
    assert not home.exists()


@pytest.mark.parametrize(
    ("options", "code", "remedy"),
    [
        ((), 2, "there is nothing to report yet"),
        (("--run", "1"), 4, "no database"),
        (("--recommendation", "last"), 4, "no database"),
        (("--recommendation", "first"), 2, "must be last or none, got 'first'"),
    ],
)
def test_without_a_database_a_line_says_what_comes_first(advisor, home, options, code, remedy):
    answer = advisor("report", "out.html", *options)
    assert answer.code == code
    assert remedy in answer.error_line
    assert not Path("out.html").exists()
    assert not home.exists()


def test_an_unknown_run_or_a_missing_recommendation_leaves_the_file_as_it_was(with_a_run, tmp_path):
    path = tmp_path / "out.html"
    path.write_text("earlier")
    with pytest.raises(UsageError, match="no run 7"):
        write_report(path, with_a_run, ReportOptions(runs=("7",)), TODAY)
    with pytest.raises(UsageError, match="a run is a number"):
        write_report(path, with_a_run, ReportOptions(runs=("../../x",)), TODAY)
    with pytest.raises(UsageError, match="there is no recommendation yet"):
        write_report(path, with_a_run, ReportOptions(recommendation=True), TODAY)
    assert path.read_text() == "earlier"
    assert list(tmp_path.glob("*.html*")) == [path]


def test_a_folder_in_place_of_the_file_is_refused(advisor, with_a_run):
    Path("out.html").mkdir()
    answer = advisor("report", "out.html")
    assert answer.code == 4
    assert "cannot write the report" in answer.error_line


def test_a_folder_that_cannot_be_written_is_refused(with_a_run, open_folder, without_privileges):
    closed = open_folder / "closed"
    closed.mkdir(mode=0o555)
    with without_privileges(), pytest.raises(StorageError, match="cannot write"):
        check_report(closed / "out.html", "the report")


def test_a_report_links_and_loads_nothing_and_has_every_name_once(advisor, with_a_run):
    answer = advisor("report", "out.html", "--run", "1", "--run", "1")
    assert (answer.code, answer.out) == (0, "out.html\n")
    text = Path("out.html").read_text()
    assert POLICY in html.unescape(text[:2000])
    links = re.findall(r'(?:href|src|action)="([^"]*)"', text.partition("<script>")[0])
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)
    names = re.findall(r'class="chart" id="([^"]*)"', text)
    assert len(names) == len(set(names)) >= 3
    assert text.count("<h1>Run 1: 2xmlp-1-8</h1>") == 1
    assert len(text) < 2_000_000


def test_a_report_without_a_recommendation_needs_none(advisor, with_a_run):
    assert advisor("report", "out.html", "--recommendation", "none").code == 0
