"""Hatching: function-preserving growth of a member out of its mother network (MotherNets, section 2).

The method is that of Net2Net (Chen et al. 2016). A layer that exists in the mother inherits her weights along
the channel maps of `trainer.networks.channels`. Additional output channels copy old ones, the weights of the
layers behind are divided among the copies, and kernels grow around their centre. New layers do not change the
function:

- In a plain network a new convolution or linear layer is the identity. The rectifier behind it is idempotent.
  A new normalisation restores the mean and the standard deviation that it removes (*transparent*).
- A new residual unit ends in zeros: the scale of its last normalisation (Goyal et al. 2017) or, if that comes
  before an activation, its last convolution. A shortcut that becomes a projection is an identity.
- A new dense layer has random weights as in a new network, and the mother's layers read it with zero weights.

Normalisations without a donor get their statistics from images, in one pass through the member. Members that
share the mother's layers (`advisor.networks.shared_layers`) are hatched one by one and then put together. The
shared layers are the mother's, and they read the members' own filters with zero weights at first.

Hatching is exact in eval mode. It is exact in train mode too, except for transparent normalisations: they
restore the measured statistics and not those of the batch. `hatch_drift` measures the effect on the outputs.
"""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor, nn

from advisor.errors import PlanError
from advisor.networks.architecture import NetworkSpec, lower
from advisor.networks.graph import Add, Conv, Graph, Linear, Node
from advisor.networks.layers import Task
from advisor.networks.mothernet import is_contained
from advisor.networks.shared_layers import JointSpec, graph_of, own_prefix
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
    """Return a member network that computes the same function as its mother.

    The result is exact for a mother in float64. In float32 the products with 0.7 and 0.3 are rounded.

    Args:
        mother: trained network on the CPU, which is not changed.
        mother_spec: specification of the mother, nowhere larger than that of the member.
        member_spec: specification of the member.
        task: image shape and number of classes of both.
        images: normalised training images for the statistics of new normalisations, float
            (images, channels, height, width); some hundreds, at least 2. The pass runs on their device.
        seed: random seed of the donors, and of the weights of new residual units and dense layers.

    Returns:
        New network on the CPU, in the arithmetic of the mother.

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
    """Return a joint network whose members all compute the same function as their mother.

    Args:
        mother: trained network on the CPU, which is not changed.
        mother_spec: specification of the mother, nowhere larger than that of a member.
        joint: specification of the joint network.
        task: image shape and number of classes of all.
        images: normalised training images as for `hatch`.
        seed: random seed of the donors and of new layers.

    Raises:
        PlanError: a member cannot be hatched, for one of the reasons in `hatch`.
    """
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
    """Copy the mother's weights into a shared layer, with zeros for inputs from the members' own filters."""
    for name, tensor in donor.state_dict().items():
        target = shared.get_parameter(name) if name in ("weight", "bias") else shared.get_buffer(name)
        if tensor.dim() > 1:
            target.zero_()
            target[:, : tensor.shape[1]] = tensor
        else:
            target.copy_(tensor)


def _take_last(own: nn.Module, grown: nn.Module) -> None:
    """Copy the last filters of a hatched member, which are its own ones, into the joint network."""
    state = grown.state_dict()
    for name, tensor in own.state_dict().items():
        tensor.copy_(state[name][-len(tensor) :] if tensor.dim() else state[name])


def _check_growable(mother: NetworkSpec, member: NetworkSpec) -> None:
    if mother.family != member.family:
        raise PlanError(f"{member.name} cannot be hatched from {mother.name}: their families differ")
    if not is_contained(mother, member):
        raise PlanError(
            f"{member.name} cannot be hatched from {mother.name}: the mother network is larger than its "
            "member somewhere"
        )


def perturb(network: SpecNetwork, noise: float, seed: int, shrink: float = 1.0) -> None:
    """Shrink the weights of convolutions and linear layers and add Gaussian noise to them, in place.

    With noise alone the members stay in the basin of their mother. Shrinking as well leads further away
    ("shrink and perturb", Ash and Adams 2020).

    Args:
        network: network to change.
        noise: standard deviation of the noise, relative to that of each layer's weights before shrinking.
        seed: random seed of the noise.
        shrink: factor on the weights.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for node in network.graph.nodes:
            module = network.layer(node.name)
            # A single weight has no standard deviation.
            if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.numel() > 1:
                drawn = torch.randn(module.weight.shape, generator=generator, dtype=torch.float32)
                added = noise * module.weight.std() * drawn.to(module.weight)
                module.weight.mul_(shrink).add_(added)


def hatch_difference(mother: SpecNetwork, member: SpecNetwork, images: Tensor) -> float:
    """Return max |logits(member) − logits(mother)| in float64 and eval mode.

    Args:
        mother: network that was grown.
        member: network of the same task, or a joint network, of which every member is compared.
        images: normalised images, (batch, channels, height, width).
    """
    return float((_logits(member, images, False) - _like(mother, member, images, False)).abs().max())


