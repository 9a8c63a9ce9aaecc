"""Signals of a process that a terminal starts."""

import signal


def as_in_a_terminal() -> None:
    """Give this process, between fork and exec, the signals that a terminal gives.

    The tests may run in the background or under `nohup`, where some of them are ignored.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
