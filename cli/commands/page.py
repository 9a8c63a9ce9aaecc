"""The commands that show everything as a page: live, or as one file."""

from __future__ import annotations

from typing import Annotated

import typer

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
