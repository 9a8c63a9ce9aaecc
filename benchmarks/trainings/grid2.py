"""The second grid: real trainings in which the single network is at its best, as the ensembles are.

Every cell is a data set and a budget. It has

- single networks of depth 8, 14, 20 and 26, and the two best of them with 3, 10 and 30 times the weight
  decay;
- independent ensembles of 2, 4 and 8 members of depth 8, 14 and 20, and one of members that differ in depth
  and one of members that differ in size;
- those of depth 8 and 14, and the mixed ones, hatched from one mother; eight members of depth 20, and eight
  hatched ones of depth 14, are left out, because they are the thinnest and cost most;
- the best independent ensembles of 2, 4 and 8 members with 3 times the weight decay;
- a shorter schedule, a third as long (half as long for digits): all single networks without another weight
  decay, and some of the ensembles.

The second and third seed leave out what compares no single network with an ensemble at their best: mixed
ensembles, and short schedules but for the cell of the demonstration. Cells of 250k parameters have two seeds,
because a third would take five core hours. Both were decided before any second seed was trained, and so was
one seed for 10 and 30 times the weight decay. Their further seeds were added on 2026-11-29: one of the two
makes the best single network of the first seed in seven cells of thirteen.

"Best" is by the validation error of the first seed, averaged over the members. All networks are ResNets, each
as wide as its share of the budget allows.

Two cells are costly: 8,000 images of 28×28. They have fewer designs.

What may be seen of the grid (`advice2.py`), fixed on 2026-11-28, before a training had ended:

- Whoever is asked about a data set sees no training on it, nor on another part of its origin (all parts of
  Fashion-MNIST have one origin), and none with the budget that is asked for.
- `letters` is set aside: its trainings are read once, after everything else is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from grid2_sets import facts_named
from grid_runner import Job, Row

from advisor.designs.design import Design, homogeneous, parse_design
from advisor.networks.architecture import regular_network
from advisor.networks.layers import Task
from advisor.networks.regular_counts import regular_counts

FAMILY = "resnet"
SMALL, LARGE = 60_000, 250_000
SEEDS, SEEDS_LARGE = 3, 2
SINGLE_DEPTHS = (8, 14, 20, 26)
MEMBER_DEPTHS, MEMBERS = (8, 14, 20), (2, 4, 8)
HATCHED_DEPTHS = (8, 14)
# Most layers of all members together; a hatched ensemble has fewer.
MOST_LAYERS = 112
WEIGHT_DECAYS, ENSEMBLE_WEIGHT_DECAY = (3, 10, 30), 3
# Members of several depths have one size. Members of several sizes have one depth.
MIXED_DEPTH, MIXED_PARTS = 14, (1 / 2, 1 / 4, 1 / 8, 1 / 8)
# Depth and members of the ensembles that have a short schedule too.
SHORT = ((8, 2), (8, 4), (8, 8), (14, 4))
SET_ASIDE = "letters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A data set with its schedules.

    Attributes:
        dataset: name of the data set (`grid2_sets.py`).
        epochs: long schedule.
        short_epochs: short schedule.
        budgets: budgets, parameters.
        thin: whether the cells have fewer designs, because each costs minutes.
    """

    dataset: str
    epochs: int
    short_epochs: int
    budgets: tuple[int, ...] = (SMALL, LARGE)
    thin: bool = False


SETTINGS = (
    Setting(dataset="digits", epochs=40, short_epochs=20, budgets=(30_000, SMALL, 1_000_000)),
    Setting(dataset="icons", epochs=24, short_epochs=8),
    Setting(dataset="fashion-14x14-4000-noisy", epochs=18, short_epochs=6),
    Setting(dataset="fashion-28x28-500", epochs=48, short_epochs=16),
    Setting(dataset="letters", epochs=24, short_epochs=8),
    Setting(dataset="fashion-28x28-2000", epochs=24, short_epochs=8),
    Setting(dataset="fashion-28x28-8000", epochs=12, short_epochs=4, thin=True),
)


def jobs(rows: Sequence[Row]) -> list[Job]:
    """Return the trainings as far as the rows so far decide on them.

    The first seed comes first, small budgets before large ones, then the further seeds of all budgets but the
    costly one: one training tells more of a cell that has none than of one that has some.
    """
    cells = [(setting, budget) for setting in SETTINGS for budget in setting.budgets]
    cells.sort(key=lambda cell: cell[1] > SMALL)
    costly = [cell for cell in cells if cell[1] == LARGE]
    others = [cell for cell in cells if cell[1] != LARGE]
    order = [(0, cell) for cell in cells]
    for some, seeds in ((others, SEEDS), (costly, SEEDS_LARGE)):
        order += [(seed, cell) for seed in range(1, seeds) for cell in some]
    return [job for seed, (setting, budget) in order for job in _cell(setting, budget, seed, rows)]


