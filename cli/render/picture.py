"""Pictures that commands draw to a file: PNG or SVG, with matplotlib."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.errors import UsageError
from advisor.files import replacing
from cli.workflows.files import cannot_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMS = (".png", ".svg")
REMEDY = "pip install 'ensemble-advisor[plot]'"
# Dots per inch of a PNG.
DOTS = 150
# An SVG without a date is the same file for the same answer.
METADATA = {".svg": {"Date": None}}


def check_plot(path: Path) -> None:
    """Refuse a picture that could not be drawn, before any work.

    Raises:
        UsageError: a format other than PNG and SVG, or a missing matplotlib.
    """
    if path.suffix.lower() not in FORMS:
        raise UsageError(f"--plot writes .png or .svg, got {path}")
    if find_spec("matplotlib") is None:
        raise UsageError(f"--plot needs the package matplotlib: {REMEDY}")


def empty_figure(width: float, height: float) -> Figure:
    """Return a figure of a size in inches.

    It is made without pyplot, which would look for a screen: this one draws with Agg, or as SVG.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path, content: str) -> None:
    """Write a figure to a PNG or SVG file.

    Args:
        figure: the figure.
        path: path of the file.
        content: content of the file, as an error names it.

    Raises:
        StorageError: a file that cannot be written.
    """
    from matplotlib import rc_context

    try:
        with replacing(path) as part, rc_context({"svg.hashsalt": "advisor"}):
            form = path.suffix.lower()
            figure.savefig(part, format=form.removeprefix("."), dpi=DOTS, metadata=METADATA.get(form))
    except OSError as error:
        raise cannot_write(path, content, error) from None
