"""The designs of a request, predicted and ranked: fitted predictors, the search, the ranking.

Predictors depend on the data set and the machine, not on the budget or the epochs. So they are fitted once
(`Fitted`), and every request for the same data set is compared with them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from optuna.storages import BaseStorage, InMemoryStorage

from advisor.accuracy.at_hand import AtHand
from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.likelihood import LikelihoodPredictor
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.accuracy.prior import PUBLISHED_DATASETS
from advisor.cost.money.machine_price import seconds_for
from advisor.decision.leading import leading_families, trained_families
from advisor.decision.ranking import Objective, Recommendation, rank
from advisor.decision.reasons import Evidence, compared_prices
from advisor.decision.scenario import Evaluated, Key, Scenario, planned
from advisor.decision.search import first_look, go_on_always, search
from advisor.designs.design import parse_design
from advisor.errors import InfeasibleError
from advisor.plans.convergence.predictor import EpochPredictor
from cli.workflows.advise.request import ResolvedRequest, scenario_of, used_patience
from cli.workflows.answers.advise.advice import Device
from cli.workflows.answers.advise.request import RecommendRequest
from cli.workflows.forecast.convergence import epoch_predictor
from cli.workflows.forecast.evidence import accuracy_for, error_basis
from cli.workflows.forecast.measuring import Profiled
from cli.workflows.home import Home
from cli.workflows.kept_probes import KeptProbe, digest_of, kept_probes, known_of
from db.queries import Store

# A search over the designs of families that may lead, and of those that may not.
Look = Callable[[Scenario, Scenario], list[Evaluated]]
# Of so many trials of a search, one is of families that may not lead.
BEHIND_SHARE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Predictors that are fitted to all that is known of a data set.

    Attributes:
        accuracy: predictor of the error.
        likelihood: predictor of likelihood and calibration.
        epochs: predictor of the epochs to convergence; a request without it has the published ones.
        trained: trainings that the accuracy predictor learned from.
        kept: probes whose networks exist.
    """

    accuracy: AccuracyPredictor
    likelihood: LikelihoodPredictor
    epochs: EpochPredictor
    trained: Sequence[TrainedEvidence]
    kept: Sequence[KeptProbe]

    @classmethod
    def of(cls, request: RecommendRequest, resolved: ResolvedRequest, store: Store, home: Home) -> Fitted:
        """Return the predictors for a request, and for all that differ in budget and epochs only.

        Args:
            request: request for advice.
            resolved: what it stands for.
            store: database with runs, imported trainings and looks at data sets.
            home: home of the kept probes.
        """
        facts = resolved.facts
        accuracy, trained = accuracy_for(store, facts, request.seed)
        return cls(
            accuracy=accuracy,
            likelihood=LikelihoodPredictor.of(facts.learned_as, facts.task.classes, trained, request.seed),
            epochs=EpochPredictor() if used_patience(request) is None else epoch_predictor(store),
            trained=trained,
            kept=kept_probes(home),
        )


def scenario_by(
    request: RecommendRequest, resolved: ResolvedRequest, profiled: Profiled, fitted: Fitted
) -> Scenario:
    """Return the scenario in which the designs of a request are compared, without likelihoods.

    Args:
        request: request for advice.
        resolved: what it stands for.
        profiled: predictor of cost, and the settings to train with.
        fitted: predictors of the error.
    """
    scenario = scenario_of(request, resolved, profiled, fitted.accuracy, fitted.epochs)
    return replace(scenario, at_hand=_at_hand(scenario, fitted.kept))


