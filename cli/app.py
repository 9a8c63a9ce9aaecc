"""The command line: the program with its commands, its own options, and errors as exit codes.

Heavy imports stand inside the commands, so that `advisor --help` and `advisor runs list` answer at once.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from advisor import errors, library_messages
from cli import streams
from cli.commands import (
    advice,
    data,
    database,
    ensembles,
    frontier,
    page,
    probes,
    profile,
    runs,
    steps,
    switchover,
    training,
    whatif,
)
from cli.interrupts import INTERRUPTED, Interrupts
from cli.options import PRICE_HELP, Globals
from cli.quantities import parse_price
from cli.settings import hoist_global_options, load_settings

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
# Code of a program that a closed pipe ended, as shells give it.
READER_GONE = 141
# Values of an environment variable that turn a flag off.
NOT_SET = ("", "0", "false", "f", "no", "n", "off")
Commands = dict[str, Callable[..., None]]
COMMANDS: Commands = {
    "data": data.data,
    "recommend": advice.recommend,
    "train": training.train,
    "resume": training.resume,
    "extend": training.extend,
    "step": steps.step,
    "plan": steps.plan,
    "explain": training.explain,
    "whatif": whatif.whatif,
    "frontier": frontier.frontier,
    "predict": ensembles.predict,
    "export": ensembles.export,
    "profile": profile.profile,
    "est": switchover.est,
    "space": advice.space,
    "equivalents": advice.equivalents,
    "web": page.web,
    "report": page.report,
}
# Without one of these, `advisor probe` trains.
PROBE_COMMANDS: Commands = {
    "list": probes.list_probes,
    "delete": probes.delete,
}
RUNS_COMMANDS: Commands = {
    "list": runs.list_runs,
    "show": runs.show,
    "compare": runs.compare,
    "diversity": runs.diversity,
    "export": runs.export,
    "delete": runs.delete,
}
DB_COMMANDS: Commands = {
    "path": database.path,
    "check": database.check,
    "backup": database.backup,
    "import": database.import_trainings,
}


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"advisor {version('ensemble-advisor')}")
        raise typer.Exit


def _program(
    ctx: typer.Context,
    home: Annotated[
        Path | None, typer.Option(help="Folder of the database, the runs and the measurements.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print results without progress.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print log lines of libraries, and the time of each line.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error instead of one line.")
    ] = False,
    price_per_hour: Annotated[str | None, typer.Option(metavar="USD|MACHINE", help=PRICE_HELP)] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    from cli.workflows.clock import WaitingClock
    from cli.workflows.home import Home

    # `_run` hands over when the process began; who calls the program otherwise begins now.
    clock = WaitingClock() if ctx.obj is None else WaitingClock(ctx.obj)
    settings = load_settings(_working_folder(), app)
    ctx.default_map = settings
    if home is None and "home" in settings:
        home = Path(str(settings["home"]))
    quiet, verbose = quiet or bool(settings.get("quiet")), verbose or bool(settings.get("verbose"))
    library_messages.show(_messages_shown(quiet, verbose))
    price = settings.get("price_per_hour") if price_per_hour is None else price_per_hour
    price = parse_price(None if price is None else str(price), "--price-per-hour")
    ctx.obj = Globals(Home.find(home), quiet, verbose, clock, price)


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError:
        raise errors.StorageError(
            "the working folder must exist, and it was deleted: change to one that does"
        ) from None


def _messages_shown(quiet: bool, verbose: bool) -> library_messages.Shown:
    if quiet:
        return library_messages.Shown.NOTHING
    return library_messages.Shown.EVERYTHING if verbose else library_messages.Shown.WARNINGS


def _group(commands: Commands, text: str) -> typer.Typer:
    group = typer.Typer(help=text, no_args_is_help=True)
    for name, command in commands.items():
        group.command(name)(command)
    return group


def _probe_group() -> typer.Typer:
    """Return `advisor probe`, which trains where no command of its own follows."""
    group = typer.Typer(invoke_without_command=True, subcommand_metavar="[COMMAND [ARGS]...]")
    group.callback()(probes.probe)
    for name, command in PROBE_COMMANDS.items():
        group.command(name)(command)
    return group


def _app() -> typer.Typer:
    program = typer.Typer(
        name="advisor",
        help="Design, price and train neural-network ensembles at a fixed parameter budget.",
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"auto_envvar_prefix": "ADVISOR", "help_option_names": ["-h", "--help"]},
    )
    program.callback()(_program)
    for name, command in COMMANDS.items():
        program.command(name)(command)
    program.add_typer(_probe_group(), name="probe")
    program.add_typer(_group(RUNS_COMMANDS, "Query past runs."), name="runs")
    program.add_typer(
        _group(DB_COMMANDS, "Show, check and copy the database, and import trainings."), name="db"
    )
    return program


app = _app()


def main(began: float | None = None) -> None:
    """Run the command line; every error is one line on stderr and an exit code.

    Args:
        began: reading of `time.monotonic` when the process began; None for now.
    """
    began = time.monotonic() if began is None else began
    # The predictors' matrices are small, so the BLAS threads behind numpy would only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Below errors, what torch writes past Python concerns torch.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    streams.prepare()
    interrupts = Interrupts()
    try:
        with interrupts.noted(), library_messages.taken_over():
            code = _run(sys.argv[1:], interrupts, began)
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        streams.finish()
    sys.exit(code)


def _run(arguments: list[str], interrupts: Interrupts, began: float) -> int:
    """Run a command and return the exit code."""
    arguments = hoist_global_options(arguments)
    try:
        code = app(arguments, standalone_mode=False, obj=began)
        with streams.writing():
            return code if isinstance(code, int) else 0
    except Exception as error:
        if "--debug" in arguments or os.environ.get("ADVISOR_DEBUG", "").lower() not in NOT_SET:
            raise
        # A library may have turned an interrupt into an error of its own. Those of training know their code.
        if interrupts.code is not None and not isinstance(error, errors.AdvisorError):
            return interrupts.code
        return _report(error)


def _report(error: Exception) -> int:
    """Print an error as one line and return its exit code."""
    if isinstance(error, streams.ReaderGoneError):
        return READER_GONE
    if isinstance(error, typer.Abort):
        return 1
    message = " ".join(str(getattr(error, "message", "") or error).split())
    if isinstance(error, errors.InterruptedRunError):
        code = error.exit_code
    elif isinstance(error, errors.AdvisorError):
        code = next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    elif isinstance(error, typer.TyperException):
        code, message = 2, " ".join(error.format_message().split())
    elif isinstance(error, OSError) and (refusal := streams.refused_by_system(error)):
        code, message = 4, refusal
    else:
        code = 1
        message = f"unexpected {type(error).__name__}: {message} (--debug shows where)"
    streams.complain(f"advisor: {message}")
    return code
