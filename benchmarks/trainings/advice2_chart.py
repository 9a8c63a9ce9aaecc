"""The map of `docs/findings.md`: the tuned single network against tuned ensembles, by images and parameters.

python benchmarks/trainings/advice2_chart.py   # results/advice2-cpu.json -> docs/pictures/images-parameters.svg
"""  # noqa: E501

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import altair as alt
from advice2 import RESULT

from cli.render.formats import count
from cli.web.charts.files import write_chart
from cli.web.charts.theme import ENSEMBLE, SINGLE, SMALL, chart_of, finished

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "images-parameters.svg"
# Width and height of a cell in pixels, and the lead in points from which on the colour is full.
COLUMN, ROW, FULL = 118, 46, 4.0
Row = dict[str, Any]


def map_chart(result: Mapping[str, Any]) -> alt.LayerChart:
    """Return the leads of the ensembles, a column for each data set in the order of its images."""
    rows = [_cell(row) for row in result["map"]]
    columns = [row["data"] for row in sorted(rows, key=lambda row: row["images"])]
    budgets = sorted({row["budget"] for row in rows}, reverse=True)
    x = alt.X(
        "data:O", sort=list(dict.fromkeys(columns)), title="training images", axis=alt.Axis(labelAngle=0)
    )
    y = alt.Y("parameters:O", sort=[count(b) for b in budgets], title="total parameters")
    scale = alt.Scale(
        domain=[-FULL, 0, FULL], range=[SINGLE, "#ffffff", ENSEMBLE], clamp=True, interpolate="rgb"
    )
    base = chart_of(rows)
    squares = base.mark_rect(stroke="#ddd").encode(
        x=x, y=y, color=alt.Color("lead:Q", scale=scale, title="ensembles ahead, points")
    )
    figures = base.mark_text(fontSize=SMALL + 2, dy=-6, fontWeight="bold").encode(x=x, y=y, text="figure:N")
    ends = base.mark_text(fontSize=SMALL, dy=9, color="#333").encode(x=x, y=y, text="ends:N")
    size = {"width": COLUMN * len(set(columns)), "height": ROW * len(budgets)}
    seeds = sorted({row["seeds"] for row in result["map"]})
    return finished(
        alt.layer(squares, figures, ends).properties(**size),
        "Points of test error by which the best ensemble beats the best single network of its size",
        [
            "Both with the best of several depths, members and weight decays, named by validation errors"
            + (". Below: 90 % interval over seeds" if max(seeds) > 1 else ""),
            f"ResNets, long schedules, {_seeds(seeds)} a cell. "
            f"{', '.join(result['device'])}, torch {result['versions']['torch']}, {result['trained'][1]}",
        ],
    )


def _cell(row: Mapping[str, Any]) -> Row:
    name = row["dataset"].removeprefix("fashion-")
    ends = "" if row["low"] is None else f"{_signed(row['low'])} to {_signed(row['high'])}"
    return {
        "data": f"{row['images']:,} ({name})",
        "images": row["images"],
        "budget": row["budget"],
        "parameters": count(row["budget"]),
        "lead": row["mean"],
        "figure": _signed(row["mean"]),
        "ends": ends,
    }


def _seeds(numbers: list[int]) -> str:
    if max(numbers) == 1:
        return "one seed"
    return f"{' to '.join(map(str, sorted({min(numbers), max(numbers)})))} seeds"


def _signed(points: float) -> str:
    return f"{points:+.1f}".replace("-", "−")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--result", type=Path, default=RESULT, help="JSON file of advice2.py")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="file that is drawn")
    given = parser.parse_args()
    write_chart(map_chart(json.loads(given.result.read_text())), given.picture, "the map")


if __name__ == "__main__":
    main()
