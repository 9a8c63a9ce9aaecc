"""The command that looks at a data set before anything is trained."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import AsJson, Download, Resize, SkipDamaged, print_answer
from cli.workflows.defaults import SEED


def data(
    ctx: typer.Context,
    dataset: Annotated[
        str, typer.Argument(metavar="NAME|folder:PATH", help="Data set, or folder of images.")
    ],
    resize: Resize = None,
    skip_damaged: SkipDamaged = False,
    download: Download = False,
    seed: Annotated[int, typer.Option(help="Random seed of the images that are looked at.")] = SEED,
    as_json: AsJson = False,
) -> None:
    """Look at a data set: classes, copies, errors of simple classifiers, and what a network may reach."""
    from cli.render.examine.data import data_look
    from cli.workflows.examine.data import DataRequest, look_at

    request = DataRequest(
        dataset=dataset, resize=resize, skip_damaged=skip_damaged, download=download, seed=seed
    )
    print_answer(look_at(request, ctx.obj.home, ctx.obj.speaker()), as_json, data_look)
