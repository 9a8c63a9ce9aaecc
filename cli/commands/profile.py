"""The command that measures one network."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import AsJson, Augment, Batch, Device, Resize, SkipDamaged, print_answer
from cli.streams import write_file_content
from cli.workflows.defaults import DATASET


def profile(
    ctx: typer.Context,
    design: Annotated[str, typer.Argument(help="A network, for example resnet-26-16.")],
    dataset: Annotated[str, typer.Option(help="Data set; only its shape is needed.")] = DATASET,
    resize: Resize = None,
    skip_damaged: SkipDamaged = False,
    batch: Batch = None,
    augment: Augment = None,
    device: Device = None,
    csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="CSV file with a row for each layer; - for stdout.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure time and memory of a network, layer by layer and as a whole step."""
    from cli.render.profile import profile as render
    from cli.workflows.examine.profile import ProfileRequest
    from cli.workflows.examine.profile import profile as measured
    from cli.workflows.examine.profile_csv import layers_as_csv
    from cli.workflows.files import is_stdout

    request = ProfileRequest(
        design=design,
        dataset=dataset,
        augmentation=augment,
        batch=batch,
        device=device,
        csv=csv,
        as_json=as_json,
        resize=resize,
        skip_damaged=skip_damaged,
    )
    answer = measured(request, ctx.obj.home, ctx.obj.speaker())
    if is_stdout(csv):
        write_file_content(layers_as_csv(answer))
    else:
        print_answer(answer, as_json, render)
