"""The script of Vega for pages, made in a process of its own.

The converter makes it in about two seconds, and holds the lock of its Python meanwhile. In the server's own
process no page would be answered so long, and Ctrl-C would wait.
"""

from __future__ import annotations

import os
import subprocess
import sys
from threading import Lock

from advisor.spawning import searched_folders
from cli.web.charts.files import bundle

_CODE = """
import sys
from cli.web.charts.files import bundle
sys.stdout.buffer.write(bundle().encode())
"""
_lock = Lock()
_made: list[str] = []


def vega_script() -> str:
    """Return the JavaScript of Vega, Vega-Lite and Vega-Embed; it is made once."""
    with _lock:
        if not _made:
            _made.append(_from_process() or bundle())
        return _made[0]


def _from_process() -> str:
    """Return the script from a process that the terminal's Ctrl-C does not reach; empty if that failed."""
    own = {
        "PYTHONPATH": os.pathsep.join(searched_folders()),
        "PYTHONSAFEPATH": "1",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        env=os.environ | own,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    return done.stdout.decode() if done.returncode == 0 else ""
