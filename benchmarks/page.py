"""How long a reader of the local page waits: answers while a budget is dragged, and many runs.

    python benchmarks/page.py     # some minutes; needs Chromium, and trains two tiny networks

1. Advice on CIFAR-10, all families: the time from the command to the printed address, from there to the first
   answer (`STARTS` starts), then `DRAGS` budgets and epochs one after the other, first look and whole search.
   Also: how often the first look and the whole search have the same design to train.
2. A database of `RUNS` runs, copies of one: the list, the forecasts, and in Chromium the time from the
   request to the first chart.
3. The size of a report on `REPORTED` runs, each in detail.

Medians, with the least and the largest. Writes benchmarks/results/page.json.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

RESULT = Path(__file__).parent / "results" / "page.json"
STARTS, DRAGS, RUNS, REPORTED = 5, 15, 10_000, 100
PROGRAM = (sys.executable, "-c", "from cli.__main__ import main; main()")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
VERDICT = re.compile(r"<code>(advisor train [^<]*)</code>")


def advisor(home: Path, *arguments: str) -> None:
    """Run a command."""
    subprocess.run(
        [*PROGRAM, "--home", str(home), "--quiet", *arguments], check=True, stdout=subprocess.DEVNULL
    )


class Reader:
    """A browser without scripts: it keeps the cookie of the page."""

    def __init__(self, address: str) -> None:
        self.base = address.partition("?")[0]
        handler = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(handler)
        self._opener.open(address).read()

    def timed(self, path: str) -> tuple[float, str]:
        """Return the seconds of an answer, and the answer."""
        began = time.perf_counter()
        text = self._opener.open(self.base + path).read().decode()
        return time.perf_counter() - began, text


@contextmanager
def served(home: Path) -> Iterator[tuple[str, float]]:
    """Serve a home; give its address, and the seconds until it was printed."""
    began = time.perf_counter()
    command = [*PROGRAM, "--home", str(home), "web", "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert server.stdout is not None
    try:
        address = server.stdout.readline().strip()
        yield address, time.perf_counter() - began
    finally:
        server.terminate()
        server.wait()


def summary(seconds: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(seconds), 3),
        "least": round(min(seconds), 3),
        "largest": round(max(seconds), 3),
    }


def advice(home: Path) -> dict[str, Any]:
    """Return the times of answers while budget and epochs are dragged."""
    starts, firsts = [], []
    for _ in range(STARTS):
        with served(home) as (address, seconds):
            starts.append(seconds)
            began = time.perf_counter()
            Reader(address).timed("?" + urlencode({"budget": "5M", "epochs": 120, "dataset": "cifar10"}))
            firsts.append(time.perf_counter() - began)
    with served(home) as (address, _):
        reader = Reader(address)
        reader.timed("?" + urlencode({"budget": "5M", "epochs": 120, "dataset": "cifar10"}))
        looks, searches, same = [], [], 0
        for i in range(DRAGS):
            share = i / (DRAGS - 1)
            budget = round(math.exp(math.log(2e5) + share * math.log(5e6 / 2e5)))
            asked = {"budget": budget, "epochs": 40 + round(160 * share), "dataset": "cifar10", "part": 1}
            seconds, look = reader.timed("?" + urlencode(asked | {"whole": 0}))
            looks.append(seconds)
            seconds, search = reader.timed("?" + urlencode(asked))
            searches.append(seconds)
            same += VERDICT.findall(look) == VERDICT.findall(search)
    return {
        "address_after_start_seconds": summary(starts),
        "first_answer_after_address_seconds": summary(firsts),
        "first_look_seconds": summary(looks),
        "whole_search_seconds": summary(searches),
        "same_design_to_train": f"{same} of {DRAGS}",
    }


def multiplied(home: Path, number: int, tables: tuple[str, ...]) -> None:
    """Copy the first run of a database, with its rows of other tables, until there are so many runs."""
    with closing(sqlite3.connect(home / "advisor.sqlite")) as connection:
        (present,) = connection.execute("SELECT count(*) FROM runs").fetchone()
        kept = ", ".join(_columns(connection, "runs", ("id",)))
        connection.execute(
            f"INSERT INTO runs ({kept}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
            f"WHERE i < {number - present}) SELECT {kept} FROM runs, n WHERE runs.id = 1"
        )
        for table in tables:
            names = _columns(connection, table, ("id", "run_id"))
            copied = ", ".join(f"s.{name}" for name in names)
            connection.execute(
                f"INSERT INTO {table} (run_id, {', '.join(names)}) SELECT r.id, {copied} FROM runs r, "
                f"{table} s WHERE s.run_id = 1 AND r.id > {present}"
            )
        # Points of a chart that all lie in one place would draw sooner.
        connection.execute(
            "UPDATE runs SET train_seconds = train_seconds * (1 + (id * 37 % 101) / 50.0) "
            f"WHERE id > {present}"
        )
        connection.commit()


def _columns(connection: sqlite3.Connection, table: str, without: tuple[str, ...]) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] not in without]


def many_runs(home: Path) -> dict[str, Any]:
    """Return the times of pages on many runs."""
    from playwright.sync_api import sync_playwright

    with served(home) as (address, _):
        reader = Reader(address)
        reader.timed("runs?part=1")
        lists = [reader.timed(f"runs?part=1&page={i}")[0] for i in range(1, 6)]
        histories = [reader.timed(f"forecasts?part=1&again={i}")[0] for i in range(5)]
        charts = []
        with sync_playwright() as playwright:
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(address)
            page.locator("main").wait_for()
            for i in range(5):
                began = time.perf_counter()
                page.goto(f"{reader.base}runs?page={i + 1}", wait_until="commit")
                page.locator(".chart svg").first.wait_for()
                charts.append(time.perf_counter() - began)
            browser.close()
    return {
        "runs": RUNS,
        "list_seconds": summary(lists),
        "forecasts_seconds": summary(histories),
        "first_chart_seconds": summary(charts),
    }


def report(home: Path) -> dict[str, Any]:
    """Return size and time of a report on many runs in detail."""
    file = home / "report.html"
    chosen = [option for number in range(1, REPORTED + 1) for option in ("--run", str(number))]
    began = time.perf_counter()
    advisor(home, "report", str(file), *chosen)
    return {
        "runs_in_detail": REPORTED,
        "megabytes": round(file.stat().st_size / 1e6, 2),
        "seconds": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        advisor(
            *(home, "recommend", "--budget", "5M", "--epochs", "120", "--probe", "0"),
            *("--profile-seconds", "20"),
        )
        dragged = advice(home)
        advisor(home, "train", "3xresnet-8-4@g1", "--dataset", "digits", "--epochs", "6")
        multiplied(home, REPORTED, ("steps", "epochs"))
        written = report(home)
        multiplied(home, RUNS, ("steps",))
        listed = many_runs(home)
    found = {
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"{platform.machine()} CPU, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("altair", "starlette", "uvicorn", "torch", "optuna")},
        "advice": dragged,
        "many_runs": listed,
        "report": written,
    }
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
