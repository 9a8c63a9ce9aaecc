"""The single network against ensembles, both at their best, and what weight decay and epochs change.

In a contest, the best single network and the best ensemble are those of least validation error, mean over all
seeds but one; the test errors of that seed are compared, and every seed is left out once. Where there is one
seed, it names and scores. All differences are in points of test error, with 90 % intervals over seeds by
Student's t; test images are the same for all seeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from advice_intervals import bootstrapped, over_seeds
from advice_replay import DECAYED, Cell, least

Row = dict[str, Any]
MULTIPLES = (3, 10, 30)


@dataclass(frozen=True, kw_only=True)
class Contest:
    """The best single network of a cell against its best ensemble.

    Attributes:
        leads: points by which the ensemble has less test error, seed by seed.
        errors: test errors of both, points, mean over seeds.
        singles: the single networks that were named.
        ensembles: the ensembles that were named.
        standard_error: standard error of the mean lead, over seeds; from the counts where there is one seed.
    """

    leads: tuple[float, ...]
    errors: tuple[float, float]
    singles: Counter[str]
    ensembles: Counter[str]
    standard_error: float

    @property
    def lead(self) -> float:
        """Mean lead of the ensemble, points."""
        return float(np.mean(self.leads))


def contest(cell: Cell) -> Contest | None:
    """Return the contest in a cell; None where it has no seed, single network or ensemble."""
    if not cell.singles or not cell.ensembles or not cell.seeds:
        return None
    pairs, named = [], (Counter[str](), Counter[str]())
    for seed in cell.seeds:
        others = [s for s in cell.seeds if s != seed] or [seed]
        pair = []
        for designs, count in zip((cell.singles, cell.ensembles), named, strict=True):
            best = least({d: cell.validation_error(d, others) for d in designs})
            count.update(best)
            pair.append(float(np.mean([cell.error(d, [seed]) for d in best])))
        pairs.append(pair)
    errors = np.array(pairs)
    leads = errors[:, 0] - errors[:, 1]
    if len(leads) > 1:
        error = leads.std(ddof=1) / np.sqrt(len(leads))
    else:
        shares = errors[0] / 100
        error = 100 * np.sqrt((shares * (1 - shares)).sum() / cell.reported.test_images)
    single, ensemble = errors.mean(axis=0)
    return Contest(
        leads=tuple(leads.tolist()),
        errors=(float(single), float(ensemble)),
        singles=named[0],
        ensembles=named[1],
        standard_error=float(error),
    )


def place_of(cell: Cell) -> Row:
    """Return what tells a cell from others, for the rows of the result."""
    return {
        "dataset": cell.dataset,
        "images": cell.reported.train_images,
        "budget": cell.budget,
        "epochs": cell.epochs,
        "seeds": len(cell.seeds),
    }


def contests(tuned: Sequence[Cell]) -> list[Row]:
    """Return the map: tuned single networks against tuned ensembles, by cell.

    Args:
        tuned: cells with trainings of every weight decay.
    """
    found = []
    for cell in tuned:
        if (held := contest(cell)) is not None:
            single, ensemble = held.errors
            row = {"single_error": single, "ensemble_error": ensemble} | interval(held.leads)
            names = {"singles": dict(held.singles), "ensembles": dict(held.ensembles)}
            found.append(place_of(cell) | row | names)
    return found


def interval(values: Sequence[float]) -> Row:
    """Return mean and 90 % interval over seeds; without ends where there is one seed."""
    mean, half = over_seeds(values)
    ends = (mean - half, mean + half) if np.isfinite(half) else (None, None)
    return {"mean": mean, "low": ends[0], "high": ends[1]}


def weight_decays(tuned: Sequence[Cell]) -> tuple[list[Row], list[Row]]:
    """Return what a larger weight decay changes, by training design, and on average over cells.

    Args:
        tuned: cells with trainings of every weight decay.
    """
    rows = []
    for cell in tuned:
        for name in cell.runs:
            design, decayed, multiple = name.partition(DECAYED)
            seeds = sorted(set(cell.runs[name]) & set(cell.runs.get(design, ())))
            if decayed and seeds:
                changes = [cell.error(name, [seed]) - cell.error(design, [seed]) for seed in seeds]
                kind = "single" if cell.of(name).kind == "single" else "ensemble"
                row = {"design": design, "kind": kind, "multiple": float(multiple)}
                rows.append(place_of(cell) | row | {"seeds": len(seeds)} | interval(changes))
    return rows, [found for kind in ("single", "ensemble") for found in _averages(rows, kind)]


def _averages(rows: Sequence[Row], kind: str) -> list[Row]:
    found = []
    for multiple in MULTIPLES:
        own = [row for row in rows if row["kind"] == kind and row["multiple"] == multiple]
        places = dict.fromkeys((row["dataset"], row["budget"]) for row in own)
        means = {
            place: float(np.mean([r["mean"] for r in own if (r["dataset"], r["budget"]) == place]))
            for place in places
        }
        if means:
            found.append({"kind": kind, "multiple": multiple, "cells": len(means)} | bootstrapped(means))
    return found


def convergence(cells: Sequence[Cell]) -> list[Row]:
    """Return what the long schedule gains over the short one for the best single network.

    The network is that of least validation error at the end of the long schedule. It counts as converged
    where the interval of the gain reaches down to nothing, and as open where there is one seed.

    Args:
        cells: cells of both schedules, with the weight decay of the recipe.
    """
    short = {cell.key: cell for cell in cells if not cell.whole}
    found = []
    for cell in (c for c in cells if c.whole and c.key in short):
        brief = short[cell.key]
        both = [d for d in cell.singles if d in brief.runs]
        seeds = [s for s in cell.seeds if all(s in brief.runs[d] for d in both)]
        if not both or not seeds:
            continue
        best = least({d: cell.validation_error(d, seeds) for d in both})[0]
        gain = interval([brief.error(best, [s]) - cell.error(best, [s]) for s in seeds])
        state = "open" if gain["low"] is None else "converged" if gain["low"] <= 0 else "gains"
        row = {"short_epochs": brief.epochs, "single": best, "error": cell.error(best, seeds)}
        found.append(place_of(cell) | {"seeds": len(seeds)} | row | {"gain": gain, "state": state})
    return found
