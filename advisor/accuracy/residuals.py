"""Observations as columns, their residuals, and the design matrix of their discrepancy.

Notation:

    y      observed log errors, or log ratios of two errors,              shape (observations,)
    e      errors that the formula predicts for the cases,                shape (draws of θ, cases)
    r      residuals: y − log e(case), or y − log(e(case) / e(reference)) for a ratio,
                                                                          shape (draws of θ, observations)
    φ      features of the discrepancy times its amplitude,               shape (cases, FEATURES)
    Φ      design matrix: φ(case), or φ(case) − φ(reference) for a ratio, shape (observations, FEATURES)

Many observations name the same case, so each distinct case is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advisor.accuracy import discrepancy
from advisor.accuracy.formula import Case, Cases, Positions
from advisor.accuracy.observations import Observation
from advisor.accuracy.prior import PUBLISHED_DATASETS
from advisor.estimate import Floats


@dataclass(frozen=True)
class Observations:
    """Observations as columns, and the distinct cases that they name.

    Attributes:
        cases: distinct cases.
        case: position in `cases` of each observation's case, shape (observations,).
        reference: position of its reference, shape (observations,); that of its case where it has none.
        is_ratio: whether it has a reference, shape (observations,).
        values: observed logarithms, shape (observations,).
        stds: standard deviations of their noise, shape (observations,).
    """

    cases: Cases
    case: Positions
    reference: Positions
    is_ratio: NDArray[np.bool_]
    values: Floats
    stds: Floats

    @classmethod
    def of(cls, observations: Sequence[Observation], index: dict[str, int]) -> Observations:
        """Return observations as columns.

        Args:
            observations: the observations.
            index: position of each parameter in θ.
        """
        places = {case: i for i, case in enumerate(dict.fromkeys(_named_cases(observations)))}
        return cls(
            cases=Cases.of(list(places), index),
            case=np.array([places[o.case] for o in observations]),
            reference=np.array([places[o.reference or o.case] for o in observations]),
            is_ratio=np.array([o.reference is not None for o in observations]),
            values=np.array([o.value for o in observations]),
            stds=np.array([o.std for o in observations]),
        )

    @property
    def datasets(self) -> tuple[str, ...]:
        """Data set of each observation."""
        return tuple(self.cases.datasets[i] for i in self.case)

    def residuals(self, theta: Floats) -> Floats:
        """Return r(θ), shape (draws, observations).

        Args:
            theta: draws of θ, shape (draws, parameters).
        """
        logs = np.log(self.cases.errors(theta))
        predicted = logs[:, self.case] - np.where(self.is_ratio, logs[:, self.reference], 0.0)
        residuals: Floats = self.values - predicted
        return residuals

    def design_matrix(self, amplitudes: Mapping[str, float]) -> Floats:
        """Return Φ of the discrepancy, shape (observations, FEATURES).

        Args:
            amplitudes: amplitude of the discrepancy on each data set.
        """
        features = self.cases.features(amplitudes)
        matrix: Floats = features[self.case] - np.where(self.is_ratio[:, None], features[self.reference], 0.0)
        return matrix

    def likeliest_amplitudes(self, theta: Floats) -> dict[str, float]:
        """Return the likeliest amplitude on every data set without published errors.

        Args:
            theta: parameters θ, shape (parameters,).
        """
        datasets = np.array(self.datasets)
        residuals = self.residuals(theta[None])[0]
        matrix = self.design_matrix(dict.fromkeys(self.cases.datasets, 1.0))
        return {
            name: discrepancy.likeliest_amplitude(matrix[here], residuals[here], self.stds[here])
            for name in sorted(set(self.datasets) - set(PUBLISHED_DATASETS))
            for here in (datasets == name,)
        }


def _named_cases(observations: Sequence[Observation]) -> Iterator[Case]:
    for o in observations:
        yield o.case
        if o.reference is not None:
            yield o.reference
