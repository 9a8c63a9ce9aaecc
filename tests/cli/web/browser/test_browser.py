"""The local page and the report in a real browser."""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from recorded_runs import epoch_of
from web_browser import (
    CLUSTERED,
    FINISHED,
    HOSTILE,
    KILLED,
    LIVE,
    MANY,
    OF_HOSTILE_DATA,
    PROXY_HOST,
    TWIN,
    served,
)

from advisor.plans.plan import named
from cli.web.report import ReportOptions, write_report
from cli.workflows.home import Home
from cli.workflows.locks import locked
from db.schema import folder_of
from db.session import open_store

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
expect.set_options(timeout=30_000)

QUICK = "budget=40k&epochs=5&dataset=digits&family=resnet"
PAGES = {
    "advice": f"?{QUICK}",
    "switchover": "switchover?dataset=digits&budget=20k-40k&epochs=20-40",
    "plan": "plan?target=2xresnet-8-4@g1&dataset=digits&epochs=5",
    "frontier": "frontier?ensemble=2xresnet-8-4&dataset=digits&epochs=5",
    "runs": "runs",
    "run": f"run?id={FINISHED}",
    "compare": f"compare?id={FINISHED}+{TWIN}+{OF_HOSTILE_DATA}",
    "forecasts": "forecasts",
}


def drawn(page):
    """Wait until the answer is complete and every chart of it is there."""
    expect(page.locator("#answer[aria-busy], #answer [data-unfinished]")).to_have_count(0)
    charts = page.locator(".chart")
    expect(charts.first.locator("svg")).to_be_visible()
    expect(page.locator(".chart svg")).to_have_count(charts.count())
    return page


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_every_page_draws_wide_and_narrow_from_its_own_host(page, at, watched, path):
    page.goto(at(path))
    drawn(page)
    # No field differs from what the server sent, so the page asks nothing again by itself.
    assert not page.evaluate("[...form.querySelectorAll('input, select')].some(touched)")
    page.set_viewport_size({"width": 390, "height": 800})
    page.reload()
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert {urlsplit(address).netloc for address in watched.addresses if address.startswith("http")} == {
        urlsplit(at("")).netloc
    }
    assert "token" not in page.url


def test_a_dragged_budget_shows_what_the_command_line_recommends(page, at, used_home, advisor):
    given = ("--budget", "52.5k", "--epochs", "6", "--dataset", "digits", "--family", "resnet")
    plain = ("--probe", "0", "--profile-seconds", "0", "--json")
    # It comes first, because it looks at the data, which is evidence for the page, too.
    answer = advisor("--home", str(used_home), "recommend", *given, *plain).json
    page.goto(at(f"?{QUICK}"))
    drawn(page)
    page.locator('input[data-for="budget"]').evaluate(
        "slider => { slider.value = 180; slider.dispatchEvent(new Event('input', {bubbles: true})); }"
    )
    page.locator("input[name=epochs]").fill("6")
    expect(page.locator(".notes")).to_contain_text(", 6 epochs")
    drawn(page)
    asked = {name: values[-1] for name, values in parse_qs(urlsplit(page.url).query).items()}
    # 18 % of the way from 10k to 100M in the logarithm.
    assert (asked["budget"], asked["epochs"]) == ("52.5k", "6")
    best = answer["recommendations"][answer["verdict"]["rank"] - 1]
    expect(page.locator("tr.marked td:nth-child(2)")).to_have_text(named(best["design"], best["method"]))
    table = page.locator("tbody tr td:nth-child(2)")
    ranking = [named(row["design"], row["method"]) for row in answer["recommendations"]]
    assert table.all_inner_texts() == ranking
    sentence = page.locator(".verdict").inner_text()
    page.goto(page.url)
    drawn(page)
    assert (page.locator(".verdict").inner_text(), table.all_inner_texts()) == (sentence, ranking)


def test_of_two_changes_in_quick_succession_the_last_one_is_shown(page, at):
    page.goto(at(f"?{QUICK}"))
    drawn(page)
    late = []

    def hold_back(route):
        """Answer the first question only after the second."""
        if "epochs=7" in route.request.url:
            late.append(route)
        else:
            route.continue_()

    page.route("**/*part=1*", hold_back)
    epochs = page.locator("input[name=epochs]")
    epochs.fill("7")
    epochs.fill("8")
    expect(page.locator(".notes")).to_contain_text(", 8 epochs")
    drawn(page)
    for route in late:
        route.abort()
    page.unroute("**/*part=1*")
    expect(page.locator(".notes")).to_contain_text(", 8 epochs")
    assert "epochs=8" in page.url


