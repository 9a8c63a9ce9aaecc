"""Joint networks: several members that share layers, as one graph with one output a member.

``tree(a+b)`` is a TreeNet (Lee et al. 2015). Its members share their first layers and nothing after them.

``shared(a+b)`` is a shared MotherNet (MotherNets, MLSys 2020, appendix C). Its members share one copy of the
layers that they have from their mother network. Filters and layers that a member has beyond the mother are
its own; they read the shared filters below and the member's own. Shared filters read the shared filters below
and the own filters of *all* members. So they are the same for every member and are computed once. The paper
leaves two points open:

- The head behind the last block belongs to each member here. With a shared head all members would be one.
- A larger kernel applies to a member's own filters here. Shared filters keep the mother's kernel.

Families with skip connections allow neither. A TreeNet excludes them by its definition. In a shared
MotherNet, a unit that one member inserts would have to add to a map that all members share.

The saving is 1 − parameters of the joint network / sum of the parameters of its members, counted on the
graph. Weights from own to shared filters are included. (The paper writes 1 − k|M| / Σ|N_i|, which is the part
that is *not* the mother's.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import takewhile

from advisor.errors import InvalidDesignError, UsageError
from advisor.networks.architecture import NetworkSpec, family_of, lower, parse_network
from advisor.networks.families import family_named
from advisor.networks.graph import INPUT, BatchNorm, Concat, Conv, Graph, GraphBuilder, Linear, Node
from advisor.networks.layers import Task
from advisor.networks.mothernet import mother_of

# Layers with weights that the members of a TreeNet share (MotherNets, section 3).
TREE_LAYERS = 3
# First part of the names of nodes that belong to one member.
OWN = "member"


class Sharing(StrEnum):
    """What the members of a joint network share."""

    TREE = "tree"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class JointSpec:
    """Members of one family that share layers.

    Raises:
        UsageError: one member, several families, or a family with skip connections.
    """

    sharing: Sharing
    members: tuple[NetworkSpec, ...]

    def __post_init__(self) -> None:
        families = sorted({member.family for member in self.members})
        if len(self.members) < 2 or len(families) > 1:
            raise InvalidDesignError(
                f"layers are shared by two members or more of one family, got {len(self.members)} of "
                f"{', '.join(families)}"
            )
        if family_named(families[0]).skip_connections:
            raise UsageError(
                f"members of {families[0]} cannot share layers: the family has skip connections; use vgg or "
                "mlp, or another method"
            )

    @property
    def name(self) -> str:
        """Short name that `parse_joint` reads back."""
        return f"{self.sharing}({'+'.join(member.name for member in self.members)})"


def is_joint(name: str) -> bool:
    """Whether a name is that of a joint network."""
    return name.endswith(")")


@lru_cache(maxsize=1024)
def parse_joint(name: str) -> JointSpec:
    """Read the name of a joint network.

    Raises:
        UsageError: another form of name, or networks that do not exist or cannot share layers.
    """
    sharing, bracket, members = name.removesuffix(")").partition("(")
    if not bracket or not name.endswith(")") or sharing not in list(Sharing):
        raise InvalidDesignError(f"cannot read joint network {name!r}: write tree(a+b) or shared(a+b)")
    return JointSpec(Sharing(sharing), tuple(parse_network(member) for member in members.split("+")))


def family_in(name: str) -> str:
    """Return the family of a network or of a joint network's members; the rest of the name is not read."""
    return family_of(name.partition("(")[2] or name)


@lru_cache(maxsize=4096)
def graph_of(name: str, task: Task) -> Graph:
    """Return the graph of operations of a named network, joint or not.

    Raises:
        UsageError: the name cannot be read (`parse_network`, `parse_joint`), or the members of a tree differ
            in the layers that they would share.
    """
    if not is_joint(name):
        return lower(parse_network(name), task)
    spec = parse_joint(name)
    graphs = [lower(member, task) for member in spec.members]
    if spec.sharing is Sharing.TREE:
        return _tree(spec.members, graphs)
    return _Shared(lower(mother_of(spec.members), task), graphs).graph()


def own_prefix(number: int) -> str:
    """Return the first part of the names of nodes that belong to member 0, 1, … alone."""
    return f"{OWN}{number + 1}."


def shared_nodes(graph: Graph) -> list[Node]:
    """Return the nodes that all members of a joint network have in common."""
    return [node for node in graph.nodes if not node.name.startswith(OWN)]


