"""Epochs to convergence of the benchmark of methods, forecast anew from all other trainings.

The column `predicted` is a forecast of its time: the first rows had few before them, and the program has
changed since. These columns are what the program of today says of every training, from all rows of

- `other_seeds`: any other seed, so the same networks are known;
- `other_ensembles`: any other ensemble, so the data are known, and other families on them.
"""

from __future__ import annotations

from collections.abc import Sequence

from grid_runner import Row
from methods_ensembles import SCENARIOS, Scenario
from methods_epochs import evidence, with_forecast
from methods_grid import job_of
from methods_seconds import facts_of
from methods_train import forecasts, plan_of

# Column that tells the trainings which a forecast may not learn from.
APART = {"other_seeds": "seed", "other_ensembles": "scenario"}


def with_forecasts(rows: Sequence[Row], scenarios: Sequence[Scenario] = SCENARIOS) -> list[Row]:
    """Return the rows of trainings to convergence, with the columns above.

    Args:
        rows: finished trainings.
        scenarios: ensembles and data.
    """
    found = [dict(row) for row in rows if row["patience"]]
    for column, name in APART.items():
        for value in {row[name] for row in found}:
            known = evidence([row for row in rows if row[name] != value])
            for row in (row for row in found if row[name] == value):
                job = job_of(row, scenarios)
                row[column] = forecasts(with_forecast(plan_of(job, facts_of(job.scenario.dataset)), known))
    return found
