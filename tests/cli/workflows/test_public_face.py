"""`import advisor`: thirteen names, the commands as functions, and nothing that a library must not do."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import advisor as face
from cli.app import COMMANDS
from cli.commands.probes import probe
from cli.commands.runs import diversity
from cli.workflows.answers.advise.advice import Advice
from cli.workflows.answers.examine.explanation import Explanation
from cli.workflows.answers.runs.diversity import RunDiversity
from cli.workflows.answers.runs.listing import RunList
from cli.workflows.answers.runs.run import Run

ROOT = Path(__file__).resolve().parents[3]
NAMES = [
    *("AdvisorError", "Home", "diversity", "equivalents", "est", "explain", "frontier", "load", "probe"),
    *("recommend", "runs", "train", "whatif"),
]
COMMANDS_OF_FACE = {**COMMANDS, "probe": probe, "diversity": diversity}
# Arguments that only a program needs, or only the command line.
OF_PROGRAMS = {"home", "progress", "resume"}
# Steps of a run that was not started are commands of their own.
OF_THE_COMMAND_LINE = {"ctx", "as_json", "plot", "no_start"}
# What `equivalents` takes where it does not compare.
OF_COUNTING = {"compare", "input", "classes"}
QUICK = {"budget": "15k", "epochs": 3, "dataset": "digits", "family": "resnet", "trials": 20, "probe": 0}


def apart(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as a program of its own, from a file without `if __name__ == "__main__"`."""
    path = folder / "script.py"
    path.write_text(textwrap.dedent(script))
    return subprocess.run(
        [sys.executable, str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "HOME": str(folder), "PATH": ""},
    )


def test_the_face_has_thirteen_names_and_no_more():
    assert sorted(face.__all__) == NAMES
    assert set(NAMES) <= set(dir(face))
    assert all(getattr(face, name).__doc__ for name in NAMES)
    with pytest.raises(AttributeError, match="no attribute 'space'"):
        face.space  # noqa: B018


def test_the_import_is_quick_and_loads_nothing_heavy(tmp_path):
    done = apart(
        "import sys, advisor; print(sorted({'torch', 'numpy', 'typing'} & set(sys.modules)))", tmp_path
    )
    assert "torch" not in done.stdout
    assert "numpy" not in done.stdout


def test_no_module_below_advisor_uses_the_face():
    for path in (ROOT / "advisor").rglob("*.py"):
        tree = ast.parse(path.read_text())
        names = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "advisor"
            for alias in node.names
        }
        assert path == ROOT / "advisor" / "__init__.py" or not names & set(NAMES), path


@pytest.mark.parametrize("name", sorted(COMMANDS_OF_FACE.keys() & set(NAMES) - {"runs"}))
def test_arguments_are_named_as_the_options_and_have_their_defaults(name):
    options = inspect.signature(COMMANDS_OF_FACE[name]).parameters
    arguments = inspect.signature(getattr(face, name)).parameters
    assert arguments.keys() - OF_PROGRAMS == options.keys() - OF_THE_COMMAND_LINE - OF_COUNTING
    for argument in arguments.keys() - OF_PROGRAMS:
        default = arguments[argument].default
        # A command with commands of its own refuses what it lacks itself, as it needs nothing for those.
        needed = default is inspect.Parameter.empty and options[argument].default is None
        assert needed or (None if default == () else default) == options[argument].default, argument


def test_a_recommendation_is_trained_explained_and_loaded(home, capfd):
    import torch

    said = []
    advice = face.recommend(**QUICK, profile_seconds=0, home=home, progress=said.append)
    assert isinstance(advice, Advice)
    assert "searching" in said
    run = face.train("2xmlp-1-8", method="snapshot", dataset="digits", epochs=2, seed=1, home=str(home))
    assert isinstance(run, Run)
    assert 0 < run.overhead_seconds < 600
    explained = face.explain(run.id, home=face.Home(home))
    assert isinstance(explained, Explanation)
    listed = face.runs(where={"dataset": "digits"}, home=home)
    assert isinstance(listed, RunList)
    assert [row.id for row in listed.runs] == [run.id]
    images = torch.zeros((2, 1, 8, 8), dtype=torch.uint8)
    loaded = [face.load(source, home=home) for source in (run, run.id, "last", run.path)]
    answers = [ensemble(images) for ensemble in loaded]
    assert all(torch.equal(answer, answers[0]) for answer in answers)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    different = face.diversity(run.id, on="validation", home=home)
    assert isinstance(different, RunDiversity)
    assert [group.runs for group in different.groups] == [(run.id,)]
    for answer in (advice, run, explained, listed, different):
        assert "<pre" in answer._repr_html_()
        assert answer.to_json()["schema_version"] == 1


