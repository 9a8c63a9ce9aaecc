"""`advisor equivalents --compare`: a single network and the ensembles of its size, side by side.

Plans are made and forecast as in `advisor explain`, all by the same predictors. Nothing is measured, trained
or written but the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from advisor.cost.money.machine_price import usd_of_training
from advisor.decision.threshold.both_classes import probability_both_win
from advisor.decision.threshold.depth_step import DepthStep, depth_step
from advisor.decision.threshold.switchover import Threshold, crossing
from advisor.designs.design import LARGEST_ENSEMBLE
from advisor.designs.equivalents import equivalents
from advisor.errors import UsageError
from advisor.estimate import Estimate, Floats, Z
from advisor.networks.architecture import parse_network
from advisor.networks.regular_counts import DEPTH_LIMIT, regular_counts
from advisor.plans.plan import TrainingPlan
from cli.quantities import check_price
from cli.workflows.answers.examine.class_comparison import (
    ComparedDesign,
    ComparedKind,
    EquivalentComparison,
    SizedDesign,
)
from cli.workflows.answers.examine.parts import ForecastEvidence, PlanFacts, fields_of
from cli.workflows.examine.sweeps.similar_plans import SimilarPlans
from cli.workflows.examine.sweeps.sized_designs import SizedDesigns, SizedForecast
from cli.workflows.forecast.evidence import error_basis
from cli.workflows.forecast.forecasting import Predictors, forecast_evidence, predictors_for
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from cli.workflows.home import Home
from cli.workflows.reading import known_store
from cli.workflows.views import Say, silent

# Numbers of members of the picture.
MEMBER_COUNTS = range(2, 17)
# Schedules that are looked at for the single network's error: up to so many times its own, in so many steps.
LONGEST, LENGTHS = 2.0, 25


def compare_classes(
    request: PlanRequest,
    members: int,
    tolerance: float,
    price_per_hour: float | None,
    home: Home,
    say: Say = silent,
) -> EquivalentComparison:
    """Return a single network and the ensembles of its size.

    Args:
        request: single network, and how it is trained.
        members: number of members of the ensembles.
        tolerance: share of the network's parameters by which an equivalent ensemble may exceed them.
        price_per_hour: price of the machine in USD per hour, None for no cost.
        home: folder of the database.
        say: receiver of what is peculiar about a data folder.

    Raises:
        UsageError: a request that cannot be understood.
        StorageError: the database cannot be read.
    """
    check_price(price_per_hour, "--price-per-hour")
    if members > LARGEST_ENSEMBLE:
        raise UsageError(f"--members: an ensemble has 2 to {LARGEST_ENSEMBLE} members, got {members}")
    single = parse_network(str(request.target))
    target = planned_target(replace(request, target=single.name), home, say)
    with known_store(home) as store:
        base = target.with_settings(store)
        # An irregular network, one member or a negative tolerance is refused before anything is fitted.
        equivalents(single, members, base.dataset.task, tolerance)
        predictors = predictors_for(base, store)
        plans = SimilarPlans.of(base, store)
    return _Comparison(SizedDesigns(plans, single, tolerance, predictors), price_per_hour).answer(members)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A single network beside ensembles of its size.

    Attributes:
        designs: designs of its size.
        price_per_hour: price of the machine in USD per hour, None for no cost.
    """

    designs: SizedDesigns
    price_per_hour: float | None

    @property
    def _predictors(self) -> Predictors:
        return self.designs.predictors

    @property
    def _base(self) -> TrainingPlan:
        return self.designs.base

    def answer(self, members: int) -> EquivalentComparison:
        """Return the comparison for a number of members, and the ensembles of other numbers."""
        (single,) = self.designs.forecasts([(ComparedKind.SINGLE, self.designs.single, 1)])
        counts = sorted({members, *MEMBER_COUNTS})
        designs = [found for k in counts for found in self.designs.ensembles(k)]
        forecasts = self.designs.forecasts(designs)
        here = [f for f in forecasts if len(f.plan.members) == members]
        both = self._both(single, here)
        return EquivalentComparison(
            plan=PlanFacts.of(self._base),
            members=members,
            price_per_hour_usd=self.price_per_hour,
            designs=tuple(self._compared(f, single) for f in (single, *here)),
            both_beat_single=both is not None and all(self._chance(f, single) >= 0.5 for f in here[:2]),
            probability_both_beat_single=both,
            depth_step=self._step(here, members),
            by_members=tuple(
                self._sized(f, single) for f in forecasts if len(f.plan.members) in MEMBER_COUNTS
            ),
            evidence=self._evidence([single, *forecasts]),
        )

    def _chance(self, forecast: SizedForecast, single: SizedForecast) -> float:
        """Return the probability that one training has less error than one of the single network."""
        return self._predictors.accuracy.probability_below(
            forecast.errors, single.errors, (forecast.seed_std, single.seed_std)
        )

    def _both(self, single: SizedForecast, here: Sequence[SizedForecast]) -> float | None:
        equivalent = [f for f in here if f.kind is not ComparedKind.BEST]
        if len(equivalent) < 2:
            return None
        one, other = equivalent
        stds = single.seed_std, one.seed_std, other.seed_std
        return probability_both_win(single.errors, (one.errors, other.errors), stds)

    def _step(self, here: Sequence[SizedForecast], members: int) -> DepthStep | None:
        weq = next((f.network for f in here if f.kind is ComparedKind.WIDTH_EQUIVALENT), None)
        return None if weq is None else depth_step(self.designs.single, weq, members, self._base.dataset.task)

    def _sized(self, forecast: SizedForecast, single: SizedForecast) -> SizedDesign:
        """Return what is known of a design, whatever the number of members that is asked about."""
        network, plan, priced = forecast.network, forecast.plan, forecast.priced
        members, data = len(plan.members), plan.dataset
        counts = regular_counts(network.family, data.task, max(DEPTH_LIMIT, network.depth))
        layers, accuracy = members * network.depth, self._predictors.accuracy
        own = forecast.kind is ComparedKind.SINGLE
        return SizedDesign(
            kind=forecast.kind,
            design=plan.design,
            members=members,
            depth=network.depth,
            width=network.width,
            parameters=members * counts.parameters(network.depth, network.width),
            layers=layers,
            processes=plan.execution.processes,
            test_error=accuracy.predict(forecast.errors, forecast.seed_std, data.test_images),
            probability_less_error=None if own else self._chance(forecast, single),
            epoch_seconds=None if priced is None else priced.epoch_seconds,
            seconds_per_layer=None if priced is None else priced.epoch_seconds.scaled(1 / layers),
            inference_ms_per_image=None if priced is None else priced.inference_ms_per_image,
            train_peak_bytes=None if priced is None else priced.train_peak_bytes,
        )

    def _compared(self, forecast: SizedForecast, single: SizedForecast) -> ComparedDesign:
        priced = forecast.priced
        seconds = None if priced is None else priced.train_seconds
        epochs = self._epochs_to_error_of(single, forecast)
        return ComparedDesign(
            **fields_of(self._sized(forecast, single)),
            train_seconds=seconds,
            cost_usd=usd_of_training(seconds, self.price_per_hour),
            epochs_to_single_error=Threshold.of_draws(epochs),
            seconds_to_single_error=None if priced is None else _times(epochs, priced.epoch_seconds),
        )

    def _epochs_to_error_of(self, single: SizedForecast, forecast: SizedForecast) -> Floats:
        """Return draws of the epochs after which a design has the single network's error at its end."""
        epochs = self.designs.epochs
        if forecast.kind is ComparedKind.SINGLE:
            return np.full_like(single.errors, epochs)
        lengths = sorted({max(round(e), 1) for e in np.geomspace(1, LONGEST * epochs, LENGTHS)} | {epochs})
        found = self.designs.errors_after([forecast.network.shape], len(forecast.plan.members), lengths)[:, 0]
        return crossing(np.log(single.errors)[:, None] - np.log(found), lengths)

    def _evidence(self, forecasts: Sequence[SizedForecast]) -> ForecastEvidence:
        texts = (text for f in forecasts if f.priced is not None for text in f.priced.unmeasured)
        accuracy, runs = self._predictors.accuracy, self._predictors.runs
        unmeasured = tuple(dict.fromkeys(texts))
        return forecast_evidence(self._predictors.cost, error_basis(accuracy, runs), runs, unmeasured)


def _times(epochs: Floats, seconds: Estimate) -> Threshold:
    """Return the seconds of drawn numbers of epochs; the time of an epoch is log-normal around its mean."""
    std = float(np.log(seconds.high / seconds.low)) / (2 * Z)
    noise = np.random.default_rng(0).standard_normal(len(epochs))
    return Threshold.of_draws(epochs * seconds.mean * np.exp(std * noise))
