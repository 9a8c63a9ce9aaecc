"""The cheapest clusters of few members, by dynamic programming over what is left to be clustered.

Notation: u distinct shapes, n_j members of shape j, m members, g clusters.

A state is the number of members left of every shape, and of clusters left. The next cluster always contains a
member of the first shape that is left, so that no partition is counted twice. There are at most
g·∏(n_j + 1) states.

Sizes differ by at most one, as in balanced k-means (MotherNets, MLSys 2020, section 2). The cheapest balanced
partition may cost *more* than the cheapest one into fewer clusters: three members of each of two shapes cost
nothing in two clusters of three, but not in three clusters of two. Then the balance gives way, by one member
at a time, until g clusters cost no more than g − 1. So the cost never rises with g. (Where no partition into
g clusters at all costs as little, the cheapest of them is taken. Distances to a larger mother are not larger,
except where the Levenshtein distance matches layers of different positions by chance.)
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import prod

from advisor.designs.cluster_costs import ClusterCosts

# Beyond these numbers the search takes seconds.
MOST_MEMBERS, MOST_STATES = 24, 4096

Counts = tuple[int, ...]
# Cost of a partition, and the members of each shape in every cluster.
Partition = tuple[int, tuple[Counts, ...]]


def is_small(counts: Counts) -> bool:
    """Whether members can be clustered exactly.

    Args:
        counts: number of members of every shape.
    """
    return sum(counts) <= MOST_MEMBERS and prod(n + 1 for n in counts) <= MOST_STATES


class ExactClusters:
    """The cheapest partitions of members into every number of clusters.

    Args:
        costs: costs of clusters.
        counts: number of members of every shape.
    """

    def __init__(self, costs: ClusterCosts, counts: Counts) -> None:
        self.costs, self.counts = costs, counts
        self.best = cache(self._best)

    def _best(self, clusters: int) -> Partition:
        """Return the cheapest partition into a number of clusters, balanced unless fewer would cost less."""
        members = sum(self.counts)
        small, more = divmod(members, clusters)
        balanced = self._cheapest(clusters, small, small + (more > 0))
        if clusters == 1 or not balanced[0]:
            return balanced
        bound = self.best(clusters - 1)[0]
        found = [balanced]
        for difference in range(1 + (more > 0), members - clusters + 1):
            if min(cost for cost, _ in found) <= bound:
                break
            lows = range(max(1, small + (more > 0) - difference), small + 1)
            found += [self._cheapest(clusters, low, low + difference) for low in lows]
        # Of several that cost the same, the first is the most balanced.
        return min(found, key=lambda partition: partition[0])

    def _cheapest(self, clusters: int, low: int, high: int) -> Partition:
        """Return the cheapest partition into clusters of `low` to `high` members."""

        @cache
        def best(left: Counts, count: int) -> Partition:
            if not count:
                return 0, ()
            rest, found = sum(left), None
            smallest = max(low, rest - (count - 1) * high)
            largest = min(high, rest - (count - 1) * low)
            for part in _parts(left, smallest, largest):
                cost, others = best(tuple(a - b for a, b in zip(left, part, strict=True)), count - 1)
                cost += self._cost(part)
                if found is None or cost < found[0]:
                    found = cost, (part, *others)
            assert found is not None, (left, count, low, high)
            return found

        return best(self.counts, clusters)

    def _cost(self, part: Counts) -> int:
        mask = sum(1 << j for j, n in enumerate(part) if n)
        distances = self.costs.distances(mask)
        return sum(n * d for n, d in zip((n for n in part if n), distances, strict=True))


def _parts(left: Counts, smallest: int, largest: int) -> Iterator[Counts]:
    """Yield every choice of `smallest` to `largest` members with one of the first shape that is left."""
    first = next(j for j, n in enumerate(left) if n)
    later = [sum(left[j:]) for j in range(len(left) + 1)]

    def choices(shape: int, least: int, most: int) -> Iterator[Counts]:
        if shape == len(left):
            yield ()
            return
        for n in range(min(left[shape], most), max(0, least - later[shape + 1]) - 1, -1):
            for rest in choices(shape + 1, least - n, most - n):
                yield (n, *rest)

    for n in range(min(left[first], largest), max(1, smallest - later[first + 1]) - 1, -1):
        for rest in choices(first + 1, smallest - n, largest - n):
            yield (*(0,) * first, n, *rest)
