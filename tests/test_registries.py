"""Registries with the same keys, compared with each other: a forgotten entry is an error that names its file.

Some of them are checked at import (`advisor.errors.require_entries`), so that nothing runs without the entry.
The others are checked here. CONTRIBUTING has a recipe for each kind of entry.
"""

from __future__ import annotations

import dataclasses
import typing
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from torch import nn
from typer.testing import CliRunner

from advisor.accuracy import prior
from advisor.accuracy.sources import published
from advisor.cost import acquisition, predictor
from advisor.cost.memory import fit as memory_fit
from advisor.cost.memory import liveness
from advisor.designs.design import parse_design
from advisor.errors import UnknownNameError, lookup, require_entries
from advisor.networks.architecture import lower, regular_network
from advisor.networks.families import FAMILIES
from advisor.networks.graph import (
    Add,
    AveragePool,
    BatchNorm,
    Concat,
    Conv,
    Flatten,
    GlobalAveragePool,
    Linear,
    MaxPool,
    Operation,
    PadShortcut,
    Relu,
)
from advisor.networks.layers import Task
from advisor.networks.regular_counts import regular_counts
from advisor.plans.dataset import DATASETS, Augmentation
from advisor.plans.execution import DEVICES, DTYPES, Execution
from advisor.plans.method_traits import BY_CLUSTERS, TRAITS, Method
from advisor.plans.methods import BUILDERS, make_plan
from advisor.plans.recipes.table import RECIPES
from advisor.plans.records import EnsembleMetrics, RunStatus
from cli import options
from cli.app import app
from cli.render import runs as render_runs
from db import listing
from db.models import RunRow
from db.session import open_store
from profiler import steps
from trainer.data.archives import ARCHIVES
from trainer.data.loading import AT_HAND, LOADERS
from trainer.ensembles.metrics import Predictions, ensemble_metrics
from trainer.networks.network import _module_of

CIFAR10 = DATASETS["cifar10"].task
# One of each operation.
OPERATIONS = (
    Conv(3, 4, 3),
    Linear(3, 4),
    BatchNorm(4),
    Relu(),
    Add(),
    PadShortcut(4, 2),
    MaxPool(),
    AveragePool(),
    GlobalAveragePool(),
    Flatten(),
    Concat(),
)
# Columns of a run that no listing shows: JSON of any length.
UNLISTED = {"plan", "forecast", "test", "navigation"}
# Figures that are shown by other means than as one share: lists, positions and the likelihood.
OTHERWISE_SHOWN = {
    "error",
    "member_errors",
    "super_learner_weights",
    "best_member",
    "errors_by_members",
    "nll",
}


def metrics() -> EnsembleMetrics:
    """Figures of three members on eight images of four classes, drawn at random."""
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), (3, 8)).astype(np.float32)
    answers = Predictions(probabilities, generator.integers(0, 4, 8))
    return ensemble_metrics(answers, answers)


# The check itself.


def test_a_registry_without_an_entry_is_refused_with_its_file_and_the_entry():
    with pytest.raises(LookupError, match=r"^schedule.py: RECIPES has no entry for toy: add it$"):
        require_entries("schedule.py: RECIPES", ["resnet"], ["resnet", "toy"])


def test_a_registry_with_an_entry_that_nothing_else_knows_is_refused():
    with pytest.raises(LookupError, match="has an entry for toy, which nothing else knows"):
        require_entries("schedule.py: RECIPES", ["resnet", "toy"], ["resnet"])


def test_a_name_is_looked_up_in_a_mapping_or_an_enum_and_refused_with_the_nearest_one():
    assert lookup("digit", "two", {"one": 1, "two": 2}) == 2
    assert lookup("method", "fge", Method) is Method.FGE
    with pytest.raises(UnknownNameError, match=r"^unknown method 'bagginf': did you mean 'bagging'\?$"):
        lookup("method", "bagginf", Method)
    with pytest.raises(UnknownNameError, match="choose one of folder:PATH, one, two"):
        lookup("digit", "q", {"one": 1, "two": 2}, "folder:PATH")


# Families: advisor/networks/families, advisor/plans/recipes/table.py.


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_training_settings_and_a_usual_depth(family):
    require_entries("advisor/plans/recipes/table.py: RECIPES", RECIPES, FAMILIES)
    assert hasattr(FAMILIES[family], "usual_depth"), f"{type(FAMILIES[family])} has no usual_depth"
    deepest = FAMILIES[family].valid_depths(200)[-1]
    assert next(FAMILIES[family].depths()) <= FAMILIES[family].usual_depth <= deepest


