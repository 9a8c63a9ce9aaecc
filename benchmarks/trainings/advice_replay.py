"""The grid of `advice_train.py` as cells to advise on, and the evidence that advice may use.

A cell is one data set at one budget with one length of schedule. Its designs are those of the file. Its seeds
are those with which all of these designs were trained. Everything works on a grid that is not complete yet.

The evidence for a held-out budget (`evidence`) comes from every data set, at all other budgets. Trainings are
ordered by seed, epochs, budget and core seconds. Each one is taken if it still fits into `SHARE` of the core
seconds of its data set in the file. So short schedules come first, then small budgets. All evidence together
costs at most a tenth of the grid. The evidence for a held-out data set comes from the other data sets, at all
budgets, by the same rule.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from advisor.accuracy.sources.reported import ReportedTraining, read_reported
from advisor.designs.design import parse_design

# Share of the core seconds of a data set's part of the grid.
SHARE = 0.10
# Between the name of a design and the multiple of its weight decay.
DECAYED = " weight decay × "


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One row of the file.

    Attributes:
        reported: data that any program may report.
        budget: parameters of the cell's single network.
        kind: single, deq, weq or mixed.
        seconds: processor time of training.
        members: number of members.
        independent: whether the members have no mother network.
        curve: validation errors of the ensemble after every epoch; those of a mother come first.
        spent: core seconds until each point of the curve.
        networks: core seconds of each network, mothers first.
    """

    reported: ReportedTraining
    budget: int
    kind: str
    seconds: float
    members: int
    independent: bool
    curve: tuple[float, ...]
    spent: tuple[float, ...]
    networks: tuple[float, ...]

    @property
    def name(self) -> str:
        """Name of the design, with the multiple of the weight decay where it is not the recipe's."""
        multiple = self.reported.weight_decay
        return self.reported.design if multiple == 1 else f"{self.reported.design}{DECAYED}{multiple:g}"


def read(file: Path, wanted: Callable[[str], bool] = lambda dataset: True) -> list[Training]:
    """Return the complete rows of a file; an empty list where it is missing or has only a header.

    Args:
        file: CSV file whose first column is the data set.
        wanted: function that tells by the name of a data set whether its rows are read.
    """
    text = file.read_text() if file.exists() else ""
    # A line that was cut short by a kill is left out.
    header, *lines = text[: text.rfind("\n") + 1].splitlines(keepends=True) or [""]
    text = header + "".join(line for line in lines if wanted(line.partition(",")[0]))
    rows = list(csv.DictReader(io.StringIO(text)))
    return (
        [_training(t, row) for t, row in zip(read_reported(text, file.name), rows, strict=True)]
        if rows
        else []
    )


