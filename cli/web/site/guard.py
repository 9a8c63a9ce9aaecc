"""Who may ask the local page, and what a browser may do with it.

The page shows what is in a database of this user, so other sites and other users of the machine must not read
it. These rules hold for every request:

- The name of the host is one that the page was started for. A foreign name may point to this address (DNS
  rebinding).
- A request from another site, which its ``Origin`` or ``Sec-Fetch-Site`` tells, is refused.
- The first address has a token. It is exchanged for a cookie that scripts cannot read and that browsers do
  not send from other sites.
- Only GET and HEAD are answered.
- The policy of the answer lets a browser load nothing from elsewhere and run no script of the page's text.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from html import escape
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN = "token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A link on another page may open this one; its scripts and pictures may not read it.
_OWN_SITE = (None, "same-origin", "none")


# The way on from the first address; the icon keeps a browser from asking for one.
ON = '<!doctype html><link rel="icon" href="data:,"><meta http-equiv="refresh" content="0;url={address}">'


class Guard:
    """Middleware that lets only the reader in who has the token.

    Args:
        application: application that answers.
        token: secret of this server.
        hosts: names of the host that are answered, without a port; None for any.
    """

    def __init__(self, application: ASGIApp, token: str, hosts: Collection[str] | None) -> None:
        self._application, self._token, self._hosts = application, token, hosts
        self._cookie = cookie_name(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        request = Request(scope)
        refused = self._refusal(request)
        answer: ASGIApp = self._application if refused is None else refused

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await answer(scope, receive, guarded)

    def _refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that goes no further, None for one that does."""
        headers = request.headers
        if self._hosts is not None and _name(headers.get("host", "")) not in self._hosts:
            return PlainTextResponse("This page answers under its own address only.", 421)
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("This page is only read.", 405, {"Allow": "GET, HEAD"})
        if not _is_own(headers):
            return PlainTextResponse("Another site asks for this page.", 403)
        if self._matches(request.query_params.get(TOKEN)):
            return self._admission(request)
        if not self._matches(request.cookies.get(self._cookie)):
            return PlainTextResponse("Open the address that `advisor web` printed, with its token.", 403)
        return None

    def _matches(self, given: str | None) -> bool:
        return given is not None and hmac.compare_digest(given.encode(), self._token.encode())

    def _admission(self, request: Request) -> Response:
        """Return the cookie, and the way on to the address without the token.

        The page itself leads on. A browser that follows a redirection from a link on another site would not
        send a cookie of `SameSite=Strict`. The address is relative, so a prefix before it stays.
        """
        rest = [pair for pair in request.query_params.multi_items() if pair[0] != TOKEN]
        name = request.url.path.rsplit("/", 1)[-1]
        address = escape(f"./{name}" + (f"?{urlencode(rest)}" if rest else ""))
        response = HTMLResponse(ON.format(address=address))
        response.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
        return response


def cookie_name(token: str) -> str:
    """Return the name of the cookie of a server: a browser sends all servers of a host the same cookies."""
    return f"advisor-{hashlib.sha256(token.encode()).hexdigest()[:8]}"


def _name(host: str) -> str:
    """Return the name of a host without its port; empty for text that is not a host."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_own(headers: Headers) -> bool:
    """Return whether a request comes from this page, or from the address bar of a browser."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        return False
    site = headers.get("sec-fetch-site")
    return site in _OWN_SITE or headers.get("sec-fetch-mode") == "navigate"
