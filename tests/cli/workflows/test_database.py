"""Trainings done elsewhere become evidence through the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from advisor.accuracy.sources.reported import REQUIRED
from advisor.networks.architecture import lower, parse_network
from advisor.networks.layers import Task
from advisor.plans.dataset import DATASETS
from cli.workflows.forecast.evidence import accuracy_for
from db.session import open_store

HEADER = ",".join(REQUIRED)


def rows(*seeds, error="0.02"):
    return [
        f"digits,1x8x8,10,crop,1077,360,2xresnet-8-4,2,20,32,{seed},{error},0.03;0.05,a CPU,2026-11-21"
        for seed in seeds
    ]


@pytest.fixture
def file(tmp_path):
    """Write rows under the header; returns the path."""

    def write(*lines):
        path = tmp_path / "trainings.csv"
        path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
        return str(path)

    return write


def test_trainings_are_imported_once(advisor, file):
    first = advisor("db", "import", file(*rows(0, 1)), "--json")
    assert first.code == 0, first.err
    assert (first.json["trainings"], first.json["added"], first.json["already_there"]) == (2, 2, 0)
    assert first.json["completed"] == 0
    assert advisor("db", "import", file(*rows(0, 1)), "--json").json["added"] == 0
    grown = advisor("db", "import", file(*rows(0, 1, 2)))
    assert "added: 1\nalready_there: 2" in grown.out
    assert advisor("db", "check").code == 0


def test_a_training_that_is_there_is_completed_by_its_curves(advisor, home, file, tmp_path):
    advisor("db", "import", file(*rows(0, 1)))
    path = tmp_path / "curves.csv"
    curve = ";".join(["0.5"] * 20)
    path.write_text(f"{HEADER},validation_images,errors_by_members,member_curve\n")
    with path.open("a") as lines:
        lines.writelines(f"{row},360,0.03;0.02,{curve}\n" for row in rows(1, 2))
    answer = advisor("db", "import", str(path))
    assert "added: 1\nalready_there: 1\ncompleted: 1" in answer.out
    assert advisor("db", "import", str(path), "--json").json["completed"] == 0
    with open_store(home / "advisor.sqlite") as store:
        found = store.reported()
    assert [t.seed for t in found] == [0, 1, 2]
    assert [t.member_curve for t in found] == [None, (0.5,) * 20, (0.5,) * 20]
    assert [t.errors_by_members for t in found] == [None, (0.03, 0.02), (0.03, 0.02)]
    assert advisor("db", "check").code == 0


def test_imported_trainings_are_evidence_beside_runs(advisor, home, file):
    advisor("db", "import", file(*rows(0, 1)))
    with open_store(home / "advisor.sqlite") as store:
        _, evidence = accuracy_for(store, DATASETS["digits"], seed=0)
    assert [e.dataset for e in evidence] == ["digits", "digits"]
    assert evidence[0].member_errors == (0.03, 0.05)
    assert (evidence[0].ensemble_error, evidence[0].test_images, evidence[0].epochs) == (0.02, 360, 20)
    assert evidence[0].design.name == "2xresnet-8-4"
    answer = advisor("explain", "2xresnet-8-4", "--dataset", "digits", "--epochs", "20", "--json")
    assert answer.code == 0, answer.err


@pytest.mark.slow
def test_data_that_only_imported_trainings_tell_of_have_a_switchover_map(advisor, file):
    asked = ("est", "--family", "resnet", "--dataset", "mine", "--budget", "20k-60k", "--epochs", "20")
    unknown = advisor(*asked)
    advisor("db", "import", file(*(row.replace("digits,1x8x8", "mine,3x12x12") for row in rows(0, 1))))
    answer = advisor(*asked, "--json").json
    assert (unknown.code, "unknown data set 'mine'" in unknown.err) == (2, True)
    assert answer["evidence"]["runs_on_dataset"] == 2
    # Of colour images, where the stem has three times the weights.
    single = answer["designs"][-1]["single"]
    task = Task(channels=3, height=12, width=12, classes=10)
    assert 0.8 * 60_000 < lower(parse_network(single), task).parameters <= 60_000
    assert "unknown data set 'yours'" in advisor(*asked[:4], "yours", *asked[5:]).err


def test_randaugment_makes_other_data_of_a_data_set(advisor, home, file):
    advisor(
        "db", "import", file(*rows(0), *(r.replace(",crop,", ",crop+flip+randaugment,") for r in rows(0)))
    )
    with open_store(home / "advisor.sqlite") as store:
        _, evidence = accuracy_for(store, DATASETS["digits"], seed=0)
    assert [e.dataset for e in evidence] == ["digits", "digits with crop+flip+randaugment"]


def test_a_wrong_row_refuses_the_whole_file(advisor, home, file):
    path = file(*rows(0, 1), *rows(2, error="2"))
    answer = advisor("db", "import", path)
    assert answer.code == 2
    assert f"{path}, line 4: error must be a share between 0 and 1, got '2'" in answer.error_line
    assert answer.out == ""
    assert not home.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "at least one row"),
        (HEADER.encode(), "at least one row"),
        (b"\xff\xfe\x00d", "it must be text in UTF-8"),
        (HEADER.replace("seed", "sed").encode() + b"\n", "did you mean 'seed'?"),
    ],
)
def test_a_damaged_file_is_one_line(advisor, home, tmp_path, content, message):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    answer = advisor("db", "import", str(path))
    assert answer.code == 2
    assert message in answer.error_line
    assert str(path) in answer.error_line
    assert not home.exists()


def test_a_path_that_is_no_file_is_one_line(advisor, home, tmp_path):
    for path in (tmp_path / "missing.csv", tmp_path):
        answer = advisor("db", "import", str(path))
        assert answer.code == 2
        assert "it must be a CSV file that exists" in answer.error_line
    assert not home.exists()


def test_a_file_whose_name_is_no_text_is_imported(advisor, tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv")
    Path(path).write_text("\n".join([HEADER, *rows(0)]))
    answer = advisor("db", "import", path, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["added"] == 1


def test_a_file_of_a_spreadsheet_program_is_read(advisor, tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([HEADER, *rows(0)]).encode())
    answer = advisor("db", "import", str(path), "--json")
    assert answer.code == 0, answer.err
    assert answer.json["added"] == 1
