"""Commands that train a plan, continue or extend a run, and explain the cost of either."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from advisor.errors import UsageError
from cli.options import (
    AsJson,
    Augment,
    Batch,
    Cluster,
    Dataset,
    Decay,
    Device,
    Download,
    Epochs,
    Gpus,
    Hatched,
    Insecure,
    Method,
    MovedTo,
    Noise,
    Patience,
    Plot,
    Price,
    PricedCluster,
    Rank,
    Rate,
    Recipe,
    Resize,
    RunArgument,
    Seed,
    Shrink,
    SkipDamaged,
    Slots,
    StepMode,
    TimeLimit,
    UntilConverged,
    UntilError,
    UntilTime,
    UntilUsd,
    cluster_of,
    plan_request,
    price_of,
    print_answer,
    refuse_cluster_of_a_run,
    slots_of,
)
from cli.quantities import check_amount, parse_seconds, parse_share

if TYPE_CHECKING:
    from advisor.plans.navigation.path import Targets
    from cli.workflows.runs.train import TrainOptions

# Content of the file of `explain --plot`, as errors name it.
PICTURE = "the picture of the plan"


def train(
    ctx: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[DESIGN|PLAN]", help="Design or plan file; default: the last recommendation."
        ),
    ] = None,
    rank: Rank = None,
    dataset: Dataset = None,
    resize: Resize = None,
    skip_damaged: SkipDamaged = False,
    epochs: Epochs = None,
    batch: Batch = None,
    augment: Augment = None,
    lr: Rate = None,
    weight_decay: Decay = None,
    method: Method = None,
    hatched_epochs: Hatched = None,
    noise: Noise = None,
    shrink: Shrink = None,
    recipe: Recipe = None,
    until_converged: UntilConverged = False,
    patience: Patience = None,
    seed: Seed = None,
    device: Device = None,
    step_mode: StepMode = None,
    time_limit: TimeLimit = None,
    until_error: UntilError = None,
    until_time: UntilTime = None,
    until_usd: UntilUsd = None,
    price_per_hour: Price = None,
    cluster: Cluster = None,
    insecure_cluster: Insecure = False,
    download: Download = False,
    no_start: Annotated[
        bool,
        typer.Option(
            "--no-start", help="Store the run without training it: for resume, step, or the jobs of plan."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a design, a saved plan, or the top of the last recommendation."""
    if not no_start:
        _let_imports_begin(ctx)
    from cli.render.runs import run as render
    from cli.workflows.runs.navigation.navigate import navigate
    from cli.workflows.runs.steps.storing import store_run
    from cli.workflows.runs.train import train as run

    price, request = price_of(ctx), plan_request(ctx)
    options = _options(ctx, download, price=price)
    targets = _targets(until_error, until_time, until_usd, price)
    home, say = ctx.obj.home, ctx.obj.speaker()
    if targets is not None:
        _refuse_unstarted_path(no_start)
        answer = navigate(request, targets, options, home, say)
    else:
        answer = (store_run if no_start else run)(request, options, home, say)
    print_answer(answer, as_json, render)


def _refuse_unstarted_path(no_start: bool) -> None:
    if no_start:
        raise UsageError(
            "--no-start stores one plan, and --until-error, --until-time and --until-usd make one after "
            "another: leave it or them out"
        )


def _targets(
    error: str | None, duration: str | None, usd: float | None, price: float | None
) -> Targets | None:
    """Return where a path ends, None if none of the three is given."""
    if error is None and duration is None and usd is None:
        return None
    from advisor.plans.navigation.path import Targets

    check_amount(usd, price, "--until-usd")
    return Targets(
        error=parse_share(error, "--until-error"),
        seconds=parse_seconds(duration, "--until-time"),
        usd=usd,
        price_per_hour=price,
    )


