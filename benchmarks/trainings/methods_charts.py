"""The pictures of `methods.py`, from its results: error beside time, and error by number of members.

python benchmarks/trainings/methods_charts.py   # draws results/methods-cpu.svg and -members-cpu.svg
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import altair as alt

from cli.web.charts.files import write_chart
from cli.web.charts.theme import chart_of, finished

RESULTS = Path(__file__).parent / "results"
PANEL = {"width": 330, "height": 230}
MOTHERNETS = "MotherNets, g = 1 … m (full data)"


def front_chart(result: Mapping[str, Any]) -> alt.VConcatChart:
    """Return error beside seconds of every ensemble that has methods enough for a front."""
    found = {name: f["methods"] for name, f in result["scenarios"].items() if "full_data" in f["methods"]}
    panels = [_panel(name, methods) for name, methods in found.items()]
    rows = [alt.hconcat(*panels[i : i + 2]) for i in range(0, len(panels), 2)]
    chart = alt.vconcat(*rows).resolve_scale(color="shared", shape="shared")
    return finished(
        chart,
        "Test error against training time, all methods at once",
        [
            "Means over seeds with 90 % intervals. MotherNets of rising g are joined. Dashed: single network",
            _caption(result),
        ],
    )


def _panel(name: str, methods: Mapping[str, Any]) -> alt.LayerChart:
    rows = [_row(method, figures) for method, figures in methods.items() if method != "single"]
    data = chart_of(rows)
    y = alt.Y("error:Q", title="test error, %", scale=alt.Scale(zero=False))
    x = alt.X("seconds:Q", title="training, seconds on two cores", scale=alt.Scale(zero=True))
    legend = alt.Legend(orient="bottom", columns=3)
    colour = alt.Color("method:N", title=None, legend=legend, scale=alt.Scale(scheme="tableau20"))
    # A legend of shapes would be a second one beside that of colours.
    shape = alt.Shape("method:N", legend=None)
    bars = data.mark_rule().encode(x=x, y=alt.Y("low:Q", title="test error, %"), y2="high:Q", color=colour)
    points = data.mark_point(filled=True, size=55).encode(x=x, y=y, color=colour, shape=shape)
    line = data.mark_line(color="#444").encode(x=x, y=y).transform_filter(alt.datum.method == MOTHERNETS)
    layers = [line, bars, points]
    if "single" in methods:
        alone = chart_of([{"error": 100 * methods["single"]["error"]["mean"]}])
        layers.append(alone.mark_rule(strokeDash=[4, 3], color="#777").encode(y="error:Q"))
    return alt.layer(*layers).properties(title=name, **PANEL)


def _row(method: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    mean, half = 100 * figures["error"]["mean"], 100 * (figures["error"]["half"] or 0.0)
    joined = method.startswith("mothernets") or method == "full_data"
    return {
        "method": MOTHERNETS if joined else method,
        "seconds": figures["seconds"],
        "error": mean,
        "low": mean - half,
        "high": mean + half,
    }


def growth_chart(result: Mapping[str, Any]) -> alt.HConcatChart:
    """Return the error of V25 by number of members, and by processor seconds."""
    rows = [
        {"method": name, "members": i + 1, "error": 100 * error, "seconds": seconds}
        for name, curve in result["growth"].items()
        for i, (error, seconds) in enumerate(zip(curve["errors"], curve["core_seconds"], strict=True))
    ]
    data = chart_of(rows).mark_line(point=True)
    y = alt.Y("error:Q", title="test error, %", scale=alt.Scale(zero=False))
    by_count = data.encode(
        x=alt.X("members:Q", title="members"), y=y, color=alt.Color("method:N", title=None)
    )
    by_time = data.encode(
        x=alt.X("seconds:Q", title="training, processor seconds"),
        y=y,
        color=alt.Color("method:N", title=None),
    )
    return finished(
        alt.hconcat(by_count.properties(**PANEL), by_time.properties(**PANEL)),
        "V25: error as members are added",
        ["Means over seeds", _caption(result)],
    )


def _caption(result: Mapping[str, Any]) -> str:
    return f"{result['device']}, torch {result['versions']['torch']}, {result['date']}"


def draw(result: Mapping[str, Any]) -> None:
    """Draw both pictures beside the results."""
    write_chart(front_chart(result), RESULTS / "methods-cpu.svg", "the picture")
    if result["growth"]:
        write_chart(growth_chart(result), RESULTS / "methods-members-cpu.svg", "the picture")


if __name__ == "__main__":
    draw(json.loads((RESULTS / "methods-cpu.json").read_text()))
