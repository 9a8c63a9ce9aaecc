"""`advisor recommend`: budget to candidates, candidates to measured costs, costs and errors to advice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna

from advisor.accuracy import AccuracyPredictor, TrainedEvidence
from advisor.budget import parse_budget
from advisor.dataset import DatasetFacts
from advisor.errors import StorageError, UnknownNameError, UsageError
from advisor.estimate import Estimate
from advisor.plan import plan_to_json
from advisor.recommend import Evidence, Objective, Recommendation, rank
from advisor.schedule import MOST_EPOCHS
from advisor.search import Judged, Limits, Scenario, planned, search
from advisor.space import Candidate, enumerate_candidates
from advisor.switchover import Switchover, WholeSchedules, thresholds
from cli.quantities import check_seed
from cli.workflows.evidence import accuracy_for
from cli.workflows.files import write_file
from cli.workflows.home import SCHEMA_VERSION, Home, Say, now
from cli.workflows.measuring import Profiled, profile_candidates
from cli.workflows.spaces import facts_of, families_of, member_counts_of
from db.session import open_store
from profiler.device import choose_device

# Member counts whose thresholds are shown where the user names none.
SHOWN_MEMBERS = (2, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendRequest:
    """The command line of `advisor recommend`, as it is stored with the answer."""

    budget: str
    epochs: int
    dataset: str
    augmentation: str | None
    families: tuple[str, ...]
    members: tuple[int, ...]
    objective: str
    max_memory_bytes: float | None
    max_latency_ms: float | None
    max_train_seconds: float | None
    device: str | None
    batch: int | None
    seed: int
    trials: int
    profile_seconds: float


def recommend(request: RecommendRequest, home: Home, save: Path | None, say: Say) -> dict[str, Any]:
    """Return the advice as plain JSON, stored for `advisor train`.

    Raises:
        UsageError: a request that cannot be understood.
        InfeasibleError: no design fits the budget or the limits.
        StorageError: the database or the plan file cannot be written.
    """
    _check(request)
    asked = _Asked.of(request)
    with open_store(home.database) as store:
        profiled = profile_candidates(
            store,
            asked.candidates,
            asked.facts,
            batch=asked.batch,
            device=asked.device,
            seconds=request.profile_seconds,
            say=say,
        )
        accuracy, runs = accuracy_for(store, asked.facts.learned_as, request.seed)
        scenario = _scenario(request, asked, profiled, accuracy)
        say("searching")
        judged, searched = _searched(scenario, home, request.trials)
        crossings = _crossings(request, asked, accuracy)
        rows = rank(judged, accuracy, Objective(request.objective), crossings)
        evidence = _evidence(runs, asked.facts.learned_as, profiled)
        payload = _payload(request, asked.batch, profiled, rows, crossings, evidence, len(judged), searched)
        if save is not None:
            _save_plan(save, rows[0], scenario)
        store.add_recommendation(now(), asdict(request) | {"batch": asked.batch}, payload)
    return payload


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request understood: what its words stand for."""

    facts: DatasetFacts
    families: list[str]
    counts: list[int]
    candidates: Sequence[Candidate]
    batch: int
    device: str

    @classmethod
    def of(cls, request: RecommendRequest) -> _Asked:
        facts = facts_of(request.dataset, request.augmentation)
        families, counts = families_of(request.families), member_counts_of(request.members)
        return cls(
            facts=facts,
            families=families,
            counts=counts,
            candidates=enumerate_candidates(parse_budget(request.budget), families, facts.task, counts),
            batch=min(request.batch or facts.batch, facts.train_images),
            device=choose_device(request.device),
        )


def _scenario(
    request: RecommendRequest, asked: _Asked, profiled: Profiled, accuracy: AccuracyPredictor
) -> Scenario:
    return Scenario(
        candidates=asked.candidates,
        dataset=asked.facts,
        epochs=request.epochs,
        batch=asked.batch,
        seed=request.seed,
        execution=profiled.execution,
        limits=Limits(
            memory_bytes=request.max_memory_bytes,
            latency_ms=request.max_latency_ms,
            train_seconds=request.max_train_seconds,
        ),
        cost=profiled.predictor,
        accuracy=accuracy,
    )


