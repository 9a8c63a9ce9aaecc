"""Bad input: one clear line, the right exit code, nothing written."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from advisor.designs.design import parse_design
from advisor.plans.dataset import dataset_named
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from advisor.plans.plan import plan_to_json
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import _completed

PRICED = ("--price-per-hour", "3.06")
REFUSED = [
    (("recommend", "--budget", "10", "--epochs", "5"), 1, "smallest"),
    (("recommend", "--budget", "5X", "--epochs", "5"), 2, "5M"),
    (("recommend", "--budget", "-5", "--epochs", "5"), 2, "5M"),
    (("recommend", "--budget", "5M", "--epochs", "0"), 2, "at least 1"),
    (("recommend", "--budget", "5M", "--epochs", "many"), 2, "--epochs"),
    (("recommend", "--budget", "5M"), 2, "--epochs"),
    (("recommend", "--budget", "5M", "--epochs", "5", "--family", "resnext"), 2, "did you mean 'resnet'"),
    (("recommend", "--budget", "5M", "--epochs", "5", "--dataset", "cifar"), 2, "did you mean 'cifar10'"),
    (("recommend", "--budget", "5M", "--epochs", "5", "--members", "0"), 2, "1 to 256"),
    (("recommend", "--budget", "5M", "--epochs", "5", "--objective", "fast"), 2, "objective"),
    (("recommend", "--budget", "5M", "--epochs", "5", "--device", "tpu"), 2, "cpu or cuda"),
    (("recommend", "--budget", "5M", "--epochs", "5", "--max-memory", "lots"), 2, "8G"),
    (("recommend", "--budget", "5M", "--epochs", "5", "--max-train-time", "soon"), 2, "10m"),
    (("recommend", "--budget", "5M", "--epochs", "5", "--trials", "0"), 2, "--trials"),
    (("recommend", "--budget", "5M", "--epochs", "5", "--seed", "-1"), 2, "--seed"),
    (("recommend", "--budget", "5M", "--epochs", "5", "--max-latency-ms", "nan"), 2, "positive"),
    (("recommend", "--budget", "5M", "--epochs", "99999999999"), 2, "at most"),
    (("recommend", "--budget", "5M", "--epochs", "5", "--max-usd", "5"), 2, "add --price-per-hour USD"),
    (
        ("recommend", "--budget", "5M", "--epochs", "5", *PRICED, "--max-usd", "0"),
        2,
        "--max-usd must be positive",
    ),
    (("recommend", "--budget", "5M", "--epochs", "5", *PRICED, "--max-usd", "nan"), 2, "--max-usd must be"),
    (("recommend", "--budget", "5M", "--epochs", "5", "--price-per-hour", "inf"), 2, "positive and finite"),
    (("whatif", "mlp-1-8", "--epochs", "x2", "--price-per-hour", "p100"), 2, "k80 or v100"),
    (("--price-per-hour", "0", "runs", "list"), 2, "--price-per-hour must be positive"),
    (("frontier", "V6"), 2, "unknown ensemble 'V6'"),
    (("frontier", "V5@g2"), 2, "leave out @g2"),
    (("frontier", "resnet-8-4"), 2, "is one network: write 4xresnet-8-4"),
    (("frontier", "300xresnet-8-4"), 2, "1 to 256 members"),
    (("frontier", "2xresnet-8-4", "--price-per-hour", "-1"), 2, "--price-per-hour must be positive"),
    (("frontier", "2xresnet-8-4", "--plot", "front.pdf"), 2, ".html, .svg or .png"),
    (("explain", "2xresnet-8-4", "--plot", "plan.pdf"), 2, ".html, .svg or .png"),
    (("equivalents", "resnet-14-8", "--plot", "k.svg"), 2, "add --compare"),
    (("runs", "show", "1", "--plot", "curves.pdf"), 2, ".html, .svg or .png"),
    (("runs", "compare", "1", "2", "--plot", "runs.pdf"), 2, ".html, .svg or .png"),
    (("equivalents", "resnet-14-8", "--compare", "--members", "300"), 2, "2 to 256 members"),
    (("equivalents", "resnet-14-8", "--compare", "--members", "1"), 2, "at least 2 members"),
    (("equivalents", "resnet-14-8", "--compare", "--classes", "5"), 2, "give --dataset"),
    (("equivalents", "vgg-16-8~b1l1:3x9", "--compare"), 2, "regular networks"),
    (("runs", "diversity", "3"), 2, "no run"),
    (("runs", "diversity", "3", "--on", "train"), 2, "test, validation"),
    (("train", "mlp-1-4", "--dataset", "digits", "--seed", "99999999999999999999"), 2, "--seed"),
    (("recommend", "--budget", "5M", "--epochs", "5", "--profile-seconds", "-1"), 2, "negative"),
    (("train", "4xresnet", "--dataset", "digits"), 2, "family-depth-width"),
    (("train", "resnet-27-16", "--dataset", "digits"), 2, "26 or 32"),
    (("train", "2xresnet-8-4@g3", "--dataset", "digits"), 2, "1 to 2 clusters"),
    (("train", "resnet-8-4+mlp-1-8@g1", "--dataset", "digits"), 2, "families"),
    (("train", "resnet-8-4", "--dataset", "digit"), 2, "did you mean 'digits'"),
    (("train", "resnet-8-4", "--dataset", "digits", "--method", "magic"), 2, "method"),
    (("train", "vgg-11-8~b7:2", "--dataset", "digits"), 2, "it has 6 blocks"),
    (("train", "2xresnet-8-4@g1", "--dataset", "digits", "--method", "full_data"), 2, "leave out @g1"),
    (("train", "resnet-8-4", "--dataset", "digits", "--augment", "rand"), 2, "choose one of crop, "),
    (("explain", "resnet-8-4", "--augment", "crop+flop"), 2, "did you mean 'crop+flip'"),
    (("train", "resnet-8-4", "--rank", "2", "--dataset", "digits"), 2, "--rank"),
    (("train", "resnet-8-4", "--dataset", "folder:/nowhere/at/all"), 2, "does not exist"),
    (("train", "resnet-8-4", "--dataset", "digits", "--time-limit", "0"), 2, "--time-limit"),
    (("train", "no-such-plan.json"), 2, "cannot read the plan"),
    (("resume", "3"), 2, "no run"),
    (("runs", "show", "3"), 2, "no run"),
    (("runs", "show", "three"), 2, "number"),
    (("runs", "delete", "3"), 2, "no run"),
    (("runs", "compare", "1"), 2, "at least 2"),
    (("runs", "list", "--where", "colour=red"), 2, "column"),
    (("runs", "list", "--where", "status"), 2, "key=value"),
    (("runs", "list", "--sort", "colour"), 2, "column"),
    (("runs", "list", "--limit", "0"), 2, "at least 1"),
    (("runs", "export", "--format", "xml"), 2, "format"),
    (("db", "check"), 4, "no database"),
    (("db", "backup", "copy.sqlite"), 4, "no database"),
    (("equivalents", "resnet-26-16", "--members", "1"), 2, "at least 2"),
    (("equivalents", "resnet-26-16", "--input", "32"), 2, "3x32x32"),
    (("space", "--budget", "10G", "--family", "mlp"), 2, "smaller budget"),
    (("report", "out.html"), 2, "nothing to report yet"),
    (("report", "out.html", "--run", "last"), 4, "no database"),
    (("report", "out.html", "--recommendation", "7"), 2, "last or none"),
    (("report", "out.pdf"), 2, "a report is an .html file"),
    (("web", "--port", "65536"), 2, "--port must be from 0 to 65535"),
    (("web", "--host", ""), 2, "--host must be an address"),
    (("nonsense",), 2, "nonsense"),
    (("runs", "lst"), 2, "lst"),
]


@pytest.mark.parametrize(("arguments", "code", "remedy"), REFUSED, ids=lambda value: str(value)[:60])
def test_bad_input_is_one_line_and_nothing_is_written(advisor, home, arguments, code, remedy):
    answer = advisor(*arguments)
    assert answer.code == code
    assert remedy in answer.error_line
    assert answer.out == ""
    assert not home.exists()


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"schema_version": 1}', "damaged"),
        ('{"schema_version": 3}', "upgrade"),
        ("\x00\xff", "damaged"),
    ],
)
def test_a_damaged_or_newer_plan_is_refused(advisor, tmp_path, text, remedy):
    path = tmp_path / "plan.json"
    path.write_text(text, encoding="latin-1")
    answer = advisor("train", str(path))
    assert answer.code == 2
    assert remedy in answer.error_line
    assert str(path) in answer.error_line


def test_a_plan_does_not_take_options_that_it_fixes(advisor, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text("{}")
    assert "leave the option out" in advisor("train", str(path), "--epochs", "3").error_line
    assert "fixes its augmentation" in advisor("train", str(path), "--augment", "none").error_line


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to be read as one" * 40, b"SQLite format 3\0junk"]
)
def test_a_damaged_database_is_a_storage_error(advisor, home, content):
    home.mkdir()
    (home / "advisor.sqlite").write_bytes(content)
    for command in (
        ("runs", "list"),
        ("runs", "show", "last"),
        ("train", "resnet-8-4", "--dataset", "digits"),
    ):
        answer = advisor(*command)
        assert answer.code == 4
        assert "advisor.sqlite" in answer.error_line
    assert (home / "advisor.sqlite").read_bytes() == content


def test_a_newer_database_is_a_storage_error(advisor, home):
    home.mkdir()
    with sqlite3.connect(home / "advisor.sqlite") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()
    for command in (("runs", "list"), ("db", "check")):
        answer = advisor(*command)
        assert answer.code == 4
        assert "newer" in answer.error_line


def test_a_home_that_cannot_be_a_folder_is_a_storage_error(advisor, tmp_path):
    (tmp_path / "file").write_text("")
    answer = advisor("--home", str(tmp_path / "file" / "home"), "train", "resnet-8-4", "--dataset", "digits")
    assert answer.code == 4
    assert len(answer.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        ("runs", "list"),
        ("runs", "show", "1"),
        ("runs", "show", "last"),
        ("runs", "compare", "1", "2"),
        ("runs", "export"),
        ("runs", "delete", "1", "--yes"),
        ("db", "path"),
        ("db", "check"),
        ("db", "backup", "copy.sqlite"),
        ("explain", "1"),
        ("explain", "mlp-1-4", "--dataset", "digits"),
        ("whatif", "mlp-1-4", "--dataset", "digits", "--epochs", "x2"),
        ("profile", "mlp-1-4", "--dataset", "digits"),
        ("train", "mlp-1-4", "--dataset", "digits"),
        ("resume", "1"),
        ("recommend", "--budget", "60k", "--epochs", "5", "--dataset", "digits"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("below", [False, True])
def test_a_file_as_home_is_refused_by_every_command_that_opens_it(advisor, tmp_path, command, below):
    file = tmp_path / "file"
    file.write_text("precious")
    home = file / "home" if below else file
    answer = advisor("--home", str(home), *command)
    assert answer.code == 4
    assert answer.error_line == (
        f"advisor: the home {home} must be a folder, which {file} is not: choose another with --home"
    )
    assert file.read_text() == "precious"


def test_commands_without_a_home_do_not_mind_a_file_in_its_place(advisor, tmp_path):
    (tmp_path / "file").write_text("")
    assert advisor("--home", str(tmp_path / "file"), "equivalents", "resnet-26-16").code == 0


def test_a_settings_file_with_an_unknown_key_is_refused(advisor):
    Path("advisor.toml").write_text("[recommend]\nbudgett = '5M'\n")
    answer = advisor("runs", "list")
    assert answer.code == 2
    assert "budgett" in answer.error_line


def test_a_settings_file_that_is_not_toml_is_refused(advisor):
    Path("advisor.toml").write_text("[recommend")
    assert "advisor.toml" in advisor("runs", "list").error_line


def test_settings_come_from_line_then_environment_then_file(advisor, monkeypatch):
    Path("advisor.toml").write_text("[equivalents]\nmembers = 2\n")
    assert advisor("equivalents", "resnet-26-16", "--json").json["width_equivalent"]["members"] == 2
    monkeypatch.setenv("ADVISOR_EQUIVALENTS_MEMBERS", "3")
    assert advisor("equivalents", "resnet-26-16", "--json").json["width_equivalent"]["members"] == 3
    answer = advisor("equivalents", "resnet-26-16", "--members", "6", "--json").json
    assert answer["width_equivalent"] is None or answer["width_equivalent"]["members"] == 6


def test_the_home_may_stand_behind_the_command(advisor, tmp_path):
    answer = advisor("db", "path", "--home", str(tmp_path / "elsewhere"))
    assert answer.out.strip() == str(tmp_path / "elsewhere" / "advisor.sqlite")


def test_a_project_folder_is_the_home_when_none_is_named(advisor, monkeypatch):
    monkeypatch.delenv("ADVISOR_HOME")
    Path(".advisor").mkdir()
    assert advisor("db", "path").out.strip() == str(Path(".advisor/advisor.sqlite").absolute())


def test_json_of_an_empty_home_is_an_empty_list(advisor, home):
    assert advisor("runs", "list", "--json").json == {"schema_version": 1, "runs": []}
    assert not home.exists()


def test_a_run_of_a_folder_with_images_of_mixed_sizes_is_refused(advisor, tmp_path):
    from PIL import Image

    for split in ("train", "test"):
        for label in ("a", "b"):
            folder = tmp_path / "data" / split / label
            folder.mkdir(parents=True)
            for i in range(12):
                side = 9 if (split, label, i) == ("train", "b", 7) else 8
                Image.new("L", (side, 8), color=20 * i).save(folder / f"{i}.png")
    answer = advisor("train", "mlp-1-4", "--dataset", f"folder:{tmp_path / 'data'}", "--epochs", "1")
    assert answer.code == 2
    assert "7.png" in answer.error_line
    assert "size" in answer.error_line


def test_errors_show_where_with_debug(advisor):
    with pytest.raises(Exception, match="27"):
        advisor("--debug", "equivalents", "resnet-27-16")


def test_every_json_object_carries_a_schema_version(advisor):
    for command in (("db", "path"), ("runs", "list"), ("runs", "export", "--format", "json")):
        arguments = command if "export" in command else (*command, "--json")
        assert json.loads(advisor(*arguments).out)["schema_version"] == 1


def test_no_command_is_without_help(advisor):
    from typer.main import get_command

    from cli.app import app

    def walk(command, names):
        if hasattr(command, "commands"):
            for name, sub in command.commands.items():
                yield from walk(sub, (*names, name))
        if not hasattr(command, "commands") or command.invoke_without_command and names:
            yield names, command

    found = dict(walk(get_command(app), ()))
    assert len(found) == 31
    for names, command in found.items():
        assert command.help, names
        assert all(getattr(p, "help", True) for p in command.params if p.name != "run"), names


def test_settings_are_named_as_the_options_and_hold_for_the_whole_program(advisor):
    Path("advisor.toml").write_text("quiet = true\n[space]\njson = true\n")
    answer = advisor("space", "--budget", "20k", "--family", "resnet", "--input", "1x8x8")
    assert answer.json["schema_version"] == 1
    Path("advisor.toml").write_text("debug = true\n")
    assert "no setting is called 'debug'" in advisor("db", "path").error_line


def test_probing_before_a_recommendation_can_be_set(advisor, monkeypatch):
    monkeypatch.delenv("ADVISOR_RECOMMEND_PROBE")
    for value, text in (("-1", "got -1"), ("'soon'", "got soon"), ("nan", "got nan")):
        Path("advisor.toml").write_text(f"[recommend]\nprobe = {value}\n")
        assert text in advisor("recommend", "--budget", "60k", "--epochs", "3").error_line
    Path("advisor.toml").write_text("[probe]\nminutes = 1\n[probe.list]\njson = true\n")
    assert advisor("probe", "list").json["probes"] == []
    assert "add --dataset NAME" in advisor("probe").error_line
    Path("advisor.toml").unlink()
    assert "add --minutes M" in advisor("probe", "--dataset", "digits").error_line
    assert "--minutes in front of list" in advisor("probe", "--minutes", "1", "list").error_line


@pytest.mark.parametrize("text", ["tool = 3\n", "[tool]\nadvisor = 'x'\n"])
def test_a_settings_section_that_is_no_table_is_refused(advisor, text):
    Path("pyproject.toml").write_text(text)
    answer = advisor("db", "path")
    assert answer.code == 2
    assert "must be a table" in answer.error_line


def test_an_environment_that_turns_tracebacks_off_gets_none(advisor, monkeypatch):
    monkeypatch.setenv("ADVISOR_DEBUG", "false")
    assert "5M" in advisor("space", "--budget", "5X").error_line


def test_what_a_recommendation_was_asked_for_does_not_replace_what_is_said(advisor):
    asked = {"dataset": "digits", "epochs": 120, "batch": 64, "seed": 0, "device": None}
    filled = _completed(PlanRequest(epochs=0, batch=0), SimpleNamespace(request=asked))
    assert (filled.epochs, filled.batch) == (0, 0)
    filled = _completed(PlanRequest(), SimpleNamespace(request=asked))
    assert (filled.epochs, filled.batch, filled.dataset) == (120, 64, "digits")


def test_a_design_whose_name_is_longer_than_a_file_name_is_a_design(advisor):
    name = "+".join(f"mlp-1-{width}" for width in range(10, 50))
    answer = advisor("explain", name, "--dataset", "digits", "--epochs", "1", "--json")
    assert "unexpected" not in answer.err


def test_more_runs_than_the_database_counts_are_all(advisor):
    assert advisor("runs", "list", "--limit", "99999999999999999999", "--json").json["runs"] == []


@pytest.mark.parametrize(
    "hostile", ["../../0001/networks/member-2", "{outside}/stolen", "member-1/../../../x"]
)
def test_a_plan_writes_and_deletes_nothing_outside_its_run(advisor, home, tmp_path, hostile):
    plan = make_plan(
        parse_design("2xmlp-1-4"),
        dataset_named("digits"),
        epochs=1,
        batch=32,
        seed=0,
        execution=Execution(
            device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous"
        ),
    )
    outside = tmp_path / "outside"
    outside.mkdir()
    Path("good.json").write_text(plan_to_json(plan))
    assert advisor("train", "good.json", "--quiet").code == 0

    def everything():
        files = [*home.rglob("*"), *outside.rglob("*")]
        return {f: f.read_bytes() for f in files if f.is_file() and "advisor.sqlite" not in f.name}

    before = everything()
    text = plan_to_json(plan).replace('"member-1"', f'"{hostile.format(outside=outside)}"')
    Path("hostile.json").write_text(text)
    for command in ("train", "explain"):
        answer = advisor(command, "hostile.json")
        assert answer.code == 2
        assert "letters, digits and hyphens" in answer.error_line
    assert everything() == before
    assert advisor("runs", "show", "1", "--json").json["run"]["status"] == "done"
