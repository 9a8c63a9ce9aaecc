"""Files of runs against the database, and commands on runs that one of the two has wrong."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import advisor as package
from cli.workflows.forecast import machine


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Two finished runs of two members, trained in this process."""
    home = tmp_path_factory.mktemp("reference") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "usable_cores", lambda: 1)
        for seed in (1, 2):
            package.train("2xmlp-1-4", dataset="digits", epochs=1, seed=seed, home=home)
    return home


@pytest.fixture
def copied(reference, home):
    """The runs in the home of this test."""
    shutil.copytree(reference, home)
    return home


def execute(home, script):
    with closing(sqlite3.connect(home / "advisor.sqlite")) as connection:
        connection.executescript(script)


def contents(folder):
    return {each: each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()}


def newest(home, member):
    return max((home / "runs/0001/networks" / member).glob("*.safetensors"))


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def another_seed(home):
    """A digit of the stored plan changes, and the column that repeats it."""
    execute(home, "UPDATE runs SET seed = 7, plan = replace(plan, '\"seed\": 1', '\"seed\": 7') WHERE id = 1")


def swap(home):
    one, two = (home / "runs/0001/networks" / name for name in ("member-1", "member-2"))
    one.rename(home / "between")
    two.rename(one)
    (home / "between").rename(two)


def another_mean(home):
    file = home / "runs/0001/ensemble.json"
    plain = json.loads(file.read_text())
    plain["mean"][0] += 0.5
    file.write_text(json.dumps(plain))


def elsewhere(home):
    (home / "runs/0001").rename(home.parent / "outside")
    (home / "runs/0001").symlink_to(home.parent / "outside")


def link_a_network(home):
    shutil.move(home / "runs/0001/networks/member-1", home.parent / "outside")
    (home / "runs/0001/networks/member-1").symlink_to(home.parent / "outside")


def test_whole_runs_have_no_problems(advisor, copied):
    answer = advisor("db", "check", "--runs", "--json")
    assert (answer.code, answer.json["problems"], answer.json["runs"]) == (0, [], 2)
    assert advisor("db", "check", "--json").json["runs"] is None
    assert "problems: 0" in advisor("db", "check", "--runs").out


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda home: flip(newest(home, "member-2")), "run 1: member-2: checkpoint-00000"),
        (
            lambda home: newest(home, "member-1").with_suffix(".json").write_text("{"),
            "run 1: member-1: check",
        ),
        (swap, "run 1: member-1: checkpoint-000001 is damaged (of the step 'train member-2'"),
        (another_mean, "the description of the ensemble in"),
        (another_seed, "must be that of the database"),
        (lambda home: shutil.rmtree(home / "runs/0001"), "run 1: its folder"),
        (lambda home: shutil.rmtree(home / "runs/0001/networks/member-2"), "run 1: member-2 is finished and"),
        (lambda home: (home / "runs/0009").mkdir(), "runs/0009 belongs to no run of the database"),
        (lambda home: (home / "runs/0001/networks/member-9").mkdir(), "member-9 belongs to no network"),
        (elsewhere, "run 1: the files of a run must lie in a folder runs/NUMBER"),
        (link_a_network, "run 1: the checkpoints of 'member-1' would lie outside"),
        (lambda home: execute(home, "UPDATE runs SET plan = '{}' WHERE id = 1"), "row 1 of runs is damaged"),
    ],
)
def test_a_problem_of_a_run_is_a_line_and_an_exit_code(advisor, copied, damage, expected):
    damage(copied)
    answer = advisor("db", "check", "--runs", "--json")
    assert answer.code == 4
    problems = answer.json["problems"]
    assert any(expected in line for line in problems), problems
    assert all("run 2" not in line for line in problems)
    assert f"must have no problems, got {len(problems)}" in answer.error_line
    text = advisor("db", "check", "--runs")
    assert (text.code, text.out.splitlines()[-len(problems) :]) == (4, problems)


@pytest.mark.parametrize("damage", [another_seed, elsewhere, link_a_network])
@pytest.mark.parametrize(
    "command",
    [("predict", "1", "--test"), ("export", "1", "--to", "safetensors", "--output", "m.st"), ("resume", "1")],
    ids=" ".join,
)
def test_a_run_that_is_not_the_one_that_was_trained_is_not_used(advisor, copied, damage, command):
    damage(copied)
    if command[0] == "resume":
        execute(copied, "UPDATE runs SET status = 'interrupted' WHERE id = 1")
    before = contents(copied.parent / "outside"), contents(copied / "runs")
    answer = advisor(*command)
    assert answer.code == 4, answer.err
    assert len([line for line in answer.err.splitlines() if line.startswith("advisor: ")]) == 1
    after = contents(copied.parent / "outside"), contents(copied / "runs")
    assert {k: v for part in after for k, v in part.items() if k.name != "lock"} == {
        k: v for part in before for k, v in part.items() if k.name != "lock"
    }
    assert not Path("m.st").exists()


