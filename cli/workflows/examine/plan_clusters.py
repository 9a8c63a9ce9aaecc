"""The clusters of a plan: each mother network with what grew out of it, as the plan has them stored."""

from __future__ import annotations

from advisor.networks.mothernet import distance
from advisor.networks.shared_layers import graph_of
from advisor.plans.method_traits import CLUSTERED
from advisor.plans.plan import HatchStep, PlannedNetwork, TrainingPlan
from cli.workflows.answers.examine.explanation import ExplainedCluster, ExplainedMember


def explained_clusters(plan: TrainingPlan) -> tuple[ExplainedCluster, ...]:
    """Return the clusters of a plan in the order of their first members; none for a method without them."""
    if plan.method not in CLUSTERED:
        return ()
    source = {step.network: step.source for step in plan.steps if isinstance(step, HatchStep)}
    found: dict[str, list[PlannedNetwork]] = {}
    for member in plan.members:
        found.setdefault(source.get(plan.holder(member.name).name, member.name), []).append(member)
    return tuple(_cluster(plan, plan.network(name), members) for name, members in found.items())


def _cluster(plan: TrainingPlan, mother: PlannedNetwork, members: list[PlannedNetwork]) -> ExplainedCluster:
    hatched = members != [mother]
    return ExplainedCluster(
        mother=mother.network if hatched else None,
        members=tuple(_member(plan, mother, member) for member in members),
    )


def _member(plan: TrainingPlan, mother: PlannedNetwork, member: PlannedNetwork) -> ExplainedMember:
    inherited, own = (graph_of(n.network, plan.dataset.task).parameters for n in (mother, member))
    return ExplainedMember(
        member=member.name,
        network=member.network,
        distance=distance(member.spec, mother.spec),
        mother_share=0.0 if member == mother else inherited / own,
    )