@pytest.mark.parametrize("family", FAMILIES)
def test_the_counts_of_every_family_are_polynomials_in_depth_and_width(family):
    depths = list(islice(FAMILIES[family].depths(), 12))
    counts = regular_counts(family, CIFAR10, depths[-1])
    for depth in depths:
        for width in (1, 7, 40):
            graph = lower(regular_network(family, depth, width), CIFAR10)
            found = (counts.parameters(depth, width), counts.macs(depth, width))
            assert found == (graph.parameters, graph.macs), (
                f"advisor/networks/regular_counts.py cannot extrapolate {family}-{depth}-{width}"
            )


def test_published_errors_are_of_known_families_and_described_data_sets():
    for error in (*published.ERRORS, *published.GAPS):
        assert error.family in FAMILIES, f"advisor/accuracy/sources/published.py: {error.family}"
        assert error.dataset in prior.PUBLISHED_DATASETS, (
            f"advisor/accuracy/prior.py: PUBLISHED_DATASETS: {error.dataset}"
        )


# Operations: advisor/networks/graph.py, advisor/cost/features.py, trainer/networks/network.py.


def test_every_operation_can_be_built_and_is_a_kind_of_layer():
    kinds = [kind.__name__ for kind in typing.get_args(Operation)]
    require_entries("tests/test_registries.py: OPERATIONS", [type(o).__name__ for o in OPERATIONS], kinds)
    for operation in OPERATIONS:
        built = _module_of(operation)
        assert isinstance(built, nn.Module), f"trainer/networks/network.py: _module_of({operation})"


# Training methods: advisor/plans/method_traits.py, advisor/plans/methods.py, advisor/accuracy/prior.py.


def test_every_training_method_has_traits_a_plan_and_a_penalty():
    require_entries("advisor/plans/method_traits.py: TRAITS", TRAITS, Method)
    require_entries("advisor/plans/methods.py: BUILDERS", BUILDERS, Method)
    require_entries("advisor/accuracy/prior.py: _METHOD", prior._METHOD, Method)


def test_a_method_without_a_penalty_trains_from_scratch_on_all_images():
    assert [m for m, value in prior._METHOD.items() if value is None] == [BY_CLUSTERS[0]]
    assert [f"log_method/{name}" in prior.prior_of([]).names for name in Method] == [
        name in prior.PENALISED for name in Method
    ]


@pytest.mark.parametrize("method", Method)
def test_the_help_of_the_command_line_names_every_method(method):
    assert method.value in options.METHODS


# Data sets: advisor/plans/dataset.py, trainer/data/loading.py.


def test_every_data_set_has_a_loader():
    require_entries("trainer/data/loading.py: LOADERS", LOADERS, DATASETS)


def test_of_every_data_set_it_can_be_told_whether_it_is_at_hand():
    require_entries("trainer/data/loading.py: AT_HAND", AT_HAND, DATASETS)


@pytest.mark.parametrize("name", ARCHIVES)
def test_every_archive_is_one_that_torchvision_reads(name):
    from torchvision import datasets

    assert hasattr(datasets, ARCHIVES[name].reader), f"trainer/data/archives.py: ARCHIVES: {name}"


def test_only_known_data_sets_have_priors_of_their_own():
    assert set(prior.PUBLISHED_DATASETS) <= set(DATASETS), "advisor/accuracy/prior.py: PUBLISHED_DATASETS"


def test_the_help_of_the_command_line_names_every_data_set_and_augmentation():
    (dataset,), (augment,) = (typing.get_args(o)[1:] for o in (options.Dataset, options.Augment))
    assert all(name in dataset.help for name in DATASETS)
    assert all(augmentation.value in augment.help for augmentation in Augmentation)


# Devices and arithmetic: advisor/plans/execution.py.


