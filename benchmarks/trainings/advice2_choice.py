"""The choices of the default procedure on the trainings of a cell: designs compared, and the next probe.

As in the program, but for this:

- Probes are trainings of the grid: designs of the cell, the short schedule, and smaller budgets. None is on a
  part of the images or has another weight decay. All of them are valued, not a sample of proposals.
- Of a probe's members the mean error is known only.
- Forecasts of time are not evaluated: the time of a probe is known before it is made, and the time of a
  session does not change as other designs take the lead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

from advice2_known import Known
from advice2_rules import PROBE_SEED
from advice_replay import Cell, Training

from advisor.accuracy.at_hand import AtHand
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.probes.contenders import first_to_train, key_of
from advisor.decision.probes.fantasies import Fantasies
from advisor.decision.probes.probe_value import Outcome, at_stake, errors_of, expected_move, outcome
from advisor.decision.probes.probing import BESIDE_SECONDS, LEAST_BUDGET, LEAST_EPOCHS, WORTHWHILE
from advisor.decision.ranking import TIE, Objective, probability_better
from advisor.decision.scenario import Evaluated
from advisor.designs.design import DesignClass, parse_design
from advisor.estimate import Estimate, Floats
from advisor.plans.method_traits import Method
from cli.workflows.advise.probe_session.default_probing import default_seconds, full_seconds_of
from cli.workflows.advise.verdict import choice


def compared(
    cell: Cell, known: Known, accuracy: AccuracyPredictor, probes: Sequence[Training] = ()
) -> list[Evaluated]:
    """Return the designs of a cell with the draws of their errors, those of probes by their own training."""
    designs, facts = [parse_design(d) for d in cell.runs], known.facts
    drawn = accuracy.sample_errors(designs, facts.learned_as, facts.task, cell.epochs)
    own = errors_of_probes(accuracy, cell, facts.learned_as, probes)
    return [
        Evaluated(
            design=design,
            # Nothing here depends on the class or on a price.
            design_class=DesignClass.SINGLE if len(design.members) == 1 else DesignClass.DEPTH_EQUIVALENT,
            parameters=design.parameters(facts.task),
            priced=None,
            errors=own[design.name][0] if design.name in own else errors,
            feasible=True,
            method=Method.FULL_DATA if design.independent else Method.MOTHERNETS,
            seed_std=own[design.name][1]
            if design.name in own
            else accuracy.seed_std(design, facts.learned_as, Method.FULL_DATA),
            at_hand=design.name in own,
        )
        for design, errors in zip(designs, drawn.T, strict=True)
    ]


def verdict(accuracy: AccuracyPredictor, evaluated: Sequence[Evaluated]) -> str:
    """Return the design that the program says to train (`cli.workflows.advise.verdict`).

    Args:
        accuracy: predictor that has learned from the probes.
        evaluated: designs of a cell, by this predictor.
    """
    first, *others = sorted(evaluated, key=lambda e: float(e.errors.mean()))
    ties = [False, *(probability_better(e, first, accuracy, Objective.ERROR) >= TIE for e in others)]
    rows = [
        SimpleNamespace(evaluated=e, place=place, tie=tie, untried=False)
        for place, (e, tie) in enumerate(zip([first, *others], ties, strict=True))
    ]
    return choice(rows)[1].evaluated.design.name


def errors_of_probes(
    accuracy: AccuracyPredictor, cell: Cell, name: str, probes: Sequence[Training]
) -> dict[str, tuple[Floats, float]]:
    """Return what is expected of the test error of the cell's own probes (`sample_at_hand`), by design.

    Args:
        accuracy: predictor that has learned from them.
        cell: cell of the probes.
        name: name that errors on its data are learned under.
        probes: the probes.
    """
    found = {}
    for training in asked_about(cell, probes):
        known = AtHand(training.curve[-1], training.reported.validation_images)
        design = parse_design(training.reported.design)
        found[design.name] = accuracy.sample_at_hand(known, design, name, cell.reported.task, cell.epochs)
    return found


def asked_about(cell: Cell, probes: Iterable[Training]) -> list[Training]:
    """Return the probes that are trainings of the cell itself."""
    return [t for t in probes if (t.budget, t.reported.epochs) == (cell.budget, cell.epochs)]


def pool_for(cell: Cell, trainings: Iterable[Training]) -> list[Training]:
    """Return the trainings that may be probes of a cell, as large and long as the program proposes them.

    Args:
        cell: the cell.
        trainings: trainings of the grid.
    """
    others = [
        t
        for t in trainings
        if t.reported.dataset == cell.dataset
        and t.reported.seed == PROBE_SEED
        and t.reported.weight_decay == 1
        and LEAST_BUDGET * cell.budget <= t.budget <= cell.budget
        and LEAST_EPOCHS * cell.epochs <= t.reported.epochs <= cell.epochs
        and (t.budget, t.reported.epochs) != (cell.budget, cell.epochs)
    ]
    own = [runs[PROBE_SEED] for runs in cell.runs.values()]
    return [t for t in (*own, *others) if parse_design(t.reported.design).homogeneous]


@dataclass(frozen=True)
class Choice:
    """The choice of the probes of a cell.

    Attributes:
        cell: the cell.
        known: what is known of its data set at first sight.
        pool: trainings that may be probes.
        seconds: time of a probe.
    """

    cell: Cell
    known: Known
    pool: Sequence[Training]
    seconds: Callable[[Training], float]

    def next(
        self,
        accuracy: AccuracyPredictor,
        evaluated: Sequence[Evaluated],
        probes: Sequence[Training],
        running: Sequence[Training],
        left: float,
    ) -> Training | None:
        """Return the next probe as `next_probe` would, or None where none is worthwhile.

        Args:
            accuracy: predictor that has learned from the probes so far.
            evaluated: designs of the cell, by this predictor.
            probes: probes so far.
            running: probes that train at the same time, whose results are not known.
            left: seconds that are left.
        """
        begun = len(probes) + len(running)
        fantasies = Fantasies.of([self._outcome(accuracy, t) for t in running], begun)
        evaluated = fantasies.evaluated(evaluated)
        errors = errors_of(evaluated)
        if 100 * at_stake(errors) < WORTHWHILE:
            return None
        done = {_key(t) for t in (*probes, *running)}
        for e in first_to_train(evaluated, self.known.facts, self.cell.epochs, done):
            training = _training(self.cell, e)
            if self.seconds(training) <= left:
                return training
        rates: dict[float, Training] = {}
        for training in self.pool:
            if self.seconds(training) > left or _key(training) in done:
                continue
            result = self._outcome(accuracy, training)
            log_figures = fantasies.conditioned(result.log_figures)
            move = 100 * expected_move(errors, log_figures, result.stds, begun)
            if move >= WORTHWHILE:
                rates[move / (self.seconds(training) + BESIDE_SECONDS)] = training
        return rates[max(rates)] if rates else None

    def _outcome(self, accuracy: AccuracyPredictor, training: Training) -> Outcome:
        design, epochs = parse_design(training.reported.design), training.reported.epochs
        return outcome(accuracy, design, self.known.facts, epochs)


def allowed_seconds(cell: Cell, known: Known, evaluated: Sequence[Evaluated]) -> float:
    """Return how long a probing session of a cell may take by default, seconds."""
    first = [_training(cell, e) for e in first_to_train(evaluated, known.facts, cell.epochs, ())]
    recommended = min(evaluated, key=lambda e: float(e.errors.mean()))
    probes = [SimpleNamespace(seconds=Estimate.exact(t.seconds)) for t in first]
    return default_seconds(full_seconds_of(probes), _training(cell, recommended).seconds)


def _training(cell: Cell, evaluated: Evaluated) -> Training:
    return cell.runs[evaluated.design.name][PROBE_SEED]


def _key(training: Training) -> str:
    return key_of(training.reported.design, training.reported.epochs, 1.0)
