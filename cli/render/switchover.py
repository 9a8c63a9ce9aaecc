"""The switchover of a data set for a person: a map that reads without colour, its thresholds, and words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.render.formats import ROUNDING, Plain, bounded, count, table

Form = Callable[[float], str]

READINGS = {
    "whole": "whole schedules of each length",
    "long": "read off one long schedule",
}
LETTERS = {"single": "s", "depth_equivalent": "d", "width_equivalent": "w"}
_TRAININGS = {
    "full_data": "full data",
    "mothernets_equal_epochs": "MotherNets g={clusters}, equal epochs",
    "mothernets_equal_time": "MotherNets g={clusters}, time of full data",
}
LEGEND = (
    "Digits: chance in % that the better ensemble has less error, training noise included; d depth-, "
    "w width-equivalent if it is above 50, else s single network; * first budget past the threshold; "
    "– no ensemble fits."
)
ENDS = (
    "Median (90 % interval). > is not reached within the grid, ≤ reached at the first point of it that holds "
    "an ensemble; below 1x the ensemble is later."
)
# Orange where the single network wins, white at an even chance, blue where the ensemble does (Okabe and Ito).
_SINGLE, _EVEN, _ENSEMBLE = (230, 159, 0), (255, 255, 255), (86, 180, 233)
NOT_REACHED = "not reached"


def switchover(payload: Plain) -> RenderableType:
    """The map and the thresholds of every training, and what they come to."""
    request = payload["request"]
    title = (
        f"{request['members']} {request['family']} members against one network of their total size, "
        f"on {request['dataset']}"
    )
    parts: list[RenderableType] = [
        Text(title, style="bold"),
        Text(f"Epochs: {READINGS[payload['reading']]}"),
        "",
        # Side by side as far as the terminal is wide enough.
        Columns([_map(payload, name) for name in payload["maps"]], padding=(0, 4)),
        Text(LEGEND, style="dim"),
        Text(ENDS, style="dim"),
    ]
    if len(payload["budgets_parameters"]) > 1:
        parts += ["", _by_epochs(payload)]
    if len(payload["epochs"]) > 1:
        parts += ["", _by_budget(payload)]
    return Group(*parts, "", *(Text(line) for line in words(payload)))


def _map(payload: Plain, name: str) -> Table:
    """Both axes rise as in a picture, so the epochs stand below."""
    title = training(name, payload["maps"][name]["clusters"])
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_header=False,
    )
    for _ in ("parameters", *payload["epochs"]):
        drawn.add_column(justify="right", no_wrap=True)
    for i, budget in reversed(list(enumerate(payload["budgets_parameters"]))):
        drawn.add_row(count(budget), *(_cell(payload, name, i, j) for j in range(len(payload["epochs"]))))
    # A mark stands behind every figure, so the axis leaves its place free.
    drawn.add_row("epochs", *(f"{epochs} " for epochs in payload["epochs"]), style="bold")
    drawn.add_row()
    return drawn


def _cell(payload: Plain, name: str, budget: int, epochs: int) -> Text:
    found = payload["maps"][name]
    chance = found["probability_ensemble_wins"][budget][epochs]
    if chance is None:
        return Text("– ")
    letter = LETTERS[found["likelier_class"][budget][epochs]]
    mark = "*" if budget == _first_past(payload, name, epochs) else " "
    red, green, blue = shade(chance)
    return Text(f"{letter}{100 * chance:3.0f}{mark}", style=f"black on rgb({red},{green},{blue})")


def _first_past(payload: Plain, name: str, epochs: int) -> int | None:
    """Position of the least budget past the median threshold."""
    thresholds = payload["maps"][name]["threshold_parameters"]
    median = thresholds[epochs]["median"] if thresholds else None
    if median is None:
        return None
    return next(i for i, b in enumerate(payload["budgets_parameters"]) if b * (1 + ROUNDING) >= median)


def shade(chance: float) -> tuple[int, int, int]:
    """Colour of a chance, as red, green and blue up to 255."""
    end, share = (_ENSEMBLE, 2 * chance - 1) if chance >= 0.5 else (_SINGLE, 1 - 2 * chance)
    red, green, blue = (round(e + (x - e) * share) for e, x in zip(_EVEN, end, strict=True))
    return red, green, blue


def training(name: str, clusters: int) -> str:
    """A training of the ensembles in words."""
    return _TRAININGS[name].format(clusters=clusters)


def _by_epochs(payload: Plain) -> Table:
    maps, grid = payload["maps"], _holding(payload)
    rows = [
        [str(epochs), *(_threshold(m["threshold_parameters"][j], grid, count) for m in maps.values())]
        for j, epochs in enumerate(payload["epochs"])
    ]
    columns = [(training(name, m["clusters"]).replace(", ", "\n"), "r") for name, m in maps.items()]
    return table("Threshold in parameters: the ensemble wins from here on", [("epochs", "r"), *columns], rows)


def _by_budget(payload: Plain) -> Table:
    full, grid = payload["maps"]["full_data"], payload["epochs"]
    rows = [
        [
            count(budget),
            payload["designs"][i]["single"],
            _best_ensemble(payload, i),
            _threshold(full["threshold_epochs"][i], grid, "{:.0f}".format),
            _sooner(payload, i),
        ]
        for i, budget in reversed(list(enumerate(payload["budgets_parameters"])))
    ]
    columns = [
        ("parameters", "r"),
        ("single", "l"),
        ("ensemble", "l"),
        ("wins from", "r"),
        ("sooner", "r"),
    ]
    title = (
        "Threshold in epochs; how much sooner the ensemble has the single network's "
        f"error of {payload['schedule_epochs']}"
    )
    return table(title, columns, rows)


def _best_ensemble(payload: Plain, budget: int) -> str:
    """The better ensemble of a budget at the end of the schedule."""
    column = payload["epochs"].index(payload["schedule_epochs"])
    kind = payload["maps"]["full_data"]["better_ensemble_class"][budget][column]
    return "–" if kind is None else str(payload["designs"][budget][kind])


def _holding(payload: Plain) -> list[int]:
    """Budgets from where on each holds an ensemble: a threshold at the first of them may lie below it."""
    chances = payload["maps"]["full_data"]["probability_ensemble_wins"]
    falling = zip(payload["budgets_parameters"][::-1], chances[::-1], strict=True)
    return [b for b, _ in takewhile(lambda row: any(p is not None for p in row[1]), falling)][::-1]


def _threshold(threshold: Plain, grid: Sequence[float], form: Form) -> str:
    """Median with interval, the ends of the grid said as such."""
    if threshold["low"] is None:
        return NOT_REACHED
    median, low, high = (bounded(threshold[n], grid[0], grid[-1], form) for n in ("median", "low", "high"))
    return f"{median} ({low}–{high})"


def _sooner(payload: Plain, budget: int) -> str:
    """How many times sooner; the ends of the grid bound it."""
    schedule, grid = payload["schedule_epochs"], payload["epochs"]
    ratio = payload["maps"]["full_data"]["times_sooner"][budget]

    def shown(value: float | None) -> str:
        if value is None:
            return f"<{schedule / grid[-1]:.2g}x"
        return f"≥{value:.2g}x" if value >= schedule / grid[0] else f"{value:.2g}x"

    if ratio["high"] is None:
        return NOT_REACHED
    return f"{shown(ratio['median'])} ({shown(ratio['low'])}–{shown(ratio['high'])})"


def words(payload: Plain) -> list[str]:
    """The answer in sentences, the evidence last."""
    lines = []
    if len(payload["budgets_parameters"]) > 1:
        lines += [_full_data_in_words(payload), *_fast_in_words(payload)]
    if len(payload["epochs"]) > 1:
        lines.append(_sooner_in_words(payload))
    if payload["reading"] == "long":
        lines.append("MotherNets have no map here: hatched members have no epochs of one long schedule.")
    return [*lines, _evidence_in_words(payload)]


def _at_schedule(payload: Plain, name: str) -> Plain:
    column = payload["epochs"].index(payload["schedule_epochs"])
    found: Plain = payload["maps"][name]["threshold_parameters"][column]
    return found


def _takes_over(payload: Plain, name: str) -> str:
    """Where ensembles of one training win at the end of the schedule."""
    threshold = _at_schedule(payload, name)
    if threshold["median"] is not None:
        return f"takes over at {_threshold(threshold, _holding(payload), count)} parameters"
    return (
        f"does not take over within the grid, up to {count(payload['budgets_parameters'][-1])} parameters "
        f"({threshold['reached']:.0%} of the draws do)"
    )


def _full_data_in_words(payload: Plain) -> str:
    return (
        f"At {payload['schedule_epochs']} epochs the ensemble trained on all data "
        f"{_takes_over(payload, 'full_data')}."
    )


def _fast_in_words(payload: Plain) -> list[str]:
    if "mothernets_equal_epochs" not in payload["maps"]:
        return []
    column = payload["epochs"].index(payload["schedule_epochs"])
    schedule = payload["maps"]["mothernets_equal_time"]["ensemble_epochs"][column]
    return [
        f"Fast training: with as many epochs MotherNets g={payload['request']['clusters']} "
        f"{_takes_over(payload, 'mothernets_equal_epochs')}; in the training time of full data, {schedule} "
        f"epochs, it {_takes_over(payload, 'mothernets_equal_time')}."
    ]


def _sooner_in_words(payload: Plain) -> str:
    return (
        f"At {count(payload['budgets_parameters'][-1])} parameters the single network's error of "
        f"{payload['schedule_epochs']} epochs is had sooner by: {_sooner(payload, -1)}."
    )


def _evidence_in_words(payload: Plain) -> str:
    evidence, name = payload["evidence"], payload["request"]["dataset"]
    runs, published = evidence["runs_on_dataset"], evidence["published_errors_on_dataset"]
    known = f"{published} published errors" if published else "no published error"
    if payload["reading"] == "long":
        known += f", {evidence['curves_on_dataset']} of {evidence['curves']} learning curves"
    if runs:
        own = f"{runs} training{'s' * (runs > 1)}"
        return f"Evidence on {name}: {own} and {known}; the rest is prior."
    if published:
        return f"Evidence on {name}: {known}, no training of yours; the rest is prior."
    return f"Evidence on {name}: no training and {known}; all of this is prior, from other data."
