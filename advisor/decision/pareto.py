"""Which of many designs are not dominated: nothing else is at least as good everywhere and better once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from advisor.estimate import Floats


def non_dominated(values: Floats) -> NDArray[np.bool_]:
    """Return which rows of `values`, shape (points, objectives), all minimised, are on the Pareto front."""
    no_worse = (values[:, None] <= values[None]).all(axis=2)
    better = (values[:, None] < values[None]).any(axis=2)
    dominated: NDArray[np.bool_] = np.any(no_worse & better, axis=0)
    return np.logical_not(dominated)
