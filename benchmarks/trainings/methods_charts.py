"""The pictures of `methods.py`, from its results: error beside time, and error by number of members.

python benchmarks/trainings/methods_charts.py   # draws what `methods.py --judge` draws, from its JSON
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import altair as alt
from methods_ensembles import CHAIN, EQUAL, FULL, G1, SCENARIOS

from cli.web.charts.files import write_chart
from cli.web.charts.theme import chart_of, finished

RESULTS = Path(__file__).parent / "results"
NAME = "methods_converged"
COLUMNS, PANEL = 4, {"width": 220, "height": 180}
MOTHERNETS = "MotherNets of g clusters, joined (g = members: full data)"
NAMES = {CHAIN: "snapshots, all cycles", EQUAL: "snapshots, in the seconds of g = 1", FULL: "full data"}
LEGEND = alt.Legend(orient="top", columns=2, labelLimit=400)
DIGITS = "digits"


def front_chart(blocks: Sequence[Mapping[str, Any]], caption: str) -> alt.VConcatChart:
    """Return error beside seconds of ensembles and recipes.

    Args:
        blocks: ensembles and recipes with the figures of their methods.
        caption: machines, versions and dates.
    """
    return finished(
        _in_rows(_sorted(blocks), _panel),
        "Test error against training time, to convergence",
        ["Means over seeds with 90 % intervals of the error. Numbers are g", caption],
    )


def _sorted(blocks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return ensembles in their order, one recipe after the other."""
    order = [scenario.name for scenario in SCENARIOS]
    return sorted(
        blocks, key=lambda b: (b["recipe"], order.index(b["scenario"]) if b["scenario"] in order else 0)
    )


def _in_rows(
    blocks: Sequence[Mapping[str, Any]], panel: Callable[[Mapping[str, Any]], alt.LayerChart]
) -> alt.VConcatChart:
    """Return the panels of ensembles, those of a recipe in rows of their own."""
    rows = []
    for _, of_recipe in groupby(blocks, key=lambda block: block["recipe"]):
        panels = [panel(block) for block in of_recipe]
        rows += [alt.hconcat(*panels[i : i + COLUMNS]) for i in range(0, len(panels), COLUMNS)]
    return alt.vconcat(*rows).resolve_scale(color="shared", shape="shared")


def _panel(block: Mapping[str, Any]) -> alt.LayerChart:
    timed = {method: figures for method, figures in block["methods"].items() if figures["seconds"]}
    data = chart_of([_row(method, figures) for method, figures in timed.items()])
    y = alt.Y("error:Q", title="test error, %", scale=alt.Scale(zero=False))
    x = alt.X("seconds:Q", title="seconds on two cores", scale=alt.Scale(zero=True))
    colour = alt.Color("method:N", title=None, legend=LEGEND)
    # A legend of shapes would be a second one beside that of colours.
    shape = alt.Shape("method:N", legend=None)
    bars = data.mark_rule().encode(x=x, y=alt.Y("low:Q", title="test error, %"), y2="high:Q", color=colour)
    points = data.mark_point(filled=True, size=55).encode(x=x, y=y, color=colour, shape=shape)
    own = alt.datum.method == MOTHERNETS
    line = data.mark_line(color="#444").encode(x=x, y=y, order="clusters:Q").transform_filter(own)
    label = data.mark_text(dx=8, dy=-8).encode(x=x, y=y, text="clusters:Q").transform_filter(own)
    title = f"{block['scenario']}, {block['recipe']}"
    return alt.layer(line, bars, points, label).properties(title=title, **PANEL)


def _row(method: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    error = figures["error"]
    low, high = (error["mean"] if error[end] is None else error[end] for end in ("low", "high"))
    joined = method.startswith("mothernets") or method == FULL
    return {
        "method": MOTHERNETS if joined else NAMES.get(method, method),
        "clusters": figures["clusters"],
        "seconds": figures["seconds"]["mean"],
        "error": 100 * error["mean"],
        "low": 100 * max(low, 0.0),
        "high": 100 * high,
    }


def growth_chart(blocks: Sequence[Mapping[str, Any]], caption: str) -> alt.VConcatChart:
    """Return the error by number of members of snapshots, MotherNets of one cluster and full data.

    Args:
        blocks: ensembles and recipes with the figures of their methods.
        caption: machines, versions and dates.
    """
    return finished(
        _in_rows(_sorted(blocks), _growth),
        "Error as members are added",
        ["Means over seeds. The line marks six snapshots", caption],
    )


def _growth(block: Mapping[str, Any]) -> alt.LayerChart:
    shown = {m: f for m, f in block["methods"].items() if m in (G1, FULL, CHAIN, EQUAL)}
    data = chart_of(list(_curves(shown)))
    six = chart_of([{"members": 6}]).mark_rule(strokeDash=[4, 3], color="#777").encode(x="members:Q")
    lines = data.mark_line(point=True).encode(
        x=alt.X("members:Q", title="members"),
        y=alt.Y("error:Q", title="test error, %", scale=alt.Scale(zero=False)),
        color=alt.Color("method:N", title=None, legend=LEGEND),
    )
    title = f"{block['scenario']}, {block['recipe']}"
    return alt.layer(six, lines).properties(title=title, **PANEL)


def _curves(methods: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for method, figures in methods.items():
        name = "MotherNets, g = 1" if method == G1 else NAMES.get(method, method)
        for i, error in enumerate(figures["errors_by_members"]):
            yield {"method": name, "members": i + 1, "error": 100 * error}


def caption_of(result: Mapping[str, Any]) -> str:
    """Return machines, versions and dates in words."""
    dates, torch = dict.fromkeys(result["dates"]), ", ".join(result["versions"]["torch"])
    return f"{'; '.join(result['devices'])}, torch {torch}, {' to '.join(dates)}"


def draw(result: Mapping[str, Any]) -> None:
    """Draw the pictures beside the results, digits apart."""
    caption = caption_of(result)
    for name, on_digits in (("cpu", False), ("digits-cpu", True)):
        blocks = [b for b in result["blocks"] if b["scenario"].endswith(DIGITS) is on_digits]
        if any(figures["seconds"] for block in blocks for figures in block["methods"].values()):
            write_chart(front_chart(blocks, caption), RESULTS / f"{NAME}-{name}.svg", "the picture")
    chains = [b for b in result["blocks"] if CHAIN in b["methods"]]
    if chains:
        write_chart(growth_chart(chains, caption), RESULTS / f"{NAME}-members-cpu.svg", "the picture")


if __name__ == "__main__":
    draw(json.loads((RESULTS / f"{NAME}-cpu.json").read_text()))
