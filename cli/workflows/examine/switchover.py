"""`advisor est`: where single networks give way to ensembles on a data set. Trains and measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.accuracy.published import ERRORS
from advisor.decision.epoch_axis import ErrorSource, source_of
from advisor.decision.switchover import Contestants, Threshold
from advisor.decision.switchover_map import (
    Grid,
    Map,
    check_members,
    equal_time,
    grid_of,
    switchover_map,
    switchover_rows,
)
from advisor.errors import UnknownNameError
from advisor.networks.families import family_named
from advisor.plans.dataset import DatasetFacts
from advisor.plans.schedule import RECIPES
from cli.quantities import check_seed, parse_budgets, parse_epochs
from cli.render.switchover_plot import check_plot, plot
from cli.workflows.files import check_writable
from cli.workflows.forecast.evidence import accuracy_for, imported_facts
from cli.workflows.home import SCHEMA_VERSION, Home
from cli.workflows.names import facts_of
from db.session import open_store

# Of the file of `--plot`, as errors name it.
CONTENT = "the map"


@dataclass(frozen=True, slots=True, kw_only=True)
class EstRequest:
    """The command line of `advisor est`.

    Attributes:
        family: of all designs.
        members: k.
        dataset: name.
        budget: ``LOW-HIGH`` in parameters, None for around the threshold.
        epochs: ``LOW-HIGH`` or one number, None for around the published schedule.
        clusters: g of MotherNets.
        reading: of the epochs, ``whole`` or ``long``.
        seed: of the posterior draws.
    """

    family: str
    members: int
    dataset: str
    budget: str | None
    epochs: str | None
    clusters: int
    reading: str
    seed: int


def est(request: EstRequest, home: Home, file: Path | None) -> dict[str, Any]:
    """Return the switchover of a data set as plain JSON, and draw it to a file if one is named.

    Raises:
        UsageError: a request that cannot be understood, or a plot that cannot be drawn.
        InfeasibleError: the lowest budget holds no network, or nothing is known of the reading.
        StorageError: the database cannot be read, or the file cannot be written.
    """
    family_named(request.family)
    check_members(request.members, request.clusters)
    check_seed(request.seed)
    budget, epochs = parse_budgets(request.budget, "--budget"), parse_epochs(request.epochs, "--epochs")
    facts = _facts(home, request.dataset)
    if file is not None:
        check_plot(file)
        check_writable(file, CONTENT)
    predictor, runs = _accuracy(home, facts, request.seed)
    source = source_of(
        request.reading,
        predictor,
        facts.learned_as,
        facts.task,
        family=request.family,
        epochs=epochs[1] if epochs else RECIPES[request.family].reference_epochs,
        curves=sum(run.curve is not None for run in runs),
    )
    grid = grid_of(source, request.family, request.members, budget, epochs)
    rows = switchover_rows(source, request.family, request.members, grid)
    payload = _payload(request, source, grid, rows, _evidence(runs, facts.learned_as))
    if file is not None:
        plot(payload, file)
    return payload


def _facts(home: Home, dataset: str) -> DatasetFacts:
    """Return the facts of a data set, also of one that only imported trainings tell of."""
    try:
        return facts_of(dataset)
    except UnknownNameError:
        if not home.database.exists():
            raise
        with open_store(home.database) as store:
            imported = imported_facts(store, dataset)
        if imported is None:
            raise
        return imported


def _accuracy(
    home: Home, facts: DatasetFacts, seed: int
) -> tuple[AccuracyPredictor, Sequence[TrainedEvidence]]:
    """Return the predictor and its runs; a question makes no database where there is none."""
    if not home.database.exists():
        return AccuracyPredictor([facts.learned_as], (), seed), []
    with open_store(home.database) as store:
        return accuracy_for(store, facts.learned_as, seed, facts.train_images)


def _evidence(runs: Sequence[TrainedEvidence], dataset: str) -> dict[str, int]:
    return {
        "runs": len(runs),
        "runs_on_dataset": sum(run.dataset == dataset for run in runs),
        "curves": sum(run.curve is not None for run in runs),
        "curves_on_dataset": sum(run.curve is not None and run.dataset == dataset for run in runs),
        "published_errors_on_dataset": sum(row.dataset == dataset for row in ERRORS),
    }


def _payload(
    request: EstRequest,
    source: ErrorSource,
    grid: Grid,
    rows: Sequence[Contestants],
    evidence: dict[str, int],
) -> dict[str, Any]:
    k, g = request.members, request.clusters
    longer = equal_time(grid.epochs, k, g)
    maps = {"full_data": switchover_map(source, rows, grid, k, k)}
    # Hatched members have no epochs of one long schedule.
    if g < k and source.last_epoch is None:
        maps["mothernets_equal_epochs"] = switchover_map(source, rows, grid, k, g)
        maps["mothernets_equal_time"] = switchover_map(source, rows, grid, k, g, ensemble_epochs=longer)
    return {
        "schema_version": SCHEMA_VERSION,
        "request": asdict(request),
        "reading": source.reading.value,
        "budgets_parameters": list(grid.budgets),
        "epochs": list(grid.epochs),
        "schedule_epochs": grid.schedule,
        "designs": [_designs(row, k) for row in rows],
        "maps": {name: _described(found, grid) for name, found in maps.items()},
        "evidence": evidence,
    }


def _designs(row: Contestants, members: int) -> dict[str, Any]:
    return {
        "budget_parameters": row.budget,
        "single": row.single.name,
        **{kind.value: f"{members}x{network.name}" for kind, network in row.ensembles.items()},
    }


def _described(found: Map, grid: Grid) -> dict[str, Any]:
    return {
        "clusters": found.clusters,
        "ensemble_epochs": list(found.ensemble_epochs),
        "better_ensemble_class": [[kind and kind.value for kind in row] for row in found.better],
        "probability_ensemble_wins": [list(row) for row in found.probabilities],
        "likelier_class": [[kind.value for kind in row] for row in found.likelier],
        "threshold_parameters": [asdict(t) for t in found.parameters],
        "threshold_epochs": [asdict(t) for t in found.epochs],
        "single_error_epochs": [asdict(t) for t in found.to_single_error],
        "times_sooner": [_sooner(t, grid.schedule) for t in found.to_single_error],
    }


def _sooner(epochs: Threshold, schedule: int) -> dict[str, Any]:
    """How many times sooner the single network's final error is reached; None where it is not."""

    def ratio(length: float | None) -> float | None:
        return None if length is None else schedule / length

    # The longest time is the smallest ratio.
    return {
        "median": ratio(epochs.median),
        "low": ratio(epochs.high),
        "high": ratio(epochs.low),
        "reached": epochs.reached,
    }
