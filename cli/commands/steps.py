"""Commands for schedulers: one step of a stored run, and job scripts for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, MovedTo, RunArgument, TimeLimit, print_answer
from cli.quantities import parse_seconds
from cli.streams import write_file_content


def step(
    ctx: typer.Context,
    run: RunArgument,
    step: Annotated[
        list[str],
        typer.Argument(metavar="STEP", help="Step as explain names it, such as train mother-1; or evaluate."),
    ],
    time_limit: TimeLimit = None,
    dataset: MovedTo = None,
    records_later: Annotated[
        bool | None,
        typer.Option(
            "--records-later/--records-now",
            help="Whether records stay in the folder of the run until the evaluation; default: later if the "
            "home lies on a network file system, where several machines must not open the database.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Execute one step of a stored run, or resume it, or say that it is done."""
    from advisor.cost.pricing import EVALUATE
    from cli.workflows.runs.lookup import run_id_of
    from cli.workflows.runs.train import TrainOptions

    home, say = ctx.obj.home, ctx.obj.speaker()
    options = TrainOptions(
        time_limit=parse_seconds(time_limit, "--time-limit"), moved_to=dataset, take_signals=True
    )
    name, number = " ".join(step), run_id_of(run, home)
    if name == EVALUATE:
        from cli.render.runs import run as render_run
        from cli.workflows.runs.steps.evaluation import evaluate_run

        print_answer(evaluate_run(number, options, home, say), as_json, render_run)
        return
    from cli.render.steps import executed_step
    from cli.workflows.runs.steps.step import StepRequest, run_one_step

    request = StepRequest(run=number, step=name, records_later=records_later)
    print_answer(run_one_step(request, options, home, say), as_json, executed_step)


def plan(
    ctx: typer.Context,
    run: RunArgument,
    output: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="File that is written; default: standard output.")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="Form of the jobs: slurm for a script, make for a Makefile.")
    ] = "slurm",
) -> None:
    """Write the steps of a stored run as jobs with their dependencies, for Slurm or make."""
    from cli.workflows.files import check_writable, is_stdout, write_file
    from cli.workflows.runs.jobs.script import CONTENT, script_of

    file = None if output is None or is_stdout(str(output)) else output
    if file is not None:
        check_writable(file, CONTENT)
    text = script_of(run, form, ctx.obj.home)
    if file is None:
        write_file_content(text)
    else:
        write_file(file, CONTENT, text)