def _tree(members: Sequence[NetworkSpec], graphs: Sequence[Graph]) -> Graph:
    """Return a graph with the first layers once and the other layers of every member."""
    # The last layer is never shared.
    layers = min(TREE_LAYERS, *(len(_multiplying(graph.nodes)) - 1 for graph in graphs))
    trunks = [_first(graph.nodes, layers) for graph in graphs]
    for member, trunk in zip(members, trunks, strict=True):
        if trunk != trunks[0]:
            raise UsageError(
                f"TreeNets share the first {layers} layers, which differ between {members[0].name} and "
                f"{member.name}: choose members that begin alike, or another method"
            )
    build = GraphBuilder(graphs[0].input_shape)
    for node in trunks[0]:
        build.add(node.name, node.operation, *node.inputs)
    common = {INPUT, *(node.name for node in trunks[0])}
    outputs = []
    for number, graph in enumerate(graphs):
        prefix = own_prefix(number)
        for node in graph.nodes[len(trunks[0]) :]:
            sources = (name if name in common else prefix + name for name in node.inputs)
            last = build.add(prefix + node.name, node.operation, *sources)
        outputs.append(last)
    return build.build(tuple(outputs))


def _multiplying(nodes: Sequence[Node]) -> list[Node]:
    return [node for node in nodes if isinstance(node.operation, Conv | Linear)]


def _first(nodes: Sequence[Node], layers: int) -> list[Node]:
    """Return the nodes before the first convolution or linear layer beyond a number of them."""
    beyond = {node.name for node in _multiplying(nodes)[layers:]}
    return list(takewhile(lambda node: node.name not in beyond, nodes))


class _Shared:
    """Builds a shared MotherNet: walks along the mother's nodes, and the members' nodes beside them.

    Args:
        mother: graph of the mother network.
        members: graph of each member as a network of its own.
    """

    def __init__(self, mother: Graph, members: Sequence[Graph]) -> None:
        self.mother = mother
        self.left = [list(graph.nodes) for graph in members]
        self.build = GraphBuilder(mother.input_shape)
        self.shared = INPUT
        # Each member's own map beside the shared one, and whether its next node reads its own map alone.
        self.own: list[str | None] = [None] * len(members)
        self.apart = [False] * len(members)

    def graph(self) -> Graph:
        """Return the joint network."""
        for node in self._trunk():
            for number, left in enumerate(self.left):
                while left[0].name != node.name:
                    self._insert(number, left.pop(0))
            self._keep(node, [left.pop(0) for left in self.left])
        for number, left in enumerate(self.left):
            for node in left:
                self._insert(number, node)
        return self.build.build(tuple(name for name in self.own if name is not None))

    def _trunk(self) -> tuple[Node, ...]:
        """Return the mother's nodes up to the last one of a block."""
        nodes = self.mother.nodes
        last = max(i for i, node in enumerate(nodes) if node.name.startswith("block"))
        return nodes[: last + 1]

    def _read(self, number: int, name: str) -> str:
        """Return the map that a member's next node reads: shared and own filters concatenated."""
        own = self.own[number]
        parts = [] if self.apart[number] else [self.shared]
        return self._joined(name, parts if own is None else [*parts, own])

    def _joined(self, name: str, parts: list[str]) -> str:
        return parts[0] if len(parts) == 1 else self.build.add(f"{name}.inputs", Concat(), *parts)

    def _insert(self, number: int, node: Node) -> None:
        """Append a node that one member alone has."""
        name = own_prefix(number) + node.name
        self.own[number] = self.build.add(name, node.operation, self._read(number, name))
        self.apart[number] = True

    def _keep(self, node: Node, grown: Sequence[Node]) -> None:
        """Append a node of the mother for the shared map, and the same for each member's own map."""
        if not isinstance(node.operation, Conv | Linear):
            self.own = [
                None if name is None else self._applied(own_prefix(number) + node.name, node, name)
                for number, name in enumerate(self.own)
            ]
            self.shared = self._applied(node.name, node, self.shared)
            return
        more = [self._further_filters(number, node, wide) for number, wide in enumerate(grown)]
        below = self._joined(node.name, [self.shared, *(name for name in self.own if name is not None)])
        operation = replace(node.operation, inputs=self.build.shapes[below][0])
        self.shared = self.build.add(node.name, operation, below)
        self.own, self.apart = more, [False] * len(grown)

    def _applied(self, name: str, node: Node, source: str) -> str:
        if isinstance(node.operation, BatchNorm):
            return self.build.norm(name, source)
        return self.build.add(name, node.operation, source)

    def _further_filters(self, number: int, node: Node, grown: Node) -> str | None:
        """Append the filters that a member's layer has beyond the mother's; None if there are none."""
        further = grown.shape[0] - node.shape[0]
        if not further:
            return None
        name = own_prefix(number) + node.name
        source = self._read(number, name)
        match grown.operation:
            case Conv() as conv:
                return self.build.add(name, replace(conv, filters=further), source)
            case _:
                return self.build.linear(name, source, further)
