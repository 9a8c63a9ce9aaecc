"""From what a user names (a design, a plan file, the last recommendation) to a plan.

That takes two stages, so that a bad request is refused before a database is opened or created:

    target = planned_target(request)         # reads no database, raises what is wrong with the request
    with open_store(home.database) as store:
        plan = target.with_settings(store)   # adds the arithmetic that measured fastest on this machine
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from advisor.designs.design import Design, parse_design
from advisor.errors import PlanError, UsageError, lookup
from advisor.files import read_regular
from advisor.plans.execution import check_choice
from advisor.plans.method_traits import CHAINS, CLUSTERED, Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.placement import placed
from advisor.plans.plan import TrainingPlan, plan_from_json
from advisor.plans.recipes.choice import RecipeName, usual_batch, usual_epochs
from advisor.plans.schedule import PATIENCE
from cli.quantities import check_seed
from cli.workflows.defaults import DATASET, RECIPE, SEED
from cli.workflows.forecast.convergence import with_learned_epochs
from cli.workflows.forecast.machine import (
    chosen_execution,
    measured_reference,
    plain_execution,
    stored_measurements,
)
from cli.workflows.forecast.plan_request import HATCHING, PlanRequest
from cli.workflows.home import Home
from cli.workflows.names import facts_of, full_name_of
from cli.workflows.views import Say, silent
from db.queries import Store
from db.recommendations import StoredRecommendation
from profiler.device import choose_device

# Bytes of a plan of some thousand networks.
LARGEST_PLAN = 16 * 2**20


class PlannedTarget(Protocol):
    """What a checked request names: a plan, but for what the database has to say."""

    def with_settings(self, store: Store) -> TrainingPlan:
        """Return the plan with what this home has learned: its fastest arithmetic, and epochs to convergence.

        Raises:
            UsageError: the request names a recommendation that does not exist.
        """


def unmeasured_settings(target: PlannedTarget, plan: TrainingPlan, store: Store) -> str | None:
    """Return why a plan has the default arithmetic, in words; None if it was measured or saved.

    A plan that is saved elsewhere keeps its arithmetic, one that is made here gets that of this home.

    Args:
        target: what the request names.
        plan: its plan with settings.
        store: database with measurements.
    """
    if isinstance(target, SavedPlan):
        return None
    settings, data = plan.execution, plan.dataset
    measured = stored_measurements(store, settings.device, data.augmentation.key)
    if measured_reference(measured, settings.device, data.task) is not None:
        return None
    return (
        f"the arithmetic is the default ({settings.arithmetic_text}): this home has no "
        f"measurements of {data.task.text} images to choose by (`advisor recommend` makes them; a saved plan "
        "keeps its own)"
    )


@dataclass(frozen=True, slots=True)
class PlannedDesign:
    """The plan of a design.

    Attributes:
        plan: plan with the arithmetic of a machine on which nothing was measured.
        step_mode: mode of steps that is asked for; None for the one that measured fastest.
    """

    plan: TrainingPlan
    step_mode: str | None = None

    def with_settings(self, store: Store) -> TrainingPlan:
        """Return the plan with the arithmetic that measured fastest on this machine."""
        data, device = self.plan.dataset, self.plan.execution.device
        chosen = chosen_execution(store, device, data.task, data.augmentation.key, self.step_mode)
        plan = with_learned_epochs(self.plan, store)
        return placed(replace(plan, execution=chosen), chosen.processes)


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """The plan of a file.

    Attributes:
        plan: plan as it was saved, arithmetic included.
    """

    plan: TrainingPlan

    def with_settings(self, store: Store) -> TrainingPlan:
        """Return the plan as it was saved."""
        return self.plan


@dataclass(frozen=True, slots=True)
class RecommendedDesign:
    """A row of the last recommendation, which only the database knows.

    Attributes:
        request: row, and options that differ from those of the recommendation.
        home: home with a cache of what is known of data folders, None for no cache.
        say: receiver of what is peculiar about a data folder.
    """

    request: PlanRequest
    home: Home | None = None
    say: Say = silent

    def with_settings(self, store: Store) -> TrainingPlan:
        """Return the plan of the row with the arithmetic that measured fastest on this machine.

        Raises:
            UsageError: there is no recommendation or no such row, or its plan cannot be made.
        """
        design, completed = _recommended(self.request, store)
        plan = _plan_of(design, completed, self.home, self.say)
        return PlannedDesign(plan, self.request.step_mode).with_settings(store)


def planned_target(request: PlanRequest, home: Home | None = None, say: Say = silent) -> PlannedTarget:
    """Return what a request names; a request that no stored measurement could save is refused.

    Args:
        request: what a command line says of a plan.
        home: home with a cache of what is known of data folders, None for no cache.
        say: receiver of what is peculiar about a data folder.

    Raises:
        UsageError: the request contradicts itself or names something unknown.
        PlanError: a plan file that is missing or damaged.
        DataError: a data folder that cannot be used.
    """
    check_seed(request.seed)
    choose_device(request.device)
    if request.step_mode is not None:
        check_choice("step_mode", request.step_mode)
    if request.target is None:
        return RecommendedDesign(request, home, say)
    if request.rank is not None:
        raise UsageError("--rank chooses among the last recommendation: leave out the design")
    if is_plan_file(request.target):
        return SavedPlan(_plan_in_file(request))
    return PlannedDesign(_plan_of(parse_design(request.target), request, home, say), request.step_mode)


def is_plan_file(target: str) -> bool:
    """Return whether a target is the path of a plan rather than a design."""
    try:
        return target.endswith(".json") or "/" in target or Path(target).exists()
    # The name of a large ensemble is longer than a file's may be.
    except OSError:
        return False


def _plan_in_file(request: PlanRequest) -> TrainingPlan:
    fixed = [name for name in request.fixed_by_a_plan() if name != "dataset"]
    if fixed:
        raise UsageError(
            f"a plan fixes its {', '.join(fixed)}: leave the option out, or name a design instead"
        )
    path = Path(str(request.target))
    try:
        text = read_regular(path, LARGEST_PLAN).decode("utf-8-sig")
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
    return with_data_at(plan, request.dataset)


def with_data_at(plan: TrainingPlan, dataset: str | None) -> TrainingPlan:
    """Return the plan with its data folder at the place where it lies now.

    Args:
        plan: plan of a run or a file.
        dataset: ``folder:PATH`` with the new place; None for the place in the plan.

    Raises:
        UsageError: one of the two is not a folder.
        DataError: there is no such folder.
    """
    if dataset is None:
        return plan
    from trainer.data.identity import moved_to

    return replace(plan, dataset=moved_to(plan.dataset, dataset))


def _recommended(request: PlanRequest, store: Store) -> tuple[Design, PlanRequest]:
    """Return the design of a row of the last recommendation, and the request with that row's options."""
    last = store.last_recommendation()
    if last is None:
        raise UsageError("there is no recommendation yet: run `advisor recommend` first, or name a design")
    rank = 1 if request.rank is None else request.rank
    rows: list[dict[str, Any]] = last.payload["recommendations"]
    if not 1 <= rank <= len(rows):
        raise UsageError(f"--rank {rank}: the last recommendation has ranks 1 to {len(rows)}")
    row = rows[rank - 1]
    # Recommendations of older programs name no method: the design's clusters say which of two it is.
    completed = replace(
        _completed(request, last),
        method=request.method or row.get("method"),
        weight_decay=_weight_decay_of(row, request, last),
        **_stopping_of(row, request, last),
    )
    return parse_design(row["design"]), completed


