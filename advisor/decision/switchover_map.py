"""The switchover from single networks to ensembles over a grid of budgets and epochs.

A map compares the single network of every budget with ensembles that are trained in one of three ways:

- full data: every member is trained from scratch, as long as the single network;
- MotherNets with g clusters at equal epochs: its mothers are trained as long as the single network;
- MotherNets at equal training time: its schedules are longer, so that all its networks together train as many
  epochs as those of full data. Networks of one shape spend the same time on an epoch, so no clock is needed.

*Time to single accuracy* is the number of epochs from which the ensemble has less error than the single
network at the end of the schedule.

Notation: k members, g clusters; `advisor.decision.switchover` defines the lead and its threshold.

Source: Wasay and Idreos, "More or Less" (ICLR 2021), sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from advisor.decision.epoch_axis import ErrorSource
from advisor.decision.switchover import (
    ENSEMBLES,
    PARAMETER_GRID,
    Contest,
    Contestants,
    Threshold,
    contest,
    contestants,
    crossing,
)
from advisor.designs.design import LARGEST_ENSEMBLE, DesignClass
from advisor.designs.space import smallest_network
from advisor.errors import InfeasibleError, UsageError
from advisor.estimate import Floats
from advisor.plans.methods import HATCHED_SHARE
from advisor.plans.schedule import MOST_EPOCHS, RECIPES

# Points along an axis whose ends are given: as many as fit into a terminal of 80 columns.
POINTS = 10
# The default grid, in octaves around the threshold and around the published schedule. A thirtieth of that
# schedule is too short for any ensemble; thresholds are known to a factor of two to four at best.
BUDGET_OCTAVES = range(4, -5, -1)
EPOCH_OCTAVES = range(-5, 2)
EVEN = 0.5
# Middle of the budgets where no threshold is predicted.
USUAL_BUDGET = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Axes of a map.

    Attributes:
        budgets: total parameters, rising.
        epochs: numbers of epochs, rising.
        schedule: number of epochs, one of `epochs`, after which the single network has the error that the
            ensembles are to reach: the last epoch of a long schedule; of whole schedules the published one if
            the axis contains it, else the longest.
    """

    budgets: tuple[int, ...]
    epochs: tuple[int, ...]
    schedule: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """The switchover map of one way to train the ensembles.

    Attributes:
        clusters: g; k for full data.
        ensemble_epochs: epochs of the ensembles for each number of epochs of the single network.
        better: ensemble class of less mean error, for each budget and number of epochs; None where there is
            no ensemble.
        probabilities: probability that one training of this class has less error than one of the single
            network, likewise.
        parameters: threshold in parameters for each number of epochs; empty on a grid of one budget.
        epochs: threshold in epochs for each budget; empty on a grid of one number of epochs.
        to_single_error: time to single accuracy in epochs for each budget; empty likewise.
    """

    clusters: int
    ensemble_epochs: tuple[int, ...]
    better: tuple[tuple[DesignClass | None, ...], ...]
    probabilities: tuple[tuple[float | None, ...], ...]
    parameters: tuple[Threshold, ...]
    epochs: tuple[Threshold, ...]
    to_single_error: tuple[Threshold, ...]

    @property
    def likelier(self) -> tuple[tuple[DesignClass, ...], ...]:
        """The likelier winner at each budget and number of epochs; single where there is no ensemble."""
        cells = zip(self.better, self.probabilities, strict=True)
        return tuple(tuple(map(_likelier, kinds, chances)) for kinds, chances in cells)


def check_members(members: int, clusters: int) -> None:
    """Check the numbers of members and clusters of the ensembles.

    Args:
        members: k.
        clusters: g.

    Raises:
        UsageError: there are fewer than 2 members or too many, or the clusters are out of range.
    """
    if not 2 <= members <= LARGEST_ENSEMBLE:
        raise UsageError(f"--members: an ensemble has 2 to {LARGEST_ENSEMBLE} members, got {members}")
    if not 1 <= clusters <= members:
        raise UsageError(f"--g: {members} members form 1 to {members} clusters, got {clusters}")


def grid_of(
    source: ErrorSource,
    family: str,
    members: int,
    budget: tuple[int, int] | None,
    epochs: tuple[int, int] | None,
) -> Grid:
    """Return the axes of a map.

    Args:
        source: source of the errors.
        family: family of all designs.
        members: k.
        budget: first and last total parameters; by default octaves around the predicted threshold.
        epochs: first and last number of epochs; by default octaves around the published schedule.

    Raises:
        InfeasibleError: the lowest budget is too small for a network.
    """
    reference = RECIPES[family].reference_epochs
    lengths = tuple(max(round(reference * 2.0**octave), 1) for octave in EPOCH_OCTAVES)
    if epochs:
        lengths = _log_spaced(*epochs)
    if source.last_epoch is not None:
        # A long schedule has no epochs after its last.
        lengths = (*(e for e in lengths if e < source.last_epoch), source.last_epoch)
    schedule = lengths[-1]
    if source.last_epoch is None and lengths[0] <= reference <= lengths[-1]:
        schedule = reference
    sizes = _log_spaced(*budget) if budget else _usual_budgets(source, family, members, schedule)
    smallest, name = smallest_network(family, source.task)
    if sizes[0] < smallest:
        raise InfeasibleError(
            f"no {family} fits {sizes[0]:,} parameters for {source.task.text} and {source.task.classes} "
            f"classes: the smallest, {name}, has {smallest:,}"
        )
    return Grid(budgets=sizes, epochs=tuple(sorted({*lengths, schedule})), schedule=schedule)