def _training(reported: ReportedTraining, row: Mapping[str, str]) -> Training:
    design = parse_design(reported.design)
    curve = tuple(float(x) for x in row["ensemble_curve"].split(";"))
    networks = [float(x) for x in row["network_seconds"].split(";")]
    mothers, members = sum(networks[: -len(design.members)]), sum(networks[-len(design.members) :])
    first = reported.epochs if len(curve) > reported.epochs else 0
    spent = [mothers * (i + 1) / first for i in range(first)]
    spent += [mothers + members * (i + 1) / (len(curve) - first) for i in range(len(curve) - first)]
    return Training(
        reported=reported,
        budget=int(row["budget"]),
        kind=row["class"],
        seconds=float(row["core_seconds"]),
        members=len(design.members),
        independent=design.independent,
        curve=curve,
        spent=tuple(spent),
        networks=tuple(networks),
    )


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One data set at one budget with one length of schedule.

    Attributes:
        dataset: name of the data set.
        budget: parameters of the single network.
        epochs: epochs of a network trained from scratch.
        whole: whether the schedule is the data set's longest.
        runs: trainings by name of the design (`Training.name`) and seed.
    """

    dataset: str
    budget: int
    epochs: int
    whole: bool
    runs: Mapping[str, Mapping[int, Training]]

    @property
    def key(self) -> tuple[str, int]:
        return self.dataset, self.budget

    @property
    def place(self) -> tuple[str, int, int]:
        return self.dataset, self.budget, self.epochs

    @property
    def reported(self) -> ReportedTraining:
        """Reported data of one training, for the facts that all designs share."""
        return self.of(next(iter(self.runs))).reported

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds with which every design was trained."""
        return tuple(sorted(set.intersection(*(set(runs) for runs in self.runs.values()))))

    def of(self, design: str) -> Training:
        """Return one training of a design, for the facts that all seeds share."""
        return next(iter(self.runs[design].values()))

    def named(
        self, kinds: Sequence[str], members: int | None = None, independent: bool | None = None
    ) -> list[str]:
        """Return the designs of some classes, of a number of members and of a kind of training if given."""
        return [
            d
            for d in self.runs
            if (t := self.of(d)).kind in kinds
            and members in (None, t.members)
            and independent in (None, t.independent)
        ]

    @property
    def single(self) -> str | None:
        return next(iter(self.singles), None)

    @property
    def singles(self) -> list[str]:
        return self.named(["single"])

    @property
    def ensembles(self) -> list[str]:
        return [d for d in self.runs if self.of(d).kind != "single"]

    def error(self, design: str, seeds: Sequence[int]) -> float:
        """Return the mean test error over seeds, in points."""
        return 100 * float(np.mean([self.runs[design][seed].reported.error for seed in seeds]))

    def best(self, designs: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Return the designs of least mean error, several where they tie."""
        return least({d: self.error(d, seeds) for d in designs})

    def validation_error(self, design: str, seeds: Sequence[int]) -> float:
        """Return the mean validation error at the end over seeds, in points."""
        return 100 * float(np.mean([self.runs[design][seed].curve[-1] for seed in seeds]))

    def rivals(self, members: int | None) -> list[str]:
        """Return all ensembles, or the independent depth-equivalent one of `members` members."""
        return self.ensembles if members is None else self.named(["deq"], members, independent=True)

    def mean_curve(self, design: str) -> np.ndarray:
        """Return the validation error of a design after every epoch, mean over seeds."""
        return np.mean([self.runs[design][seed].curve for seed in self.seeds], axis=0)


def least(errors: Mapping[str, float]) -> list[str]:
    """Return the designs of least error, several where they tie."""
    limit = min(errors.values()) + 1e-9
    return [d for d, e in errors.items() if e <= limit]


def cells(trainings: Sequence[Training]) -> list[Cell]:
    """Return the cells in the order of data set, budget and epochs."""
    longest = {t.reported.dataset: 0 for t in trainings}
    found: dict[tuple[str, int, int], dict[str, dict[int, Training]]] = {}
    for t in trainings:
        longest[t.reported.dataset] = max(longest[t.reported.dataset], t.reported.epochs)
        key = (t.reported.dataset, t.budget, t.reported.epochs)
        found.setdefault(key, {}).setdefault(t.name, {})[t.reported.seed] = t
    return [
        Cell(dataset=d, budget=b, epochs=e, whole=e == longest[d], runs=found[d, b, e])
        for d, b, e in sorted(found)
    ]


def evidence(
    trainings: Sequence[Training], budget: int | None = None, dataset: str | None = None
) -> list[Training]:
    """Return the trainings that advice may use when a budget or a data set is held out."""
    found = []
    for name in sorted({t.reported.dataset for t in trainings} - {dataset}):
        own = [t for t in trainings if t.reported.dataset == name]
        left = SHARE * sum(t.seconds for t in own)
        own = [t for t in own if t.budget != budget]
        for t in sorted(
            own, key=lambda t: (t.reported.seed, t.reported.epochs, t.budget, t.seconds, t.reported.design)
        ):
            if t.seconds <= left:
                left -= t.seconds
                found.append(t)
    return found


# Forecasts for held-out cells.


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The forecast for a cell, by design.

    Attributes:
        error: mean test error, share.
        ends: ends of the 90 % interval for one training, which its test images count.
        factors: upper over lower end of that interval without the noise of counting.
        reaching: epochs until an ensemble has the single network's final error; empty without a forecast.
        seeds: std of the log error between seeds, without counting noise; empty without a forecast.
        at_hand: designs that were trained as probes; their forecast is of that training.
    """

    error: Mapping[str, float]
    ends: Mapping[str, tuple[float, float]]
    reaching: Mapping[str, float] = field(default_factory=dict)
    seeds: Mapping[str, float] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)
    at_hand: frozenset[str] = frozenset()

    @property
    def choice(self) -> str:
        """The design of least error."""
        return min(self.error, key=lambda d: self.error[d])

    def lead(self, cell: Cell, ensembles: Sequence[str]) -> float:
        """Return the points by which the best of some ensembles beats the single network."""
        return 100 * (self.error[cell.single] - min(self.error[d] for d in ensembles))


