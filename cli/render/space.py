"""Designs of a budget, and the equivalents of a network, as tables for a person."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from cli.render.formats import count, table
from cli.workflows.answers.examine.space import DesignSpace, EquivalentDesigns

SHOWN_DESIGNS = 40


def space(answer: DesignSpace, limit: int = SHOWN_DESIGNS) -> RenderableType:
    """Return the first `limit` designs of a budget as a table."""
    designs = answer.designs
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
                d.design,
                d.design_class.replace("_", " "),
                f"{d.parameters:,}",
                f"{d.budget_share:.1%}",
                count(d.macs),
                ", ".join(d.equivalent_to[:2]) + (" …" if len(d.equivalent_to) > 2 else ""),
            ]
            for d in designs[:limit]
        ],
    )
    if len(designs) <= limit:
        return listing
    return Group(
        listing, Text(f"… and {len(designs) - limit} more: --limit N shows N, --json all", style="dim")
    )


def equivalents(answer: EquivalentDesigns) -> RenderableType:
    """Return a single network and its equivalents as a table."""
    single = answer.single
    rows = [["single", single.design, f"{single.parameters:,}", "100.00 %"]]
    for name, found in (
        ("width equivalent", answer.width_equivalent),
        ("depth equivalent", answer.depth_equivalent),
    ):
        if found is None:
            rows.append([name, "does not exist", "–", "–"])
        else:
            share = found.parameters / single.parameters
            rows.append([name, found.design, f"{found.parameters:,}", f"{share:.2%}"])
    return table("", [("class", "l"), ("design", "l"), ("parameters", "r"), ("of single", "r")], rows)
