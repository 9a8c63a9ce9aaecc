"""`advisor recommend`: from a parameter budget to a ranking of designs.

    request -> candidates -> measured costs -> (probes) -> predictors -> search -> ranking -> advice

The budget has candidates; this machine is measured; probes are trained if they are requested; the search
prices the plans of designs and predicts their errors; the best are ranked, explained and stored. `advisor
train` trains the plan of the rank that its user chooses, and predictors are fitted to its run the next time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.leading import trained_families
from advisor.decision.ranking import Objective, could_lead
from advisor.decision.reasons import has_threshold, threshold_of
from advisor.decision.scenario import Evaluated, plan_of
from advisor.decision.threshold.epoch_axis import WholeSchedules
from advisor.decision.threshold.switchover import Switchover, thresholds
from advisor.designs.budget import parse_budget
from advisor.errors import StorageError
from advisor.plans.plan import TrainingPlan, plan_to_json
from cli.workflows.advise.comparison import Comparison, Fitted, compare, device_of, evidence_of, whole_search
from cli.workflows.advise.measure_next import measure_next, measure_untried
from cli.workflows.advise.probe import ProbingSession
from cli.workflows.advise.probe_evidence import trained_before
from cli.workflows.advise.probe_options import ProbeOptions
from cli.workflows.advise.probe_session.default_probing import data_to_probe, lesson, probed_before
from cli.workflows.advise.probe_session.places import Places
from cli.workflows.advise.reasons import advised_designs, would_change
from cli.workflows.advise.repeated import keep, stamp_of
from cli.workflows.advise.request import (
    ResolvedRequest,
    answered_request,
    check_request,
    profiled_for,
    stored_request,
)
from cli.workflows.advise.verdict import verdict_of
from cli.workflows.answers.advise.advice import Advice, MeasuringEffort, SearchEffort
from cli.workflows.answers.advise.probing import Probing
from cli.workflows.answers.advise.reasons import MeasureNext
from cli.workflows.answers.advise.request import RecommendRequest
from cli.workflows.clock import now
from cli.workflows.files import check_writable, write_file
from cli.workflows.forecast.cluster.by_kind import cluster_forecast
from cli.workflows.forecast.cluster.kinds import Cluster, ClusterKinds
from cli.workflows.forecast.cluster.prices import ClusterPrices, cluster_prices
from cli.workflows.forecast.evidence import say_of_earlier_contents
from cli.workflows.forecast.level import look_once
from cli.workflows.forecast.measuring import Profiled
from cli.workflows.home import Home
from cli.workflows.views import Say
from db.queries import Store
from db.session import open_store
from trainer.execution.cluster.address import ClusterAddress

# Member counts whose thresholds are shown if the request names none.
SHOWN_MEMBERS = (2, 4, 8)
# Number of searches whose studies are kept for optuna-dashboard.
KEPT_STUDIES = 50
# Content of the plan file, as errors name it.
PLAN = "the plan"


def recommend(
    request: RecommendRequest,
    home: Home,
    save: Path | None,
    say: Say,
    probing: ProbeOptions | None = None,
    cluster: ClusterAddress | None = None,
    remeasure: bool = False,
) -> Advice:
    """Return the advice for a request, and store it for `advisor train`.

    Args:
        request: request for advice.
        home: folder of data, database and studies.
        save: file for the plan of rank 1; None writes none.
        say: receiver of progress.
        probing: options of a probing session before the answer; None trains nothing. Without a time, data
            that are at hand are probed for as long as it is worthwhile, once for a request.
        cluster: cluster that plans are priced for; None for this machine.
        remeasure: whether what was measured on this machine for the task of the request is measured again.

    Raises:
        UsageError: the request cannot be understood.
        RunError: there is no such cluster.
        DataError: the data set is missing and probes are requested.
        InfeasibleError: no design fits the budget or the limits.
        InterruptedRunError: a signal ended the probing session; finished probes are kept.
        StorageError: the database or the plan file cannot be written.
    """
    check_request(request)
    if save is not None:
        check_writable(save, PLAN)
    resolved = ResolvedRequest.of(request, home, say)
    nodes = None if cluster is None else Cluster(cluster, say).kinds(resolved.device)
    # Loaded before a minute of measuring, so that a request that cannot be probed is refused at once.
    data = None if probing is None else data_to_probe(resolved.facts, home, probing, say)
    if data is not None:
        resolved = replace(resolved, facts=data.facts)
    with open_store(home.database) as store:
        look_once(store, resolved.facts, home, say, data)
        profiled = profiled_for(request, resolved, store, say, remeasure)
        probed = None
        if probing is not None and data is not None:
            session = ProbingSession(request, resolved, profiled, store, home, data, say)
            probed = _probed(session, probing)
        # Whatever another process stores from here on, this answer does not rest on it.
        stamp = stamp_of(request, home, probing) if profiled.complete and nodes is None else None
        fitted = Fitted.of(request, resolved, store, home)
        say_of_earlier_contents(store, resolved.facts, say)
        say("searching")
        prices = None if nodes is None else _prices_on(nodes, resolved, profiled, store)
        if prices is not None:
            profiled = replace(profiled, cluster=prices.kinds)
        compared = compare(request, resolved, profiled, fitted, whole_search(request.trials, _journal(home)))
        advice = _advice(request, resolved, profiled, compared, probed, prices)
        for line in () if prices is None else prices.lines(_first_plan(compared)):
            say(line)
        asked = stored_request(request, resolved)
        store.add_recommendation(now(), asked, advice.to_json())
        keep(advice, asked, stamp, home)
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


def _journal(home: Home) -> JournalStorage:
    """Return a new file for a study, and delete the oldest of the earlier ones.

    In Optuna's database the trials of a study take longer to write than to find.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%f}"
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
    prices: ClusterPrices | None,
) -> Advice:
    scenario, rows = compared.scenario, compared.rows
    switchovers = _switchovers(request, resolved, scenario.accuracy, rows[0].evaluated)
    evidence = evidence_of(compared, profiled)
    return Advice(
        request=answered_request(request, resolved),
        device=device_of(profiled),
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
        measure_next=_measure_next(request, compared, Places.of(profiled.execution)),
        probing=probed,
        cluster=None if prices is None else cluster_forecast(_first_plan(compared), prices),
    )


