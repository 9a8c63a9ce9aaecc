"""The command that maps the switchover from single networks to ensembles."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, Resize, SkipDamaged, print_answer
from cli.workflows.defaults import DATASET, MEMBERS, SEED

# Content of the file of `--plot`, as errors name it.
PICTURE = "the map"


def est(
    ctx: typer.Context,
    family: Annotated[str, typer.Option(help="Family of all designs.")],
    members: Annotated[int, typer.Option(help="Number of members of the ensembles.")] = MEMBERS,
    dataset: Annotated[str, typer.Option(help="Data set; only shape and size are needed.")] = DATASET,
    resize: Resize = None,
    skip_damaged: SkipDamaged = False,
    budget: Annotated[
        str | None,
        typer.Option(
            help="Range of the parameters of all members together: 250k-8M; default: around the threshold."
        ),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(
            help="Range of the epochs, or one number: 10-500; default: around the published schedule, or "
            "with --axis images this schedule."
        ),
    ] = None,
    g: Annotated[
        int, typer.Option("--g", help="Number of clusters of MotherNets, which a second map shows.")
    ] = 1,
    axis: Annotated[
        str,
        typer.Option(help="Columns of the map: epochs, or images (numbers of training images)."),
    ] = "epochs",
    images: Annotated[
        str | None,
        typer.Option(
            help="Range of the training images, or one number: 500-20k; default: those of the data set, or "
            "with --axis images around them."
        ),
    ] = None,
    reading: Annotated[
        str,
        typer.Option(
            help="Reading of the epochs: whole (a schedule of each length) or long (one long schedule)."
        ),
    ] = "whole",
    seed: Annotated[int, typer.Option(help="Random seed of the posterior draws.")] = SEED,
    plot: Annotated[
        Path | None, typer.Option(help="File that the maps are drawn to: .html, .svg or .png.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Map where single networks give way to ensembles: the Ensemble Switchover Threshold of a data set."""
    from cli.render.examine.switchover import switchover
    from cli.web.charts.files import check_picture, write_chart
    from cli.workflows.answers.examine.switchover import EstRequest
    from cli.workflows.examine.switchover import est as run

    request = EstRequest(
        family=family,
        members=members,
        dataset=dataset,
        budget=budget,
        epochs=epochs,
        clusters=g,
        reading=reading,
        seed=seed,
        resize=resize,
        skip_damaged=skip_damaged,
        axis=axis,
        images=images,
    )
    check_picture(plot, PICTURE)
    answer = run(request, ctx.obj.home, ctx.obj.speaker())
    if plot is not None:
        from cli.web.charts.switchover import switchover_chart

        write_chart(switchover_chart(answer, date.today()), plot, PICTURE)
    print_answer(answer, as_json, switchover)
