"""The command that sweeps the ways to train a given ensemble."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Annotated

import typer

from cli.options import (
    AsJson,
    Augment,
    Batch,
    Dataset,
    Device,
    Epochs,
    Gpus,
    Patience,
    Plot,
    Price,
    Recipe,
    Resize,
    SkipDamaged,
    Slots,
    UntilConverged,
    plan_request,
    price_of,
    print_answer,
    slots_of,
)

# Content of the file of `--plot`, as errors name it.
PICTURE = "the frontier"


def frontier(
    ctx: typer.Context,
    ensemble: Annotated[
        str, typer.Argument(help="Ensemble without a number of clusters: V5, R10, 4xresnet-20-16.")
    ],
    dataset: Dataset = None,
    resize: Resize = None,
    skip_damaged: SkipDamaged = False,
    epochs: Epochs = None,
    batch: Batch = None,
    augment: Augment = None,
    recipe: Recipe = None,
    until_converged: UntilConverged = False,
    patience: Patience = None,
    device: Device = None,
    slots: Slots = None,
    gpus: Gpus = None,
    price_per_hour: Price = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Show error, time, memory and USD of an ensemble for every number of clusters and every method."""
    from cli.render.examine.frontier import frontier as render
    from cli.web.charts.files import check_picture, write_chart
    from cli.workflows.examine.sweeps.frontier import frontier as swept

    check_picture(plot, PICTURE)
    counts, device = slots_of(ctx)
    request = replace(plan_request(ctx, "ensemble"), device=device)
    answer = swept(request, price_of(ctx), ctx.obj.home, ctx.obj.speaker(), slots=counts)
    if plot is not None:
        from cli.web.charts.frontier import frontier_chart

        write_chart(frontier_chart(answer, date.today()), plot, PICTURE)
    print_answer(answer, as_json, render)
