"""The default procedure of `advisor recommend`, replayed on the trainings of a cell with a simulated clock.

1. First sight: forecasts by what is known before any training (`advice2_level.py`).
2. Probing (`probe_session.default_probing`): the leading design is trained as it is asked about, beside it
   its closest rival of the other kind, then what moves the comparison most per second
   (`advice2_choice.py`). The session lasts as long as the first two one after the other, and 5 % of the
   recommended training beyond that, at most 3 minutes. A probe is the training of the file with seed 0, with
   its errors on validation images. It takes its core seconds, and choosing takes none.
3. The answer: the design of least expected error. Probed designs are compared by the error of their own
   training, which is what `advisor train` goes on from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush

from advice import forecast_of
from advice2_choice import Choice, allowed_seconds, asked_about, compared, errors_of_probes, pool_for, verdict
from advice2_known import Known
from advice2_rules import Replay
from advice_replay import Cell, Forecast, Training

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.probes.probing import BESIDE_SECONDS
from advisor.designs.design import parse_design

# Mean slowdown of two processes on two cores (benchmarks/cost/results/contention-cpu.json, "long").
CONTENTION = 1.023
# Design, budget and epochs of a training, which tell the trainings of a data set apart.
Order = tuple[str, int, int]


@dataclass(frozen=True)
class Way:
    """A way to use the cores of a machine for probes.

    Attributes:
        name: name in a result.
        at_once: probes at once.
        seconds: time of a probe.
    """

    name: str
    at_once: int
    seconds: Callable[[Training], float]

    @classmethod
    def side_by_side(cls, cores: int) -> Way:
        """Return the way of the program: a probe a core, slowed down by the others."""
        return cls(f"{cores} side by side", cores, partial(one_core, slowdown=CONTENTION))


def one_core(training: Training, slowdown: float = 1.0) -> float:
    return slowdown * training.seconds


# The grids were trained on machines with two cores.
AS_THE_PROGRAM = Way.side_by_side(2)


@dataclass
class Replayer:
    """The default procedure on one cell.

    Attributes:
        cell: the cell.
        known: what is known of its data set at first sight.
        first: predictor without probes.
        pool: trainings that may be probes.
    """

    cell: Cell
    known: Known
    first: AccuracyPredictor
    pool: Sequence[Training]
    _fitted: dict[frozenset[str], AccuracyPredictor] = field(default_factory=dict)

    def predictor(self, probes: Sequence[Training]) -> AccuracyPredictor:
        """Return the predictor after some probes, in whatever order they ended."""
        if not probes:
            return self.first
        key = frozenset(map(_order, probes))
        if key not in self._fitted:
            self._fitted[key] = self.known.predictor(sorted(probes, key=_order))
        return self._fitted[key]

    def allowed_seconds(self) -> float:
        """Return how long a session may take by default."""
        return allowed_seconds(self.cell, self.known, compared(self.cell, self.known, self.first))

    def session(self, way: Way, allowed: float, by_the_clock: bool = True) -> tuple[list[Training], float]:
        """Return the probes of a session in the order of their end, and its wall-clock seconds.

        Args:
            way: use of the cores.
            allowed: seconds of the session.
            by_the_clock: whether they are those of the clock; else the seconds of all probes.
        """
        choice = Choice(self.cell, self.known, self.pool, way.seconds if by_the_clock else one_core)
        clock, spent, probes = 0.0, 0.0, list[Training]()
        running: list[tuple[float, Order, Training]] = []
        while True:
            accuracy = self.predictor(probes)
            evaluated = compared(self.cell, self.known, accuracy, probes)
            while len(running) < way.at_once:
                left = allowed - (clock if by_the_clock else spent)
                beside = [t for *_, t in sorted(running, key=lambda r: r[1])]
                too_short = left <= BESIDE_SECONDS
                chosen = None if too_short else choice.next(accuracy, evaluated, probes, beside, left)
                if chosen is None:
                    break
                heappush(running, (clock + way.seconds(chosen), _order(chosen), chosen))
                spent += chosen.seconds
            if not running:
                return probes, clock
            clock, _, ended = heappop(running)
            probes.append(ended)


def _order(training: Training) -> Order:
    return training.name, training.budget, training.reported.epochs


def replayed(cell: Cell, known: Known, first: AccuracyPredictor, trainings: Sequence[Training]) -> Replay:
    """Return the default procedure on a cell.

    Args:
        cell: the cell.
        known: what is known of its data set at first sight.
        first: predictor without probes.
        trainings: trainings of the grid, of which probes are chosen.
    """
    replayer, name = Replayer(cell, known, first, pool_for(cell, trainings)), known.facts.learned_as
    allowed = replayer.allowed_seconds()
    probes, clock = replayer.session(AS_THE_PROGRAM, allowed)
    accuracy = replayer.predictor(probes)
    told = verdict(accuracy, compared(cell, known, accuracy, probes))
    return Replay(
        cell=cell,
        before=forecast_of(first, cell, name),
        after=forecast_after(accuracy, cell, name, probes),
        probes=tuple(probes),
        allowed=allowed,
        clock=clock,
        verdict=next(d for d in cell.runs if parse_design(d).name == told),
    )


def forecast_after(
    accuracy: AccuracyPredictor, cell: Cell, name: str, probes: Sequence[Training]
) -> Forecast:
    """Return the forecast of a cell after probes; arguments are those of `errors_of_probes`."""
    found = forecast_of(accuracy, cell, name)
    error, ends, seeds, factors = (dict(x) for x in (found.error, found.ends, found.seeds, found.factors))
    for key, (design, (drawn, std)) in enumerate(errors_of_probes(accuracy, cell, name, probes).items()):
        counted, exact = (
            accuracy.predict(drawn, std, images, key, at_hand=True)
            for images in (cell.reported.test_images, None)
        )
        error[design], seeds[design] = float(drawn.mean()), std
        ends[design], factors[design] = (counted.low, counted.high), exact.high / exact.low
    return Forecast(
        error=error,
        ends=ends,
        seeds=seeds,
        factors=factors,
        at_hand=frozenset(t.reported.design for t in asked_about(cell, probes)),
    )
