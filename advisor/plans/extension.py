"""More members for a MotherNets ensemble that is already trained (MotherNets, MLSys 2020, section 2).

A user may start with one cluster and add clusters until the error is small enough or the time is used up. The
plan of the larger ensemble contains the steps of the smaller one unchanged, so nothing is trained again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from advisor.designs.design import Design, parse_design
from advisor.errors import InvalidDesignError, UsageError
from advisor.networks.architecture import NetworkSpec
from advisor.networks.mothernet import check_growth, distance, mother_of
from advisor.plans.draft import Draft, PlanOptions, member_name
from advisor.plans.method_traits import BY_CLUSTERS, Method, usual_method
from advisor.plans.plan import HatchStep, PlannedNetwork, Role, TrainingPlan, TrainStep
from advisor.plans.recipes.choice import hatched_rate, patience_of_plan, recipe_of_plan
from advisor.plans.recipes.table import recipe_of


def with_members(plan: TrainingPlan, members: Sequence[NetworkSpec]) -> TrainingPlan:
    """Return a plan with more members, each hatched from the nearest mother network of the plan.

    Args:
        plan: plan of the smaller ensemble.
        members: specifications of the new members.

    Raises:
        UsageError: no mother network can grow into a member.
    """
    draft = draft_of(plan)
    for i, spec in enumerate(members, len(plan.members)):
        mother = _nearest_mother(plan, spec)
        trained = plan.train_steps_of(mother.name)[-1].id
        draft.hatched_member(member_name(i), spec, mother.spec, mother.name, trained)
    return _extended(plan, draft, members, clusters=0)


def with_cluster(plan: TrainingPlan, members: Sequence[NetworkSpec]) -> TrainingPlan:
    """Return a plan with one more cluster; the only member of a cluster trains from scratch.

    Args:
        plan: plan of the smaller ensemble.
        members: specifications of the new members, all of one family.

    Raises:
        UsageError: members of several families, or a member that cannot be hatched.
    """
    draft = draft_of(plan)
    add_cluster(draft, {member_name(i): spec for i, spec in enumerate(members, len(plan.members))})
    return _extended(plan, draft, members, clusters=1)


def add_cluster(draft: Draft, members: dict[str, NetworkSpec]) -> None:
    """Add a cluster with a mother network of its own to a draft; a cluster of one trains from scratch.

    Args:
        draft: draft that contains the plan so far.
        members: specifications of the members, by their names in the plan.
    """
    if len(members) == 1:
        for name, spec in members.items():
            draft.scratch(name, spec)
        return
    taken = {n.name for n in draft.networks if n.role is Role.MOTHER}
    # A mother has the number of her cluster. A cluster of one member has no mother, so numbers may be
    # missing.
    numbers = (f"mother-{i}" for i in count(len(taken) + 1))
    draft.cluster(next(name for name in numbers if name not in taken), members)


def kept_steps(old: TrainingPlan, new: TrainingPlan) -> frozenset[str]:
    """Return the ids of the steps of a plan whose results are those of an earlier plan.

    Such a step is the same in both plans, and so is every step that it needs.

    Args:
        old: earlier plan.
        new: plan of the larger ensemble.
    """
    before = {step.id: step for step in old.steps}
    shapes = {network.name: network.network for network in old.networks}
    kept: set[str] = set()
    for step in new.steps:
        same = before.get(step.id) == step and shapes[step.network] == new.network(step.network).network
        if same and kept.issuperset(step.after):
            kept.add(step.id)
    return frozenset(kept)


def draft_of(plan: TrainingPlan) -> Draft:
    """Return a draft that contains the plan and has the settings that the plan was made with.

    Raises:
        UsageError: the plan is not one of MotherNets.
    """
    if plan.method not in BY_CLUSTERS:
        raise UsageError(f"an ensemble trained by {plan.method} cannot be extended: only MotherNets can")
    hatches = [s for s in plan.steps if isinstance(s, HatchStep)]
    epochs = [plan.train_steps_of(s.network)[-1].schedule.epochs for s in hatches]
    options = PlanOptions(
        method=Method.MOTHERNETS,
        rate=_given_rate(plan),
        weight_decay=_given_weight_decay(plan),
        hatched_epochs=epochs[0] if epochs else None,
        noise=hatches[0].noise if hatches else None,
        shrink=hatches[0].shrink if hatches else None,
        recipe=recipe_of_plan(plan),
        patience=patience_of_plan(plan),
    )
    draft = Draft(plan.epochs, options, plan.dataset.name)
    draft.networks, draft.steps = list(plan.networks), list(plan.steps)
    return draft


def _given_rate(plan: TrainingPlan) -> float | None:
    """Return the learning rate that the plan was made with; None if its rates are those of the recipe."""
    recipe, data = recipe_of_plan(plan), plan.dataset.name
    hatched = {s.network for s in plan.steps if isinstance(s, HatchStep)}
    trained = [s for s in plan.steps if isinstance(s, TrainStep)]

    def usual(step: TrainStep) -> float:
        family = plan.network(step.network).spec.family
        return hatched_rate(family, data, recipe) if step.network in hatched else recipe_of(family, data).rate

    as_usual = all(step.schedule.rate == usual(step) for step in trained)
    return None if as_usual else trained[0].schedule.rate


def _given_weight_decay(plan: TrainingPlan) -> float | None:
    """Return the weight decay that the plan was made with; None if it is that of the recipe."""
    trained = [s for s in plan.steps if isinstance(s, TrainStep)]
    usual = [recipe_of(plan.network(s.network).spec.family, plan.dataset.name).weight_decay for s in trained]
    as_usual = all(step.weight_decay == each for step, each in zip(trained, usual, strict=True))
    return None if as_usual else trained[0].weight_decay


def _nearest_mother(plan: TrainingPlan, spec: NetworkSpec) -> PlannedNetwork:
    mothers = [n for n in plan.networks if n.role is Role.MOTHER and _grows_into(n.spec, spec)]
    if not mothers:
        raise UsageError(
            f"no mother network of this ensemble can grow into {spec.name}: give it a cluster of its own "
            "with --add-cluster"
        )
    # Among mothers at the same distance, the largest one passes on most trained weights.
    return min(mothers, key=lambda n: (distance(spec, n.spec), -n.spec.depth, -n.spec.width))


def _grows_into(mother: NetworkSpec, member: NetworkSpec) -> bool:
    if mother.family != member.family or mother_of([mother, member]) != mother:
        return False
    try:
        check_growth(mother, member)
    except InvalidDesignError:
        return False
    return True


def _extended(
    plan: TrainingPlan, draft: Draft, members: Sequence[NetworkSpec], clusters: int
) -> TrainingPlan:
    before = parse_design(plan.design)
    design = Design(members=(*before.members, *members), clusters=before.clusters + clusters)
    return replace(
        plan,
        design=design.name,
        method=usual_method(design.independent),
        networks=draft.in_order(),
        steps=tuple(draft.steps),
    )
