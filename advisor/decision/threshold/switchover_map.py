"""The switchover from single networks to ensembles, over budgets and epochs or over budgets and images.

A map compares the best single network of every budget and column (`advisor.decision.threshold.map_grid`) with
ensembles that are trained in one of three ways:

- full data: every member is trained from scratch, as long as the single network;
- MotherNets with g clusters at equal epochs: its mothers are trained as long as the single network;
- MotherNets at equal training time: its schedules are longer, so that all its networks together train as many
  epochs as those of full data. Networks of one shape spend the same time on an epoch, so no clock is needed.

*Time to single accuracy* is the number of epochs from which the ensemble has less error than the best single
network at the end of the schedule.

Notation: k members, g clusters; `advisor.decision.threshold.contest` defines the lead,
`advisor.decision.threshold.switchover` its threshold.

Source: Wasay and Idreos, "More or Less" (ICLR 2021), sections 4 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from advisor.decision.threshold.contest import ENSEMBLES, Contest, Row, contest, contestants
from advisor.decision.threshold.error_source import ErrorSource
from advisor.decision.threshold.map_grid import Axis, Grid
from advisor.decision.threshold.switchover import Threshold, crossing
from advisor.designs.design import LARGEST_ENSEMBLE, DesignClass
from advisor.errors import UsageError
from advisor.estimate import Estimate, Floats
from advisor.plans.methods import HATCHED_SHARE
from advisor.plans.schedule import MOST_EPOCHS

EVEN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """The switchover map of one way to train the ensembles.

    Attributes:
        clusters: g; k for full data.
        ensemble_epochs: epochs of the ensembles for each number of epochs of the single network.
        better: ensemble class of less mean error, for each budget and column; None where there is no
            ensemble.
        probabilities: probability that one training of this class has less error than one of the single
            network, likewise.
        both_likelier: whether each of the two classes has less error than the single network with a
            probability of a half or more, for each budget and column.
        errors: expected error of the single network and of the ensemble of each class, for each budget and
            column; None where a class has no ensemble.
        parameters: threshold in parameters for each column; empty on a grid of one budget.
        epochs: threshold in epochs for each budget; empty if epochs are not the columns, or one column.
        to_single_error: time to single accuracy in epochs for each budget; empty likewise.
        images: threshold in training images for each budget; empty if images are not the columns, or one
            column.
    """

    clusters: int
    ensemble_epochs: tuple[int, ...]
    better: tuple[tuple[DesignClass | None, ...], ...]
    probabilities: tuple[tuple[float | None, ...], ...]
    both_likelier: tuple[tuple[bool, ...], ...]
    errors: dict[DesignClass, tuple[tuple[Estimate | None, ...], ...]]
    parameters: tuple[Threshold, ...]
    epochs: tuple[Threshold, ...]
    to_single_error: tuple[Threshold, ...]
    images: tuple[Threshold, ...]

    @property
    def likelier(self) -> tuple[tuple[DesignClass, ...], ...]:
        """The likelier winner at each budget and column; single where there is no ensemble."""
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


def switchover_rows(source: ErrorSource, family: str, members: int, grid: Grid) -> list[Row]:
    """Return the compared designs of every budget of the grid, at every column those that are best there.

    Args:
        source: source of the errors.
        family: family of all designs.
        members: k.
        grid: axes of the map.
    """
    return contestants(source, family, members, grid.budgets, grid.points)


def switchover_map(
    source: ErrorSource,
    rows: Sequence[Row],
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
    found = contest(source, rows, members, clusters, grid.points, grid.points_of(lengths))
    lead, final = found.lead(), _lead_over_final(found, grid)
    budgets, by_epochs = range(len(grid.budgets)), grid.axis is Axis.EPOCHS
    by_budget = _thresholds(np.moveaxis(lead, 1, 0), grid.columns)
    return Map(
        clusters=clusters,
        ensemble_epochs=lengths,
        better=_better(found),
        probabilities=tuple(
            _probabilities(source, found.ensemble()[:, i], found.single[:, i], members, clusters)
            for i in budgets
        ),
        both_likelier=tuple(_both_likelier(source, found, i, members, clusters) for i in budgets),
        errors=_errors_by_class(found),
        parameters=_thresholds(np.moveaxis(lead, 2, 0), grid.budgets),
        epochs=by_budget if by_epochs else (),
        to_single_error=_thresholds(np.moveaxis(final, 1, 0), grid.epochs) if by_epochs else (),
        images=() if by_epochs else by_budget,
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


def _both_likelier(
    source: ErrorSource, found: Contest, budget: int, members: int, clusters: int
) -> tuple[bool, ...]:
    """Return whether both classes are likelier than the single network to have less error, by column."""
    by_class = [
        _probabilities(source, found.ensembles[kind][:, budget], found.single[:, budget], members, clusters)
        for kind in ENSEMBLES
    ]
    return tuple(
        all(chance is not None and chance >= EVEN for chance in column)
        for column in zip(*by_class, strict=True)
    )


def _errors_by_class(found: Contest) -> dict[DesignClass, tuple[tuple[Estimate | None, ...], ...]]:
    """Return the expected errors of every class, for each budget and column."""
    drawn = {DesignClass.SINGLE: found.single, **found.ensembles}

    def expected(errors: Floats) -> Estimate | None:
        return Estimate.of_samples(errors) if np.isfinite(errors).all() else None

    return {
        kind: tuple(tuple(map(expected, budget.T)) for budget in np.moveaxis(errors, 1, 0))
        for kind, errors in drawn.items()
    }


def _probabilities(
    source: ErrorSource, ensemble: Floats, single: Floats, members: int, clusters: int
) -> tuple[float | None, ...]:
    """Return the probability that an ensemble wins, by column; None where there is none.

    Args:
        source: source of the errors.
        ensemble: draws of its errors, shape (draws, columns).
        single: draws of the single network's errors, likewise.
        members: k.
        clusters: g.
    """
    pairs = zip(ensemble.T, single.T, strict=True)
    return tuple(
        source.probability_below(e, s, members, clusters) if np.isfinite(e).all() else None for e, s in pairs
    )


def _thresholds(leads: Floats, grid: Sequence[int]) -> tuple[Threshold, ...]:
    """Return the thresholds of leads of shape (thresholds, draws, points); none for a single point."""
    if len(grid) < 2:
        return ()
    return tuple(Threshold.of_draws(crossing(lead, grid)) for lead in leads)


def _lead_over_final(found: Contest, grid: Grid) -> Floats:
    """Return the lead over the single network's final error, shape (draws, budgets, columns)."""
    final = found.single[:, :, [grid.reference_column]]
    return np.asarray(np.log(final) - np.log(found.ensemble()), dtype=float)
