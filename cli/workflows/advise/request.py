"""A request for advice: its check, and what its words stand for.

Recommending and probing share both. `cli.workflows.answers.advise.request` defines the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.money.machine_price import seconds_for
from advisor.decision.ranking import Objective
from advisor.decision.scenario import Limits, Scenario
from advisor.decision.search_space import DEFAULT_METHODS
from advisor.decision.weight_decay import Tune, multiples_of
from advisor.designs.budget import parse_budget
from advisor.designs.mixtures import Mixture, enumerate_mixtures
from advisor.designs.space import Candidate, enumerate_candidates
from advisor.errors import UsageError, lookup
from advisor.networks.families import family_named
from advisor.plans.convergence.predictor import EpochPredictor
from advisor.plans.dataset import DatasetFacts
from advisor.plans.method_traits import JOINT, Method
from advisor.plans.recipes.choice import RecipeName, patience_of, usual_batch
from advisor.plans.schedule import MOST_EPOCHS, check_patience
from cli.quantities import check_amount, check_price, check_seed
from cli.workflows.answers.advise.request import AnsweredRequest, RecommendRequest
from cli.workflows.forecast.measuring import Profiled, profile_candidates
from cli.workflows.forecast.planning import asked_patience
from cli.workflows.home import Home
from cli.workflows.names import facts_of, families_of, member_counts_of
from cli.workflows.views import Say
from db.queries import Store
from profiler.device import choose_device


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRequest:
    """A request whose words are replaced by what they stand for.

    Attributes:
        facts: facts of the data set, with the requested augmentation.
        families: names of the families.
        counts: member counts, the single network among them.
        methods: training methods of ensembles.
        candidates: regular designs of the budget.
        mixtures: designs of several shapes of the budget.
        batch: images in a training step.
        device: ``cpu`` or ``cuda``.
    """

    facts: DatasetFacts
    families: list[str]
    counts: list[int]
    methods: list[Method]
    candidates: Sequence[Candidate]
    mixtures: Sequence[Mixture]
    batch: int
    device: str

    @classmethod
    def of(cls, request: RecommendRequest, home: Home, say: Say) -> ResolvedRequest:
        """Return what a request stands for.

        Args:
            request: request for advice.
            home: home with a cache of what is known of data folders.
            say: receiver of what is peculiar about a data folder.

        Raises:
            UsageError: a name or a number of the request cannot be understood.
            InfeasibleError: the smallest network has more parameters than the budget.
        """
        facts = facts_of(
            request.dataset,
            request.augmentation,
            resize=request.resize,
            skip_damaged=request.skip_damaged,
            home=home,
            say=say,
        )
        families, counts = families_of(request.families), member_counts_of(request.members)
        budget = parse_budget(request.budget)
        return cls(
            facts=facts,
            families=families,
            counts=counts,
            methods=methods_of(request.methods, families),
            candidates=enumerate_candidates(budget, families, facts.task, counts),
            mixtures=enumerate_mixtures(budget, families, facts.task, counts),
            batch=min(
                request.batch or usual_batch(families, facts, RecipeName(request.recipe)), facts.train_images
            ),
            device=choose_device(request.device),
        )


def answered_request(request: RecommendRequest, resolved: ResolvedRequest) -> AnsweredRequest:
    """Return a request as its answer repeats it."""
    given = {field.name: getattr(request, field.name) for field in fields(RecommendRequest)}
    return AnsweredRequest(
        **given
        | {
            "methods": tuple(lookup("method", name, Method) for name in request.methods),
            "objective": Objective(request.objective),
            "tune": Tune(request.tune),
            "recipe": RecipeName(request.recipe),
            "used_patience": used_patience(request),
            "batch": resolved.batch,
            "budget_parameters": parse_budget(request.budget),
            "used_augmentation": resolved.facts.augmentation,
        }
    )


def stored_request(request: RecommendRequest, resolved: ResolvedRequest) -> dict[str, Any]:
    """Return a request as the database keeps it.

    A folder of images is stored with its absolute path, so that the plan can be trained from any folder.
    """
    return asdict(request) | {"batch": resolved.batch, "dataset": resolved.facts.name}


def methods_of(names: Sequence[str], families: Sequence[str]) -> list[Method]:
    """Return the requested training methods, or the usual ones.

    Args:
        names: names of training methods, empty for the usual ones.
        families: names of the families to train.

    Raises:
        UsageError: a method does not exist, or the methods cannot train an ensemble of the families.
    """
    methods = list(dict.fromkeys(lookup("method", name, Method) for name in names)) or list(DEFAULT_METHODS)
    if set(methods) <= set(JOINT) and all(family_named(family).skip_connections for family in families):
        raise UsageError(
            f"--method: {' and '.join(methods)} cannot train {' or '.join(families)}, which have skip "
            "connections: add another method, or --family vgg"
        )
    return methods


def profiled_for(
    request: RecommendRequest, resolved: ResolvedRequest, store: Store, say: Say, remeasure: bool = False
) -> Profiled:
    """Measure the workloads of a request whose cost is least certain, within its time for measurements.

    Args:
        request: request for advice.
        resolved: what it stands for.
        store: database of measurements.
        say: receiver of progress.
        remeasure: whether what was measured for its task before is measured again.
    """
    return profile_candidates(
        store,
        resolved.candidates,
        resolved.facts,
        batch=resolved.batch,
        device=resolved.device,
        seconds=request.profile_seconds,
        say=say,
        remeasure=remeasure,
    )


def scenario_of(
    request: RecommendRequest,
    resolved: ResolvedRequest,
    profiled: Profiled,
    accuracy: AccuracyPredictor,
    epochs: EpochPredictor,
) -> Scenario:
    """Return the scenario in which the designs of a request are priced and compared.

    Args:
        request: request for advice.
        resolved: what it stands for.
        profiled: predictor of cost, and the settings to train with.
        accuracy: predictor of the error.
        epochs: predictor of the epochs to convergence.
    """
    return Scenario(
        candidates=resolved.candidates,
        mixtures=resolved.mixtures,
        methods=resolved.methods,
        weight_decays=multiples_of(Tune(request.tune)),
        dataset=resolved.facts,
        epochs=request.epochs,
        batch=resolved.batch,
        recipe=RecipeName(request.recipe),
        patience=asked_patience(request.patience, until_converged=request.until_converged),
        epoch_predictor=epochs,
        seed=request.seed,
        execution=profiled.execution,
        limits=Limits(
            memory_bytes=request.max_memory_bytes,
            latency_ms=request.max_latency_ms,
            train_seconds=seconds_allowed(request),
        ),
        cost=profiled.predictor,
        accuracy=accuracy,
        cluster=profiled.cluster,
    )


def seconds_allowed(request: RecommendRequest) -> float | None:
    """Return the longest training that the limits on time and on cost allow, in seconds; None for any.

    A cost is time times a price, so a limit on it is a limit on time.
    """
    limits = [] if request.max_train_seconds is None else [request.max_train_seconds]
    if request.max_usd is not None and request.price_per_hour_usd is not None:
        limits.append(seconds_for(request.max_usd, request.price_per_hour_usd))
    return min(limits, default=None)


def used_patience(request: RecommendRequest) -> int | None:
    """Return the epochs without a gain that end a training, None where its length is fixed."""
    asked = asked_patience(request.patience, until_converged=request.until_converged)
    # Cycles keep their length; every other method has the same rule.
    return patience_of(RecipeName(request.recipe), asked, Method.FULL_DATA)


def check_request(request: RecommendRequest) -> None:
    """Refuse a request that has a number out of range, an unknown objective or an unknown value of --tune.

    Raises:
        UsageError: the request has one.
    """
    lookup("objective", request.objective, Objective)
    lookup("value of --tune", request.tune, Tune)
    lookup("recipe", request.recipe, RecipeName)
    if request.patience is not None:
        check_patience(request.patience)
    check_seed(request.seed)
    if not 1 <= request.epochs <= MOST_EPOCHS:
        raise UsageError(f"--epochs must be at least 1 and at most {MOST_EPOCHS:,}, got {request.epochs}")
    if request.max_latency_ms is not None and not 0 < request.max_latency_ms < float("inf"):
        raise UsageError(f"--max-latency-ms must be positive, got {request.max_latency_ms}")
    check_price(request.price_per_hour_usd, "--price-per-hour")
    check_amount(request.max_usd, request.price_per_hour_usd, "--max-usd")
    if request.trials < 1:
        raise UsageError(f"--trials must be at least 1, got {request.trials}")
    if request.batch is not None and request.batch < 2:
        raise UsageError(f"--batch must be at least 2, got {request.batch}")
    if not 0 <= request.profile_seconds < float("inf"):
        raise UsageError(f"--profile-seconds must not be negative, got {request.profile_seconds}")
