"""The first module of the program, for the console script and `python -m cli`.

It imports nothing before Ctrl-C has a handler. The imports of the program take a tenth of a second, and an
interrupt among them would be a traceback.
"""

import os
import sys


def main() -> None:
    """Run the command line."""
    _leave_working_folder()
    _end_at_once(130)
    try:
        from cli.app import main as run

        run()
    except SystemExit as ended:
        # The result is known. What Python still does is to leave, and Ctrl-C may hasten it.
        _end_at_once(ended.code if isinstance(ended.code, int) else 0)
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


if __name__ == "__main__":
    main()
