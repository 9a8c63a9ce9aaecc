"""Differences between the strict rule and the published tables of equivalent ensembles, row by row.

    python benchmarks/equivalents.py

writes ``docs/papers/equivalents.md``. The tables are those of Wasay and Idreos, "More or Less", ICLR 2021,
appendices B (DenseNet), C (ResNet) and D (Wide ResNet), transcribed in ``tests/data``. Nothing is measured:
the document follows from counting parameters alone.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from advisor.designs.equivalents import equivalents
from advisor.networks.architecture import NetworkSpec, lower, regular_network
from advisor.networks.layers import Task

ROOT = Path(__file__).resolve().parent.parent
TABLES = {
    "resnet": ("C", ROOT / "tests" / "data" / "table_c_resnet.csv"),
    "densenet": ("B", ROOT / "tests" / "data" / "table_b_densenet.csv"),
    "wrn": ("D", ROOT / "tests" / "data" / "table_d_wrn.csv"),
}
DOCUMENT = ROOT / "docs" / "papers" / "equivalents.md"

MEMBERS = 4
TASK = Task(channels=3, height=32, width=32, classes=10)
TOLERANCE = 0.008


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A single network with its published equivalents and those of the rule."""

    single: NetworkSpec
    published_weq: NetworkSpec
    published_deq: NetworkSpec
    strict_weq: NetworkSpec | None
    strict_deq: NetworkSpec | None
    tolerant_weq: NetworkSpec | None
    tolerant_deq: NetworkSpec | None

    @property
    def strict(self) -> bool:
        """Whether both published designs follow the strict rule."""
        return (self.strict_weq, self.strict_deq) == (self.published_weq, self.published_deq)

    @property
    def tolerant(self) -> bool:
        """Whether both published designs follow the rule with the tolerance."""
        return (self.tolerant_weq, self.tolerant_deq) == (self.published_weq, self.published_deq)


def excess(member: NetworkSpec, single: NetworkSpec) -> float:
    """Return the percentage of the single network's parameters by which four members exceed it."""
    return 100 * (MEMBERS * lower(member, TASK).parameters / lower(single, TASK).parameters - 1)


def rows(family: str) -> list[Row]:
    with TABLES[family][1].open(newline="") as file:
        return [
            _row(family, {key: int(value) for key, value in line.items()}) for line in csv.DictReader(file)
        ]


def _row(family: str, line: dict[str, int]) -> Row:
    single = regular_network(family, line["single_depth"], line["single_width"])
    strict, tolerant = (equivalents(single, MEMBERS, TASK, tolerance) for tolerance in (0.0, TOLERANCE))
    return Row(
        single=single,
        published_weq=regular_network(family, line["weq_depth"], single.width),
        published_deq=regular_network(family, single.depth, line["deq_width"]),
        strict_weq=strict.width_equivalent,
        strict_deq=strict.depth_equivalent,
        tolerant_weq=tolerant.width_equivalent,
        tolerant_deq=tolerant.depth_equivalent,
    )


def render() -> str:
    """Return the text of the document."""
    tables = {family: rows(family) for family in TABLES}
    parts = [
        "# Equivalents: the strict rule and the published tables\n",
        "**Two of the three published tables of equivalent ensembles were not made by one strict rule.**\n"
        "That of Wide ResNets was. This project uses the rule for all families: the largest width\n"
        "(depth-equivalent, deq) or depth (width-equivalent, weq) with 4·\\|E\\| ≤ \\|S\\|, where S is the\n"
        "single network and E one of four members.\n",
        'The published tables are those of Wasay and Idreos, "More or Less" (ICLR 2021), B, C and D.\n'
        "Parameters are counted exactly for images of 3×32×32 and 10 classes. A percentage says by how much\n"
        "four members exceed (+) or fall short of (−) the parameters of the single network.\n",
        "Written by `python benchmarks/equivalents.py`, which measures nothing.\n",
        "## Summary\n",
        *(_summary(family, found) for family, found in tables.items()),
        *(_section(family, found) for family, found in tables.items()),
    ]
    return "\n".join(parts)


def _summary(family: str, found: list[Row]) -> str:
    weq = [row for row in found if row.published_weq == row.strict_weq]
    deq = [row for row in found if row.published_deq == row.strict_deq]
    strict, tolerant = sum(row.strict for row in found), sum(row.tolerant for row in found)
    lines = [
        f"**{family}** ({len(found)} rows):",
        "",
        f"- the published weq depth follows the strict rule in {len(weq)} rows"
        + _differing(found, lambda row: (row.strict_weq, row.published_weq)),
        f"- the published deq width follows the strict rule in {len(deq)} rows"
        + _differing(found, lambda row: (row.strict_deq, row.published_deq)),
        f"- both agree in {strict} rows" + _whole(strict, found),
    ]
    if strict < len(found):
        of_all = f"{tolerant} of {len(found)} rows"
        lines.append(f"- with `--tolerance {TOLERANCE}` both agree in {of_all}" + _whole(tolerant, found))
    if halves := sum(2 * row.published_deq.width == row.single.width for row in found):
        lines.append(f"- the published deq width is exactly half of the single network's in {halves} rows;")
    smaller = sum(
        row.strict_weq is not None and row.published_weq.depth < row.strict_weq.depth for row in found
    )
    if smaller:
        lines.append(
            f"- in {smaller} rows the published weq is shallower than the budget allows, so that no "
            "tolerance reproduces the table;"
        )
    lines[-1] = lines[-1][:-1] + "."
    return "\n".join(lines) + "\n"


def _whole(agreeing: int, found: list[Row]) -> str:
    return ": the whole table is reproduced;" if agreeing == len(found) else ";"


def _differing(found: list[Row], pair: Callable[[Row], tuple[NetworkSpec | None, NetworkSpec]]) -> str:
    shares = [excess(pair(row)[1], row.single) for row in found if pair(row)[0] != pair(row)[1]]
    if not shares:
        return ";"
    count = "one" if len(shares) == 1 else f"{len(shares)}"
    return f"; where it does not ({count}), it is off by {_percent(min(shares))} to {_percent(max(shares))};"


def _percent(value: float) -> str:
    return f"{value:+.2f} %".replace("-", "−")


def _section(family: str, found: list[Row]) -> str:
    lines = [
        f"## {family}, table {TABLES[family][0]}\n",
        "| single network | parameters | weq published | | weq strict | "
        "| deq published | | deq strict | | agrees |",
        "|---|---:|---|---:|---|---:|---|---:|---|---:|---|",
    ]
    for row in found:
        cells = [row.single.name, f"{lower(row.single, TASK).parameters:,}"]
        for member in (row.published_weq, row.strict_weq, row.published_deq, row.strict_deq):
            cells += ["none", ""] if member is None else [member.name, _percent(excess(member, row.single))]
        lines.append("| " + " | ".join([*cells, _verdict(row)]) + " |")
    return "\n".join(lines) + "\n"


def _verdict(row: Row) -> str:
    weq, deq = row.published_weq == row.strict_weq, row.published_deq == row.strict_deq
    return {(True, True): "both", (True, False): "weq", (False, True): "deq", (False, False): "neither"}[
        weq, deq
    ]


def main() -> None:
    DOCUMENT.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
