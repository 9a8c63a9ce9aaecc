"""The default procedure of `advisor recommend`, replayed on the trainings of a cell.

1. First sight: forecasts by what is known before any training (`advice2_level.py`).
2. Probing (`probe_session.default_probing`): the leading design is trained as it is asked about, then
   its closest rival of the other kind, then leading designs by what their trainings move per second. The
   time is that of the first two, and 5 % of the recommended training beyond that, at most 3 minutes. A probe
   is the training of the file with seed 0, with its core seconds as cost and its errors on validation images.
3. The answer: the design of least expected error. Probed designs are compared by the error of their own
   training, which is what `advisor train` goes on from.

Two things differ from the program. Only designs of the cell are probed, with the cell's schedule: the file
has no other trainings. Forecasts of time are not evaluated here: the time of a probe is known before it is
made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from types import SimpleNamespace

from advice import forecast_of
from advice2_known import Known
from advice2_rules import PROBE_SEED, Replay
from advice_replay import Cell, Forecast, Training

from advisor.accuracy.at_hand import AtHand
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.probes.contenders import contenders, first_to_train, key_of
from advisor.decision.probes.fantasies import Fantasies
from advisor.decision.probes.probe_value import at_stake, errors_of, expected_move, outcome
from advisor.decision.probes.probing import BESIDE_SECONDS, WORTHWHILE
from advisor.decision.scenario import Evaluated
from advisor.designs.design import DesignClass, parse_design
from advisor.estimate import Estimate, Floats
from advisor.plans.method_traits import Method
from cli.workflows.advise.probe_session.default_probing import default_seconds, full_seconds_of


def replayed(cell: Cell, known: Known, first: AccuracyPredictor) -> Replay:
    """Return the default procedure on a cell.

    Args:
        cell: the cell.
        known: what is known of its data set at first sight.
        first: predictor without probes.
    """
    name, accuracy = known.facts.learned_as, first
    evaluated = compared(cell, known, accuracy)
    allowed = left = allowed_seconds(cell, known, evaluated)
    probes: list[Training] = []
    while (chosen := next_training(cell, known, accuracy, evaluated, probes, left)) is not None:
        probes.append(chosen)
        left -= chosen.seconds
        accuracy = known.predictor(probes)
        evaluated = compared(cell, known, accuracy, probes)
    return Replay(
        cell=cell,
        before=forecast_of(first, cell, name),
        after=forecast_after(accuracy, cell, name, probes),
        probes=tuple(probes),
        allowed=allowed,
    )


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
        )
        for design, errors in zip(designs, drawn.T, strict=True)
    ]


def errors_of_probes(
    accuracy: AccuracyPredictor, cell: Cell, name: str, probes: Sequence[Training]
) -> dict[str, tuple[Floats, float]]:
    """Return what is expected of the test error of the probes themselves (`sample_at_hand`), by design.

    Args:
        accuracy: predictor that has learned from them.
        cell: cell of the probes.
        name: name that errors on its data are learned under.
        probes: the probes.
    """
    found = {}
    for training in probes:
        known = AtHand(training.curve[-1], training.reported.validation_images)
        design = parse_design(training.reported.design)
        found[design.name] = accuracy.sample_at_hand(known, design, name, cell.reported.task, cell.epochs)
    return found


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
        at_hand=frozenset(t.reported.design for t in probes),
    )


def next_training(
    cell: Cell,
    known: Known,
    accuracy: AccuracyPredictor,
    evaluated: Sequence[Evaluated],
    probes: Sequence[Training],
    left: float,
    running: Sequence[Training] = (),
    seconds: Callable[[Training], float] = lambda training: training.seconds,
) -> Training | None:
    """Return the next probe as `next_probe` would, or None where none is worthwhile.

    Args:
        cell: the cell.
        known: what is known of its data set at first sight.
        accuracy: predictor that has learned from the probes so far.
        evaluated: designs of the cell, by this predictor.
        probes: probes so far.
        left: seconds that are left.
        running: probes that train at the same time, whose results are not known.
        seconds: time of a probe.
    """
    expected = [outcome(accuracy, parse_design(t.reported.design), known.facts, cell.epochs) for t in running]
    begun = len(probes) + len(running)
    fantasies = Fantasies.of(expected, begun)
    evaluated = fantasies.evaluated(evaluated)
    errors = errors_of(evaluated)
    if 100 * at_stake(errors) < WORTHWHILE:
        return None
    done = {_key(t.reported.design, cell) for t in (*probes, *running)}
    for e in first_to_train(evaluated, known.facts, cell.epochs, done):
        if seconds(_training(cell, e)) <= left:
            return _training(cell, e)
    rates: dict[float, Training] = {}
    for e in contenders(evaluated):
        training = _training(cell, e)
        if seconds(training) > left or _is_done(training, cell, done):
            continue
        result = outcome(accuracy, e.design, known.facts, cell.epochs)
        log_figures = fantasies.conditioned(result.log_figures)
        move = 100 * expected_move(errors, log_figures, result.stds, begun)
        if move >= WORTHWHILE:
            rates[move / (seconds(training) + BESIDE_SECONDS)] = training
    return rates[max(rates)] if rates else None


def allowed_seconds(cell: Cell, known: Known, evaluated: Sequence[Evaluated]) -> float:
    """Return the core seconds that the probes of a cell may cost by default."""
    first = [_training(cell, e) for e in first_to_train(evaluated, known.facts, cell.epochs, ())]
    recommended = min(evaluated, key=lambda e: float(e.errors.mean()))
    probes = [SimpleNamespace(seconds=Estimate.exact(t.seconds)) for t in first]
    return default_seconds(probes, full_seconds_of(probes), _training(cell, recommended).seconds)


def _training(cell: Cell, evaluated: Evaluated) -> Training:
    return cell.runs[evaluated.design.name][PROBE_SEED]


def _key(design: str, cell: Cell) -> str:
    return key_of(design, cell.epochs, 1.0)


def _is_done(training: Training, cell: Cell, done: Collection[str]) -> bool:
    return _key(training.reported.design, cell) in done
