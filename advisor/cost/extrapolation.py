"""The range of the measurements, and the wider intervals beyond it.

A network of an unmeasured family, task, batch or setting gets an additional standard deviation of log seconds
for each of these. They add as independent errors do: the total is the root of the sum of squares. The values
are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from advisor.cost.measurement import Measurement
from advisor.networks.layers import Task
from advisor.networks.shared_layers import family_in

# Additional standard deviations of the logarithm of time.
FAMILY_STD = 0.08
TASK_STD = 0.08
ARITHMETIC_STD = 0.15
# The same for each doubling of the batch beyond the measured batches.
BATCH_STD = 0.05


@dataclass(frozen=True, slots=True)
class Range:
    """Families, tasks and batches that measurements cover.

    Attributes:
        families: measured families.
        tasks: measured tasks.
        batches: smallest and largest measured batch.
        unmeasured_setting: setting of the execution that most of the measurements do not have; empty if they
            were made with the execution's own settings.
    """

    families: tuple[str, ...]
    tasks: frozenset[Task]
    batches: tuple[int, int]
    unmeasured_setting: str

    @classmethod
    def of(cls, measurements: Sequence[Measurement], unmeasured_setting: str) -> Range:
        """Return the range of some measurements."""
        batches = [m.batch for m in measurements]
        return cls(
            tuple(sorted({family_in(m.network) for m in measurements})),
            frozenset(m.task for m in measurements),
            (min(batches, default=1), max(batches, default=1)),
            unmeasured_setting,
        )

    def beyond(self, network: str, task: Task, batch: int) -> tuple[tuple[str, ...], float]:
        """Return what was never measured of a network, in words, and the log std that this adds."""
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
        if self.unmeasured_setting:
            found.append((self.unmeasured_setting, ARITHMETIC_STD))
        return tuple(text for text, _ in found), float(np.sqrt(sum(std**2 for _, std in found)))
