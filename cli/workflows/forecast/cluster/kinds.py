"""Kinds of nodes of a cluster: nodes with one fingerprint, which have their measurements in common."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from advisor.cost.measurement import Fingerprint
from advisor.errors import RunError
from advisor.plans.execution import Execution
from advisor.serial import from_plain
from cli.workflows.forecast.cluster.on_node import fingerprint_of_node
from cli.workflows.forecast.machine import plain_execution
from cli.workflows.views import Say
from trainer.execution.cluster.address import ClusterAddress

if TYPE_CHECKING:
    from trainer.execution.cluster.survey import ClusterNode, Survey


@dataclass(frozen=True, slots=True)
class KindOfNode:
    """Nodes with one fingerprint.

    Attributes:
        name: name for a person, another one for every kind of a cluster.
        fingerprint: fingerprint under plain settings.
        nodes: the nodes.
    """

    name: str
    fingerprint: Fingerprint
    nodes: tuple[ClusterNode, ...]

    def machine(self, execution: Execution, augmentation: str = "") -> Fingerprint:
        """Return the fingerprint under the settings of a plan; arguments as for `fingerprint`."""
        return replace(
            self.fingerprint,
            threads=execution.threads,
            cores=execution.threads if self.fingerprint.cores else 0,
            dtype=execution.dtype,
            memory_format=execution.memory_format,
            augmentation=augmentation,
            step_mode=execution.step_mode,
        )

    def slots(self, execution: Execution) -> tuple[int, ...]:
        """Return the number of slots of every node that has any."""
        return tuple(count for node in self.nodes if (count := slots_of(node, execution)))


@dataclass(frozen=True, slots=True)
class ClusterKinds:
    """The nodes of a cluster by their kinds.

    Attributes:
        address: the cluster.
        kinds: the kinds, largest first.
        problems: why some nodes are left out, a line each.
        seen: ids of all nodes that there were.
    """

    address: ClusterAddress
    kinds: tuple[KindOfNode, ...]
    problems: tuple[str, ...]
    seen: frozenset[str]


@dataclass
class Cluster:
    """A cluster that is asked for its nodes once a device.

    Attributes:
        address: the cluster.
        say: receiver of what is wrong with some of its nodes.
    """

    address: ClusterAddress
    say: Say
    _known: dict[str, ClusterKinds] = field(default_factory=dict, init=False)

    def kinds(self, device: str) -> ClusterKinds:
        """Return its nodes; those that are left out are said once.

        Args:
            device: ``cpu`` or ``cuda``.

        Raises:
            UsageError: Ray is not installed, or the address is of a kind that cannot be used.
            RunError: there is no such cluster.
        """
        said = device in self._known
        found = self._asked(device)
        for problem in () if said else found.problems:
            self.say(problem)
        return found

    def kinds_to_train(self, device: str) -> ClusterKinds:
        """Return its nodes, all of which may train; there need not be any yet.

        Raises:
            UsageError: as `kinds`.
            RunError: as `kinds`, or a node may not train.
        """
        found = self._asked(device)
        if found.problems:
            raise RunError(found.problems[0])
        return found

    def _asked(self, device: str) -> ClusterKinds:
        if device not in self._known:
            from trainer.execution.cluster.survey import surveyed

            with surveyed(self.address) as survey:
                self._known[device] = kinds_of(survey, self.address, device)
        return self._known[device]


def kinds_of(survey: Survey, address: ClusterAddress, device: str) -> ClusterKinds:
    """Return the nodes that have a slot, by their kinds.

    Args:
        survey: connection to the cluster.
        address: the cluster.
        device: ``cpu`` or ``cuda``.
    """
    nodes = [node for node in survey.nodes if slots_of(node, plain_execution(device))]
    problems = list(survey.objections)
    found: dict[Fingerprint, list[ClusterNode]] = {}
    answers = survey.ask(nodes, fingerprint_of_node, device)
    for node in nodes:
        answer = answers[node.id]
        if isinstance(answer, str):
            found.setdefault(from_plain(Fingerprint, json.loads(answer)), []).append(node)
        else:
            problems.append(str(answer))
    by_size = sorted(found, key=lambda each: (-len(found[each]), each.digest))
    kinds = tuple(
        KindOfNode(name, each, tuple(found[each]))
        for name, each in zip(_names(by_size), by_size, strict=True)
    )
    return ClusterKinds(address, kinds, tuple(problems), survey.seen)


def slots_of(node: ClusterNode, execution: Execution) -> int:
    """Return how many steps a node can train at the same time: one for the threads of a plan, or a GPU."""
    slots = node.cores // execution.threads
    return min(slots, node.gpus) if execution.device == "cuda" else slots


def _names(fingerprints: Sequence[Fingerprint]) -> list[str]:
    """Return the names of devices, with more of the fingerprint where two have the same."""
    short = Counter(each.device_name for each in fingerprints)
    return [
        each.device_name
        if short[each.device_name] == 1
        else f"{each.device_name} ({each.driver}, torch {each.torch}, {each.kernels})"
        for each in fingerprints
    ]
