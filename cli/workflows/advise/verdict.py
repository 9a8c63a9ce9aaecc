"""The verdict of an advice: which design to train, and what it has over the best one of the other kind."""

from __future__ import annotations

from collections.abc import Sequence

from advisor.decision.ranking import Recommendation
from advisor.decision.scenario import Scenario
from advisor.designs.design import DesignClass
from cli.workflows.advise.reasons import design_trade, trade_between
from cli.workflows.answers.advise.advice import Verdict, VerdictKind


def verdict_of(scenario: Scenario, rows: Sequence[Recommendation], *, known: bool) -> Verdict:
    """Return the verdict of a ranking.

    Args:
        scenario: scenario of the request.
        rows: ranking, best first.
        known: whether anything is known of the data set.
    """
    kind, taken, other = choice(rows)
    if other is None:
        trade = probability = None
    else:
        e, against = taken.evaluated, other.evaluated
        trade = design_trade(trade_between(scenario, e, against))
        probability = scenario.accuracy.probability_below(
            e.errors, against.errors, (e.seed_std, against.seed_std)
        )
    return Verdict(
        kind=kind,
        known=known,
        rank=taken.rank,
        design=taken.evaluated.design.name,
        method=taken.evaluated.method,
        tuned_weight_decay=taken.evaluated.tuned_weight_decay,
        trade=trade,
        probability_less_error=probability,
        networks_exist=taken.evaluated.at_hand,
    )


def choice(rows: Sequence[Recommendation]) -> tuple[VerdictKind, Recommendation, Recommendation | None]:
    """Return the kind of a verdict, the row to train, and the row of the other kind that it is compared with.

    The two are the best single network and the best ensemble by the objective, among designs that may be
    first. Of two that are tied the single network is taken, unless only the networks of the ensemble exist.

    Args:
        rows: ranking, best first.
    """
    first = rows[0]
    able = sorted((row for row in rows if row.untried is first.untried), key=lambda row: row.place)
    singles = [row for row in able if row.evaluated.design_class is DesignClass.SINGLE]
    ensembles = [row for row in able if row.evaluated.design_class is not DesignClass.SINGLE]
    if not singles:
        return VerdictKind.ONLY_ENSEMBLES, first, None
    if not ensembles:
        return VerdictKind.ONLY_SINGLES, first, None
    single, ensemble = singles[0], ensembles[0]
    if single.tie or ensemble.tie:
        trained = ensemble.evaluated.at_hand and not single.evaluated.at_hand
        return VerdictKind.EITHER, *((ensemble, single) if trained else (single, ensemble))
    if first is single:
        return VerdictKind.SINGLE, single, ensemble
    return VerdictKind.ENSEMBLE, ensemble, single
