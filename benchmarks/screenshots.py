"""Pictures of the local page for the documents: a home with small trainings, seen in Chromium.

    python benchmarks/screenshots.py                 # some minutes on two cores
    python benchmarks/screenshots.py --home .demo    # a home that has finished runs already

It needs Chromium and the extra `dev`. A home without runs gets a recommendation on scikit-learn's digits and
twelve trainings of seconds. The pictures are written as WebP to docs/pictures/page/, with device, versions
and date in `made.txt` beside them. Forecasts of time hold on a quiet machine only.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

import advisor

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures" / "page"
# A file of a document, in bytes.
LARGEST = 200_000
WIDE, NARROW = 1280, 390
# A page that is longer is cut there, in pixels.
TALLEST = 1500
WAIT_MILLISECONDS = 120_000
EPOCHS = 12
# A MotherNets ensemble whose members differ in size, so that each has something that hatching added.
GROWN = "resnet-8-4+resnet-8-6+resnet-14-6@g1"
FREE = GROWN.removesuffix("@g1")
# Designs and numbers of seeds.
TRAININGS = (
    ("resnet-8-14", 3),
    ("3xresnet-8-8", 3),
    ("3xresnet-8-8@g1", 2),
    ("2xresnet-8-9", 1),
    ("resnet-14-10", 1),
    ("resnet-8-8", 1),
    (GROWN, 1),
)
# Name of a picture, address, width.
SIGHTS = (
    ("advice", "?budget=60k&epochs=12&dataset=digits&family=resnet", WIDE),
    ("advice-narrow", "?budget=60k&epochs=12&dataset=digits&family=resnet", NARROW),
    ("switchover", "switchover?family=resnet&members=4&dataset=cifar10&asked=1M", WIDE),
    ("plan", "plan?" + urlencode({"target": GROWN, "dataset": "digits", "epochs": EPOCHS}), WIDE),
    ("run", "run?id={run}", WIDE),
    ("runs", "runs", WIDE),
    ("frontier", "frontier?" + urlencode({"ensemble": FREE, "dataset": "digits", "epochs": EPOCHS}), WIDE),
    ("forecasts", "forecasts", WIDE),
)


def fill(home: Path) -> None:
    """Train and recommend in a home that has no runs."""
    if advisor.runs(home=home).runs:
        return
    advisor.recommend(
        budget="60k", epochs=EPOCHS, dataset="digits", family="resnet", profile_seconds=25, probe=0, home=home
    )
    for design, seeds in TRAININGS:
        for seed in range(seeds):
            run = advisor.train(design, dataset="digits", epochs=EPOCHS, seed=seed, home=home)
            print(f"run {run.id}: {design}, seed {seed}", file=sys.stderr)


def newest(home: Path, design: str) -> int:
    """Return the number of the newest run of a design, else of any."""
    known = advisor.runs(home=home).runs
    return max([run.id for run in known if run.design == design] or [run.id for run in known])


@contextmanager
def served(home: Path) -> Iterator[str]:
    """Yield the address of the page of a home, with its token."""
    command = [sys.executable, "-m", "cli", "--home", str(home), "web", "--no-browser"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            found = next(filter(None, (re.search(r"http://\S+", line) for line in server.stdout)))
            yield found[0]
        finally:
            server.terminate()


def picture(browser: Browser, address: str, path: str, width: int) -> Image.Image:
    """Return what a reader sees of a page once its answer is complete."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(address)
    page.wait_for_url(lambda url: "token" not in url)
    page.goto(f"{address.split('?')[0]}{path}")
    expect(page.locator("[data-unfinished]")).to_have_count(0, timeout=WAIT_MILLISECONDS)
    charts = page.locator(".chart:not(details .chart)")
    for place in range(charts.count()):
        expect(charts.nth(place).locator("svg").first).to_be_visible(timeout=WAIT_MILLISECONDS)
    # It names the folder of the home.
    page.locator("footer").evaluate("footer => footer.remove()")
    shot = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    page.close()
    return shot.crop((0, 0, shot.width, min(shot.height, TALLEST)))


def save(image: Image.Image, name: str) -> None:
    """Write a picture, in the best quality that is small enough."""
    for quality in (90, 80, 70, 60, 50):
        data = io.BytesIO()
        image.save(data, "WEBP", quality=quality, method=6)
        if data.tell() < LARGEST:
            break
    (PICTURES / f"{name}.webp").write_bytes(data.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--home", type=Path, help="folder of runs; a new one by default")
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or sys.exit("screenshots.py needs Chromium: apt-get install chromium")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = asked.home or Path(folder) / "digits"
        fill(home)
        browser = playwright.chromium.launch(executable_path=chromium)
        with served(home) as address:
            for name, path, width in SIGHTS:
                save(picture(browser, address, path.format(run=newest(home, GROWN)), width), name)
        browser.close()
    made = (
        f"benchmarks/screenshots.py: {platform.machine()} CPU, {os.cpu_count()} cores, "
        f"torch {version('torch')}, altair {version('altair')}, {datetime.now(UTC).date().isoformat()}\n"
    )
    (PICTURES / "made.txt").write_text(made)


if __name__ == "__main__":
    main()
