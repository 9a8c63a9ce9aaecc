"""Balanced k-means of members around mother networks (MotherNets, MLSys 2020, section 2.3).

The mother network is the centroid of its cluster. Members are assigned by edit distance, and mothers are
rebuilt after every assignment. Clusters of a family differ in size by at most one. Families share no mother,
so the g clusters are first divided over the families in proportion to their members.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from advisor.designs.design import Design
from advisor.networks.architecture import NetworkSpec
from advisor.networks.mothernet import distance, mother_of

MAXIMUM_ITERATIONS = 50

Cluster = tuple[int, ...]


def clusters_of(design: Design) -> list[Cluster]:
    """Return the clusters as indices into `design.members`, each in rising order."""
    if design.independent:
        return [(i,) for i in range(len(design.members))]
    groups = [[i for i, m in enumerate(design.members) if m.family == f] for f in design.families]
    shares = _shares([len(group) for group in groups], design.clusters)
    clusters = []
    for group, share in zip(groups, shares, strict=True):
        for part in balanced_clusters([design.members[i] for i in group], share):
            clusters.append(tuple(group[i] for i in part))
    return sorted(clusters)


def balanced_clusters(members: Sequence[NetworkSpec], count: int) -> list[Cluster]:
    """Partition members of one family into clusters whose sizes differ by at most one.

    The first partition is by size, so the result depends on nothing but the members.

    Args:
        members: networks of one family.
        count: number of clusters.

    Returns:
        The clusters as positions in `members`.
    """
    order = sorted(range(len(members)), key=lambda i: (_size(members[i]), i))
    clusters = [tuple(sorted(part.tolist())) for part in np.array_split(np.array(order), count)]
    best, best_cost = clusters, _cost(members, clusters)
    for _ in range(MAXIMUM_ITERATIONS):
        if best_cost == 0:
            break  # no partition costs less than nothing; mostly all members have one shape
        clusters = _assign(members, [mother_of([members[i] for i in part]) for part in clusters])
        cost = _cost(members, clusters)
        if cost >= best_cost:
            break
        best, best_cost = clusters, cost
    return sorted(best)


def _assign(members: Sequence[NetworkSpec], mothers: list[NetworkSpec]) -> list[Cluster]:
    """Return the cheapest assignment in which every mother has ⌊m/g⌋ or ⌈m/g⌉ members."""
    # Imported here: plans are read far more often than clusters are formed, and scipy takes a second to
    # import.
    from scipy.optimize import linear_sum_assignment

    small, extra = divmod(len(members), len(mothers))
    distances = np.array(
        [[distance(member, mother) for mother in mothers] for member in members], dtype=float
    )
    # Every mother offers `small` seats that must be taken. If that leaves members over, she offers one more,
    # which may stay empty.
    columns = [j for j in range(len(mothers)) for _ in range(small + (extra > 0))]
    optional = [extra > 0 and i % (small + 1) == small for i in range(len(columns))]
    must_take = -(distances.sum() + 1)
    costs = distances[:, columns] + np.where(optional, 0.0, must_take)
    rows, seats = linear_sum_assignment(costs)
    return [
        tuple(int(r) for r, s in zip(rows, seats, strict=True) if columns[s] == j)
        for j in range(len(mothers))
    ]


def _cost(members: Sequence[NetworkSpec], clusters: list[Cluster]) -> int:
    return sum(
        distance(members[i], mother)
        for part in clusters
        for mother in [mother_of([members[i] for i in part])]
        for i in part
    )


def _size(member: NetworkSpec) -> int:
    return sum(layer.filters * layer.kernel**2 for block in member.blocks for layer in block)


def _shares(sizes: list[int], clusters: int) -> list[int]:
    """Divide clusters over families: one each, each further one where the clusters are largest."""
    shares = [1] * len(sizes)
    for _ in range(clusters - len(sizes)):
        neediest = max(
            (i for i in range(len(sizes)) if shares[i] < sizes[i]), key=lambda i: (sizes[i] / shares[i], -i)
        )
        shares[neediest] += 1
    return shares
