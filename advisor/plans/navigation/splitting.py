"""One cluster more for a MotherNets ensemble that is trained (MotherNets, MLSys 2020, section 2).

One cluster is split in halves. One half keeps its mother network M and its trained members. The other half B
gets a mother of its own, M(B), and its members are hatched again. A half of one member has no mother and
trains from scratch.

A split promises as much as it lowers the sum of the distances of members to their mothers:

    gain = sum over B of d(b, M) - sum over B of d(b, M(B))

The half that keeps M gains nothing, because M does not change. Of equal gains the one of the largest cluster
is taken, and then the one with the fewest networks to train.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from advisor.designs.cluster_costs import ClusterCosts
from advisor.designs.clustering import balanced_clusters
from advisor.designs.design import Design, parse_design
from advisor.errors import UsageError
from advisor.networks.architecture import NetworkSpec
from advisor.networks.mothernet import distance
from advisor.plans.extension import add_cluster, draft_of
from advisor.plans.method_traits import Method
from advisor.plans.plan import HatchStep, TrainingPlan

# Up to so many subsets of a cluster, every half is looked at; that is twelve members of different shapes.
# Beyond, only the two halves that are nearest to mothers of their own are.
MOST_SUBSETS = 2**12


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Halves of a cluster, by the names of their members.

    Attributes:
        kept: members that keep their mother network and their training.
        renewed: members that get a new mother network and are hatched again.
        gain: number by which the sum of the distances to mother networks falls.
    """

    kept: tuple[str, ...]
    renewed: tuple[str, ...]
    gain: int


def clusters_of_plan(plan: TrainingPlan) -> list[tuple[str, ...]]:
    """Return the names of the members of every cluster; a member without a mother is one of its own."""
    sources = {step.network: step.source for step in plan.steps if isinstance(step, HatchStep)}
    clusters: dict[str, list[str]] = {}
    for member in plan.members:
        clusters.setdefault(sources.get(member.name, member.name), []).append(member.name)
    return [tuple(names) for names in clusters.values()]


def best_split(plan: TrainingPlan) -> Split | None:
    """Return the split that promises most; None where every cluster has one member.

    Args:
        plan: plan of a MotherNets ensemble.
    """
    splits = [split for names in clusters_of_plan(plan) if len(names) > 1 for split in _splits(plan, names)]
    return min(
        splits, key=lambda s: (-s.gain, -len(s.kept) - len(s.renewed), len(s.renewed), s.kept), default=None
    )


def with_split(plan: TrainingPlan, split: Split) -> TrainingPlan:
    """Return the plan with one cluster more; all steps but those of the renewed members are unchanged.

    Args:
        plan: plan of a MotherNets ensemble.
        split: halves of one of its clusters.

    Raises:
        UsageError: the halves are not a cluster of the plan.
    """
    if sorted((*split.kept, *split.renewed)) not in [sorted(names) for names in clusters_of_plan(plan)]:
        raise UsageError(f"{', '.join((*split.kept, *split.renewed))} are not a cluster of {plan.design}")
    draft = draft_of(plan)
    renewed = {name: plan.network(name).spec for name in split.renewed}
    draft.networks = [network for network in draft.networks if network.name not in renewed]
    draft.steps = [step for step in draft.steps if step.network not in renewed]
    add_cluster(draft, renewed)
    before = parse_design(plan.design)
    design = Design(members=before.members, clusters=before.clusters + 1)
    return replace(
        plan,
        design=design.name,
        # With as many clusters as members too: the members that keep their mothers are hatched ones.
        method=Method.MOTHERNETS,
        networks=draft.in_order(),
        steps=tuple(draft.steps),
    )


def _splits(plan: TrainingPlan, names: tuple[str, ...]) -> Iterator[Split]:
    """Yield the splits of a cluster of two members at least."""
    specs = [plan.network(name).spec for name in names]
    source = next(s.source for s in plan.steps if isinstance(s, HatchStep) and s.network == names[0])
    to_mother = [distance(spec, plan.network(source).spec) for spec in specs]
    shapes = list(dict.fromkeys(specs))
    costs = ClusterCosts(shapes)
    for half in _halves(specs):
        own = costs.cost([shapes.index(specs[i]) for i in half])
        yield Split(
            kept=tuple(name for i, name in enumerate(names) if i not in half),
            renewed=tuple(names[i] for i in half),
            gain=sum(to_mother[i] for i in half) - own,
        )


def _halves(members: Sequence[NetworkSpec]) -> Iterator[tuple[int, ...]]:
    """Yield halves of a cluster as positions in rising order; of members of one shape the last ones."""
    positions: dict[NetworkSpec, list[int]] = {}
    for i, member in enumerate(members):
        positions.setdefault(member, []).append(i)
    counts = [len(each) for each in positions.values()]
    if math.prod(count + 1 for count in counts) > MOST_SUBSETS:
        yield from balanced_clusters(members, 2)
        return
    sizes = {len(members) // 2, len(members) - len(members) // 2}
    for chosen in product(*(range(count + 1) for count in counts)):
        if sum(chosen) in sizes:
            halves = zip(positions.values(), chosen, strict=True)
            yield tuple(sorted(i for each, number in halves for i in each[len(each) - number :]))
