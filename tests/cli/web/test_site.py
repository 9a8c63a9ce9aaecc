"""What the local page answers without a browser: an empty home, odd addresses, homes that cannot be read."""

from __future__ import annotations

import html
import re
import shutil
from dataclasses import replace

import pytest
from asked import asked
from recorded_runs import DIGITS, record_run

from cli.web.pages import plan
from cli.web.site import application as site_module
from cli.web.site.application import application
from cli.web.site.guard import POLICY, cookie_name
from cli.web.site.pages import PAGES, Site
from cli.workflows.home import Home
from db.session import open_store

SECRET = "a-secret"
HOSTILE = "<img src=x onerror=alert(1)>"
QUICK = "budget=20k&epochs=3&dataset=digits&family=resnet"
# Pages that answer from a home without runs in a moment, with what they say.
EMPTY = {
    "/runs": (200, "There is no run yet: `advisor train` makes one."),
    "/run": (400, "there is no run yet: `advisor train` makes one"),
    "/compare": (200, "Choose runs in the table of Runs, then compare them."),
    "/forecasts": (200, "No finished run has a forecast yet"),
}
# Values that a reader may write into an address, with what the answer says.
ODD = {
    "/?budget=abc": "cannot read budget 'abc'",
    "/?budget=1e99": "between 1 and 10G parameters",
    "/?epochs=-1": "at least 1",
    "/?epochs=many": "epochs must be a number, got 'many'",
    "/?dataset=../../x": "unknown data set",
    "/?across=colour": "an axis must be one of",
    "/?budget=1M&latency=nan": "positive",
    "/?budget=1M&memory=lots": "cannot read 'lots' as memory",
    "/?part=1&budget=abc": "cannot read budget 'abc'",
    "/switchover?g=-3": "1 to 4 clusters",
    "/switchover?g=x": "g must be a number",
    "/switchover?members=1000": "2 to 256 members",
    "/switchover?asked=x": "cannot read budget",
    "/plan?target=../../x": "this page shows designs and no plan files",
    "/plan?target=C:\\x": "this page shows designs and no plan files",
    "/plan?target=x.json": "this page shows designs and no plan files",
    "/plan?target=x.JSON": "unknown ensemble",
    "/plan?target=7": "a run has a page of its own: run?id=7",
    "/plan?epochs=1e9": "epochs must be a number",
    "/plan?method=magic": "unknown method",
    "/frontier?ensemble=last": "unknown ensemble",
    "/runs?page=abc": "page must be a number",
    "/runs?sort=nonsense": "unknown column 'nonsense'",
    "/run?id=../../x": "a run is a number or 'last'",
    "/run?id=99999999999999999999": "a run is a number or 'last'",
    "/compare?id=1": "at least 2 runs",
    f"/plan?target={HOSTILE}": HOSTILE,
}


def said(reply):
    """The lines of an answer that say what it is, as a reader reads them."""
    found = re.findall(r'<p class="(?:verdict|error)"[^>]*>(.*?)</p>', reply.text, re.DOTALL)
    return [html.unescape(line) for line in found]


@pytest.fixture
def ask(home):
    site = application(Site.of(Home(home)), SECRET, None)
    return lambda address, **headers: asked(site, address, headers, cookie=f"{cookie_name(SECRET)}={SECRET}")


@pytest.mark.parametrize("address", EMPTY)
def test_a_page_of_an_empty_home_is_one_clear_sentence(ask, home, address):
    code, line = EMPTY[address]
    reply = ask(address)
    assert reply.code == code
    assert len(said(reply)) == 1
    assert line in said(reply)[0]
    assert not home.exists()


@pytest.mark.parametrize("address", ODD)
def test_an_odd_value_is_one_line_on_a_page_that_still_has_its_form(ask, home, address):
    reply = ask(address)
    assert reply.code == 400
    assert len(said(reply)) == 1
    assert ODD[address] in said(reply)[0]
    assert "part=1" in address or "<form" in reply.text
    assert "<img" not in reply.text
    assert "etag" not in reply.headers
    assert not home.exists()


@pytest.mark.parametrize(
    "address",
    ["/runs?page=1000000000", "/runs?page=-3", "/runs?column=nonsense", "/runs?status=x&dataset=%3Cb"],
)
def test_a_page_beyond_the_last_or_a_column_of_another_program_shows_what_there_is(ask, address):
    assert ask(address).code == 200


@pytest.mark.parametrize(
    "address", ["/nothing", "/static/x", "/static/../page.js", "/static/%2e%2e/x", "/runs/"]
)
def test_an_address_without_a_page_is_not_found_or_leads_on_within_the_site(ask, address):
    reply = ask(address)
    assert reply.code in (307, 404)
    assert reply.headers.get("location", "http://127.0.0.1:8000/runs").startswith("http://127.0.0.1:8000/")


