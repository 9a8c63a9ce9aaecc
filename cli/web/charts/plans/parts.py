"""What the charts of a plan have in common: kinds of steps and networks with their colours, and scales."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum

import altair as alt

from advisor.errors import require_entries
from advisor.plans.method_traits import CHAINS
from advisor.plans.plan import Role
from cli.web.charts.theme import FOURTH, SINGLE, THIRD
from cli.workflows.answers.examine.explained_networks import ExplainedNetwork
from cli.workflows.answers.examine.explanation import ExplainedPlan, ExplainedStep, Explanation

# Width of a character of a label in pixels, as a share of the size of its font.
CHARACTER = 0.58


class Kind(StrEnum):
    """Kind of a step, or of parameters."""

    MOTHER = "mother network"
    SCRATCH = "network from scratch"
    TEACHER = "teacher"
    HATCHING = "hatching"
    GROWN = "hatched network"
    EVALUATION = "evaluation"


COLOURS = {
    Kind.MOTHER: SINGLE,
    Kind.SCRATCH: "#0072B2",
    Kind.TEACHER: THIRD,
    Kind.HATCHING: "#000000",
    Kind.GROWN: "#56B4E9",
    Kind.EVALUATION: FOURTH,
}
require_entries("cli/web/charts/plans/parts.py: COLOURS", COLOURS, Kind)
# Kinds whose colour is dark, so that labels on it are white.
DARK = (Kind.SCRATCH, Kind.HATCHING)
# Kinds of methods whose members begin as copies of the network before them.
OF_CHAINS = {Kind.MOTHER: "first network", Kind.HATCHING: "copying", Kind.GROWN: "network from a copy"}


def kind_of(network: ExplainedNetwork, sources: Collection[str | None]) -> Kind:
    """Return the kind of a network.

    Args:
        network: the network.
        sources: names of all networks that others are hatched from.
    """
    if network.source is not None:
        return Kind.GROWN
    if network.role is Role.TEACHER:
        return Kind.TEACHER
    return Kind.MOTHER if network.name in sources else Kind.SCRATCH


def kind_of_step(step: ExplainedStep, networks: dict[str, Kind]) -> Kind:
    """Return the kind of a step.

    Args:
        step: the step.
        networks: kinds of networks by name.
    """
    if step.network_name is None:
        return Kind.EVALUATION
    return Kind.HATCHING if step.schedule is None else networks[step.network_name]


def kinds_of(answer: Explanation) -> dict[str, Kind]:
    """Return the kinds of all networks of a plan, by name."""
    sources = {network.source for network in answer.networks}
    return {network.name: kind_of(network, sources) for network in answer.networks}


def colour_scale(kinds: Collection[Kind], names: dict[Kind, str]) -> alt.Scale:
    """Return the colours of those kinds that occur.

    Args:
        kinds: kinds that occur.
        names: name of each kind in the legend.
    """
    shown = [kind for kind in Kind if kind in kinds]
    return alt.Scale(domain=[names[kind] for kind in shown], range=[COLOURS[kind] for kind in shown])


def kind_names(plan: ExplainedPlan) -> dict[Kind, str]:
    """Return the name of each kind in the legend."""
    own = OF_CHAINS if plan.method in CHAINS else {}
    return {kind: own.get(kind, kind.value) for kind in Kind}


def settings_line(answer: Explanation) -> str:
    """Return the line of a caption on data, epochs, batch, method and device."""
    plan = answer.plan
    length = f"{plan.epochs} epochs" if plan.patience is None else f"at most {plan.epochs} epochs"
    return (
        f"{length} of {plan.dataset}, batch {plan.batch}, {str(plan.method).replace('_', ' ')}, "
        f"{plan.processes} at a time, {plan.dtype} on {plan.device}"
    )


def text_width(text: str, font: float) -> float:
    """Return the width of a text in pixels, roughly."""
    return len(text) * CHARACTER * font


def fits(text: str, pixels: float, font: float) -> bool:
    """Whether a text has room in so many pixels, with some to spare on both sides."""
    return text_width(text, font) + 6 <= pixels


def row_scale(rows: float) -> alt.Scale:
    """Return the vertical scale of so many rows, the first at the top."""
    return alt.Scale(domain=[0, rows], reverse=True, nice=False, zero=False)


def tooltips(names: Sequence[str]) -> list[alt.Tooltip]:
    """Return tooltips of fields of text."""
    return [alt.Tooltip(f"{name}:N") for name in names]
