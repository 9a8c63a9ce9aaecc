"""How good is the advice on data never seen? The default procedure, replayed on the grid of `grid2.py`.

    python benchmarks/trainings/advice2.py               # some seconds a cell; trains nothing
    python benchmarks/trainings/advice2.py --file F.csv  # another file of the grid, complete or not
    python benchmarks/trainings/advice2.py --set-aside   # only the data set that is set aside, at the end

Every cell is a data set, a budget and a schedule. It is asked about as by somebody who has the data and no
training: a look at the data, forecasts, default probing, answer (`advice2_procedure.py`, `advice2_level.py`).
What other data sets say leaves out all parts of the same origin. It does not leave out the budget: the file
of the package has no entry for that.

1. Regret on test errors, on the same seeds and cross-fitted (`advice_regret.py`), before and after probing,
   and that of the rules in `advice2_rules.py`. "As trained" counts the networks that a rule leaves: those of
   a design that it has trained, seed 0. On a seed that named nothing, the advice is set beside whoever trains
   every design. The designs are those with the weight decay of the recipe, as
   the advice is. One figure sets the advice against trainings with every weight decay.
2. Forecasts of the error: intervals of single trainings at first sight and after probing, width, miss.
3. One network or several, where the best of both differ by more than a standard error (`advice2_tuned.py`).
4. The tuned single network against tuned ensembles by images and budget; the effect of weight decay; whether
   the best single network has converged (`advice2_tuned.py`).

Intervals are 90 % intervals: over cells by bootstrap, over seeds by Student's t. A cell counts once it has
`LEAST_DESIGNS` designs of both kinds with seed 0; its designs are those with all its seeds. Forecasts of time
are not evaluated here.

Writes results/advice2-cpu.json, or results/advice2_set_aside-cpu.json. results/advice2_first_grid-cpu.json is
the same procedure on the first grid (`--file` and `--result`), whose single networks all have depth 26.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from advice2_figures import (
    by_dataset,
    forecasts,
    goals,
    on_a_fresh_seed,
    one_or_several,
    regrets,
    worse_after_probing,
)
from advice2_level import known, looks_at
from advice2_procedure import replayed
from advice2_rules import ADVICE, BEFORE, PROBE_SEED, VERDICT, Place, Replay, rules
from advice2_show import show
from advice2_tuned import contests, convergence, place_of, weight_decays
from advice_intervals import bootstrapped
from advice_regret import Rule, raw_regret, regret
from advice_replay import Cell, Forecast, Training, cells, read
from grid2 import SET_ASIDE

RESULTS = Path(__file__).parent / "results"
RESULT, LAST_RESULT = RESULTS / "advice2-cpu.json", RESULTS / "advice2_set_aside-cpu.json"
LEAST_DESIGNS = 8
MOST_DESIGNS = 2 / 3
Row = dict[str, Any]


def usable(trainings: Sequence[Training]) -> list[Cell]:
    """Return the cells that can be evaluated so far, with the designs that have the seed of probes."""
    found = []
    for cell in cells(trainings):
        kept = replace(cell, runs={d: runs for d, runs in cell.runs.items() if PROBE_SEED in runs})
        if len(kept.runs) >= LEAST_DESIGNS and kept.singles and kept.ensembles:
            found.append(kept)
    return found


def with_common_seeds(cell: Cell) -> Cell:
    """Return a cell with the designs that have all its seeds: those with which most designs were trained.

    Mixed ensembles and the larger weight decays have one seed (`grid2.py`).
    """
    counts = Counter(seed for runs in cell.runs.values() for seed in runs)
    seeds = {seed for seed, count in counts.items() if count >= MOST_DESIGNS * len(cell.runs)}
    return replace(cell, runs={design: runs for design, runs in cell.runs.items() if seeds <= set(runs)})


def replays_of(
    asked: Sequence[Cell], trainings: Sequence[Training], looks: Sequence[Row], say: Callable[[str], None]
) -> list[Replay]:
    """Return the default procedure on every cell whose data set was looked at.

    Args:
        asked: the cells.
        trainings: trainings of the grid, of which probes are chosen.
        looks: errors of the simple classifiers, by data set.
        say: receiver of one line for each cell.
    """
    found = []
    for look in looks:
        own = [cell for cell in asked if cell.dataset == look["dataset"]]
        at_hand = known(own[0].reported.facts, look)
        first = at_hand.predictor()
        for cell in own:
            found.append(replayed(cell, at_hand, first, trainings))
            names = ", ".join(_words_of(t, cell) for t in found[-1].probes)
            say(f"{cell.dataset} {cell.budget:,} {cell.epochs} epochs: probed {names or 'nothing'}")
    return found


def _words_of(probe: Training, cell: Cell) -> str:
    epochs = probe.reported.epochs
    return probe.reported.design + (f" for {epochs}" if epochs != cell.epochs else "")


def evaluate(trainings: Sequence[Training], looks: Sequence[Row], say: Callable[[str], None] = print) -> Row:
    """Return all figures.

    Args:
        trainings: trainings of the grid so far.
        looks: errors of the simple classifiers that an earlier call counted.
        say: receiver of progress.
    """
    recipe = [with_common_seeds(c) for c in usable([t for t in trainings if t.reported.weight_decay == 1])]
    looks = looks_at(recipe, looks)
    found = {r.cell.place: r for r in replays_of(recipe, trainings, looks, say)}
    asked = [cell for cell in recipe if cell.place in found]
    every = [cell for cell in usable(trainings) if cell.whole]
    tuned = [with_common_seeds(cell) for cell in every]
    chosen = rules(found)
    changes, averages = weight_decays(every)
    return {
        "schedules": {
            name: schedule_figures([c for c in asked if c.whole is whole], found, chosen)
            for name, whole in (("long", True), ("short", False))
        },
        "against_every_weight_decay": against(tuned, chosen, found),
        "map": contests(tuned),
        "weight_decay": averages,
        "weight_decay_by_design": changes,
        "convergence": convergence(asked),
        "cells": [described(found[cell.place], chosen) for cell in asked],
        "looks": looks,
    }


def schedule_figures(asked: Sequence[Cell], replays: dict[Place, Replay], chosen: dict[str, Rule]) -> Row:
    """Return the figures of the advice on cells of one length of schedule."""
    own = [replays[cell.place] for cell in asked]
    table, worse = regrets(asked, chosen, replays), worse_after_probing(asked, chosen)
    kinds: tuple[Callable[[Replay], Forecast], ...] = (lambda r: r.before, lambda r: r.after)
    before, after = (forecasts(own, kind) | {"parts": by_dataset(own, kind)} for kind in kinds)
    choices = one_or_several(replays, asked)
    return {
        "cells": len(asked),
        "goals": goals(table, before, after, choices, worse),
        "regret": table,
        "worse_after_probing": worse,
        "on_a_fresh_seed": on_a_fresh_seed(asked, replays),
        "first_sight": before,
        "after_probing": after,
        "one_or_several": choices,
    }


def against(tuned: Sequence[Cell], chosen: dict[str, Rule], replays: dict[Place, Replay]) -> Row:
    """Return the regret of the advice where the best design may have any weight decay."""
    values = {
        c.key: r for c in tuned if c.place in replays and (r := raw_regret(c, chosen[ADVICE])) is not None
    }
    return bootstrapped(values) | {"cells": len(values)}


def described(replay: Replay, chosen: dict[str, Rule]) -> Row:
    """Return the row of a cell."""
    cell = replay.cell
    return place_of(cell) | {
        "designs": len(cell.runs),
        "allowed_seconds": replay.allowed,
        "clock_seconds": round(replay.clock, 2),
        "probes": [
            {
                "design": t.reported.design,
                "epochs": t.reported.epochs,
                "seconds": t.seconds,
                "validation_error": t.curve[-1],
            }
            for t in replay.probes
        ],
        "at_first_sight": replay.before.choice,
        "advised": replay.after.choice,
        "verdict": replay.verdict,
        "best": cell.best(list(cell.runs), cell.seeds),
        "regret": {
            name: {"same_seeds": raw_regret(cell, chosen[name]), "cross_fitted": regret(cell, chosen[name])}
            for name in (BEFORE, ADVICE, VERDICT)
        },
        "spread": {
            name: _spread(cell, forecast)
            for name, forecast in (("first_sight", replay.before), ("after_probing", replay.after))
        },
        "forecasts": {
            d: {
                "first_sight": _rounded(replay.before, d),
                "after_probing": _rounded(replay.after, d),
                "actual": [t.reported.error for t in runs.values()],
            }
            for d, runs in cell.runs.items()
        },
    }


def _spread(cell: Cell, forecast: Forecast) -> float | None:
    """Return how many times as far apart designs are forecast as they are, by standard deviations."""
    found = np.std([forecast.error[design] for design in cell.runs])
    actual = np.std([cell.error(design, cell.seeds) for design in cell.runs])
    return round(float(100 * found / actual), 2) if actual else None


def _rounded(forecast: Forecast, design: str) -> list[float]:
    return [round(x, 5) for x in (forecast.error[design], *forecast.ends[design])]


def about(trainings: Sequence[Training], file: Path) -> Row:
    """Return on what and with what the figures were found."""
    dates = sorted({t.reported.date for t in trainings})
    counts = Counter((t.reported.dataset, t.reported.seed) for t in trainings)
    return {
        "grid": file.name,
        "device": sorted({t.reported.device for t in trainings}),
        "trained": [dates[0], dates[-1]],
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "scipy", "torch", "scikit-learn")},
        "trainings": len(trainings),
        "core_seconds": round(sum(t.seconds for t in trainings)),
        "rows": {f"{dataset}, seed {seed}": n for (dataset, seed), n in sorted(counts.items())},
    }


def in_lines(found: Row) -> str:
    """Return JSON whose lists of numbers are one line each."""
    text = json.dumps(found, indent=1)
    return re.sub(r"\[[-\d.,e\s]+\]", lambda m: " ".join(m[0].split()), text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, default=RESULTS / "grid2-cpu.csv", help="CSV file of the grid")
    parser.add_argument(
        "--set-aside", action="store_true", help=f"evaluate {SET_ASIDE}, which nothing else reads"
    )
    parser.add_argument("--result", type=Path, help="JSON file that is written")
    given = parser.parse_args()
    trainings = read(given.file, lambda dataset: (dataset == SET_ASIDE) is given.set_aside)
    if not trainings:
        print(f"nothing to evaluate: {given.file} has no such trainings yet (grid2_train.py writes them)")
        return
    result = given.result or (LAST_RESULT if given.set_aside else RESULT)
    looks = json.loads(result.read_text())["looks"] if result.exists() else []
    found = about(trainings, given.file) | evaluate(trainings, looks)
    result.write_text(in_lines(found) + "\n")
    show(found)


if __name__ == "__main__":
    main()
