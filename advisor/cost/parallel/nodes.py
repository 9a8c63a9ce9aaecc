"""Nodes that train a plan, by their kinds: a machine is one node, a cluster has many.

A *kind* of node has one predictor, because a measurement belongs to one kind of machine. Steps slow each
other down where they share a node. The slots of nodes are numbered in the order in which steps take them.

>>> from types import SimpleNamespace
>>> quiet = SimpleNamespace(contention=lambda processes: 1.0)
>>> a, b = (NodeKind(name=name, slots=slots, predictor=quiet) for name, slots in (("a", (2, 2)), ("b", (2,))))
>>> [node.slots for node in Place((a, b), 6).numbered()]  # in turn: a, b, a, a, b, a
[(1, 3), (4, 6), (2, 5)]
>>> [node.slots for node in Place((a, b), 6).numbered([1, 0])]
[(3, 4), (5, 6), (1, 2)]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from advisor.conformal import Correction, Quantity
from advisor.cost.predictor import CostPredictor
from advisor.cost.timeline import Node
from advisor.plans.placement import devices_of, most_at_once, slots
from advisor.plans.plan import TrainingPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKind:
    """Nodes whose steps take the same time.

    Attributes:
        name: name for a person.
        slots: number of slots of each node, each at least 1.
        predictor: predictor of the kind; of another machine where the kind was never measured.
        widening: factor on both sides of intervals, above 1 for the predictor of another machine.
    """

    name: str
    slots: tuple[int, ...]
    predictor: CostPredictor
    widening: float = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a plan trains.

    Attributes:
        kinds: nodes by their kinds, each of another name.
        at_once: number of networks that can train at the same time; contention is that of so many, or of a
            full node.
    """

    kinds: tuple[NodeKind, ...]
    at_once: int

    @classmethod
    def machine(cls, plan: TrainingPlan, predictor: CostPredictor) -> Place:
        """Return the machine that a plan is placed on.

        Args:
            plan: the plan.
            predictor: predictor of the machine.
        """
        return cls((NodeKind(name="", slots=(slots(plan),), predictor=predictor),), plan.execution.processes)

    @classmethod
    def cluster(cls, plan: TrainingPlan, kinds: Sequence[NodeKind]) -> Place:
        """Return nodes that take as many steps of a plan as are ready, whatever its processes.

        Args:
            plan: the plan.
            kinds: the nodes by their kinds.
        """
        return cls(tuple(kinds), most_at_once(plan))

    @property
    def slots(self) -> int:
        """Number of slots."""
        return sum(sum(kind.slots) for kind in self.kinds)

    @property
    def largest(self) -> int:
        """Number of slots of the largest node."""
        return max(count for kind in self.kinds for count in kind.slots)

    def holds(self, plan: TrainingPlan) -> bool:
        """Return whether a node has the slots of every step."""
        return max(devices_of(step) for step in plan.steps) <= self.largest

    def used(self, plan: TrainingPlan) -> int:
        """Return the number of slots that the plan can use at a time."""
        processes = min(self.slots, self.at_once)
        wide = replace(plan, execution=replace(plan.execution, processes=processes))
        return min(slots(wide), self.slots)

    def correction(self) -> Correction:
        """Return the correction of intervals of times: the widest of those of the kinds."""
        corrections = [kind.predictor.correction(Quantity.TIME) for kind in self.kinds]
        return max(corrections, key=lambda correction: correction.factor)

    def numbered(self, order: Sequence[int] | None = None) -> list[Node]:
        """Return the nodes of all kinds, with the numbers of their slots.

        Args:
            order: places of the kinds, the one whose slots are taken first at the beginning; None for all in
                turn, as often as they have slots.
        """
        turns: list[tuple[float, int, int]] = []
        for place, kind in enumerate(self.kinds):
            count = sum(kind.slots)
            turns += [
                ((n + 0.5) / count if order is None else order.index(place), place, n) for n in range(count)
            ]
        numbers: list[list[int]] = [[] for _ in self.kinds]
        for number, (_, place, _) in enumerate(sorted(turns), start=1):
            numbers[place].append(number)
        nodes = []
        for place, kind in enumerate(self.kinds):
            own = iter(numbers[place])
            for count in kind.slots:
                contention = kind.predictor.contention(min(count, self.at_once))
                nodes.append(Node(place, tuple(next(own) for _ in range(count)), contention))
        return nodes
