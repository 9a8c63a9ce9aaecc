"""`advisor recommend`: budget to candidates, candidates to measured costs, costs and errors to advice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.epoch_axis import WholeSchedules
from advisor.decision.ranking import Objective, Recommendation, rank
from advisor.decision.reasons import Evidence, has_threshold, threshold_of
from advisor.decision.search import Evaluated, Scenario, planned, search
from advisor.decision.switchover import Switchover, thresholds
from advisor.designs.budget import parse_budget
from advisor.errors import StorageError
from advisor.estimate import Estimate
from advisor.plans.plan import plan_to_json
from cli.workflows.advise import reasons
from cli.workflows.advise.probe import ProbeOptions, ProbingSession, check_seconds, trained_before
from cli.workflows.advise.request import (
    RecommendRequest,
    ResolvedRequest,
    check_request,
    profiled_for,
    scenario_of,
)
from cli.workflows.files import write_file
from cli.workflows.forecast.evidence import accuracy_for
from cli.workflows.forecast.measuring import Profiled
from cli.workflows.home import SCHEMA_VERSION, Home, now
from cli.workflows.views import Say
from db.session import open_store
from trainer.data.loading import Data, load_data

# Member counts whose thresholds are shown where the user names none.
SHOWN_MEMBERS = (2, 4, 8)
# Searches that can be looked at afterwards.
KEPT_STUDIES = 50


def recommend(
    request: RecommendRequest,
    home: Home,
    save: Path | None,
    say: Say,
    probing: ProbeOptions | None = None,
) -> dict[str, Any]:
    """Return the advice as plain JSON, stored for `advisor train`.

    Args:
        request: what is asked.
        home: where measurements, runs and the answer are.
        save: file for the plan of rank 1.
        say: receiver of progress.
        probing: trainings that teach about the request, made before it is answered; None trains nothing.

    Raises:
        UsageError: a request that cannot be understood.
        InfeasibleError: no design fits the budget or the limits.
        StorageError: the database or the plan file cannot be written.
    """
    check_request(request)
    resolved = ResolvedRequest.of(request)
    # Before a minute of measuring, so that what cannot be probed is refused at once.
    data = None if probing is None else _probed_data(resolved, home, probing)
    with open_store(home.database) as store:
        profiled = profiled_for(request, resolved, store, say)
        probed = None
        if probing is not None and data is not None:
            session = ProbingSession(request, resolved, profiled, store, home, data, say)
            probed = session.run(probing.seconds)
        accuracy, runs = accuracy_for(
            store, resolved.facts.learned_as, request.seed, resolved.facts.train_images
        )
        scenario = scenario_of(request, resolved, profiled, accuracy)
        say("searching")
        evaluated, searched = _searched(scenario, home, request.trials)
        crossings = _crossings(request, resolved, accuracy)
        rows = rank(evaluated, accuracy, Objective(request.objective))
        crossings = _with_own_crossing(rows[0].evaluated, crossings, request, resolved, accuracy)
        evidence = _evidence(runs, resolved.facts.learned_as, profiled, rows)
        payload = _payload(
            request, resolved.batch, profiled, rows, crossings, evidence, len(evaluated), searched
        )
        said = reasons.of_rows(scenario, rows, crossings, evidence)
        payload["recommendations"] = [
            row | own for row, own in zip(payload["recommendations"], said, strict=True)
        ]
        payload["would_change"] = reasons.would_change(request, scenario, rows, evaluated, crossings)
        done, seconds = (
            trained_before(runs, resolved.facts.learned_as),
            rows[0].evaluated.priced.train_seconds.mean,
        )
        payload["measure_next"] = reasons.measure_next(request, scenario, evaluated, done, seconds)
        payload["probing"] = probed
        if save is not None:
            _save_plan(save, rows[0], scenario)
        # A folder is meant wherever the plan is trained from.
        understood = {"batch": resolved.batch, "dataset": resolved.facts.name}
        store.add_recommendation(now(), asdict(request) | understood, payload)
    return payload


def _probed_data(resolved: ResolvedRequest, home: Home, probing: ProbeOptions) -> Data:
    check_seconds(probing.seconds, "--probe")
    return load_data(resolved.facts, home.data, download=probing.download)


def _searched(scenario: Scenario, home: Home, trials: int) -> tuple[list[Evaluated], float]:
    """Return what the search judged, and the seconds it took."""
    began = time.perf_counter()
    name = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%f}"
    evaluated = search(scenario, _journal(home, name), f"recommend {name}", trials)
    return evaluated, time.perf_counter() - began


def _crossings(
    request: RecommendRequest, resolved: ResolvedRequest, accuracy: AccuracyPredictor
) -> Sequence[Switchover]:
    """Switchover thresholds of the member counts that were asked for."""
    return thresholds(
        WholeSchedules(accuracy, resolved.facts.learned_as, resolved.facts.task),
        resolved.families,
        [k for k in resolved.counts if k > 1] if request.members else list(SHOWN_MEMBERS),
        budget=float(parse_budget(request.budget)),
        epochs=request.epochs,
    )


def _with_own_crossing(
    first: Evaluated,
    crossings: Sequence[Switchover],
    request: RecommendRequest,
    resolved: ResolvedRequest,
    accuracy: AccuracyPredictor,
) -> list[Switchover]:
    """Add the threshold of the first design's own member count, where it is not known yet."""
    if not has_threshold(first) or threshold_of(first, crossings) is not None:
        return list(crossings)
    own = thresholds(
        WholeSchedules(accuracy, resolved.facts.learned_as, resolved.facts.task),
        first.design.families,
        [len(first.design.members)],
        budget=float(parse_budget(request.budget)),
        epochs=request.epochs,
    )
    return sorted([*crossings, *own], key=lambda s: (resolved.families.index(s.family), s.members))


