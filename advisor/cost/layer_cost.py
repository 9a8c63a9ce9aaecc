"""Seconds of layers: for each kind and pass a non-negative combination of sizes, fitted on measured layers.

A measured network of 50 layers says 50 things about the machine, which is why a dozen measurements are
enough. Within a measurement the layers' times are scaled to the time of the whole pass, taken without
cutting it, so that what is fitted adds up to what a step takes. Errors are weighted between absolute (a
layer matters as much as its share of the pass) and relative (small layers are many elsewhere).

A kind that was hardly measured leans on a related one: linear layers on convolutions, kinds that only move
elements on each other, layers that read images on the same layers further in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from advisor.cost.features import KINDS, MOVING, READS_IMAGES, WORK_FEATURES, LayerSizes
from advisor.estimate import Floats

# Weight of a layer's error: its time to this power, the pass's to the rest. 0: absolute, 1: relative.
RELATIVE = 0.25
# Weight of the related kind, in measured layers.
LEANING = 0.3
LEAST_SECONDS = 2e-6


@dataclass(frozen=True, slots=True)
class PassTimes:
    """One pass of a measured network: sizes and seconds of its layers, and seconds of the whole pass."""

    sizes: LayerSizes
    seconds: Floats
    total: float


class LayerCosts:
    """Predicts the seconds of layers in one pass (forward, backward or inference).

    Args:
        passes: measured; none leaves every layer at zero seconds.
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
        """Rows of the related kind, to scale by, and its coefficients."""
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
    """Rows and targets of all layers, divided by the weight of their error, and their kinds."""
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
    """Non-negative least squares, leaning on the coefficients of a related kind."""
    if related is not None and parent is not None and len(related):
        scale = np.sqrt(LEANING) * related.mean(axis=0)
        rows = np.concatenate([rows, np.diag(scale)])
        targets = np.concatenate([targets, scale * parent])
    if not len(rows):
        return np.zeros(WORK_FEATURES)
    coefficients: Floats = nnls(rows, targets, maxiter=50 * WORK_FEATURES)[0]
    return coefficients
