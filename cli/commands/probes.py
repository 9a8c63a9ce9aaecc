"""Commands on probes: short trainings before a recommendation, and those that there are."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from advisor.errors import UsageError
from cli.options import (
    AsJson,
    Augment,
    Batch,
    Cluster,
    Device,
    Download,
    Families,
    Insecure,
    Members,
    Resize,
    SkipDamaged,
    Tune,
    cluster_of,
    print_answer,
)
from cli.workflows.defaults import PROBE_PROFILE_SECONDS, SEED, TUNE

OfData = Annotated[str | None, typer.Option(help="Data set of the probes.")]


def probe(
    ctx: typer.Context,
    dataset: Annotated[str | None, typer.Option(help="Data set to train on; needed to train.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Time for all trainings together, in minutes; needed to train.")
    ] = None,
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
    tune: Tune = TUNE,
    seed: Annotated[int, typer.Option(help="Random seed of the search and of the trainings.")] = SEED,
    profile_seconds: Annotated[
        float, typer.Option(help="Upper limit on the time of new measurements, in seconds.")
    ] = PROBE_PROFILE_SECONDS,
    cluster: Cluster = None,
    insecure_cluster: Insecure = False,
    download: Download = False,
    as_json: AsJson = False,
) -> None:
    """Train what teaches most about a recommendation; list and delete what was trained."""
    if ctx.invoked_subcommand is not None:
        _refuse_options(ctx)
        return
    from cli.render.probe import probing
    from cli.workflows.advise.last_recommendation import completed_request
    from cli.workflows.advise.probe import probe as run
    from cli.workflows.advise.probe_options import ProbeOptions

    if dataset is None or minutes is None:
        missing = "--minutes M" if dataset else "--dataset NAME"
        raise UsageError(f"probing needs --dataset NAME and --minutes M: add {missing}")
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
        tune=tune,
    )
    options = ProbeOptions(
        seconds=60 * minutes, download=download, take_signals=True, cluster=cluster_of(ctx)
    )
    print_answer(run(request, options, ctx.obj.home, ctx.obj.speaker()), as_json, probing)


def _refuse_options(ctx: typer.Context) -> None:
    """Refuse options of a probing session in front of a command that lists or deletes probes."""
    given = [
        name
        for name in ctx.params
        if (source := ctx.get_parameter_source(name)) is not None and source.name == "COMMANDLINE"
    ]
    if given:
        option = "json" if given[0] == "as_json" else given[0].replace("_", "-")
        raise UsageError(
            f"--{option} in front of {ctx.invoked_subcommand} would be an option of training: write it after "
            "that word, or leave it out"
        )


def list_probes(ctx: typer.Context, dataset: OfData = None, as_json: AsJson = False) -> None:
    """List the probes that there are, the newest first."""
    from cli.render.probe import probe_list
    from cli.workflows.advise.probe_list import list_probes as listed

    print_answer(listed(ctx.obj.home, dataset), as_json, probe_list)


def delete(
    ctx: typer.Context,
    probes: Annotated[list[str] | None, typer.Argument(help="Numbers of probes.")] = None,
    dataset: OfData = None,
    all: Annotated[bool, typer.Option("--all", help="Delete every probe.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete probes, the evidence that they gave, and their networks."""
    from cli.render.formats import facts
    from cli.workflows.advise.probe_list import delete_probes, probes_to_delete

    found = probes_to_delete(ctx.obj.home, probes or (), dataset, every=all)
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Delete probes for good: {len(found)}?", abort=True, err=True)
    print_answer(delete_probes(ctx.obj.home, found), as_json, facts)
