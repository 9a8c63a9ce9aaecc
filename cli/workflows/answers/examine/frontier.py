"""The answer of `advisor frontier`: every way to train a given ensemble, its error beside its cost."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.estimate import Estimate
from advisor.plans.method_traits import Method
from cli.workflows.answers.answer import Answer
from cli.workflows.answers.examine.parts import ForecastEvidence, PlanFacts
from cli.workflows.answers.examine.slot_forecast import SlotForecast


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    """A finished run of a row: what was measured beside what is predicted.

    Attributes:
        run: number of the run.
        seed: origin of all its randomness.
        test_error: error of the ensemble on the test images, a share.
        mean_member_error: mean error of its members on the test images, a share.
        train_seconds: seconds of its training; null where another machine trained it.
        cost_usd: cost of its training in USD; null without seconds or price.
    """

    run: int
    seed: int
    test_error: float
    mean_member_error: float
    train_seconds: float | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BetterWay:
    """The row that beats another one in error and time.

    Attributes:
        method: its training method.
        clusters: its number of clusters; null for a method without clusters.
        probability: probability that one training of it has less error and takes no more time.
    """

    method: Method
    clusters: int | None
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontierRow:
    """A way to train the ensemble, with its predicted error and cost.

    Attributes:
        method: training method.
        clusters: number of clusters of a method that has them, of full data that of the members; null for
            other methods.
        design: short name of what is trained; chains of snapshots train networks of one shape.
        test_error: test error of the ensemble, a share.
        mean_member_error: mean test error of its members, a share.
        train_seconds: seconds of the whole training; null where nothing was measured.
        time_over_full_data: seconds of the training ÷ those of full data; by a formula that knows no machine
            where nothing was measured.
        train_peak_bytes: peak memory of the networks that train at the same time; null where nothing was
            measured.
        inference_ms_per_image: milliseconds of inference with all members per image; null where nothing was
            measured.
        cost_usd: cost of the whole training in USD; null where nothing was measured, or without a price.
        on_front: whether no other row has both less expected error and less expected time.
        beaten_by: row on the front that is better in both; null for a row on the front.
        runs: finished runs of this way.
        by_slots: training time on the numbers of slots that were asked for, rising.
    """

    method: Method
    clusters: int | None
    design: str
    test_error: Estimate
    mean_member_error: Estimate
    train_seconds: Estimate | None
    time_over_full_data: Estimate
    train_peak_bytes: Estimate | None
    inference_ms_per_image: Estimate | None
    cost_usd: Estimate | None
    on_front: bool
    beaten_by: BetterWay | None
    runs: tuple[MeasuredRun, ...]
    by_slots: tuple[SlotForecast, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InapplicableMethod:
    """A method that cannot train the ensemble.

    Attributes:
        method: training method.
        reason: why it cannot.
    """

    method: Method
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverWorth:
    """A method of which no row is on the front.

    Attributes:
        method: training method.
        beaten_by: row that beats the best row of the method.
    """

    method: Method
    beaten_by: BetterWay


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier(Answer):
    """Every way to train a given ensemble: its error beside its cost, and the Pareto front of the two.

    Attributes:
        plan: plan of the ensemble on full data.
        members: number of members.
        price_per_hour_usd: price of the machine in USD per hour; null if none is given.
        rows: ways to train it: MotherNets by rising number of clusters up to full data, then other methods.
        inapplicable: methods that cannot train it, with the reason.
        never_worth: methods of which no row is on the front.
        other_runs: finished runs of the ensemble on the data with other epochs or settings, which no row
            shows.
        evidence: measurements and trainings that the forecasts rest on.
    """

    plan: PlanFacts
    members: int
    price_per_hour_usd: float | None
    rows: tuple[FrontierRow, ...]
    inapplicable: tuple[InapplicableMethod, ...]
    never_worth: tuple[NeverWorth, ...]
    other_runs: tuple[int, ...]
    evidence: ForecastEvidence
