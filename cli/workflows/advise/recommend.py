"""`advisor recommend`: from a parameter budget to a ranking of designs.

    request -> candidates -> measured costs -> (probes) -> predictors -> search -> ranking -> advice

The budget has candidates; this machine is measured; probes are trained if they are requested; the search
prices the plans of designs and predicts their errors; the best are ranked, explained and stored. `advisor
train` trains the plan of the rank that its user chooses, and predictors are fitted to its run the next time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.likelihood import LikelihoodPredictor
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.accuracy.prior import PUBLISHED_DATASETS
from advisor.cost.money.machine_price import seconds_for
from advisor.decision.leading import leading_families, trained_families
from advisor.decision.ranking import Objective, Recommendation, could_lead, rank
from advisor.decision.reasons import Evidence, compared_prices, has_threshold, threshold_of
from advisor.decision.search import Evaluated, Scenario, plan_of, search
from advisor.decision.threshold.epoch_axis import WholeSchedules
from advisor.decision.threshold.switchover import Switchover, thresholds
from advisor.designs.budget import parse_budget
from advisor.errors import InfeasibleError, StorageError
from advisor.plans.plan import plan_to_json
from cli.workflows.advise.default_probing import data_to_probe, lesson, probed_before
from cli.workflows.advise.measure_next import measure_next, measure_untried
from cli.workflows.advise.probe import ProbingSession
from cli.workflows.advise.probe_evidence import trained_before
from cli.workflows.advise.probe_options import ProbeOptions
from cli.workflows.advise.reasons import advised_designs, would_change
from cli.workflows.advise.request import (
    ResolvedRequest,
    answered_request,
    check_request,
    profiled_for,
    scenario_of,
    stored_request,
)
from cli.workflows.advise.verdict import verdict_of
from cli.workflows.answers.advice import Advice, Device, MeasuringEffort, SearchEffort
from cli.workflows.answers.advice_reasons import MeasureNext
from cli.workflows.answers.advice_request import RecommendRequest
from cli.workflows.answers.probing import Probing
from cli.workflows.files import check_writable, write_file
from cli.workflows.forecast.evidence import accuracy_for, error_basis, say_of_earlier_contents
from cli.workflows.forecast.level import look_once
from cli.workflows.forecast.measuring import Profiled
from cli.workflows.home import Home, now
from cli.workflows.views import Say
from db.queries import Store
from db.session import open_store

# Member counts whose thresholds are shown if the request names none.
SHOWN_MEMBERS = (2, 4, 8)
# Number of searches whose studies are kept for optuna-dashboard.
KEPT_STUDIES = 50
# Of so many trials of a search, one is of families that may not lead.
BEHIND_SHARE = 4
# Content of the plan file, as errors name it.
PLAN = "the plan"


def recommend(
    request: RecommendRequest,
    home: Home,
    save: Path | None,
    say: Say,
    probing: ProbeOptions | None = None,
) -> Advice:
    """Return the advice for a request, and store it for `advisor train`.

    Args:
        request: request for advice.
        home: folder of data, database and studies.
        save: file for the plan of rank 1; None writes none.
        say: receiver of progress.
        probing: options of a probing session before the answer; None trains nothing. Without a time, data
            that are at hand are probed for as long as it is worthwhile, once for a request.

    Raises:
        UsageError: the request cannot be understood.
        DataError: the data set is missing and probes are requested.
        InfeasibleError: no design fits the budget or the limits.
        InterruptedRunError: a signal ended the probing session; finished probes are kept.
        StorageError: the database or the plan file cannot be written.
    """
    check_request(request)
    if save is not None:
        check_writable(save, PLAN)
    resolved = ResolvedRequest.of(request, home, say)
    # Loaded before a minute of measuring, so that a request that cannot be probed is refused at once.
    data = None if probing is None else data_to_probe(resolved.facts, home, probing, say)
    if data is not None:
        resolved = replace(resolved, facts=data.facts)
    with open_store(home.database) as store:
        look_once(store, resolved.facts, home, say, data)
        profiled = profiled_for(request, resolved, store, say)
        probed = None
        if probing is not None and data is not None:
            session = ProbingSession(request, resolved, profiled, store, home, data, say)
            probed = _probed(session, probing)
        compared = _compare(request, resolved, profiled, store, home, say)
        advice = _advice(request, resolved, profiled, compared, probed)
        store.add_recommendation(now(), stored_request(request, resolved), advice.to_json())
        # Last, so that a disk that refuses the file costs the file only.
        if save is not None:
            _save_plan(save, compared)
    return advice


def _probed(session: ProbingSession, options: ProbeOptions) -> Probing | None:
    """Probe for a request; None if it was probed for before and nothing says for how long to go on."""
    if options.seconds is None and probed_before(session.store, session.request, session.resolved):
        session.say("probes of an earlier call are used again (--probe MINUTES makes more)")
        return None
    probing = session.run(options)
    session.say(lesson(probing))
    return probing


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The designs of a request, predicted and ranked.

    Attributes:
        scenario: scenario of the request.
        trained: trainings that the accuracy predictor learned from.
        evaluated: designs that the search looked at.
        search_seconds: time that the search took, seconds.
        rows: ranking, best first.
        switchovers: switchover thresholds of the requested families and member counts, and of the first row.
        leading: families that may lead.
    """

    scenario: Scenario
    trained: Sequence[TrainedEvidence]
    evaluated: Sequence[Evaluated]
    search_seconds: float
    rows: Sequence[Recommendation]
    switchovers: Sequence[Switchover]
    leading: Sequence[str]


