"""Commands that use a finished run: predict, and export to one file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, Device, Download, MovedTo, RunArgument, print_answer
from cli.streams import complain, write_file_content


def predict(
    ctx: typer.Context,
    run: RunArgument,
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Image files, which are scaled to cover the task's size and cropped at the centre."
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Data set whose test set is classified; with --test, folder in which the run's own data lie "
            "now.",
        ),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Classify the test set of the run's own data.")
    ] = False,
    csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="CSV file with a row for each image; - for stdout.")
    ] = None,
    device: Device = None,
    download: Download = False,
    as_json: AsJson = False,
) -> None:
    """Classify images, or a test set, with the ensemble of a finished run."""
    from cli.render.predictions import prediction
    from cli.workflows.files import is_stdout
    from cli.workflows.runs.predict import PredictRequest, check_read, rows_as_csv
    from cli.workflows.runs.predict import predict as predicted

    request = PredictRequest(
        run=run,
        images=tuple(images or ()),
        dataset=dataset,
        test=test,
        device=device,
        csv=csv,
        as_json=as_json,
        download=download,
    )
    answer = predicted(request, ctx.obj.home, ctx.obj.speaker(), _complain)
    if is_stdout(csv):
        write_file_content(rows_as_csv(answer))
    else:
        print_answer(answer, as_json, prediction)
    check_read(answer)


def export(
    ctx: typer.Context,
    run: RunArgument,
    to: Annotated[str, typer.Option(help="Format of the file: onnx, pt2 (torch.export) or safetensors.")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="File that is written.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    dataset: MovedTo = None,
    download: Download = False,
    as_json: AsJson = False,
) -> None:
    """Write a finished ensemble to one file, averaging inside, and check it on test images."""
    from cli.render.predictions import export as render
    from cli.workflows.runs.export import ExportRequest
    from cli.workflows.runs.export import export as exported

    request = ExportRequest(run=run, form=to, output=output, force=force, download=download, moved_to=dataset)
    print_answer(exported(request, ctx.obj.home, ctx.obj.speaker()), as_json, render)


def _complain(text: str) -> None:
    """Print an error about an image that cannot be read; like every error it appears with --quiet too."""
    complain(f"advisor: {text}")