def _journal(home: Home, name: str) -> JournalStorage:
    """Return a new file for a study; of those before it the newest are kept.

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


def _save_plan(path: Path, best: Recommendation, scenario: Scenario) -> None:
    write_file(
        path, "the plan", plan_to_json(planned(scenario, best.evaluated.design, best.evaluated.method))
    )


def _evidence(
    runs: Sequence[TrainedEvidence], dataset: str, profiled: Profiled, rows: Sequence[Recommendation]
) -> Evidence:
    never = [row.evaluated.priced.unmeasured for row in rows]
    return Evidence(
        accuracy="runs" if runs else "prior",
        runs=len(runs),
        runs_on_dataset=sum(run.dataset == dataset for run in runs),
        families=dict(Counter(f for run in runs if run.dataset == dataset for f in run.design.families)),
        cost=profiled.predictor.basis,
        measurements=profiled.predictor.count,
        unmeasured=tuple(text for text in never[0] if all(text in texts for texts in never)),
    )


def _payload(
    request: RecommendRequest,
    batch: int,
    profiled: Profiled,
    rows: Sequence[Recommendation],
    crossings: Sequence[Switchover],
    evidence: Evidence,
    designs: int,
    searched: float,
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "request": asdict(request) | {"batch": batch, "budget_parameters": parse_budget(request.budget)},
        "device": asdict(profiled.fingerprint) | {"processes": profiled.execution.processes},
        "profile": {
            "seconds": profiled.seconds,
            "measurements_new": profiled.new,
            "measurements_reused": profiled.reused,
        },
        "recommendations": [_row(row, evidence) for row in rows],
        "switchover": [asdict(s) for s in crossings],
        "search": {"trials": request.trials, "designs": designs, "seconds": searched},
    }


def _row(row: Recommendation, evidence: Evidence) -> dict[str, Any]:
    evaluated = row.evaluated
    priced = evaluated.priced
    estimates: dict[str, Estimate | None] = {
        "test_error": row.test_error,
        "epoch_seconds": priced.epoch_seconds,
        "train_seconds": priced.train_seconds,
        "inference_ms_per_image": priced.inference_ms_per_image,
        "train_peak_bytes": priced.train_peak_bytes,
        "train_reserved_bytes": priced.train_reserved_bytes,
        "memory_bytes": priced.memory_bytes,
    }
    return {
        "rank": row.rank,
        "design": evaluated.design.name,
        "method": evaluated.method.value,
        "class": evaluated.design_class.value,
        "members": len(evaluated.design.members),
        "clusters": evaluated.design.clusters,
        "parameters": evaluated.parameters,
        "predicted": {name: estimate and asdict(estimate) for name, estimate in estimates.items()},
        "probability_beats_single": row.probability_beats_single,
        "near_threshold": row.near_threshold,
        "evidence": asdict(evidence),
    }
