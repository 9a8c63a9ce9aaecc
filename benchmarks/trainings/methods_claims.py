"""The claims of the MotherNets paper, judged from whatever rows the benchmark of methods has.

Figures are means over seeds with 90 % t-intervals. A ratio of seconds is that of one seed's trainings on one
machine; its mean and interval are those of the logarithms. Two methods are compared on the seeds that both
have.

A verdict is "met" or "missed" if the whole interval lies on one side of the goal, otherwise it says on which
side the mean lies. With fewer seeds than a verdict needs (3 of small ensembles, 2 of large ones) it says so.
Claims without a goal are figures alone.

Seconds are those of two cores, of which a mother that trains alone leaves one idle. Work adds all steps up,
which is the time of one device that trains one network after the other, as in the paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from grid_runner import Row
from methods_ensembles import BAGGING, CHAIN, DISTILLATION, EQUAL, FULL, G1
from methods_grid import numbers
from scipy.stats import t as student

from advisor.estimate import LEVEL

LARGE = 20
SEEDS, SEEDS_OF_LARGE = 3, 2
# Most snapshots that the paper finds useful.
SIX = 6
# Goals: how many times longer than MotherNets of one cluster, by number of members for full data.
FULL_TIMES, DISTILLATION_TIMES, BAGGING_TIMES = {5: 2.5, 25: 4.0}, 2.0, 2.5
CLOSE_POINTS = 0.5
BySeed = dict[int, float]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure over seeds.

    Attributes:
        mean: mean, of ratios that of the logarithms.
        low, high: 90 % interval, None with one seed.
        seeds: number of seeds.
    """

    mean: float
    low: float | None
    high: float | None
    seeds: int


def figure(values: Sequence[float], *, ratio: bool = False) -> Figure:
    """Return the mean of values and its 90 % t-interval.

    Args:
        values: values of the seeds, at least one.
        ratio: whether logarithms are averaged.
    """
    each = np.log(values) if ratio else np.asarray(values, dtype=float)
    mean, ends = each.mean(), [None, None]
    if len(each) > 1:
        half = student.ppf((1 + LEVEL) / 2, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each))
        ends = [mean - half, mean + half]
    back = np.exp if ratio else float
    low, high = (None if end is None else float(back(end)) for end in ends)
    return Figure(float(back(mean)), low, high, len(each))


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim and what became of it.

    Attributes:
        scenario, recipe: trainings that it was judged on.
        claim: what is claimed.
        goal: goal in words, empty for a figure without one.
        figure: measured figure, None where several are judged together.
        verdict: what follows, with the reason.
    """

    scenario: str
    recipe: str
    claim: str
    goal: str
    figure: Figure | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of a scenario and recipe."""

    scenario: str
    recipe: str
    rows: tuple[Row, ...]

    @property
    def members(self) -> int:
        """Number of members."""
        of_ensemble = [r for r in self.rows if r["method"] != CHAIN]
        return max((len(numbers(r["member_errors"])) for r in of_ensemble), default=0)

    @property
    def needed(self) -> int:
        """Number of seeds that a verdict needs."""
        return SEEDS_OF_LARGE if self.members >= LARGE else SEEDS

    def of(self, method: str, column: str) -> BySeed:
        """Return a column of a method by seed."""
        return {int(r["seed"]): float(r[column]) for r in self.rows if r["method"] == method}

    def seconds(self, method: str, column: str = "seconds") -> BySeed:
        """Return a column of times by seed, as far as known on the machine of MotherNets of one cluster."""
        timed = [r for r in self.rows if float(r["core_seconds"])]
        machines = {r["seed"]: r["device"] for r in timed if r["method"] == G1}
        found = [r for r in timed if r["method"] == method and r["device"] == machines.get(r["seed"])]
        return {int(r["seed"]): float(r[column]) for r in found}

    def cells(self, method: str, column: str) -> dict[int, list[float]]:
        """Return the numbers in a column of a method by seed."""
        return {int(r["seed"]): numbers(r[column]) for r in self.rows if r["method"] == method}

    @property
    def by_clusters(self) -> dict[int, str]:
        """Methods by number of clusters, full data last."""
        found = {int(r["clusters"]): r["method"] for r in self.rows if r["method"].startswith("mothernets g")}
        if any(r["method"] == FULL for r in self.rows):
            found[self.members] = FULL
        return dict(sorted(found.items()))


def blocks_of(rows: Sequence[Row]) -> list[Block]:
    """Return the rows by scenario and recipe, in the order in which they come."""
    names = dict.fromkeys((r["scenario"], r["recipe"]) for r in rows)
    return [Block(*name, tuple(r for r in rows if (r["scenario"], r["recipe"]) == name)) for name in names]


def ratio_of(own: BySeed, base: BySeed) -> Figure | None:
    """Return the ratio of two methods' seconds on the seeds that both have; None if there are none."""
    seeds = sorted(own.keys() & base.keys())
    return figure([own[s] / base[s] for s in seeds], ratio=True) if seeds else None


def points_of(own: BySeed, base: BySeed) -> Figure | None:
    """Return the points of error that one method has more than another; None without common seeds."""
    seeds = sorted(own.keys() & base.keys())
    return figure([100 * (own[s] - base[s]) for s in seeds]) if seeds else None


def verdict(found: Figure, needed: int, *, least: float | None = None, most: float | None = None) -> str:
    """Return whether a figure is at least, or at most, as large as its goal.

    Args:
        found: figure.
        needed: number of seeds that a verdict needs.
        least: goal that the figure should reach; None if `most` is given.
        most: goal that the figure should not exceed.
    """
    sign, goal = (1, least) if least is not None else (-1, most)
    assert goal is not None
    ends = [sign * (end - goal) for end in (found.low, found.high) if end is not None]
    mean = "met" if sign * (found.mean - goal) >= 0 else "missed"
    if found.seeds < needed:
        return f"too few seeds ({found.seeds} of {needed}); so far {mean} in the mean"
    if min(ends) >= 0:
        return "met"
    return "missed" if max(ends) < 0 else f"open: {mean} in the mean, the interval contains the goal"