def _at_hand(scenario: Scenario, kept: Sequence[KeptProbe]) -> dict[Key, AtHand]:
    """Return the kept probes whose networks are those of a plan of the scenario."""
    data = scenario.dataset
    # A design of other data may not fit the images of these.
    own = [each for each in kept if (each.plan.dataset.key, each.plan.dataset.task) == (data.key, data.task)]
    digests = {digest_of(probe.plan): probe for probe in own}
    found = {}
    for plan in (probe.plan for probe in own):
        design = parse_design(plan.design)
        for multiple in scenario.weight_decays:
            probe = digests.get(digest_of(planned(scenario, design, plan.method, multiple)))
            if probe is not None:
                found[design.name, plan.method, multiple] = known_of(probe)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The designs of a request, predicted and ranked.

    Attributes:
        scenario: scenario of the request.
        trained: trainings that the accuracy predictor learned from.
        evaluated: designs that the search looked at.
        search_seconds: time that the search took, seconds.
        rows: ranking, best first.
        leading: families that may lead.
    """

    scenario: Scenario
    trained: Sequence[TrainedEvidence]
    evaluated: Sequence[Evaluated]
    search_seconds: float
    rows: Sequence[Recommendation]
    leading: Sequence[str]


def compare(
    request: RecommendRequest,
    resolved: ResolvedRequest,
    profiled: Profiled,
    fitted: Fitted,
    look: Look,
) -> Comparison:
    """Search the designs of a request and rank them.

    Args:
        request: request for advice.
        resolved: what it stands for.
        profiled: predictor of cost, and the settings to train with.
        fitted: predictors of the error.
        look: search over the designs, given those that may lead and the others.

    Raises:
        InfeasibleError: no design keeps the limits.
    """
    learned_as = resolved.facts.learned_as
    scenario = scenario_by(request, resolved, profiled, fitted)
    scenario = replace(scenario, likelihood=fitted.likelihood)
    began = time.perf_counter()
    families = trained_families(fitted.trained, learned_as, request.epochs)
    leading = leading_families(scenario.families, families, learned_as)
    own, behind = (
        scenario.limited_to(families) for families in (leading, set(scenario.families) - set(leading))
    )
    evaluated = look(own, behind)
    search_seconds = time.perf_counter() - began
    with saying_what_usd_buy(request):
        rows = rank(
            evaluated,
            fitted.accuracy,
            Objective(request.objective),
            leading=leading,
            time_ratio=lambda e, other: compared_prices(scenario, e, other).train_seconds,
        )
    return Comparison(
        scenario=scenario,
        trained=fitted.trained,
        evaluated=evaluated,
        search_seconds=search_seconds,
        rows=rows,
        leading=leading,
    )


def whole_search(
    trials: int, storage: BaseStorage | None = None, go_on: Callable[[], None] = go_on_always
) -> Look:
    """Return the search of so many designs, most of them of families that may lead.

    Args:
        trials: number of designs.
        storage: Optuna storage that the study of families that may lead is written to; None keeps none.
        go_on: function that is called before every trial; an exception of it ends the search.
    """

    def looked(own: Scenario, behind: Scenario) -> list[Evaluated]:
        most = min(trials - trials // BEHIND_SHARE, len(own.choices)) if behind.candidates else trials
        name = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%f}"
        found = search(own, storage or InMemoryStorage(), f"recommend {name}", most, go_on)
        if most < trials:
            found += search(behind, InMemoryStorage(), f"behind {name}", trials - most, go_on)
        return found

    return looked


def first_search(number: int) -> Look:
    """Return a first look at so many starting points, all of families that may lead."""
    return lambda own, behind: first_look(own, number)


@contextmanager
def saying_what_usd_buy(request: RecommendRequest) -> Iterator[None]:
    """Let the error that no design keeps the limits say which time a limit in USD is."""
    try:
        yield
    except InfeasibleError as error:
        usd, price = request.max_usd, request.price_per_hour_usd
        if usd is None or price is None:
            raise
        seconds = seconds_for(usd, price)
        raise InfeasibleError(
            f"{error} (--max-usd {usd:g} buys {seconds:.3g} s at {price:g} USD an hour)"
        ) from None


def evidence_of(compared: Comparison, profiled: Profiled) -> Evidence:
    """Return the evidence that the predictions of a comparison rest on.

    Args:
        compared: the comparison.
        profiled: predictor of cost.
    """
    accuracy, learned_as = compared.scenario.accuracy, compared.scenario.dataset.learned_as
    own = [training for training in compared.trained if training.dataset == learned_as]
    level = accuracy.has_level(learned_as)
    unmeasured = [row.evaluated.priced.unmeasured for row in compared.rows]
    return Evidence(
        accuracy=error_basis(accuracy, len(compared.trained)).value,
        runs=len(compared.trained),
        runs_on_dataset=len(own),
        families=dict(Counter(f for training in own for f in training.design.families)),
        cost=profiled.predictor.basis,
        measurements=profiled.predictor.count,
        unmeasured=tuple(text for text in unmeasured[0] if all(text in texts for texts in unmeasured)),
        known=bool(own) or level or learned_as in PUBLISHED_DATASETS,
        level=level,
    )


def device_of(profiled: Profiled) -> Device:
    """Return the device of an answer, with the settings under which its costs are predicted."""
    return Device(**asdict(profiled.fingerprint), processes=profiled.execution.processes)
