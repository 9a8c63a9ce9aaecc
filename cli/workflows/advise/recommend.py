"""`advisor recommend`: from a parameter budget to a ranking of designs.

    request -> candidates -> measured costs -> (probes) -> predictors -> search -> ranking -> advice

The budget has candidates; this machine is measured; probes are trained if they are requested; the search
prices the plans of designs and predicts their errors; the best are ranked, explained and stored. `advisor
train` trains the plan of the rank that its user chooses, and predictors are fitted to its run the next time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.likelihood import LikelihoodPredictor
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.epoch_axis import WholeSchedules
from advisor.decision.ranking import Objective, Recommendation, rank
from advisor.decision.reasons import Evidence, has_threshold, threshold_of
from advisor.decision.search import Evaluated, Scenario, planned, search
from advisor.decision.switchover import Switchover, thresholds
from advisor.designs.budget import parse_budget
from advisor.errors import StorageError
from advisor.plans.plan import plan_to_json
from cli.workflows.advise.measure_next import measure_next
from cli.workflows.advise.probe import ProbingSession
from cli.workflows.advise.probe_evidence import trained_before
from cli.workflows.advise.probe_options import ProbeOptions, check_seconds
from cli.workflows.advise.reasons import advised_designs, would_change
from cli.workflows.advise.request import (
    ResolvedRequest,
    answered_request,
    check_request,
    profiled_for,
    scenario_of,
    stored_request,
)
from cli.workflows.answers.advice import Advice, Device, MeasuringEffort, SearchEffort
from cli.workflows.answers.advice_request import RecommendRequest
from cli.workflows.answers.probing import Probing
from cli.workflows.files import check_writable, write_file
from cli.workflows.forecast.evidence import accuracy_for, say_of_earlier_contents
from cli.workflows.forecast.measuring import Profiled
from cli.workflows.home import Home, now
from cli.workflows.views import Say
from db.queries import Store
from db.session import open_store
from trainer.data.loading import Data, load_new_data

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
) -> Advice:
    """Return the advice for a request, and store it for `advisor train`.

    Args:
        request: request for advice.
        home: folder of data, database and studies.
        save: file for the plan of rank 1; None writes none.
        say: receiver of progress.
        probing: options of a probing session before the answer; None trains nothing.

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
    data = None if probing is None else _load_probed(resolved, home, probing)
    if data is not None:
        resolved = replace(resolved, facts=data.facts)
    with open_store(home.database) as store:
        profiled = profiled_for(request, resolved, store, say)
        probed = None
        if probing is not None and data is not None:
            session = ProbingSession(request, resolved, profiled, store, home, data, say)
            probed = session.run(probing)
        compared = _compare(request, resolved, profiled, store, home, say)
        advice = _advice(request, resolved, profiled, compared, probed)
        store.add_recommendation(now(), stored_request(request, resolved), advice.to_json())
        # Last, so that a disk that refuses the file costs the file only.
        if save is not None:
            _save_plan(save, compared)
    return advice


def _load_probed(resolved: ResolvedRequest, home: Home, probing: ProbeOptions) -> Data:
    check_seconds(probing.seconds, "--probe")
    return load_new_data(resolved.facts, home.data, download=probing.download)


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
    """

    scenario: Scenario
    trained: Sequence[TrainedEvidence]
    evaluated: Sequence[Evaluated]
    search_seconds: float
    rows: Sequence[Recommendation]
    switchovers: Sequence[Switchover]


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
    scenario = replace(scenario_of(request, resolved, profiled, accuracy), likelihood=likelihood)
    say_of_earlier_contents(store, facts, say)
    say("searching")
    began = time.perf_counter()
    evaluated = _search(scenario, home, request.trials)
    search_seconds = time.perf_counter() - began
    rows = rank(evaluated, accuracy, Objective(request.objective))
    return Comparison(
        scenario=scenario,
        trained=trained,
        evaluated=evaluated,
        search_seconds=search_seconds,
        rows=rows,
        switchovers=_switchovers(request, resolved, accuracy, rows[0].evaluated),
    )


def _search(scenario: Scenario, home: Home, trials: int) -> list[Evaluated]:
    name = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%f}"
    return search(scenario, _journal(home, name), f"recommend {name}", trials)


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
    learned_as = resolved.facts.learned_as
    evidence = _evidence(compared.trained, learned_as, profiled, rows)
    done = trained_before(compared.trained, learned_as)
    first_seconds = rows[0].evaluated.priced.train_seconds.mean
    return Advice(
        request=answered_request(request, resolved),
        device=Device(**asdict(profiled.fingerprint), processes=profiled.execution.processes),
        profile=MeasuringEffort(
            seconds=profiled.seconds,
            measurements_new=profiled.new,
            measurements_reused=profiled.reused,
        ),
        recommendations=advised_designs(scenario, rows, switchovers, evidence),
        switchover=tuple(switchovers),
        search=SearchEffort(
            trials=request.trials, designs=len(compared.evaluated), seconds=compared.search_seconds
        ),
        would_change=would_change(request, scenario, rows, compared.evaluated, switchovers),
        measure_next=measure_next(request, scenario, compared.evaluated, done, first_seconds),
        probing=probed,
    )


def _evidence(
    trained: Sequence[TrainedEvidence], learned_as: str, profiled: Profiled, rows: Sequence[Recommendation]
) -> Evidence:
    own = [training for training in trained if training.dataset == learned_as]
    unmeasured = [row.evaluated.priced.unmeasured for row in rows]
    return Evidence(
        accuracy="runs" if trained else "prior",
        runs=len(trained),
        runs_on_dataset=len(own),
        families=dict(Counter(family for training in own for family in training.design.families)),
        cost=profiled.predictor.basis,
        measurements=profiled.predictor.count,
        unmeasured=tuple(text for text in unmeasured[0] if all(text in texts for texts in unmeasured)),
    )


def _save_plan(path: Path, compared: Comparison) -> None:
    first = compared.rows[0].evaluated
    write_file(path, PLAN, plan_to_json(planned(compared.scenario, first.design, first.method)))