def claims_of(block: Block) -> Iterator[Claim]:
    """Yield the claims of a scenario and recipe that its rows can say anything on."""
    for text, found, least, most in _comparisons(block):
        if found is None:
            continue
        goal = f"≥ {least:g}" if least is not None else f"≤ {most:g}" if most is not None else ""
        said = verdict(found, block.needed, least=least, most=most) if goal else "no goal"
        yield Claim(block.scenario, block.recipe, text, goal, found, said)
    yield from _of_clusters(block)


def _comparisons(block: Block) -> Iterator[tuple[str, Figure | None, float | None, float | None]]:
    """Yield claim, figure, and the least or the most that is asked for."""
    errors = block.of(G1, "error")

    def times(method: str, column: str = "seconds") -> Figure | None:
        return ratio_of(block.seconds(method, column), block.seconds(G1, column))

    def work(method: str) -> Figure | None:
        return times(method, "core_seconds")

    def points(method: str) -> Figure | None:
        return points_of(block.of(method, "error"), errors)

    yield "full data over g = 1: seconds", times(FULL), FULL_TIMES.get(block.members), None
    yield "full data over g = 1: work", work(FULL), None, None
    full = points_of(errors, block.of(FULL, "error"))
    yield "g = 1 over full data: points more error", full, None, CLOSE_POINTS
    yield "distillation over g = 1: seconds", times(DISTILLATION), DISTILLATION_TIMES, None
    yield "distillation over g = 1: work", work(DISTILLATION), None, None
    yield "distillation: points more error", points(DISTILLATION), 0.0, None
    yield "bagging over g = 1: seconds", times(BAGGING), BAGGING_TIMES, None
    yield "bagging over g = 1: work", work(BAGGING), None, None
    yield "bagging: points more error", points(BAGGING), 0.0, None
    yield "snapshots at equal time: seconds over g = 1", times(EQUAL), None, None
    yield "snapshots at equal time: points more error", points(EQUAL), 0.0, None
    longest = beyond_six(block)
    yield "all snapshots over the first six: points more error", longest, 0.0, None


def beyond_six(block: Block) -> Figure | None:
    """Return the points of error that a whole chain has more than its first six snapshots."""
    chains = [c for c in block.cells(CHAIN, "errors_by_members").values() if len(c) > SIX]
    return figure([100 * (chain[-1] - chain[SIX - 1]) for chain in chains]) if chains else None


def _of_clusters(block: Block) -> Iterator[Claim]:
    """Yield the claims on rising numbers of clusters."""
    methods = block.by_clusters
    if len(methods) < 2:
        return
    steps = list(pairwise(methods))
    errors = {g: block.of(m, "error") for g, m in methods.items()}
    seconds = {g: block.seconds(m) for g, m in methods.items()}
    falls = {f"g = {a} to {b}": points_of(errors[b], errors[a]) for a, b in steps}
    rises = {f"g = {a} to {b}": ratio_of(seconds[a], seconds[b]) for a, b in steps}
    bends = {f"g = {g}": _bend(errors, seconds, around) for g, around in _inner(list(methods))}
    for text, found, limit in (
        ("error falls with g", falls, 0.0),
        ("time rises with g", rises, 1.0),
        ("the front is convex, by seeds whose times rise", bends, 0.0),
    ):
        if not any(found.values()):
            continue
        said = _none_above(found, limit, block.needed)
        yield Claim(block.scenario, block.recipe, text, "all g", None, said)


def _inner(clusters: Sequence[int]) -> list[tuple[int, tuple[int, int, int]]]:
    """Return each number of clusters that has one on either side, with both."""
    return [(b, (a, b, c)) for a, b, c in zip(clusters, clusters[1:], clusters[2:], strict=False)]


def _bend(
    errors: dict[int, BySeed], seconds: dict[int, BySeed], around: tuple[int, int, int]
) -> Figure | None:
    """Return the points by which a number of clusters lies above the line between its neighbours.

    A seed counts if its three times rise.
    """
    found = []
    for seed in set.intersection(*(set(of[g]) for g in around for of in (seconds, errors))):
        (x0, x1, x2), (y0, y1, y2) = ([of[g][seed] for g in around] for of in (seconds, errors))
        if x0 < x1 < x2:
            found.append(100 * (y1 - y0 - (y2 - y0) * (x1 - x0) / (x2 - x0)))
    return figure(found) if found else None


def _none_above(found: dict[str, Figure | None], limit: float, needed: int) -> str:
    """Return whether no figure lies above a limit with its whole interval."""
    known = {name: each for name, each in found.items() if each is not None}
    enough = {name: each for name, each in known.items() if each.seeds >= needed}
    wrong = [f"{name}: {_text(f)}" for name, f in enough.items() if f.low is not None and f.low > limit]
    means = [name for name, f in known.items() if f.mean > limit]
    beside = f"; means that do not: {', '.join(means)}" if means else ""
    few = [f"{name} ({f.seeds} of {needed})" for name, f in known.items() if f.seeds < needed]
    short = f"; too few seeds: {', '.join(few)}" if few else ""
    if wrong:
        return f"missed: {'; '.join(wrong)}{short}"
    return (f"met{beside}{short}" if enough else f"too few seeds: {', '.join(few)}{beside}").strip()


def _text(found: Figure) -> str:
    interval = "" if found.low is None else f" ({found.low:.2f} to {found.high:.2f})"
    return f"{found.mean:.2f}{interval}"
