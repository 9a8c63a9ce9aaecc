"""The claims of "More or Less" and MotherNets on the grid: a row each, with interval and verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from advice_intervals import bootstrapped, over_seeds
from advice_regret import EST_MEMBERS
from advice_replay import Cell, Grid, lasting, lead, reached

# Relative tolerance of "about" a published ratio of seconds.
ABOUT = 0.25


def claims(grid: Grid) -> list[dict]:
    return [
        *(_threshold_exists(grid, d, k) for k in (None, EST_MEMBERS) for d in grid.datasets),
        _gain_past(grid),
        *(_later_with_members(grid, d) for d in grid.datasets),
        *(_earlier_when_harder(grid, k) for k in (None, EST_MEMBERS)),
        _deq_over_weq(grid),
        *(_fast_threshold(grid, d) for d in grid.datasets),
        _hatched(grid, "points more error: g = 1 than independent", "little", error=True),
        _hatched(grid, "times the work: independent over g = 1", "about 5 (V5)", error=False),
        _at_equal_work(grid),
        *(_reaches_sooner(grid, seconds=seconds) for seconds in (False, True)),
        _seconds(grid, "weq", 1.0),
        _seconds(grid, "deq", 2.0),
    ]


def claim(text: str, published: str, measured: str, interval: str = "", state: str = "open") -> dict:
    return {
        "claim": text,
        "published": published,
        "measured": measured,
        "interval": interval,
        "verdict": state,
    }


def _place(line: Sequence[Cell], position: int) -> str:
    """Return a threshold in words."""
    if position == 0:
        return f"at most {line[0].budget:,}"
    return f"{line[position].budget:,}" if position < len(line) else f"over {line[-1].budget:,}"


def _by_seed(cells: Sequence[Cell], rivals: Sequence[Sequence[str]]) -> list[int]:
    """Return the thresholds along cells as positions, seed by seed as `lead` compares them."""
    leads = [lead(c, ensembles) for c, ensembles in zip(cells, rivals, strict=True)]
    return [lasting(each) for each in zip(*leads, strict=False)]


def _range(line: Sequence[Cell], positions: Sequence[int]) -> str:
    """Return the range of the thresholds of all seeds in words."""
    low, high = (_place(line, position) for position in (min(positions), max(positions)))
    return low if low == high else f"{low} to {high}"


def _moves(found: Sequence[Sequence[int]], *, right: bool) -> str:
    """Return a verdict on whether thresholds move in one direction along their order.

    They move to the right if no threshold of a range lies below one of the range before it, and some range
    lies beyond. They move to the left in the opposite case. All other cases are open.

    Args:
        found: thresholds by seed, a range for each entry of the order.
        right: whether the claim is a move to the right.
    """
    pairs = list(pairwise(found))
    up = all(min(b) >= max(a) for a, b in pairs) and any(min(b) > max(a) for a, b in pairs)
    down = all(max(b) <= min(a) for a, b in pairs) and any(max(b) < min(a) for a, b in pairs)
    if not (up or down):
        return "open"
    return "holds" if up == right else "does not hold"


def _threshold_exists(grid: Grid, dataset: str, members: int | None) -> dict:
    """Return the claim that the single network leads at the smallest budget, and the ensemble at the largest.

    Args:
        grid: grid of trainings.
        dataset: name of the data set.
        members: number of members of the depth-equivalent ensemble; None for the best of all ensembles.
    """
    line = [c for c in grid.row(dataset) if lead(c, c.rivals(members))]
    leads = [lead(c, c.rivals(members)) for c in line]
    rival = "best ensemble" if members is None else f"deq, k = {members}"
    text, published = f"a threshold exists, {rival}: {dataset}", "1M–1.5M (CIFAR-10)"
    if len(line) < 2:
        return claim(text, published, "not evaluated")
    (first, low), (last, high) = (over_seeds(x) for x in (leads[0], leads[-1]))
    holds = first + low < 0 < last - high
    fails = first - low > 0 or last + high < 0
    return claim(
        text,
        published,
        f"{_place(line, lasting([float(np.mean(x)) for x in leads]))} parameters",
        f"lead {first:+.2f} ± {low:.2f} points at {line[0].budget:,}, {last:+.2f} ± {high:.2f} at "
        f"{line[-1].budget:,}",
        "holds" if holds else "does not hold" if fails else "open",
    )


def _gain_past(grid: Grid) -> dict:
    gains = {}
    for dataset in grid.datasets:
        line, leads = _line(grid, dataset)
        gains |= {c.key: x for c, x in list(zip(line, leads, strict=True))[lasting(leads) :]}
    row = _over_cells(
        "points less error past the threshold",
        "1 to 3",
        gains,
        lambda low, high: (low >= 1 and high <= 3, high < 1 or low > 3),
    )
    # One single network that fails makes a mean of few cells large.
    middle = f", median {np.median(list(gains.values())):.2f}" if gains else ""
    return row | {"measured": row["measured"] + middle}


def _line(grid: Grid, dataset: str) -> tuple[list[Cell], list[float]]:
    """Return the cells of a data set by budget, and the lead of their best ensemble in points."""
    line = [c for c in grid.row(dataset) if lead(c, c.ensembles)]
    return line, [float(np.mean(lead(c, c.ensembles))) for c in line]


def _over_cells(
    text: str,
    published: str,
    values: Mapping[tuple[str, int], float],
    decide: Callable[[float, float], tuple[bool, bool]],
    *,
    logs: bool = False,
) -> dict:
    """Return a claim about a mean over cells.

    Args:
        text: text of the claim.
        published: published figure.
        values: figure of each cell.
        decide: function of both ends of the interval that returns whether the claim holds, and whether it
            does not hold.
        logs: whether values are logarithms of ratios, whose mean becomes a geometric mean.
    """
    found = bootstrapped(values)
    if found["mean"] is None:
        return claim(text, published, "not evaluated")
    back = np.exp if logs else float
    measured = f"{back(found['mean']):.2f} ({len(values)} cells)"
    if found["low"] is None:
        return claim(text, published, measured)
    low, high = float(back(found["low"])), float(back(found["high"]))
    holds, fails = decide(low, high)
    state = "holds" if holds else "does not hold" if fails else "open"
    return claim(text, published, measured, f"{low:.2f} to {high:.2f}", state)


def _later_with_members(grid: Grid, dataset: str) -> dict:
    """Return the claim on the thresholds of depth-equivalent ensembles of several sizes."""
    text, published = f"the threshold moves right with k: {dataset}", "1.5M, 3M, 5M (k = 4, 6, 8; DenseNet)"
    line = [c for c in grid.row(dataset) if c.single and c.seeds]
    deq = {c.budget: {c.of(d).members: d for d in c.named(["deq"], independent=True)} for c in line}
    sizes = sorted(set().union(*deq.values()))
    line = [c for c in line if len(deq[c.budget]) == len(sizes)]
    if len(line) < 2 or len(sizes) < 2:
        return claim(text, published, "not evaluated")
    middle = {k: lasting([float(np.mean(lead(c, [deq[c.budget][k]]))) for c in line]) for k in sizes}
    seeds = {k: _by_seed(line, [[deq[c.budget][k]] for c in line]) for k in sizes}
    return claim(
        text,
        published,
        "; ".join(f"k = {k}: {_place(line, i)}" for k, i in middle.items()),
        "seeds: " + "; ".join(f"k = {k}: {_range(line, each)}" for k, each in seeds.items()),
        _moves(list(seeds.values()), right=True),
    )


def _earlier_when_harder(grid: Grid, members: int | None) -> dict:
    """Return the claim on the thresholds of the data sets, ordered by the least error on each.

    Args:
        grid: grid of trainings.
        members: number of members of the depth-equivalent ensemble; None for the best of all ensembles.
    """
    rival = "best ensemble" if members is None else f"deq, k = {members}"
    text, published = f"harder data switches earlier, {rival}", "CIFAR-10, CIFAR-100, Tiny ImageNet in turn"
    lines = {d: [c for c in grid.row(d) if lead(c, c.rivals(members))] for d in grid.datasets}
    lines = {d: line for d, line in lines.items() if len(line) > 1}
    if len(lines) < 2:
        return claim(text, published, "not evaluated")
    least = {d: min(c.error(name, c.seeds) for c in line for name in c.runs) for d, line in lines.items()}
    order = sorted(lines, key=least.__getitem__)
    leads = {d: [float(np.mean(lead(c, c.rivals(members)))) for c in lines[d]] for d in order}
    seeds = {d: _by_seed(lines[d], [c.rivals(members) for c in lines[d]]) for d in order}
    return claim(
        text,
        published,
        "; ".join(f"{d} ({least[d]:.1f} %): {_place(lines[d], lasting(leads[d]))}" for d in order),
        "seeds: " + "; ".join(f"{d}: {_range(lines[d], seeds[d])}" for d in order),
        _moves(list(seeds.values()), right=False),
    )


def _deq_over_weq(grid: Grid) -> dict:
    """Return the claim on the points that width-equivalents have more error than depth-equivalents."""
    more = {}
    for c in grid.whole:
        deq, weq = (
            {c.of(d).members: d for d in c.named([kind], independent=True)} for kind in ("deq", "weq")
        )
        gaps = [c.error(weq[k], c.seeds) - c.error(deq[k], c.seeds) for k in deq.keys() & weq if c.seeds]
        if gaps:
            more[c.key] = float(np.mean(gaps))
    return _over_cells("points less error: deq than weq", "deq better", more, _above(0.0))


def _pairs(grid: Grid, dataset: str) -> list[tuple[Cell, str, str]]:
    """Return cells of a data set with their depth-equivalent ensemble of four, independent and hatched."""
    found = []
    for c in grid.row(dataset):
        own = [c.named(["deq"], EST_MEMBERS, independent=independent) for independent in (True, False)]
        if c.single and c.seeds and all(own):
            found.append((c, own[0][0], own[1][0]))
    return found


def _fast_threshold(grid: Grid, dataset: str) -> dict:
    """Return the claim on the thresholds of the independent and of the hatched ensemble of four."""
    text, published = f"fast training moves the threshold: {dataset}", "expected (future work)"
    pairs = _pairs(grid, dataset)
    if len(pairs) < 2:
        return claim(text, published, "not evaluated")
    line = [c for c, _, _ in pairs]
    slow, fast = (lasting([float(np.mean(lead(pair[0], [pair[i]]))) for pair in pairs]) for i in (1, 2))
    seeds = [_by_seed(line, [[pair[i]] for pair in pairs]) for i in (1, 2)]
    return claim(
        text,
        published,
        f"independent: {_place(line, slow)}; g = 1: {_place(line, fast)}",
        f"seeds: independent: {_range(line, seeds[0])}; g = 1: {_range(line, seeds[1])}",
        _moves(seeds, right=False),
    )


def _at_equal_work(grid: Grid) -> dict:
    """Return the claim on a hatched ensemble at the work of an independent one, in points of error.

    The independent ensemble has the longest of the shorter schedules. That is half of the epochs, and about
    the work of the hatched ensemble.
    """
    less = {}
    for c, alone, hatched in (pair for d in grid.datasets for pair in _pairs(grid, d)):
        shorter = [s for s in grid.cells if s.key == c.key and not s.whole and alone in s.runs]
        if shorter:
            cut = max(shorter, key=lambda s: s.epochs)
            seeds = sorted(set(cut.runs[alone]) & set(c.seeds))
            if seeds:
                less[c.key] = cut.error(alone, seeds) - c.error(hatched, seeds)
    text = "points less error: g = 1 than independent for half of the epochs"
    return _over_cells(text, "less, at equal time", less, _above(0.0))


def _hatched(grid: Grid, text: str, published: str, *, error: bool) -> dict:
    """Return the claim on the error, or the work, of hatching the depth-equivalent ensemble of four."""
    values = {}
    for c, alone, hatched in (pair for d in grid.datasets for pair in _pairs(grid, d)):
        if error:
            values[c.key] = c.error(hatched, c.seeds) - c.error(alone, c.seeds)
        else:
            seconds = [[c.runs[d][s].seconds for s in c.seeds] for d in (alone, hatched)]
            values[c.key] = float(np.mean(np.log(seconds[0])) - np.mean(np.log(seconds[1])))
    decide = (lambda low, high: (high <= 0.5, low > 0.5)) if error else _about(5.0)
    return _over_cells(text, published, values, decide, logs=not error)


def _reaches_sooner(grid: Grid, *, seconds: bool) -> dict:
    """Return the claim on how much sooner better ensembles reach the single network's final error.

    Args:
        grid: grid of trainings.
        seconds: whether core seconds are compared instead of epochs.
    """
    ratios, reaching, asked = {}, 0, 0
    for c in grid.whole:
        found = []
        for design in c.named(["deq", "weq"], independent=True) if c.single and c.seeds else ():
            if c.error(design, c.seeds) < c.error(c.single, c.seeds):
                alone, together = c.mean_curve(c.single), c.mean_curve(design)
                asked += 1
                if epochs := reached(together, alone[-1]):
                    times = _times_the_seconds(c, design) if seconds else 0.0
                    found.append(float(np.log(reached(alone, alone[-1]) / epochs)) - times)
        reaching += len(found)
        if found:
            ratios[c.key] = float(np.mean(found))
    what = "less work" if seconds else "fewer epochs"
    row = _over_cells(f"times {what} to single accuracy, past it", "1.2 to 5", ratios, _above(1.0), logs=True)
    return row | {"measured": f"{row['measured']}, {reaching} of {asked} ensembles reach it"}


def _times_the_seconds(cell: Cell, design: str) -> float:
    """Return the mean log ratio over seeds of the core seconds of a design to the single network's."""
    seconds = [[cell.runs[d][s].seconds for s in cell.seeds] for d in (design, cell.single)]
    return float(np.mean(np.log(seconds[0])) - np.mean(np.log(seconds[1])))