@pytest.mark.parametrize("address", [*(f"/{name}" for name in PAGES), "/run?id=1", "/compare?id=1&id=2"])
@pytest.mark.parametrize("kind", ["damaged", "file", "other"])
def test_a_home_that_cannot_be_read_is_one_line_that_says_why(ask, home, address, kind):
    if kind == "file":
        home.write_text("not a folder")
    else:
        home.mkdir()
        content = b"x" * 5000 if kind == "damaged" else b"SQLite format 3\0junk"
        (home / "advisor.sqlite").write_bytes(content)
    reply = ask(address)
    if (reply.code, address) == (200, "/compare"):
        return
    assert reply.code == 503
    assert len(said(reply)) == 1
    assert str(home) in said(reply)[0]


@pytest.mark.parametrize("condition", ["status=nonsense", "dataset=%3Cb%3E", "design=vgg"])
def test_conditions_that_no_run_meets_are_said_so(ask, home, condition):
    with open_store(Home(home).database) as store:
        record_run(store, "2xmlp-1-8", {"member-1": [0.5]}, epochs=2, error=0.1)
    assert said(ask(f"/runs?{condition}")) == ["No run meets these conditions."]


def test_a_question_that_its_reader_dropped_is_not_computed(home, monkeypatch):
    asked_for = []
    monkeypatch.setattr(plan, "plan_content", lambda *given: asked_for.append(given))
    site = application(Site.of(Home(home)), SECRET, None)
    reply = asked(site, "/plan", cookie=f"{cookie_name(SECRET)}={SECRET}", gone=True)
    assert (reply.code, asked_for) == (499, [])


def test_an_error_that_nobody_expected_is_one_line_here_and_one_on_the_terminal(ask, monkeypatch, capsys):
    def broken(form, home, today):
        raise KeyError("what\nnobody knew")

    monkeypatch.setattr(plan, "plan_content", broken)
    reply = ask("/plan")
    assert reply.code == 500
    assert said(reply) == ["unexpected KeyError: 'what\\nnobody knew'"]
    assert capsys.readouterr().err == "advisor: unexpected KeyError: 'what\\nnobody knew'\n"


def test_an_answer_that_the_reader_has_is_not_sent_again_until_something_changes(ask, home):
    with open_store(Home(home).database) as store:
        record_run(store, "2xmlp-1-8", {"member-1": [0.5]}, epochs=2, error=0.1)
    tag = ask("/runs?part=1").headers["etag"]
    again = ask("/runs?part=1", **{"If-None-Match": tag})
    assert (again.code, again.text) == (304, "")
    assert again.headers["content-security-policy"] == POLICY
    assert ask("/runs?part=1&sort=id", **{"If-None-Match": tag}).code == 200
    with open_store(Home(home).database) as store:
        record_run(store, "2xmlp-1-8", {"member-1": [0.5]}, epochs=2, error=0.1, seed=1)
    assert ask("/runs?part=1", **{"If-None-Match": tag}).code == 200


def test_names_are_text_in_pages_and_in_the_data_of_charts(ask, home):
    with open_store(Home(home).database) as store:
        record_run(
            store, "2xmlp-1-8", {"member-1": [0.5]}, epochs=2, error=0.1, facts=replace(DIGITS, name=HOSTILE)
        )
    for address in ("/runs", "/run?id=1", "/run?id=1&part=1"):
        text = ask(address).text
        assert "<img" not in text
        assert html.escape(HOSTILE) in text or "\\u003cimg" in text


def test_files_of_the_page_are_its_own_three(ask, monkeypatch):
    monkeypatch.setattr(site_module, "vega_script", lambda: "vega")
    for name, kind in site_module.FILES.items():
        reply = ask(f"/static/{name}")
        assert (reply.code, reply.headers["content-type"].split(";")[0]) == (200, kind)
        assert reply.headers["content-security-policy"] == POLICY
        assert ask(f"/static/{name}", **{"If-None-Match": reply.headers["etag"]}).code == 304


def test_a_home_that_is_deleted_while_it_is_served_is_an_empty_one(ask, home):
    with open_store(Home(home).database) as store:
        record_run(store, "2xmlp-1-8", {"member-1": [0.5]}, epochs=2, error=0.1)
    assert "1 run, all finished" in said(ask("/runs"))[0]
    shutil.rmtree(home)
    for address, (code, line) in EMPTY.items():
        reply = ask(address)
        assert (reply.code, len(said(reply))) == (code, 1)
        assert line in said(reply)[0]
    assert not home.exists()
