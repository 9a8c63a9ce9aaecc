"""The command that measures one network, or the kinds of nodes of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from advisor.errors import UsageError
from cli.options import (
    AsJson,
    Augment,
    Batch,
    Device,
    Insecure,
    MeasuredCluster,
    Resize,
    SkipDamaged,
    StepMode,
    cluster_of,
    print_answer,
)
from cli.streams import write_file_content
from cli.workflows.defaults import DATASET, RECOMMEND_PROFILE_SECONDS

if TYPE_CHECKING:
    from cli.workflows.clusters import ClusterAddress


def profile(
    ctx: typer.Context,
    design: Annotated[
        str | None,
        typer.Argument(
            help="A network, for example resnet-26-16. With --cluster a design of the size to measure; "
            "default: rank 1 of the last recommendation."
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help=f"Data set; only its shape is needed. Default: {DATASET}.")
    ] = None,
    resize: Resize = None,
    skip_damaged: SkipDamaged = False,
    batch: Batch = None,
    augment: Augment = None,
    device: Device = None,
    step_mode: StepMode = None,
    cluster: MeasuredCluster = None,
    insecure_cluster: Insecure = False,
    profile_seconds: Annotated[
        float | None,
        typer.Option(
            help="With --cluster, upper limit on the time of measuring a node, in seconds. Default: "
            f"{RECOMMEND_PROFILE_SECONDS:g}."
        ),
    ] = None,
    remeasure: Annotated[
        bool,
        typer.Option(
            "--remeasure", help="Delete earlier measurements of the same step, once there is a new one."
        ),
    ] = False,
    csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="CSV file with a row for each layer; - for stdout.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure time and memory of a network, layer by layer and as a whole step; or the nodes of a cluster."""
    if (address := cluster_of(ctx)) is not None:
        _profile_cluster(ctx, address)
        return
    if design is None:
        raise UsageError("name a network, for example resnet-26-16; without one --cluster measures nodes")
    if profile_seconds is not None:
        raise UsageError("--profile-seconds is for nodes: add --cluster auto|ADDRESS, or leave it out")
    _profile_network(ctx)


def _profile_network(ctx: typer.Context) -> None:
    """Measure the network that the options name on this machine."""
    from cli.render.profile import profile as render
    from cli.workflows.examine.profile import ProfileRequest
    from cli.workflows.examine.profile import profile as measured
    from cli.workflows.examine.profile_csv import layers_as_csv
    from cli.workflows.files import is_stdout

    given = ctx.params
    request = ProfileRequest(
        dataset=given["dataset"] or DATASET,
        augmentation=given["augment"],
        **{
            name: given[name]
            for name in (
                *("design", "batch", "device", "csv", "as_json", "resize", "skip_damaged", "remeasure"),
                "step_mode",
            )
        },
    )
    answer = measured(request, ctx.obj.home, ctx.obj.speaker())
    if is_stdout(given["csv"]):
        write_file_content(layers_as_csv(answer))
    else:
        print_answer(answer, given["as_json"], render)


def _profile_cluster(ctx: typer.Context, address: ClusterAddress) -> None:
    """Measure one node of each kind of a cluster."""
    given = ctx.params
    if given["csv"] is not None:
        raise UsageError("--csv has the layers of a network: leave it or --cluster out")
    if given["remeasure"]:
        raise UsageError("--remeasure is for a network on this machine: leave it or --cluster out")
    if given["step_mode"] is not None:
        raise UsageError("--step-mode is for a network on this machine: leave it or --cluster out")
    from cli.render.examine.cluster import profiled_kinds
    from cli.workflows.forecast.cluster.measuring import profile_cluster
    from cli.workflows.forecast.plan_request import PlanRequest

    request = PlanRequest(
        target=given["design"],
        augmentation=given["augment"],
        **{name: given[name] for name in ("dataset", "batch", "device", "resize", "skip_damaged")},
    )
    seconds = given["profile_seconds"]
    answer = profile_cluster(
        request,
        address,
        RECOMMEND_PROFILE_SECONDS if seconds is None else seconds,
        ctx.obj.home,
        ctx.obj.speaker(),
    )
    print_answer(answer, given["as_json"], profiled_kinds)
