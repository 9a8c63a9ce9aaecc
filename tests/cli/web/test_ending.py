"""The end of the server, as a process of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from urllib.request import Request, urlopen

from web_browser import served

from cli.web.site.guard import cookie_name


def test_ctrl_c_ends_the_server_while_a_search_runs(tmp_path):
    # The check of exit code, silence and time is that of `served`.
    with served(tmp_path / "home") as address:
        start, _, token = address.partition("?token=")
        path = "switchover?budget=10k-100M&epochs=1-500"
        question = Request(f"{start}{path}", headers={"Cookie": f"{cookie_name(token)}={token}"})

        def ask():
            with contextlib.suppress(OSError):
                urlopen(question)

        threading.Thread(target=ask, daemon=True).start()
        time.sleep(0.5)
    assert not (tmp_path / "home").exists()
