"""The recipes of CONTRIBUTING, tried: one made-up family, data set, training method and metric.

Each test does what its recipe says, by putting entries into the registries that the recipe names, and then
takes what it added through the program. Nothing else is changed: where that does not suffice, a recipe has
become longer than CONTRIBUTING says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from advisor.accuracy import predictor as predictor_module
from advisor.accuracy import prior
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.predictor import CostPredictor
from advisor.cost.pricing import PricedPlan, price
from advisor.designs.design import Design, parse_design
from advisor.designs.mixtures import enumerate_mixtures
from advisor.designs.space import enumerate_candidates
from advisor.networks import architecture
from advisor.networks.families import FAMILIES
from advisor.networks.families.base import Family
from advisor.networks.graph import Graph, GraphBuilder
from advisor.networks.layers import Blocks, Layer, Task
from advisor.networks.mothernet import mother_of
from advisor.plans.dataset import DATASETS, Augmentation, DatasetFacts
from advisor.plans.draft import Draft, member_name
from advisor.plans.execution import Execution
from advisor.plans.method_traits import TRAITS, Method, Traits
from advisor.plans.methods import BUILDERS, PlanOptions, make_plan
from advisor.plans.plan import TrainingPlan, plan_from_json, plan_to_json
from advisor.plans.recipes.table import RECIPES, Recipe
from advisor.plans.records import EnsembleMetrics, RunStatus
from cli.app import app
from cli.render import runs as render_runs
from cli.workflows.answers.runs.run import EnsembleFigures
from db.conversion import runs as conversion
from db.session import open_store
from trainer.data.images import Source
from trainer.data.loading import AT_HAND, LOADERS, is_at_hand, load_data
from trainer.ensembles.metrics import Predictions, ensemble_metrics
from trainer.networks.hatching import hatch, hatch_difference
from trainer.networks.network import build_network
from trainer.training.workload import StepWorkload

PLAIN = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")
DIGITS = DATASETS["digits"]


@pytest.fixture(autouse=True)
def in_one_thread(one_thread: None) -> None:
    """Every test here computes in one thread."""


def planned(design: str, facts: DatasetFacts = DIGITS, *, method: Method | None = None) -> TrainingPlan:
    options = PlanOptions(method=method)
    return make_plan(
        parse_design(design), facts, epochs=2, batch=32, seed=0, execution=PLAIN, options=options
    )


def nominal(plan: TrainingPlan) -> PricedPlan:
    """The price of a plan on a machine that nothing was measured on."""
    return price(plan, CostPredictor([], PLAIN))


def expected_error(plan: TrainingPlan) -> float:
    facts = plan.dataset
    predictor = AccuracyPredictor([facts.learned_as])
    draws = predictor.sample_errors(
        [parse_design(plan.design)], facts.learned_as, facts.task, plan.epochs, [plan.method]
    )
    return float(draws.mean())


def asked(home: Path, *arguments: str) -> str:
    """Call the command line in this process, where the registries have the new entry."""
    runner = CliRunner(env={"COLUMNS": "300"})
    result = runner.invoke(app, ["--home", str(home), "--quiet", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def trained(home: Path, *arguments: str) -> dict[str, Any]:
    """Train a single network, which takes no other process, and return the run."""
    run: dict[str, Any] = json.loads(asked(home, "train", *arguments, "--device", "cpu", "--json"))["run"]
    return run


# Add a family.


class Plain(Family):
    """Convolutions of one width and global average pooling; depth counts the convolutions."""

    name = "plain"
    usual_depth = 8.0

    def depths(self) -> Iterator[int]:
        return count(1)

    def depth_of(self, blocks: Blocks) -> int:
        return len(blocks[0])

    def regular_blocks(self, depth: int, width: int) -> Blocks:
        return ((Layer(3, width),) * depth,)

    def check_filters(self, width: int, regular: Blocks, blocks: Blocks) -> None:
        """Every layer may have any number of filters."""

    def lower(self, width: int, blocks: Blocks, task: Task) -> Graph:
        build = GraphBuilder((task.channels, task.height, task.width))
        out = "input"
        for i, layer in enumerate(blocks[0], 1):
            out = build.conv_norm_relu(f"block1.layer{i}", out, layer.filters, layer.kernel)
        build.pooled_classifier(out, task.classes)
        return build.build()


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(FAMILIES, "plain", Plain())
    monkeypatch.setitem(RECIPES, "plain", Recipe(drops=(0.5,), weight_decay=1e-4, reference_epochs=100))
    yield
    # No later test may read a name of a family that is gone.
    architecture.parse_network.cache_clear()


@pytest.mark.usefixtures("plain")
def test_a_family_needs_its_module_its_line_and_its_training_settings():
    spec = architecture.parse_network("plain-3-8~b1l2:5x12")
    assert architecture.parse_network(spec.name) == spec
    # By hand: convolutions of 1·8·3², 8·12·5² and 12·8·3² weights, 2 a channel of normalisation, classifier.
    parameters = 8 * 9 + 8 * 12 * 25 + 12 * 8 * 9 + 2 * (8 + 12 + 8) + 9 * 10
    assert architecture.lower(spec, DIGITS.task).parameters == parameters

    candidates = enumerate_candidates(20_000, ["plain"], DIGITS.task)
    assert {c.members for c in candidates} >= {1, 2, 4}
    assert all(c.parameters == c.design().parameters(DIGITS.task) <= 20_000 for c in candidates)
    assert enumerate_mixtures(20_000, ["plain"], DIGITS.task, [4])

    plan = planned("3xplain-4-8@g1")
    assert plan_from_json(plan_to_json(plan)) == plan
    assert 0 < expected_error(plan) < 1
    cost = nominal(plan)
    assert cost.train_seconds.mean > 0
    assert cost.train_peak_bytes.mean > 4 * parse_design("plain-4-8").parameters(DIGITS.task)

    workload = StepWorkload(
        network="plain-3-8~b1l2:5x12",
        task=DIGITS.task,
        batch=16,
        augmentation=Augmentation.CROP,
        execution=PLAIN,
    ).prepare()
    workload.train_step(lambda phase: None)
    # The step of a workload leaves the weights as they are, at a rate of 0, but it has their gradients.
    assert all(p.grad.isfinite().all() and p.grad.any() for p in workload.module.parameters())
    assert workload.inference_step().shape == (16, 10)


@pytest.mark.usefixtures("plain")
def test_a_family_is_hatched_from_a_mother_network_without_more():
    mother, member = (architecture.parse_network(name) for name in ("plain-2-4", "plain-3-6"))
    assert mother_of([mother, member]) == mother
    images = torch.randn(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    small = build_network(architecture.lower(mother, DIGITS.task), 0)
    large = hatch(small, mother, member, DIGITS.task, images, 0)
    assert hatch_difference(small, large, images) < 1e-6


# Add a data set.


STRIPES = DatasetFacts(
    name="stripes",
    task=Task(channels=1, height=8, width=8, classes=2),
    train_images=80,
    validation_images=20,
    test_images=20,
    augmentation=Augmentation.NONE,
    batch=16,
)


def stripe_images(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of class 0 and 1 have a bright row at that height, on noise."""
    generator = np.random.default_rng(number)
    labels = np.arange(number, dtype=np.int64) % 2
    images = generator.integers(0, 100, (number, 1, 8, 8)).astype(np.uint8)
    images[np.arange(number), 0, labels] = 255
    return images, labels


