"""Charts as files: SVG and PNG without a browser, and HTML that opens offline.

A page of HTML carries Vega, Vega-Lite and Vega-Embed with it, and the specification as JSON. Its policy lets
it load nothing, and expressions are interpreted, not evaluated.
"""

from __future__ import annotations

import json
import re
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.errors import UsageError
from advisor.files import replacing
from cli.workflows.files import cannot_write, check_writable

if TYPE_CHECKING:
    import altair as alt

FORMS = (".html", ".svg", ".png")
REMEDY = "pip install 'ensemble-advisor[plot]'"
WEB_REMEDY = "pip install 'ensemble-advisor[web]'"
# Pixels of a PNG for every pixel of the page.
SCALE = 2.0
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
</head>
<body>
<div id="chart" role="img" aria-label="{title}"></div>
<script>{vega}</script>
<script type="application/json" id="specification">{specification}</script>
<script>
const text = document.getElementById("specification").textContent;
const actions = {{export: true, source: false, compiled: false, editor: false}};
vegaEmbed("#chart", JSON.parse(text), {{ast: true, renderer: "svg", actions}});
</script>
</body>
</html>
"""


def check_picture(path: Path | None, content: str, option: str = "--plot") -> None:
    """Refuse a picture that could not be drawn, before any work.

    Args:
        path: file that will be written; None for none.
        content: what the file will have, as errors name it.
        option: option that names the file.

    Raises:
        UsageError: a format other than HTML, SVG and PNG, or missing packages.
        StorageError: a file that cannot be written.
    """
    if path is None:
        return
    if path.suffix.lower() not in FORMS:
        raise UsageError(f"{option} writes .html, .svg or .png, got {path}")
    if any(find_spec(name) is None for name in ("altair", "vl_convert")):
        raise UsageError(f"{option} needs the packages altair and vl-convert-python: {REMEDY}")
    check_writable(path, content)


def check_report(path: Path, content: str) -> None:
    """Refuse a report that could not be written, before any work.

    Args:
        path: file that will be written.
        content: what the file will have, as errors name it.

    Raises:
        UsageError: another format than HTML, or missing packages.
        StorageError: a file that cannot be written.
    """
    if path.suffix.lower() != ".html":
        raise UsageError(f"a report is an .html file, got {path}")
    missing = [name for name in ("altair", "vl_convert", "jinja2") if find_spec(name) is None]
    if missing:
        raise UsageError(f"a report needs the packages {', '.join(missing)}: {WEB_REMEDY}")
    check_writable(path, content)


def write_chart(chart: alt.TopLevelMixin, path: Path, content: str) -> None:
    """Write a chart to a file; the ending of its name chooses the format.

    Args:
        chart: the chart.
        path: the file.
        content: what the file has, as errors name it.

    Raises:
        StorageError: a file that cannot be written.
    """
    specification = chart.to_dict()
    drawn = _drawn(specification, path.suffix.lower())
    try:
        with replacing(path) as part:
            part.write_bytes(drawn)
    except OSError as error:
        raise cannot_write(path, content, error) from None


def _drawn(specification: dict[str, object], form: str) -> bytes:
    import vl_convert

    version = vega_lite_version()
    if form == ".svg":
        svg: str = vl_convert.vegalite_to_svg(specification, vl_version=version)
        return _numbered_anew(svg).encode()
    if form == ".png":
        png: bytes = vl_convert.vegalite_to_png(specification, vl_version=version, scale=SCALE)
        return png
    title = specification.get("title")
    named = title.get("text", "chart") if isinstance(title, dict) else "chart"
    page = PAGE.format(
        policy=POLICY,
        title=escape(str(named), quote=True),
        vega=bundle(),
        # A closing tag within the data would end the element.
        specification=json.dumps(specification, separators=(",", ":")).replace("<", "\\u003c"),
    )
    return page.encode()


def _numbered_anew(svg: str) -> str:
    """Return an SVG whose identifiers count from 1: those of the converter count over a whole process."""
    numbers: dict[str, int] = {}

    def renamed(found: re.Match[str]) -> str:
        return f"{found[1]}{numbers.setdefault(found[0], len(numbers) + 1)}"

    return re.sub(r"\b(clip|gradient_?|pattern_?)\d+\b", renamed, svg)


def bundle() -> str:
    """Return the JavaScript of Vega, Vega-Lite and Vega-Embed, from the installed package."""
    import vl_convert

    javascript: str = vl_convert.javascript_bundle(vl_version=vega_lite_version())  # type: ignore[call-arg]
    return javascript


def vega_lite_version() -> str:
    """Return the version of Vega-Lite that Altair writes, as vl-convert names it: ``6.1``."""
    from altair import SCHEMA_VERSION

    return ".".join(SCHEMA_VERSION.removeprefix("v").split(".")[:2])
