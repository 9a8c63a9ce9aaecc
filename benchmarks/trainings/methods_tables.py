"""The tables of docs/methods.md, in Markdown, from results/methods_converged-cpu.json.

python benchmarks/trainings/methods_tables.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from methods import RESULTS
from methods_ensembles import BAGGING, CHAIN, DISTILLATION, FULL

RECIPES = ("published", "ours")
ENSEMBLES = (("V5", "R5", "D3", "V25"), ("V5 digits", "R5 digits", "D3 digits"))
# Claims in their order, with the words of the table and the goal where that is not the claim's.
CLAIMS = {
    "full data over g = 1: seconds": ("full data over g = 1: time", "≥ 2.5 (V5, R5), 4 (V25)"),
    "full data over g = 1: work": ("… work", None),
    "g = 1 over full data: points more error": ("g = 1 over full data: points more error", None),
    "distillation over g = 1: seconds": ("distillation over g = 1: time", None),
    "distillation over g = 1: work": ("… work", None),
    "distillation: points more error": ("… points more error", None),
    "bagging over g = 1: seconds": ("bagging over g = 1: time", None),
    "bagging over g = 1: work": ("… work", None),
    "bagging: points more error": ("… points more error", None),
    "snapshots at equal time: seconds over g = 1": ("snapshots for the time of g = 1: time it took", "1"),
    "snapshots at equal time: points more error": ("… points more error", None),
    "all snapshots over the first six: points more error": (
        "all snapshots over six: points more error",
        None,
    ),
    "error falls with g": ("error falls with g", None),
    "time rises with g": ("time rises with g", None),
}
METHODS = {FULL: "full data", BAGGING: "bagging", DISTILLATION: "distillation", CHAIN: "snapshots"}
Row = Mapping[str, Any]


def claims(found: Sequence[Row], recipe: str, ensembles: Sequence[str]) -> Iterator[str]:
    """Yield the table of claims on some ensembles by one recipe."""
    by_key = {(c["claim"], c["scenario"]): c for c in found if c["recipe"] == recipe}
    yield from _head("claim", "goal", *ensembles)
    for claim, (words, goal) in CLAIMS.items():
        own = [by_key.get((claim, ensemble)) for ensemble in ensembles]
        goals = [c["goal"] for c in own if c is not None and c["goal"]]
        yield _line(words, goal or (goals[0] if goals else ""), *(_cell(c) for c in own))


def errors(blocks: Sequence[Row]) -> Iterator[str]:
    """Yield the table of test error and work of every method."""
    largest = max(_numbers(block)[-1] for block in blocks)
    counts = [g for g in range(1, largest + 1) if any(g in _numbers(block) for block in blocks)]
    yield from _head("recipe", "ensemble", *(f"g = {g}" for g in counts), *METHODS.values())
    for block in blocks:
        methods = [*(f"mothernets g{g}" for g in counts), *METHODS]
        cells = (_error(block["methods"].get(method)) for method in methods)
        yield _line(block["recipe"], block["scenario"], *cells)


def _numbers(block: Row) -> list[int]:
    """Return the numbers of clusters that MotherNets of a block were trained with."""
    found = (name.removeprefix("mothernets g") for name in block["methods"])
    return sorted(int(number) for number in found if number.isdecimal())


def _error(figures: Row | None) -> str:
    if figures is None:
        return ""
    work = figures["core_seconds"]
    return f"{100 * figures['error']['mean']:.1f} %" + (f", {work['mean']:.0f} s" if work else "")


def _cell(claim: Row | None) -> str:
    if claim is None:
        return ""
    # What follows a colon or a semicolon is the reason.
    verdict = claim["verdict"].split(":")[0].split(";")[0] if claim["goal"] else ""
    # Only a verdict for want of seeds names its seeds.
    if "too few seeds" in claim["verdict"]:
        verdict = claim["verdict"].split(";")[0]
    verdict = verdict.replace("missed", "**missed**")
    return f"{_figure(claim['figure'])} {verdict}".strip()


def _figure(found: Row | None) -> str:
    if found is None:
        return ""
    low, high = found["low"], found["high"]
    exact = low is None or f"{low:.2f}" == f"{high:.2f}"
    text = f"{found['mean']:.2f}" if exact else f"{found['mean']:.2f} ({low:.2f} to {high:.2f})"
    return text.replace("-", "−")


def _head(*names: str) -> Iterator[str]:
    yield _line(*names)
    yield _line(*("---" for _ in names)).replace(" ", "")


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    found = json.loads((RESULTS / "methods_converged-cpu.json").read_text())
    for ensembles in ENSEMBLES:
        for recipe in RECIPES:
            print(f"\nRecipe `{recipe}`:\n")
            print("\n".join(claims(found["claims"], recipe, ensembles)))
    print()
    print("\n".join(errors(found["blocks"])))


if __name__ == "__main__":
    main()
