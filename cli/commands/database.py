"""Commands for the upkeep of the database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, print_answer
from cli.streams import write_out


def path(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show where the database is."""
    from cli.workflows.database import path_of

    answer = path_of(ctx.obj.home)
    # Rich would break a long path between lines.
    write_out((json.dumps(answer.to_json(), indent=2) if as_json else answer.database) + "\n")


def check(
    ctx: typer.Context,
    runs: Annotated[bool, typer.Option("--runs", help="Verify the files of all runs as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check that the database is whole: one line a problem, and exit code 4 if there is one."""
    from cli.render.database import checked as render
    from cli.workflows.database import check as checked
    from cli.workflows.database import require_whole

    if runs:
        from cli.workflows.runs.verification import check_with_runs as checked
    answer = checked(ctx.obj.home)
    typer.echo(json.dumps(answer.to_json(), indent=2) if as_json else render(answer))
    require_whole(answer)


def import_trainings(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV file of trainings, one in each row.")],
    as_json: AsJson = False,
) -> None:
    """Learn from trainings done elsewhere: every row of a CSV file becomes evidence once.

    The columns of curves and of errors by members are optional. A later import
    adds them to a training that was imported without them. Any other missing
    column is an error that names it.
    """
    from cli.render.formats import facts
    from cli.workflows.database import import_trainings as imported

    print_answer(imported(ctx.obj.home, file), as_json, facts)


def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="New file that the copy is written to.")],
    as_json: AsJson = False,
) -> None:
    """Copy the database, also while it is in use."""
    from cli.render.formats import facts
    from cli.workflows.database import backup as copied

    print_answer(copied(ctx.obj.home, file), as_json, facts)
