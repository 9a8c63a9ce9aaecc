"""Function-preserving growth of a member out of its mother network (MotherNets, section 2.4; Net2Net).

Layers that the mother has take over her weights along the channel maps of `trainer.networks.channels`:
producers repeat them, consumers share them out, kernels grow around their centre. New layers change nothing:

- in a plain network a convolution or linear layer is the identity behind a rectifier, which is idempotent,
  and a normalisation gives back the mean and the deviation that it takes away (*transparent*);
- a new residual unit ends in zeros: the scale of its last normalisation (Goyal et al. 2017) or, before
  an activation, its last convolution; a shortcut that becomes a projection is an identity;
- a new dense layer is as random as in a fresh network, and what the mother has reads it with zeros.

Normalisations without a donor take their statistics from images, set in one pass through the member. Members
that share what they have of their mother (`advisor.networks.joint`) are hatched one by one and then put
together: the shared layers are the mother's, and read the members' own filters with zeros at first.

All this is exact in eval mode, and in train mode too except for transparent normalisations: they put the
measured statistics in place of the batch's. `hatch_drift` says how much that moves the outputs.
"""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor, nn

from advisor.errors import PlanError
from advisor.networks.architecture import NetworkSpec, lower
from advisor.networks.graph import Add, Conv, Graph, Linear, Node
from advisor.networks.joint import JointSpec, graph_of, own_prefix
from advisor.networks.layers import Task
from advisor.networks.mothernet import mother_of
from trainer.networks.channels import ChannelMap, channel_maps
from trainer.networks.network import SpecNetwork, build_network
from trainer.seeds import derived_seed


