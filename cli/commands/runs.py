"""Commands on past runs."""

from __future__ import annotations

import sys
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Device, Download, MovedTo, Plot, Price, RunArgument, price_of, print_answer
from cli.streams import write_file_content

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cli.workflows.answers.runs.listing import RunList

# Contents of the files of `--plot`, as errors name them.
CURVES, COMPARISON = "the curves of the run", "the comparison of the runs"


def list_runs(
    ctx: typer.Context,
    where: Annotated[list[str] | None, typer.Option(help="Condition key=value; repeat for several.")] = None,
    sort: Annotated[str, typer.Option(help="Column to sort by; with - in front, largest first.")] = "-id",
    limit: Annotated[int, typer.Option(help="Largest number of runs in the list.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    from cli.workflows.runs.listing import list_runs as listed

    def render(answer: RunList) -> RenderableType:
        from cli.render.runs import run_list

        return run_list(answer)

    print_answer(listed(ctx.obj.home, where or (), sort, limit), as_json, render)


def show(
    ctx: typer.Context,
    run: RunArgument,
    price_per_hour: Price = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Show one run: outcome, predicted beside actual, networks, steps and errors by class."""
    from cli.render.runs import run_with_classes
    from cli.web.charts.files import check_picture, write_chart
    from cli.workflows.runs.description import show_run

    check_picture(plot, CURVES)
    answer = show_run(ctx.obj.home, run, price_of(ctx))
    if plot is not None:
        from cli.web.charts.run_curves import run_curves_chart
        from cli.workflows.runs.watching.curves import run_curves

        curves = run_curves(ctx.obj.home, str(answer.id))
        write_chart(run_curves_chart(curves, date.today()), plot, CURVES)
    print_answer(answer, as_json, run_with_classes)


def compare(
    ctx: typer.Context,
    runs: Annotated[list[str], typer.Argument(help="Numbers of runs.")],
    price_per_hour: Price = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Show several runs side by side, and by how much they differ.

    Runs that differ by nothing but their seed are a group. The difference of two groups has a 90 % interval.
    """
    from cli.render.evaluation.comparison import comparison
    from cli.web.charts.files import check_picture, write_chart
    from cli.workflows.runs.comparison import compare_runs

    check_picture(plot, COMPARISON)
    answer = compare_runs(ctx.obj.home, runs, price_of(ctx))
    if plot is not None:
        from cli.web.charts.run_comparison import comparison_chart
        from cli.workflows.runs.watching.curves import curves_of_runs

        curves = curves_of_runs(ctx.obj.home, [run.id for run in answer.runs])
        write_chart(comparison_chart(answer, date.today(), curves), plot, COMPARISON)
    print_answer(answer, as_json, comparison)


def diversity(
    ctx: typer.Context,
    runs: Annotated[list[str], typer.Argument(help="Numbers of finished runs, or 'last'.")],
    on: Annotated[
        str,
        typer.Option(
            help="Images: test, classified now by the networks of the runs, or validation, with the "
            "probabilities that the runs stored."
        ),
    ] = "test",
    dataset: MovedTo = None,
    device: Device = None,
    download: Download = False,
    as_json: AsJson = False,
) -> None:
    """Show how different the members of ensembles are: variance, covariance, correlation, disagreement.

    Runs that differ by nothing but their seed are a group, whose variances are over the seeds. Those of a
    single run are over its images.
    """
    from advisor.errors import lookup
    from cli.render.evaluation.diversity import diversity as render
    from cli.workflows.answers.runs.diversity import ImageSplit
    from cli.workflows.runs.diversity.probabilities import ProbabilityOptions
    from cli.workflows.runs.diversity.report import diversity_of_runs

    options = ProbabilityOptions(
        split=lookup("value of --on", on, ImageSplit), device=device, download=download, moved_to=dataset
    )
    print_answer(diversity_of_runs(ctx.obj.home, runs, options, ctx.obj.speaker()), as_json, render)


def export(
    ctx: typer.Context,
    format: Annotated[str, typer.Option(help="Format of the output: csv or json.")] = "csv",
) -> None:
    """Print every run with all its columns on stdout."""
    from cli.workflows.runs.listing import export_runs

    write_file_content(export_runs(ctx.obj.home, format))


def delete(
    ctx: typer.Context,
    run: RunArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a run, its records and its files."""
    from cli.render.formats import facts
    from cli.workflows.runs.deletion import delete_run

    if not yes and sys.stdin.isatty():
        typer.confirm(f"Delete run {run} for good?", abort=True, err=True)
    print_answer(delete_run(ctx.obj.home, run), as_json, facts)
