"""Advice and spaces as tables for a person, from the very JSON that `--json` prints."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.text import Text

from advisor.plans.method import BY_CLUSTERS
from cli.render.formats import Plain, count, design_lines, duration, interval, or_dash, percent, size, table
from cli.render.reasons import length, measure_next, total_size, why, would_change

SHOWN_DESIGNS = 40

# How each objective ranks.
_RANKED = {
    "error": "by error to two significant digits, then the sooner trained",
    "time": "by time, those first that likely match the {reference}",
    "balanced": "by error x seconds^0.1: ten times the training must buy a fifth less",
}
ENDS = "Median (90 % interval); ≤ and >: at an end of what was looked at, or beyond it."
_SHORT = {
    "single": "single",
    "depth_equivalent": "deq",
    "width_equivalent": "weq",
    "mixed": "mixed",
}


def recommendation(payload: Plain) -> RenderableType:
    """The ranking, what speaks for it and would change it, the thresholds and the next command."""
    request, rows = payload["request"], payload["recommendations"]
    ranking = table(
        f"{request['budget']} parameters, {request['epochs']} epochs of {request['dataset']}, "
        f"batch {request['batch']}, by {request['objective']}",
        [
            ("#", "r"),
            ("design\nclass, size", "l"),
            ("test\nerror", "r"),
            ("beats\nsingle", "r"),
            ("training\n", "r"),
            ("epoch\n", "r"),
            ("memory\nlatency", "r"),
        ],
        [_recommendation_row(row) for row in rows],
    )
    best = rows[0]
    parts: list[RenderableType] = [ranking, Text(_legend(payload), style="dim")]
    parts += ["", *why(payload), *would_change(payload), *measure_next(payload)]
    parts += ["", _thresholds(payload), Text(ENDS, style="dim")]
    parts += ["", Text(_basis(best["evidence"], payload), style="dim")]
    parts += ["", Text("Next: advisor train          (or advisor explain; --rank N for another row)")]
    return Group(*parts)


def _legend(payload: Plain) -> str:
    """What the ranking shows, in lines of 80 columns at most."""
    reference = next(row for row in payload["recommendations"] if row["reference"])
    single = reference["class"] == "single"
    ranked = _RANKED[payload["request"]["objective"]].format(
        reference="best single network" if single else "most accurate one"
    )
    beats = "chance that one training has less error than the best single (–)"
    return "\n".join(
        [
            f"Ranked {ranked}.",
            f"Beats single: {beats if single else 'no single network keeps the limits'}.",
            "deq, weq: depth- and width-equivalent ensemble, mixed: of several shapes.",
            "* is nearest the switchover threshold; latency is of one image; 90 % intervals.",
        ]
    )


def _recommendation_row(row: Plain) -> list[str]:
    predicted = row["predicted"]
    mark = " *" if row["near_threshold"] else ""
    method = "" if row["method"] in BY_CLUSTERS else row["method"]
    return [
        str(row["rank"]),
        f"{design_lines(row['design'])}{mark}\n"
        f"{', '.join(filter(None, [_SHORT[row['class']], count(row['parameters']), method]))}",
        interval(predicted["test_error"], percent),
        or_dash(row["probability_beats_single"], "{:.0%}".format),
        interval(predicted["train_seconds"], duration),
        duration(predicted["epoch_seconds"]["mean"]),
        f"{size(predicted['memory_bytes']['mean'])}\n"
        f"{duration(predicted['inference_ms_per_image']['mean'] / 1000)}",
    ]


def _thresholds(payload: Plain) -> RenderableType:
    request = payload["request"]
    return table(
        "Switchover threshold: from here on k members beat one network of their size",
        [
            ("family", "l"),
            ("k", "r"),
            (f"parameters at {request['epochs']} epochs", "r"),
            (f"epochs at {request['budget']}", "r"),
            ("past it", "r"),
        ],
        [
            [
                s["family"],
                str(s["members"]),
                _with_interval(s, "parameters", total_size),
                _with_interval(s, "epochs", length),
                f"{s['probability_past']:.0%}",
            ]
            for s in payload["switchover"]
        ],
    )


def _with_interval(threshold: Plain, axis: str, form: Callable[[float, Plain], str]) -> str:
    """A threshold along an axis with its interval, the ends of what was looked at said as such."""
    mean, low, high = (form(threshold[axis][name], threshold) for name in ("mean", "low", "high"))
    return f"{mean} ({low}–{high})"


def _basis(evidence: Plain, payload: Plain) -> str:
    made, search = payload["profile"], payload["search"]
    errors = "published figures only: this database has no finished or imported training yet"
    runs = evidence["runs"]
    if runs:
        errors = (
            f"published figures and {runs} training{'s' * (runs > 1)} of this database "
            f"({_on_dataset(evidence)} on this data)"
        )
    costs = "a formula that knows no machine: nothing has been measured on this one"
    if evidence["cost"] != "nominal":
        number, new = evidence["measurements"], made["measurements_new"]
        costs = f"{number} measurement{'s' * (number != 1)} of this machine under the settings chosen for it"
        if new:
            costs += f" ({new} made now in {made['seconds']:.0f} s, of all settings)"
    if evidence["unmeasured"]:
        costs += f", never of {', '.join(evidence['unmeasured'])}"
    return (
        f"Costs rest on {costs}, errors on {errors}. "
        f"The search looked at {search['designs']} designs in {search['seconds']:.1f} s."
    )


def _on_dataset(evidence: Plain) -> str:
    """How many trainings were on the data, and of which families."""
    families = ", ".join(f"{number} of {family}" for family, number in sorted(evidence["families"].items()))
    number = evidence["runs_on_dataset"]
    # Members of several families count for each.
    return (
        families if sum(evidence["families"].values()) == number > 0 else f"{number}: {families}".rstrip(": ")
    )


def space(payload: Plain, limit: int = SHOWN_DESIGNS) -> RenderableType:
    """Designs of a budget."""
    designs = payload["designs"]
    listing = table(
        f"{len(designs)} designs",
        [
            ("design", "l"),
            ("class", "l"),
            ("parameters", "r"),
            ("of budget", "r"),
            ("MACs", "r"),
            ("equivalent to", "l"),
        ],
        [
            [
                d["design"],
                d["class"].replace("_", " "),
                f"{d['parameters']:,}",
                f"{d['budget_share']:.1%}",
                count(d["macs"]),
                ", ".join(d["equivalent_to"][:2]) + (" …" if len(d["equivalent_to"]) > 2 else ""),
            ]
            for d in designs[:limit]
        ],
    )
    if len(designs) <= limit:
        return listing
    return Group(
        listing, Text(f"… and {len(designs) - limit} more: --limit N shows N, --json all", style="dim")
    )


def equivalents(payload: Plain) -> RenderableType:
    """A single network and its equivalents."""
    single = payload["single"]
    rows = [["single", single["design"], f"{single['parameters']:,}", "100.00 %"]]
    for kind in ("width_equivalent", "depth_equivalent"):
        found = payload[kind]
        name = kind.replace("_", " ")
        if found is None:
            rows.append([name, "does not exist", "–", "–"])
        else:
            share = found["parameters"] / single["parameters"]
            rows.append([name, found["design"], f"{found['parameters']:,}", f"{share:.2%}"])
    return table("", [("class", "l"), ("design", "l"), ("parameters", "r"), ("of single", "r")], rows)


def facts(payload: Plain) -> RenderableType:
    """A small object as lines."""
    return Group(*(Text(f"{key}: {value}") for key, value in payload.items() if key != "schema_version"))
