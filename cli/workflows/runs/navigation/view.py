"""The path that a run is a stage of, as an answer shows it."""

from __future__ import annotations

from itertools import accumulate

from advisor.cost.money.machine_price import usd_of_seconds
from advisor.designs.design import parse_design
from advisor.plans.records import Run
from cli.workflows.answers.runs.run import NavigationPath, PathStage


def path_of(run: Run, price_per_hour: float | None) -> NavigationPath | None:
    """Return targets and trained stages up to a run; None for a run that is not a stage of a path.

    Args:
        run: the stored run.
        price_per_hour: price of the machine in USD per hour, None for that of the path, if it has one.
    """
    navigation = run.navigation
    if navigation is None:
        return None
    targets = navigation.targets
    price = targets.price_per_hour if price_per_hour is None else price_per_hour
    own = navigation.stage(run.id, parse_design(run.plan.design).clusters, run.train_seconds)
    stages = (*navigation.earlier, *(() if own is None else (own,)))
    totals = accumulate(stage.seconds for stage in stages)
    return NavigationPath(
        until_error=targets.error,
        until_seconds=targets.seconds,
        until_usd=targets.usd,
        stages=tuple(
            PathStage(
                run=stage.run,
                clusters=stage.clusters,
                validation_error=stage.validation_error,
                seconds=stage.seconds,
                total_seconds=total,
                total_usd=None if price is None else usd_of_seconds(total, price),
                kept=stage.kept,
                renewed=stage.renewed,
            )
            for stage, total in zip(stages, totals, strict=True)
        ),
    )