def _weight_decay_of(row: dict[str, Any], request: PlanRequest, last: StoredRecommendation) -> float | None:
    """Return the weight decay of a row, which was chosen for its data set; None for that of the recipe."""
    if request.weight_decay is not None or not _is_for_its_data(request, last):
        return request.weight_decay
    return row.get("tuned_weight_decay")


def _stopping_of(row: dict[str, Any], request: PlanRequest, last: StoredRecommendation) -> dict[str, Any]:
    """Return what ends a training: as requested, else as in the recommendation if the method allows it."""
    given = request.until_converged or request.patience is not None or request.recipe is not None
    if given or (request.method or row.get("method")) in CHAINS:
        return {}
    asked = last.request
    return {"until_converged": bool(asked.get("until_converged")), "patience": asked.get("patience")}


def _is_for_its_data(request: PlanRequest, last: StoredRecommendation) -> bool:
    return request.dataset is None or full_name_of(request.dataset) == last.request["dataset"]


def _completed(request: PlanRequest, last: StoredRecommendation) -> PlanRequest:
    """Fill in the options of the recommendation; those of the data only for the same data set."""
    asked, same_data = last.request, _is_for_its_data(request, last)
    # Recommendations of older programs have no recipe. Another one has a batch of its own.
    same_recipe = request.recipe in (None, asked.get("recipe", RECIPE))
    return PlanRequest(
        target=request.target,
        rank=request.rank,
        dataset=request.dataset or asked["dataset"],
        # Recommendations of older programs have no augmentation.
        augmentation=request.augmentation or (asked.get("augmentation") if same_data else None),
        epochs=asked["epochs"] if request.epochs is None else request.epochs,
        batch=asked["batch"] if request.batch is None and same_data and same_recipe else request.batch,
        rate=request.rate,
        weight_decay=request.weight_decay,
        hatched_epochs=request.hatched_epochs,
        noise=request.noise,
        shrink=request.shrink,
        method=request.method,
        seed=asked["seed"] if request.seed is None else request.seed,
        device=request.device or asked["device"],
        resize=request.resize or (asked.get("resize") if same_data else None),
        skip_damaged=request.skip_damaged or (same_data and bool(asked.get("skip_damaged"))),
        recipe=request.recipe or asked.get("recipe"),
        until_converged=request.until_converged,
        patience=request.patience,
    )


