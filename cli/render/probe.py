"""Probes for a person: what was trained, what was foreseen, what came out, and what it changed."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from cli.render.formats import Plain, count, duration, percent, table

NOTE = "moves: how far the comparison was expected to move, in points; errors are on validation images"
ENDED = {
    "time": "The time is up.",
    "nothing worthwhile": (
        "No further probe would move the choice by {worthwhile} points: more probing would not help."
    ),
    "too little time": "The time left is too short for the probes that would teach something.",
}


def probing(payload: Plain) -> RenderableType:
    """A row a probe, and the best design before and after."""
    title = (
        f"{len(payload['probes'])} probes for {count(payload['budget_parameters'])} parameters and "
        f"{payload['epochs']} epochs of {payload['dataset']}"
    )
    columns = [
        ("#", "r"),
        ("probe", "l"),
        *((c, "r") for c in ("epochs", "time", "moves", "foreseen", "found")),
    ]
    rows = [
        [
            str(number),
            p["design"],
            str(p["epochs"]),
            duration(p["seconds"]),
            f"{p['move_points']:.2f}",
            f"{percent(p['predicted_error']['low'])}–{percent(p['predicted_error']['high'])}",
            percent(p["error"]),
        ]
        for number, p in enumerate(payload["probes"], 1)
    ]
    parts: list[RenderableType] = [Text(title, style="bold")]
    if payload["probes"]:
        parts += [table("", columns, rows), Text(NOTE, style="dim")]
    parts += [Text(ENDED[payload["ended"]].format(worthwhile=payload["worthwhile_points"]))]
    for when in ("before", "after"):
        best, error = payload[when], payload[when]["test_error"]
        parts.append(
            Text(
                f"{when}: {best['design']}, {percent(error['mean'])} "
                f"({percent(error['low'])}–{percent(error['high'])})"
            )
        )
    return Group(*parts)