def hatch_drift(mother: SpecNetwork, member: SpecNetwork, images: Tensor) -> float:
    """Return the relative change of the logits by hatching, in train mode.

    This is the root mean square of logits(member) − logits(mother), divided by the standard deviation of the
    mother's logits over the images. Both are computed in float64 with the statistics of the given batch. The
    drift exceeds rounding errors only if a plain network was deepened.

    Args:
        mother: network that was grown.
        member: network of the same task.
        images: one batch of normalised images, (batch, channels, height, width).
    """
    before, after = _like(mother, member, images, True), _logits(member, images, True)
    return float((after - before).norm() / (before - before.mean(0)).norm())


def _like(mother: SpecNetwork, member: SpecNetwork, images: Tensor, training: bool) -> Tensor:
    """Return the logits of the mother, repeated for every output of the member."""
    logits = _logits(mother, images, training)
    outputs = len(member.graph.outputs)
    return logits if outputs == 1 else logits[:, None].expand(-1, outputs, -1)


def _logits(network: SpecNetwork, images: Tensor, training: bool) -> Tensor:
    """Return the logits of a float64 copy; in train mode a pass changes the running statistics."""
    exact = SpecNetwork(network.graph).double().to(images.device).train(training)
    exact.load_state_dict(network.state_dict())
    with torch.no_grad():
        logits: Tensor = exact(images.double())
    return logits


def _inherit(grown: nn.Module, donor: nn.Module, node: Node, maps: dict[str, ChannelMap]) -> None:
    """Copy the mother's weights into a layer that exists in both, along the channel maps."""
    out = maps[node.name]
    if isinstance(grown, nn.BatchNorm2d) and isinstance(donor, nn.BatchNorm2d):
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(grown, name)[~out.free] = getattr(donor, name)[out.source[~out.free]]
    if isinstance(grown, nn.Conv2d | nn.Linear) and isinstance(donor, nn.Conv2d | nn.Linear):
        read = maps[node.inputs[0]]
        # A free channel has source −1, which picks some column; its share 0 makes the column zero.
        weight = donor.weight[out.source][:, read.source]
        share = read.share.to(weight).reshape(1, -1, *([1] * (weight.dim() - 2)))
        grown.weight.copy_(_enlarged(weight * share, grown.weight.shape))
        if grown.bias is not None and donor.bias is not None:
            grown.bias.copy_(donor.bias[out.source])


def _enlarged(weight: Tensor, shape: torch.Size) -> Tensor:
    """Pad kernels with zeros around their centre: (…, k, k) → (…, K, K)."""
    margin = (shape[-1] - weight.shape[-1]) // 2 if weight.dim() == 4 else 0
    return nn.functional.pad(weight, (margin,) * 4) if margin else weight


def _start_new_layers(member: SpecNetwork, mother: Graph, maps: dict[str, ChannelMap]) -> set[str]:
    """Initialise the layers that the mother lacks so that the function stays the same.

    Returns:
        Names of the nodes that became identities.
    """
    identities = set()
    for node in member.graph.nodes:
        if node.name in mother.shapes:
            continue
        if isinstance(node.operation, Add):
            # The last layer of a new unit's branch: the scale of a normalisation, or a convolution.
            nn.init.zeros_(member.layer(node.inputs[0]).get_parameter("weight"))
        elif isinstance(node.operation, Conv | Linear):
            read, out = maps[node.inputs[0]], maps[node.name]
            # Weights at free channels stay random: the layers behind have zero weights.
            if not (read.free.any() or out.free.any()):
                _make_identity(member.layer(node.name), read, out)
                identities.add(node.name)
    return identities


def _make_identity(layer: nn.Module, read: ChannelMap, out: ChannelMap) -> None:
    """Make a layer the identity on donors, through the centre of its kernels."""
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
    """Measure the statistics of all normalised channels without a donor, in one pass.

    The pass is in train mode, because running statistics are averages over passes in train mode. A pass in
    eval mode would use the mother's running statistics, which lag behind her weights. It goes through a copy,
    because it changes the inherited running statistics. A normalisation behind an identity gets the scale and
    shift that undo it just before it is applied. Later layers are therefore measured with it in place.
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
    """Set running statistics to those of a batch of feature maps.

    Args:
        probed: module that is about to be called; only its input is used.
        inputs: feature maps, (batch, channels, height, width).
        norm: normalisation that gets the statistics.
        channels: mask of the channels to set, bool (channels,).
        undone: normalisations whose scale and shift become those that restore mean and standard deviation.
    """
    # Train mode divides by the biased standard deviation.
    variance, mean = (found.cpu() for found in torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0))
    norm.get_buffer("running_mean")[channels] = mean[channels]
    norm.get_buffer("running_var")[channels] = variance[channels]
    for same in undone:
        same.weight.copy_((variance + norm.eps).sqrt())
        same.bias.copy_(mean)
