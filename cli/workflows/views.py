"""How a workflow speaks while it works; results never go this way."""

from __future__ import annotations

from typing import Protocol

from advisor.plans.plan import TrainingPlan
from advisor.plans.records import EpochRecord


class TrainingView(Protocol):
    """Shows progress to a person."""

    def begin(self, plan: TrainingPlan, expected_seconds: float | None) -> None:
        """Training starts."""

    def epoch(self, record: EpochRecord) -> None:
        """A network finished an epoch."""

    def end(self) -> None:
        """Training ended, one way or another."""


class ProbingView(TrainingView, Protocol):
    """Shows what is measured, and the training of probes."""

    def say(self, text: str, /) -> None:
        """Show one line."""


class Say(Protocol):
    """Progress that a person may want to see; results never go this way."""

    def __call__(self, text: str, /) -> None:
        """Show one line."""