DATA = ("--dataset", "digits")
SAME = {
    ("frontier", "2xmlp-1-8", *DATA, "--epochs", "5", "--patience", "2"): lambda home: face.frontier(
        "2xmlp-1-8", dataset="digits", epochs=5, patience=2, home=home
    ),
    ("equivalents", "mlp-2-40", "--compare", *DATA, "--members", "2", "--recipe", "published"): (
        lambda home: face.equivalents("mlp-2-40", dataset="digits", members=2, recipe="published", home=home)
    ),
    ("whatif", "mlp-1-8", *DATA, "--base-epochs", "5", "--weight-decay", "1e-07", "--width", "x2"): (
        lambda home: face.whatif(
            "mlp-1-8", dataset="digits", base_epochs=5, weight_decay=1e-7, width="x2", home=home
        )
    ),
    ("est", "--family", "mlp", *DATA, "--members", "2", "--budget", "1k-4k", "--epochs", "20"): (
        lambda home: face.est(family="mlp", dataset="digits", members=2, budget="1k-4k", epochs=20, home=home)
    ),
}


@pytest.mark.parametrize(
    "command", [c if c[0] == "whatif" else pytest.param(c, marks=pytest.mark.slow) for c in SAME]
)
def test_a_function_answers_as_its_command_does(advisor, home, command):
    answer = SAME[command](home)
    assert answer.to_json() == advisor(*command, "--json").json
    assert "<pre" in answer._repr_html_()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda home: face.recommend(budget="5M", epochs=0, home=home), "epochs"),
        (lambda home: face.recommend(**QUICK | {"family": "resnett"}, home=home), "did you mean 'resnet'?"),
        (lambda home: face.recommend(**QUICK, max_memory="8 X", home=home), "max_memory"),
        (lambda home: face.recommend(**QUICK, progress=3, home=home), "progress must be a function"),
        (lambda home: face.probe(dataset="digits", minutes=1, home=home), "ask `advisor.recommend` first"),
        (lambda home: face.train(home=home), "run `advisor.recommend` first"),
        (lambda home: face.train("mlp-1-8", rank=1, home=home), "rank chooses"),
        (lambda home: face.train("mlp-1-8", resume=1, home=home), "resume continues a run"),
        (lambda home: face.train("mlp-1-8", dataset="digits", time_limit=0, home=home), "time_limit"),
        (lambda home: face.explain("mlp-1-8", price_per_hour=-1, home=home), "price_per_hour must be"),
        (lambda home: face.frontier("V5@g1", home=home), "leave out @g1"),
        (lambda home: face.equivalents("resnet-8-4", recipe="own", home=home), "unknown recipe 'own'"),
        (lambda home: face.whatif("mlp-1-8", home=home), "give depth, width"),
        (lambda home: face.est(family="mlp", budget="8M-1M", home=home), "budget"),
        (lambda home: face.diversity(1, home=home), "there is no run yet"),
        (lambda home: face.runs(where={"datset": "digits"}, home=home), "dataset"),
        (lambda home: face.load(1, home=home), "there is no run yet"),
        (lambda home: face.load("nowhere.safetensors", home=home), "nowhere"),
    ],
)
def test_errors_speak_of_arguments(home, call, text):
    with pytest.raises(face.AdvisorError) as raised:
        call(home)
    message = str(raised.value)
    assert text in message
    assert "--" not in message
    assert "\n" not in message


def test_a_run_that_was_stopped_is_resumed(home):
    with pytest.raises(face.AdvisorError, match=r"continue with `advisor\.train\(resume=1\)`"):
        face.train("mlp-1-8", dataset="digits", epochs=300, time_limit=1, home=home)
    assert face.runs(home=home).runs[0].status == "deadline"
    with pytest.raises(face.AdvisorError, match="time limit"):
        face.train(resume="last", time_limit=0.5, home=home)


def test_it_works_off_the_main_thread(home):
    with ThreadPoolExecutor(1) as thread:
        advice = thread.submit(face.recommend, **QUICK, profile_seconds=0, home=home).result()
    assert advice.recommendations


@pytest.mark.slow
def test_a_process_that_measures_does_not_run_the_script_again(tmp_path):
    done = apart(
        """
        from profiler.isolate import MeasuringProcess

        print("begins")
        with MeasuringProcess("cpu", 1) as process:
            assert process.wait_until_ready()
        """,
        tmp_path,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "begins\n")


@pytest.mark.slow
def test_a_script_needs_no_main_guard_to_measure_and_to_train_in_processes(tmp_path):
    done = apart(
        """
        import advisor

        print("begins")
        advice = advisor.recommend(
            budget="15k", epochs=2, dataset="digits", family="resnet", profile_seconds=30,
            probe=0, home="home"
        )
        assert advice.profile.measurements_new > 0
        assert advisor.train("2xmlp-1-8", dataset="digits", epochs=2, home="home").status == "done"
        """,
        tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    # The processes that measure and train do not run the script again.
    assert done.stdout.splitlines() == ["begins"]
