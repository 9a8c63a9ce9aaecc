"""Answers on the nodes of a cluster: what a plan takes on them, and what was measured of them."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.cost.measurement import Fingerprint
from advisor.estimate import Estimate
from cli.workflows.answers.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOnNode:
    """Predicted seconds of a step alone on a kind of node.

    Attributes:
        step: id of the step.
        seconds: seconds while no other step runs on the node.
    """

    step: str
    seconds: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastOnNode:
    """A kind of node: nodes with one fingerprint.

    Attributes:
        name: name of the kind.
        nodes: number of nodes.
        slots: number of steps that they can train at the same time.
        measurements: number of measurements behind the figures; 0 for a kind that was never measured, which
            has those of another machine with wider intervals.
        steps: seconds of every step alone on one of its slots.
        steps_seconds: their sum.
        train_seconds_without: training time without these nodes; null where no other kind is left.
    """

    name: str
    nodes: int
    slots: int
    measurements: int
    steps: tuple[StepOnNode, ...]
    steps_seconds: Estimate
    train_seconds_without: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterForecast:
    """The cluster that a plan was priced for.

    Attributes:
        cluster: address of the cluster.
        slots: number of steps that its nodes can train at the same time.
        used: number of them that the plan can use at a time.
        kinds: kinds of nodes; empty where nothing was measured of any.
    """

    cluster: str
    slots: int
    used: int
    kinds: tuple[ForecastOnNode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfiledKind:
    """A kind of node after measuring.

    Attributes:
        name: name of the kind.
        device: fingerprint of its nodes under plain settings.
        nodes: number of nodes.
        measured_on: node that was measured; null where enough was known, or every node failed.
        measurements_new: number of new measurements.
        measurements_reused: number of measurements that were stored before.
        seconds: time that measuring took, seconds; the wait for a free node counts.
        failed: whether it should have been measured and no node of it could be.
    """

    name: str
    device: Fingerprint
    nodes: int
    measured_on: str | None
    measurements_new: int
    measurements_reused: int
    seconds: float
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterProfile(Answer):
    """What was measured of the nodes of a cluster.

    Attributes:
        cluster: address of the cluster.
        design: design whose size and families were measured.
        dataset: name of the data set.
        kinds: kinds of nodes, those with most nodes first.
    """

    cluster: str
    design: str
    dataset: str
    kinds: tuple[ProfiledKind, ...]
