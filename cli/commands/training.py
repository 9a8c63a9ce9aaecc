"""Training a plan, and what it costs: before as a forecast, after beside it."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import (
    AsJson,
    Augment,
    Batch,
    Dataset,
    Device,
    Download,
    Epochs,
    Hatched,
    Method,
    Noise,
    Rank,
    Rate,
    RunArgument,
    Seed,
    Shrink,
    TimeLimit,
    plan_request,
    print_answer,
    print_result,
)
from cli.quantities import parse_seconds


def train(
    ctx: typer.Context,
    target: Annotated[
        str | None, typer.Argument(metavar="[DESIGN|PLAN]", help="Default: the last recommendation.")
    ] = None,
    rank: Rank = None,
    dataset: Dataset = None,
    epochs: Epochs = None,
    batch: Batch = None,
    augment: Augment = None,
    lr: Rate = None,
    method: Method = None,
    hatched_epochs: Hatched = None,
    noise: Noise = None,
    shrink: Shrink = None,
    seed: Seed = None,
    device: Device = None,
    time_limit: TimeLimit = None,
    download: Download = False,
    as_json: AsJson = False,
) -> None:
    """Train a design, a saved plan, or the top of the last recommendation."""
    from cli.render.runs import run as render
    from cli.workflows.runs.train import TrainOptions
    from cli.workflows.runs.train import train as run

    options = TrainOptions(time_limit=parse_seconds(time_limit, "--time-limit"), download=download)
    speaker = ctx.obj.speaker()
    print_result(run(plan_request(ctx), options, ctx.obj.home, speaker, speaker.say), as_json, render)


def resume(
    ctx: typer.Context,
    run: RunArgument = "last",
    time_limit: TimeLimit = None,
    as_json: AsJson = False,
) -> None:
    """Continue a run that was interrupted, killed or stopped by its time limit."""
    from cli.render.runs import run as render
    from cli.workflows.runs.queries import run_id_of
    from cli.workflows.runs.train import TrainOptions
    from cli.workflows.runs.train import resume as continued

    options = TrainOptions(time_limit=parse_seconds(time_limit, "--time-limit"))
    speaker = ctx.obj.speaker()
    number = run_id_of(run, ctx.obj.home)
    print_result(continued(number, options, ctx.obj.home, speaker, speaker.say), as_json, render)


def extend(
    ctx: typer.Context,
    run: RunArgument = "last",
    add_members: Annotated[
        str | None, typer.Option(metavar="DESIGN", help="Hatch these from the mother networks there are.")
    ] = None,
    add_cluster: Annotated[
        str | None, typer.Option(metavar="DESIGN", help="Train a mother network for these, and hatch them.")
    ] = None,
    time_limit: TimeLimit = None,
    as_json: AsJson = False,
) -> None:
    """Add members to a trained MotherNets ensemble; what is there is not trained again."""
    from cli.render.runs import run as render
    from cli.workflows.runs.extend import Extension
    from cli.workflows.runs.extend import extend as extended
    from cli.workflows.runs.queries import run_id_of
    from cli.workflows.runs.train import TrainOptions

    options = TrainOptions(time_limit=parse_seconds(time_limit, "--time-limit"))
    extension = Extension(members=add_members, cluster=add_cluster)
    speaker = ctx.obj.speaker()
    number = run_id_of(run, ctx.obj.home)
    print_result(extended(number, extension, options, ctx.obj.home, speaker, speaker.say), as_json, render)


def explain(
    ctx: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(metavar="[DESIGN|PLAN|RUN]", help="Default: the top of the last recommendation."),
    ] = None,
    rank: Rank = None,
    dataset: Dataset = None,
    epochs: Epochs = None,
    batch: Batch = None,
    augment: Augment = None,
    method: Method = None,
    hatched_epochs: Hatched = None,
    device: Device = None,
    price_per_hour: Annotated[
        float | None, typer.Option(help="USD an hour of this machine; adds the cost.")
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Add the forecast of a training step, layer by layer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show a plan step by step with its predicted cost; for a run, the actual beside it."""
    from cli.render.explain import explanation
    from cli.workflows.examine.explain import explain as explained

    answer = explained(plan_request(ctx), price_per_hour, ctx.obj.home, layers=layers)
    print_answer(answer, as_json, explanation)
