"""The Ensemble Switchover Threshold as the accuracy predictor sees it ("More or Less", section 3).

The threshold in parameters is the smallest total size from which k members have less error than the
single network at the requested epochs; the threshold in epochs is the smallest number from which they do
at the requested size. Both are found for every posterior draw on a logarithmic grid, so both have an
interval; a draw without a crossing counts as the end of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from advisor.accuracy import AccuracyPredictor
from advisor.estimate import Estimate, Floats
from advisor.families import FAMILIES

PARAMETER_GRID: Floats = np.geomspace(1e4, 1e9, 121)
EPOCH_GRID: Floats = np.unique(np.round(np.geomspace(1, 2000, 100)))
# Depth cancels between members and single network of one depth; any value does.
DEPTH = 32.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Switchover:
    """Threshold of one family and member count.

    Attributes:
        parameters: total size from which the ensemble wins at the requested epochs.
        epochs: number from which it wins at the requested size.
        probability_past: that the request lies past the threshold.
    """

    family: str
    members: int
    parameters: Estimate
    epochs: Estimate
    probability_past: float


def switchover(
    predictor: AccuracyPredictor,
    family: str,
    members: int,
    *,
    dataset: str,
    classes: int,
    budget: float,
    epochs: float,
) -> Switchover:
    """Return the threshold of `members` networks of a family against one of their total size."""

    def wins(parameters: Floats, lengths: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Where the ensemble has less error, shape (draws, points)."""
        errors = [
            predictor.sample_regular(
                family,
                dataset,
                classes,
                parameters=parameters / k,
                depth=np.full(len(parameters), DEPTH),
                members=np.full(len(parameters), k),
                epochs=lengths,
            )
            for k in (members, 1)
        ]
        return np.asarray(errors[0] < errors[1])

    by_size = wins(PARAMETER_GRID, np.full(len(PARAMETER_GRID), float(epochs)))
    by_length = wins(np.full(len(EPOCH_GRID), float(budget)), EPOCH_GRID)
    here = wins(np.array([float(budget)]), np.array([float(epochs)]))
    return Switchover(
        family=family,
        members=members,
        parameters=_logarithmic(_first_lasting(by_size, PARAMETER_GRID)),
        epochs=_logarithmic(_first_lasting(by_length, EPOCH_GRID)),
        probability_past=float(here.mean()),
    )


def thresholds(
    predictor: AccuracyPredictor, families: list[str], members: list[int], **request: object
) -> list[Switchover]:
    """Return the thresholds of every family and member count above 1."""
    return [
        switchover(predictor, family, k, **request)  # type: ignore[arg-type]
        for family in families
        if family in FAMILIES
        for k in members
        if k > 1
    ]


def _first_lasting(wins: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], grid: Floats) -> Floats:
    """First grid point of each draw from which it wins to the end; the last point if it never does."""
    losing = ~wins
    # Position after the last loss.
    after = np.where(losing.any(axis=1), wins.shape[1] - np.argmax(losing[:, ::-1], axis=1), 0)
    return grid[np.minimum(after, len(grid) - 1)]


def _logarithmic(samples: Floats) -> Estimate:
    """Median and central 90 % (a mean would be ruled by draws at the end of the grid)."""
    low, middle, high = np.quantile(samples, [0.05, 0.5, 0.95])
    return Estimate(float(middle), float(low), float(high))
