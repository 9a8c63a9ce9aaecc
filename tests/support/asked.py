"""Questions to a web application in this process, without a server or a client library."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

HOST = "127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Reply:
    """What an application answered.

    Attributes:
        code: HTTP status.
        headers: headers by their names in small letters; the last of several with one name.
        text: the body.
    """

    code: int
    headers: Mapping[str, str]
    text: str


def asked(
    application: Any,
    address: str,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    cookie: str | None = None,
    gone: bool = False,
) -> Reply:
    """Return the reply of an ASGI application to one request.

    Args:
        application: the application.
        address: path with its query.
        headers: headers of the request; `Host` is that of this machine unless it is given.
        method: method of the request.
        cookie: value of the header `Cookie`.
        gone: whether the reader has closed the connection.
    """
    path, _, query = address.partition("?")
    given = {"host": HOST} | {name.lower(): value for name, value in (headers or {}).items()}
    if cookie is not None:
        given["cookie"] = cookie
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": quote(query, safe="=&%+:/?@,~;-._").encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50_000),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if gone:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    # A thread of its own has no loop yet; a browser that is driven in this one has.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, application(scope, receive, send)).result()
    start = next(message for message in sent if message["type"] == "http.response.start")
    body = b"".join(message.get("body", b"") for message in sent)
    names = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
    return Reply(start["status"], names, body.decode())