def _prices_on(
    nodes: ClusterKinds, resolved: ResolvedRequest, profiled: Profiled, store: Store
) -> ClusterPrices:
    """Return the nodes of a cluster with the predictors of the plans of a request."""
    augmentation = resolved.facts.augmentation.key
    return cluster_prices(nodes, profiled.execution, augmentation, store, profiled.predictor)


def _first_plan(compared: Comparison) -> TrainingPlan:
    """Return the plan of rank 1."""
    return plan_of(compared.scenario, compared.rows[0].evaluated)


def _measure_next(request: RecommendRequest, compared: Comparison, places: Places) -> MeasureNext:
    """Return the training to make next: of the untried family that could lead, where there is one."""
    scenario, rows = compared.scenario, compared.rows
    learned_as = scenario.dataset.learned_as
    done = trained_before(compared.trained, learned_as)
    seconds, slowdown = rows[0].evaluated.priced.train_seconds.mean, places.slowdown(scenario.cost)
    untried = could_lead(rows, scenario.accuracy, Objective(request.objective))
    trained = trained_families(compared.trained, learned_as, request.epochs)
    if untried is not None and any(family in trained for family in compared.leading):
        families = [family for family in untried.design.families if family not in compared.leading]
        offered = measure_untried(request, scenario, untried, families, done, seconds, slowdown)
        if offered is not None:
            return offered
    return measure_next(request, scenario, compared.evaluated, done, seconds, slowdown)


def _save_plan(path: Path, compared: Comparison) -> None:
    write_file(path, PLAN, plan_to_json(_first_plan(compared)))
