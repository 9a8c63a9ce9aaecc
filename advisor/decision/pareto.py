"""The Pareto front of many points.

A point is dominated if another is at least as good in every objective and better in one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from advisor.estimate import Floats


def non_dominated(values: Floats) -> NDArray[np.bool_]:
    """Return whether each point is on the Pareto front, shape (points,).

    Args:
        values: minimised objectives, shape (points, objectives).
    """
    no_worse = (values[:, None] <= values[None]).all(axis=2)
    better = (values[:, None] < values[None]).any(axis=2)
    dominated: NDArray[np.bool_] = np.any(no_worse & better, axis=0)
    return np.logical_not(dominated)
