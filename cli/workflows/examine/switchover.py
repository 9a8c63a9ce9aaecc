"""`advisor est`: where single networks give way to ensembles on a data set. Trains and measures nothing."""

from __future__ import annotations

from collections.abc import Sequence

from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.pooled import pooled_without
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.accuracy.sources.published import ERRORS
from advisor.decision.threshold.contest import Contestants, Row
from advisor.decision.threshold.epoch_axis import source_of
from advisor.decision.threshold.error_source import ErrorSource
from advisor.decision.threshold.map_grid import Axis, Grid, grid_of
from advisor.decision.threshold.switchover import Threshold
from advisor.decision.threshold.switchover_map import (
    Map,
    check_members,
    equal_time,
    switchover_map,
    switchover_rows,
)
from advisor.designs.design import DesignClass
from advisor.errors import UnknownNameError, lookup
from advisor.networks.families import family_named
from advisor.plans.dataset import DatasetFacts
from advisor.plans.recipes.table import recipe_of
from cli.quantities import check_seed, parse_budgets, parse_epochs, parse_image_counts
from cli.workflows.answers.examine.switchover import (
    BudgetDesigns,
    EnsembleTraining,
    EstRequest,
    SwitchoverEvidence,
    SwitchoverMap,
    TimesSooner,
    TrainingMap,
)
from cli.workflows.forecast.evidence import accuracy_for, imported_facts, say_of_earlier_contents
from cli.workflows.forecast.known_images import KnownImages, known_images
from cli.workflows.home import Home
from cli.workflows.names import facts_of
from cli.workflows.views import Say, silent
from db.session import open_reader


def est(request: EstRequest, home: Home, say: Say = silent) -> SwitchoverMap:
    """Return the switchover of a data set.

    Args:
        request: options of the command.
        home: folder of the database.
        say: receiver of remarks, one line each.

    Raises:
        UsageError: a request that cannot be understood.
        InfeasibleError: the lowest budget holds no network, or nothing is known of the reading.
        StorageError: the database cannot be read.
    """
    family_named(request.family)
    check_members(request.members, request.clusters)
    check_seed(request.seed)
    budget, epochs = parse_budgets(request.budget, "--budget"), parse_epochs(request.epochs, "--epochs")
    axis, images = lookup("axis", request.axis, Axis), parse_image_counts(request.images, "--images")
    facts = _facts(home, request, say)
    predictor, runs, known = _accuracy(home, facts, request.seed, say)
    source = source_of(
        request.reading,
        predictor,
        facts.learned_as,
        facts.task,
        family=request.family,
        epochs=epochs[1] if epochs else recipe_of(request.family, facts.name).reference_epochs,
        curves=sum(run.curve is not None for run in runs),
    )
    grid = grid_of(
        source,
        request.family,
        request.members,
        dataset_images=known.dataset,
        axis=axis,
        budget=budget,
        epochs=epochs,
        images=images,
    )
    return _answer(request, source, grid, known, _evidence(predictor, runs, facts.learned_as))


def _answer(
    request: EstRequest, source: ErrorSource, grid: Grid, known: KnownImages, evidence: SwitchoverEvidence
) -> SwitchoverMap:
    rows = switchover_rows(source, request.family, request.members, grid)
    designs = tuple(tuple(_designs(cell, request.members) for cell in row) for row in rows)
    counts = grid.images if grid.axis is Axis.IMAGES else grid.images * len(grid.epochs)
    return SwitchoverMap(
        request=request,
        reading=source.reading,
        budgets_parameters=grid.budgets,
        epochs=grid.epochs,
        schedule_epochs=grid.schedule,
        designs=tuple(row[grid.reference_column] for row in designs),
        maps=_maps(request, source, grid, rows),
        evidence=evidence,
        axis=grid.axis,
        images=grid.images,
        reference_column=grid.reference_column,
        designs_by_column=designs,
        extrapolated_beyond_images=known.extrapolated_beyond,
        extrapolated=tuple(known.extrapolated(number) for number in counts),
    )


