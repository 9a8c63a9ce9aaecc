"""The reasons of a recommendation, in sentences.

Every sentence follows from numbers of the answer: draws of the errors, prices and switchover thresholds.
Where there is no number, there is no sentence. What would change the advice is the subject of
`advisor.decision.alternatives`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from advisor.cost.comparison import PriceRatios, Side, price_ratios
from advisor.decision.ranking import Recommendation
from advisor.decision.scenario import Evaluated, Scenario, plan_of
from advisor.decision.threshold.switchover import Switchover
from advisor.decision.weight_decay import weight_decay_words, with_weight_decay
from advisor.designs.clustering import clusters_of
from advisor.designs.design import Design, DesignClass
from advisor.estimate import Estimate
from advisor.plans.method_traits import Method
from advisor.plans.plan import named


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The evidence behind a recommendation.

    Attributes:
        accuracy: ``runs`` if the accuracy predictor has learned from trainings, ``data`` if from errors of
            simple classifiers on the data set, else ``prior``.
        runs: number of trainings that it has learned from, beside the published ones.
        runs_on_dataset: number of these trainings on the requested data set.
        families: number of these trainings on the requested data set for each family among their members.
        cost: basis of the cost predictor.
        measurements: number of measurements that it has learned from.
        unmeasured: properties that were never measured for any of the designs, in words.
        known: whether anything is known of the data set: a training, published errors or errors of simple
            classifiers. Where it is not, errors rest on other data alone and are not shown.
        level: whether the errors of simple classifiers on the data set are known.
    """

    accuracy: str
    runs: int
    runs_on_dataset: int
    families: dict[str, int] = field(default_factory=dict)
    cost: str
    measurements: int
    unmeasured: tuple[str, ...] = ()
    known: bool
    level: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """The comparison of a design with another one.

    Attributes:
        against: the other design, usually the reference of the ranking.
        points_less: difference of their expected errors in points of test error; positive if the design has
            less error.
        epoch_times: seconds per epoch of the design over those of the other.
        train_times: seconds of training of the design over those of the other.
    """

    against: Evaluated
    points_less: Estimate
    epoch_times: Estimate
    train_times: Estimate


def trade(evaluated: Evaluated, against: Evaluated, ratios: PriceRatios) -> Trade:
    """Return the comparison of a design with another one.

    Args:
        evaluated: the design.
        against: the other design.
        ratios: ratios of the price of the design over that of the other.
    """
    return Trade(
        against=against,
        points_less=Estimate.of_samples(100 * (against.errors - evaluated.errors)),
        epoch_times=ratios.epoch_seconds,
        train_times=ratios.train_seconds,
    )


def compared_prices(scenario: Scenario, evaluated: Evaluated, against: Evaluated) -> PriceRatios:
    """Return the ratios of the price of a design over that of another one.

    Args:
        scenario: scenario that both were priced in.
        evaluated: the design.
        against: the other design.
    """
    before, after = (Side(plan_of(scenario, e), e.priced) for e in (against, evaluated))
    return price_ratios(before, after, scenario.cost)


def has_threshold(evaluated: Evaluated) -> bool:
    """Return whether a design has a switchover threshold: an independent ensemble of one shape."""
    design = evaluated.design
    regular = len(design.members) > 1 and design.homogeneous and design.independent
    return regular and evaluated.method is Method.FULL_DATA


def threshold_of(evaluated: Evaluated, switchovers: Sequence[Switchover]) -> Switchover | None:
    """Return the threshold of a design's family and number of members, or None.

    Args:
        evaluated: the design.
        switchovers: thresholds to choose from.
    """
    design = evaluated.design
    kind = (design.families, len(design.members)) if has_threshold(evaluated) else ((), 0)
    return next((s for s in switchovers if ((s.family,), s.members) == kind), None)