def _plan_of(design: Design, request: PlanRequest, home: Home | None, say: Say) -> TrainingPlan:
    device = choose_device(request.device)
    facts = facts_of(
        request.dataset or DATASET,
        request.augmentation,
        resize=request.resize,
        skip_damaged=request.skip_damaged,
        home=home,
        say=say,
    )
    method = None if request.method is None else lookup("method", request.method, Method)
    if method is not None:
        design = with_clusters(design, method)
    _check_hatching(design, request)
    recipe = lookup("recipe", request.recipe or RECIPE, RecipeName)
    usual = usual_epochs(design.families, facts.name, recipe, method)
    return make_plan(
        design,
        facts,
        epochs=usual if request.epochs is None else request.epochs,
        batch=usual_batch(design.families, facts, recipe) if request.batch is None else request.batch,
        seed=SEED if request.seed is None else request.seed,
        execution=plain_execution(device),
        options=PlanOptions(
            method=method,
            rate=request.rate,
            weight_decay=request.weight_decay,
            hatched_epochs=request.hatched_epochs,
            noise=request.noise,
            shrink=request.shrink,
            recipe=recipe,
            patience=asked_patience(request.patience, until_converged=request.until_converged),
        ),
    )


def asked_patience(patience: int | None, *, until_converged: bool) -> int | None:
    """Return the epochs without a gain that a user asks for; None for those of the recipe, if it has any.

    Args:
        patience: number that is given, None for none.
        until_converged: whether a training is to end when its accuracy no longer improves.
    """
    return PATIENCE if until_converged and patience is None else patience


def _check_hatching(design: Design, request: PlanRequest) -> None:
    for option in HATCHING:
        if getattr(request, option) is not None and design.independent:
            name = option.replace("_", "-")
            raise UsageError(f"--{name}: {design.name} hatches no member; leave it out or add @g1")


def with_clusters(design: Design, method: Method) -> Design:
    """Return the design with one cluster per family, if the method needs clusters and the design has none."""
    if method in CLUSTERED and design.independent and len(design.members) > 1:
        return Design(members=design.members, clusters=len(design.families))
    return design
