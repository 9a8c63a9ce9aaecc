"""Designs and epochs as cases of the accuracy formula.

A case (`advisor.accuracy.formula.Case`) has one size, one depth and one family. A design whose members differ
in size is represented by the geometric mean of their sizes and the mean of their depths. A design of several
families has no single case: `case_of` takes the family as an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from advisor.accuracy.formula import Case
from advisor.accuracy.prior import PENALISED
from advisor.designs.clustering import clusters_of
from advisor.designs.design import Design
from advisor.networks.architecture import NetworkSpec, lower
from advisor.networks.layers import Task
from advisor.plans.method_traits import CHAINS, CLUSTERED, JOINT, Method, usual_method
from advisor.plans.plan import Role, TrainingPlan, TrainStep
from advisor.plans.recipes.table import RECIPES, recipe_of

# Snapshot Ensembles get worse beyond six snapshots (MotherNets paper, section 3). Chosen: twice as many have
# a penalty larger by a third, which is more than averaging gains.
MOST_SNAPSHOTS, SNAPSHOT_DECLINE = 6, 0.5
# A smaller multiple of a recipe's weight decay, down to none, acts as this one.
LEAST_WEIGHT_DECAY = 0.01


def case_of(
    design: Design,
    dataset: str,
    task: Task,
    epochs: float,
    method: Method | None = None,
    *,
    image_share: float = 1.0,
    weight_decay: float = 1.0,
    validated: bool = False,
    family: str | None = None,
) -> Case:
    """Return the case of a design at the end of its training.

    Args:
        design: the design.
        dataset: name that errors on the data are learned under.
        task: input shape and classes.
        epochs: epochs of a network that is trained from scratch.
        method: training method; by default full data for independent members, else MotherNets.
        image_share: share of the training images.
        weight_decay: weight decay over that of the family's recipe.
        validated: whether the error is that on the validation images.
        family: family whose members represent the design; by default that of the first member.
    """
    method = method or usual_method(design.independent)
    family = family or design.families[0]
    representatives = [member for member in design.members if member.family == family]
    sizes = [_millions(member, task) for member in representatives]
    same, mixed = _related_pairs(design, method)
    share_layers, pairs = method in CLUSTERED and method in JOINT, len(design.members) ** 2
    return Case(
        dataset=dataset,
        classes=task.classes,
        family=family,
        parameters=float(np.exp(np.mean(np.log(sizes)))),
        depth=float(np.mean([member.depth for member in representatives])),
        schedule_share=epochs / RECIPES[family].reference_epochs,
        members=len(design.members),
        pairs_same=0.0 if share_layers else same / pairs,
        pairs_mixed=0.0 if share_layers else mixed / pairs,
        pairs_shared=(same + mixed) / pairs if share_layers else 0.0,
        method=method.value if method in PENALISED else "",
        penalised_share=_penalised_share(design, method),
        image_share=image_share,
        weight_decay=weight_decay,
        validated=float(validated),
    )


def cases_of(
    designs: Sequence[Design],
    dataset: str,
    task: Task,
    epochs: float | Sequence[float],
    methods: Sequence[Method] | None,
    image_share: float,
    weight_decays: Sequence[float] | None,
    *,
    validated: bool = False,
) -> list[Case]:
    """Return a case for each family of each design; arguments as for `AccuracyPredictor.sample_errors`."""
    chosen: Sequence[Method | None] = methods or [None] * len(designs)
    decays = weight_decays or [1.0] * len(designs)
    lengths = [epochs] * len(designs) if isinstance(epochs, int | float) else epochs
    return [
        case_of(
            design,
            dataset,
            task,
            length,
            method,
            image_share=image_share,
            weight_decay=weight_decay,
            validated=validated,
            family=family,
        )
        for design, length, method, weight_decay in zip(designs, lengths, chosen, decays, strict=True)
        for family in design.families
    ]


def _related_pairs(design: Design, method: Method) -> tuple[int, int]:
    """Return the numbers of ordered pairs with one mother or chain: of one shape, and of two shapes."""
    same = mixed = 0
    for cluster in _clusters(design, method):
        for i in cluster:
            for j in cluster:
                if i != j and (method in CHAINS or design.members[i] == design.members[j]):
                    same += 1
                elif i != j:
                    mixed += 1
    return same, mixed


def _penalised_share(design: Design, method: Method) -> float:
    """Return the share of the members that the penalty of the method applies to.

    The penalty of MotherNets is that of hatching; a member alone in its cluster is trained from scratch. The
    penalty of snapshots grows beyond six of them.
    """
    if method is Method.SNAPSHOT:
        return 1.0 + SNAPSHOT_DECLINE * float(np.log(max(len(design.members) / MOST_SNAPSHOTS, 1.0)))
    if method not in CLUSTERED:
        return 1.0
    hatched = sum(len(cluster) for cluster in _clusters(design, method) if len(cluster) > 1)
    return hatched / len(design.members)


@lru_cache(maxsize=4096)
def _millions(member: NetworkSpec, task: Task) -> float:
    return lower(member, task).parameters / 1e6


@lru_cache(maxsize=256)
def _clusters_of(design: Design) -> tuple[Sequence[int], ...]:
    """Return the clusters of a design, which several cases share: those of many members take long."""
    return tuple(clusters_of(design))


def _clusters(design: Design, method: Method) -> Sequence[Sequence[int]]:
    """Return the members that begin as one network; in a chain all do, each as a copy of the one before."""
    return [range(len(design.members))] if method in CHAINS else _clusters_of(design)


def weight_decay_of(plan: TrainingPlan) -> float:
    """Return the weight decay of a plan over that of the recipes: the geometric mean of its steps."""
    logs = []
    for step in plan.steps:
        if isinstance(step, TrainStep):
            network = plan.network(step.network)
            # A joint network has one family, that of its members.
            family = (plan.members[0] if network.role is Role.JOINT else network).spec.family
            multiple = step.weight_decay / RECIPES[family].weight_decay
            logs.append(np.log(max(multiple, LEAST_WEIGHT_DECAY)))
    return float(np.exp(np.mean(logs)))


def single_member_case(case: Case) -> Case:
    """Return the case of one member of an ensemble."""
    return smaller_ensemble_case(case, 1)


def smaller_ensemble_case(case: Case, members: int) -> Case:
    """Return the case of an ensemble of fewer members, a random choice of the members of another ensemble.

    Args:
        case: case of the whole ensemble.
        members: number of the chosen members.
    """
    pair_share = 0.0 if members == 1 else (1 - 1 / members) / (1 - 1 / case.members)
    return replace(
        case,
        members=members,
        pairs_same=case.pairs_same * pair_share,
        pairs_mixed=case.pairs_mixed * pair_share,
        pairs_shared=case.pairs_shared * pair_share,
    )


@lru_cache(maxsize=1024)
def relative_rates(family: str, epochs: int, dataset: str = "") -> tuple[float, ...]:
    """Return the learning rate of every epoch over that of the first, for a network from scratch.

    Args:
        family: family of the network.
        epochs: length of its schedule.
        dataset: name that errors on its data are learned under; "" for the family's usual drops.
    """
    schedule = recipe_of(family, dataset).schedule(epochs)
    return tuple(schedule.rate_at(e, 0.5) / schedule.rate for e in range(epochs))


@lru_cache(maxsize=1024)
def progress(family: str, epochs: int, dataset: str = "") -> tuple[float, ...]:
    """Return the share of the summed learning rates of a schedule that each epoch completes.

    This share measures how far a training has come: epochs at a high rate advance it, those at a low rate
    mostly remove noise.

    Args:
        family: family of the network.
        epochs: length of its schedule.
        dataset: name that errors on its data are learned under; "" for the family's usual drops.
    """
    passed = np.cumsum(relative_rates(family, epochs, dataset))
    return tuple((passed / passed[-1]).tolist())
