"""Commands that advise on a design before its training: recommend, space and equivalents."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advisor.errors import UsageError
from cli.options import (
    AsJson,
    Augment,
    Batch,
    Budget,
    Classes,
    Cluster,
    CountedDataset,
    Device,
    Download,
    Epochs,
    Families,
    Input,
    Insecure,
    Members,
    Methods,
    Patience,
    Plot,
    Price,
    Recipe,
    Resize,
    SkipDamaged,
    Tune,
    UntilConverged,
    cluster_of,
    plan_request,
    price_of,
    print_answer,
)
from cli.quantities import parse_bytes, parse_seconds
from cli.workflows.defaults import (
    DATASET,
    OBJECTIVE,
    PROBE,
    RECIPE,
    RECOMMEND_PROFILE_SECONDS,
    SEED,
    TRIALS,
    TUNE,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from advisor.networks.layers import Task
    from cli.workflows.answers.advise.request import RecommendRequest
    from cli.workflows.answers.examine.space import DesignSpace

Ranking = Annotated[str, typer.Option(help="Objective of the ranking: error, nll, time or balanced.")]
MaxMemory = Annotated[str | None, typer.Option(help="Upper limit on training memory: 8G, 512MiB.")]
MaxLatency = Annotated[
    float | None, typer.Option(help="Upper limit on the inference time of one image, in milliseconds.")
]
MaxTrainTime = Annotated[str | None, typer.Option(help="Upper limit on training time: 90m, 12h.")]
MaxUsd = Annotated[
    float | None,
    typer.Option(help="Upper limit on the cost of training in USD; needs the price of the machine."),
]


def recommend(
    ctx: typer.Context,
    budget: Budget,
    epochs: Annotated[int, typer.Option(help="Epochs of a network trained from scratch.")],
    dataset: Annotated[str, typer.Option(help="Data set; only shape and size are needed.")] = DATASET,
    resize: Resize = None,
    skip_damaged: SkipDamaged = False,
    family: Families = None,
    members: Members = None,
    method: Methods = None,
    objective: Ranking = OBJECTIVE,
    max_memory: MaxMemory = None,
    max_latency_ms: MaxLatency = None,
    max_train_time: MaxTrainTime = None,
    price_per_hour: Price = None,
    max_usd: MaxUsd = None,
    device: Device = None,
    batch: Batch = None,
    augment: Augment = None,
    tune: Tune = TUNE,
    recipe: Recipe = RECIPE,
    until_converged: UntilConverged = False,
    patience: Patience = None,
    seed: Annotated[int, typer.Option(help="Random seed of the search and of the plans.")] = SEED,
    trials: Annotated[int, typer.Option(help="Number of designs that the search looks at.")] = TRIALS,
    profile_seconds: Annotated[
        float, typer.Option(help="Upper limit on the time of new measurements, in seconds.")
    ] = RECOMMEND_PROFILE_SECONDS,
    remeasure: Annotated[
        bool,
        typer.Option(
            "--remeasure",
            help="Measure again what was measured for such images before, for instance on a busy machine.",
        ),
    ] = False,
    probe: Annotated[
        str,
        typer.Option(
            metavar="MINUTES",
            help="Time for training probes before the advice: auto for what is worthwhile on data at hand, "
            "or a number of minutes, 0 for none.",
        ),
    ] = PROBE,
    cluster: Cluster = None,
    insecure_cluster: Insecure = False,
    download: Download = False,
    save: Annotated[Path | None, typer.Option(help="File that the plan of rank 1 is written to.")] = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Suggest designs for a parameter budget, with predicted cost and error."""
    from cli.render.advice import recommendation
    from cli.web.charts.files import check_picture, write_chart
    from cli.workflows.advise.probe_options import probe_options
    from cli.workflows.advise.repeated import answered

    check_picture(plot, RANKING)
    where = cluster_of(ctx)
    probing = probe_options(probe, download=download, take_signals=True, cluster=where)
    advice = answered(_request(ctx), ctx.obj.home, save, ctx.obj.speaker(), probing, where, remeasure)
    if plot is not None:
        from cli.web.charts.advice import advice_chart

        write_chart(advice_chart(advice, date.today()), plot, RANKING)
    print_answer(advice, as_json, recommendation)


# Content of the file of `--plot`, as errors name it.
RANKING = "the ranking"
# Fields of a request that the options of `recommend` fill as they are.
_AS_GIVEN = (
    *("budget", "epochs", "dataset", "objective", "max_latency_ms", "max_usd", "device", "batch", "seed"),
    *("trials", "profile_seconds", "resize", "skip_damaged", "tune", "until_converged", "patience"),
)


