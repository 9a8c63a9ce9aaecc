"""The command that forecasts the effect of changes of a design."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import (
    AsJson,
    Augment,
    Batch,
    Dataset,
    Device,
    Epochs,
    Method,
    Patience,
    Price,
    Recipe,
    Resize,
    SkipDamaged,
    price_of,
    print_answer,
)

FORMS = "32, +6, -6, x2 or /2"


def whatif(
    ctx: typer.Context,
    target: Annotated[
        str, typer.Argument(metavar="DESIGN|PLAN|RUN", help="Design, plan file or run to change.")
    ],
    depth: Annotated[
        str | None, typer.Option(metavar="CHANGE", help=f"Depth of every member: {FORMS}.")
    ] = None,
    width: Annotated[
        str | None, typer.Option(metavar="CHANGE", help="Width of every member: the same forms.")
    ] = None,
    members: Annotated[
        str | None, typer.Option(metavar="CHANGE", help="Number of members: the same forms.")
    ] = None,
    g: Annotated[
        str | None, typer.Option(metavar="CHANGE", help="Number of clusters: the same forms.")
    ] = None,
    batch: Annotated[
        str | None, typer.Option(metavar="CHANGE", help="Images in a training step: the same forms.")
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(metavar="CHANGE", help="Epochs of a network trained from scratch: the same forms."),
    ] = None,
    method: Annotated[str | None, typer.Option(help="New training method.")] = None,
    images: Annotated[
        str | None,
        typer.Option(metavar="CHANGE", help="Training images, at as many epochs: 20k, +500, x2 or /2."),
    ] = None,
    weight_decay: Annotated[
        str | None,
        typer.Option(metavar="CHANGE", help="Weight decay of all networks: 3e-3, x3 or /10."),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="New recipe, ours or published, with its batch.")] = None,
    patience: Annotated[
        str | None,
        typer.Option(
            metavar="EPOCHS",
            help="Epochs without a gain in training accuracy that end a training; 0 for a fixed length.",
        ),
    ] = None,
    dataset: Dataset = None,
    resize: Resize = None,
    skip_damaged: SkipDamaged = False,
    augment: Augment = None,
    base_epochs: Epochs = None,
    base_batch: Batch = None,
    base_method: Method = None,
    base_recipe: Recipe = None,
    base_patience: Patience = None,
    device: Device = None,
    price_per_hour: Price = None,
    as_json: AsJson = False,
) -> None:
    """Show what changes when a design or its training is changed: error, time, memory, with intervals."""
    from cli.render.examine.whatif import comparison
    from cli.workflows.examine.whatif import whatif as compared
    from cli.workflows.forecast.plan_request import PlanRequest, changes_of

    base = PlanRequest(
        target=target,
        dataset=dataset,
        augmentation=augment,
        epochs=base_epochs,
        batch=base_batch,
        method=base_method,
        recipe=base_recipe,
        patience=base_patience,
        device=device,
        resize=resize,
        skip_damaged=skip_damaged,
    )
    answer = compared(base, changes_of(ctx.params), ctx.obj.home, ctx.obj.speaker(), price_of(ctx))
    print_answer(answer, as_json, comparison)