@pytest.mark.parametrize(
    ("registry", "table"),
    [
        ("advisor/cost/acquisition.py: STEP_SECONDS", acquisition.STEP_SECONDS),
        ("advisor/cost/acquisition.py: LEAST_STEPS", acquisition.LEAST_STEPS),
        ("advisor/cost/memory/fit.py: USUAL", memory_fit.USUAL),
        ("advisor/cost/predictor.py: NOMINAL_RATE", predictor.NOMINAL_RATE),
        ("profiler/steps.py: WARM_UP", steps.WARM_UP),
        ("profiler/steps.py: LEAST_REPETITIONS", steps.LEAST_REPETITIONS),
    ],
)
def test_every_device_has_its_settings(registry, table):
    require_entries(registry, table, DEVICES)


def test_every_arithmetic_has_the_size_of_its_numbers():
    require_entries("advisor/cost/memory/liveness.py: ACTIVATION_BYTES", liveness.ACTIVATION_BYTES, DTYPES)


# Metrics: advisor/plans/records.py, trainer/ensembles/metrics.py, cli/render/runs.py, db/.


@pytest.fixture(scope="module")
def run_shown(tmp_path_factory: pytest.TempPathFactory):
    """What a command about a finished run prints."""
    home = tmp_path_factory.mktemp("home")
    plan = make_plan(
        parse_design("3xresnet-8-4"),
        DATASETS["digits"],
        epochs=1,
        batch=32,
        seed=0,
        execution=Execution(
            device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous"
        ),
    )
    with open_store(home / "advisor.sqlite") as store:
        created = "2026-01-01T00:00:00+00:00"
        run = store.create_run(created_at=created, plan=plan, parameters=1, fingerprint="", forecast=None)
        store.update_run(run.id, status=RunStatus.DONE, train_seconds=1.0, test=metrics())

    def show(*arguments: str) -> str:
        return CliRunner(env={"COLUMNS": "300"}).invoke(app, ["--home", str(home), *arguments]).output

    return show


FIGURES = [field.name for field in dataclasses.fields(EnsembleMetrics)]


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_of_an_ensemble_is_computed(figure):
    assert getattr(metrics(), figure) is not None, f"trainer/ensembles/metrics.py: {figure}"


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_of_an_ensemble_is_stored_and_printed_as_json(figure, run_shown):
    import json

    stored = json.loads(run_shown("runs", "show", "1", "--json"))["run"]["test"]
    value = getattr(metrics(), figure)
    assert stored[figure] == (list(value) if isinstance(value, tuple) else value)


def test_every_figure_of_an_ensemble_is_shown_in_a_table():
    shown = [name for _, name in (*render_runs.RIVALS, *render_runs.PARTS, *render_runs.CONFIDENCE)]
    derived = {"mean_member_error", "best_member_error"}
    wanted = (set(FIGURES) | derived) - OTHERWISE_SHOWN
    require_entries("cli/render/runs.py: RIVALS, PARTS and CONFIDENCE", shown, wanted)


def test_every_table_of_figures_is_part_of_both_views_of_runs(run_shown):
    one, several = run_shown("runs", "show", "1"), run_shown("runs", "compare", "1", "1")
    for label, name in (*render_runs.RIVALS, *render_runs.PARTS, *render_runs.CONFIDENCE):
        share = f"{100 * getattr(metrics(), name):.3g}"
        assert f"{label} {share}" in one
        assert any(label in line and share in line for line in several.splitlines())


def test_every_figure_with_a_column_of_its_own_is_written_into_it(tmp_path: Path):
    from db.conversion.runs import set_test

    row = RunRow()
    set_test(row, metrics())
    columns = {column.name for column in RunRow.__table__.columns}
    for name in columns & set(dir(EnsembleMetrics)):
        assert getattr(row, name) == getattr(metrics(), name), f"db/conversion/runs.py: set_test: {name}"


def test_a_listing_of_runs_knows_every_column_and_which_are_numbers():
    columns = {column.name: column.type.python_type for column in RunRow.__table__.columns}
    require_entries("db/listing.py: COLUMNS", listing.COLUMNS, columns.keys() - UNLISTED)
    numbers = {name for name in listing.COLUMNS if columns[name] in (int, float)}
    require_entries("db/listing.py: NUMBERS", listing.NUMBERS, numbers)
    assert all(listing.NUMBERS[name] is columns[name] for name in numbers)


def test_tasks_of_the_data_sets_are_those_that_networks_can_be_built_for():
    for facts in DATASETS.values():
        assert isinstance(facts.task, Task)
        assert lower(regular_network("vgg", 11, 4), facts.task).nodes[-1].shape == (facts.task.classes,)
