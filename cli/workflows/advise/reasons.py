"""What stands behind an answer of `advisor recommend`, as plain JSON.

Reasons of every row, what would change the advice, and the training that would tell most about it, with the
command line that makes it.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.comparison import Side, price_ratios
from advisor.decision.alternatives import (
    Crossover,
    crossover_of_pair,
    crossovers,
    limit_alternatives,
    other_objectives,
    runner_up,
)
from advisor.decision.probing import WORTHWHILE, Probe, next_probe
from advisor.decision.ranking import Objective, Recommendation
from advisor.decision.reasons import Evidence, Trade, has_threshold, reasons, threshold_of, trade
from advisor.decision.search import Evaluated, Scenario, planned
from advisor.decision.switchover import EPOCH_GRID, Switchover
from advisor.designs.budget import parse_budget
from advisor.designs.design import DesignClass
from cli.workflows.advise.probe import PREPARING_SECONDS, training_seconds
from cli.workflows.advise.request import RecommendRequest

Plain = dict[str, Any]

# A probe may take this share of the training that it advises on, or the whole of a short one.
PROBE_SHARE, SHORT_SECONDS = 1 / 10, 600.0

# Option of each field of a request.
OPTIONS = {
    "budget": "--budget",
    "epochs": "--epochs",
    "dataset": "--dataset",
    "augmentation": "--augment",
    "families": "--family",
    "members": "--members",
    "device": "--device",
    "batch": "--batch",
    "seed": "--seed",
    "profile_seconds": "--profile-seconds",
}
# Options that `advisor recommend` has and `advisor probe` has not.
ADVICE_OPTIONS = {
    "objective": "--objective",
    "max_memory_bytes": "--max-memory",
    "max_latency_ms": "--max-latency-ms",
    "max_train_seconds": "--max-train-time",
    "methods": "--method",
    "trials": "--trials",
}
# Of these one that is no matter to what is probed.
RANKING_ONLY = "objective"
# Values that the commands assume where nothing is said.
ASSUMED = {"seed": 0, "objective": "error", "trials": 160}
# Time for measuring that each command takes unless it is told otherwise, less what was used up before.
PROFILE_SECONDS = {"recommend": 60.0, "probe": 20.0}


def of_rows(
    scenario: Scenario, rows: Sequence[Recommendation], crossings: Sequence[Switchover], evidence: Evidence
) -> list[Plain]:
    """Return what each row says of itself: trade, threshold, chance against the first, reasons.

    The reference trades against the best ensemble of the rows, if it is a single network.
    """
    reference = rows[0].reference
    sides = {row.evaluated: _side(scenario, row.evaluated) for row in rows}
    ensemble = next(
        (row.evaluated for row in rows if row.evaluated.design_class is not DesignClass.SINGLE), None
    )
    found = []
    for row in rows:
        traded, against = None, ensemble if row.evaluated is reference else reference
        if against is not None and against is not row.evaluated:
            ratios = price_ratios(sides[against], sides[row.evaluated], scenario.cost)
            traded = trade(row.evaluated, against, ratios)
        threshold = threshold_of(row.evaluated, crossings)
        evaluated, first = row.evaluated, rows[0].evaluated
        better = scenario.accuracy.probability_below(
            evaluated.errors, first.errors, (evaluated.seed_std, first.seed_std)
        )
        found.append(
            {
                "reference": row.evaluated is reference,
                "trade": None if traded is None else _traded(traded),
                "threshold": None if threshold is None else asdict(threshold),
                "probability_beats_first": None if row is rows[0] else better,
                "unmeasured": list(row.evaluated.priced.unmeasured),
                "reasons": reasons(row, traded, threshold, evidence),
            }
        )
    return found


def _side(scenario: Scenario, evaluated: Evaluated) -> Side:
    return Side(planned(scenario, evaluated.design, evaluated.method), evaluated.priced)


def _traded(traded: Trade) -> Plain:
    return {
        "against": _named(traded.against),
        "points_less": asdict(traded.points_less),
        "epoch_times": asdict(traded.epoch_times),
        "train_times": asdict(traded.train_times),
    }


def _named(evaluated: Evaluated) -> Plain:
    return {"design": evaluated.design.name, "method": evaluated.method.value}


def _figures(evaluated: Evaluated, accuracy: AccuracyPredictor) -> Plain:
    """A design, which may be none of the rows, and what it comes to."""
    return _named(evaluated) | {
        "test_error": asdict(accuracy.predict(evaluated.errors, evaluated.seed_std, evaluated.images)),
        "train_seconds": asdict(evaluated.priced.train_seconds),
    }


def would_change(
    request: RecommendRequest,
    scenario: Scenario,
    rows: Sequence[Recommendation],
    evaluated: Sequence[Evaluated],
    crossings: Sequence[Switchover],
) -> Plain:
    """Return what would put another design first: thresholds, the second, limits, objectives."""
    accuracy, objective = scenario.accuracy, Objective(request.objective)
    budget, first = float(parse_budget(request.budget)), rows[0].evaluated
    second = runner_up(rows, accuracy, objective)
    thresholds = crossovers(first, crossings, budget=budget, epochs=request.epochs)
    if not has_threshold(first) and first is not rows[0].reference:
        thresholds += _crossover_against(rows[0].reference, first, scenario)
    return {
        "thresholds": [asdict(t) for t in thresholds],
        "second": None
        if second is None
        else _figures(second.evaluated, accuracy)
        | {"objective": objective.value, "probability": second.probability}
        | {"against": _named(rows[0].reference)},
        "limits": [
            {"need": o.need, "below": o.below, "down_to": o.down_to} | _figures(o.evaluated, accuracy)
            for o in limit_alternatives(evaluated, accuracy, objective)
        ],
        "objectives": [
            {"objective": other.value} | _figures(j, accuracy)
            for other, j in other_objectives(evaluated, accuracy, objective).items()
        ],
    }


def _crossover_against(reference: Evaluated, first: Evaluated, scenario: Scenario) -> list[Crossover]:
    """Return before how many epochs the reference would have less error, if that is so."""
    pair, data = (reference, first), scenario.dataset
    designs, methods = [j.design for j in pair], [j.method for j in pair]
    errors = np.stack(
        [
            scenario.accuracy.sample_errors(designs, data.learned_as, data.task, epochs, methods=methods)
            for epochs in EPOCH_GRID
        ],
        axis=2,
    )
    crossover = crossover_of_pair(reference, np.log(errors[:, 0] / errors[:, 1]), scenario.epochs)
    return [] if crossover is None else [crossover]


def measure_next(
    request: RecommendRequest,
    scenario: Scenario,
    evaluated: Sequence[Evaluated],
    done: Collection[str],
    train_seconds: float,
) -> Plain:
    """Return the training that would tell most a second, and the command that makes it.

    Where none is worth its while within `PROBE_SHARE` of the training, one that takes longer is named; where
    none is worth its while at all, `probe` is None.

    Args:
        request: that was answered.
        scenario: of the request.
        evaluated: designs that were looked at.
        done: what was trained before, by `key_of`.
        train_seconds: of the first.
    """
    feasible = [j for j in evaluated if j.feasible]
    budget, allowed = parse_budget(request.budget), allowed_seconds(train_seconds)

    def chosen(seconds: float) -> Probe | None:
        return next_probe(scenario, feasible, budget=budget, seconds=seconds, done=done, seed=request.seed)

    within = chosen(allowed)
    probe = within or chosen(math.inf)
    found: Plain = {
        "probe": None,
        "allowed_seconds": allowed,
        "none_within_allowed": within is None,
        "worthwhile_points": WORTHWHILE,
    }
    if probe is None:
        return found
    minutes = math.ceil((probe.seconds.high + PREPARING_SECONDS) / 60)
    # The command chooses anew for the time that it is given.
    probe = chosen(training_seconds(60.0 * minutes)) or probe
    return found | {
        # Proposals differ with the time, so that the one named may be one within it that was missed above.
        "none_within_allowed": within is None and probe.seconds.high > allowed,
        "probe": {
            "design": probe.plan.design,
            "epochs": probe.plan.epochs,
            "share_of_images": probe.image_share,
            "seconds": asdict(probe.seconds),
            "move_points": probe.move,
            "predicted_error": asdict(probe.predicted_error),
            "minutes": minutes,
            "command": command(request, minutes),
        },
    }


def allowed_seconds(train_seconds: float) -> float:
    """Seconds that a probe may take before a training that takes so long."""
    return max(PROBE_SHARE * train_seconds, min(train_seconds, SHORT_SECONDS))


def command(request: RecommendRequest, minutes: int) -> str:
    """Return the command line that probes for a request: `probe`, or `recommend` if that lacks an option.

    Limits and the number of trials decide which designs probes are chosen for.
    """
    given = {f.name: getattr(request, f.name) for f in fields(request)}
    said = {
        name: value for name, value in given.items() if value not in (None, ()) and value != ASSUMED.get(name)
    }
    advice = bool(said.keys() & (ADVICE_OPTIONS.keys() - {RANKING_ONLY}))
    verb = "recommend" if advice else "probe"
    if request.profile_seconds >= PROFILE_SECONDS[verb]:
        del said["profile_seconds"]
    known = OPTIONS | ADVICE_OPTIONS if advice else OPTIONS
    words = ["advisor", verb]
    for name, option in known.items():
        if name in said:
            value = said[name]
            for each in value if isinstance(value, tuple) else (value,):
                words += [option, _written(each)]
    return shlex.join([*words, "--probe" if advice else "--minutes", str(minutes)])


def _written(value: object) -> str:
    """A value as the command line reads it back; numbers without an exponent."""
    return f"{value:.12f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
