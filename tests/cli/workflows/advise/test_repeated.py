"""A question that is asked again: the same answer as long as nothing that it rests on has changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from drawn_images import draw_folder

from advisor.accuracy.sources.reported import ReportedTraining
from advisor.plans.dataset import DATASETS
from cli.workflows.advise import repeated
from cli.workflows.advise.last_recommendation import last_advice
from cli.workflows.advise.probe_options import ProbeOptions
from cli.workflows.advise.repeated import KEPT, answered, keep, stamp_of
from cli.workflows.answers.advise.request import RecommendRequest
from cli.workflows.home import Home
from db.session import open_store

REQUEST = RecommendRequest(
    budget="60k",
    epochs=5,
    dataset="cifar10",
    augmentation=None,
    families=("mlp",),
    members=(),
    device=None,
    batch=None,
    seed=0,
    trials=12,
    profile_seconds=0.0,
)
COMMAND = (
    *("recommend", "--budget", "60k", "--epochs", "5", "--family", "mlp", "--trials", "12"),
    *("--profile-seconds", "0", "--probe", "0", "--json"),
)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A home with a recommendation, and the answer."""
    home = Home(tmp_path_factory.mktemp("asked"))
    return home, answered(REQUEST, home, None, lambda line: None)


@pytest.fixture
def lines():
    return []


@pytest.fixture
def nothing_is_computed(monkeypatch):
    def refuse(*given):
        pytest.fail("the answer was made again")

    monkeypatch.setattr("cli.workflows.advise.recommend.recommend", refuse)


def test_the_answer_of_then_is_shown_with_a_line_and_is_the_last_recommendation(
    asked, lines, nothing_is_computed
):
    home, first = asked
    again = answered(REQUEST, home, None, lines.append)
    assert replace(again, profile=first.profile) == first
    assert (again.profile.seconds, again.profile.measurements_new, again.probing) == (0, 0, None)
    (line,) = lines
    assert re.fullmatch(
        r"nothing was measured or trained since \d{4}-\d\d-\d\d \d\d:\d\d UTC: the answer of then", line
    )
    assert last_advice(home)[1] == again


def test_a_repeated_command_imports_neither_torch_nor_a_sampler_run(asked):
    script = (
        "import sys\nfrom cli.app import main\n"
        f"sys.argv = ['advisor', '--home', {str(asked[0].path)!r}, *{COMMAND!r}]\n"
        "try:\n    main()\nfinally:\n    print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "the answer of then" in done.stderr
    assert done.stderr.strip().endswith("False")
    assert json.loads(done.stdout)["recommendations"] == asked[1].to_json()["recommendations"]


def test_another_question_has_another_stamp(asked):
    home, _ = asked
    asked_for = [
        REQUEST,
        replace(REQUEST, seed=1),
        replace(REQUEST, epochs=6),
        replace(REQUEST, max_memory_bytes=1e9),
        replace(REQUEST, objective="time"),
    ]
    stamps = [stamp_of(request, home, None) for request in asked_for]
    stamps.append(stamp_of(REQUEST, home, ProbeOptions(seconds=None)))
    assert None not in stamps
    assert len(set(stamps)) == len(stamps)
    assert stamp_of(REQUEST, home, None) == stamps[0]


@pytest.mark.parametrize("options", [ProbeOptions(seconds=60.0), ProbeOptions(seconds=None, download=True)])
def test_probes_that_are_asked_for_are_always_made(asked, options):
    assert stamp_of(REQUEST, asked[0], options) is None


def test_an_answer_of_then_is_not_the_answer_to_who_asks_for_new_measurements(asked, monkeypatch):
    home, first = asked
    given = []

    def recommend(*arguments):
        given.append(arguments[-1])
        return first

    monkeypatch.setattr("cli.workflows.advise.recommend.recommend", recommend)
    assert answered(REQUEST, home, None, lambda line: None, remeasure=True) is first
    assert given == [True]


def test_new_evidence_changes_the_stamp(tmp_path, imported):
    home = Home(tmp_path)
    with open_store(home.database) as store:
        before = stamp_of(REQUEST, home, None)
        imported(store)
        assert stamp_of(REQUEST, home, None) != before


@pytest.fixture
def imported():
    """Add a training that was done elsewhere."""

    def add(store):
        facts = DATASETS["cifar10"]
        record = ReportedTraining(
            dataset=facts.name,
            task=facts.task,
            augmentation=facts.augmentation,
            train_images=facts.train_images,
            test_images=facts.test_images,
            design="resnet-20-16",
            epochs=120,
            batch=128,
            seed=0,
            error=0.08,
            member_errors=(0.08,),
            device="a machine",
            date="2026-11-29",
        )
        store.add_reported([record], source="by hand", imported_at="2026-11-29T10:00:00")

    return add


def test_changed_images_sources_and_settings_change_the_stamp(tmp_path, monkeypatch):
    home, folder = Home(tmp_path / "home"), tmp_path / "mine"
    draw_folder(folder)
    request = replace(REQUEST, dataset=f"folder:{folder}")
    stamps = [stamp_of(request, home, None)]
    image = next(folder.rglob("*.png"))
    os.utime(image, ns=(1, 1))
    stamps.append(stamp_of(request, home, None))
    image.unlink()
    stamps.append(stamp_of(request, home, None))
    source = tmp_path / "source.py"
    source.write_text("one = 1\n")
    monkeypatch.setattr(repeated, "_sources", lambda: iter([source]))
    stamps.append(stamp_of(request, home, None))
    source.write_text("three = 3\n")
    stamps.append(stamp_of(request, home, None))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    stamps.append(stamp_of(request, home, None))
    (home.path / "data").mkdir(parents=True)
    stamps.append(stamp_of(request, home, None))
    assert None not in stamps
    assert len(set(stamps)) == len(stamps)


def test_where_the_state_of_the_machine_is_unknown_nothing_is_kept(tmp_path, monkeypatch, asked):
    monkeypatch.setattr(repeated, "BOOT", tmp_path / "missing")
    assert stamp_of(REQUEST, asked[0], None) is None
    home = Home(tmp_path / "home")
    keep(asked[1], {}, None, home)
    assert not home.answers.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"answer": {"schema_version": 1}}', '{"answer": 3}'])
def test_an_answer_that_cannot_be_read_is_made_again(asked, monkeypatch, content):
    home, first = asked
    (file,) = home.answers.glob("*.json")
    kept = file.read_text()
    file.write_text(content)
    monkeypatch.setattr("cli.workflows.advise.recommend.recommend", lambda *given: "made again")
    assert answered(REQUEST, home, None, lambda line: None) == "made again"
    file.write_text(kept)


def test_few_answers_are_kept_and_a_disk_that_refuses_is_no_failure(asked, tmp_path, monkeypatch):
    home = Home(tmp_path)
    for number in range(KEPT + 3):
        keep(asked[1], {"number": number}, f"{number:032}", home)
    assert len(list(home.answers.glob("*.json"))) == KEPT

    def refuse(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(repeated, "write_whole", refuse)
    keep(asked[1], {}, "new", home)
    assert not (home.answers / "new.json").exists()
