"""What was measured, and how much wider an interval must be beyond it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from advisor.cost.measurement import Measurement
from advisor.networks.joint import family_in
from advisor.networks.layers import Task

# Spreads of the logarithm of time that come on top of the predictor's own.
FAMILY_STD = 0.08
TASK_STD = 0.08
ARITHMETIC_STD = 0.15
# For each doubling of the batch beyond the measured ones.
BATCH_STD = 0.05


@dataclass(frozen=True, slots=True)
class Range:
    """Families, tasks and batches that measurements cover.

    Attributes:
        families: that were measured.
        tasks: that networks were built for.
        batches: smallest and largest.
        borrowed: setting that too little was measured under, so that another stands in; else empty.
    """

    families: tuple[str, ...]
    tasks: frozenset[Task]
    batches: tuple[int, int]
    borrowed: str

    @classmethod
    def of(cls, measurements: Sequence[Measurement], borrowed: str) -> Range:
        """Return the range of measurements."""
        batches = [m.batch for m in measurements]
        return cls(
            tuple(sorted({family_in(m.network) for m in measurements})),
            frozenset(m.task for m in measurements),
            (min(batches, default=1), max(batches, default=1)),
            borrowed,
        )

    def beyond(self, network: str, task: Task, batch: int) -> tuple[tuple[str, ...], float]:
        """Return what of a network was never measured, in words, and the spread that this adds."""
        if not self.families:
            return (), 0.0
        found: list[tuple[str, float]] = []
        family = family_in(network)
        if family not in self.families:
            found.append((f"family {family}", FAMILY_STD))
        if task not in self.tasks:
            found.append((f"images of {task.text}", TASK_STD))
        low, high = self.batches
        if not low <= batch <= high:
            octaves = float(np.log2(low / batch if batch < low else batch / high))
            found.append((f"batch {batch}", BATCH_STD * octaves))
        if self.borrowed:
            found.append((self.borrowed, ARITHMETIC_STD))
        return tuple(text for text, _ in found), float(np.sqrt(sum(std**2 for _, std in found)))
