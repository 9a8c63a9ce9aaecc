"""Cheap balanced clusters of many members: balanced k-means from several starts, then swaps.

Source: the balanced k-means of MotherNets (MLSys 2020, section 2), in which the mother network plays the
centroid of its cluster. It ends in the first partition that it cannot improve, so it begins several times.
The members are put into the order of their size, of their layers from the input on, of their layers from the
output on, and into random orders. Each order gives two partitions. One is cut into clusters of neighbours.
The other is greedy: the first member that is left begins a cluster, and those join it that cost least.

Each partition is improved by exchanges of two members until none helps, or until a fixed number of them was
tried. The cheapest is taken. Random orders have fixed seeds, and there is no clock: the result depends on
nothing but the members.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from random import Random

import numpy as np

from advisor.designs.cluster_costs import ClusterCosts

# Members of all random orders together; there are two orders at least.
RANDOM_MEMBERS = 100
# Members nearest to a growing cluster's mother, of which the cheapest joins.
NEAREST = 12
# Rounds of one start, and members of all clusters that are tried in its exchanges. They let 100 members take
# less than five seconds in all, with a margin.
MOST_ROUNDS, MOST_TRIED = 20, 3_000

# Members of every cluster.
Clusters = list[list[int]]


def search_clusters(costs: ClusterCosts, shapes: Sequence[int], count: int) -> Clusters:
    """Return clusters of members that differ in size by at most one.

    Args:
        costs: costs of clusters.
        shapes: shape of every member.
        count: number of clusters.
    """
    if count == 1:
        return [list(range(len(shapes)))]
    best: Clusters = []
    for start in _starts(costs, shapes, count):
        clusters = _exchanged(costs, shapes, _k_means(costs, shapes, start))
        if not best or _cost(costs, shapes, clusters) < _cost(costs, shapes, best):
            best = clusters
        if not _cost(costs, shapes, best):
            break
    return best


def _starts(costs: ClusterCosts, shapes: Sequence[int], count: int) -> Iterator[Clusters]:
    """Yield the partitions to begin with."""
    small, extra = divmod(len(shapes), count)
    sizes = [small + (j < extra) for j in range(count)]
    ends = list(accumulate(sizes))
    for order in _orders(costs, shapes):
        yield _greedy(costs, shapes, order, sizes)
        yield [order[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _greedy(costs: ClusterCosts, shapes: Sequence[int], order: list[int], sizes: list[int]) -> Clusters:
    """Return clusters that are filled one after the other with the members that cost least."""
    left, clusters = list(order), []
    for size in sizes:
        cluster = [left.pop(0)]
        while len(cluster) < size:
            cluster.append(_joining(costs, shapes, cluster, left))
            left.remove(cluster[-1])
        clusters.append(cluster)
    return clusters


def _joining(costs: ClusterCosts, shapes: Sequence[int], cluster: list[int], left: list[int]) -> int:
    """Return the member that joins a cluster: of the nearest to its mother, the one that costs least."""
    distances = costs.to_mother(_mask(shapes, cluster))
    nearest = sorted(left, key=lambda i: distances[shapes[i]])[:NEAREST]
    return min(nearest, key=lambda i: costs.cost([*(shapes[k] for k in cluster), shapes[i]]))


def _orders(costs: ClusterCosts, shapes: Sequence[int]) -> list[list[int]]:
    """Return the members in the order of their size, in two orders of their layers, and in random ones."""
    members = range(len(shapes))
    blocks = [costs.shapes[shape].blocks for shape in shapes]
    by_size = sorted(members, key=lambda i: (shapes[i], i))
    from_input = sorted(members, key=lambda i: (blocks[i], i))
    from_output = sorted(members, key=lambda i: ([block[::-1] for block in blocks[i][::-1]], i))
    count = max(2, RANDOM_MEMBERS // len(members))
    drawn = [Random(seed).sample(by_size, len(by_size)) for seed in range(count)]
    return [by_size, from_input, from_output, *drawn]


def _cost(costs: ClusterCosts, shapes: Sequence[int], clusters: Clusters) -> int:
    return sum(costs.cost([shapes[i] for i in cluster]) for cluster in clusters)


def _k_means(costs: ClusterCosts, shapes: Sequence[int], clusters: Clusters) -> Clusters:
    """Assign members to mothers and rebuild the mothers, as long as that costs less."""
    best, lowest = clusters, _cost(costs, shapes, clusters)
    for _ in range(MOST_ROUNDS):
        if not lowest:
            break
        clusters = _assigned(costs, shapes, best)
        cost = _cost(costs, shapes, clusters)
        if cost >= lowest:
            break
        best, lowest = clusters, cost
    return best


def _assigned(costs: ClusterCosts, shapes: Sequence[int], clusters: Clusters) -> Clusters:
    """Return the cheapest assignment in which every mother has ⌊m/g⌋ or ⌈m/g⌉ members."""
    # Imported here: plans are read far more often than clusters are formed, and scipy takes a second to
    # import.
    from scipy.optimize import linear_sum_assignment

    small, extra = divmod(len(shapes), len(clusters))
    to_mothers = [costs.to_mother(_mask(shapes, cluster)) for cluster in clusters]
    distances = np.array(to_mothers, dtype=float).T[list(shapes)]
    # Every mother offers `small` seats that must be taken. If that leaves members over, she offers one more,
    # which may stay empty.
    columns = [j for j in range(len(clusters)) for _ in range(small + (extra > 0))]
    optional = [extra > 0 and i % (small + 1) == small for i in range(len(columns))]
    must_take = -(distances.sum() + 1)
    rows, seats = linear_sum_assignment(distances[:, columns] + np.where(optional, 0.0, must_take))
    found: Clusters = [[] for _ in clusters]
    for row, seat in zip(rows, seats, strict=True):
        found[columns[seat]].append(int(row))
    return found


def _mask(shapes: Sequence[int], cluster: Sequence[int]) -> int:
    mask = 0
    for i in cluster:
        mask |= 1 << shapes[i]
    return mask


def _exchanged(costs: ClusterCosts, shapes: Sequence[int], clusters: Clusters) -> Clusters:
    """Exchange two members, or a member and an empty seat, wherever that costs less."""
    clusters = [list(cluster) for cluster in clusters]
    own = [costs.cost([shapes[i] for i in cluster]) for cluster in clusters]
    tried, improved, random = 0, True, Random(0)
    while improved:
        improved = False
        pairs = [(a, b) for a in range(len(clusters)) for b in range(a)]
        random.shuffle(pairs)
        for a, b in pairs:
            # Clusters that cost nothing cannot cost less.
            for one, other in _exchanges(clusters[a], clusters[b]) if own[a] + own[b] else ():
                if tried > MOST_TRIED:
                    return clusters
                tried += len(one) + len(other)
                cost = [costs.cost([shapes[i] for i in cluster]) for cluster in (one, other)]
                if sum(cost) < own[a] + own[b]:
                    clusters[a], clusters[b] = one, other
                    own[a], own[b] = cost
                    improved = True
                    break
    return clusters


def _exchanges(one: list[int], other: list[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Yield two clusters after every exchange of a member of each, and of a member alone if sizes allow."""
    for i in one:
        rest = [k for k in one if k != i]
        for j in other:
            yield [*rest, j], [*(k for k in other if k != j), i]
        if len(one) > len(other):
            yield rest, [*other, i]
    if len(other) > len(one):
        for j in other:
            yield [*one, j], [k for k in other if k != j]