def hatch(
    mother: SpecNetwork,
    mother_spec: NetworkSpec,
    member_spec: NetworkSpec,
    task: Task,
    images: Tensor,
    seed: int,
) -> SpecNetwork:
    """Return a network of `member_spec` that computes what `mother` computes.

    Hand in a float64 mother for exactness: in float32 the shares 0.7 and 0.3 of a weight already
    round.

    Args:
        mother: trained network on the CPU; its weights are read, not changed.
        mother_spec: its specification; not larger than the member's anywhere.
        member_spec: what to grow.
        task: input and classes of both.
        images: prepared inputs that new normalisations are calibrated on, a few hundred training images and
            2 at least, shape (batch, channels, height, width); the pass runs on their device.
        seed: draws donors and the free weights of new residual units and dense layers.

    Raises:
        PlanError: the families differ, the mother is larger than the member somewhere, or a new layer
            of a plain network is narrower than the mother's last one.
    """
    _check_growable(mother_spec, member_spec)
    graph = lower(member_spec, task)
    member = build_network(graph, seed).to(next(mother.parameters()).dtype)
    maps = channel_maps(mother.graph, graph, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for node in graph.nodes:
            if node.name in mother.graph.shapes:
                _inherit(member.layer(node.name), mother.layer(node.name), node, maps)
        identities = _start_new_layers(member, mother.graph, maps)
        _calibrate(member, mother.graph, maps, identities, images)
    return member


def hatch_jointly(
    mother: SpecNetwork, mother_spec: NetworkSpec, joint: JointSpec, task: Task, images: Tensor, seed: int
) -> SpecNetwork:
    """Return a joint network whose members all compute what `mother` computes; arguments as for `hatch`."""
    network = build_network(graph_of(joint.name, task), seed).to(next(mother.parameters()).dtype)
    members = [
        hatch(mother, mother_spec, spec, task, images, derived_seed(seed, number))
        for number, spec in enumerate(joint.members)
    ]
    with torch.no_grad():
        for node in network.graph.nodes:
            if node.name in mother.graph.shapes:
                _share(network.layer(node.name), mother.layer(node.name))
        for number, member in enumerate(members):
            for node in member.graph.nodes:
                own = own_prefix(number) + node.name
                if own in network.graph.shapes:
                    _take_last(network.layer(own), member.layer(node.name))
    return network


def _share(shared: nn.Module, donor: nn.Module) -> None:
    """Give a shared layer the mother's weights; what it reads of members' own filters counts nothing."""
    for name, tensor in donor.state_dict().items():
        target = shared.get_parameter(name) if name in ("weight", "bias") else shared.get_buffer(name)
        if tensor.dim() > 1:
            target.zero_()
            target[:, : tensor.shape[1]] = tensor
        else:
            target.copy_(tensor)


def _take_last(own: nn.Module, grown: nn.Module) -> None:
    """Give a member's own filters, which are its last ones, the weights of the hatched member."""
    state = grown.state_dict()
    for name, tensor in own.state_dict().items():
        tensor.copy_(state[name][-len(tensor) :] if tensor.dim() else state[name])


def _check_growable(mother: NetworkSpec, member: NetworkSpec) -> None:
    if mother.family != member.family:
        raise PlanError(f"{member.name} cannot be hatched from {mother.name}: their families differ")
    if mother_of([mother, member]) != mother:
        raise PlanError(
            f"{member.name} cannot be hatched from {mother.name}: the mother network is larger than its "
            "member somewhere"
        )


def perturb(network: SpecNetwork, noise: float, seed: int, shrink: float = 1.0) -> None:
    """Shrink convolution and linear weights and add Gaussian noise to them, in place.

    Noise alone leaves members in the basin of their mother; both together lead further away ("shrink and
    perturb", Ash and Adams 2020).

    Args:
        network: what to perturb.
        noise: standard deviation as a share of each layer's own before it is shrunk.
        seed: of the noise.
        shrink: factor on the weights.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for node in network.graph.nodes:
            module = network.layer(node.name)
            # A single weight has no deviation.
            if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.numel() > 1:
                drawn = torch.randn(module.weight.shape, generator=generator, dtype=torch.float32)
                added = noise * module.weight.std() * drawn.to(module.weight)
                module.weight.mul_(shrink).add_(added)


def hatch_difference(mother: SpecNetwork, member: SpecNetwork, images: Tensor) -> float:
    """Return max |logits(member) − logits(mother)| in float64 and eval mode.

    Args:
        mother: network.
        member: network of the same task, or a joint one, whose every member is compared.
        images: prepared inputs, shape (batch, channels, height, width).
    """
    return float((_logits(member, images, False) - _like(mother, member, images, False)).abs().max())


def hatch_drift(mother: SpecNetwork, member: SpecNetwork, images: Tensor) -> float:
    """Return how far the logits move in train mode, as a share of how the mother's differ by image.

    The root mean square of logits(member) − logits(mother) over that of the mother's logits around
    each class's mean, in float64 and with the statistics of this batch. Above rounding only where a
    plain network was deepened.

    Args:
        mother: network.
        member: network of the same task.
        images: one prepared batch, shape (batch, channels, height, width).
    """
    before, after = _like(mother, member, images, True), _logits(member, images, True)
    return float((after - before).norm() / (before - before.mean(0)).norm())


def _like(mother: SpecNetwork, member: SpecNetwork, images: Tensor, training: bool) -> Tensor:
    """Logits of the mother, as often as the member has outputs."""
    logits = _logits(mother, images, training)
    outputs = len(member.graph.outputs)
    return logits if outputs == 1 else logits[:, None].expand(-1, outputs, -1)


def _logits(network: SpecNetwork, images: Tensor, training: bool) -> Tensor:
    """Logits of a float64 copy, since a pass in train mode moves the running statistics."""
    exact = SpecNetwork(network.graph).double().to(images.device).train(training)
    exact.load_state_dict(network.state_dict())
    with torch.no_grad():
        logits: Tensor = exact(images.double())
    return logits


def _inherit(grown: nn.Module, donor: nn.Module, node: Node, maps: dict[str, ChannelMap]) -> None:
    """Give a layer that the mother has too the mother's weights, repeated and shared out."""
    out = maps[node.name]
    if isinstance(grown, nn.BatchNorm2d) and isinstance(donor, nn.BatchNorm2d):
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(grown, name)[~out.free] = getattr(donor, name)[out.source[~out.free]]
    if isinstance(grown, nn.Conv2d | nn.Linear) and isinstance(donor, nn.Conv2d | nn.Linear):
        read = maps[node.inputs[0]]
        # A free channel has no donor to read; its share of 0 makes its column zero whatever stands there.
        weight = donor.weight[out.source][:, read.source]
        share = read.share.to(weight).reshape(1, -1, *([1] * (weight.dim() - 2)))
        grown.weight.copy_(_enlarged(weight * share, grown.weight.shape))
        if grown.bias is not None and donor.bias is not None:
            grown.bias.copy_(donor.bias[out.source])


def _enlarged(weight: Tensor, shape: torch.Size) -> Tensor:
    """Surround kernels by zeros, so that they keep their centre: (…, k, k) → (…, K, K)."""
    margin = (shape[-1] - weight.shape[-1]) // 2 if weight.dim() == 4 else 0
    return nn.functional.pad(weight, (margin,) * 4) if margin else weight


def _start_new_layers(member: SpecNetwork, mother: Graph, maps: dict[str, ChannelMap]) -> set[str]:
    """Give layers that the mother lacks weights that change nothing; return which became identities."""
    identities = set()
    for node in member.graph.nodes:
        if node.name in mother.shapes:
            continue
        if isinstance(node.operation, Add):
            # The end of a new unit's branch: a normalisation's scale or a convolution.
            nn.init.zeros_(member.layer(node.inputs[0]).get_parameter("weight"))
        elif isinstance(node.operation, Conv | Linear):
            read, out = maps[node.inputs[0]], maps[node.name]
            # Between free channels weights stay random: the layers behind them read zeros or end in them.
            if not (read.free.any() or out.free.any()):
                _make_identity(member.layer(node.name), read, out)
                identities.add(node.name)
    return identities


def _make_identity(layer: nn.Module, read: ChannelMap, out: ChannelMap) -> None:
    """Make a layer hand every channel's donor on, through the centre of its kernels."""
    weight = layer.get_parameter("weight")
    repeats = out.source[:, None] == read.source[None, :]
    centre = weight.shape[-1] // 2
    taps = weight[:, :, centre, centre] if weight.dim() == 4 else weight
    weight.zero_()
    taps.copy_(repeats.to(weight) * read.share.to(weight))
    if isinstance(layer, nn.Linear):
        layer.bias.zero_()


def _calibrate(
    member: SpecNetwork, mother: Graph, maps: dict[str, ChannelMap], identities: set[str], images: Tensor
) -> None:
    """Measure the statistics of all channels that have no donor, in one pass.

    The pass is in train mode, since that is what running statistics are averages of, and in a copy, whose
    inherited ones may move. A pass in eval mode would miss what training will see by as much as the
    mother's running statistics lag behind her weights. A normalisation behind an identity gets the scale
    and shift that undo it, right before it is applied, so what comes after is measured behind it.
    """
    probe = copy.deepcopy(member).to(images.device).train()
    unknown = False
    for node in member.graph.nodes:
        norm, probed = member.layer(node.name), probe.layer(node.name)
        free = maps[node.name].free | (node.name not in mother.shapes)
        if isinstance(norm, nn.BatchNorm2d) and isinstance(probed, nn.BatchNorm2d) and free.any():
            targets = (norm, probed) if node.inputs[0] in identities else ()
            probed.register_forward_pre_hook(partial(_measure, norm=norm, channels=free, undone=targets))
            unknown = True
    if unknown:
        probe(images.to(next(probe.parameters())))


def _measure(
    probed: nn.Module,
    inputs: tuple[Tensor],
    *,
    norm: nn.BatchNorm2d,
    channels: Tensor,
    undone: tuple[nn.BatchNorm2d, ...],
) -> None:
    """Set the running statistics of some channels of `norm` to those of a batch of maps.

    Normalisations `undone` give back the mean and the deviation that `norm` takes away.
    """
    # The biased variance is what train mode divides by.
    variance, mean = (found.cpu() for found in torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0))
    norm.get_buffer("running_mean")[channels] = mean[channels]
    norm.get_buffer("running_var")[channels] = variance[channels]
    for same in undone:
        same.weight.copy_((variance + norm.eps).sqrt())
        same.bias.copy_(mean)
