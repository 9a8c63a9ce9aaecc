"""Which channel of a mother network every channel of its member repeats.

Notation: the *channel map* of a node's output has two entries a channel j of the member. source[j] is the
mother's channel that j repeats, share[j] the part of the mother's outgoing weight that a reader of j
takes. The shares of all copies of one channel add up to 1, so a reader sees the mother's sum; they are
unequal (0.7 and 0.3 for twins), since equal twins get equal gradients and never separate (Chen et al.
2016, "Net2Net", section 2.2). A *free* channel has no donor (source −1) and the share 0: nothing that the
mother has reads it at first, whereupon its readers' weights learn, and then it does.

Which outputs have one map follows from the graph: an addition ties its inputs together, so the residual
stream of a stage is one group, and a zero-padded shortcut fixes the first channels of the next group. A
concatenation joins the maps of what it reads, so a larger growth rate inserts channels into every feature
vector behind it. New layers of a plain network pass on what they read; inside a new residual unit, and
behind a new dense layer, all channels are free.

A transition of a DenseNet widens with its input. Its new outputs repeat old ones, as in any other
widened convolution: unlike free channels they carry what the mother has learnt from the first step on,
and their statistics are known.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from advisor.errors import PlanError
from advisor.networks.graph import INPUT, Add, Concat, Conv, Flatten, Graph, Linear, Node, PadShortcut

TWIN_SHARE = 0.7
FREE = -1


@dataclass(frozen=True, slots=True)
class ChannelMap:
    """Donor and outgoing share of every channel of a member's map: two tensors of shape (channels,)."""

    source: Tensor
    share: Tensor

    @staticmethod
    def of_sources(source: Tensor) -> ChannelMap:
        """Return the map of given donors with unequal shares among the copies of a donor.

        The first copy takes `TWIN_SHARE` of what is left, the next the same part of the rest, and the
        last one what remains.
        """
        share = torch.zeros(len(source), dtype=torch.float64)
        for donor in source[source != FREE].unique().tolist():
            copies = (source == donor).nonzero().flatten().tolist()
            left = 1.0
            for copy in copies[:-1]:
                share[copy] = left * TWIN_SHARE
                left -= left * TWIN_SHARE
            share[copies[-1]] = left
        return ChannelMap(source, share)

    @property
    def free(self) -> Tensor:
        """Which channels have no donor, shape (channels,)."""
        return self.source == FREE


def channel_maps(mother: Graph, member: Graph, generator: torch.Generator) -> dict[str, ChannelMap]:
    """Return the channel map of every node's output of the member, the input's included.

    Args:
        mother: smaller than the member or as large, at every layer.
        member: of the same family and task.
        generator: draws the donors of additional channels.

    Raises:
        PlanError: a new layer of a plain network is narrower than what it must pass on.
    """
    donors = _Donors(mother, member, generator, _groups(member))
    donors.found[INPUT] = torch.arange(member.input_shape[0])
    for node in member.nodes:
        if donors.group_of[node.name] not in donors.found:
            donors.find(node)
    maps = {group: ChannelMap.of_sources(source) for group, source in donors.found.items()}
    return {name: maps[group] for name, group in donors.group_of.items()}


def _groups(graph: Graph) -> dict[str, str]:
    """Return for every node the group whose channel map it shares.

    Operations that change the number of channels open a group; every other one keeps the channels of
    what it reads, and an addition ties what it adds.
    """
    parent = {INPUT: INPUT}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for node in graph.nodes:
        opens = isinstance(node.operation, Conv | Linear | Flatten | Concat | PadShortcut)
        parent[node.name] = node.name if opens else root(node.inputs[0])
        if isinstance(node.operation, Add):
            parent[root(node.inputs[1])] = root(node.inputs[0])
    return {name: root(name) for name in parent}


@dataclass(slots=True)
class _Donors:
    """The donors of each group, found in execution order: what a group reads is known before it."""

    mother: Graph
    member: Graph
    generator: torch.Generator
    group_of: dict[str, str]
    found: dict[str, Tensor] = field(default_factory=dict)

    def find(self, first: Node) -> None:
        """Find the donors of the group that a node opens."""
        match first.operation:
            case Flatten():
                donors = self._flattened(first)
            case Concat():
                donors = self._joined(first)
            case _:
                donors = self._of_group(first)
        self.found[self.group_of[first.name]] = donors

    def _read(self, node: str) -> Tensor:
        return self.found[self.group_of[node]]

    def _flattened(self, node: Node) -> Tensor:
        """Donors of a map flattened channel by channel: each stands for its pixels."""
        _, height, width = self.member.shapes[node.inputs[0]]
        pixels = height * width
        return (self._read(node.inputs[0])[:, None] * pixels + torch.arange(pixels)).flatten()

    def _joined(self, node: Node) -> Tensor:
        """Donors of a concatenation: the mother has the channels of the second map behind the first."""
        before, added = (self._read(name) for name in node.inputs)
        # What a new layer adds is free and stays so.
        offset = self.mother.shapes[node.inputs[0]][0] if node.name in self.mother.shapes else 0
        return torch.cat((before, added + offset))

    def _of_group(self, first: Node) -> Tensor:
        if first.name == self.member.nodes[-1].name:
            return torch.arange(first.shape[0])
        tied = [n for n in self.member.nodes if self.group_of[n.name] == self.group_of[first.name]]
        inherited = next((n.name for n in tied if n.name in self.mother.shapes), None)
        if inherited is None:
            return self._of_new_layer(first)
        old = self.mother.shapes[inherited][0]
        pad = next((n for n in tied if isinstance(n.operation, PadShortcut)), None)
        if pad is None:
            return self._repeated(old, first)
        # Zero-padding keeps the channels of the stage before in front: their donors are given.
        before = self._read(pad.inputs[0])
        kept = int(before.max()) + 1
        return torch.cat((before, kept + self._drawn(old - kept, first.shape[0] - len(before))))

    def _of_new_layer(self, node: Node) -> Tensor:
        """A new layer that maps bypass is free; one that they do not repeats what it reads."""
        if any(isinstance(n.operation, Add | Concat) for n in self.member.nodes):
            return torch.full((node.shape[0],), FREE)
        return self._repeated(int(self._read(node.inputs[0]).max()) + 1, node)

    def _repeated(self, old: int, node: Node) -> Tensor:
        """Donors of a layer in which all `old` channels of the mother go on."""
        channels = node.shape[0]
        if channels < old:
            unit = "filters" if isinstance(node.operation, Conv) else "units"
            raise PlanError(
                f"the new layer {node.name} has {channels} {unit} and must pass on the {old} of the mother's "
                f"last layer: give it at least {old}"
            )
        return self._drawn(old, channels)

    def _drawn(self, old: int, new: int) -> Tensor:
        """Keep `old` channels in place and draw a donor for each of the others."""
        return torch.cat((torch.arange(old), torch.randint(old, (new - old,), generator=self.generator)))
