"""Clusters of members around mother networks (MotherNets, MLSys 2020, section 2).

The sum of the edit distances of all members to the mother of their cluster is to be as small as possible. The
number of members differs by at most one between the clusters of a family.

- Up to 24 members of not too many shapes are clustered exactly (`advisor.designs.exact_clusters`). There the
  cost never rises with the number of clusters: if it would, the balance gives way.
- More members are clustered by balanced k-means with restarts (`advisor.designs.cluster_search`). These
  clusters are always balanced, and their cost is not always the lowest.

Families share no mother, so the g clusters are first divided over the families in proportion to their
members. Clusters depend on nothing but the members.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from advisor.designs.cluster_costs import ClusterCosts
from advisor.designs.cluster_search import search_clusters
from advisor.designs.design import Design
from advisor.designs.exact_clusters import Counts, ExactClusters, is_small
from advisor.networks.architecture import NetworkSpec
from advisor.networks.layers import Blocks

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
    """Partition members of one family into clusters with the least distance to their mothers.

    Args:
        members: networks of one family.
        count: number of clusters.

    Returns:
        The clusters as positions in `members`.
    """
    return list(_clusters(tuple(members), count))


@lru_cache(maxsize=1024)
def _clusters(members: tuple[NetworkSpec, ...], count: int) -> tuple[Cluster, ...]:
    # Shapes are in the order of their size, so the result does not depend on the order of the members.
    shapes = tuple(sorted(set(members), key=_size))
    positions = {shape: [i for i, member in enumerate(members) if member == shape] for shape in shapes}
    counts = tuple(len(positions[shape]) for shape in shapes)
    if is_small(counts):
        _, parts = _exact(shapes, counts).best(count)
        left = [iter(positions[shape]) for shape in shapes]
        found = [[next(left[j]) for j, n in enumerate(part) for _ in range(n)] for part in parts]
    else:
        numbers = {shape: j for j, shape in enumerate(shapes)}
        found = search_clusters(ClusterCosts(shapes), [numbers[member] for member in members], count)
    return tuple(sorted(tuple(sorted(part)) for part in found))


@lru_cache(maxsize=256)
def _exact(shapes: tuple[NetworkSpec, ...], counts: Counts) -> ExactClusters:
    return ExactClusters(ClusterCosts(shapes), counts)


def _size(shape: NetworkSpec) -> tuple[int, Blocks, int]:
    weights = sum(layer.filters * layer.kernel**2 for block in shape.blocks for layer in block)
    return weights, shape.blocks, shape.width


def _shares(sizes: list[int], clusters: int) -> list[int]:
    """Divide clusters over families: one each, each further one where the clusters are largest."""
    shares = [1] * len(sizes)
    for _ in range(clusters - len(sizes)):
        neediest = max(
            (i for i in range(len(sizes)) if shares[i] < sizes[i]), key=lambda i: (sizes[i] / shares[i], -i)
        )
        shares[neediest] += 1
    return shares
