"""What to train: the advice, and the designs it chooses from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import (
    AsJson,
    Augment,
    Batch,
    Budget,
    Classes,
    Device,
    Families,
    Input,
    Members,
    print_result,
)
from cli.quantities import parse_bytes, parse_seconds

if TYPE_CHECKING:
    from rich.console import RenderableType


def recommend(
    ctx: typer.Context,
    budget: Budget,
    epochs: Annotated[int, typer.Option(help="Schedule of a network trained from scratch.")],
    dataset: Annotated[str, typer.Option(help="Data set; only shape and size are needed.")] = "cifar10",
    family: Families = None,
    members: Members = None,
    objective: Annotated[str, typer.Option(help="Rank by error, time or balanced.")] = "error",
    max_memory: Annotated[str | None, typer.Option(help="Peak training memory: 8G, 512MiB.")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="Inference of one image.")] = None,
    max_train_time: Annotated[str | None, typer.Option(help="Whole training: 90m, 12h.")] = None,
    device: Device = None,
    batch: Batch = None,
    augment: Augment = None,
    seed: Annotated[int, typer.Option(help="Of the search and of the plans.")] = 0,
    trials: Annotated[int, typer.Option(help="Designs that the search looks at.")] = 120,
    profile_seconds: Annotated[float, typer.Option(help="Time for new measurements, at most.")] = 60.0,
    save: Annotated[Path | None, typer.Option(help="Write the plan of rank 1 to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Suggest designs for a parameter budget, with predicted cost and error."""
    from cli.render import recommendation
    from cli.workflows.recommend import RecommendRequest
    from cli.workflows.recommend import recommend as run

    request = RecommendRequest(
        budget=budget,
        epochs=epochs,
        dataset=dataset,
        augmentation=augment,
        families=tuple(family or ()),
        members=tuple(members or ()),
        objective=objective,
        max_memory_bytes=parse_bytes(max_memory, "--max-memory"),
        max_latency_ms=max_latency_ms,
        max_train_seconds=parse_seconds(max_train_time, "--max-train-time"),
        device=device,
        batch=batch,
        seed=seed,
        trials=trials,
        profile_seconds=profile_seconds,
    )
    print_result(run(request, ctx.obj.home, save, ctx.obj.speaker().say), as_json, recommendation)


def space(
    budget: Budget,
    family: Families = None,
    members: Members = None,
    classes: Classes = 10,
    input: Input = "3x32x32",
    limit: Annotated[int, typer.Option(help="Rows of the table.")] = 40,
    as_json: AsJson = False,
) -> None:
    """List the designs of a parameter budget."""
    from advisor.layers import Task
    from cli.workflows.spaces import list_space

    def render(payload: Any) -> RenderableType:
        from cli.render import space as table

        return table(payload, limit)

    print_result(list_space(budget, family or (), members or (), Task.parse(input, classes)), as_json, render)


def equivalents(
    network: Annotated[str, typer.Argument(help="A regular network, for example resnet-26-16.")],
    members: Annotated[int, typer.Option(help="Members of the ensembles.")] = 4,
    classes: Classes = 10,
    input: Input = "3x32x32",
    tolerance: Annotated[float, typer.Option(help="Share of the network that they may exceed.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Find the width- and depth-equivalent ensembles of a network."""
    from advisor.layers import Task
    from cli.render import equivalents as render
    from cli.workflows.spaces import find_equivalents

    found = find_equivalents(network, members, Task.parse(input, classes), tolerance)
    print_result(found, as_json, render)
