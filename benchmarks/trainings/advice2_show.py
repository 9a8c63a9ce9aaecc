"""The figures of the second grid as tables in Markdown, for docs/findings.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]
MISSES = ("mean", "median", "pooled", "counting")


def show(found: Mapping[str, Any]) -> None:
    """Print all tables."""
    print(f"\n{found['trainings']} trainings, {found['core_seconds']:,} core seconds")
    print("; ".join(f"{name}: {count}" for name, count in found["rows"].items()))
    for schedule, figures in found["schedules"].items():
        print(f"\n## {schedule} schedules, {figures['cells']} cells")
        if figures["cells"]:
            _schedule(figures)
    print(f"\nagainst every weight decay, same seeds: {_mean(found['against_every_weight_decay'])} points")
    _cells(found["cells"])
    _map(found["map"])
    _weight_decay(found["weight_decay"])
    _convergence(found["convergence"])


def _schedule(figures: Mapping[str, Any]) -> None:
    _table(
        ("goal", "limit", "figure", "verdict"),
        [
            (r["figure"], r["goal"], _number(r["value"], 3), r["verdict"] + _named(r.get("rules")))
            for r in figures["goals"]
        ],
    )
    measures = ("same_seeds", "cross_fitted", "as_trained")
    _table(
        ("regret, points", *(m.replace("_", " ") for m in measures), "advice less this", "", ""),
        [
            (
                r["rule"],
                *(_mean(r[m]) for m in measures),
                *(_mean(r[f"advice_minus_this_{m}"]) for m in measures),
            )
            for r in figures["regret"]
        ],
    )
    _table(
        ("points above the best on a fresh seed", "mean", "cells"),
        [(name, _mean(row), row["cells"]) for name, row in figures["on_a_fresh_seed"].items()],
    )
    _table(
        ("forecast", "data", "inside", "width, factor", "largest", *(f"{m} miss" for m in MISSES), "designs"),
        [
            (
                key.replace("_", " "),
                data,
                *(
                    _number(row.get(f), 2)
                    for f in ("share", "factor", "largest_factor", *(f"{m}_miss" for m in MISSES))
                ),
                row["designs"],
            )
            for key in ("first_sight", "after_probing")
            for data, row in ({"all": figures[key]} | figures[key]["parts"]).items()
        ],
    )
    choices = figures["one_or_several"]
    print(
        f"\none or several: {_number(choices['share'], 2)} right ({_number(choices['low'], 2)} to "
        f"{_number(choices['high'], 2)}) of {len(choices['cells'])} cells; "
        f"always several: {_number(choices['always_several'], 2)}"
    )


def _cells(rows: Sequence[Row]) -> None:
    _table(
        ("data set", "budget", "epochs", "designs × seeds", "first sight", "advised", "regret", "best"),
        [
            (
                r["dataset"],
                f"{r['budget']:,}",
                r["epochs"],
                f"{r['designs']} × {r['seeds']}",
                r["at_first_sight"],
                f"{r['advised']} after {len(r['probes'])} probes",
                " → ".join(_number(x["same_seeds"], 2) for x in r["regret"].values()),
                r["best"][0] + (f" and {len(r['best']) - 1} as good" if len(r["best"]) > 1 else ""),
            )
            for r in rows
        ],
    )


def _map(rows: Sequence[Row]) -> None:
    _table(
        (
            "data set",
            "images",
            "budget",
            "seeds",
            "single, %",
            "ensemble, %",
            "ensemble leads by",
            "single",
            "ensemble",
        ),
        [
            (
                r["dataset"],
                r["images"],
                f"{r['budget']:,}",
                r["seeds"],
                _number(r["single_error"], 2),
                _number(r["ensemble_error"], 2),
                _mean(r),
                *(max(r[kind], key=r[kind].get) for kind in ("singles", "ensembles")),
            )
            for r in rows
        ],
    )


def _weight_decay(rows: Sequence[Row]) -> None:
    _table(
        ("weight decay", "kind", "change of the error, points", "cells"),
        [(f"× {r['multiple']}", r["kind"], _mean(r), r["cells"]) for r in rows],
    )


def _convergence(rows: Sequence[Row]) -> None:
    _table(
        ("data set", "budget", "best single", "epochs", "error, %", "gain of the long schedule", ""),
        [
            (
                r["dataset"],
                f"{r['budget']:,}",
                r["single"],
                f"{r['short_epochs']} → {r['epochs']}",
                _number(r["error"], 2),
                _mean(r["gain"]),
                r["state"],
            )
            for r in rows
        ],
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    print("\n| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


def _named(names: Sequence[str] | None) -> str:
    return f" ({', '.join(names)})" if names else ""


def _mean(figure: Mapping[str, Any]) -> str:
    if figure["mean"] is None:
        return "–"
    ends = "" if figure["low"] is None else f" ({_number(figure['low'], 2)} to {_number(figure['high'], 2)})"
    return f"{_number(figure['mean'], 2)}{ends}"


def _number(value: float | None, digits: int) -> str:
    # Adding zero removes the sign of a negative zero.
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
