"""The advice on the second grid, and the rules that compete with it.

The advice is the design of least expected error, rank 1. The verdict is what the program says to train: of a
single network and an ensemble that are tied the single network, unless only the ensemble is trained already.

- The single network of least error at first sight.
- Always an ensemble of four independent members as deep as that network (deq), or of depth 8 (weq). Members
  of depth 26 are not in the grid: the deepest there is stands for them.
- The published threshold, as printed and scaled by the image (`advice_regret.py`), between these two.
- A random design.
- Three whole trainings of candidates, of which the best on validation images is taken. The candidates are the
  single network and the two ensembles above, or three random designs (mean over all threes). Like a probe, a
  candidate is the training with seed 0.
- Of the probes of the default procedure, the best on validation images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from advice_regret import Rule, Shares, at_random, equally, est_rule
from advice_replay import Cell, Forecast, Training, least

from advisor.designs.design import parse_design

MEMBERS, SHALLOW, CANDIDATES = 4, 8, 3
ADVICE, BEFORE = "advice after probing", "advice at first sight"
VERDICT = "verdict after probing"
PROBE_SEED = 0
CANDIDATES_TRAINED = ("best of single, deq, weq on validation", "best of three random on validation")
PROBES_TRAINED = "best of the default probes on validation"
Place = tuple[str, int, int]


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The default procedure on a cell.

    Attributes:
        cell: the cell.
        before: forecast at first sight.
        after: forecast after the probes.
        probes: the probes in the order of their end.
        allowed: seconds that the session may take.
        clock: seconds that it took.
        verdict: design that the program says to train.
    """

    cell: Cell
    before: Forecast
    after: Forecast
    probes: tuple[Training, ...]
    allowed: float
    clock: float
    verdict: str


def rules(replays: Mapping[Place, Replay]) -> dict[str, Rule]:
    """Return the advice and its competitors.

    Args:
        replays: the default procedure by `Cell.place`.
    """

    def single(cell: Cell, naming: Sequence[int]) -> Shares:
        return equally(_single(cell))

    def _single(cell: Cell) -> list[str]:
        errors = replays[cell.place].before.error
        return [min(cell.singles, key=lambda d: errors[d])] if cell.singles else []

    def deep(cell: Cell, naming: Sequence[int]) -> Shares:
        return equally(_deep(cell))

    def _deep(cell: Cell) -> list[str]:
        depths = {_depth(d): d for d in _fours(cell)}
        allowed = [depth for depth in depths for d in _single(cell) if depth <= _depth(d)]
        return [depths[max(allowed)]] if allowed else []

    def shallow(cell: Cell, naming: Sequence[int]) -> Shares:
        return equally(_shallow(cell))

    def fixed_candidates(cell: Cell, naming: Sequence[int]) -> Shares:
        kinds = (_single(cell), _deep(cell), _shallow(cell))
        return _best_on_validation(cell, [d for kind in kinds for d in kind]) if all(kinds) else {}

    def best_probe(cell: Cell, naming: Sequence[int]) -> Shares:
        probes = [d for d in cell.runs if d in replays[cell.place].after.at_hand]
        return _best_on_validation(cell, probes) if probes else {}

    longest: dict[str, int] = {}
    for dataset, _, epochs in replays:
        longest[dataset] = max(longest.get(dataset, 0), epochs)
    return {
        ADVICE: lambda cell, naming: {replays[cell.place].after.choice: 1.0},
        VERDICT: lambda cell, naming: {replays[cell.place].verdict: 1.0},
        BEFORE: lambda cell, naming: {replays[cell.place].before.choice: 1.0},
        "single network of least prior error": single,
        "always deq, k = 4": deep,
        "always weq, k = 4": shallow,
        "EST rule as printed": est_rule(longest, scaled=False, single=single, four=deep),
        "EST rule scaled by image": est_rule(longest, scaled=True, single=single, four=deep),
        "random design": at_random,
        CANDIDATES_TRAINED[0]: fixed_candidates,
        CANDIDATES_TRAINED[1]: random_candidates,
        PROBES_TRAINED: best_probe,
    }


def networks_exist(name: str, design: str, replay: Replay) -> bool:
    """Return whether a rule has trained the design that it names.

    Args:
        name: name of the rule.
        design: design that it names.
        replay: the default procedure on the same cell.
    """
    return name in CANDIDATES_TRAINED or (
        name in (ADVICE, VERDICT, PROBES_TRAINED) and design in replay.after.at_hand
    )


def random_candidates(cell: Cell, naming: Sequence[int]) -> Shares:
    """Return the shares of designs that are the best of three on validation images, over all threes."""
    threes = list(combinations(sorted(cell.runs), min(CANDIDATES, len(cell.runs))))
    shares: dict[str, float] = {}
    for three in threes:
        for design, share in _best_on_validation(cell, three).items():
            shares[design] = shares.get(design, 0.0) + share / len(threes)
    return shares


def _best_on_validation(cell: Cell, designs: Sequence[str]) -> Shares:
    return equally(least({d: cell.validation_error(d, [PROBE_SEED]) for d in designs}))


def _fours(cell: Cell) -> list[str]:
    return cell.named(["ensemble", "deq", "weq"], MEMBERS, independent=True)


def _shallow(cell: Cell) -> list[str]:
    return [d for d in _fours(cell) if _depth(d) == SHALLOW]


def _depth(design: str) -> int:
    return parse_design(design).members[0].depth
