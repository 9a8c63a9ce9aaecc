"""Using what was trained: predictions, and one file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import AsJson, Device, Download, RunArgument, print_result

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cli.render.formats import Plain


def predict(
    ctx: typer.Context,
    run: RunArgument,
    images: Annotated[
        list[Path] | None,
        typer.Argument(help="Image files; scaled to cover the task's size and cropped at the centre."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Classify the test set of this data set.")
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Classify the test set of the run's own data.")
    ] = False,
    csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a row an image to this file; - for stdout.")
    ] = None,
    device: Device = None,
    download: Download = False,
    as_json: AsJson = False,
) -> None:
    """Classify images, or a test set, with the ensemble of a finished run."""
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
    payload = predicted(request, ctx.obj.home, ctx.obj.speaker(), _complain)
    if csv == "-":
        typer.echo(rows_as_csv(payload), nl=False)
    elif "test_error" in payload:
        print_result({key: value for key, value in payload.items() if key != "rows"}, as_json, _test_set)
    else:
        print_result(payload, as_json, _answers)
    check_read(payload)


def export(
    ctx: typer.Context,
    run: RunArgument,
    to: Annotated[str, typer.Option(help="onnx, pt2 (torch.export) or safetensors.")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="File to write.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    download: Download = False,
    as_json: AsJson = False,
) -> None:
    """Write a finished ensemble to one file, averaging inside, and check it on test images."""
    from cli.workflows.runs.export import ExportRequest
    from cli.workflows.runs.export import export as exported

    request = ExportRequest(run=run, form=to, output=output, force=force, download=download)
    print_result(exported(request, ctx.obj.home, ctx.obj.speaker()), as_json, _exported)


def _complain(text: str) -> None:
    """Tell of an image that cannot be read; also with --quiet, as every error."""
    typer.echo(f"advisor: {text}", err=True)


def _answers(payload: Plain) -> RenderableType:
    from cli.render.formats import percent, table

    def cells(row: dict[str, Any]) -> list[str]:
        second = row["second"]
        return [
            row["image"],
            _name(row),
            percent(row["probability"]),
            f"{_name(second)} ({percent(second['probability'])})",
            f"{row['agree']} of {payload['members']}",
        ]

    columns = [("image", "l"), ("class", "l"), ("probability", "r"), ("second best", "l"), ("agree", "r")]
    return table(f"run {payload['run']}: {payload['design']}", columns, map(cells, payload["rows"]))


def _name(answer: Plain) -> str:
    return str(answer["class"] if answer["name"] is None else answer["name"])


def _test_set(payload: Plain) -> RenderableType:
    from rich.text import Text

    from cli.render.formats import percent

    errors = ", ".join(map(percent, payload["member_errors"]))
    return Text(
        f"run {payload['run']}: {payload['design']} on {payload['images']:,} test images of "
        f"{payload['dataset']}\ntest error {percent(payload['test_error'])}; members {errors}"
    )


def _exported(payload: Plain) -> RenderableType:
    from rich.text import Text

    from cli.render.formats import size

    return Text(
        f"{payload['file']}: {payload['members']} members of run {payload['run']} as {payload['format']}, "
        f"{size(payload['bytes'])}\n{payload['checked_by']} read it back: on {payload['checked_images']} of "
        f"{payload['test_images']:,} test images its probabilities differ by at most "
        f"{payload['max_difference']:.1e}"
    )
