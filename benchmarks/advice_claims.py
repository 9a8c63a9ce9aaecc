"""Which claims of "More or Less" and MotherNets hold on the grid: a row each, with interval and verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from advice_intervals import bootstrapped, over_seeds
from advice_regret import EST_MEMBERS
from advice_replay import Cell, Grid, lasting, lead, reached

# "About" a published ratio of seconds.
ABOUT = 0.25


def claims(grid: Grid) -> list[dict]:
    return [
        *(_threshold_exists(grid, d, k) for k in (None, EST_MEMBERS) for d in grid.datasets),
        _gain_past(grid),
        *(_later_with_members(grid, d) for d in grid.datasets),
        _earlier_when_harder(grid),
        _deq_over_weq(grid),
        *(_fast_threshold(grid, d) for d in grid.datasets),
        _hatched(grid, "points more error: g = 1 than independent", "little", error=True),
        _hatched(grid, "times the work: independent over g = 1", "2 to 5 (V5, FD)", error=False),
        _reaches_sooner(grid),
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
    """A threshold in words."""
    if position == 0:
        return f"at most {line[0].budget:,}"
    return f"{line[position].budget:,}" if position < len(line) else f"over {line[-1].budget:,}"


def _threshold_exists(grid: Grid, dataset: str, members: int | None) -> dict:
    """The single network leads at the smallest budget, the ensemble at the largest.

    Args:
        grid: of trainings.
        dataset: name.
        members: of the depth-equivalent ensemble that is meant; None for the best of all ensembles.
    """
    line = [c for c in grid.row(dataset) if lead(c, c.rivals(members))]
    leads = [lead(c, c.rivals(members)) for c in line]
    rival = "best ensemble" if members is None else f"deq, k = {members}"
    text, published = f"a threshold exists, {rival}: {dataset}", "1M–1.5M (CIFAR-10)"
    if len(line) < 2:
        return claim(text, published, "not judged")
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
    return _over_cells(
        "points less error past the threshold", "1 to 3", gains, lambda low, high: (low >= 1, high < 1)
    )


def _line(grid: Grid, dataset: str) -> tuple[list[Cell], list[float]]:
    """Cells of a data set by budget, and by how much their best ensemble leads."""
    line = [c for c in grid.row(dataset) if lead(c, c.ensembles)]
    return line, [float(np.mean(lead(c, c.ensembles))) for c in line]


def _over_cells(
    text: str,
    published: str,
    values: Mapping[tuple[str, int], float],
    judge: Callable[[float, float], tuple[bool, bool]],
    *,
    logs: bool = False,
) -> dict:
    """A claim about a mean over cells (of logarithms: a geometric mean).

    Args:
        text: of the claim.
        published: figure.
        values: by cell.
        judge: from both ends of the interval, whether the claim holds and whether it does not.
        logs: whether values are logarithms of ratios.
    """
    found = bootstrapped(values)
    if found["mean"] is None:
        return claim(text, published, "not judged")
    mean, low, high = (float(np.exp(x)) if logs else x for x in (found["mean"], found["low"], found["high"]))
    holds, fails = judge(low, high)
    state = "holds" if holds else "does not hold" if fails else "open"
    return claim(text, published, f"{mean:.2f} ({len(values)} cells)", f"{low:.2f} to {high:.2f}", state)


def _later_with_members(grid: Grid, dataset: str) -> dict:
    """Thresholds of depth-equivalent ensembles, along the budgets that have all of them."""
    text, published = f"the threshold moves right with k: {dataset}", "1.5M, 3M, 5M (k = 4, 6, 8; DenseNet)"
    line = [c for c in grid.row(dataset) if c.single and c.seeds]
    deq = {c.budget: {c.of(d).members: d for d in c.named(["deq"], independent=True)} for c in line}
    sizes = sorted(set().union(*deq.values()))
    line = [c for c in line if len(deq[c.budget]) == len(sizes)]
    if len(line) < 2 or len(sizes) < 2:
        return claim(text, published, "not judged")
    middle, ranges = {}, {}
    for k in sizes:
        leads = [lead(c, [deq[c.budget][k]]) for c in line]
        middle[k] = lasting([float(np.mean(x)) for x in leads])
        each = [lasting(x) for x in zip(*leads, strict=False)]
        ranges[k] = f"{_place(line, min(each))} to {_place(line, max(each))}"
    return claim(
        text,
        published,
        "; ".join(f"k = {k}: {_place(line, i)}" for k, i in middle.items()),
        "seeds: " + "; ".join(f"k = {k}: {r}" for k, r in ranges.items()),
        _rising(list(middle.values())),
    )


def _rising(positions: Sequence[int]) -> str:
    """Whether positions rise in their order; open where they neither rise nor fall throughout."""
    steps = [b - a for a, b in pairwise(positions)]
    if not any(steps) or (min(steps) < 0 < max(steps)):
        return "open"
    return "holds" if max(steps) > 0 else "does not hold"


def _earlier_when_harder(grid: Grid) -> dict:
    """Thresholds of the data sets, from the one with the least error of its largest single network."""
    text, published = "harder data switches earlier", "CIFAR-10, CIFAR-100, Tiny ImageNet in turn"
    lines = {d: line for d in grid.datasets if len((line := _line(grid, d))[0]) > 1}
    if len(lines) < 2:
        return claim(text, published, "not judged")
    last = {d: line[-1] for d, (line, _) in lines.items()}
    errors = {d: c.error(c.single, c.seeds) for d, c in last.items()}
    order = sorted(lines, key=lambda d: errors[d])
    found = {d: lasting(lines[d][1]) for d in order}
    return claim(
        text,
        published,
        "; ".join(f"{d} ({errors[d]:.1f} %): {_place(lines[d][0], i)}" for d, i in found.items()),
        state=_rising([-i for i in found.values()]),
    )


def _deq_over_weq(grid: Grid) -> dict:
    """Points that width-equivalents have more error than depth-equivalents of as many members."""
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
    """Cells of a data set with their depth-equivalent ensemble of four, independent and hatched."""
    found = []
    for c in grid.row(dataset):
        own = [c.named(["deq"], EST_MEMBERS, independent=independent) for independent in (True, False)]
        if c.single and c.seeds and all(own):
            found.append((c, own[0][0], own[1][0]))
    return found


def _fast_threshold(grid: Grid, dataset: str) -> dict:
    """Thresholds of the depth-equivalent ensemble of four, independent and hatched from one mother."""
    text, published = f"fast training moves the threshold: {dataset}", "expected (future work)"
    pairs = _pairs(grid, dataset)
    if len(pairs) < 2:
        return claim(text, published, "not judged")
    line = [c for c, _, _ in pairs]
    slow, fast = (lasting([float(np.mean(lead(pair[0], [pair[i]]))) for pair in pairs]) for i in (1, 2))
    return claim(
        text,
        published,
        f"independent: {_place(line, slow)}; g = 1: {_place(line, fast)}",
        "",
        "open" if slow == fast else "holds" if fast < slow else "does not hold",
    )


def _hatched(grid: Grid, text: str, published: str, *, error: bool) -> dict:
    """Mean over cells of what hatching changes of the depth-equivalent ensemble of four."""
    values = {}
    for c, alone, hatched in (pair for d in grid.datasets for pair in _pairs(grid, d)):
        if error:
            values[c.key] = c.error(hatched, c.seeds) - c.error(alone, c.seeds)
        else:
            seconds = [[c.runs[d][s].seconds for s in c.seeds] for d in (alone, hatched)]
            values[c.key] = float(np.mean(np.log(seconds[0])) - np.mean(np.log(seconds[1])))
    judge = (lambda low, high: (high <= 0.5, low > 0.5)) if error else _above(2.0)
    return _over_cells(text, published, values, judge, logs=not error)


def _reaches_sooner(grid: Grid) -> dict:
    """Epochs of the single network over those of better ensembles, until its final validation error."""
    ratios, reaching, asked = {}, 0, 0
    for c in grid.whole:
        found = []
        for design in c.named(["deq", "weq"], independent=True) if c.single and c.seeds else ():
            if c.error(design, c.seeds) < c.error(c.single, c.seeds):
                alone, together = c.mean_curve(c.single), c.mean_curve(design)
                asked += 1
                if epochs := reached(together, alone[-1]):
                    found.append(float(np.log(reached(alone, alone[-1]) / epochs)))
        reaching += len(found)
        if found:
            ratios[c.key] = float(np.mean(found))
    row = _over_cells(
        "times fewer epochs to single accuracy, past it", "1.2 to 5", ratios, _above(1.0), logs=True
    )
    return row | {"measured": f"{row['measured']}, {reaching} of {asked} ensembles reach it"}


def hatched_more(cell: Cell) -> float | None:
    """Points that ensembles of one mother have more error than the same trained independently, on average."""
    pairs = [(d, f"{d}@g1") for d in cell.ensembles if f"{d}@g1" in cell.runs]
    gaps = [cell.error(hatched, cell.seeds) - cell.error(d, cell.seeds) for d, hatched in pairs if cell.seeds]
    return float(np.mean(gaps)) if gaps else None


def shallow_less(cell: Cell) -> float | None:
    """Points that the width-equivalent of four has less error than the depth-equivalent one."""
    deq, weq = (cell.named([kind], EST_MEMBERS, independent=True) for kind in ("deq", "weq"))
    if not (deq and weq and cell.seeds):
        return None
    return cell.error(deq[0], cell.seeds) - cell.error(weq[0], cell.seeds)


def _above(limit: float) -> Callable[[float, float], tuple[bool, bool]]:
    return lambda low, high: (low > limit, high <= limit)


def _seconds(grid: Grid, kind: str, times: float) -> dict:
    """Core seconds of an epoch of four members over those of the single network."""
    ratios = {}
    for c in grid.whole:
        for design in c.named([kind], EST_MEMBERS, independent=True) if c.single and c.seeds else ():
            pairs = [(c.runs[design][s].seconds, c.runs[c.single][s].seconds) for s in c.seeds]
            ratios[c.key] = float(np.mean([np.log(a / b) for a, b in pairs]))
    lower, upper = times / (1 + ABOUT), times * (1 + ABOUT)
    return _over_cells(
        f"times the seconds an epoch: {kind}, k = {EST_MEMBERS}",
        f"about {times:g}",
        ratios,
        lambda low, high: (lower <= low and high <= upper, high < lower or low > upper),
        logs=True,
    )
