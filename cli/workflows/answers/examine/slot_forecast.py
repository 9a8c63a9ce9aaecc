"""How long a plan takes on a number of slots: part of the answers of `advisor explain` and `frontier`."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotForecast:
    """Predicted seconds of a plan on a number of slots; null where nothing was measured.

    Attributes:
        slots: number of slots: worker processes, and on CUDA GPUs.
        used: number of them that the plan can use at a time.
        sharing: largest number of devices that share the batches of one network.
        train_seconds: seconds of the whole training.
        work_seconds: seconds of all steps, each times the slots that it occupies; no training is shorter than
            these ÷ `slots`.
        critical_path_seconds: seconds of the longest chain of steps that wait for each other; no training is
            shorter.
        times_faster: seconds on one slot ÷ those on these slots; by a formula that knows no machine where
            nothing was measured.
        time_over_full_data: seconds ÷ those of full data on one slot, likewise; null outside a sweep.
    """

    slots: int
    used: int
    sharing: int
    train_seconds: Estimate | None
    work_seconds: Estimate | None
    critical_path_seconds: Estimate | None
    times_faster: float
    time_over_full_data: float | None = None
