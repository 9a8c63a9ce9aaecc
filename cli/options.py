"""Options that several commands share, the options of the program itself, and the printing of an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from advisor.cost.money.machine_price import MACHINES
from advisor.errors import UsageError
from advisor.plans.dataset import DATASETS, FOLDER_PREFIX, Augmentation
from advisor.plans.execution import STEP_MODES
from advisor.plans.method_traits import Method as TrainingMethod
from advisor.plans.schedule import PATIENCE
from cli.quantities import parse_price
from cli.slot_counts import parse_slots
from cli.streams import write_out
from cli.workflows.answers.answer import Answer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cli.progress import Speaker
    from cli.workflows.clock import WaitingClock
    from cli.workflows.clusters import ClusterAddress
    from cli.workflows.forecast.plan_request import PlanRequest
    from cli.workflows.home import Home

T = TypeVar("T", bound=Answer)


def _either(names: Sequence[str]) -> str:
    """Return names as a list that ends in "or"."""
    return f"{', '.join(names[:-1])} or {names[-1]}"


METHODS = tuple(method.value for method in TrainingMethod)
_METHOD_NAMES = _either(METHODS)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Families = Annotated[
    list[str] | None, typer.Option("--family", help="Family of networks; repeat for several.")
]
Members = Annotated[
    list[int] | None, typer.Option("--members", help="Number of members; repeat for several.")
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help=f"Training method of ensembles: {_METHOD_NAMES}; repeat for several; "
        "default: full_data, mothernets and snapshot.",
    ),
]
Budget = Annotated[str, typer.Option(help="Parameters of all members together: 5M, 750k, 5e6.")]
# What is counted depends on images and classes: those of a data set, or given ones.
CountedDataset = Annotated[
    str | None,
    typer.Option("--dataset", help="Data set that gives shape and classes; default: --input and --classes."),
]
Classes = Annotated[int | None, typer.Option(help="Number of classes; default: 10.")]
Input = Annotated[str | None, typer.Option(help="Image shape: channels x height x width; default: 3x32x32.")]
Device = Annotated[str | None, typer.Option(help="Device, cpu or cuda; default: cuda if there is one.")]
Batch = Annotated[
    int | None, typer.Option(help="Images in a training step; default: that of the recipe and the data set.")
]
Augment = Annotated[
    str | None,
    typer.Option(
        help=f"Augmentation: {_either([a.value for a in Augmentation])}; default: that of the data set."
    ),
]
Rank = Annotated[int | None, typer.Option(help="Rank in the last recommendation; default: 1.")]
Epochs = Annotated[
    int | None,
    typer.Option(help="Epochs of a network trained from scratch; default: the published schedule."),
]
Dataset = Annotated[
    str | None,
    typer.Option(help=f"Data set: {_either([*DATASETS, f'{FOLDER_PREFIX}PATH'])}."),
]
Resize = Annotated[
    str | None,
    typer.Option(
        metavar="SIDE|HEIGHTxWIDTH",
        help="Size that the images of a folder are scaled to cover and cropped to at their centre.",
    ),
]
SkipDamaged = Annotated[
    bool, typer.Option("--skip-damaged", help="Leave out files of a folder that cannot be read.")
]
MovedTo = Annotated[
    str | None,
    typer.Option(
        metavar=f"{FOLDER_PREFIX}PATH",
        help="Folder in which the data of the run lie now, if they were moved.",
    ),
]
Method = Annotated[
    str | None, typer.Option(help=f"Training method: {_METHOD_NAMES}; default: that of the design.")
]
Rate = Annotated[
    float | None, typer.Option("--lr", help="Initial learning rate; default: the published one.")
]
Decay = Annotated[
    float | None, typer.Option("--weight-decay", help="Weight decay; default: the published one.")
]
Tune = Annotated[
    str,
    typer.Option(
        metavar="auto|off",
        help="Weight decay of the designs: auto for another than the recipe's where less error is expected "
        "by it, off for the recipe's.",
    ),
]
Hatched = Annotated[
    int | None, typer.Option(help="Epochs of a hatched member; default: a share of --epochs.")
]
Recipe = Annotated[
    str | None,
    typer.Option(
        metavar="ours|published",
        help="Recipe: ours has steps and a fixed length; published is that of the MotherNets paper, with "
        "batch 256, a constant rate and an end at convergence; default: ours.",
    ),
]
StepMode = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(STEP_MODES),
        help="How training steps are executed: compiled ones pay off in long trainings, graphs on CUDA; "
        "default: what measured fastest, never compiled.",
    ),
]
UntilConverged = Annotated[
    bool,
    typer.Option(
        "--until-converged",
        help=f"End a training after {PATIENCE} epochs without a gain in training accuracy, at most --epochs.",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        metavar="EPOCHS", help="The same after so many epochs without a gain; implies --until-converged."
    ),
]
Noise = Annotated[
    float | None,
    typer.Option(help="Noise on a hatched member's weights, relative to each layer's standard deviation."),
]
Shrink = Annotated[
    float | None, typer.Option(help="Factor on a hatched member's weights before the noise; default: 1.")
]
Seed = Annotated[
    int | None, typer.Option(help="Random seed of the training; default: 0, or that of the recommendation.")
]
Download = Annotated[bool, typer.Option("--download", help="Fetch the data set if it is missing.")]
TimeLimit = Annotated[
    str | None, typer.Option(help="Time after which training saves a checkpoint and stops: 90s, 10m, 2h.")
]
PRICE_HELP = (
    "Price of this machine in USD per hour, or the name of a machine with a published price: "
    + ", ".join(f"{name} ({price.usd_per_hour:.2f}, {price.year})" for name, price in MACHINES.items())
    + "; adds the cost of training."
)
Price = Annotated[str | None, typer.Option("--price-per-hour", metavar="USD|MACHINE", help=PRICE_HELP)]


def _cluster(purpose: str, variable: str | None = "RAY_ADDRESS") -> Any:
    """Return the option that names a cluster; `purpose` begins a sentence that ends with the cluster."""
    return typer.Option(
        "--cluster",
        envvar=variable,
        metavar="auto|ADDRESS",
        help=f"{purpose} of a Ray cluster: that of this machine, or that of a head node, host:port.",
    )


Cluster = Annotated[str | None, _cluster("Train on the nodes")]
PricedCluster = Annotated[str | None, _cluster("Price a plan for the nodes")]
# Measuring takes a node for a minute, so nobody gets it by a variable.
MeasuredCluster = Annotated[str | None, _cluster("Measure one node of each kind", None)]
Insecure = Annotated[bool, typer.Option("--insecure-cluster", help="Accept a cluster that demands no token.")]
UntilError = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="Add clusters to a MotherNets ensemble until its validation error is at most so much: 6% or "
        "0.06.",
    ),
]
UntilTime = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Add clusters as long as all training together takes less: 2h, 90s."),
]
UntilUsd = Annotated[
    float | None,
    typer.Option(
        metavar="USD",
        help="Add clusters as long as all training together costs less; it needs --price-per-hour.",
    ),
]
Plot = Annotated[Path | None, typer.Option(help="File that the picture is drawn to: .html, .svg or .png.")]
Slots = Annotated[
    str | None,
    typer.Option(
        "--slots",
        metavar="N[,N…]",
        help="Numbers of worker processes, on CUDA of GPUs, to forecast the training time on: 8 or 1,2,4,8; "
        "the machine need not have them.",
    ),
]
Gpus = Annotated[
    str | None, typer.Option("--gpus", metavar="N[,N…]", help="The same for GPUs: --device cuda --slots N.")
]
RunArgument = Annotated[str, typer.Argument(help="Number of a run, or 'last'.")]


@dataclass(frozen=True, slots=True)
class Globals:
    """Options of the program itself, and the clock of who waits for it."""

    home: Home
    quiet: bool
    verbose: bool
    clock: WaitingClock
    price_per_hour: float | None = None

    def speaker(self) -> Speaker:
        """Return an object that shows progress on stderr."""
        from cli.progress import Speaker

        return Speaker(self.quiet, self.verbose)


def price_of(ctx: typer.Context) -> float | None:
    """Return the price of the machine in USD per hour: that of the command, else that of the program."""
    given = parse_price(ctx.params["price_per_hour"], "--price-per-hour")
    program: Globals = ctx.obj
    return program.price_per_hour if given is None else given


def cluster_of(ctx: typer.Context) -> ClusterAddress | None:
    """Return the cluster whose nodes train; None for this machine."""
    from cli.workflows.clusters import cluster_address

    return cluster_address(ctx.params["cluster"], ctx.params["insecure_cluster"])


def refuse_cluster_of_a_run(ctx: typer.Context) -> None:
    """Refuse a cluster for a run, whose forecast is that of its beginning; one of the environment is passed.

    Raises:
        UsageError: a cluster was given on the command line.
    """
    source = ctx.get_parameter_source("cluster")
    if source is not None and source.name == "COMMANDLINE":
        raise UsageError(
            f"--cluster {ctx.params['cluster']}: a run has the forecast of its beginning: name a design or a "
            "plan, or leave it out"
        )
    ctx.params["cluster"] = None


def plan_request(ctx: typer.Context, target: str = "target") -> PlanRequest:
    """Return the options of a command that describe a plan; None for an option that the command lacks.

    Args:
        ctx: context of the command.
        target: name of the argument that names the plan.
    """
    from cli.workflows.forecast.plan_request import PlanRequest

    given = ctx.params
    return PlanRequest(
        target=given[target],
        rank=given.get("rank"),
        dataset=given["dataset"],
        augmentation=given.get("augment"),
        epochs=given["epochs"],
        batch=given["batch"],
        rate=given.get("lr"),
        weight_decay=given.get("weight_decay"),
        hatched_epochs=given.get("hatched_epochs"),
        noise=given.get("noise"),
        shrink=given.get("shrink"),
        method=given.get("method"),
        seed=given.get("seed"),
        device=given["device"],
        resize=given["resize"],
        skip_damaged=given["skip_damaged"],
        recipe=given["recipe"],
        until_converged=given["until_converged"],
        patience=given["patience"],
        step_mode=given.get("step_mode"),
    )


def slots_of(ctx: typer.Context) -> tuple[tuple[int, ...], str | None]:
    """Return the numbers of slots that a command forecasts on, and its device."""
    given = ctx.params
    return parse_slots(given["slots"], given["gpus"], given["device"])


def print_answer(answer: T, as_json: bool, render: Callable[[T], RenderableType]) -> None:
    """Print an answer on stdout, for a program or for a person."""
    if as_json:
        write_out(json.dumps(answer.to_json(), indent=2) + "\n")
        return
    from cli.render.formats import show

    show(render(answer))
