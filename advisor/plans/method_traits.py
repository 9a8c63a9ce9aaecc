"""The training methods by name, and what distinguishes them.

`advisor.plans.methods` makes the plan of each, and `advisor.accuracy.prior` says how much error each costs
its members. Both refuse to be imported without an entry for every method named here (CONTRIBUTING, "Add a
training method"). This module imports nothing heavy, because the command line reads the names for its help.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from advisor.errors import require_entries


class Method(StrEnum):
    """How an ensemble is trained."""

    FULL_DATA = "full_data"
    BAGGING = "bagging"
    DISTILLATION = "distillation"
    SNAPSHOT = "snapshot"
    FGE = "fge"
    MOTHERNETS = "mothernets"
    SHARED_MOTHERNETS = "shared_mothernets"
    TREENETS = "treenets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What planning, search and the accuracy formula must know of a method.

    Attributes:
        clustered: whether it trains what the members of a cluster have in common; another method refuses a
            design with clusters.
        chain: whether every member begins as a copy of the one before, so that none trains beside another.
        shares_layers: whether members are outputs of one joint network, which no family with skip connections
            allows (`advisor.networks.shared_layers`).
        one_shape: whether a search offers it only to designs whose members have one shape.
    """

    clustered: bool = False
    chain: bool = False
    shares_layers: bool = False
    one_shape: bool = False


TRAITS: dict[Method, Traits] = {
    Method.FULL_DATA: Traits(),
    Method.BAGGING: Traits(),
    Method.DISTILLATION: Traits(),
    Method.SNAPSHOT: Traits(chain=True, one_shape=True),
    Method.FGE: Traits(chain=True, one_shape=True),
    Method.MOTHERNETS: Traits(clustered=True),
    Method.SHARED_MOTHERNETS: Traits(clustered=True, shares_layers=True),
    # The first layers of a tree must be alike.
    Method.TREENETS: Traits(shares_layers=True, one_shape=True),
}
require_entries("advisor/plans/method_traits.py: TRAITS", TRAITS, Method)

# Methods that the clusters of a design decide between where nobody names one. The design's name shows which.
BY_CLUSTERS = (Method.FULL_DATA, Method.MOTHERNETS)
CLUSTERED = tuple(method for method, traits in TRAITS.items() if traits.clustered)
CHAINS = tuple(method for method, traits in TRAITS.items() if traits.chain)
JOINT = tuple(method for method, traits in TRAITS.items() if traits.shares_layers)
ONE_SHAPE = tuple(method for method, traits in TRAITS.items() if traits.one_shape)


def usual_method(independent: bool) -> Method:
    """Return the method of a design where nobody names one.

    Args:
        independent: whether every member is a cluster of its own.
    """
    from_scratch, hatched = BY_CLUSTERS
    return from_scratch if independent else hatched