def _request(ctx: typer.Context) -> RecommendRequest:
    """Return the request that the options of `recommend` make."""
    from cli.workflows.answers.advise.request import RecommendRequest

    given = ctx.params
    return RecommendRequest(
        augmentation=given["augment"],
        families=tuple(given["family"] or ()),
        members=tuple(given["members"] or ()),
        methods=tuple(given["method"] or ()),
        max_memory_bytes=parse_bytes(given["max_memory"], "--max-memory"),
        max_train_seconds=parse_seconds(given["max_train_time"], "--max-train-time"),
        recipe=given["recipe"] or RECIPE,
        price_per_hour_usd=price_of(ctx),
        **{name: given[name] for name in _AS_GIVEN},
    )


def space(
    ctx: typer.Context,
    budget: Budget,
    family: Families = None,
    members: Members = None,
    dataset: CountedDataset = None,
    resize: Resize = None,
    skip_damaged: SkipDamaged = False,
    classes: Classes = None,
    input: Input = None,
    limit: Annotated[int, typer.Option(help="Largest number of rows in the table.")] = 40,
    as_json: AsJson = False,
) -> None:
    """List the designs of a parameter budget."""
    from cli.workflows.examine.space import list_space

    def render(answer: DesignSpace) -> RenderableType:
        from cli.render.space import space as table

        return table(answer, limit)

    task = _counted_task(ctx)
    print_answer(list_space(budget, family or (), members or (), task), as_json, render)


def equivalents(
    ctx: typer.Context,
    network: Annotated[str, typer.Argument(help="A regular network, for example resnet-26-16.")],
    members: Annotated[int, typer.Option(help="Number of members of the ensembles.")] = 4,
    dataset: CountedDataset = None,
    resize: Resize = None,
    skip_damaged: SkipDamaged = False,
    classes: Classes = None,
    input: Input = None,
    tolerance: Annotated[
        float, typer.Option(help="Share of the network's parameters by which an ensemble may exceed them.")
    ] = 0.0,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Forecast network and ensembles on a data set, side by side on every metric."
        ),
    ] = False,
    epochs: Epochs = None,
    batch: Batch = None,
    augment: Augment = None,
    recipe: Recipe = None,
    until_converged: UntilConverged = False,
    patience: Patience = None,
    device: Device = None,
    price_per_hour: Price = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Find the width- and depth-equivalent ensembles of a network, and compare their errors and costs."""
    if compare:
        _compare(ctx)
        return
    _refuse_without_compare(ctx)
    from cli.render.space import equivalents as render
    from cli.workflows.examine.space import find_equivalents

    task = _counted_task(ctx)
    print_answer(find_equivalents(network, members, task, tolerance), as_json, render)


# Options of `equivalents` that only a forecast needs, and those that describe images without a data set.
FORECAST_OPTIONS = (
    *("epochs", "batch", "augment", "recipe", "until_converged", "patience", "device", "price_per_hour"),
    "plot",
)
IMAGE_OPTIONS = ("input", "classes")
# Content of the file of `--plot`, as errors name it.
COMPARISON = "the comparison"


def _refuse_without_compare(ctx: typer.Context) -> None:
    for name in FORECAST_OPTIONS:
        if ctx.params[name] is not None and ctx.params[name] is not False:
            raise UsageError(f"--{name.replace('_', '-')} is for forecasts: add --compare, or leave it out")


def _compare(ctx: typer.Context) -> None:
    """Print the comparison that the options of `equivalents` describe."""
    from cli.render.examine.class_comparison import class_comparison
    from cli.web.charts.files import check_picture, write_chart
    from cli.workflows.examine.sweeps.class_comparison import compare_classes

    given = ctx.params
    for name in IMAGE_OPTIONS:
        if given[name] is not None:
            raise UsageError(f"--{name} names no data: --compare forecasts on one, so give --dataset")
    check_picture(given["plot"], COMPARISON)
    answer = compare_classes(
        plan_request(ctx, "network"),
        given["members"],
        given["tolerance"],
        price_of(ctx),
        ctx.obj.home,
        ctx.obj.speaker(),
    )
    if given["plot"] is not None:
        from cli.web.charts.class_comparison import class_comparison_chart

        write_chart(class_comparison_chart(answer, date.today()), given["plot"], COMPARISON)
    print_answer(answer, given["as_json"], class_comparison)


def _counted_task(ctx: typer.Context) -> Task:
    """Return the images and classes that the options of `space` or `equivalents` describe."""
    from cli.workflows.names import task_of

    given = ctx.params
    return task_of(
        given["dataset"],
        given["input"],
        given["classes"],
        resize=given["resize"],
        skip_damaged=given["skip_damaged"],
        home=ctx.obj.home,
        say=ctx.obj.speaker(),
    )
