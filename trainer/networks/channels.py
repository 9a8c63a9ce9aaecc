"""Channel maps: for every channel of a member network, the channel of its mother network that it copies.

Notation: the channel map of a node's output has two entries for each channel j of the member.

- source[j] is the *donor*: the mother's channel that j copies.
- share[j] is the factor on the mother's outgoing weights with which the layers behind read channel j.

The shares of all copies of one donor add up to 1, so the layers behind compute the same sums as in the
mother. The shares of two copies are unequal, 0.7 and 0.3: copies with equal shares would get equal gradients
and stay equal for ever (Chen et al. 2016, "Net2Net", section 2.2). A *free* channel has no donor (source −1)
and share 0. The layers that exist in the mother read it with zero weights at first. These weights learn in
the first step, and the free channel itself learns after them.

The graph determines which outputs share a map:

- An addition needs equal maps of its inputs. The residual stream of a stage is therefore one group.
- A zero-padded shortcut determines the first channels of the next group.
- A concatenation joins the maps of its inputs. A larger growth rate thus inserts channels into every later
  feature map.
- A new layer of a plain network passes its input on. All channels are free inside a new residual unit and
  behind a new dense layer.

A transition of a DenseNet becomes wider with its input. Its new outputs are copies, as in every other widened
convolution, and not free channels. They carry learnt features from the first step on, and their statistics
are known.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from advisor.errors import PlanError
from advisor.networks.graph import INPUT, Add, Concat, Conv, Flatten, Graph, Linear, Node, PadShortcut

# Share of the first copy of a donor.
TWIN_SHARE = 0.7
# Source of a channel without a donor.
FREE = -1


@dataclass(frozen=True, slots=True)
class ChannelMap:
    """Donor and share of every channel of a member's output.

    Attributes:
        source: channel of the mother's output, `FREE` for none, int64 (channels,).
        share: factor on the mother's outgoing weights, float64 (channels,).
    """

    source: Tensor
    share: Tensor

    @staticmethod
    def of_sources(source: Tensor) -> ChannelMap:
        """Return the map of given donors, with unequal shares among the copies of one donor.

        The first copy gets `TWIN_SHARE`, every next one the same fraction of the rest, and the last one all
        of the rest.

        Args:
            source: donors, int64 (channels,).
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
        """Mask of the channels without a donor, bool (channels,)."""
        return self.source == FREE


def channel_maps(mother: Graph, member: Graph, generator: torch.Generator) -> dict[str, ChannelMap]:
    """Return the channel maps of the input and of every node of the member.

    Args:
        mother: graph of the mother network, at no layer larger than the member.
        member: graph of a network of the same family and task.
        generator: random generator of the donors of additional channels.

    Returns:
        Channel maps by the name of the node.

    Raises:
        PlanError: a new layer of a plain network is narrower than the layer that it must pass on.
    """
    donors = _Donors(mother, member, generator, _groups(member))
    donors.found[INPUT] = torch.arange(member.input_shape[0])
    for node in member.nodes:
        if donors.group_of[node.name] not in donors.found:
            donors.find(node)
    maps = {group: ChannelMap.of_sources(source) for group, source in donors.found.items()}
    return {name: maps[group] for name, group in donors.group_of.items()}


def _groups(graph: Graph) -> dict[str, str]:
    """Return the group of every node; the nodes of a group share one channel map.

    An operation that changes the number of channels opens a group. Every other operation belongs to the group
    of its input. An addition unites the groups of its inputs.
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
    """Donors of each group, found in the order of execution, so that those of the inputs are known.

    Attributes:
        mother, member: graphs of the two networks.
        generator: random generator of the donors of additional channels.
        group_of: group of every node.
        found: donors by group, int64 (channels,).
    """

    mother: Graph
    member: Graph
    generator: torch.Generator
    group_of: dict[str, str]
    found: dict[str, Tensor] = field(default_factory=dict)

    def find(self, first: Node) -> None:
        """Find the donors of the group that the node `first` opens."""
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
        """Return the donors of a flattened feature map, in which every channel becomes its pixels."""
        _, height, width = self.member.shapes[node.inputs[0]]
        pixels = height * width
        return (self._read(node.inputs[0])[:, None] * pixels + torch.arange(pixels)).flatten()

    def _joined(self, node: Node) -> Tensor:
        """Return the donors of a concatenation, in which the channels of the second input come last."""
        before, added = (self._read(name) for name in node.inputs)
        # Channels from a new layer are free, and so they are in the concatenation.
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
        # Zero-padding keeps the channels of the earlier stage in front, so their donors are given.
        before = self._read(pad.inputs[0])
        kept = int(before.max()) + 1
        return torch.cat((before, kept + self._drawn(old - kept, first.shape[0] - len(before))))

    def _of_new_layer(self, node: Node) -> Tensor:
        """Return the donors of a layer that the mother lacks.

        A layer with a bypass around it has free channels. A layer without one copies its input.
        """
        if any(isinstance(n.operation, Add | Concat) for n in self.member.nodes):
            return torch.full((node.shape[0],), FREE)
        return self._repeated(int(self._read(node.inputs[0]).max()) + 1, node)

    def _repeated(self, old: int, node: Node) -> Tensor:
        """Return the donors of a layer that continues all `old` channels of the mother.

        Raises:
            PlanError: the layer has fewer channels.
        """
        channels = node.shape[0]
        if channels < old:
            unit = "filters" if isinstance(node.operation, Conv) else "units"
            raise PlanError(
                f"the new layer {node.name} has {channels} {unit} and must pass on the {old} of the mother's "
                f"last layer: give it at least {old}"
            )
        return self._drawn(old, channels)

    def _drawn(self, old: int, new: int) -> Tensor:
        """Return donors of `new` channels: the first `old` channels in place, then random ones of these."""
        return torch.cat((torch.arange(old), torch.randint(old, (new - old,), generator=self.generator)))
