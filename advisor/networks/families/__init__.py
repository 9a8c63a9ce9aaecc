"""Network families: how depth and width become layers, and how layers become a graph.

The registry is a literal: a new family is one module and one line here.
"""

from __future__ import annotations

from advisor.errors import UnknownNameError
from advisor.networks.families.base import Family
from advisor.networks.families.densenet import DenseNet
from advisor.networks.families.mlp import Mlp
from advisor.networks.families.resnet import ResNet
from advisor.networks.families.vgg import Vgg
from advisor.networks.families.wrn import WideResNet

FAMILIES: dict[str, Family] = {
    "resnet": ResNet(),
    "wrn": WideResNet(),
    "densenet": DenseNet(),
    "vgg": Vgg(),
    "mlp": Mlp(),
}

CONVOLUTIONAL: tuple[str, ...] = tuple(name for name, family in FAMILIES.items() if family.convolutional)


def family_named(name: str) -> Family:
    """Return the family called `name`.

    Raises:
        UnknownNameError: there is no such family.
    """
    try:
        return FAMILIES[name]
    except KeyError:
        raise UnknownNameError("family", name, FAMILIES) from None
