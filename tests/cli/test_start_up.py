"""What answers at once must not import what is slow, and what has answered ends at once."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HEAVY = ("torch", "torchvision", "torchmetrics", "sklearn", "scipy", "optuna", "sqlalchemy", "numpy")


@pytest.mark.parametrize("arguments", [["--help"], ["runs", "list"], ["recommend", "--help"], ["db", "path"]])
def test_quick_commands_import_nothing_heavy(arguments, tmp_path):
    script = (
        "import sys\nfrom cli.app import main\n"
        f"sys.argv = ['advisor', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"ADVISOR_HOME": str(tmp_path), "PATH": ""},
    )
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_the_console_script_begins_with_a_module_that_imports_no_other_of_ours():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["advisor"].partition(":")
    rooms = ("advisor", "cli", "db", "profiler", "trainer", "typer", "rich")
    script = (
        f"import sys, {module}\nassert callable({module}.{function})\n"
        f"print([m for m in sys.modules if m.partition('.')[0] in {rooms!r}])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(["cli", module])


def test_importing_the_command_line_does_not_import_torch():
    script = "import cli.app, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


ENDING = """
import atexit, sys, time
import cli.app
from cli.__main__ import main

class Module:
    def __del__(self):
        print("taken apart")

def command(began, run=cli.app.main):
    # When the process began, by which a training counts what is waited for.
    assert 0 < time.monotonic() - began < 60
    # As a library that is imported by a command.
    atexit.register(print, "a library's own end")
    sys.modules["module"] = Module()
    run(began)

cli.app.main = command
sys.argv = ["advisor", *{arguments!r}]
main()
"""


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["equivalents", "resnet-27-16"], 2)])
def test_the_process_ends_with_its_code_after_what_libraries_do_and_takes_no_module_apart(arguments, code):
    done = _script(ENDING.format(arguments=arguments))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (code, "a library's own end")
    assert "taken apart" not in done.stdout


def test_an_error_that_is_shown_whole_ends_as_python_ends_it():
    done = _script(ENDING.format(arguments=["--debug", "equivalents", "resnet-27-16"]))
    assert (done.returncode, "Traceback" in done.stderr) == (1, True)


def _script(text):
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
