"""From what a user names (a design, a plan file, the last recommendation) to a plan and its forecast."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from advisor.designs.design import Design, parse_design
from advisor.errors import PlanError, UsageError, lookup
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import Execution
from advisor.plans.method import CLUSTERED, Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.placement import placed
from advisor.plans.plan import TrainingPlan, plan_from_json
from advisor.plans.schedule import RECIPES
from cli.quantities import check_seed
from cli.workflows.forecast.machine import chosen_execution, plain_execution
from cli.workflows.names import facts_of
from db.convert import StoredRecommendation
from db.queries import Store
from profiler.device import choose_device

DEFAULT_DATASET = "cifar10"
# Options that only concern members that are hatched.
HATCHING = ("hatched_epochs", "noise", "shrink")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What the command line says of a plan; None takes the default.

    Attributes:
        target: a design, the path of a plan, or None for the last recommendation.
        rank: row of the last recommendation.
    """

    target: str | None = None
    rank: int | None = None
    dataset: str | None = None
    augmentation: str | None = None
    epochs: int | None = None
    batch: int | None = None
    rate: float | None = None
    hatched_epochs: int | None = None
    noise: float | None = None
    shrink: float | None = None
    method: str | None = None
    seed: int | None = None
    device: str | None = None

    def fixed_by_a_plan(self) -> list[str]:
        """Options given although a plan file decides them."""
        names = ("dataset", "augmentation", "epochs", "batch", "rate", "method", "seed", *HATCHING)
        return [name for name in names if getattr(self, name) is not None]


def resolve_plan(request: PlanRequest, store: Store) -> TrainingPlan:
    """Return the plan that a request names.

    Raises:
        UsageError: the request contradicts itself or names something unknown.
        PlanError: a plan file that is missing or damaged.
    """
    if request.target is None:
        return _from_recommendation(request, store)
    if _is_plan_file(request.target):
        return _from_file(request)
    plan = _from_design(request, parse_design(request.target), plain_execution(choose_device(request.device)))
    return _with_chosen_execution(plan, store)


def check_target(request: PlanRequest) -> None:
    """Refuse a request that no stored measurement could save, before anything is opened or written.

    Raises:
        UsageError: as said.
        DataError: a data folder that cannot be used.
    """
    check_seed(request.seed)
    device = choose_device(request.device)
    if request.target is None:
        return
    if request.rank is not None:
        raise UsageError("--rank chooses among the last recommendation: leave out the design")
    if _is_plan_file(request.target):
        _from_file(request)
    else:
        _from_design(request, parse_design(request.target), plain_execution(device))


def _is_plan_file(target: str) -> bool:
    try:
        return target.endswith(".json") or "/" in target or Path(target).is_file()
    # The name of a large ensemble is longer than a file's may be.
    except OSError:
        return False


def _from_file(request: PlanRequest) -> TrainingPlan:
    if fixed := request.fixed_by_a_plan():
        raise UsageError(
            f"a plan fixes its {', '.join(fixed)}: leave the option out, or name a design instead"
        )
    path = Path(str(request.target))
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"cannot read the plan {path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        plan = plan_from_json(text)
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from None
    if request.device not in (None, plan.execution.device):
        raise UsageError(
            f"the plan is made for {plan.execution.device}, not {request.device}: make a new one"
        )
    choose_device(plan.execution.device)
    return plan


def _from_recommendation(request: PlanRequest, store: Store) -> TrainingPlan:
    last = store.last_recommendation()
    if last is None:
        raise UsageError("there is no recommendation yet: run `advisor recommend` first, or name a design")
    rank = 1 if request.rank is None else request.rank
    rows: list[dict[str, Any]] = last.payload["recommendations"]
    if not 1 <= rank <= len(rows):
        raise UsageError(f"--rank {rank}: the last recommendation has ranks 1 to {len(rows)}")
    row = rows[rank - 1]
    design = parse_design(row["design"])
    # Older programs knew only the methods that a design's clusters say.
    filled = replace(_with_defaults(request, last), method=request.method or row.get("method"))
    plan = _from_design(filled, design, plain_execution(choose_device(filled.device)))
    return _with_chosen_execution(plan, store)


def _with_chosen_execution(plan: TrainingPlan, store: Store) -> TrainingPlan:
    """The plan with the arithmetic that measured fastest here; its concurrency stays."""
    data = plan.dataset
    chosen = chosen_execution(store, plan.execution.device, data.task, data.augmentation.key)
    return replace(plan, execution=replace(chosen, processes=plan.execution.processes))


def _with_defaults(request: PlanRequest, last: StoredRecommendation) -> PlanRequest:
    """Fill in what the recommendation was asked for; batch and augmentation only on the same data."""
    asked = last.request
    same_data = request.dataset is None or facts_of(request.dataset).name == asked["dataset"]
    return PlanRequest(
        target=request.target,
        rank=request.rank,
        dataset=request.dataset or asked["dataset"],
        # Recommendations of older programs say nothing of it.
        augmentation=request.augmentation or (asked.get("augmentation") if same_data else None),
        epochs=asked["epochs"] if request.epochs is None else request.epochs,
        batch=asked["batch"] if request.batch is None and same_data else request.batch,
        rate=request.rate,
        hatched_epochs=request.hatched_epochs,
        noise=request.noise,
        shrink=request.shrink,
        method=request.method,
        seed=asked["seed"] if request.seed is None else request.seed,
        device=request.device or asked["device"],
    )


def _from_design(request: PlanRequest, design: Design, execution: Execution) -> TrainingPlan:
    facts = facts_of(request.dataset or DEFAULT_DATASET, request.augmentation)
    method = None if request.method is None else lookup("method", request.method, Method)
    if method is not None:
        design = with_clusters(design, method)
    for option in HATCHING:
        if getattr(request, option) is not None and design.independent:
            name = option.replace("_", "-")
            raise UsageError(f"--{name}: {design.name} hatches no member; leave it out or add @g1")
    longest = max(RECIPES[family].reference_epochs for family in design.families)
    plan = make_plan(
        design,
        facts,
        epochs=longest if request.epochs is None else request.epochs,
        batch=_batch(request, facts),
        seed=0 if request.seed is None else request.seed,
        execution=execution,
        options=PlanOptions(
            method=method,
            rate=request.rate,
            hatched_epochs=request.hatched_epochs,
            noise=request.noise,
            shrink=request.shrink,
        ),
    )
    return placed(plan, execution.processes)


def with_clusters(design: Design, method: Method) -> Design:
    """`--method mothernets`, shared or not, on a design without clusters asks for one cluster a family."""
    if method in CLUSTERED and design.independent and len(design.members) > 1:
        return Design(members=design.members, clusters=len(design.families))
    return design


def _batch(request: PlanRequest, facts: DatasetFacts) -> int:
    return min(facts.batch, facts.train_images) if request.batch is None else request.batch
