"""What a search chooses: a design of the budget, how it is trained, and in how many clusters.

Every choice is a point of one box with the same coordinates for all, so that a sampler can cross and compare
any two: NSGA-II draws parameters at random that exist for some designs only. A coordinate that a design has
no use for is ignored, and a value that it does not have gives way to one that it has:

- ``family``, ``members``, ``class``, ``method``: names;
- ``position`` in [0, 1]: among the designs of that family, number of members and class, shallow ones first;
- ``clusters`` in [0, 1]: from one to one fewer than the members, for methods that train clusters.

All choices also stand in one list, neighbours next to each other.
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
from advisor.plans.method import CLUSTERED, JOINT, ONE_SHAPE, Method

# Chosen among unless the user says otherwise: the two methods whose errors the accuracy predictor knows from
# most trainings, and snapshots, which train for half a schedule a member and did no worse than MotherNets in
# the same time (docs/methods.md). The others cost more than full data or refuse skip connections.
DEFAULT_METHODS = (Method.FULL_DATA, Method.MOTHERNETS, Method.SNAPSHOT)

Group = tuple[str, int, DesignClass]
Point = dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Choice:
    """A regular design or a mixture, its method, and its clusters: as many as members if independent."""

    candidate: Candidate | Mixture
    method: Method
    clusters: int

    @property
    def design(self) -> Design:
        """The design that is trained."""
        return self.candidate.design(self.clusters)


def methods_for(candidate: Candidate | Mixture, methods: Sequence[Method]) -> tuple[Method, ...]:
    """Return those of some methods that can train a candidate; a single network is trained on full data.

    A chain has one shape, and so have the first layers of a tree.
    """
    if candidate.members == 1:
        return (Method.FULL_DATA,)
    refused: tuple[Method, ...] = ()
    if candidate.design_class is DesignClass.MIXED:
        refused += ONE_SHAPE
    if family_named(candidate.family).skip_connections:
        refused += JOINT
    return tuple(m for m in methods if m not in refused)


class Choices:
    """All choices of a request.

    Args:
        candidates: designs and mixtures of the budget.
        methods: that ensembles may be trained by.
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
        """Every choice once: of a group all of one method, then of the next."""
        return [choice for group in self.groups.values() for choice in self._of_group(group)]

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
        """Return what a trial chooses."""
        family = trial.suggest_categorical("family", self._families)
        wanted = trial.suggest_categorical("members", self._counts)
        kind = DesignClass(trial.suggest_categorical("class", [kind.value for kind in self._classes]))
        position = trial.suggest_float("position", 0.0, 1.0)
        method = Method(trial.suggest_categorical("method", [method.value for method in self.methods]))
        clusters = trial.suggest_float("clusters", 0.0, 1.0)
        members = min((k for f, k, _ in self.groups if f == family), key=lambda k: abs(k - wanted))
        kinds = [c for f, k, c in self.groups if (f, k) == (family, members)]
        group = self.groups[family, members, kind if kind in kinds else kinds[0]]
        offered = self.methods_of(group[0])
        method = method if method in offered else offered[0]
        shared = 1 + _place(clusters, members - 1) if method in CLUSTERED else members
        return Choice(group[_place(position, len(group))], method, shared)

    def point(self, choice: Choice) -> Point:
        """Return coordinates that suggest a choice; those that it ignores are left to the sampler."""
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

    def nearest_new(self, choice: Choice, known: Container[Choice]) -> Choice:
        """Return a choice, or the one nearest to it in the list that is not known; itself if all are."""
        if choice not in known:
            return choice
        place = self._places[choice]
        for distance in range(1, len(self.all)):
            for i in (place - distance, place + distance):
                if 0 <= i < len(self.all) and self.all[i] not in known:
                    return self.all[i]
        return choice


def _place(share: float, count: int) -> int:
    return min(int(share * count), count - 1)


def _shallow_first(c: Candidate | Mixture) -> tuple[object, ...]:
    shapes = c.shapes if isinstance(c, Mixture) else ((c.members, c.depth, c.width),)
    return c.family, c.members, c.design_class, c.depth, shapes
