"""What a plan takes on a cluster: the predictor of every kind of node, and what to say of them.

A kind of node that was never measured has the figures of this machine, because something must be planned
with. The ends of its intervals are a factor of 4 further out: by about that much speeds differ from one
processor to another of the last ten years, and from one GPU to another. The factor is ours, not measured.
Where this machine was not measured either, the measured kind with most slots stands in. Without any there is
no forecast.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from advisor.conformal import CostBasis
from advisor.cost.parallel.nodes import NodeKind, Place
from advisor.cost.parallel.spans import epochs_on, seconds_alone
from advisor.cost.predictor import CostPredictor
from advisor.cost.pricing import price
from advisor.estimate import Estimate, total
from advisor.plans.execution import Execution
from advisor.plans.plan import TrainingPlan
from cli.workflows.forecast.cluster.kinds import ClusterKinds, KindOfNode
from cli.workflows.forecast.machine import predictor_for
from db.queries import Store

# Factor on both sides of the intervals of a kind of node that was never measured.
UNMEASURED_FACTOR = 4.0


@dataclass(frozen=True, slots=True)
class ClusterPrices:
    """The kinds of nodes of a cluster with their predictors.

    Attributes:
        known: the nodes.
        kinds: kinds with slots for the plan, each with its predictor; empty where nothing is known of any.
        base: predictor of memory and latency: of this machine, else of the measured kind with most slots.
        stand_in: name of the machine whose figures those kinds have that were never measured.
    """

    known: ClusterKinds
    kinds: tuple[NodeKind, ...]
    base: CostPredictor
    stand_in: str

    @property
    def unmeasured(self) -> tuple[NodeKind, ...]:
        """Kinds that have the figures of another machine."""
        return tuple(kind for kind in self.kinds if kind.widening > 1)

    @property
    def measured(self) -> tuple[NodeKind, ...]:
        """Kinds that have figures of their own."""
        return tuple(kind for kind in self.kinds if kind.widening == 1)

    def lines(self, plan: TrainingPlan) -> list[str]:
        """Return what a user must know of the nodes, a line each.

        Args:
            plan: plan that they train.
        """
        return [*self._about_unmeasured(plan), *self._about_slowest(plan), *self._about_room(plan)]

    def _about_unmeasured(self, plan: TrainingPlan) -> list[str]:
        asked = ("advisor", "profile", plan.design, "--dataset", plan.dataset.name)
        command = shlex.join((*asked, "--cluster", self.known.address.address))
        remedy = f"`{command}` measures each kind once"
        if not self.known.kinds:
            return ["no node of the cluster has a slot for the plan yet, so there is no forecast of its time"]
        if not self.kinds:
            return [f"no kind of node of the cluster was ever measured, so there is no forecast: {remedy}"]
        return [
            f"{kind.name} ({_nodes(kind)}) was never measured: its times are those of {self.stand_in}, and "
            f"its intervals end a factor of {UNMEASURED_FACTOR:g} further out; {remedy}"
            for kind in self.unmeasured
        ]

    def _about_slowest(self, plan: TrainingPlan) -> list[str]:
        ends = self.slowest_and_fastest(plan)
        if ends is None:
            return []
        slowest, fastest = ends
        ratio = alone_total(plan, slowest).mean / alone_total(plan, fastest).mean
        without = self.seconds_without(slowest, plan)
        assert without is not None
        whole = price(plan, self.base, cluster=self.kinds).train_seconds
        return [
            f"the slowest kind of node is {slowest.name} ({_nodes(slowest)}), whose steps take {ratio:.2f} "
            f"times as long as on {fastest.name}: without it training would take {without.mean:.3g} s, not "
            f"{whole.mean:.3g} s"
        ]

    def _about_room(self, plan: TrainingPlan) -> list[str]:
        if not self.kinds or Place.cluster(plan, self.kinds).holds(plan):
            return []
        return ["no node of the cluster has as many GPUs as a network of the plan shares: it cannot train it"]

    def slowest_and_fastest(self, plan: TrainingPlan) -> tuple[NodeKind, NodeKind] | None:
        """Return the ends of the measured kinds; None where there are not two of them."""
        if len(self.measured) < 2:
            return None
        by_speed = sorted(self.measured, key=lambda kind: alone_total(plan, kind).mean)
        return by_speed[-1], by_speed[0]

    def seconds_without(self, kind: NodeKind, plan: TrainingPlan) -> Estimate | None:
        """Return the training time without the nodes of a kind; None where no other is left."""
        rest = tuple(each for each in self.kinds if each is not kind)
        return price(plan, self.base, cluster=rest).train_seconds if rest else None


def alone_total(plan: TrainingPlan, kind: NodeKind) -> Estimate:
    """Return the seconds of all steps one after the other on a kind of node."""
    return total(steps_alone(plan, kind))


def steps_alone(plan: TrainingPlan, kind: NodeKind) -> list[Estimate]:
    """Return the seconds of every step alone on a kind of node, in the order of the plan."""
    return seconds_alone(plan, epochs_on(plan, kind), kind.predictor)


def cluster_prices(
    known: ClusterKinds, execution: Execution, augmentation: str, store: Store, own: CostPredictor
) -> ClusterPrices:
    """Return the kinds of nodes with their predictors.

    Args:
        known: the nodes.
        execution: settings of the plan.
        augmentation: augmentation of its batches (`Augmentation.key`).
        store: database with measurements of this machine and of nodes.
        own: predictor of this machine.
    """
    found = [
        (kind, counts, predictor_for(store, execution, augmentation, kind.machine))
        for kind in known.kinds
        if (counts := kind.slots(execution))
    ]
    measured = [each for each in found if _is_measured(each[2])]
    largest = max(measured, key=lambda each: sum(each[1]), default=None)
    if not _is_measured(own) and largest is None:
        return ClusterPrices(known, (), own, "")
    if _is_measured(own) or largest is None:
        base, stand_in = own, "this machine"
    else:
        base, stand_in = largest[2], largest[0].name
    kinds = tuple(_priced(kind, counts, predictor, base) for kind, counts, predictor in found)
    return ClusterPrices(known, kinds, base, stand_in)


def _priced(
    kind: KindOfNode, counts: tuple[int, ...], predictor: CostPredictor, base: CostPredictor
) -> NodeKind:
    if _is_measured(predictor):
        return NodeKind(name=kind.name, slots=counts, predictor=predictor)
    return NodeKind(name=kind.name, slots=counts, predictor=base, widening=UNMEASURED_FACTOR)


def _is_measured(predictor: CostPredictor) -> bool:
    return predictor.basis is not CostBasis.NOMINAL


def _nodes(kind: NodeKind) -> str:
    count = len(kind.slots)
    return f"{count} node{'s' * (count != 1)}"