def _compare(
    request: RecommendRequest,
    resolved: ResolvedRequest,
    profiled: Profiled,
    store: Store,
    home: Home,
    say: Say,
) -> Comparison:
    """Fit the predictors, search the designs and rank them.

    Raises:
        InfeasibleError: no design keeps the limits.
    """
    facts = resolved.facts
    accuracy, trained = accuracy_for(store, facts, request.seed)
    likelihood = LikelihoodPredictor.of(facts.learned_as, facts.task.classes, trained, request.seed)
    scenario = scenario_of(request, resolved, profiled, accuracy, store)
    scenario = replace(scenario, likelihood=likelihood)
    say_of_earlier_contents(store, facts, say)
    say("searching")
    began = time.perf_counter()
    families = trained_families(trained, facts.learned_as, request.epochs)
    leading = leading_families(scenario.families, families, facts.learned_as)
    evaluated = _search(scenario, leading, home, request.trials)
    search_seconds = time.perf_counter() - began
    with _saying_what_usd_buy(request):
        rows = rank(
            evaluated,
            accuracy,
            Objective(request.objective),
            leading=leading,
            time_ratio=lambda e, other: compared_prices(scenario, e, other).train_seconds,
        )
    return Comparison(
        scenario=scenario,
        trained=trained,
        evaluated=evaluated,
        search_seconds=search_seconds,
        rows=rows,
        switchovers=_switchovers(request, resolved, accuracy, rows[0].evaluated),
        leading=leading,
    )


@contextmanager
def _saying_what_usd_buy(request: RecommendRequest) -> Iterator[None]:
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


def _search(scenario: Scenario, leading: Sequence[str], home: Home, trials: int) -> list[Evaluated]:
    """Return evaluated designs, most of them of families that may lead; the study of these is kept."""
    own, behind = (
        scenario.limited_to(families) for families in (leading, set(scenario.families) - set(leading))
    )
    most = min(trials - trials // BEHIND_SHARE, len(own.choices.all)) if behind.candidates else trials
    name = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%f}"
    found = search(own, _journal(home, name), f"recommend {name}", most)
    if most < trials:
        found += search(behind, optuna.storages.InMemoryStorage(), f"behind {name}", trials - most)
    return found


def _journal(home: Home, name: str) -> JournalStorage:
    """Return a new file for a study, and delete the oldest of the earlier ones.

    In Optuna's database the trials of a study take longer to write than to find.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        home.studies.mkdir(parents=True, exist_ok=True)
        for old in sorted(home.studies.glob("*.log"))[: -KEPT_STUDIES + 1]:
            old.unlink(missing_ok=True)
        return JournalStorage(JournalFileBackend(str(home.studies / f"{name}.log")))
    except OSError as error:
        raise StorageError(
            f"cannot write a study into {home.studies} ({error.strerror}): move it away, it holds no runs"
        ) from None


def _switchovers(
    request: RecommendRequest, resolved: ResolvedRequest, accuracy: AccuracyPredictor, first: Evaluated
) -> list[Switchover]:
    """Return the thresholds of the requested member counts, and that of the first design's own count."""

    def of(families: Sequence[str], members: Sequence[int]) -> Sequence[Switchover]:
        return thresholds(
            WholeSchedules(accuracy, resolved.facts.learned_as, resolved.facts.task),
            families,
            members,
            budget=float(parse_budget(request.budget)),
            epochs=request.epochs,
        )

    shown = of(
        resolved.families, [k for k in resolved.counts if k > 1] if request.members else list(SHOWN_MEMBERS)
    )
    if not has_threshold(first) or threshold_of(first, shown) is not None:
        return list(shown)
    own = of(first.design.families, [len(first.design.members)])
    return sorted([*shown, *own], key=lambda s: (resolved.families.index(s.family), s.members))


def _advice(
    request: RecommendRequest,
    resolved: ResolvedRequest,
    profiled: Profiled,
    compared: Comparison,
    probed: Probing | None,
) -> Advice:
    scenario, rows, switchovers = compared.scenario, compared.rows, compared.switchovers
    evidence = _evidence(compared, profiled)
    return Advice(
        request=answered_request(request, resolved),
        device=Device(**asdict(profiled.fingerprint), processes=profiled.execution.processes),
        profile=MeasuringEffort(
            seconds=profiled.seconds,
            measurements_new=profiled.new,
            measurements_reused=profiled.reused,
        ),
        verdict=verdict_of(scenario, rows, known=evidence.known),
        recommendations=advised_designs(scenario, rows, switchovers, evidence, request.price_per_hour_usd),
        switchover=tuple(switchovers),
        search=SearchEffort(
            trials=request.trials, designs=len(compared.evaluated), seconds=compared.search_seconds
        ),
        would_change=would_change(request, scenario, rows, compared.evaluated, switchovers, compared.leading),
        measure_next=_measure_next(request, compared),
        probing=probed,
    )


def _measure_next(request: RecommendRequest, compared: Comparison) -> MeasureNext:
    """Return the training to make next: of the untried family that could lead, where there is one."""
    scenario, rows = compared.scenario, compared.rows
    learned_as = scenario.dataset.learned_as
    done = trained_before(compared.trained, learned_as)
    seconds = rows[0].evaluated.priced.train_seconds.mean
    untried = could_lead(rows, scenario.accuracy, Objective(request.objective))
    trained = trained_families(compared.trained, learned_as, request.epochs)
    if untried is not None and any(family in trained for family in compared.leading):
        families = [family for family in untried.design.families if family not in compared.leading]
        offered = measure_untried(request, scenario, untried, families, done, seconds)
        if offered is not None:
            return offered
    return measure_next(request, scenario, compared.evaluated, done, seconds)


def _evidence(compared: Comparison, profiled: Profiled) -> Evidence:
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


def _save_plan(path: Path, compared: Comparison) -> None:
    plan = plan_of(compared.scenario, compared.rows[0].evaluated)
    write_file(path, PLAN, plan_to_json(plan))
