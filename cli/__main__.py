"""The first module of the program, for the console script and `python -m cli`.

It imports nothing before Ctrl-C has a handler. The imports of the program take a tenth of a second, and an
interrupt among them would be a traceback.
"""

import os
import sys
import time

# When a person began to wait; Python itself took some hundredths of a second before.
BEGAN = time.monotonic()

# Number of new objects after which Python looks for garbage. Importing makes hundreds of thousands that stay,
# and looking through all of them again and again takes a tenth of the time of a short command.
OBJECTS = 50_000


def main() -> None:
    """Run the command line."""
    _leave_working_folder()
    _end_at_once(130)
    known: list[int] = []
    _begin(known)
    try:
        from cli.app import main as run

        run(BEGAN)
    except SystemExit as ended:
        # The result is known. What Python still does is to leave, and Ctrl-C may hasten it.
        known.append(ended.code if isinstance(ended.code, int) else 0)
        _end_at_once(known[0])
        raise


def _leave_working_folder() -> None:
    """Do not search the working folder for modules, as `python -m` does, unless the program lies in it."""
    try:
        working = os.path.realpath(os.getcwd())
    except OSError:
        return
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if sys.path and os.path.realpath(sys.path[0] or working) == working != os.path.realpath(own):
        del sys.path[0]


def _end_at_once(code: int) -> None:
    """Let Ctrl-C end the process without another instruction of Python."""
    import signal

    signal.signal(signal.SIGINT, lambda number, frame: os._exit(code))


def _begin(known: list[int]) -> None:
    """Let Python look for garbage rarely, and end without taking every module apart.

    With torch among them, that takes more than a second, in which nothing happens that matters. What is to be
    done at the end is done before: of such functions, the one that is registered first is called last.

    Args:
        known: receives the exit code when it is known; without one, an error is on its way to the user.
    """
    import atexit
    import gc

    gc.set_threshold(OBJECTS, 20, 100)

    def leave() -> None:
        if known:
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream.flush()
                except (OSError, ValueError):
                    # Its reader is gone, or its disk is full: said before, where it matters.
                    continue
            os._exit(known[0])

    atexit.register(leave)


if __name__ == "__main__":
    main()
