"""Statements of README, CONTRIBUTING and docs/ about the program, compared with the program."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from itertools import islice
from pathlib import Path

import pytest
import typer.main

import advisor
from advisor.accuracy.sources.reported import OPTIONAL, REQUIRED, ReportedTraining, read_reported
from advisor.cost.money.machine_price import MACHINES
from advisor.decision.threshold.epoch_axis import ScheduleReading
from advisor.designs.presets import PRESETS
from advisor.designs.space import MEMBER_COUNTS
from advisor.networks import families
from advisor.plans.convergence.kinds import Kind
from advisor.plans.convergence.predictor import PUBLISHED_EPOCHS
from advisor.plans.dataset import DATASETS
from advisor.plans.method_traits import Method
from advisor.plans.methods import (
    FGE_BASE_SHARE,
    FGE_HIGH_RATE,
    FGE_LOW_RATE,
    HATCH_NOISE,
    HATCHED_SHARE,
    SNAPSHOT_RATE,
    SNAPSHOT_SHARE,
)
from advisor.plans.recipes.choice import CHOICES, RecipeName
from advisor.plans.recipes.table import BY_DATA, RECIPES, recipe_of
from cli.app import COMMANDS, DB_COMMANDS, EXIT_CODES, READER_GONE, RUNS_COMMANDS, app
from cli.options import METHODS
from cli.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
INDEX = (DOCS / "README.md").read_text()
COMMANDS_TEXT = (DOCS / "commands.md").read_text()
DATA_TEXT = (DOCS / "data.md").read_text()
DESIGNS_TEXT = (DOCS / "designs.md").read_text()
RECIPES_TEXT = (DOCS / "recipes.md").read_text()
PAGES = sorted(path for path in DOCS.glob("*.md") if path.name != "README.md")
DOCUMENTS = [*ROOT.glob("*.md"), *DOCS.glob("*.md"), *DOCS.glob("adr/*.md"), *DOCS.glob("pa*/*.md")]
# The names of the public face.
FACE = set(advisor.__all__)


def block(text: str, language: str) -> str:
    """The one code block of a document in a language."""
    found = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert len(found) == 1
    return found[0]


def cells(text: str, first: str) -> list[str]:
    """Cells of the table row that begins with a name."""
    rows = [line for line in text.splitlines() if line.startswith(f"| `{first}` |")]
    assert len(rows) == 1, first
    return [cell.strip() for cell in rows[0].strip("|").split("|")]


def help_of(command: str, option: str) -> str:
    parameters = typer.main.get_command(app).commands[command].params
    return next(p.help for p in parameters if f"--{option}" in p.opts)


def test_the_options_name_every_method_of_training():
    assert set(METHODS) == {method.value for method in Method}
    for command in ("recommend", "train", "extend", "explain"):
        if any("--method" in p.opts for p in typer.main.get_command(app).commands[command].params):
            assert all(name in help_of(command, "method") for name in METHODS)


def test_the_help_of_reading_names_its_values():
    assert all(re.search(rf"\b{r.value}\b", help_of("est", "reading")) for r in ScheduleReading)


def test_the_member_counts_of_the_search_are_written_down():
    *others, last = (str(count) for count in MEMBER_COUNTS[1:])
    assert f"k = {', '.join(others)} and {last} " in " ".join(DESIGNS_TEXT.split())


@pytest.mark.parametrize("family", RECIPES)
def test_the_first_depths_of_a_family_are_written_down(family):
    depths = [str(d) for d in islice(families.family_named(family).depths(), 3)]
    assert ", ".join(depths) in cells(DESIGNS_TEXT, family)[2]


@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_are_written_down(name):
    assert f"`{name}`" in DESIGNS_TEXT


@pytest.mark.parametrize("name", DATASETS)
def test_the_sources_of_data_sets_are_written_down(name):
    assert f"`{name}`" in DATA_TEXT


def test_the_documented_import_can_be_imported():
    text = block(DATA_TEXT, "csv")
    (training,) = read_reported(text, "data.md")
    assert text.splitlines()[0].split(",") == list(REQUIRED)
    assert len(training.member_errors) == 2


def test_the_optional_columns_that_are_stored_are_written_down():
    named = set(re.findall(r"^\| `(\w+)` \|", DATA_TEXT.split("optional column")[1], re.MULTILINE))
    stored = {field.name for field in fields(ReportedTraining)} & set(OPTIONAL)
    assert named == stored


@pytest.mark.parametrize("file", ["advisor.toml", "pyproject.toml"])
def test_the_documented_settings_can_be_set(file, tmp_path):
    text = block(COMMANDS_TEXT, "toml")
    if file == "pyproject.toml":
        text = "[tool.advisor]\n" + text.replace("[recommend]", "[tool.advisor.recommend]")
    (tmp_path / file).write_text(text)
    assert load_settings(tmp_path, app)["recommend"] == {"family": ["resnet", "wrn"], "max_memory": "8G"}


@pytest.mark.parametrize("name", MACHINES)
def test_the_prices_of_machines_are_written_down(name):
    price = MACHINES[name]
    assert cells(COMMANDS_TEXT, name)[1:3] == [price.machine, f"{price.usd_per_hour:.2f}"]
    assert str(price.year) in cells(COMMANDS_TEXT, name)[3]


@pytest.mark.parametrize("family", RECIPES)
def test_the_recipes_of_families_are_written_down(family):
    recipe = RECIPES[family]
    drops = ", ".join(str(drop) for drop in recipe.drops)
    decay = f"{recipe.weight_decay:f}".rstrip("0")
    rest = [str(recipe.rate), drops, decay, str(recipe.reference_epochs)]
    assert cells(RECIPES_TEXT, family)[1:] == rest
    assert (recipe.momentum, recipe.hatched_rate) == (0.9, 0.1)


@pytest.mark.parametrize(("family", "dataset"), BY_DATA)
def test_the_recipes_of_data_sets_are_written_down(family, dataset):
    recipe = recipe_of(family, dataset)
    drops = ", ".join(str(drop) for drop in recipe.schedule(recipe.reference_epochs).drops)
    row = f"| `{family}` on `{dataset}` | {drops} | {recipe.reference_epochs} | {recipe.batch} |"
    assert row in RECIPES_TEXT
    assert recipe.weight_decay == RECIPES[family].weight_decay


def test_the_published_recipe_and_the_forecast_of_its_epochs_are_written_down():
    published = CHOICES[RecipeName.PUBLISHED]
    assert f"| batch | of the data set, or of the table above | {published.batch}, " in RECIPES_TEXT
    assert f"after {published.patience} epochs without a gain |" in RECIPES_TEXT
    assert f"| hatched DenseNets | 0.1 | {dict(published.hatched_rates)['densenet']} |" in RECIPES_TEXT
    assert f"member from scratch | {PUBLISHED_EPOCHS[Kind.MOTHER]:g} epochs |" in RECIPES_TEXT
    assert f"| hatched member | {PUBLISHED_EPOCHS[Kind.HATCHED]:g} |" in RECIPES_TEXT
    for kind, share in ((Kind.BAGGED, "73 %"), (Kind.DISTILLED, "65 %")):
        assert PUBLISHED_EPOCHS[kind] / 128 == pytest.approx(float(share[:2]) / 100)
        assert f"| {share} " in RECIPES_TEXT


@pytest.mark.parametrize("name", DATASETS)
def test_the_settings_of_data_sets_are_written_down(name):
    facts = DATASETS[name]
    sizes = [f"{n:,}" for n in (facts.train_images, facts.validation_images, facts.test_images)]
    shape = facts.task.text.replace("x", "×")
    about = [shape, str(facts.task.classes), str(facts.batch), facts.augmentation.value]
    assert cells(RECIPES_TEXT, name)[1:] == [*about, *sizes]


def test_the_shares_of_training_methods_are_written_down():
    text = " ".join(RECIPES_TEXT.split())
    assert f"Hatched members: {HATCHED_SHARE} of the schedule" in text
    assert f"{HATCH_NOISE} of each layer's own standard deviation" in text
    assert pytest.approx(60 / 128) == SNAPSHOT_SHARE
    assert "cycles of 60/128 of the schedule" in text
    assert SNAPSHOT_RATE == 2
    assert "from twice the family's rate" in text
    assert f"FGE | {FGE_BASE_SHARE} of the schedule" in text
    assert f"between {FGE_LOW_RATE} and {FGE_HIGH_RATE} of the family's rate" in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_documents_name_exist(document):
    rooms = "advisor|benchmarks|cli|db|docs|profiler|tests|trainer"
    named = re.findall(rf"`(?:python )?((?:{rooms})/[a-z0-9_/.-]+\.[a-z]+)`", document.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_benchmark_stands_in_contributing():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`(?:\w+/)?([a-z0-9_]+\.py)`", text))
    scripts = {path.name for path in (ROOT / "benchmarks").rglob("*.py")}
    # Parts of `advice.py` and `advice2.py`, which it names as advice_*.py and advice2_*.py.
    assert {name for name in scripts - named if not name.startswith(("advice_", "advice2_"))} == set()


def test_readme_is_read_in_ninety_seconds():
    assert len(README.splitlines()) <= 100


def test_the_index_links_every_page_once():
    assert sorted(re.findall(r"^\| \[[\w.-]+\]\(([\w-]+\.md)\) \|", INDEX, re.MULTILINE)) == sorted(
        {*(page.name for page in PAGES), "tutorial.md"}
    )


def test_the_folder_of_documents_has_fifteen_files_at_most():
    assert len([path for path in DOCS.iterdir() if path.is_file()]) <= 15


@pytest.mark.parametrize("command", [*COMMANDS, "probe", "runs", "db"])
def test_every_command_is_written_down(command):
    assert len(cells(COMMANDS_TEXT, command)) == 2


@pytest.mark.parametrize(("group", "commands"), [("runs", RUNS_COMMANDS), ("db", DB_COMMANDS)])
def test_every_command_of_a_group_is_written_down(group, commands):
    assert re.findall(r"`(\w+)`", cells(COMMANDS_TEXT, group)[1]) == list(commands)


def test_the_exit_codes_are_written_down():
    rows = re.findall(r"^\| ([\d, ]+) \| \w", COMMANDS_TEXT, re.MULTILINE)
    written = {int(code) for row in rows for code in row.split(",")}
    assert written == {0, 129, 130, READER_GONE, 143} | {code for _, code in EXIT_CODES}


@pytest.mark.parametrize("document", [README, COMMANDS_TEXT], ids=["README", "commands"])
def test_a_quoted_recommendation_stands_in_its_result(document):
    result = iter((ROOT / "benchmarks" / "results" / "recommend.txt").read_text().splitlines())
    quoted = [line for line in block(document, "text").splitlines() if line.strip() != "…"]
    # Each line is looked for behind the one before.
    assert [line for line in quoted if line not in result] == []


def test_readme_quotes_fifteen_lines_at_most():
    assert len(block(README, "text").splitlines()) <= 15


def test_the_picture_of_readme_is_there_and_its_command_beside_it():
    picture, _ = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert (ROOT / picture).read_text().startswith("<svg")
    (command,) = re.findall(rf"`advisor (est [^`]*--plot {re.escape(picture)})`", " ".join(README.split()))
    asked = typer.main.get_command(app).commands["est"].make_context("est", command.split()[1:]).params
    assert str(asked["plot"]) == picture
    assert asked["family"] in RECIPES


@pytest.mark.parametrize("path", sorted(DOCS.glob("pictures/page/*.webp")), ids=lambda path: path.name)
def test_pictures_of_the_page_are_small_and_stand_in_its_document(path):
    assert path.stat().st_size < 200_000
    assert f"](../pictures/page/{path.name})" in (DOCS / "page" / "README.md").read_text()


@pytest.mark.parametrize("document", [README, COMMANDS_TEXT], ids=["README", "commands"])
def test_python_uses_the_public_face_only(document):
    code = block(document, "python")
    compile(code, "python", "exec")
    assert set(re.findall(r"\badvisor\.(\w+)", code)) - {"export"} <= FACE


@pytest.mark.parametrize("contract", ["advisor", "trainer", "cli.workflows"])
def test_every_wing_stands_in_the_architecture(contract):
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    (layers,) = (c["layers"] for c in tool["importlinter"]["contracts"] if c.get("containers") == [contract])
    drawing = block((DOCS / "architecture.md").read_text(), "text")
    wings = set(re.findall(r"\w+", " ".join(layers)))
    assert wings - set(re.findall(r"\w+", drawing)) == set()


def test_the_wings_with_folders_have_a_row():
    text = (DOCS / "architecture.md").read_text()
    wings = [p.parent for room in ("advisor", "trainer") for p in (ROOT / room).glob("*/__init__.py")]
    assert [w for w in (str(w.relative_to(ROOT)) for w in wings) if f"| `{w}` |" not in text] == []


def test_every_test_that_a_document_names_exists():
    known = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    named = {name for document in DOCUMENTS for name in re.findall(r"test_\w+\.py", document.read_text())}
    assert named <= known
