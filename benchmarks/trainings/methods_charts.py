"""The pictures of `methods.py`, from its results: error beside time, and error by number of members.

python benchmarks/trainings/methods_charts.py   # draws what `methods.py --judge` draws, from its JSON
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
from methods_ensembles import CHAIN, EQUAL, FULL, G1

from cli.web.charts.files import write_chart
from cli.web.charts.theme import chart_of, finished

RESULTS = Path(__file__).parent / "results"
NAME = "methods_converged"
PANEL = {"width": 330, "height": 230}
MOTHERNETS = "MotherNets, g = 1 … m (full data)"


def front_chart(result: Mapping[str, Any]) -> alt.VConcatChart:
    """Return error beside seconds of every ensemble and recipe."""
    panels = [_panel(block) for block in result["blocks"]]
    return finished(
        _in_pairs(panels),
        "Test error against training time to convergence, all methods at once",
        ["Means over seeds with 90 % intervals. MotherNets of rising g are joined", _caption(result)],
    )


def _in_pairs(panels: Sequence[alt.LayerChart]) -> alt.VConcatChart:
    rows = [alt.hconcat(*panels[i : i + 2]) for i in range(0, len(panels), 2)]
    return alt.vconcat(*rows).resolve_scale(color="shared", shape="shared")


def _panel(block: Mapping[str, Any]) -> alt.LayerChart:
    timed = {method: figures for method, figures in block["methods"].items() if figures["seconds"]}
    data = chart_of([_row(method, figures) for method, figures in timed.items()])
    y = alt.Y("error:Q", title="test error, %", scale=alt.Scale(zero=False))
    x = alt.X("seconds:Q", title="training, seconds on two cores", scale=alt.Scale(zero=True))
    legend = alt.Legend(orient="bottom", columns=3)
    colour = alt.Color("method:N", title=None, legend=legend, scale=alt.Scale(scheme="tableau20"))
    # A legend of shapes would be a second one beside that of colours.
    shape = alt.Shape("method:N", legend=None)
    bars = data.mark_rule().encode(x=x, y=alt.Y("low:Q", title="test error, %"), y2="high:Q", color=colour)
    points = data.mark_point(filled=True, size=55).encode(x=x, y=y, color=colour, shape=shape)
    line = data.mark_line(color="#444").encode(x=x, y=y, order="clusters:Q")
    joined = line.transform_filter(alt.datum.method == MOTHERNETS)
    title = f"{block['scenario']}, {block['recipe']}"
    return alt.layer(joined, bars, points).properties(title=title, **PANEL)


def _row(method: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    error = figures["error"]
    low, high = (error["mean"] if error[end] is None else error[end] for end in ("low", "high"))
    joined = method.startswith("mothernets") or method == FULL
    return {
        "method": MOTHERNETS if joined else method,
        "clusters": figures["clusters"],
        "seconds": figures["seconds"]["mean"],
        "error": 100 * error["mean"],
        "low": 100 * low,
        "high": 100 * high,
    }


def growth_chart(result: Mapping[str, Any]) -> alt.VConcatChart:
    """Return the error by number of members of snapshots, MotherNets of one cluster and full data."""
    panels = [_growth(block) for block in result["blocks"] if CHAIN in block["methods"]]
    return finished(
        _in_pairs(panels),
        "Error as members are added",
        ["Means over seeds. The line marks six snapshots", _caption(result)],
    )


def _growth(block: Mapping[str, Any]) -> alt.LayerChart:
    shown = {m: f for m, f in block["methods"].items() if m in (G1, FULL, CHAIN, EQUAL)}
    data = chart_of(list(_curves(shown)))
    six = chart_of([{"members": 6}]).mark_rule(strokeDash=[4, 3], color="#777").encode(x="members:Q")
    lines = data.mark_line(point=True).encode(
        x=alt.X("members:Q", title="members"),
        y=alt.Y("error:Q", title="test error, %", scale=alt.Scale(zero=False)),
        color=alt.Color("method:N", title=None, legend=alt.Legend(orient="bottom", columns=2)),
    )
    title = f"{block['scenario']}, {block['recipe']}"
    return alt.layer(six, lines).properties(title=title, **PANEL)


def _curves(methods: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for method, figures in methods.items():
        for i, error in enumerate(figures["errors_by_members"]):
            yield {"method": method, "members": i + 1, "error": 100 * error}


def _caption(result: Mapping[str, Any]) -> str:
    first, last = result["dates"]
    torch = ", ".join(result["versions"]["torch"])
    return f"{'; '.join(result['devices'])}, torch {torch}, {first} to {last}"


def draw(result: Mapping[str, Any]) -> None:
    """Draw both pictures beside the results."""
    write_chart(front_chart(result), RESULTS / f"{NAME}-cpu.svg", "the picture")
    if any(CHAIN in block["methods"] for block in result["blocks"]):
        write_chart(growth_chart(result), RESULTS / f"{NAME}-members-cpu.svg", "the picture")


if __name__ == "__main__":
    draw(json.loads((RESULTS / f"{NAME}-cpu.json").read_text()))
