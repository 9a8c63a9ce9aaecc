"""The networks of a plan in the order of the picture, with the texts of each."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.plans.plan import Role
from cli.render.formats import bounds, count
from cli.web.charts.plans.parts import Kind, kind_names, kinds_of
from cli.workflows.answers.examine.explained_networks import ExplainedNetwork, NetworkState
from cli.workflows.answers.examine.explanation import Explanation

TOOLTIP = ("network", "role", "parameters", "from its source", "distance", "epochs", "state")
STATE_NAMES = {state: state.value for state in NetworkState} | {NetworkState.TRAINING: "training now"}


@dataclass(frozen=True)
class NetworkRow:
    """A network in the order of the picture: a source, and then what begins as it.

    Attributes:
        network: the network.
        kind: its kind.
        parent: position of the network that it is hatched from or learns from; None for none.
    """

    network: ExplainedNetwork
    kind: Kind
    parent: int | None


def ordered(answer: Explanation) -> list[NetworkRow]:
    """Return networks so that all that begins as a network follows it."""
    kinds, rows = kinds_of(answer), list[NetworkRow]()
    position: dict[str, int] = {}
    children: dict[str | None, list[ExplainedNetwork]] = {}
    known = {network.name for network in answer.networks}
    for network in answer.networks:
        parent = network.source or network.teacher
        children.setdefault(parent if parent in known else None, []).append(network)
    waiting = list(reversed(children.get(None, [])))
    while waiting:
        network = waiting.pop()
        parent = network.source or network.teacher
        position[network.name] = len(rows)
        rows.append(NetworkRow(network, kinds[network.name], position.get(parent or "")))
        waiting += reversed(children.get(network.name, []))
    return rows


def tooltip_of(answer: Explanation, row: NetworkRow) -> dict[str, str]:
    """Return what the tooltip says of a network."""
    network = row.network
    inherited = f"{count(network.inherited_parameters)} of {network.source}" if network.source else "–"
    return {
        "network": f"{network.name}: {network.network}",
        "role": kind_names(answer.plan)[row.kind],
        "parameters": f"{network.parameters:,}",
        "from its source": inherited,
        "distance": "–" if network.distance is None else str(network.distance),
        "epochs": epochs_text(network),
        "state": "–" if network.state is None else STATE_NAMES[network.state],
    }


def label_of(network: ExplainedNetwork) -> str:
    """Return the name of a row."""
    if network.role is Role.JOINT:
        return f"{network.name}  ({len(network.members)} members in one)"
    return f"{network.name}  {network.network}"


def epochs_text(network: ExplainedNetwork) -> str:
    """Return the epochs of a network: 20, or 12 of 20."""
    converging = network.converging_epochs
    expected = f"{network.epochs:.4g}"
    if converging is not None and network.state is not NetworkState.DONE:
        expected = f"{converging.mean:.0f} ({bounds(converging, '{:.0f}'.format)})"
    return expected if network.actual_epochs is None else f"{network.actual_epochs} of {expected}"
