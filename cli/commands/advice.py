"""Commands that advise on a design before its training: recommend, probe, est, space and equivalents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import (
    AsJson,
    Augment,
    Batch,
    Budget,
    Classes,
    CountedDataset,
    Device,
    Download,
    Families,
    Input,
    Members,
    Methods,
    Resize,
    SkipDamaged,
    print_answer,
)
from cli.quantities import parse_bytes, parse_seconds
from cli.workflows.defaults import (
    DATASET,
    MEMBERS,
    OBJECTIVE,
    PROBE_PROFILE_SECONDS,
    RECOMMEND_PROFILE_SECONDS,
    SEED,
    TRIALS,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from advisor.networks.layers import Task
    from cli.workflows.answers.examine.space import DesignSpace

Ranking = Annotated[str, typer.Option(help="Objective of the ranking: error, nll, time or balanced.")]
MaxMemory = Annotated[str | None, typer.Option(help="Upper limit on training memory: 8G, 512MiB.")]
MaxLatency = Annotated[
    float | None, typer.Option(help="Upper limit on the inference time of one image, in milliseconds.")
]
MaxTrainTime = Annotated[str | None, typer.Option(help="Upper limit on training time: 90m, 12h.")]


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
    device: Device = None,
    batch: Batch = None,
    augment: Augment = None,
    seed: Annotated[int, typer.Option(help="Random seed of the search and of the plans.")] = SEED,
    trials: Annotated[int, typer.Option(help="Number of designs that the search looks at.")] = TRIALS,
    profile_seconds: Annotated[
        float, typer.Option(help="Upper limit on the time of new measurements, in seconds.")
    ] = RECOMMEND_PROFILE_SECONDS,
    probe: Annotated[
        float, typer.Option("--probe", metavar="MINUTES", help="Time for training probes before the advice.")
    ] = 0.0,
    download: Download = False,
    save: Annotated[Path | None, typer.Option(help="File that the plan of rank 1 is written to.")] = None,
    as_json: AsJson = False,
) -> None:
    """Suggest designs for a parameter budget, with predicted cost and error."""
    from cli.render.advice import recommendation
    from cli.workflows.advise.probe_options import ProbeOptions
    from cli.workflows.advise.recommend import recommend as run
    from cli.workflows.answers.advice_request import RecommendRequest

    request = RecommendRequest(
        budget=budget,
        epochs=epochs,
        dataset=dataset,
        augmentation=augment,
        families=tuple(family or ()),
        members=tuple(members or ()),
        methods=tuple(method or ()),
        objective=objective,
        max_memory_bytes=parse_bytes(max_memory, "--max-memory"),
        max_latency_ms=max_latency_ms,
        max_train_seconds=parse_seconds(max_train_time, "--max-train-time"),
        device=device,
        batch=batch,
        seed=seed,
        trials=trials,
        profile_seconds=profile_seconds,
        resize=resize,
        skip_damaged=skip_damaged,
    )
    probing = ProbeOptions(seconds=60 * probe, download=download, take_signals=True) if probe else None
    print_answer(run(request, ctx.obj.home, save, ctx.obj.speaker(), probing), as_json, recommendation)


def probe(
    ctx: typer.Context,
    dataset: Annotated[str, typer.Option(help="Data set to train on.")],
    minutes: Annotated[float, typer.Option(help="Time for all trainings together, in minutes.")],
    budget: Annotated[
        str | None,
        typer.Option(
            help="Parameters of all members together; default: those of the last recommendation on the data."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Epochs of a network trained from scratch; default: those of the last recommendation."
        ),
    ] = None,
    resize: Resize = None,
    skip_damaged: SkipDamaged = False,
    family: Families = None,
    members: Members = None,
    device: Device = None,
    batch: Batch = None,
    augment: Augment = None,
    seed: Annotated[int, typer.Option(help="Random seed of the search and of the trainings.")] = SEED,
    profile_seconds: Annotated[
        float, typer.Option(help="Upper limit on the time of new measurements, in seconds.")
    ] = PROBE_PROFILE_SECONDS,
    download: Download = False,
    as_json: AsJson = False,
) -> None:
    """Train the short, small probes that teach most about a recommendation, chosen one after the other."""
    from cli.render.probe import probing
    from cli.workflows.advise.last_request import completed_request
    from cli.workflows.advise.probe import probe as run
    from cli.workflows.advise.probe_options import ProbeOptions

    request = completed_request(
        ctx.obj.home,
        dataset,
        budget=budget,
        epochs=epochs,
        augmentation=augment,
        families=tuple(family or ()),
        members=tuple(members or ()),
        device=device,
        batch=batch,
        seed=seed,
        profile_seconds=profile_seconds,
        resize=resize,
        skip_damaged=skip_damaged,
    )
    options = ProbeOptions(seconds=60 * minutes, download=download, take_signals=True)
    print_answer(run(request, options, ctx.obj.home, ctx.obj.speaker()), as_json, probing)


def est(
    ctx: typer.Context,
    family: Annotated[str, typer.Option(help="Family of all designs.")],
    members: Annotated[int, typer.Option(help="Number of members of the ensembles.")] = MEMBERS,
    dataset: Annotated[str, typer.Option(help="Data set; only shape and size are needed.")] = DATASET,
    resize: Resize = None,
    skip_damaged: SkipDamaged = False,
    budget: Annotated[
        str | None,
        typer.Option(
            help="Range of the parameters of all members together: 250k-8M; default: around the threshold."
        ),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(
            help="Range of the epochs, or one number: 10-500; default: around the published schedule."
        ),
    ] = None,
    g: Annotated[
        int, typer.Option("--g", help="Number of clusters of MotherNets, which a second map shows.")
    ] = 1,
    reading: Annotated[
        str,
        typer.Option(
            help="Reading of the epochs: whole (a schedule of each length) or long (one long schedule)."
        ),
    ] = "whole",
    seed: Annotated[int, typer.Option(help="Random seed of the posterior draws.")] = SEED,
    plot: Annotated[Path | None, typer.Option(help="File that the maps are drawn to, .png or .svg.")] = None,
    as_json: AsJson = False,
) -> None:
    """Map where single networks give way to ensembles: the Ensemble Switchover Threshold of a data set."""
    from cli.render.switchover import switchover
    from cli.workflows.answers.examine.switchover import EstRequest
    from cli.workflows.examine.switchover import est as run

    request = EstRequest(
        family=family,
        members=members,
        dataset=dataset,
        budget=budget,
        epochs=epochs,
        clusters=g,
        reading=reading,
        seed=seed,
        resize=resize,
        skip_damaged=skip_damaged,
    )
    print_answer(run(request, ctx.obj.home, plot, ctx.obj.speaker()), as_json, switchover)


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
    as_json: AsJson = False,
) -> None:
    """Find the width- and depth-equivalent ensembles of a network."""
    from cli.render.space import equivalents as render
    from cli.workflows.examine.space import find_equivalents

    task = _counted_task(ctx)
    print_answer(find_equivalents(network, members, task, tolerance), as_json, render)


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
