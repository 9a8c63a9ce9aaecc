"""What is known of a data set of the grid before anything was trained on it.

- The errors of simple classifiers (`trainer.data.look`), which foretell a level
  (`advisor.accuracy.data_level`). They are taken from the results of `data_level.py` and of earlier calls;
  what is missing is counted anew.
- The trainings of both grids on data of other origins, pooled (`advisor.accuracy.pooled`).

The constants of the level are those of the package, but for intercept and slope: these are fitted again
without the data sets of the same origin, because some of them are in the package's fit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from advice2_known import SEED, Known
from advice_replay import Cell
from data_level import RESULT as LEVELS
from data_level import fitted, measured, points_of
from grid2_sets import data_named

from advisor.accuracy.data_level import A, B, CountedError, DataLevel, ErrorLevel, Look
from advisor.accuracy.pooled import NOTHING, _read
from advisor.errors import DataError
from advisor.plans.dataset import DatasetFacts

CLASSIFIERS = ("neighbours", "linear", "patches")
# Beginnings of the names of data sets of one origin, as in `pooled.py`.
ORIGINS = ("digits", "fashion", "icons", "letters")
Row = dict[str, Any]


def origin_of(dataset: str) -> str:
    """Return the origin of a data set."""
    return next(origin for origin in ORIGINS if dataset.startswith(origin))


def looks_at(cells: Sequence[Cell], before: Sequence[Row]) -> list[Row]:
    """Return the errors of the simple classifiers on the data sets of some cells.

    Args:
        cells: the cells.
        before: what an earlier call returned.
    """
    rows = {row["dataset"]: row for row in (*before, *json.loads(LEVELS.read_text())["rows"])}
    return list(_looks(dict.fromkeys(cell.dataset for cell in cells), rows))


def _looks(datasets: Mapping[str, None], rows: Mapping[str, Row]) -> Iterator[Row]:
    for name in datasets:
        if name in rows:
            row = rows[name]
        else:
            try:
                row = measured(name, data_named(name))
            except (DataError, OSError) as error:
                print(f"{name} is not evaluated, because its images are not at hand: {error}", flush=True)
                continue
        yield {"dataset": name} | {c: row[c] for c in (*CLASSIFIERS, "train_images")}


def known(facts: DatasetFacts, look: Row) -> Known:
    """Return what is known of a data set.

    Args:
        facts: facts of the data set.
        look: errors of the simple classifiers, of `looks_at`.
    """
    origin, entries = origin_of(facts.name), _read()
    return Known(
        facts=facts,
        level=_without_origin(look, facts, origin),
        # Trainings on data of an origin without an entry are not among those that were pooled.
        pooled=entries.get(origin, entries[NOTHING]),
    )


def _without_origin(row: Row, facts: DatasetFacts, origin: str) -> DataLevel:
    """Return the level of a data set; intercept and slope do not know its origin."""
    errors = {name: CountedError(**row[name]) for name in CLASSIFIERS}
    look = Look(data_key=facts.key, errors=errors, train_images=row["train_images"], seed=SEED, looked_at="")
    level = look.level(facts, facts.train_images)
    points = points_of(json.loads(LEVELS.read_text())["rows"])
    a, b = fitted(points.where([not group.startswith(origin) for group in points.groups]))
    least = min(errors.values(), key=lambda error: error.log_share)
    variance = level.error.log_std**2 + (b**2 - B**2) * least.log_std**2
    mean = level.error.log_mean + a - A + (b - B) * least.log_share
    return replace(level, error=ErrorLevel(mean, math.sqrt(variance)))
