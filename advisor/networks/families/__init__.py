"""Network families: how depth and width become layers, and how layers become a graph.

The registry is a literal. A new family is a module here, a line in `FAMILIES`, and its training settings in
`advisor.plans.recipes.table.RECIPES`, which refuses to be imported without them (CONTRIBUTING, "Add a
family").
"""

from __future__ import annotations

from advisor.errors import lookup, require_entries
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

require_entries("advisor/networks/families: FAMILIES", FAMILIES, (f.name for f in FAMILIES.values()))

CONVOLUTIONAL: tuple[str, ...] = tuple(name for name, family in FAMILIES.items() if family.convolutional)


def family_named(name: str) -> Family:
    """Return the family called `name`.

    Raises:
        UnknownNameError: there is no such family.
    """
    return lookup("family", name, FAMILIES)
