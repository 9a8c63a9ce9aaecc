"""`advisor frontier`: every way to train a given ensemble, its error beside its cost.

Plans are made and forecast as in `advisor explain`, all by the same predictors. Finished runs of the ensemble
stand beside the forecasts. Nothing is measured, trained or written but the picture.

Where nothing was measured on this machine, seconds are unknown. Ratios of seconds then come from a formula
that knows no machine, and the front is that of error and ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from advisor.cost.comparison import Side, train_seconds_ratio
from advisor.cost.money.machine_price import usd_of_training
from advisor.cost.pricing import price
from advisor.decision.frontier.dominance import Beaten, beaten_ways, never_worth
from advisor.decision.frontier.sweep import Way, ways_to_train
from advisor.designs.design import Design, parse_design
from advisor.errors import UsageError
from advisor.estimate import Estimate, Floats
from advisor.plans.method_traits import Method
from advisor.plans.records import Run, RunStatus
from cli.quantities import check_price
from cli.workflows.answers.examine.frontier import (
    BetterWay,
    Frontier,
    FrontierRow,
    InapplicableMethod,
    MeasuredRun,
    NeverWorth,
)
from cli.workflows.answers.examine.parts import ForecastEvidence, PlanFacts
from cli.workflows.examine.slot_forecasts import slot_forecasts
from cli.workflows.examine.sweeps.finished_runs import FinishedRuns
from cli.workflows.examine.sweeps.similar_plans import SimilarPlans
from cli.workflows.forecast.evidence import error_basis
from cli.workflows.forecast.forecasting import Predictors, forecast_evidence, predictors_for
from cli.workflows.forecast.machine import digests_of
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from cli.workflows.home import Home
from cli.workflows.reading import known_store
from cli.workflows.views import Say, silent


def frontier(
    request: PlanRequest,
    price_per_hour: float | None,
    home: Home,
    say: Say = silent,
    *,
    slots: Sequence[int] = (),
) -> Frontier:
    """Return every way to train an ensemble.

    Args:
        request: ensemble, and how a network is trained.
        price_per_hour: price of the machine in USD per hour, None for no cost.
        home: folder of the database.
        say: receiver of what is peculiar about a data folder.
        slots: numbers of slots that the training time of every way is forecast on as well.

    Raises:
        UsageError: a request that cannot be understood.
        StorageError: the database cannot be read.
    """
    check_price(price_per_hour, "--price-per-hour")
    design = _ensemble(str(request.target))
    target = planned_target(replace(request, target=design.name), home, say)
    with known_store(home) as store:
        base = target.with_settings(store)
        plans = SimilarPlans.of(base, store, usual_length=request.epochs is None)
        predictors = predictors_for(base, store)
        finished = [run for run in store.runs(RunStatus.DONE) if run.test is not None]
    return _answer(design, plans, predictors, finished, price_per_hour, slots)


def _ensemble(name: str) -> Design:
    """Return the ensemble of a name, every member a cluster of its own.

    Raises:
        UsageError: the name has clusters, or it is that of a single network.
    """
    design = parse_design(name)
    if "@" in name:
        raise UsageError(f"frontier tries every number of clusters: leave out @{name.partition('@')[2]}")
    if len(design.members) == 1:
        raise UsageError(f"frontier needs an ensemble, and {name} is one network: write 4x{name}")
    return design


def _answer(
    design: Design,
    plans: SimilarPlans,
    predictors: Predictors,
    finished: Sequence[Run],
    price_per_hour: float | None,
    slots: Sequence[int],
) -> Frontier:
    base = plans.base
    ways, inapplicable = ways_to_train(design, plans.plan)
    sweep = _Sweep.of(ways, predictors)
    beaten = sweep.beaten()
    measured = FinishedRuns(finished, digests_of(base.execution.device), price_per_hour)
    full_data = next(way.plan for way in ways if way.method is Method.FULL_DATA)
    rows = tuple(
        replace(
            sweep.row(i, beaten[i], measured.of(way.plan), price_per_hour),
            by_slots=slot_forecasts(way.plan, predictors.cost, slots, full_data),
        )
        for i, way in enumerate(ways)
    )
    shown = {each.run for row in rows for each in row.runs}
    return Frontier(
        plan=PlanFacts.of(base),
        members=len(design.members),
        price_per_hour_usd=price_per_hour,
        rows=rows,
        inapplicable=tuple(InapplicableMethod(method=i.method, reason=i.reason) for i in inapplicable),
        never_worth=tuple(
            NeverWorth(method=Method(method), beaten_by=sweep.better_way(each))
            for method, each in never_worth(beaten, [way.method for way in ways]).items()
        ),
        other_runs=tuple(n for n in measured.of_ensemble(ways) if n not in shown),
        evidence=sweep.evidence(),
    )


@dataclass(frozen=True, slots=True)
class _Sweep:
    """Ways to train an ensemble with their forecasts.

    Attributes:
        ways: the ways.
        sides: plan and price of each.
        errors: draws of the ensemble's expected error, shape (draws, ways).
        member_errors: draws of the members' expected mean error, shape (draws, ways).
        seed_stds: standard deviation of the log error of each between seeds.
        predictors: predictors of all.
    """

    ways: Sequence[Way]
    sides: Sequence[Side]
    errors: Floats
    member_errors: Floats
    seed_stds: Sequence[float]
    predictors: Predictors

    @classmethod
    def of(cls, ways: Sequence[Way], predictors: Predictors) -> _Sweep:
        """Return the ways with their forecasts; all errors are drawn at once."""
        plans = [way.plan for way in ways]
        errors, member_errors = predictors.sampled_errors_of(plans)
        return cls(
            ways=ways,
            sides=[Side(plan, price(plan, predictors.cost)) for plan in plans],
            errors=errors,
            member_errors=member_errors,
            seed_stds=[predictors.seed_std(plan) for plan in plans],
            predictors=predictors,
        )

    def beaten(self) -> list[Beaten | None]:
        """Return what beats each way in error and time."""
        seconds = np.array([side.priced.train_seconds.mean for side in self.sides])

        def less_error(i: int, j: int) -> float:
            return self.predictors.accuracy.probability_below(
                self.errors[:, i], self.errors[:, j], (self.seed_stds[i], self.seed_stds[j])
            )

        return beaten_ways(self.errors.mean(axis=0), seconds, less_error, self._time_ratio)

    def _time_ratio(self, i: int, j: int) -> Estimate:
        """Return the time of the first way over that of the second."""
        return train_seconds_ratio(self.sides[j], self.sides[i], self.predictors.cost)

    @property
    def _full_data(self) -> int:
        return next(i for i, way in enumerate(self.ways) if way.method is Method.FULL_DATA)

    def row(
        self, i: int, beaten: Beaten | None, runs: tuple[MeasuredRun, ...], price_per_hour: float | None
    ) -> FrontierRow:
        """Return the row of a way."""
        way, plan, accuracy = self.ways[i], self.ways[i].plan, self.predictors.accuracy
        priced = None if self.predictors.cost.basis == "nominal" else self.sides[i].priced
        seed_std, images = self.seed_stds[i], plan.dataset.test_images
        seconds = None if priced is None else priced.train_seconds
        return FrontierRow(
            method=way.method,
            clusters=way.clusters,
            design=plan.design,
            test_error=accuracy.predict(self.errors[:, i], seed_std, images),
            mean_member_error=accuracy.predict(self.member_errors[:, i], seed_std, images),
            train_seconds=seconds,
            time_over_full_data=self._time_ratio(i, self._full_data),
            train_peak_bytes=None if priced is None else priced.train_peak_bytes,
            inference_ms_per_image=None if priced is None else priced.inference_ms_per_image,
            cost_usd=usd_of_training(seconds, price_per_hour),
            on_front=beaten is None,
            beaten_by=None if beaten is None else self.better_way(beaten),
            runs=runs,
        )

    def better_way(self, beaten: Beaten) -> BetterWay:
        """Return the way that beats another one."""
        way = self.ways[beaten.by]
        return BetterWay(method=way.method, clusters=way.clusters, probability=beaten.probability)

    def evidence(self) -> ForecastEvidence:
        """Return the measurements and trainings that the forecasts rest on."""
        unmeasured = dict.fromkeys(text for side in self.sides for text in side.priced.unmeasured)
        known = () if self.predictors.cost.basis == "nominal" else tuple(unmeasured)
        accuracy, runs = self.predictors.accuracy, self.predictors.runs
        return forecast_evidence(self.predictors.cost, error_basis(accuracy, runs), runs, known)