Forecaster = Callable[[Sequence[Training], Sequence[Cell]], list[Forecast]]


class Grid:
    """The grid with the forecasts of all its cells when their budget, or their data set, is held out."""

    def __init__(self, trainings: Sequence[Training], forecaster: Forecaster) -> None:
        self.trainings = trainings
        self.cells = cells(trainings)
        self.whole = [c for c in self.cells if c.whole]
        self.datasets = sorted({c.dataset for c in self.cells})
        self.budgets = sorted({c.budget for c in self.cells})
        self.seen = {b: evidence(trainings, budget=b) for b in self.budgets}
        self.by_budget: dict[tuple[str, int, int], Forecast] = {}
        self.by_dataset: dict[tuple[str, int, int], Forecast] = {}
        for b in self.budgets:
            self._ask(self.by_budget, forecaster, self.seen[b], [c for c in self.cells if c.budget == b])
        for d in self.datasets if len(self.datasets) > 1 else ():
            asked = [c for c in self.cells if c.dataset == d]
            self._ask(self.by_dataset, forecaster, evidence(trainings, dataset=d), asked)

    def _ask(
        self, into: dict, forecaster: Forecaster, seen: Sequence[Training], asked: Sequence[Cell]
    ) -> None:
        into |= zip([c.place for c in asked], forecaster(seen, asked), strict=True)

    def spent(self, cell: Cell) -> float:
        """Return the core seconds of the evidence on a cell's data set when its budget is held out."""
        return sum(t.seconds for t in self.seen[cell.budget] if t.reported.dataset == cell.dataset)

    def row(self, dataset: str) -> list[Cell]:
        """Return the cells of a data set with the long schedule, by budget."""
        return [c for c in self.whole if c.dataset == dataset]


# Ensembles against the single network.


def lead(cell: Cell, ensembles: Sequence[str]) -> list[float]:
    """Return the points by which the best of some ensembles beats the single network, seed by seed.

    The other seeds name the best ensemble; a lone seed names it itself. The list is empty where nothing can
    be compared.
    """
    if cell.single is None or not ensembles:
        return []
    found = []
    for seed in cell.seeds:
        best = cell.best(ensembles, [s for s in cell.seeds if s != seed] or [seed])
        found.append(cell.error(cell.single, [seed]) - np.mean([cell.error(d, [seed]) for d in best]))
    return [float(x) for x in found]


def lasting(leads: Sequence[float]) -> int:
    """Return the position from which on every lead is positive; their number where the last one is not."""
    return next((i + 1 for i in reversed(range(len(leads))) if leads[i] <= 0), 0)


def reached(curve: Sequence[float], target: float) -> int | None:
    """Return the number of epochs until a curve is at a target or below."""
    return next((i + 1 for i, error in enumerate(curve) if error <= target + 1e-9), None)
