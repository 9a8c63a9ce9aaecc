"""Function-preserving growth of a member out of its mother network (MotherNets, section 2.4; Net2Net).

Notation: a *channel map* of a node's output is a pair (source, share), one entry a channel j of the
member: source[j] is the mother's channel that j repeats, share[j] the part of the mother's outgoing
weight that a reader of j takes. The shares of all copies of one channel add up to 1, so a reader sees
the mother's sum; they are unequal (0.7 and 0.3 for twins), since equal twins get equal gradients and
never separate (Chen et al. 2016, "Net2Net", section 2.2).

Which outputs must have one map follows from the graph: an addition ties its inputs together, so the
residual stream of a stage is one group; a zero-padded shortcut fixes the first channels of the next
group. New layers are identities: a new residual unit has the scale of its last normalisation set to zero
(Goyal et al. 2017), a new layer of a plain network is the identity in front of a rectifier, which is
idempotent.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from advisor.architecture import NetworkSpec, Task, lower
from advisor.errors import PlanError
from advisor.graph import (
    INPUT,
    Add,
    Conv,
    Flatten,
    Graph,
    Linear,
    Node,
    PadShortcut,
)
from advisor.mothernet import mother_of
from advisor.plan import HATCHABLE
from trainer.network import SpecNetwork, build_network

TWIN_SHARE = 0.7


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
        share = torch.empty(len(source), dtype=torch.float64)
        for donor in source.unique().tolist():
            copies = (source == donor).nonzero().flatten().tolist()
            left = 1.0
            for copy in copies[:-1]:
                share[copy] = left * TWIN_SHARE
                left -= left * TWIN_SHARE
            share[copies[-1]] = left
        return ChannelMap(source, share)


def hatch(
    mother: SpecNetwork, mother_spec: NetworkSpec, member_spec: NetworkSpec, task: Task, seed: int
) -> SpecNetwork:
    """Return a network of `member_spec` that computes what `mother` computes.

    Hand in a float64 mother for exactness: in float32 the shares 0.7 and 0.3 of a weight already
    round.

    Args:
        mother: trained network; its weights are read, not changed.
        mother_spec: its specification; not larger than the member's anywhere.
        member_spec: what to grow.
        task: input and classes of both.
        seed: draws donors and the free weights of new residual units.

    Raises:
        PlanError: the family cannot be grown, the mother is larger than the member somewhere, or a new
            fully connected layer is narrower than the mother's last one.
    """
    _check_growable(mother_spec, member_spec)
    graph = lower(member_spec, task)
    member = build_network(graph, seed).to(next(mother.parameters()).dtype)
    maps = _channel_maps(mother.graph, graph, torch.Generator().manual_seed(seed))
    inherited = {node.name for node in mother.graph.nodes}
    with torch.no_grad():
        for node in graph.nodes:
            if node.name in inherited:
                _inherit(member.layer(node.name), mother.layer(node.name), node, maps)
            else:
                _make_identity(member.layer(node.name), node, maps)
    return member


def _check_growable(mother: NetworkSpec, member: NetworkSpec) -> None:
    if member.family not in HATCHABLE or mother.family != member.family:
        raise PlanError(f"{member.name} cannot be hatched from {mother.name}")
    if mother_of([mother, member]).blocks != mother.blocks:
        raise PlanError(
            f"{member.name} cannot be hatched from {mother.name}: the mother network is larger than its "
            "member somewhere"
        )


def perturb(network: SpecNetwork, noise: float, seed: int) -> None:
    """Add Gaussian noise to convolution and linear weights, in place.

    Args:
        network: what to perturb.
        noise: standard deviation as a share of each layer's own.
        seed: of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for node in network.graph.nodes:
            module = network.layer(node.name)
            # A single weight has no deviation.
            if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.numel() > 1:
                drawn = torch.randn(module.weight.shape, generator=generator, dtype=torch.float32)
                module.weight += noise * module.weight.std() * drawn.to(module.weight)


def hatch_difference(mother: SpecNetwork, member: SpecNetwork, images: Tensor) -> float:
    """Return max |logits(member) − logits(mother)| in float64 and eval mode.

    Args:
        mother: network.
        member: network of the same task.
        images: prepared inputs, shape (batch, channels, height, width).
    """
    outputs = []
    for network in (mother, member):
        exact = SpecNetwork(network.graph).double().eval()
        exact.load_state_dict(network.state_dict())
        with torch.no_grad():
            outputs.append(exact(images.double().cpu()))
    return float((outputs[0] - outputs[1]).abs().max())


def _channel_maps(mother: Graph, member: Graph, generator: torch.Generator) -> dict[str, ChannelMap]:
    """Return the channel map of every node's output; tied nodes share theirs."""
    group_of = _groups(member)
    donors = {INPUT: torch.arange(member.input_shape[0])}
    for node in member.nodes:
        group = group_of[node.name]
        if group not in donors:
            tied = [n for n in member.nodes if group_of[n.name] == group]
            donors[group] = _donors(node, tied, donors, group_of, mother, member, generator)
    maps = {group: ChannelMap.of_sources(source) for group, source in donors.items()}
    return {name: maps[group] for name, group in group_of.items()}