def _searched(scenario: Scenario, home: Home, trials: int) -> tuple[list[Judged], float]:
    """Return what the search judged, and the seconds it took."""
    began = time.perf_counter()
    judged = search(scenario, _storage(home), f"recommend {now()} {time.time_ns() % 10**6}", trials)
    return judged, time.perf_counter() - began


def _crossings(request: RecommendRequest, asked: _Asked, accuracy: AccuracyPredictor) -> Sequence[Switchover]:
    """Switchover thresholds of the member counts that were asked for."""
    return thresholds(
        WholeSchedules(accuracy, asked.facts.learned_as, asked.facts.task),
        asked.families,
        [k for k in asked.counts if k > 1] if request.members else list(SHOWN_MEMBERS),
        budget=float(parse_budget(request.budget)),
        epochs=request.epochs,
    )


def _check(request: RecommendRequest) -> None:
    if request.objective not in set(Objective):
        raise UnknownNameError("objective", request.objective, [o.value for o in Objective])
    check_seed(request.seed)
    if not 1 <= request.epochs <= MOST_EPOCHS:
        raise UsageError(f"--epochs must be at least 1 and at most {MOST_EPOCHS:,}, got {request.epochs}")
    if request.max_latency_ms is not None and not 0 < request.max_latency_ms < float("inf"):
        raise UsageError(f"--max-latency-ms must be positive, got {request.max_latency_ms}")
    if request.trials < 1:
        raise UsageError(f"--trials must be at least 1, got {request.trials}")
    if request.batch is not None and request.batch < 2:
        raise UsageError(f"--batch must be at least 2, got {request.batch}")
    if not 0 <= request.profile_seconds < float("inf"):
        raise UsageError(f"--profile-seconds must not be negative, got {request.profile_seconds}")


def _storage(home: Home) -> optuna.storages.RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.storages.RDBStorage(f"sqlite:///{home.studies}")
    except Exception as error:
        # Optuna lets through whatever SQLAlchemy and SQLite raise.
        first = str(error).splitlines()[0]
        raise StorageError(
            f"cannot use the study file {home.studies} ({first}): move it away, it holds no runs"
        ) from None


def _save_plan(path: Path, best: Recommendation, scenario: Scenario) -> None:
    write_file(path, "the plan", plan_to_json(planned(scenario, best.judged.design)))


def _evidence(runs: Sequence[TrainedEvidence], dataset: str, profiled: Profiled) -> Evidence:
    return Evidence(
        accuracy="runs" if runs else "prior",
        runs=len(runs),
        runs_on_dataset=sum(run.dataset == dataset for run in runs),
        cost=profiled.predictor.basis,
        measurements=profiled.predictor.count,
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
        "switchover": [
            {
                "family": s.family,
                "members": s.members,
                "parameters": asdict(s.parameters),
                "epochs": asdict(s.epochs),
                "probability_past": s.probability_past,
            }
            for s in crossings
        ],
        "search": {"trials": request.trials, "designs": designs, "seconds": searched},
    }


def _row(row: Recommendation, evidence: Evidence) -> dict[str, Any]:
    judged = row.judged
    priced = judged.priced
    estimates: dict[str, Estimate] = {
        "test_error": row.test_error,
        "epoch_seconds": priced.epoch_seconds,
        "train_seconds": priced.train_seconds,
        "inference_ms_per_image": priced.inference_ms_per_image,
        "train_peak_bytes": priced.train_peak_bytes,
    }
    return {
        "rank": row.rank,
        "design": judged.design.name,
        "class": judged.design_class.value,
        "members": len(judged.design.members),
        "clusters": judged.design.clusters,
        "parameters": judged.parameters,
        "predicted": {name: asdict(estimate) for name, estimate in estimates.items()},
        "probability_beats_single": row.probability_beats_single,
        "near_threshold": row.near_threshold,
        "evidence": asdict(evidence),
        "reasons": list(row.reasons),
    }
