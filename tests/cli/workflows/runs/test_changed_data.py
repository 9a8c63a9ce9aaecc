"""Runs on a folder of images that is changed or moved between two sittings, through the command line."""

import json
import shutil
import sqlite3

import numpy as np
import pytest
from PIL import Image

import advisor as face
from advisor.designs.design import parse_design
from advisor.errors import DataError, UsageError
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from advisor.plans.plan import plan_to_json
from cli.workflows.forecast import machine
from db.session import open_store
from trainer.data.loading import find_facts
from trainer.ensembles.ensemble import read_description

LEVELS = {"dark": 20, "middle": 120, "light": 220}
RENAMED = "class 'light' is gone and 'bright' is new (renamed?)"
MISSING = "is missing: if it was moved, say where with --dataset folder:NEW"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder that the run was trained on."""
    return tmp_path_factory.mktemp("data") / "shades"


@pytest.fixture
def shades(place):
    """Three classes, drawn anew for every test, because tests change them."""
    return draw(place)


def draw(place):
    shutil.rmtree(place, ignore_errors=True)
    for split, count in (("train", 8), ("test", 2)):
        for name, level in LEVELS.items():
            (place / split / name).mkdir(parents=True)
            for n in range(count):
                pixels = np.full((8, 8), level + n, np.uint8)
                Image.fromarray(pixels).save(place / split / name / f"{n}.png")
    return place


@pytest.fixture(autouse=True, scope="module")
def one_core():
    """Plans of one process, which train in this one: starting others takes far longer than they train."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(machine, "usable_cores", lambda: 1)
        yield


@pytest.fixture(scope="module")
def reference(place, tmp_path_factory, one_core):
    """The home of one finished run."""
    home = tmp_path_factory.mktemp("reference")
    face.train("2xmlp-1-8@g1", dataset=f"folder:{draw(place)}", epochs=2, home=home)
    return home


@pytest.fixture
def finished(reference, home, shades):
    """A copy of the finished run in the home of this test."""
    shutil.copytree(reference, home)
    return home


@pytest.fixture
def stopped(finished):
    """The same run as if its last test had not been reached."""
    stop(finished)
    return finished


def stop(home):
    changed_in_database(home, "UPDATE runs SET status = 'interrupted'")


def changed_in_database(home, statement, *values):
    with sqlite3.connect(home / "advisor.sqlite") as database:
        database.execute(statement, values)
    database.close()


def rename(place, old="light", new="bright"):
    for split in ("train", "test"):
        (place / split / old).rename(place / split / new)


def test_nothing_is_done_with_a_finished_run_on_changed_data(advisor, finished, shades, tmp_path):
    before = advisor("runs", "show", "1", "--json").json
    rename(shades)
    for arguments in (
        ("predict", "1", "--test"),
        ("predict", "1", "--test", "--dataset", f"folder:{shades}"),
        ("export", "1", "--to", "safetensors", "--output", str(tmp_path / "x")),
        ("extend", "1", "--add-members", "mlp-1-12"),
    ):
        answer = advisor(*arguments)
        assert (answer.code, RENAMED in answer.error_line) == (2, True), arguments
    assert not (tmp_path / "x").exists()
    # As a data set of its own it has other classes.
    other = advisor("predict", "1", "--dataset", f"folder:{shades}")
    assert other.code == 2
    assert "'bright', which run 1 does not know, and lacks 'light'" in other.error_line
    assert advisor("runs", "show", "1", "--json").json == before


@pytest.mark.slow
def test_the_data_of_a_finished_run_are_found_where_the_option_says(advisor, finished, shades, tmp_path):
    error = advisor("predict", "1", "--test", "--json").json["test_error"]
    moved = ("--dataset", f"folder:{shades.rename(tmp_path / 'moved')}")
    export = ("export", "1", "--to", "safetensors", "--output", str(tmp_path / "x"))
    for arguments in (("predict", "1", "--test"), export, ("extend", "1", "--add-members", "mlp-1-12")):
        answer = advisor(*arguments)
        assert (answer.code, f"{shades} {MISSING}" in answer.error_line) == (2, True), arguments
        assert advisor(*arguments, *moved).code == 0
    # With and without --test it is the same data.
    for option in ((), ("--test",)):
        assert advisor("predict", "1", *option, *moved, "--json").json["test_error"] == error
    # The extended run has the new place.
    assert advisor("predict", "2", "--test").code == 0