def _cell(setting: Setting, budget: int, seed: int, rows: Sequence[Row]) -> Iterator[Job]:
    facts = _facts(setting.dataset)

    def job(kind: str, design: Design, epochs: int = setting.epochs, weight_decay: int = 1) -> Job:
        return Job(
            dataset=setting.dataset,
            facts=facts,
            budget=budget,
            kind=kind,
            design=design.name,
            epochs=epochs,
            seed=seed,
            weight_decay=weight_decay,
        )

    alone = [regular(depth, budget, 1, facts.task) for depth in SINGLE_DEPTHS]
    independent, hatched = _ensembles(setting, budget, facts.task)
    first_seed, demonstrated = seed == 0, setting.dataset == "digits" and budget == SMALL
    yield from (job("single", design) for design in alone)
    yield from (job("ensemble", design) for design in independent)
    yield from (job("ensemble", hatching(design)) for design in hatched)
    if first_seed:
        yield from (job("mixed", design) for design in _mixed(budget, facts.task))
        if not setting.thin:
            yield from (job("mixed", hatching(design)) for design in _mixed(budget, facts.task))
    if first_seed or demonstrated:
        yield from (job("single", design, setting.short_epochs) for design in alone)
        for depth, members in SHORT:
            yield job("ensemble", regular(depth, budget, members, facts.task), setting.short_epochs)
        yield job("ensemble", hatching(regular(8, budget, 4, facts.task)), setting.short_epochs)
    if demonstrated:
        # The demonstration has this budget and these epochs.
        designs = [*independent, *(hatching(design) for design in hatched)]
        shown = {(8, k) for k in MEMBERS} | {(14, 4)}
        rest = [d for d in designs if not d.independent or (d.members[0].depth, len(d.members)) not in shown]
        yield from (job("ensemble", d, setting.short_epochs) for d in rest)
    cell = [r for r in rows if r["dataset"] == setting.dataset and r["budget"] == str(budget)]
    first = [r for r in cell if r["seed"] == "0" and r["epochs"] == str(setting.epochs)]
    best_singles = _best(first, alone)[: 1 if setting.thin else 2]
    for weight_decay in WEIGHT_DECAYS:
        yield from (job("single", d, weight_decay=weight_decay) for d in best_singles)
    for members in (4,) if setting.thin else MEMBERS:
        alike = [design for design in independent if len(design.members) == members]
        yield from (job("ensemble", d, weight_decay=ENSEMBLE_WEIGHT_DECAY) for d in _best(first, alike)[:1])


def _ensembles(setting: Setting, budget: int, task: Task) -> tuple[list[Design], list[Design]]:
    """Return the ensembles that are trained independently, and those that are also hatched."""
    pairs = [(d, k) for d in MEMBER_DEPTHS for k in MEMBERS if d * k <= MOST_LAYERS]
    hatched = [(d, k) for d, k in pairs if d in HATCHED_DEPTHS and d * k < MOST_LAYERS]
    if setting.thin:
        pairs = [pair for pair in pairs if pair[0] < max(MEMBER_DEPTHS)]
        hatched = [pair for pair in hatched if pair[1] == 4]
    independent, grown = (
        [regular(depth, budget, members, task) for depth, members in chosen] for chosen in (pairs, hatched)
    )
    return independent, grown


def regular(depth: int, budget: float, members: int, task: Task) -> Design:
    """Return as many networks of a depth, each the widest that its part of the budget allows.

    At least one channel remains, so the smallest design may exceed the budget.
    """
    width = regular_counts(FAMILY, task, depth).widest(depth, budget / members) or 1
    return homogeneous(regular_network(FAMILY, depth, width), members)


def hatching(design: Design) -> Design:
    """Return a design whose members are hatched from one mother."""
    return parse_design(f"{design.name}@g1")


def _mixed(budget: int, task: Task) -> list[Design]:
    """Return an ensemble of several depths and one size, and one of one depth and several sizes."""
    shapes = (
        [(depth, budget / len(SINGLE_DEPTHS)) for depth in SINGLE_DEPTHS],
        [(MIXED_DEPTH, part * budget) for part in MIXED_PARTS],
    )
    return [
        Design(
            members=tuple(regular(depth, limit, 1, task).members[0] for depth, limit in shape),
            clusters=len(shape),
        )
        for shape in shapes
    ]


def _best(rows: Sequence[Row], designs: Sequence[Design]) -> list[Design]:
    """Return designs by the validation error of their rows, least first; none before all have a row."""
    last = {
        r["design"]: float(r["member_curve"].split(";")[-1])
        for r in rows
        if r["weight_decay"] == "1" and r["class"] in ("single", "ensemble")
    }
    if not all(design.name in last for design in designs):
        return []
    order = np.argsort([last[design.name] for design in designs], kind="stable")
    return [designs[place] for place in order]


_facts = lru_cache(maxsize=None)(facts_named)
