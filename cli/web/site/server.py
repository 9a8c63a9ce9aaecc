"""The server of the local page: it listens, says its address, opens a browser, and ends on Ctrl-C."""

from __future__ import annotations

import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address

from advisor.errors import UsageError
from cli.web.charts.files import WEB_REMEDY
from cli.workflows.home import Home

PACKAGES = ("starlette", "uvicorn", "jinja2", "altair", "vl_convert")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Where the page is served.

    Attributes:
        host: name or address that the server listens at.
        port: number of its port; 0 for one that is free.
        proxy: name of the host under which a proxy serves the page; None without one.
        browser: whether a browser is opened.
    """

    host: str = "127.0.0.1"
    port: int = 0
    proxy: str | None = None
    browser: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.port <= MOST_PORT:
            raise UsageError(f"--port must be from 0 to {MOST_PORT}, got {self.port}")
        if not self.host.strip():
            # An empty name means all addresses to the system, and a reader did not say that.
            raise UsageError("--host must be an address of this machine, got an empty name")

    @property
    def only_here(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOOPBACK

    @property
    def hosts(self) -> frozenset[str] | None:
        """Names of the host that are answered; None for any, where the machine listens at all addresses."""
        if _is_everywhere(self.host) and self.proxy is None:
            return None
        return frozenset(filter(None, (*LOOPBACK, self.host, self.proxy)))


def serve(home: Home, serving: Serving, say: Callable[[str], None]) -> None:
    """Serve the local page until a signal ends it.

    Args:
        home: folder of the database.
        serving: where the page is served.
        say: receiver of the address.

    Raises:
        UsageError: packages are missing, or the address cannot be listened at.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UsageError(f"advisor web needs the packages {', '.join(missing)}: {WEB_REMEDY}")
    import uvicorn

    from cli.web.site.application import application
    from cli.web.site.ending import EndingServer
    from cli.web.site.pages import Site

    listening = _listening(serving)
    token = secrets.token_urlsafe(16)
    name = f"[{serving.host}]" if ":" in serving.host else serving.host
    address = f"http://{name}:{listening.getsockname()[1]}/?token={token}"
    say(address)
    if not serving.only_here:
        say(
            f"whoever reaches {serving.host} and has this address can read designs, data sets, paths and "
            "errors of all runs; the connection is not encrypted"
        )
    say("Ctrl-C ends it")
    site = Site.of(home)
    threading.Thread(target=site.warm, daemon=True).start()
    if serving.browser:
        threading.Timer(0.3, webbrowser.open, [address]).start()
    config = uvicorn.Config(
        application(site, token, serving.hosts),
        log_level="error",
        access_log=False,
        lifespan="off",
    )
    EndingServer(config).run(sockets=[listening])


def _listening(serving: Serving) -> socket.socket:
    """Return a socket that listens at the address.

    Raises:
        UsageError: it cannot.
    """
    family = socket.AF_INET6 if ":" in serving.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((serving.host, serving.port))
        # A browser that comes early waits until the server accepts.
        found.listen()
    except (OSError, UnicodeError) as error:
        found.close()
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot listen at {serving.host:.60} port {serving.port} ({reason}): name another "
            "with --port or --host"
        ) from None
    return found


def _is_everywhere(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
