"""The commands that show everything as a page: live, or as one file."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from advisor.errors import UsageError
from cli.streams import write_out


def web(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(help="Port of the page; 0 for one that is free.")] = 0,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    proxy_host: Annotated[
        str | None, typer.Option(help="Name of the host under which a proxy serves the page.")
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Whether to open a browser.")
    ] = True,
) -> None:
    """Open a local page on everything that the database knows; Ctrl-C ends it."""
    from cli.web.site.server import Serving, serve

    serve(
        ctx.obj.home,
        Serving(host=host, port=port, proxy=proxy_host, browser=browser),
        lambda line: write_out(line + "\n"),
    )


def report(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.html", help="HTML file that is written.")],
    run: Annotated[
        list[str] | None, typer.Option(help="Number of a run to show in detail, or last; repeat for several.")
    ] = None,
    recommendation: Annotated[
        str | None, typer.Option(metavar="last|none", help="Recommendation in it; default: the last, if any.")
    ] = None,
) -> None:
    """Write recommendation, runs and forecasts as one HTML file that opens offline."""
    from cli.web.charts.files import check_report
    from cli.web.report import REPORT, ReportOptions, write_report

    check_report(file, REPORT)
    choices = {None: None, "last": True, "none": False}
    if recommendation not in choices:
        raise UsageError(f"--recommendation must be last or none, got {recommendation!r:.40}")
    options = ReportOptions(runs=run or (), recommendation=choices[recommendation])
    write_report(file, ctx.obj.home, options, date.today())
    write_out(f"{file}\n")
