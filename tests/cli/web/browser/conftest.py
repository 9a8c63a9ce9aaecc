"""A real Chromium, a home with runs, and the local page as a process of its own."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from recorded_runs import DIGITS, record_run
from web_browser import CLUSTERED, FORECAST, HOSTILE, MANY, PROXY_HOST, Watched, served

from advisor.plans.dataset import DATASETS
from advisor.plans.records import RunStatus
from cli.workflows.home import Home
from db.session import open_store

NAMES = ("chromium", "chromium-browser", "google-chrome")
# A page must come at last on a machine that does much else.
PATIENCE_MS = 30_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, started once."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    driver = pytest.importorskip("playwright.sync_api", reason="no browser: playwright is not installed")
    with driver.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


def falling(first: float, count: int) -> list[float]:
    return [first - 0.02 * i for i in range(count)]


def finished_curves() -> dict[str, list[float]]:
    return {
        "mother-1": falling(0.5, 10),
        "member-1": falling(0.3, 3),
        "member-2": falling(0.28, 3),
        "member-3": falling(0.5, 10),
    }


@pytest.fixture(scope="session")
def used_home(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with runs that are finished, that go on, and that were killed; without any training."""
    home = tmp_path_factory.mktemp("used")
    hostile = replace(DIGITS, name=HOSTILE)
    running: dict[str, Any] = {"epochs": 10, "forecast": FORECAST, "status": RunStatus.RUNNING, "ended": ()}
    with open_store(Home(home).database) as store:
        done: dict[str, Any] = {"epochs": 10, "forecast": FORECAST, "error": 0.06}
        record_run(store, CLUSTERED, finished_curves(), **done, seconds=90.0)
        record_run(store, CLUSTERED, finished_curves(), **done | {"error": 0.2}, seconds=900.0, facts=hostile)
        record_run(store, CLUSTERED, {"mother-1": falling(0.5, 2)}, **running)
        record_run(store, CLUSTERED, {"mother-1": falling(0.5, 4)}, **running)
        record_run(store, CLUSTERED, finished_curves(), **done, seed=1, seconds=95.0)
    return home


@pytest.fixture(scope="session")
def address(used_home: Path) -> Iterator[str]:
    """Address of the server of that home, with its token."""
    with served(used_home, "--proxy-host", PROXY_HOST) as found:
        yield found


@pytest.fixture(scope="session")
def context(browser: Any, address: str) -> Iterator[Any]:
    """A window of the browser that has the cookie."""
    opened = browser.new_context(accept_downloads=True, viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(PATIENCE_MS)
    opened.grant_permissions(["clipboard-read", "clipboard-write"])
    page = opened.new_page()
    page.goto(address)
    page.wait_for_url(lambda url: "token" not in url)
    page.close()
    yield opened
    opened.close()


@pytest.fixture
def watched() -> Iterator[Watched]:
    """What the browser says and asks for in a test; nobody has a complaint at its end."""
    found = Watched()
    yield found
    assert found.complaints == []


@pytest.fixture
def page(context: Any, watched: Watched) -> Iterator[Any]:
    """A watched page of that window."""
    opened = watched.of(context.new_page())
    yield opened
    opened.close()


@pytest.fixture
def at(address: str) -> Callable[[str], str]:
    """Addresses of the server by their path."""
    start = address.partition("?")[0]
    return lambda path: start + path


@pytest.fixture(scope="session")
def many_runs(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with ten thousand finished runs, which are copies of two."""
    home = tmp_path_factory.mktemp("many")
    path = Home(home).database
    with open_store(path) as store:
        for facts in (DIGITS, DATASETS["cifar10"]):
            record_run(store, "2xmlp-1-8", {"member-1": [0.1]}, epochs=1, error=0.1, facts=facts)
    connection = sqlite3.connect(path)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(runs)") if row[1] != "id"]
    values = ", ".join({"train_seconds": "10.0 + n.i"}.get(name, f"runs.{name}") for name in columns)
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        f"INSERT INTO runs ({', '.join(columns)}) SELECT {values} FROM runs, n "
        "WHERE runs.id = CASE WHEN n.i % 100 = 0 THEN 2 ELSE 1 END AND n.i > 2",
        (MANY,),
    )
    connection.commit()
    connection.close()
    return home
