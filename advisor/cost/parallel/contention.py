"""How networks that train at the same time slow each other down: processes share caches and memory.

A contention is a factor on the time of a step. It is measured by numbers of processes, and interpolated
between them; one process has the factor 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from advisor.cost.measurement import Measurement

# Factor while other networks train too, until it is measured. Chosen.
UNMEASURED_CONTENTION = 1.15


def measured_contention(measurements: Sequence[Measurement]) -> dict[int, float]:
    """Return by number of processes the median ratio of a step to the same step alone right before.

    Args:
        measurements: measurements of one machine; those that ran out of memory tell nothing.
    """
    ratios: dict[int, list[float]] = {}
    for m in measurements:
        if m.fits and m.processes > 1 and m.reference_seconds:
            ratios.setdefault(m.processes, []).append(m.step_seconds / m.reference_seconds)
    return {count: max(float(np.median(r)), 1.0) for count, r in ratios.items()}


def contention_at(measured: Mapping[int, float], processes: int) -> float:
    """Return the factor on the time of a step while so many networks train at the same time.

    Args:
        measured: factors by number of processes; without any, `UNMEASURED_CONTENTION` stands for all.
        processes: number of networks.
    """
    if processes <= 1:
        return 1.0
    if not measured:
        return UNMEASURED_CONTENTION
    counts = [1, *sorted(measured)]
    factors = [measured.get(count, 1.0) for count in counts]
    return float(np.interp(processes, counts, factors))