def _groups(graph: Graph) -> dict[str, str]:
    """Return for every node the group whose channel map it shares.

    Convolutions, linear layers, flattening and padded shortcuts open a group; every other operation
    keeps the channels of what it reads, and an addition ties what it adds.
    """
    parent = {INPUT: INPUT}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for node in graph.nodes:
        opens = isinstance(node.operation, Conv | Linear | Flatten | PadShortcut)
        parent[node.name] = node.name if opens else root(node.inputs[0])
        if isinstance(node.operation, Add):
            parent[root(node.inputs[1])] = root(node.inputs[0])
    return {name: root(name) for name in parent}


def _donors(
    first: Node,
    tied: list[Node],
    donors: dict[str, Tensor],
    group_of: dict[str, str],
    mother: Graph,
    member: Graph,
    generator: torch.Generator,
) -> Tensor:
    """Return the mother's channel that each channel of a group repeats, shape (channels,).

    `first` is the first node of the group in execution order and `tied` all of them, so what they read
    from earlier groups is known.
    """
    new = first.shape[0]
    if isinstance(first.operation, Flatten):
        return _flattened(donors[group_of[first.inputs[0]]], member.shapes[first.inputs[0]])
    if first.name == member.nodes[-1].name:
        return torch.arange(new)
    inherited = next((n.name for n in tied if n.name in mother.shapes), None)
    if inherited is None:
        return _donors_of_new_layer(first, donors[group_of[first.inputs[0]]], generator)
    old = mother.shapes[inherited][0]
    pad = next((n for n in tied if isinstance(n.operation, PadShortcut)), None)
    if pad is None:
        return _widened(old, new, generator)
    # Zero-padding keeps the channels of the stage before in front: their donors are given.
    before = donors[group_of[pad.inputs[0]]]
    kept = int(before.max()) + 1
    return torch.cat((before, kept + _widened(old - kept, new - len(before), generator)))


def _donors_of_new_layer(node: Node, before: Tensor, generator: torch.Generator) -> Tensor:
    """A new plain layer repeats what it reads; the inside of a new residual unit is free."""
    if isinstance(node.operation, Linear):
        passed, units = int(before.max()) + 1, node.shape[0]
        if units < passed:
            raise PlanError(
                f"the new layer {node.name} has {units} units and must pass on the {passed} of the mother's "
                f"last layer: give it at least {passed}"
            )
        return _widened(passed, units, generator)
    return torch.arange(node.shape[0])


def _flattened(before: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Donors of (channels, height, width) flattened channel by channel."""
    pixels = shape[1] * shape[2]
    return (before[:, None] * pixels + torch.arange(pixels)).flatten()


def _widened(old: int, new: int, generator: torch.Generator) -> Tensor:
    """Keep `old` channels in place and draw a donor for each of the others."""
    return torch.cat((torch.arange(old), torch.randint(old, (new - old,), generator=generator)))


def _inherit(grown: nn.Module, donor: nn.Module, node: Node, maps: dict[str, ChannelMap]) -> None:
    """Give a layer that the mother has too the mother's weights, repeated and shared out."""
    out = maps[node.name].source
    if isinstance(grown, nn.BatchNorm2d) and isinstance(donor, nn.BatchNorm2d):
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(grown, name).copy_(getattr(donor, name)[out])
    if isinstance(grown, nn.Conv2d | nn.Linear) and isinstance(donor, nn.Conv2d | nn.Linear):
        read = maps[node.inputs[0]]
        weight = donor.weight[out][:, read.source]
        share = read.share.to(weight).reshape(1, -1, *([1] * (weight.dim() - 2)))
        grown.weight.copy_(_enlarged(weight * share, grown.weight.shape))
        if grown.bias is not None and donor.bias is not None:
            grown.bias.copy_(donor.bias[out])


def _enlarged(weight: Tensor, shape: torch.Size) -> Tensor:
    """Surround kernels by zeros, so that they keep their centre: (…, k, k) → (…, K, K)."""
    margin = (shape[-1] - weight.shape[-1]) // 2 if weight.dim() == 4 else 0
    return nn.functional.pad(weight, (margin,) * 4) if margin else weight


def _make_identity(grown: nn.Module, node: Node, maps: dict[str, ChannelMap]) -> None:
    """Give a layer that the mother lacks weights that change nothing."""
    if isinstance(grown, nn.BatchNorm2d) and node.name.endswith(".outer.norm"):
        grown.weight.zero_()
    elif isinstance(grown, nn.Linear):
        read, out = maps[node.inputs[0]], maps[node.name]
        repeats = out.source[:, None] == read.source[None, :]
        grown.weight.copy_(repeats.to(grown.weight) * read.share.to(grown.weight))
        grown.bias.zero_()