def hatched_more(cell: Cell) -> float | None:
    """Return the mean points that ensembles of one mother have more error than independent ones."""
    pairs = [(d, f"{d}@g1") for d in cell.ensembles if f"{d}@g1" in cell.runs]
    gaps = [cell.error(hatched, cell.seeds) - cell.error(d, cell.seeds) for d, hatched in pairs if cell.seeds]
    return float(np.mean(gaps)) if gaps else None


def shallow_less(cell: Cell) -> float | None:
    """Return the points that the width-equivalent of four has less error than the depth-equivalent one."""
    deq, weq = (cell.named([kind], EST_MEMBERS, independent=True) for kind in ("deq", "weq"))
    if not (deq and weq and cell.seeds):
        return None
    return cell.error(deq[0], cell.seeds) - cell.error(weq[0], cell.seeds)


def _above(limit: float) -> Callable[[float, float], tuple[bool, bool]]:
    return lambda low, high: (low > limit, high <= limit)


def _about(times: float) -> Callable[[float, float], tuple[bool, bool]]:
    lower, upper = times / (1 + ABOUT), times * (1 + ABOUT)
    return lambda low, high: (lower <= low and high <= upper, high < lower or low > upper)


def _seconds(grid: Grid, kind: str, times: float) -> dict:
    """Return the claim on the core seconds of an epoch of four members, relative to the single network."""
    ratios = {
        c.key: _times_the_seconds(c, design)
        for c in grid.whole
        for design in (c.named([kind], EST_MEMBERS, independent=True) if c.single and c.seeds else ())
    }
    text = f"times the seconds an epoch: {kind}, k = {EST_MEMBERS}"
    return _over_cells(text, f"about {times:g}", ratios, _about(times), logs=True)
