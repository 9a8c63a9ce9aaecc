"""Seconds of layers: a non-negative combination of sizes for each kind and pass, fitted on measured layers.

Notation, for one kind of layer and one pass (forward, backward or inference):

    x_l         sizes of layer l (`LayerSizes.rows`), shape (`WORK_FEATURES`,)
    t_l         its seconds, scaled so that the layers of a pass add up to T
    T           seconds of the whole pass, measured without timing its layers
    β           coefficients, shape (`WORK_FEATURES`,), all ≥ 0
    β'          coefficients of the related kind
    x̄'          mean of x / weight over the layers of the related kind

β minimises Σ_l ((x_l·β − t_l) / (t_l^p · T^(1−p)))² + λ Σ_j (x̄'_j (β_j − β'_j))², with p = `RELATIVE` and
λ = `SHRINKAGE`. The weight lies between absolute errors (a layer counts by its share of the pass) and
relative errors (small layers may be frequent in other networks). The second sum shrinks a kind with few
measurements towards a related one: linear layers towards convolutions, kinds that only move elements towards
each other, layers that read images towards the same kind further in.

A measured network of 50 layers gives 50 equations, so a dozen measurements are enough.

Source: non-negative least squares (Lawson and Hanson 1974), with ridge regression towards β'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from advisor.cost.features import KINDS, MOVING, READS_IMAGES, WORK_FEATURES, LayerSizes
from advisor.estimate import Floats

# Exponent p of a layer's time in the weight of its error. 0: absolute errors, 1: relative errors.
RELATIVE = 0.25
# Weight λ of the related kind, in measured layers.
SHRINKAGE = 0.3
LEAST_SECONDS = 2e-6


@dataclass(frozen=True, slots=True)
class PassTimes:
    """One pass of a measured network.

    Attributes:
        sizes: sizes of its n layers.
        seconds: seconds of each layer, shape (n,).
        total: seconds of the whole pass.
    """

    sizes: LayerSizes
    seconds: Floats
    total: float


class LayerCosts:
    """Predicts the seconds of layers in one pass (forward, backward or inference).

    Args:
        passes: measured passes; without any, every layer takes zero seconds.
    """

    def __init__(self, passes: Sequence[PassTimes]) -> None:
        self._coefficients: Floats = np.zeros((len(KINDS), WORK_FEATURES))
        rows, targets, kinds = _weighted(passes)
        moving = np.isin(kinds, [KINDS.index(kind) for kind in MOVING])
        anything = _fitted(rows[moving], targets[moving])
        for number, kind in enumerate(KINDS):
            own = kinds == number
            related, parent = self._related(kind, anything, rows, kinds, moving)
            self._coefficients[number] = _fitted(rows[own], targets[own], related, parent)

    def _related(
        self, kind: str, anything: Floats, rows: Floats, kinds: np.ndarray, moving: np.ndarray
    ) -> tuple[Floats, Floats]:
        """Return the rows and the coefficients of the related kind."""
        if kind in MOVING:
            return rows[moving], anything
        relative = kind.removesuffix(READS_IMAGES) if kind.endswith(READS_IMAGES) else "Conv"
        number = KINDS.index(relative)
        return rows[kinds == number], self._coefficients[number]

    def __call__(self, sizes: LayerSizes) -> Floats:
        """Return the seconds of each layer, shape (n,)."""
        seconds: Floats = (sizes.rows * self._coefficients[sizes.kinds]).sum(axis=1)
        return seconds


def _weighted(passes: Sequence[PassTimes]) -> tuple[Floats, Floats, np.ndarray]:
    """Return rows and seconds of all layers, both divided by the weight of the error, and their kinds."""
    if not passes:
        return np.zeros((0, WORK_FEATURES)), np.zeros(0), np.zeros(0, dtype=int)
    rows, targets = [], []
    for each in passes:
        seconds = each.seconds * (each.total / max(float(each.seconds.sum()), LEAST_SECONDS))
        scale = np.maximum(seconds, LEAST_SECONDS) ** RELATIVE * each.total ** (1 - RELATIVE)
        rows.append(each.sizes.rows / scale[:, None])
        targets.append(seconds / scale)
    return np.concatenate(rows), np.concatenate(targets), np.concatenate([p.sizes.kinds for p in passes])


def _fitted(
    rows: Floats, targets: Floats, related: Floats | None = None, parent: Floats | None = None
) -> Floats:
    """Return β by non-negative least squares, shrunk towards the coefficients of a related kind."""
    if related is not None and parent is not None and len(related):
        scale = np.sqrt(SHRINKAGE) * related.mean(axis=0)
        rows = np.concatenate([rows, np.diag(scale)])
        targets = np.concatenate([targets, scale * parent])
    if not len(rows):
        return np.zeros(WORK_FEATURES)
    coefficients: Floats = nnls(rows, targets, maxiter=50 * WORK_FEATURES)[0]
    return coefficients
