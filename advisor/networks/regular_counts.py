"""Exact counts of regular networks without walking their layers, for thousands of designs a second.

Notation, for one family and one task:

    w           width
    d, i        depth, and its index among the family's valid depths
    P(i, w)     parameters, or MACs, of the regular network S(w, d)
    Δ[a][b]     Newton's forward difference of P, of order a in i and of order b in w

P is a polynomial with integer values, of degree 2 in w and of degree at most 3 in i. (Any four values lie on
a cubic, which covers the four VGG configurations.) The forward differences over a small grid of graphs
therefore give every other count in exact integer arithmetic:

    P(i, w) = Σ_a Σ_b C(i, a) · C(w − 1, b) · Δ[a][b].

All counts come from graphs; this module only extrapolates them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import islice

from advisor.networks.architecture import lower, regular_network
from advisor.networks.families import family_named
from advisor.networks.graph import Graph
from advisor.networks.layers import Task

_WIDTH_NODES = 3
_DEPTH_NODES = 4

# Depth to which the regular networks of a family are counted by default.
DEPTH_LIMIT = 200


class RegularCounts:
    """Parameters and MACs of the regular networks of one family on one task.

    Args:
        family: name of the family.
        task: images and classes.
        depth_limit: largest depth that is counted.

    Attributes:
        depths: valid depths up to the limit, in rising order.
    """

    def __init__(self, family: str, task: Task, depth_limit: int) -> None:
        self.family = family
        self.depths = family_named(family).valid_depths(depth_limit)
        basis = list(islice(family_named(family).depths(), _DEPTH_NODES))
        graphs = [
            [lower(regular_network(family, depth, width), task) for width in range(1, 2 + _WIDTH_NODES)]
            for depth in basis
        ]
        self._parameters = _Polynomials(self.depths, graphs, lambda graph: graph.parameters)
        self._macs = _Polynomials(self.depths, graphs, lambda graph: graph.macs)

    def parameters(self, depth: int, width: int) -> int:
        """Trainable scalars of S(width, depth)."""
        return self._parameters(depth, width)

    def macs(self, depth: int, width: int) -> int:
        """Multiply-adds of S(width, depth) for one image."""
        return self._macs(depth, width)

    def widest(self, depth: int, limit: float, minimum: int = 1) -> int | None:
        """Largest width ≥ `minimum` whose network has at most `limit` parameters, or None."""
        if self.parameters(depth, minimum) > limit:
            return None
        low, high = minimum, minimum + 1
        while self.parameters(depth, high) <= limit:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.parameters(depth, middle) <= limit else (low, middle)
        return low

    def deepest(self, width: int, limit: float) -> int | None:
        """Largest valid depth whose network of `width` has at most `limit` parameters, or None."""
        low, high = -1, len(self.depths)
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.parameters(self.depths[middle], width) <= limit
            low, high = (middle, high) if fits else (low, middle)
        return self.depths[low] if low >= 0 else None


@lru_cache(maxsize=64)
def regular_counts(family: str, task: Task, depth_limit: int) -> RegularCounts:
    """Return the counts of a family on a task; the same call again returns the same object."""
    return RegularCounts(family, task, depth_limit)


class _Polynomials:
    """One count as a polynomial in the width for every depth.

    Args:
        depths: depths to count.
        graphs: graphs of the smallest depths (rows) and of the widths 1, 2, … (columns).
        count: count of a graph, for example its parameters.
    """

    def __init__(self, depths: list[int], graphs: list[list[Graph]], count: Callable[[Graph], int]) -> None:
        columns = [[count(graph) for graph in column] for column in zip(*graphs, strict=True)]
        narrow = _leading_differences(columns[0])
        by_depth = list(zip(*(_leading_differences(column) for column in columns[1:]), strict=True))
        by_both = [_leading_differences(list(row)) for row in by_depth]
        self._width_one: dict[int, int] = {}
        self._terms: dict[int, tuple[int, ...]] = {}
        for i, depth in enumerate(depths):
            powers = (1, i, i * (i - 1) // 2, i * (i - 1) * (i - 2) // 6)
            self._width_one[depth] = sum(p * d for p, d in zip(powers, narrow, strict=True))
            self._terms[depth] = tuple(
                sum(p * d for p, d in zip(powers, column, strict=True))
                for column in zip(*by_both, strict=True)
            )

    def __call__(self, depth: int, width: int) -> int:
        if width == 1:
            return self._width_one[depth]
        constant, linear, quadratic = self._terms[depth]
        j = width - 2
        return constant + j * linear + j * (j - 1) // 2 * quadratic


def _leading_differences(values: list[int]) -> list[int]:
    """Return the first entry of `values` and of each of its successive rows of differences."""
    leading = []
    while values:
        leading.append(values[0])
        values = [b - a for a, b in zip(values, values[1:], strict=False)]
    return leading
