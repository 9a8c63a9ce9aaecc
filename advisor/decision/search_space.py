"""The space of a search: designs of the budget, with training method and number of clusters.

Every choice is a point of one box with six coordinates, so that a sampler can combine and compare any two
points (NSGA-II draws coordinates at random that exist for some designs only):

    family, members, class, method    names and numbers, as categories
    position                          in [0, 1]: place among the designs of the same family, number of members
                                      and class, shallow designs first
    clusters                          in [0, 1]: from one cluster to one fewer than the members, for methods
                                      that train clusters

A coordinate that a design does not need is ignored. A value that no design has is replaced by the nearest
value that exists.

All choices also form one list in which similar choices are neighbours.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import optuna

from advisor.designs.design import Design, DesignClass
from advisor.designs.mixtures import Mixture
from advisor.designs.space import Candidate
from advisor.networks.families import family_named
from advisor.plans.method_traits import CLUSTERED, JOINT, ONE_SHAPE, Method

# Methods of a search by default. Full data and MotherNets have the most trainings behind their predicted
# errors. Snapshots train for half a schedule per member and had no more error than MotherNets in the same
# time (docs/methods.md). The other methods cost more than full data, or do not allow skip connections.
DEFAULT_METHODS = (Method.FULL_DATA, Method.MOTHERNETS, Method.SNAPSHOT)

Group = tuple[str, int, DesignClass]
Point = dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Choice:
    """A design with its training method.

    Attributes:
        candidate: a regular design or a mixture, without clusters.
        method: training method.
        clusters: number of clusters; that of the members for independent training.
    """

    candidate: Candidate | Mixture
    method: Method
    clusters: int

    @property
    def design(self) -> Design:
        """The candidate with its clusters."""
        return self.candidate.design(self.clusters)


def methods_for(candidate: Candidate | Mixture, methods: Sequence[Method]) -> tuple[Method, ...]:
    """Return the methods that can train a candidate, in their order.

    A single network is trained on full data. The members of a chain have one shape, as have the shared first
    layers of a tree.

    Args:
        candidate: a regular design or a mixture.
        methods: methods to choose from.
    """
    if candidate.members == 1:
        return (Method.FULL_DATA,)
    excluded: tuple[Method, ...] = ()
    if candidate.design_class is DesignClass.MIXED:
        excluded += ONE_SHAPE
    if family_named(candidate.family).skip_connections:
        excluded += JOINT
    return tuple(m for m in methods if m not in excluded)


class Choices:
    """All choices of a request.

    Args:
        candidates: designs and mixtures of the budget.
        methods: methods that ensembles may be trained by.

    Attributes:
        methods: these methods, each once.
        groups: candidates by family, number of members and class, shallow ones first.
    """

    def __init__(self, candidates: Sequence[Candidate | Mixture], methods: Sequence[Method]) -> None:
        self.methods = tuple(dict.fromkeys(methods))
        self.groups: dict[Group, list[Candidate | Mixture]] = {}
        for c in sorted(candidates, key=_shallow_first):
            if methods_for(c, self.methods):
                self.groups.setdefault((c.family, c.members, c.design_class), []).append(c)
        self._families = sorted({family for family, _, _ in self.groups})
        self._counts = sorted({members for _, members, _ in self.groups})
        kinds = {kind for _, _, kind in self.groups}
        self._classes = [kind for kind in DesignClass if kind in kinds]

    @cached_property
    def all(self) -> list[Choice]:
        """Every choice once, ordered by group, then by method, then by clusters."""
        return [choice for group in self.groups.values() for choice in self._of_group(group)]

    def __len__(self) -> int:
        """Return the number of choices, without making them."""
        return sum(len(group) * self._trainings(group[0]) for group in self.groups.values())

    def _trainings(self, candidate: Candidate | Mixture) -> int:
        """Return the number of methods of a candidate, each number of clusters counted."""
        return sum(
            candidate.members - 1 if method in CLUSTERED else 1 for method in self.methods_of(candidate)
        )

    @cached_property
    def _places(self) -> dict[Choice, int]:
        return {choice: i for i, choice in enumerate(self.all)}

    def _of_group(self, group: Sequence[Candidate | Mixture]) -> Iterator[Choice]:
        members = group[0].members
        for method in self.methods_of(group[0]):
            for clusters in range(1, members) if method in CLUSTERED else (members,):
                yield from (Choice(candidate, method, clusters) for candidate in group)

    def methods_of(self, candidate: Candidate | Mixture) -> tuple[Method, ...]:
        """Return the methods that can train a candidate."""
        return methods_for(candidate, self.methods)

    def suggested(self, trial: optuna.Trial) -> Choice:
        """Return the choice of a trial."""
        family = trial.suggest_categorical("family", self._families)
        suggested_members = trial.suggest_categorical("members", self._counts)
        kind = DesignClass(trial.suggest_categorical("class", [kind.value for kind in self._classes]))
        position = trial.suggest_float("position", 0.0, 1.0)
        method = Method(trial.suggest_categorical("method", [method.value for method in self.methods]))
        clusters = trial.suggest_float("clusters", 0.0, 1.0)
        members = min((k for f, k, _ in self.groups if f == family), key=lambda k: abs(k - suggested_members))
        kinds = [c for f, k, c in self.groups if (f, k) == (family, members)]
        group = self.groups[family, members, kind if kind in kinds else kinds[0]]
        possible = self.methods_of(group[0])
        method = method if method in possible else possible[0]
        count = 1 + _place(clusters, members - 1) if method in CLUSTERED else members
        return Choice(group[_place(position, len(group))], method, count)

    def point(self, choice: Choice) -> Point:
        """Return coordinates that lead to a choice; those that it ignores are left to the sampler."""
        c = choice.candidate
        group = self.groups[c.family, c.members, c.design_class]
        point: Point = {
            "family": c.family,
            "members": c.members,
            "class": c.design_class.value,
            "position": (group.index(c) + 0.5) / len(group),
        }
        if c.members > 1:
            point["method"] = choice.method.value
        if choice.method in CLUSTERED:
            point["clusters"] = (choice.clusters - 0.5) / (c.members - 1)
        return point

    def nearest_new(self, choice: Choice, evaluated: Container[Choice]) -> Choice:
        """Return the choice nearest to a given one in the list that is not yet evaluated.

        Args:
            choice: the given choice, which is returned if it is new, or if no choice is new.
            evaluated: choices that are evaluated already.
        """
        if choice not in evaluated:
            return choice
        place = self._places[choice]
        for distance in range(1, len(self.all)):
            for i in (place - distance, place + distance):
                if 0 <= i < len(self.all) and self.all[i] not in evaluated:
                    return self.all[i]
        return choice


def _place(share: float, count: int) -> int:
    """Return the place in a list of `count` items that a coordinate in [0, 1] means."""
    return min(int(share * count), count - 1)


def _shallow_first(c: Candidate | Mixture) -> tuple[object, ...]:
    shapes = c.shapes if isinstance(c, Mixture) else ((c.members, c.depth, c.width),)
    return c.family, c.members, c.design_class, c.depth, shapes