def test_a_choice_before_the_script_came_counts(page, at):
    late = []

    def hold_back(route):
        late.append(route)

    page.route("**/static/page.js", hold_back)
    page.goto(at("runs"), wait_until="commit")
    page.locator("select[name=dataset]").select_option("digits")
    page.locator("input[name=design]").fill("2x")
    assert "dataset" not in page.url
    while not late:
        page.wait_for_timeout(10)
    late[0].continue_()
    page.wait_for_url(lambda url: "dataset=digits" in url and "design=2x" in url)
    drawn(page)


def test_a_run_that_another_process_trains_moves(page, at, used_home):
    home = Home(used_home)
    with locked(used_home / folder_of(LIVE), "the run"):
        page.goto(at(f"run?id={LIVE}"))
        verdict = page.locator(".verdict")
        expect(verdict).to_contain_text("training, 2 of 26 epochs")
        drawn(page)
        with open_store(home.database) as store:
            for epoch in (2, 3, 4):
                store.record_epoch(LIVE, epoch_of("mother-1", epoch, 0.4))
        expect(verdict).to_contain_text("training, 5 of 26 epochs")
        drawn(page)
    # The lock is gone with its process, and the page stops asking.
    expect(verdict).to_contain_text("interrupted, 5 of 26 epochs")
    expect(page.locator("[data-poll]")).to_have_count(0)
    assert f"advisor resume {LIVE}" in page.locator(".command").inner_text()


def test_a_run_whose_process_was_killed_is_interrupted(page, at):
    page.goto(at(f"run?id={KILLED}"))
    expect(page.locator(".verdict")).to_contain_text("interrupted, 4 of 26 epochs")
    page.goto(at("runs?status=interrupted"))
    expect(page.locator(f'a[href="run?id={KILLED}"]')).to_have_text(str(KILLED))


def test_a_hostile_name_is_text_on_every_page(page, at):
    for path in ("runs", f"run?id={OF_HOSTILE_DATA}", PAGES["compare"], "forecasts"):
        page.goto(at(path))
        expect(page.locator("body")).to_contain_text(HOSTILE)
        assert page.locator("img").count() == 0
    page.goto(at("runs"))
    drawn(page)
    # A tooltip is written by Vega.
    page.locator("#runs svg path[aria-roledescription=point]").nth(1).hover(force=True)
    expect(page.locator("#vg-tooltip-element")).to_contain_text(CLUSTERED)
    assert page.locator("img").count() == 0


@pytest.fixture(scope="module")
def report(used_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    options = ReportOptions(runs=(str(FINISHED), str(OF_HOSTILE_DATA)))
    write_report(path, Home(used_home), options, date(2026, 11, 29))
    return path


def test_a_report_opens_from_its_file_with_the_network_off(context, page, watched, report):
    context.set_offline(True)
    try:
        page.goto(report.as_uri())
        charts = page.locator(".chart")
        expect(page.locator(".chart svg")).to_have_count(charts.count())
        assert charts.count() >= 5
        expect(page.locator("body")).to_contain_text(HOSTILE)
        assert page.locator("img").count() == 0
        page.set_viewport_size({"width": 390, "height": 800})
        page.reload()
        expect(page.locator(".chart svg")).to_have_count(charts.count())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert {urlsplit(address).scheme for address in watched.addresses} <= {"file", "data", "blob"}
    finally:
        context.set_offline(False)


@contextmanager
def proxied(address: str) -> Iterator[str]:
    """Serve an address below /x/y/ under another name, as a hub of notebooks does."""
    target = urlsplit(address).netloc

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self):
            ahead = HTTPConnection(target)
            kept = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
            ahead.request("GET", self.path.removeprefix("/x/y"), headers=kept | {"Host": PROXY_HOST})
            answer = ahead.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            # A browser that goes on to another page waits no longer.
            with suppress(OSError):
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            """Say nothing of an answer that did not come before the end."""

    server = Quiet(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_address[1]}/x/y/"
    finally:
        server.shutdown()
        server.server_close()


