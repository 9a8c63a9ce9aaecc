"""Querying past runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import AsJson, RunArgument, print_result

if TYPE_CHECKING:
    from rich.console import RenderableType


def list_runs(
    ctx: typer.Context,
    where: Annotated[list[str] | None, typer.Option(help="Condition key=value; repeat for several.")] = None,
    sort: Annotated[str, typer.Option(help="Column; with - in front, largest first.")] = "-id",
    limit: Annotated[int, typer.Option(help="At most so many runs.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    from cli.workflows.runs.queries import listed

    def render(payload: Any) -> RenderableType:
        from cli.render.runs import run_list

        return run_list(payload)

    print_result(listed(ctx.obj.home, where or (), sort, limit), as_json, render)


def show(ctx: typer.Context, run: RunArgument, as_json: AsJson = False) -> None:
    """Show one run: outcome, predicted beside actual, networks and steps."""
    from cli.render.runs import run as render
    from cli.workflows.runs.queries import shown

    print_result(shown(ctx.obj.home, run), as_json, render)


def compare(
    ctx: typer.Context,
    runs: Annotated[list[str], typer.Argument(help="Numbers of runs.")],
    as_json: AsJson = False,
) -> None:
    """Show several runs side by side."""
    from cli.render.runs import comparison
    from cli.workflows.runs.queries import compared

    print_result(compared(ctx.obj.home, runs), as_json, comparison)


def export(ctx: typer.Context, format: Annotated[str, typer.Option(help="csv or json.")] = "csv") -> None:
    """Print every run with all its columns on stdout."""
    from cli.workflows.runs.queries import exported

    typer.echo(exported(ctx.obj.home, format), nl=False)


def delete(
    ctx: typer.Context,
    run: RunArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a run, its records and its files."""
    from cli.render.formats import facts
    from cli.workflows.runs.queries import deleted

    if not yes and sys.stdin.isatty():
        typer.confirm(f"Delete run {run} for good?", abort=True, err=True)
    print_result(deleted(ctx.obj.home, run), as_json, facts)