def load_stripes(facts: DatasetFacts, root: Path, download: bool) -> Source:
    whole = stripe_images(facts.train_images + facts.validation_images)
    return Source(whole, stripe_images(facts.test_images))


def test_a_data_set_needs_its_facts_and_its_loader(monkeypatch, tmp_path):
    monkeypatch.setitem(DATASETS, "stripes", STRIPES)
    monkeypatch.setitem(LOADERS, "stripes", load_stripes)
    monkeypatch.setitem(AT_HAND, "stripes", lambda root: True)

    from cli.workflows.names import facts_of

    facts = facts_of("stripes", "crop")
    assert facts == replace(STRIPES, augmentation=Augmentation.CROP)
    plan = make_plan(parse_design("2xmlp-1-8"), STRIPES, epochs=8, batch=16, seed=0, execution=PLAIN)
    assert 0 < expected_error(plan) < 0.5
    assert nominal(plan).train_seconds.mean > 0

    data = load_data(STRIPES, tmp_path)
    assert is_at_hand(STRIPES, tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (80, 20, 20)
    assert data.train.images.shape == (80, 1, 8, 8)
    assert trained(tmp_path, "mlp-1-8", "--dataset", "stripes", "--epochs", "8")["test"]["error"] < 0.2


# Add a training method.


def add_member(patch: pytest.MonkeyPatch, name: str, value: str) -> Method:
    """Add a line to the enum `Method`, as its recipe does with an editor."""
    method = str.__new__(Method, value)
    method._name_, method._value_ = name, value
    patch.setitem(Method._member_map_, name, method)
    patch.setitem(Method._value2member_map_, value, method)
    patch.setattr(Method, "_member_names_", [*Method._member_names_, name])
    return method


def build_patient(draft: Draft, design: Design, task: Task) -> None:
    """Every member trains from scratch for twice the schedule."""
    for i, spec in enumerate(design.members):
        draft.scratch(member_name(i), spec, epochs=2 * draft.epochs)


def test_a_training_method_needs_its_name_with_traits_its_plan_and_its_penalty(monkeypatch, tmp_path):
    patient = add_member(monkeypatch, "PATIENT", "patient")
    monkeypatch.setitem(TRAITS, patient, Traits())
    monkeypatch.setitem(BUILDERS, patient, build_patient)
    monkeypatch.setitem(prior._METHOD, patient, (-0.2, 0.01))
    # As the module itself works out from its penalties.
    penalised = (*prior.PENALISED, patient)
    for module in ("prior", "cases", "formula"):
        monkeypatch.setattr(f"advisor.accuracy.{module}.PENALISED", penalised)
    # A fit of before is remembered, and one of this registry must not be.
    monkeypatch.setattr("advisor.accuracy.predictor._fitted", predictor_module._fitted.__wrapped__)

    plan, usual = planned("2xmlp-1-8", method=Method("patient")), planned("2xmlp-1-8")
    assert plan_from_json(plan_to_json(plan)) == plan
    assert plan.method is patient
    assert nominal(plan).train_seconds.mean == pytest.approx(2 * nominal(usual).train_seconds.mean)
    # The penalty is the logarithm of a factor; errors near to guessing fall by less.
    assert np.exp(-0.2) < expected_error(plan) / expected_error(usual) < 1

    options = ("--dataset", "digits", "--epochs", "1", "--method", "patient")
    run = trained(tmp_path, "mlp-1-8", *options)
    assert (run["method"], run["networks"][0]["epochs"]) == ("patient", 2)


# Add a metric.


@dataclass(frozen=True, slots=True, kw_only=True)
class WithConfidence(EnsembleMetrics):
    """The figures with one more.

    Attributes:
        confidence: mean of the largest averaged probability of an image.
    """

    confidence: float | None = None


WithConfidence.__name__ = "EnsembleMetrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownWithConfidence(EnsembleFigures):
    """The figures of a run with one more."""

    confidence: float | None


def with_confidence(test: Predictions, validation: Predictions) -> WithConfidence:
    figures = ensemble_metrics(test, validation)
    values = {name: getattr(figures, name) for name in EnsembleMetrics.__dataclass_fields__}
    sure = float(test.probabilities.mean(axis=0).max(axis=1).mean())
    return WithConfidence(**values, confidence=sure)


def test_a_metric_needs_its_field_its_computation_and_its_place_in_a_table(monkeypatch, tmp_path):
    monkeypatch.setattr(conversion, "EnsembleMetrics", WithConfidence)
    monkeypatch.setattr("cli.workflows.runs.description.EnsembleFigures", ShownWithConfidence)
    monkeypatch.setattr(render_runs, "CONFIDENCE", (*render_runs.CONFIDENCE, ("confidence", "confidence")))
    # Two members, two images: averages (0.7, 0.3) and (0.4, 0.6), so that the mean of the largest is 0.65.
    answers = np.array([[[0.8, 0.2], [0.3, 0.7]], [[0.6, 0.4], [0.5, 0.5]]], dtype=np.float32)
    found = with_confidence(*[Predictions(answers, np.array([0, 1]))] * 2)
    assert found.confidence == pytest.approx(0.65)

    with open_store(tmp_path / "advisor.sqlite") as store:
        created = "2026-01-01T00:00:00+00:00"
        plan = planned("2xmlp-1-8")
        run = store.create_run(created_at=created, plan=plan, parameters=1, fingerprint="", forecast=None)
        store.update_run(run.id, status=RunStatus.DONE, train_seconds=1.0, test=found)
        assert store.run(run.id).test == found

    as_json = json.loads(asked(tmp_path, "runs", "show", "1", "--json"))
    assert as_json["run"]["test"]["confidence"] == found.confidence
    assert "confidence 65.0 %" in asked(tmp_path, "runs", "show", "1")
    assert "confidence" in asked(tmp_path, "runs", "compare", "1", "1")


def test_a_run_from_before_a_metric_is_read_and_shown_without_it(monkeypatch, tmp_path):
    answers = np.array([[[0.8, 0.2], [0.3, 0.7]]], dtype=np.float32)
    before = ensemble_metrics(*[Predictions(answers, np.array([0, 1]))] * 2)
    with open_store(tmp_path / "advisor.sqlite") as store:
        created = "2026-01-01T00:00:00+00:00"
        plan = planned("mlp-1-8")
        run = store.create_run(created_at=created, plan=plan, parameters=1, fingerprint="", forecast=None)
        store.update_run(run.id, status=RunStatus.DONE, train_seconds=1.0, test=before)
        monkeypatch.setattr(conversion, "EnsembleMetrics", WithConfidence)
        assert store.run(run.id).test.confidence is None


# The text of the recipes.


CONTRIBUTING = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()


def test_every_file_that_a_recipe_names_exists():
    text = CONTRIBUTING[CONTRIBUTING.index("## Recipes") : CONTRIBUTING.index("## Benchmarks")]
    named = set(re.findall(r"`((?:advisor|trainer|cli|db|docs|tests)/[a-z_/.]+\.(?:py|md))`", text))
    root = Path(__file__).parents[1]
    assert len(named) > 10
    assert [name for name in sorted(named) if not (root / name).exists()] == []


def test_every_test_that_a_recipe_names_exists():
    tests = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", CONTRIBUTING)
    assert len(named) > 10
    assert [name for name in named if f"def {name}(" not in tests] == []
