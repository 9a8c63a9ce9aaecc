"""The command line: options in, one use case called, its result shown. Bodies hold no logic.

Heavy imports stand inside the commands, so that `advisor --help` and `advisor runs list` answer at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advisor import errors
from cli.quantities import parse_bytes, parse_seconds
from cli.settings import hoist_global_options, load_settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cli.progress import Speaker
    from cli.workflows.home import Home

EPILOG = (
    "Options of the program itself (--home, --quiet, --debug) may stand before or after the command. "
    "Every option can also be set in the environment (ADVISOR_HOME, ADVISOR_RECOMMEND_EPOCHS, …) and in "
    "advisor.toml (\\[recommend] epochs = 120)."
)
EXIT_CODES: list[tuple[type[errors.AdvisorError], int]] = [
    (errors.UsageError, 2),
    (errors.PlanError, 2),
    (errors.DataError, 2),
    (errors.PartialRunError, 3),
    (errors.StorageError, 4),
    (errors.DeadlineError, 75),
    (errors.AdvisorError, 1),
]

app = typer.Typer(
    name="advisor",
    help="Design, price and train neural-network ensembles at a fixed parameter budget.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "ADVISOR", "help_option_names": ["-h", "--help"]},
)
runs_app = typer.Typer(help="Query past runs.", no_args_is_help=True)
db_app = typer.Typer(help="The database: where it is, whether it is whole, a copy.", no_args_is_help=True)
app.add_typer(runs_app, name="runs")
app.add_typer(db_app, name="db")


@dataclass(frozen=True, slots=True)
class _Globals:
    """Options of the program itself."""

    home: Home
    quiet: bool
    verbose: bool

    def speaker(self) -> Speaker:
        from cli.progress import Speaker

        return Speaker(self.quiet)


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Families = Annotated[list[str] | None, typer.Option("--family", help="Family; repeat for several.")]
Members = Annotated[list[int] | None, typer.Option("--members", help="Member count; repeat for several.")]
Budget = Annotated[str, typer.Option(help="Parameters in all: 5M, 750k, 5e6.")]
Classes = Annotated[int, typer.Option(help="Number of classes.")]
Input = Annotated[str, typer.Option(help="Image shape: channels x height x width.")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda; default: cuda if there is one.")]
Batch = Annotated[int | None, typer.Option(help="Images in a step; default: that of the data set.")]
Epochs = Annotated[
    int | None, typer.Option(help="Schedule of a network trained from scratch; default: the published one.")
]
Dataset = Annotated[
    str | None, typer.Option(help="digits, fashion-mnist, cifar10, cifar100, svhn or folder:PATH.")
]
Method = Annotated[str | None, typer.Option(help="full_data or mothernets; default: as the design says.")]
Rate = Annotated[float | None, typer.Option("--lr", help="Initial learning rate; default: the published.")]
Hatched = Annotated[
    int | None, typer.Option(help="Epochs of a hatched member; default: a share of --epochs.")
]
Seed = Annotated[
    int | None, typer.Option(help="Origin of all randomness; default: 0, or the recommendation's.")
]
Download = Annotated[bool, typer.Option("--download", help="Fetch the data set if it is missing.")]
TimeLimit = Annotated[str | None, typer.Option(help="Checkpoint and stop after this long: 90s, 10m, 2h.")]
RunArgument = Annotated[str, typer.Argument(help="Number of a run, or 'last'.")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"advisor {version('ensemble-advisor')}")
        raise typer.Exit


@app.callback()
def _program(
    ctx: typer.Context,
    home: Annotated[Path | None, typer.Option(help="Folder of everything that is written.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only results.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="More of what goes on.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks instead of one line.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    from cli.workflows.home import Home

    settings = load_settings(Path.cwd(), app)
    ctx.default_map = settings
    if home is None and "home" in settings:
        home = Path(str(settings["home"]))
    ctx.obj = _Globals(Home.find(home), quiet, verbose)


def _print(payload: Any, as_json: bool, renderer: Callable[[Any], RenderableType]) -> None:
    if as_json:
        typer.echo(json.dumps(payload, indent=2))
        return
    from cli.formats import show

    show(renderer(payload))


@app.command()
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
    _print(run(request, ctx.obj.home, save, ctx.obj.speaker().say), as_json, recommendation)


@app.command()
def train(
    ctx: typer.Context,
    target: Annotated[
        str | None, typer.Argument(metavar="[DESIGN|PLAN]", help="Default: the last recommendation.")
    ] = None,
    rank: Annotated[int | None, typer.Option(help="Row of the last recommendation; default: 1.")] = None,
    dataset: Dataset = None,
    epochs: Epochs = None,
    batch: Batch = None,
    lr: Rate = None,
    method: Method = None,
    hatched_epochs: Hatched = None,
    seed: Seed = None,
    device: Device = None,
    time_limit: TimeLimit = None,
    download: Download = False,
    as_json: AsJson = False,
) -> None:
    """Train a design, a saved plan, or the top of the last recommendation."""
    from cli.render_runs import run as render
    from cli.workflows.planning import PlanRequest
    from cli.workflows.train import TrainOptions
    from cli.workflows.train import train as run

    request = PlanRequest(
        target=target,
        rank=rank,
        dataset=dataset,
        epochs=epochs,
        batch=batch,
        rate=lr,
        hatched_epochs=hatched_epochs,
        method=method,
        seed=seed,
        device=device,
    )
    options = TrainOptions(time_limit=parse_seconds(time_limit, "--time-limit"), download=download)
    speaker = ctx.obj.speaker()
    _print(run(request, options, ctx.obj.home, speaker, speaker.say), as_json, render)


@app.command()
def resume(
    ctx: typer.Context,
    run: RunArgument = "last",
    time_limit: TimeLimit = None,
    as_json: AsJson = False,
) -> None:
    """Continue a run that was interrupted, killed or stopped by its time limit."""
    from cli.render_runs import run as render
    from cli.workflows.runs import run_id_of
    from cli.workflows.train import TrainOptions
    from cli.workflows.train import resume as continued

    options = TrainOptions(time_limit=parse_seconds(time_limit, "--time-limit"))
    speaker = ctx.obj.speaker()
    number = run_id_of(run, ctx.obj.home)
    _print(continued(number, options, ctx.obj.home, speaker, speaker.say), as_json, render)


@app.command()
def explain(
    ctx: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(metavar="[DESIGN|PLAN|RUN]", help="Default: the top of the last recommendation."),
    ] = None,
    rank: Annotated[int | None, typer.Option(help="Row of the last recommendation; default: 1.")] = None,
    dataset: Dataset = None,
    epochs: Epochs = None,
    batch: Batch = None,
    method: Method = None,
    hatched_epochs: Hatched = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Show the plan of a design with its predicted cost; for a run, the actual beside it."""
    from cli.render import explanation
    from cli.workflows.explain import explain as explained
    from cli.workflows.planning import PlanRequest

    request = PlanRequest(
        target=target,
        rank=rank,
        dataset=dataset,
        epochs=epochs,
        batch=batch,
        method=method,
        hatched_epochs=hatched_epochs,
        device=device,
    )
    _print(explained(request, ctx.obj.home), as_json, explanation)