def resume(
    ctx: typer.Context,
    run: RunArgument = "last",
    dataset: MovedTo = None,
    time_limit: TimeLimit = None,
    cluster: Cluster = None,
    insecure_cluster: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Continue a run that was interrupted, killed or stopped by its time limit."""
    _let_imports_begin(ctx)
    from cli.render.runs import run as render
    from cli.workflows.runs.lookup import run_id_of
    from cli.workflows.runs.navigation.navigate import resume as continued

    options = _options(ctx, moved_to=dataset)
    number = run_id_of(run, ctx.obj.home)
    print_answer(continued(number, options, ctx.obj.home, ctx.obj.speaker()), as_json, render)


def extend(
    ctx: typer.Context,
    run: RunArgument = "last",
    add_members: Annotated[
        str | None,
        typer.Option(metavar="DESIGN", help="Members to hatch from the mother networks of the run."),
    ] = None,
    add_cluster: Annotated[
        str | None, typer.Option(metavar="DESIGN", help="Members to hatch from a new mother network.")
    ] = None,
    dataset: MovedTo = None,
    time_limit: TimeLimit = None,
    cluster: Cluster = None,
    insecure_cluster: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Add members to a trained MotherNets ensemble without training its networks again."""
    _let_imports_begin(ctx)
    from cli.render.runs import run as render
    from cli.workflows.runs.extend import Extension
    from cli.workflows.runs.extend import extend as extended
    from cli.workflows.runs.lookup import run_id_of

    options = _options(ctx, moved_to=dataset)
    extension = Extension(members=add_members, cluster=add_cluster)
    number = run_id_of(run, ctx.obj.home)
    print_answer(extended(number, extension, options, ctx.obj.home, ctx.obj.speaker()), as_json, render)


def _let_imports_begin(ctx: typer.Context) -> None:
    """Let the imports of worker processes begin, unless a cluster has them."""
    from cli.workflows.workers import let_imports_begin

    if ctx.params["cluster"] is None:
        let_imports_begin()


def _options(
    ctx: typer.Context,
    download: bool = False,
    moved_to: str | None = None,
    price: float | None = None,
) -> TrainOptions:
    from cli.workflows.runs.train import TrainOptions

    return TrainOptions(
        time_limit=parse_seconds(ctx.params["time_limit"], "--time-limit"),
        download=download,
        moved_to=moved_to,
        take_signals=True,
        price_per_hour=price,
        cluster=cluster_of(ctx),
        clock=ctx.obj.clock,
    )


def explain(
    ctx: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[DESIGN|PLAN|RUN]",
            help="Design, plan file or run; default: rank 1 of the last recommendation.",
        ),
    ] = None,
    rank: Rank = None,
    dataset: Dataset = None,
    resize: Resize = None,
    skip_damaged: SkipDamaged = False,
    epochs: Epochs = None,
    batch: Batch = None,
    augment: Augment = None,
    method: Method = None,
    hatched_epochs: Hatched = None,
    recipe: Recipe = None,
    until_converged: UntilConverged = False,
    patience: Patience = None,
    device: Device = None,
    step_mode: StepMode = None,
    slots: Slots = None,
    gpus: Gpus = None,
    cluster: PricedCluster = None,
    insecure_cluster: Insecure = False,
    price_per_hour: Price = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Add the forecast of a training step, layer by layer.")
    ] = False,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Show a plan step by step with its predicted cost; for a run, the actual beside it."""
    from cli.render.examine.explain import explanation
    from cli.web.charts.files import check_picture, write_chart
    from cli.workflows.examine.explain import explain as explained

    check_picture(plot, PICTURE)
    counts, device = slots_of(ctx)
    request, say = replace(plan_request(ctx), device=device), ctx.obj.speaker()
    if request.names_run:
        refuse_cluster_of_a_run(ctx)
    answer = explained(
        request,
        price_of(ctx),
        ctx.obj.home,
        layers=layers,
        slots=counts,
        cluster=cluster_of(ctx),
        say=say,
    )
    if plot is not None:
        from cli.web.charts.plans.explanation import explanation_chart

        write_chart(explanation_chart(answer, date.today()), plot, PICTURE)
    print_answer(answer, as_json, explanation)
