"""A request for advice, and what its words stand for: shared by recommending and probing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.ranking import Objective
from advisor.decision.search import Limits, Scenario
from advisor.decision.search_space import DEFAULT_METHODS
from advisor.designs.budget import parse_budget
from advisor.designs.mixtures import Mixture, enumerate_mixtures
from advisor.designs.space import Candidate, enumerate_candidates
from advisor.errors import UsageError, lookup
from advisor.networks.families import family_named
from advisor.plans.dataset import DatasetFacts
from advisor.plans.method import JOINT, Method
from advisor.plans.schedule import MOST_EPOCHS
from cli.quantities import check_seed
from cli.workflows.forecast.measuring import Profiled, profile_candidates
from cli.workflows.names import facts_of, families_of, member_counts_of
from cli.workflows.views import Say
from db.queries import Store
from profiler.device import choose_device


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendRequest:
    """The command line of `advisor recommend`, as it is stored with the answer."""

    budget: str
    epochs: int
    dataset: str
    augmentation: str | None
    families: tuple[str, ...]
    members: tuple[int, ...]
    methods: tuple[str, ...] = ()
    objective: str = "error"
    max_memory_bytes: float | None = None
    max_latency_ms: float | None = None
    max_train_seconds: float | None = None
    device: str | None
    batch: int | None
    seed: int
    trials: int = 160
    profile_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRequest:
    """A request understood: what its words stand for."""

    facts: DatasetFacts
    families: list[str]
    counts: list[int]
    methods: list[Method]
    candidates: Sequence[Candidate]
    mixtures: Sequence[Mixture]
    batch: int
    device: str

    @classmethod
    def of(cls, request: RecommendRequest) -> ResolvedRequest:
        """Read a request.

        Raises:
            UsageError: a name or a number that cannot be understood.
            InfeasibleError: no design has so few parameters.
        """
        facts = facts_of(request.dataset, request.augmentation)
        families, counts = families_of(request.families), member_counts_of(request.members)
        budget = parse_budget(request.budget)
        return cls(
            facts=facts,
            families=families,
            counts=counts,
            methods=methods_of(request.methods, families),
            candidates=enumerate_candidates(budget, families, facts.task, counts),
            mixtures=enumerate_mixtures(budget, families, facts.task, counts),
            batch=min(request.batch or facts.batch, facts.train_images),
            device=choose_device(request.device),
        )


def methods_of(names: Sequence[str], families: Sequence[str]) -> list[Method]:
    """Return the training methods asked for, or those that are usual.

    Raises:
        UsageError: a name that does not exist, or methods that can train no ensemble of the families.
    """
    methods = list(dict.fromkeys(lookup("method", name, Method) for name in names)) or list(DEFAULT_METHODS)
    if set(methods) <= set(JOINT) and all(family_named(family).skip_connections for family in families):
        raise UsageError(
            f"--method: {' and '.join(methods)} cannot train {' or '.join(families)}, which have skip "
            "connections: add another method, or --family vgg"
        )
    return methods


def profiled_for(request: RecommendRequest, resolved: ResolvedRequest, store: Store, say: Say) -> Profiled:
    """Measure what is known least about the candidates of a request, for as long as it allows."""
    return profile_candidates(
        store,
        resolved.candidates,
        resolved.facts,
        batch=resolved.batch,
        device=resolved.device,
        seconds=request.profile_seconds,
        say=say,
    )


def scenario_of(
    request: RecommendRequest, resolved: ResolvedRequest, profiled: Profiled, accuracy: AccuracyPredictor
) -> Scenario:
    """Return what the designs of a request are judged under."""
    return Scenario(
        candidates=resolved.candidates,
        mixtures=resolved.mixtures,
        methods=resolved.methods,
        dataset=resolved.facts,
        epochs=request.epochs,
        batch=resolved.batch,
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


def check_request(request: RecommendRequest) -> None:
    """Refuse numbers out of range and unknown words.

    Raises:
        UsageError: as said.
    """
    lookup("objective", request.objective, Objective)
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