def reasons(
    row: Recommendation, traded: Trade | None, threshold: Switchover | None, evidence: Evidence
) -> list[str]:
    """Return what distinguishes a row of the advice from the others, in sentences.

    Args:
        row: the row.
        traded: comparison with the reference; for the reference itself, with the best ensemble, if there is
            one.
        threshold: threshold of the family and number of members of its design, if there is one.
        evidence: evidence behind the advice.
    """
    design = row.evaluated.design
    found = [_reference_sentence(row.evaluated)] if row.evaluated is row.reference else []
    if traded is not None:
        found.append(_trade_sentence(traded, known=evidence.known))
    if threshold is not None:
        side = "past" if threshold.probability_past >= 0.5 else "before"
        chance = max(threshold.probability_past, 1 - threshold.probability_past)
        found.append(
            f"{side} the switchover threshold of {threshold.members} {threshold.family} members with "
            f"probability {chance:.0%}" + ("" if evidence.known else ", by published studies of other data")
        )
    if row.evaluated.tuned_weight_decay is not None:
        found.append(_weight_decay_sentence(row.evaluated, known=evidence.known))
    if not design.independent:
        found.append(f"{_mothers_of(design)}; members that share one are less diverse")
    unseen = [family for family in design.families if not evidence.families.get(family)]
    behind = ": ranked behind families that have" if row.untried else ""
    if evidence.families and unseen:
        found.append(f"no {' or '.join(unseen)} has been trained on this data yet{behind}")
    elif row.untried:
        found.append(f"no {' or '.join(unseen)} is known on this data{behind} more evidence")
    unmeasured = [text for text in row.evaluated.priced.unmeasured if text not in evidence.unmeasured]
    if unmeasured:
        found.append(f"its cost is less certain, never measured: {', '.join(unmeasured)}")
    return found


def _mothers_of(design: Design) -> str:
    """Return how many mother networks replace how many trainings from scratch, in words.

    A member that is alone in its cluster has no mother.
    """
    sizes = [len(cluster) for cluster in clusters_of(design)]
    alone, members = sizes.count(1), len(design.members)
    mothers = len(sizes) - alone
    networks = f"{mothers} mother network{'s' * (mothers > 1)}"
    if not alone:
        return f"{networks} instead of {members} trainings from scratch"
    return f"{networks} for {members - alone} of {members} members, {alone} trained from scratch"


def _weight_decay_sentence(evaluated: Evaluated, *, known: bool) -> str:
    words = weight_decay_words(evaluated.tuned_weight_decay or 0.0)
    gain = f", for {evaluated.gain_by_weight_decay:.0%} less error by forecast" if known else ""
    return f"with {words}, {evaluated.weight_decay:g} times the recipe's{gain}"


def _reference_sentence(reference: Evaluated) -> str:
    if reference.design_class is DesignClass.SINGLE:
        return "best single network within the budget, the reference of the comparison"
    return "no single network keeps the limits: the most accurate design that does is the reference"


def _trade_sentence(traded: Trade, *, known: bool) -> str:
    """Return what a design trades; without points of error where nothing is known of the data."""
    other = traded.against
    against = with_weight_decay(named(other.design.name, other.method), other.tuned_weight_decay)
    epoch, train = (_times(ratio.mean) for ratio in (traded.epoch_times, traded.train_times))
    both = epoch == train
    if not known:
        times = (
            f"{train} the training time" if both else f"{epoch} the time an epoch and {train} the training"
        )
        return f"{times} of {against}" + (", by the epoch and in all" if both else "")
    times = f"{epoch} its time an epoch and {train} its whole training"
    if both:
        times = f"{train} its training time, by the epoch and in all"
    return f"{points_in_words(traded.points_less)} than {against}, for {times}"


def points_in_words(points_less: Estimate) -> str:
    """Return a difference of errors as "1.2 ± 0.4 points less error".

    Args:
        points_less: points of test error that are saved; negative for more error.
    """
    half_width = (points_less.high - points_less.low) / 2
    # A small difference has another digit, so that it is not rounded to zero.
    digits = 1 if max(abs(points_less.mean), half_width) >= 0.1 else 2
    word = "less" if points_less.mean >= 0 else "more"
    return f"{abs(points_less.mean):.{digits}f} ± {half_width:.{digits}f} points {word} error"


def _times(ratio: float) -> str:
    return f"{ratio:{'.2g' if ratio < 100 else '.0f'}}x"