def _usual_budgets(source: ErrorSource, family: str, members: int, epochs: int) -> tuple[int, ...]:
    """Return octaves around the threshold of a schedule, none below the size of the smallest ensemble.

    A small budget may still have no ensemble, because the best single network there need not have
    equivalents.
    """
    rows = contestants(source, family, members, PARAMETER_GRID.tolist(), epochs)
    lead = contest(source, rows, members, members, [epochs]).lead()[:, :, 0]
    middle = Threshold.of_draws(crossing(lead, [row.budget for row in rows])).median or USUAL_BUDGET
    least = members * smallest_network(family, source.task)[0]
    middle = max(middle, least * 2.0 ** max(BUDGET_OCTAVES))
    # Rounding may lead below the smallest ensemble.
    return tuple(sorted(max(_rounded(middle * 2.0**octave), least) for octave in BUDGET_OCTAVES))


def _log_spaced(low: int, high: int) -> tuple[int, ...]:
    """Return at most `POINTS` whole numbers from low to high, evenly spaced in the logarithm."""
    between = (_rounded(x) for x in np.geomspace(low, high, POINTS)[1:-1])
    return tuple(sorted({low, high, *(x for x in between if low < x < high)}))


def _rounded(value: float) -> int:
    """Return a whole number with two significant digits."""
    return int(float(f"{value:.1e}"))


def switchover_rows(source: ErrorSource, family: str, members: int, grid: Grid) -> list[Contestants]:
    """Return the compared designs of every budget of the grid, chosen by their errors after the schedule.

    Args:
        source: source of the errors.
        family: family of all designs.
        members: k.
        grid: axes of the map.
    """
    return contestants(source, family, members, grid.budgets, grid.schedule)


def switchover_map(
    source: ErrorSource,
    rows: Sequence[Contestants],
    grid: Grid,
    members: int,
    clusters: int,
    *,
    ensemble_epochs: Sequence[int] | None = None,
) -> Map:
    """Return the map of one way to train the ensembles.

    Args:
        source: source of the errors.
        rows: compared designs of every budget of the grid.
        grid: axes of the map.
        members: k.
        clusters: g; k for full data.
        ensemble_epochs: epochs of the ensembles; by default those of the grid.
    """
    lengths = tuple(ensemble_epochs or grid.epochs)
    found = contest(source, rows, members, clusters, grid.epochs, lengths)
    lead, final = found.lead(), _lead_over_final(source, rows, found, grid)
    budgets = range(len(grid.budgets))
    return Map(
        clusters=clusters,
        ensemble_epochs=lengths,
        better=_better(found),
        probabilities=tuple(_probabilities(source, found, i, members, clusters) for i in budgets),
        parameters=_thresholds(np.moveaxis(lead, 2, 0), grid.budgets),
        epochs=_thresholds(np.moveaxis(lead, 1, 0), grid.epochs),
        to_single_error=_thresholds(np.moveaxis(final, 1, 0), grid.epochs),
    )


def equal_time(epochs: Sequence[int], members: int, clusters: int) -> tuple[int, ...]:
    """Return the schedules with which MotherNets trains as long as full data.

    Of k members of one shape, g balanced clusters leave max(0, 2g − k) alone. These are trained from scratch,
    as is the mother of every other cluster. The other members are hatched and train for `HATCHED_SHARE` of
    the schedule.

    Args:
        epochs: schedules of full data.
        members: k.
        clusters: g.
    """
    alone = max(0, 2 * clusters - members)
    spent = clusters + HATCHED_SHARE * (members - alone)
    return tuple(min(round(e * members / spent), MOST_EPOCHS) for e in epochs)


def _likelier(ensemble: DesignClass | None, chance: float | None) -> DesignClass:
    return DesignClass.SINGLE if ensemble is None or chance is None or chance < EVEN else ensemble


def _better(found: Contest) -> tuple[tuple[DesignClass | None, ...], ...]:
    fits = np.asarray(np.isfinite(found.ensemble()).all(axis=0))
    return tuple(
        tuple(ENSEMBLES[kind] if fit else None for kind, fit in zip(kinds, fitting, strict=True))
        for kinds, fitting in zip(found.best(), fits, strict=True)
    )


def _probabilities(
    source: ErrorSource, found: Contest, budget: int, members: int, clusters: int
) -> tuple[float | None, ...]:
    pairs = zip(found.ensemble()[:, budget].T, found.single[:, budget].T, strict=True)
    return tuple(
        source.probability_below(e, s, members, clusters) if np.isfinite(e).all() else None for e, s in pairs
    )


def _thresholds(leads: Floats, grid: Sequence[int]) -> tuple[Threshold, ...]:
    """Return the thresholds of leads of shape (thresholds, draws, points); none for a single point."""
    if len(grid) < 2:
        return ()
    return tuple(Threshold.of_draws(crossing(lead, grid)) for lead in leads)


def _lead_over_final(source: ErrorSource, rows: Sequence[Contestants], found: Contest, grid: Grid) -> Floats:
    """Return the lead over the single network's final error, shape (draws, budgets, epochs)."""
    final = source.errors([row.single for row in rows], 1, 1, [grid.schedule])
    return np.asarray(np.log(final) - np.log(found.ensemble()), dtype=float)
