"""The nodes of a cluster as tables: what a plan takes on each kind, and what was measured of each."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.render.formats import duration, interval, tight_table
from cli.workflows.answers.examine.clusters import ClusterForecast, ClusterProfile, ProfiledKind


def cluster_of_plan(found: ClusterForecast) -> Table:
    """Return a row for every kind of node: its slots, and the seconds of all steps on one of them."""
    columns = [
        ("kind of node", "l"),
        ("nodes", "r"),
        ("slots", "r"),
        ("measured", "r"),
        ("all steps", "r"),
        ("training without", "r"),
    ]
    rows = [
        [
            kind.name,
            str(kind.nodes),
            str(kind.slots),
            str(kind.measurements or "never"),
            interval(kind.steps_seconds, duration),
            interval(kind.train_seconds_without, duration),
        ]
        for kind in found.kinds
    ]
    return tight_table(columns, rows)


def profiled_kinds(answer: ClusterProfile) -> RenderableType:
    """Return a line for every kind of node: how many there are, what was measured, and for how long."""
    return Group(*(Text(_line(kind)) for kind in answer.kinds))


def _line(kind: ProfiledKind) -> str:
    nodes = f"{kind.name}: {kind.nodes} node{'s' * (kind.nodes != 1)}, "
    if kind.failed:
        return nodes + "not measured: every node failed"
    if kind.measured_on is None:
        return nodes + f"{kind.measurements_reused} measurements stored before, nothing measured"
    stored = f" beside {kind.measurements_reused} stored before" if kind.measurements_reused else ""
    return nodes + (
        f"{kind.measurements_new} measurements on {kind.measured_on} in {duration(kind.seconds)}{stored}"
    )
