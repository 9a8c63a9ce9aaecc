"""Choices of a design in a cell of the grid, and their regret.

The regret of a choice is its error minus that of the best design, in points of test error (`regret`). Some
seeds name the best design, and the others score it and the choice, in all possible splits. The noise between
seeds that favours the named design is thus not counted against the choice. Designs tied for the best are
averaged, which is the mean over random choices among them. A few seeds do not always name the truly best
design, so this figure errs downward. `raw_regret` names and scores on all seeds and errs upward. The truth
lies between the two. (`raw_regret` favours halving, whose choice depends on these seeds.)

A rule (advice or a competitor) answers with shares of designs, given a cell and the naming seeds. Successive
halving (Jamieson and Talwalkar 2016) trains the designs of the cell itself with one seed, and keeps the third
with the least validation error at every rung. Its conditions here are better than in practice: pausing and
resuming a training takes no time, and the first rung is the longest that can be paid. Curves are those of the
long schedule. All epochs of a network take the same time. All designs of a rung are compared at one share of
their training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from advice_replay import Cell, Grid, Training

# Published for ResNet on CIFAR-10 (3×32×32) and k = 4: 1M to 1.5M parameters, half of the epochs.
EST_PARAMETERS, EST_EPOCHS, EST_MEMBERS, CIFAR_VALUES = 1.25e6, 0.5, 4, 3 * 32 * 32
# Hyperband's factor (Li et al. 2018), and the number of first rungs to try, in equal parts of a schedule.
KEPT, RUNGS = 3, 64

Shares = Mapping[str, float]
Rule = Callable[[Cell, Sequence[int]], Shares]


def rules(grid: Grid) -> dict[str, Rule]:
    longest = {c.dataset: c.epochs for c in grid.whole}

    def advice(cell: Cell, naming: Sequence[int]) -> Mapping[str, float]:
        errors = grid.by_budget[cell.place].error
        return {min(errors, key=lambda d: errors[d]): 1.0}

    return {
        "advice": advice,
        "always the single network": always_single,
        "always deq, k = 4": always_deq,
        "EST rule as printed": est_rule(longest, scaled=False),
        "EST rule scaled by image": est_rule(longest, scaled=True),
        "random design": at_random,
        "halving, time of the evidence": halving(grid.spent),
        "halving, time shared by budgets": halving(lambda c: grid.spent(c) / len(grid.budgets)),
    }


def equally(designs: Sequence[str]) -> Shares:
    return {d: 1 / len(designs) for d in designs}


def always_single(cell: Cell, naming: Sequence[int]) -> Shares:
    return equally(cell.named(["single"]))


def always_deq(cell: Cell, naming: Sequence[int]) -> Shares:
    return equally(cell.named(["deq"], EST_MEMBERS, independent=True))


def at_random(cell: Cell, naming: Sequence[int]) -> Shares:
    return equally(list(cell.runs))


def est_rule(
    longest: Mapping[str, int], *, scaled: bool, single: Rule = always_single, four: Rule = always_deq
) -> Rule:
    """Return the published rule: the single network below the threshold, else the deq ensemble of four.

    Args:
        longest: epochs of each data set's long schedule, which stands for the published one.
        scaled: whether the parameters shrink with the values of an image. This scaling is not published. The
            threshold as printed lies above every budget of small images.
        single: rule that answers with the single network.
        four: rule that answers with the ensemble of four.
    """

    def rule(cell: Cell, naming: Sequence[int]) -> Shares:
        task = cell.reported.task
        values = task.channels * task.height * task.width
        limit = EST_PARAMETERS * (values / CIFAR_VALUES if scaled else 1.0)
        past = cell.budget >= limit and cell.epochs >= EST_EPOCHS * longest[cell.dataset]
        return four(cell, naming) if past else single(cell, naming)

    return rule


def halving(allowance: Callable[[Cell], float]) -> Rule:
    """Return successive halving of a cell's designs, with each naming seed in turn.

    Args:
        allowance: function that returns the core seconds for a cell.
    """

    def rule(cell: Cell, naming: Sequence[int]) -> Shares:
        shares: dict[str, float] = {}
        for seed in naming:
            for design, share in _halved(cell, seed, allowance(cell)).items():
                shares[design] = shares.get(design, 0.0) + share / len(naming)
        return shares

    return rule


def _halved(cell: Cell, seed: int, allowance: float) -> Shares:
    runs = {d: cell.runs[d][seed] for d in sorted(cell.runs)}
    for rung in range(RUNGS, 0, -1):
        chosen, cost = halve(runs, rung / RUNGS)
        if cost <= allowance:
            return {chosen: 1.0}
    # The allowance is too small for the shortest first rung.
    return equally(list(runs))


def halve(runs: Mapping[str, Training], share: float) -> tuple[str, float]:
    """Return the last design that remains, and the core seconds spent.

    Args:
        runs: trainings of one seed by design.
        share: share of its training that every design gets in the first rung.
    """
    alive, spent = list(runs), dict.fromkeys(runs, 0.0)
    while True:
        at = {d: max(math.ceil(share * len(runs[d].curve)), 1) - 1 for d in alive}
        spent |= {d: runs[d].spent[i] for d, i in at.items()}
        alive.sort(key=lambda d: (runs[d].curve[at[d]], runs[d].spent[-1], d))
        alive = alive[:1] if share >= 1 else alive[: math.ceil(len(alive) / KEPT)]
        if len(alive) == 1:
            return alive[0], sum(spent.values())
        share = min(share * KEPT, 1.0)


def splits(seeds: Sequence[int]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield all splits of seeds into those that name the best design and those that score it."""
    for size in range(1, len(seeds)):
        for naming in combinations(seeds, size):
            yield naming, tuple(s for s in seeds if s not in naming)


def regret(cell: Cell, rule: Rule) -> float | None:
    """Return the points above the best design, cross-fitted; None with fewer than two seeds or no choice."""
    found = [_points_above_best(cell, rule, naming, scoring) for naming, scoring in splits(cell.seeds)]
    return None if not found or None in found else float(np.mean(found))


def raw_regret(cell: Cell, rule: Rule) -> float | None:
    """Return the points above the best design, named and scored on the same seeds."""
    return _points_above_best(cell, rule, cell.seeds, cell.seeds) if cell.seeds else None


def _points_above_best(cell: Cell, rule: Rule, naming: Sequence[int], scoring: Sequence[int]) -> float | None:
    chosen = rule(cell, naming)
    if not chosen:
        return None
    best = cell.best(list(cell.runs), naming)
    reached = sum(share * cell.error(d, scoring) for d, share in chosen.items())
    return reached - float(np.mean([cell.error(d, scoring) for d in best]))