def test_a_stopped_run_goes_on_with_the_same_data_only_and_keeps_their_new_place(
    advisor, stopped, shades, tmp_path
):
    rename(shades)
    answer = advisor("resume", "1", "-q")
    assert (answer.code, RENAMED in answer.error_line) == (2, True)
    rename(shades, "bright", "light")
    moved = f"folder:{shades.rename(tmp_path / 'moved')}"
    assert MISSING in advisor("resume", "1", "-q").error_line
    bare = moved.removeprefix("folder:")
    assert "write folder:PATH" in advisor("resume", "1", "-q", "--dataset", bare).error_line
    assert advisor("resume", "1", "-q", "--dataset", moved).code == 0
    with open_store(stopped / "advisor.sqlite") as store:
        plan = store.run(1).plan
    assert plan.dataset.name == moved
    assert read_description(stopped / "runs" / "0001").plan == plan
    assert [run["dataset"] for run in advisor("runs", "list", "--json").json["runs"]] == [moved]
    assert advisor("predict", "1", "--test").code == 0
    stop(stopped)
    assert advisor("resume", "1", "-q").code == 0


def test_a_saved_plan_is_trained_on_its_data_only_and_where_they_lie_now(advisor, shades, tmp_path):
    saved, execution = (
        tmp_path / "plan.json",
        Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous"),
    )
    facts = find_facts(f"folder:{shades}")
    plan = make_plan(parse_design("mlp-1-4"), facts, epochs=1, batch=2, seed=0, execution=execution)
    saved.write_text(plan_to_json(plan))
    moved = ("--dataset", f"folder:{shades.rename(tmp_path / 'moved')}")
    assert MISSING in advisor("train", str(saved)).error_line
    assert "write folder:PATH" in advisor("train", str(saved), "--dataset", "digits").error_line
    assert advisor("train", str(saved), *moved, "--quiet").code == 0
    rename(tmp_path / "moved")
    assert RENAMED in advisor("train", str(saved), *moved).error_line


def test_a_program_says_where_the_data_of_a_run_lie_now(stopped, shades, tmp_path):
    moved = f"folder:{shades.rename(tmp_path / 'moved')}"
    with pytest.raises(DataError, match="say where with dataset folder:NEW"):
        face.train(resume=1, home=stopped)
    with pytest.raises(UsageError, match="leave the other arguments out"):
        face.train(resume=1, epochs=3, dataset=moved, home=stopped)
    assert face.train(resume=1, dataset=moved, home=stopped).dataset == moved


def without_identity(home):
    """Take the identity of the data out of what is stored, as older programs stored it."""
    path = home / "runs" / "0001" / "ensemble.json"
    plain = json.loads(path.read_text())
    del plain["plan"]["dataset"]["identity"], plain["sha256"]
    path.write_text(json.dumps(plain | {"schema_version": 1}))
    changed_in_database(home, "UPDATE runs SET plan = ?", json.dumps(plain["plan"]))


def test_a_run_of_an_older_program_goes_on_and_its_classes_are_compared(advisor, stopped, shades, tmp_path):
    without_identity(stopped)
    rename(shades)
    answer = advisor("resume", "1", "-q")
    assert answer.code == 2
    assert "other classes than run 1 was trained on, such as 'bright'" in answer.error_line
    rename(shades, "bright", "light")
    assert advisor("resume", "1", "-q").code == 0
    moved = f"folder:{shades.rename(tmp_path / 'moved')}"
    assert advisor("predict", "1", "--test", "--dataset", moved).code == 0


def test_evidence_is_that_of_the_images_wherever_they_lie(advisor, finished, shades, tmp_path):
    shutil.copytree(shades, tmp_path / "copy")
    (shades / "test" / "dark" / "1.png").unlink()
    asked = ("est", "--family", "mlp", "--members", "2", "--budget", "1k-2k", "--epochs", "2-4", "--json")
    copied = advisor(*asked, "--dataset", f"folder:{tmp_path / 'copy'}")
    changed = advisor(*asked, "--dataset", f"folder:{shades}")
    assert [a.json["evidence"]["runs_on_dataset"] for a in (copied, changed)] == [1, 0]
    assert "not count" not in copied.err
    assert f"1 run does not count as training on these data: folder:{shades} had other" in changed.err


def test_other_images_of_the_same_classes_are_predicted(advisor, finished, shades):
    (shades / "test" / "dark" / "1.png").unlink()
    answer = advisor("predict", "1", "--dataset", f"folder:{shades}", "--json")
    assert (answer.code, answer.json["images"]) == (0, 5)
