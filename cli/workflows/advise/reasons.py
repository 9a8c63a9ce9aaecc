"""Explanations of an advice: the reasons of every row, and conditions that would put another design first."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from advisor.accuracy.likelihood import LikelihoodPredictor
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.money.machine_price import usd_of_training
from advisor.decision.alternatives import (
    Crossover,
    crossover_of_pair,
    crossovers,
    limit_alternatives,
    other_objectives,
    runner_up,
)
from advisor.decision.ranking import Objective, Recommendation
from advisor.decision.reasons import (
    Evidence,
    Trade,
    compared_prices,
    has_threshold,
    reasons,
    threshold_of,
    trade,
)
from advisor.decision.scenario import Evaluated, Scenario
from advisor.decision.threshold.switchover import EPOCH_GRID, Switchover
from advisor.decision.weight_decay import absolute
from advisor.designs.budget import parse_budget
from advisor.designs.design import DesignClass
from advisor.estimate import Estimate, Floats
from cli.workflows.answers.advise.advice import AdvisedDesign, PredictedFigures
from cli.workflows.answers.advise.reasons import (
    DesignTrade,
    NamedDesign,
    Need,
    OtherObjective,
    RunnerUp,
    TighterLimit,
    WouldChange,
)
from cli.workflows.answers.advise.request import RecommendRequest


def advised_designs(
    scenario: Scenario,
    rows: Sequence[Recommendation],
    switchovers: Sequence[Switchover],
    evidence: Evidence,
    price_per_hour: float | None = None,
) -> tuple[AdvisedDesign, ...]:
    """Return the rows of the ranking, each with its figures and its reasons.

    Args:
        scenario: scenario of the request.
        rows: ranking, best first.
        switchovers: known switchover thresholds.
        evidence: evidence that the predictions rest on.
        price_per_hour: price of the machine in USD per hour, None for no cost.
    """
    first = rows[0].evaluated
    trades = _trades(scenario, rows)

    def beats_first(evaluated: Evaluated) -> float:
        return scenario.accuracy.probability_below(
            evaluated.errors, first.errors, (evaluated.seed_std, first.seed_std)
        )

    return tuple(
        _advised(
            row,
            trades[row.evaluated],
            threshold_of(row.evaluated, switchovers),
            None if row is rows[0] else beats_first(row.evaluated),
            evidence,
            predicted_figures(row.evaluated, row.test_error, scenario.likelihood, price_per_hour),
        )
        for row in rows
    )


def _advised(
    row: Recommendation,
    traded: Trade | None,
    threshold: Switchover | None,
    probability_beats_first: float | None,
    evidence: Evidence,
    predicted: PredictedFigures,
) -> AdvisedDesign:
    evaluated = row.evaluated
    return AdvisedDesign(
        rank=row.rank,
        design=evaluated.design.name,
        method=evaluated.method,
        design_class=evaluated.design_class,
        members=len(evaluated.design.members),
        clusters=evaluated.design.clusters,
        parameters=evaluated.parameters,
        predicted=predicted,
        probability_beats_single=row.probability_beats_single,
        near_threshold=row.near_threshold,
        evidence=evidence,
        reference=evaluated is row.reference,
        trade=None if traded is None else design_trade(traded),
        threshold=threshold,
        probability_beats_first=probability_beats_first,
        tie=row.tie,
        untried=row.untried,
        unmeasured=evaluated.priced.unmeasured,
        reasons=tuple(reasons(row, traded, threshold, evidence)),
        weight_decay=absolute(evaluated.design, evaluated.weight_decay),
        tuned_weight_decay=evaluated.tuned_weight_decay,
        networks_exist=evaluated.at_hand,
    )


def predicted_figures(
    evaluated: Evaluated,
    test_error: Estimate,
    likelihood: LikelihoodPredictor | None,
    price_per_hour: float | None,
) -> PredictedFigures:
    """Return predicted error and cost of a design.

    Args:
        evaluated: the design.
        test_error: its predicted test error, a share.
        likelihood: predictor of likelihood and calibration; None forecasts neither.
        price_per_hour: price of the machine in USD per hour, None for no cost.
    """
    priced = evaluated.priced
    drawn = evaluated.errors, len(evaluated.design.members), evaluated.seed_std
    at_hand = evaluated.at_hand
    return PredictedFigures(
        test_error=test_error,
        epoch_seconds=priced.epoch_seconds,
        train_seconds=priced.train_seconds,
        inference_ms_per_image=priced.inference_ms_per_image,
        train_peak_bytes=priced.train_peak_bytes,
        train_reserved_bytes=priced.train_reserved_bytes,
        memory_bytes=priced.memory_bytes,
        test_nll=None if likelihood is None else likelihood.predict_nll(*drawn, at_hand=at_hand),
        calibration_error=None
        if likelihood is None
        else likelihood.predict_calibration(*drawn, at_hand=at_hand),
        cost_usd=usd_of_training(priced.train_seconds, price_per_hour),
    )


def _trades(scenario: Scenario, rows: Sequence[Recommendation]) -> dict[Evaluated, Trade | None]:
    """Return what each design of the ranking trades against the reference.

    The reference itself, if it is a single network, trades against the best ensemble of the ranking.
    """
    reference = rows[0].reference
    ensembles = [r for r in rows if r.evaluated.design_class is not DesignClass.SINGLE and not r.untried]
    best = min(ensembles, key=lambda row: row.place).evaluated if ensembles else None
    found: dict[Evaluated, Trade | None] = {}
    for evaluated in (row.evaluated for row in rows):
        against = best if evaluated is reference else reference
        if against is None or against is evaluated:
            found[evaluated] = None
        else:
            found[evaluated] = trade_between(scenario, evaluated, against)
    return found


def trade_between(scenario: Scenario, evaluated: Evaluated, against: Evaluated) -> Trade:
    """Return what a design trades against another one.

    Args:
        scenario: scenario of the request.
        evaluated: the design.
        against: the other design.
    """
    return trade(evaluated, against, compared_prices(scenario, evaluated, against))


def design_trade(traded: Trade) -> DesignTrade:
    """Return a trade as the answer has it."""
    return DesignTrade(
        against=named_design(traded.against),
        points_less=traded.points_less,
        epoch_times=traded.epoch_times,
        train_times=traded.train_times,
    )


def named_design(evaluated: Evaluated) -> NamedDesign:
    """Return the name of a design and how it is trained."""
    return NamedDesign(
        design=evaluated.design.name,
        method=evaluated.method,
        tuned_weight_decay=evaluated.tuned_weight_decay,
    )


def would_change(
    request: RecommendRequest,
    scenario: Scenario,
    rows: Sequence[Recommendation],
    evaluated: Sequence[Evaluated],
    switchovers: Sequence[Switchover],
    leading: Collection[str],
) -> WouldChange:
    """Return what would put another design first.

    Args:
        request: request that is answered.
        scenario: scenario of the request.
        rows: ranking, best first.
        evaluated: designs that the search looked at.
        switchovers: known switchover thresholds.
        leading: families that may lead.
    """
    accuracy, objective = scenario.accuracy, Objective(request.objective)
    return WouldChange(
        thresholds=tuple(_thresholds(request, scenario, rows, switchovers)),
        second=_second(rows, accuracy, objective),
        limits=tuple(
            TighterLimit(
                need=Need(limit.need),
                below=limit.below,
                down_to=limit.down_to,
                design=limit.evaluated.design.name,
                method=limit.evaluated.method,
                test_error=_error(limit.evaluated, accuracy),
                train_seconds=limit.evaluated.priced.train_seconds,
                tuned_weight_decay=limit.evaluated.tuned_weight_decay,
            )
            for limit in limit_alternatives(evaluated, accuracy, objective, leading)
        ),
        objectives=tuple(
            OtherObjective(
                objective=other,
                design=first.design.name,
                method=first.method,
                test_error=_error(first, accuracy),
                train_seconds=first.priced.train_seconds,
                tuned_weight_decay=first.tuned_weight_decay,
            )
            for other, first in other_objectives(evaluated, accuracy, objective, leading).items()
        ),
    )


def _error(evaluated: Evaluated, accuracy: AccuracyPredictor) -> Estimate:
    return accuracy.predict(evaluated.errors, evaluated.seed_std, evaluated.images, at_hand=evaluated.at_hand)


def _second(
    rows: Sequence[Recommendation], accuracy: AccuracyPredictor, objective: Objective
) -> RunnerUp | None:
    rival = runner_up(rows, accuracy, objective)
    if rival is None:
        return None
    return RunnerUp(
        design=rival.evaluated.design.name,
        method=rival.evaluated.method,
        tuned_weight_decay=rival.evaluated.tuned_weight_decay,
        test_error=_error(rival.evaluated, accuracy),
        train_seconds=rival.evaluated.priced.train_seconds,
        objective=objective,
        probability=rival.probability,
        against=named_design(rows[0].reference),
    )


def _thresholds(
    request: RecommendRequest,
    scenario: Scenario,
    rows: Sequence[Recommendation],
    switchovers: Sequence[Switchover],
) -> list[Crossover]:
    """Return where the first design of the ranking gives way to something else."""
    first, reference = rows[0].evaluated, rows[0].reference
    budget = float(parse_budget(request.budget))
    found = crossovers(first, switchovers, budget=budget, epochs=request.epochs)
    if not has_threshold(first) and first is not reference:
        found += _crossover_against(reference, first, scenario)
    return found


def _crossover_against(reference: Evaluated, first: Evaluated, scenario: Scenario) -> list[Crossover]:
    """Return the number of epochs below which the reference has less error, if there is one."""
    pair, data = (reference, first), scenario.dataset
    designs, methods = [e.design for e in pair], [e.method for e in pair]
    decays = [e.weight_decay for e in pair]

    def drawn(epochs: int) -> Floats:
        return scenario.accuracy.sample_errors(
            designs, data.learned_as, data.task, epochs, methods=methods, weight_decays=decays
        )

    errors = np.stack([drawn(epochs) for epochs in EPOCH_GRID], axis=2)
    crossover = crossover_of_pair(reference, np.log(errors[:, 0] / errors[:, 1]), scenario.epochs)
    return [] if crossover is None else [crossover]