def test_the_page_works_below_a_prefix_behind_a_proxy(page, address, at):
    with proxied(address) as start:
        page.goto(f"{start}runs?{urlsplit(address).query}&sort=id")
        page.wait_for_url(lambda url: "token" not in url)
        assert page.url == f"{start}runs?sort=id"
        drawn(page)
        page.locator(f'td a[href="run?id={FINISHED}"]').click()
        drawn(page)
        assert page.url == f"{start}run?id={FINISHED}"
        page.get_by_role("link", name="Is it right?").click()
        drawn(page)
        page.goto(start)
        expect(page.locator(".verdict")).to_be_visible()


def test_a_selection_in_the_chart_leaves_out_other_rows_of_the_table(page, at):
    page.goto(at("runs"))
    drawn(page)
    rows = page.locator("tbody tr")
    assert rows.count() == rows.locator("visible=true").count() == 5
    frame = page.locator("#runs svg g.root path.background").first.bounding_box()
    # The slow run with the larger error lies above and on the right.
    page.mouse.move(frame["x"] + 0.5 * frame["width"], frame["y"] + 0.4 * frame["height"])
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] + 9, frame["y"] - 9, steps=4)
    page.mouse.up()
    expect(page.locator(f'tr:has(a[href="run?id={FINISHED}"])')).to_be_hidden()
    expect(page.locator(f'tr:has(a[href="run?id={OF_HOSTILE_DATA}"])')).to_be_visible()


def test_charts_are_saved_with_title_legend_and_rows_and_a_command_is_copied(page, at):
    page.goto(at(f"?{QUICK}"))
    drawn(page)
    saved = {}
    for form in ("SVG", "PNG", "CSV"):
        with page.expect_download() as download:
            page.locator(".save button", has_text=form).first.click()
        assert download.value.suggested_filename == f"designs.{form.lower()}"
        saved[form] = Path(download.value.path()).read_bytes()
    title = page.locator("figure h2").first.inner_text()
    svg = saved["SVG"].decode()
    assert svg.startswith("<svg")
    # A long title is broken into lines.
    assert all(word in svg for word in [*title.split(), "single", "ensemble", "digits"])
    assert saved["PNG"].startswith(b"\x89PNG")
    rows = list(csv.DictReader(saved["CSV"].decode().splitlines()))
    assert len(rows) > 10
    assert {"design", "method", "error", "time"} <= set(rows[0])
    assert all(row["design"] for row in rows)
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator(".command code").inner_text()
    assert copied.startswith("advisor train ")


def test_ten_thousand_runs_are_listed_filtered_and_paged(browser, watched, many_runs):
    with served(many_runs) as address:
        page = watched.of(browser.new_page())
        start, _, token = address.partition("?")
        page.goto(f"{start}runs?{token}")
        page.wait_for_url(lambda url: "token" not in url)
        drawn(page)
        began = time.perf_counter()
        page.goto(f"{start}runs?sort=id")
        expect(page.locator("#runs svg")).to_be_visible()
        seconds = time.perf_counter() - began
        print(f"first chart of {MANY} runs after {seconds:.2f} s")
        # Two seconds on a machine that does nothing else.
        assert seconds < 12
        expect(page.locator(".verdict")).to_contain_text(f"{MANY} runs, all finished")
        page.get_by_text("last (").click()
        expect(page.locator("tbody tr").last).to_contain_text(str(MANY))
        page.locator("select[name=dataset]").select_option("cifar10")
        expect(page.locator(".verdict")).to_contain_text("101 runs, all finished")
        page.close()


def test_the_keyboard_reaches_form_buttons_and_links(page, at):
    page.goto(at("runs"))
    drawn(page)
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(() => { const e = document.activeElement;"
                " return `${e.tagName} ${e.name || e.getAttribute('href') || e.textContent}`; })()"
            )
        )
    for wanted in ("A #answer", "A forecasts", "INPUT design", "SELECT status", "BUTTON SVG", "INPUT id"):
        assert wanted in reached, sorted(reached)
    assert f"A run?id={FINISHED}" in reached


def test_dark_colours_reach_page_and_chart(page, at):
    page.goto(at("runs"))
    drawn(page)

    def colours():
        return page.evaluate(
            "[getComputedStyle(document.body).backgroundColor,"
            " document.querySelector('#runs svg text').getAttribute('fill')]"
        )

    light = colours()
    page.emulate_media(color_scheme="dark")
    expect(page.locator("#runs svg text").first).not_to_have_attribute("fill", light[1])
    assert colours()[0] != light[0]
