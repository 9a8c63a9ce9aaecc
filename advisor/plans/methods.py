"""The plan of every training method, over the same kinds of steps.

- ``full_data`` trains every member from scratch on all images.
- ``bagging`` trains every member from scratch on a bootstrap sample.
- ``distillation`` first trains a teacher with the shape of the largest member. Members then learn from labels
  and from the teacher's outputs (Hinton et al. 2015).
- ``snapshot`` trains one network in cycles with a falling learning rate. Its state at the end of each cycle
  is a member (Huang et al. 2017).
- ``fge`` trains one network for most of the schedule. Its states in short cycles after that are the members
  (Garipov et al. 2018).
- ``mothernets`` trains the mother of every cluster for the whole schedule. Members are hatched from her and
  train for a share of the schedule. The only member of a cluster trains from scratch.
- ``shared_mothernets`` keeps one copy of the layers that a cluster's members have from their mother, and
  trains the members jointly.
- ``treenets`` trains all members jointly from scratch; they share their first layers (Lee et al. 2015).

Snapshots and FGE are chains in a plan: every member begins as a copy of the one before. If members have
several shapes, the family's regular network nearest to their mean size takes the place of them all.

Settings are those of MotherNets (MLSys 2020), section 3, where it gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from advisor.designs.clustering import clusters_of
from advisor.designs.design import Design, homogeneous
from advisor.errors import UsageError, require_entries
from advisor.networks.architecture import NetworkSpec, lower, regular_network
from advisor.networks.layers import Task
from advisor.networks.regular_counts import regular_counts
from advisor.networks.shared_layers import Sharing
from advisor.plans.convergence.expectation import with_expected_epochs
from advisor.plans.convergence.predictor import EpochPredictor
from advisor.plans.dataset import DatasetFacts
from advisor.plans.draft import HATCH_NOISE, HATCHED_SHARE, Draft, PlanOptions, member_name
from advisor.plans.execution import Execution
from advisor.plans.method_traits import CHAINS, CLUSTERED, JOINT, Method, usual_method
from advisor.plans.placement import placed
from advisor.plans.plan import Distillation, Role, TrainingPlan
from advisor.plans.schedule import CosineSchedule, Schedule, TriangleSchedule

__all__ = ["BUILDERS", "HATCHED_SHARE", "HATCH_NOISE", "PlanOptions", "make_plan", "mean_network"]

# Length of a snapshot's cycle as a share of the schedule (60 of 128 epochs), and its first learning rate as a
# multiple of the recipe's (0.2 instead of 0.1).
SNAPSHOT_SHARE, SNAPSHOT_RATE = 60 / 128, 2.0
# FGE takes one schedule in all. The first number is the share before its cycles. The others are the highest
# and lowest learning rate of a cycle as multiples of the recipe's (0.05 and 0.0005 instead of 0.1).
FGE_BASE_SHARE, FGE_HIGH_RATE, FGE_LOW_RATE = 0.8, 0.5, 0.005


def make_plan(
    design: Design,
    dataset: DatasetFacts,
    *,
    epochs: int,
    batch: int,
    seed: int,
    execution: Execution,
    options: PlanOptions | None = None,
) -> TrainingPlan:
    """Return the plan of a design, placed on the machine's workers.

    Args:
        design: members and clusters.
        dataset: facts of the data.
        epochs: schedule of a network trained from scratch; the most epochs where convergence ends it.
        batch: images in a step.
        seed: origin of all randomness.
        execution: device and arithmetic; its processes are those that the machine can run at the same time.
        options: settings that differ from the defaults, None for none.

    Raises:
        UsageError: the method cannot train the design, or a number is out of range.
    """
    options = options or PlanOptions()
    method = options.method or usual_method(design.independent)
    _check_clusters(design, method)
    _check_batch(batch, dataset)
    if method in CHAINS:
        design = _of_one_shape(design, dataset.task, method)
    draft = Draft(epochs, replace(options, method=method), dataset.name)
    BUILDERS[method](draft, design, dataset.task)
    plan = TrainingPlan(
        design=design.name,
        method=method,
        dataset=dataset,
        epochs=epochs,
        batch=batch,
        seed=seed,
        execution=execution,
        networks=draft.in_order(),
        steps=tuple(draft.steps),
    )
    return placed(with_expected_epochs(plan, EpochPredictor()), execution.processes)


def mean_network(members: Sequence[NetworkSpec], task: Task) -> NetworkSpec:
    """Return the regular network whose size is nearest to the mean size of some members.

    Its depth is within the range of the members' depths. Among networks of equally near size, the one whose
    depth is nearest to the mean depth is taken.

    Args:
        members: networks of one family.
        task: images and classes.

    Raises:
        UsageError: members of several families.
    """
    families = {member.family for member in members}
    if len(families) > 1:
        raise UsageError(
            f"one network cannot stand for members of {', '.join(sorted(families))}: use one family"
        )
    # A network with layers of its own may have a depth that no regular network has.
    depths = [member.regular.depth for member in members]
    wanted = sum(lower(member, task).parameters for member in members) / len(members)
    middle = sum(depths) / len(depths)
    counts = regular_counts(members[0].family, task, max(depths))
    found = []
    for depth in (d for d in counts.depths if min(depths) <= d):
        width = counts.widest(depth, wanted) or 1
        for near in (width, width + 1):
            found.append((abs(counts.parameters(depth, near) - wanted), abs(depth - middle), depth, near))
    _, _, depth, width = min(found)
    return regular_network(members[0].family, depth, width)


def _full_data(draft: Draft, design: Design, task: Task) -> None:
    for i, spec in enumerate(design.members):
        draft.scratch(member_name(i), spec)


def _bagging(draft: Draft, design: Design, task: Task) -> None:
    for i, spec in enumerate(design.members):
        draft.scratch(member_name(i), spec, bootstrap=True)


def _distillation(draft: Draft, design: Design, task: Task) -> None:
    largest = max(design.members, key=lambda spec: lower(spec, task).parameters)
    taught = draft.scratch("teacher", largest, Role.TEACHER)
    for i, spec in enumerate(design.members):
        draft.scratch(member_name(i), spec, after=(taught,), distillation=Distillation(teacher="teacher"))


def _snapshot(draft: Draft, design: Design, task: Task) -> None:
    spec = design.members[0]
    cycle = CosineSchedule(
        epochs=max(round(SNAPSHOT_SHARE * draft.epochs), 1), rate=SNAPSHOT_RATE * draft.rate(spec)
    )
    draft.add(member_name(0), spec, Role.MEMBER)
    last = draft.train(member_name(0), spec.family, cycle, ())
    _chain(draft, spec, range(1, len(design.members)), cycle, member_name(0), last)


def _fge(draft: Draft, design: Design, task: Task) -> None:
    spec, count = design.members[0], len(design.members)
    base = max(round(FGE_BASE_SHARE * draft.epochs), 1)
    rate = draft.rate(spec)
    cycle = TriangleSchedule(
        epochs=max((draft.epochs - base) // count, 1), rate=FGE_HIGH_RATE * rate, low=FGE_LOW_RATE * rate
    )
    last = draft.scratch("base", spec, Role.MOTHER, epochs=base)
    _chain(draft, spec, range(count), cycle, "base", last)


def _chain(
    draft: Draft, spec: NetworkSpec, members: range, schedule: Schedule, source: str, last: str
) -> None:
    """Let every member begin as a copy of the one before it.

    Args:
        draft: plan in the making.
        spec: shape of all members.
        members: positions of the members to add.
        schedule: schedule of each member.
        source: name of the network that the first of these members begins as.
        last: step after which that network is trained.
    """
    for i in members:
        draft.add(member_name(i), spec, Role.MEMBER)
        last = draft.grown(member_name(i), spec.family, schedule, source, last)
        source = member_name(i)


def _mothernets(draft: Draft, design: Design, task: Task) -> None:
    _clustered(design, draft, lambda number, members: draft.cluster(f"mother-{number}", members))


def _shared_mothernets(draft: Draft, design: Design, task: Task) -> None:
    _clustered(design, draft, draft.shared_cluster)


def _clustered(design: Design, draft: Draft, add: Callable[[int, dict[str, NetworkSpec]], None]) -> None:
    """Add every cluster; the only member of a cluster trains from scratch."""
    for number, cluster in enumerate(clusters_of(design), 1):
        if len(cluster) == 1:
            draft.scratch(member_name(cluster[0]), design.members[cluster[0]])
        else:
            add(number, {member_name(i): design.members[i] for i in sorted(cluster)})


def _treenets(draft: Draft, design: Design, task: Task) -> None:
    members = {member_name(i): spec for i, spec in enumerate(design.members)}
    draft.add_joint("tree", Sharing.TREE, members)
    family = design.members[0].family
    draft.train("tree", family, draft.schedule(family), ())


BUILDERS: dict[Method, Callable[[Draft, Design, Task], None]] = {
    Method.FULL_DATA: _full_data,
    Method.BAGGING: _bagging,
    Method.DISTILLATION: _distillation,
    Method.SNAPSHOT: _snapshot,
    Method.FGE: _fge,
    Method.MOTHERNETS: _mothernets,
    Method.SHARED_MOTHERNETS: _shared_mothernets,
    Method.TREENETS: _treenets,
}
require_entries("advisor/plans/methods.py: BUILDERS", BUILDERS, Method)


def _of_one_shape(design: Design, task: Task, method: Method) -> Design:
    if design.homogeneous:
        return design
    return homogeneous(mean_network(design.members, task), len(design.members))


def _check_clusters(design: Design, method: Method) -> None:
    if method not in CLUSTERED and not design.independent:
        raise UsageError(
            f"{design.name} has clusters, which {method} does not train: leave out @g{design.clusters}"
        )
    if method in CLUSTERED and method in JOINT and design.independent:
        raise UsageError(f"{design.name} has no cluster of two members that could share: add @g1")


def _check_batch(batch: int, dataset: DatasetFacts) -> None:
    if batch < 2:
        raise UsageError(f"batch normalisation needs a batch of at least 2, got {batch}")
    if batch > dataset.train_images:
        raise UsageError(
            f"the batch {batch} is larger than the {dataset.train_images} training images of {dataset.name}"
        )