@app.command()
def profile(
    ctx: typer.Context,
    design: Annotated[str, typer.Argument(help="A network, for example resnet-26-16.")],
    dataset: Annotated[str, typer.Option(help="Data set; only its shape is needed.")] = "cifar10",
    batch: Batch = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Measure time and memory of a network, layer by layer and as a whole step."""
    from cli.render import profile as render
    from cli.workflows.profile import profile as measured

    _print(measured(design, dataset, batch, device, ctx.obj.home, ctx.obj.speaker().say), as_json, render)


@app.command()
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

    _print(list_space(budget, family or (), members or (), Task.parse(input, classes)), as_json, render)


@app.command()
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

    _print(find_equivalents(network, members, Task.parse(input, classes), tolerance), as_json, render)


@runs_app.command("list")
def runs_list(
    ctx: typer.Context,
    where: Annotated[list[str] | None, typer.Option(help="Condition key=value; repeat for several.")] = None,
    sort: Annotated[str, typer.Option(help="Column; with - in front, largest first.")] = "-id",
    limit: Annotated[int, typer.Option(help="At most so many runs.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    from cli.workflows.runs import listed

    def render(payload: Any) -> RenderableType:
        from cli.render_runs import run_list

        return run_list(payload)

    _print(listed(ctx.obj.home, where or (), sort, limit), as_json, render)


@runs_app.command("show")
def runs_show(ctx: typer.Context, run: RunArgument, as_json: AsJson = False) -> None:
    """Show one run: outcome, predicted beside actual, networks and steps."""
    from cli.render_runs import run as render
    from cli.workflows.runs import shown

    _print(shown(ctx.obj.home, run), as_json, render)


@runs_app.command("compare")
def runs_compare(
    ctx: typer.Context,
    runs: Annotated[list[str], typer.Argument(help="Numbers of runs.")],
    as_json: AsJson = False,
) -> None:
    """Show several runs side by side."""
    from cli.render_runs import comparison
    from cli.workflows.runs import compared

    _print(compared(ctx.obj.home, runs), as_json, comparison)


@runs_app.command("export")
def runs_export(
    ctx: typer.Context, format: Annotated[str, typer.Option(help="csv or json.")] = "csv"
) -> None:
    """Print every run with all its columns on stdout."""
    from cli.workflows.runs import exported

    typer.echo(exported(ctx.obj.home, format), nl=False)


@runs_app.command("delete")
def runs_delete(
    ctx: typer.Context,
    run: RunArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a run, its records and its files."""
    from cli.render import facts
    from cli.workflows.runs import deleted

    if not yes and sys.stdin.isatty():
        typer.confirm(f"Delete run {run} for good?", abort=True, err=True)
    _print(deleted(ctx.obj.home, run), as_json, facts)


@db_app.command("path")
def db_path(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show where the database is."""
    from cli.workflows.database import path_of

    payload = path_of(ctx.obj.home)
    typer.echo(json.dumps(payload, indent=2) if as_json else payload["database"])


@db_app.command("check")
def db_check(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Check that the database is whole."""
    from cli.render import facts
    from cli.workflows.database import check

    _print(check(ctx.obj.home), as_json, facts)


@db_app.command("backup")
def db_backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="New file to write.")],
    as_json: AsJson = False,
) -> None:
    """Copy the database, also while it is in use."""
    from cli.render import facts
    from cli.workflows.database import backup

    _print(backup(ctx.obj.home, file), as_json, facts)


def main() -> None:
    """Run the command line; every error is one line on stderr and an exit code."""
    arguments = hoist_global_options(sys.argv[1:])
    debug = "--debug" in arguments or os.environ.get("ADVISOR_DEBUG", "") not in ("", "0")
    # A termination ends as Ctrl-C does, so that processes of our own are closed; training has its own way.
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    try:
        code = app(arguments, standalone_mode=False)
    except Exception as error:
        if debug:
            raise
        sys.exit(_report(error))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _report(error: Exception) -> int:
    """Print an error as one line and return its exit code."""
    if isinstance(error, BrokenPipeError):
        # The reader of a pipe went away; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    if isinstance(error, typer.Abort):
        return 1
    message = " ".join(str(getattr(error, "message", "") or error).split())
    if isinstance(error, errors.InterruptedRunError):
        code = error.exit_code
    elif isinstance(error, errors.AdvisorError):
        code = next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    elif isinstance(error, typer.TyperException):
        code, message = 2, " ".join(error.format_message().split())
    else:
        code = 1
        message = f"unexpected {type(error).__name__}: {message} (--debug shows where)"
    print(f"advisor: {message}", file=sys.stderr)
    return code
