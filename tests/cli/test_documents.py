"""What README, CONTRIBUTING and docs/ say of the program, held against the program."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import pytest
import typer.main

from advisor.accuracy.reported import REQUIRED, read_reported
from advisor.decision.epoch_axis import ScheduleReading
from advisor.designs.space import MEMBER_COUNTS
from advisor.networks import families
from advisor.plans.dataset import DATASETS
from advisor.plans.methods import (
    FGE_BASE_SHARE,
    FGE_HIGH_RATE,
    FGE_LOW_RATE,
    HATCH_NOISE,
    HATCHED_SHARE,
    SNAPSHOT_RATE,
    SNAPSHOT_SHARE,
)
from advisor.plans.plan import Method
from advisor.plans.schedule import RECIPES
from cli.app import app
from cli.options import METHODS
from cli.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
RECIPES_TEXT = (ROOT / "docs" / "recipes.md").read_text()
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/adr/*.md")]


def block(language: str) -> str:
    """The one code block of README in a language."""
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
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


def test_readme_names_the_member_counts_of_the_search():
    *others, last = (str(count) for count in MEMBER_COUNTS[1:])
    assert f"k = {', '.join(others)} and {last} " in README


@pytest.mark.parametrize("family", RECIPES)
def test_readme_names_the_first_depths_of_a_family(family):
    depths = [str(d) for d in islice(families.family_named(family).depths(), 3)]
    assert ", ".join(depths) in cells(README, family)[2]


def test_the_import_of_readme_can_be_imported():
    text = block("csv")
    (training,) = read_reported(text, "README")
    assert text.splitlines()[0].split(",") == list(REQUIRED)
    assert len(training.member_errors) == 2


@pytest.mark.parametrize("file", ["advisor.toml", "pyproject.toml"])
def test_the_settings_of_readme_can_be_set(file, tmp_path):
    text = block("toml")
    if file == "pyproject.toml":
        text = "[tool.advisor]\n" + text.replace("[recommend]", "[tool.advisor.recommend]")
    (tmp_path / file).write_text(text)
    assert load_settings(tmp_path, app)["recommend"] == {"family": ["resnet", "wrn"], "max_memory": "8G"}


@pytest.mark.parametrize("family", RECIPES)
def test_the_recipes_of_families_are_written_down(family):
    recipe = RECIPES[family]
    drops = ", ".join(str(drop) for drop in recipe.drops)
    decay = f"{recipe.weight_decay:f}".rstrip("0")
    rest = [str(recipe.rate), drops, decay, str(recipe.reference_epochs)]
    assert cells(RECIPES_TEXT, family)[1:] == rest
    assert (recipe.momentum, recipe.hatched_rate) == (0.9, 0.1)


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
    assert f"FGE: {FGE_BASE_SHARE} of the schedule" in text
    assert f"between {FGE_LOW_RATE} and {FGE_HIGH_RATE} of the family's rate" in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_benchmark_stands_in_contributing():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`(?:\w+/)?([a-z_]+\.py)`", text))
    scripts = {path.name for path in (ROOT / "benchmarks").rglob("*.py")}
    # Parts of `advice.py`, which it names as advice_*.py.
    assert {name for name in scripts - named if not name.startswith("advice_")} == set()
