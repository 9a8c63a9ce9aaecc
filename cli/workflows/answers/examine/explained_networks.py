"""The networks of a plan in `advisor explain`: what each begins as, its size, and its state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from advisor.estimate import Estimate
from advisor.plans.plan import Role


class NetworkState(StrEnum):
    """State of a network of a run."""

    WAITING = "waiting"
    TRAINING = "training"
    STOPPED = "stopped"
    DONE = "done"
    FAILED = "failed"
    DIVERGED = "diverged"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedNetwork:
    """A network of a plan that has weights of its own.

    Attributes:
        name: name in the plan.
        network: short name of its specification.
        role: role in the plan.
        members: names of the members that it computes: itself, or those that share its layers; none for a
            mother network or a teacher.
        parameters: trainable scalars.
        source: name of the network that it is hatched from; null for one that trains from scratch.
        inherited_parameters: parameters of that network, which it begins with; 0 from scratch.
        distance: layers that must be inserted or changed to make it of that network; null from scratch, and
            for a joint network.
        teacher: name of the network whose outputs it learns from; null for none.
        epochs: expected epochs.
        converging_epochs: expected epochs with their interval where convergence ends the training; null where
            its length is fixed.
        actual_epochs: finished epochs; null for a plan that is not a run.
        state: state in a run; null for a plan. Which of the networks without a finished epoch are in training
            follows from the rule that starts steps.
    """

    name: str
    network: str
    role: Role
    members: tuple[str, ...]
    parameters: int
    source: str | None
    inherited_parameters: int
    distance: int | None
    teacher: str | None
    epochs: float
    converging_epochs: Estimate | None
    actual_epochs: int | None = None
    state: NetworkState | None = None
