"""What the built package contains and asks for, from pyproject.toml alone."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from cli.web.site.server import PACKAGES

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Packages whose module is named otherwise.
MODULES = {"vl-convert-python": "vl_convert"}


def named(extra: str) -> set[str]:
    """Packages of an extra, those of the extras that it names included."""
    found = set()
    for line in PROJECT["optional-dependencies"][extra]:
        own = re.fullmatch(r"ensemble-advisor\[(.+)\]", line)
        found |= set().union(*map(named, own[1].split(","))) if own else {re.match(r"[\w-]+", line)[0]}
    return found


def test_the_extra_of_the_page_has_all_packages_that_it_looks_for():
    assert {MODULES.get(name, name) for name in named("web")} == set(PACKAGES)


def test_the_tests_have_the_page_installed():
    assert named("web") | {"playwright"} <= named("dev")


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_the_tests_run_with_written_versions(extra):
    pinned = [line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    assert len(pinned) == len(set(pinned))
    # TorchEnsemble serves one benchmark, which is no part of the tests.
    assert {name.lower() for name in named(extra)} - {"torchensemble"} <= set(pinned)


@pytest.mark.slow
def test_a_wheel_contains_templates_style_and_script(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", tmp_path, ROOT]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    web = ROOT / "cli" / "web"
    files = {
        str(path.relative_to(ROOT))
        for path in [*web.glob("templates/*"), *web.glob("static/*")]
        if path.is_file()
    }
    assert len(files) > 3
    assert files <= set(zipfile.ZipFile(wheel).namelist())
