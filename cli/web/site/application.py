"""The local page: addresses, what they answer, and the form that an answer has.

    .            advice              plan        a plan, step by step
    switchover   the map             frontier    ways to train an ensemble
    runs         all runs            run?id=7    one run, live while it trains
    compare      several runs        forecasts   predicted beside actual

Every address of a page answers the whole page, or with ``part=1`` only what lies below its form; the page's
script asks for that while a reader drags. Addresses are relative, so the page works below any prefix.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Collection
from datetime import date
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from advisor.errors import AdvisorError, StorageError, UsageError
from cli.streams import complain, refused_by_system
from cli.web.content import Content
from cli.web.html import answer_html, rendered, static_text
from cli.web.query import Query
from cli.web.site.guard import Guard
from cli.web.site.pages import PAGES, Asking, Page, Site
from cli.web.site.vega import vega_script
from cli.workflows.advise.preview import SupersededError

# Parameters of an address that are not part of a page's state.
PART, WHOLE, READER = "part", "whole", "reader"
OWN = (PART, WHOLE, READER, "token")
FILES = {"page.js": "text/javascript", "page.css": "text/css", "vega.js": "text/javascript"}
# Characters of the name of a reader that count.
LONGEST_READER = 40
KEPT_SECONDS = 3600
# Code of an answer that nobody waits for, as servers log it.
DROPPED = 499
# Template of a page without a form.
BARE = "base.html"


def application(site: Site, token: str, hosts: Collection[str] | None) -> ASGIApp:
    """Return the local page as a web application.

    Args:
        site: home with what is kept for it.
        token: secret that the first address has.
        hosts: names of the host that are answered; None for any.
    """
    routes = [Route(f"/{name}", _endpoint(site, name, page), methods=["GET"]) for name, page in PAGES.items()]
    routes += [Route("/static/{name}", _file, methods=["GET"])]
    return Guard(Starlette(routes=routes), token, hosts)


def _endpoint(site: Site, name: str, page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        # While a reader drags, older questions are dropped; one that nobody waits for is not computed.
        if await request.is_disconnected():
            return Response(status_code=DROPPED)
        return await run_in_threadpool(_answered, site, name, page, request)

    return answer


def _answered(site: Site, name: str, page: Page, request: Request) -> Response:
    """Return a page, or the part below its form; nothing but the tag if the reader has it already."""
    pairs = request.query_params.multi_items()
    query = Query([pair for pair in pairs if pair[0] not in OWN])
    part = PART in request.query_params
    # A reader sees the first look at once; the script of the page asks for the rest.
    whole = request.query_params.get(WHOLE, "1" if part else "0") != "0"
    tag = _state(site, page, query, urlencode([pair for pair in pairs if pair[0] != READER]))
    if tag is not None and request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    asking = Asking(whole, request.query_params.get(READER, "")[:LONGEST_READER])
    form, content, code = _content(site, page, query, asking)
    if part:
        text = answer_html(content)
    else:
        template = BARE if form is None else page.template
        text = rendered(
            template, form=form, content=content, pages=PAGES, current=name, home=str(site.home.path)
        )
    kept = {} if tag is None or code != 200 else {"ETag": tag, "Cache-Control": "private, no-cache"}
    return HTMLResponse(text, code, kept)


def _state(site: Site, page: Page, query: Query, address: str) -> str | None:
    """Return the tag of an answer, None where the home cannot be read; the content then says why."""
    try:
        return _tag(address, *site.state(page, query))
    except AdvisorError:
        return None


def _content(site: Site, page: Page, query: Query, asking: Asking) -> tuple[object, Content, int]:
    """Return form and content of a page, and the code of the answer.

    The form is None if there cannot be one.
    """
    form = None
    try:
        form = page.form(site, query)
        return form, page.content(site, form, date.today(), asking), 200
    except Exception as error:
        code, line = _told(error)
        return form or _plain_form(site, page), Content(heading=page.title, error=line), code


def _told(error: Exception) -> tuple[int, str]:
    """Return the code of an error and its line; the terminal shows one that nobody expected, too."""
    if isinstance(error, UsageError):
        return 400, str(error)
    if isinstance(error, SupersededError):
        return 409, str(error)
    if isinstance(error, AdvisorError):
        return (503 if isinstance(error, StorageError) else 422), str(error)
    if isinstance(error, OSError) and (refusal := refused_by_system(error)):
        return 503, refusal
    line = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
    complain(f"advisor: {line}")
    return 500, line


def _plain_form(site: Site, page: Page) -> object:
    """Return the form of an address without a query, None if that is refused, too."""
    try:
        return page.form(site, Query())
    except (AdvisorError, OSError):
        return None


def _tag(*parts: object) -> str:
    return f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}"'


def _file(request: Request) -> Response:
    """Return a file that pages load; that of Vega comes from the installed package."""
    name = request.path_params["name"]
    if name not in FILES:
        return Response("There is no such file.", 404, media_type="text/plain")
    text = vega_script() if name == "vega.js" else static_text(name)
    tag = _tag(text)
    headers = {"ETag": tag, "Cache-Control": f"private, max-age={KEPT_SECONDS if name == 'vega.js' else 0}"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(text, media_type=FILES[name], headers=headers)