def _facts(home: Home, request: EstRequest, say: Say) -> DatasetFacts:
    """Return the facts of a data set, also of one that is only known from imported trainings."""
    try:
        return facts_of(
            request.dataset, resize=request.resize, skip_damaged=request.skip_damaged, home=home, say=say
        )
    except UnknownNameError:
        if not home.database.exists():
            raise
        with open_reader(home.database) as store:
            imported = imported_facts(store, request.dataset)
        if imported is None:
            raise
        return imported


def _accuracy(
    home: Home, facts: DatasetFacts, seed: int, say: Say
) -> tuple[AccuracyPredictor, Sequence[TrainedEvidence], KnownImages]:
    """Return the predictor, its trainings and their images; a database that does not exist is not created."""
    if not home.database.exists():
        name = facts.learned_as
        predictor = AccuracyPredictor(
            [name], (), seed, pooled=pooled_without(facts.name), tasks={name: facts.task}
        )
        return predictor, [], known_images(None, facts, [])
    with open_reader(home.database) as store:
        say_of_earlier_contents(store, facts, say)
        predictor, runs = accuracy_for(store, facts, seed)
        return predictor, runs, known_images(store, facts, runs)


def _evidence(
    predictor: AccuracyPredictor, runs: Sequence[TrainedEvidence], dataset: str
) -> SwitchoverEvidence:
    return SwitchoverEvidence(
        runs=len(runs),
        runs_on_dataset=sum(run.dataset == dataset for run in runs),
        curves=sum(run.curve is not None for run in runs),
        curves_on_dataset=sum(run.curve is not None and run.dataset == dataset for run in runs),
        published_errors_on_dataset=sum(row.dataset == dataset for row in ERRORS),
        simple_classifiers=predictor.has_level(dataset),
    )


def _maps(
    request: EstRequest, source: ErrorSource, grid: Grid, rows: Sequence[Row]
) -> dict[EnsembleTraining, TrainingMap]:
    k, g = request.members, request.clusters
    maps = {EnsembleTraining.FULL_DATA: switchover_map(source, rows, grid, k, k)}
    # Hatched members have no epochs of one long schedule.
    if g < k and source.last_epoch is None:
        longer = equal_time(grid.epochs, k, g)
        maps |= {
            EnsembleTraining.MOTHERNETS_EQUAL_EPOCHS: switchover_map(source, rows, grid, k, g),
            EnsembleTraining.MOTHERNETS_EQUAL_TIME: switchover_map(
                source, rows, grid, k, g, ensemble_epochs=longer
            ),
        }
    return {training: _training_map(found, grid) for training, found in maps.items()}


def _designs(cell: Contestants, members: int) -> BudgetDesigns:
    names = {kind: f"{members}x{network.name}" for kind, network in cell.ensembles.items()}
    return BudgetDesigns(
        budget_parameters=int(cell.budget),
        single=cell.single.name,
        depth_equivalent=names.get(DesignClass.DEPTH_EQUIVALENT),
        width_equivalent=names.get(DesignClass.WIDTH_EQUIVALENT),
    )


def _training_map(found: Map, grid: Grid) -> TrainingMap:
    return TrainingMap(
        clusters=found.clusters,
        ensemble_epochs=found.ensemble_epochs,
        better_ensemble_class=found.better,
        probability_ensemble_wins=found.probabilities,
        likelier_class=found.likelier,
        threshold_parameters=found.parameters,
        threshold_epochs=found.epochs,
        single_error_epochs=found.to_single_error,
        times_sooner=tuple(_times_sooner(t, grid.schedule) for t in found.to_single_error),
        threshold_images=found.images,
        both_classes_likelier=found.both_likelier,
        errors=found.errors,
    )


def _times_sooner(epochs: Threshold, schedule: int) -> TimesSooner:
    """Return how many times sooner the single network's final error is reached; None where it is not."""

    def ratio(length: float | None) -> float | None:
        return None if length is None else schedule / length

    # The longest time is the smallest ratio.
    return TimesSooner(
        median=ratio(epochs.median),
        low=ratio(epochs.high),
        high=ratio(epochs.low),
        reached=epochs.reached,
    )