def test_a_run_behind_a_link_is_not_deleted(advisor, copied):
    elsewhere(copied)
    before = contents(copied.parent / "outside")
    answer = advisor("runs", "delete", "1", "--yes")
    assert (answer.code, "without links" in answer.error_line) == (4, True)
    assert contents(copied.parent / "outside") == before
    assert [run["id"] for run in advisor("runs", "list", "--json").json["runs"]] == [2, 1]


def test_a_damaged_row_spoils_no_other_run_and_can_be_deleted(advisor, copied):
    execute(copied, "UPDATE runs SET plan = '{}' WHERE id = 1")
    for command in (("runs", "show", "1"), ("explain", "1"), ("predict", "1", "--test")):
        answer = advisor(*command)
        assert answer.code == 4
        assert "row 1 of runs is damaged (" in answer.error_line
        assert "`advisor db check` lists all" in answer.error_line
    assert len(advisor("runs", "list", "--json").json["runs"]) == 2
    assert advisor("runs", "show", "2").code == 0
    assert advisor("explain", "2xmlp-1-4", "--dataset", "digits").code == 0
    assert advisor("runs", "delete", "1", "--yes").code == 0
    assert advisor("db", "check", "--runs").code == 0


@pytest.mark.parametrize("field", ["epochs", "batch"])
def test_a_damaged_recommendation_is_one_line(advisor, copied, field):
    request = {"budget": "9k", "dataset": "digits", "epochs": 4, "batch": 32, "seed": 0, "device": "cpu"}
    request[field] = "many"
    values = json.dumps(request), json.dumps({"recommendations": [{"design": "mlp-1-4"}]})
    with closing(sqlite3.connect(copied / "advisor.sqlite")) as connection, connection:
        connection.execute("INSERT INTO recommendations VALUES (3, '2026-11-21', ?, ?)", values)
    for command in (
        ("explain", "--rank", "1"),
        ("train",),
        ("probe", "--minutes", "1", "--dataset", "digits"),
    ):
        answer = advisor(*command)
        assert answer.code == 4
        assert f"row 3 of recommendations is damaged ({field} of the request" in answer.error_line
    assert "row 3 of recommendations" in advisor("db", "check", "--json").json["problems"][0]


def test_whatever_only_reads_works_in_a_home_that_is_read_only(
    advisor, reference, open_folder, without_privileges, monkeypatch
):
    home = open_folder / "home"
    shutil.copytree(reference, home)
    (open_folder / "copies").mkdir(mode=0o777)
    (open_folder / "copies").chmod(0o777)
    for each in (*home.rglob("*"), home):
        each.chmod(0o555 if each.is_dir() else 0o444)
    monkeypatch.chdir(open_folder)
    before = {each: each.stat().st_mtime_ns for each in home.rglob("*")}
    with without_privileges():
        for command in (
            ("runs", "list"),
            ("runs", "show", "last"),
            ("runs", "compare", "1", "2"),
            ("runs", "export"),
            ("db", "check", "--runs"),
            ("db", "backup", "copies/copy.sqlite"),
            ("predict", "1", "--test", "--csv", "copies/answers.csv"),
            ("export", "1", "--to", "safetensors", "--output", "copies/m.st"),
            ("explain", "1"),
            ("explain", "2xmlp-1-4", "--dataset", "digits"),
            ("whatif", "1", "--epochs", "x2"),
        ):
            answer = advisor("--home", str(home), *command)
            assert answer.code == 0, (command, answer.err)
        for command in (("train", "mlp-1-4", "--dataset", "digits"), ("runs", "delete", "1", "--yes")):
            answer = advisor("--home", str(home), *command)
            assert answer.code == 4
            assert "its home is read-only" in answer.error_line
            assert "--home" in answer.error_line
    assert {each: each.stat().st_mtime_ns for each in home.rglob("*")} == before
    assert sorted(os.listdir(open_folder / "copies")) == ["answers.csv", "copy.sqlite", "m.st"]
