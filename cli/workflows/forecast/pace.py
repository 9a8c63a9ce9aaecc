"""Whether the machine is busy: the pace of the reference convolution beside that of its own history.

    usual   median seconds of the convolution in the measurements of this machine
    now     mean seconds of it now, whatever runs beside (`profiler.pace`)
    speed   usual / now; networks of ours that train side by side slow each other down, and `usual` grows by
            their contention

Forecasts are for the usual speed. At another speed a training takes about 1 / speed times as long. What is
trained on a busy machine is no evidence of its usual speed. A machine without measurements has no history,
and a GPU has no reference: nothing is said of either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from advisor.cost.measurement import Measurement
from advisor.cost.parallel.contention import contention_at, measured_contention
from advisor.plans.placement import slots
from advisor.plans.plan import TrainingPlan
from cli.workflows.forecast.machine import stored_measurements
from cli.workflows.views import Say
from db.queries import Store
from profiler.device import usable_cores
from profiler.pace import load, pace_side_by_side

# Speed below which the machine counts as busy (benchmarks/busy.py).
BUSY_BELOW = 0.75
# Samples in a row below it between epochs, before that is said: one may fall on a moment of another program.
SAMPLES_IN_A_ROW = 2
# Share of the epochs of a step that may be trained on a busy machine. The median that stands for the step is
# then one of undisturbed epochs, and at half the speed the run takes a tenth longer. Chosen.
DISTURBED_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class UsualPace:
    """The usual pace of this machine.

    Attributes:
        seconds: usual seconds of the reference convolution.
        contention: factors on the time of a step by number of processes.
    """

    seconds: float
    contention: Mapping[int, float]

    @classmethod
    def of(cls, store: Store, device: str, augmentation: str = "") -> UsualPace | None:
        """Return the usual pace by the measurements of this machine; None where there are none.

        Args:
            store: database with measurements.
            device: ``cpu`` or ``cuda``, which has no reference.
            augmentation: augmentation of the batches (`Augmentation.key`).
        """
        return cls.among(stored_measurements(store, device, augmentation)) if device == "cpu" else None

    @classmethod
    def among(cls, measured: Sequence[Measurement]) -> UsualPace | None:
        """Return the usual pace of the machine of measurements; None where none has the reference."""
        known = [m.reference_seconds for m in measured if m.processes == 1 and m.reference_seconds]
        return cls(float(np.median(known)), measured_contention(measured)) if known else None

    def speed(self, seconds: float, copies: int) -> float:
        """Return the speed of the machine; 1 is the usual one.

        Args:
            seconds: seconds of the convolution now.
            copies: number of our processes that compute at the same time, this one included.
        """
        return contention_at(self.contention, copies) * self.seconds / seconds

    def speed_now(self, copies: int) -> float:
        """Return the speed of the machine now; what looks busy is measured twice, because it may be a moment.

        Args:
            copies: number of our processes that will compute at the same time; none does yet.
        """
        first = pace_side_by_side(copies)
        if self.speed(first, copies) >= BUSY_BELOW:
            return self.speed(first, copies)
        return self.speed((first + pace_side_by_side(copies)) / 2, copies)

    def beside(self, copies: int) -> UsualPace:
        """Return the usual pace of one process of several of ours that compute at the same time.

        Args:
            copies: number of these processes.
        """
        return UsualPace(contention_at(self.contention, copies) * self.seconds, self.contention)


def busy_line(speed: float, consequence: str) -> str:
    """Return the line that says that the machine is busy, and what follows from it."""
    cores, waiting = usable_cores(), load()
    beside = "" if waiting is None else f" (load {waiting:.1f} on {cores} core{'s' * (cores > 1)})"
    return f"this machine is at {100 * speed:.0f} % of its usual speed{beside}: {consequence}"


def say_if_busy(usual: UsualPace | None, copies: int, remedy: str, say: Say) -> bool:
    """Say that the machine is busy before it is measured or probes are trained, if it is.

    Args:
        usual: usual pace of the machine; None where it is not known.
        copies: number of processes that will compute at the same time.
        remedy: what measures again later, in words.
        say: receiver of the line.

    Returns:
        Whether the machine is busy.
    """
    if usual is None or (speed := usual.speed_now(copies)) >= BUSY_BELOW:
        return False
    longer = f"forecasts are for the usual speed, and trainings take about {1 / speed:.1f} times as long now"
    say(busy_line(speed, f"{longer}; {remedy} measures again when it is quiet"))
    return True


@dataclass
class TrainingPace:
    """The pace while a plan is trained: it says once that the machine is busy, and counts disturbed epochs.

    An epoch counts as disturbed if the machine was busy at the sample before it or at the one after it.

    Attributes:
        usual: usual pace of the machine.
        copies: number of processes that train at the same time.
        say: receiver of one line.
    """

    usual: UsualPace
    copies: int
    say: Say
    _busy: bool = field(default=False, init=False)
    _in_a_row: int = field(default=0, init=False)
    _said: bool = field(default=False, init=False)
    _epochs: Counter[str] = field(default_factory=Counter, init=False)
    _since: Counter[str] = field(default_factory=Counter, init=False)
    _disturbed: Counter[str] = field(default_factory=Counter, init=False)

    @classmethod
    def of(cls, plan: TrainingPlan, store: Store, say: Say) -> TrainingPace | None:
        """Return the pace of a plan that is about to be trained; None on a machine without a history.

        Args:
            plan: the plan.
            store: database with measurements.
            say: receiver of one line.
        """
        usual = UsualPace.of(store, plan.execution.device, plan.dataset.augmentation.key)
        return None if usual is None else cls(usual, slots(plan), say)

    def begin(self, expected: float | None) -> None:
        """Measure the pace before the first step, when nothing of the training runs yet.

        Args:
            expected: forecast of the training at the usual speed, seconds; None for none.
        """
        speed = self.usual.speed_now(self.copies)
        self._busy = speed < BUSY_BELOW
        if self._busy and expected is None:
            self._say_once(speed, f"the training takes about {1 / speed:.1f} times as long now")
        elif self._busy and expected is not None:
            self._say_once(speed, f"about {expected / speed:.3g} s now, {expected:.3g} s at the usual speed")

    def epoch(self, step: str) -> None:
        """Take notice of a trained epoch of a step."""
        self._epochs[step] += 1
        self._since[step] += 1

    def sample(self, step: str, seconds: float) -> None:
        """Judge the pace between two epochs.

        Args:
            step: step whose process has measured it.
            seconds: mean seconds of the reference convolution.
        """
        speed, before = self.usual.speed(seconds, self.copies), self._busy
        self._busy = speed < BUSY_BELOW
        if self._busy or before:
            self._disturbed[step] += self._since[step]
        self._since[step] = 0
        self._in_a_row = self._in_a_row + 1 if self._busy else 0
        if self._in_a_row >= SAMPLES_IN_A_ROW:
            self._say_once(speed, f"what is left takes about {1 / speed:.1f} times as long")

    @property
    def disturbed(self) -> bool:
        """Whether more than a few epochs of a step were trained on a busy machine."""
        return any(
            self._disturbed[step] + self._busy * self._since[step] > DISTURBED_SHARE * count
            for step, count in self._epochs.items()
        )

    def _say_once(self, speed: float, consequence: str) -> None:
        if not self._said:
            self.say(busy_line(speed, f"{consequence}; seconds of now are no evidence for later forecasts"))
        self._said = True
