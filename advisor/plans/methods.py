"""The plan of every training method, over the same steps.

- ``full_data`` trains every member from scratch on all images, ``bagging`` each on a bootstrap sample.
- ``distillation`` trains a teacher, the largest member's shape, and members on labels and its outputs
  (Hinton et al. 2015).
- ``snapshot`` trains one network in cycles of a falling rate and keeps it at the end of each (Huang et al.
  2017); ``fge`` trains it almost to the end and keeps it in short cycles after that (Garipov et al. 2018). In
  a plan both are chains: a member begins as a copy of the one before. An ensemble of several shapes is
  replaced by the family's regular network nearest to the mean size of its members.
- ``mothernets`` trains the mother of every cluster for the whole schedule, hatches its members and trains
  each for a share of it; a cluster of one is trained from scratch. ``shared_mothernets`` keeps one copy of
  what a cluster's members have of their mother, and trains them jointly.
- ``treenets`` trains all members jointly, from scratch, with their first layers in common (Lee et al. 2015).

Settings are those of MotherNets (MLSys 2020), section 3, where it gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from advisor.designs.clustering import clusters_of
from advisor.designs.design import Design, homogeneous
from advisor.errors import UsageError
from advisor.networks.architecture import NetworkSpec, lower, regular_network
from advisor.networks.joint import JointSpec, Sharing
from advisor.networks.layers import Task
from advisor.networks.mothernet import check_growth, mother_of
from advisor.networks.regular_counts import regular_counts
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import Execution
from advisor.plans.placement import placed
from advisor.plans.plan import (
    Distillation,
    HatchStep,
    Method,
    PlannedNetwork,
    Role,
    Step,
    TrainingPlan,
    TrainStep,
)
from advisor.plans.schedule import RECIPES, CosineSchedule, Schedule, TriangleSchedule

# Share of the schedule that a hatched member trains: about the 40 of 128 epochs of the MotherNets paper. On
# validation images of short schedules 0.5 leaves 0 to 0.4 points less error for 1.1 to 1.5 times the seconds
# (docs/methods.md).
HATCHED_SHARE = 0.3
# Relative; a published start. 0.2 measures the same.
HATCH_NOISE = 1e-3
# Of the schedule, the length of a snapshot's cycle (60 of 128 epochs), and its first rate as a multiple of
# the recipe's (0.2 instead of 0.1).
SNAPSHOT_SHARE, SNAPSHOT_RATE = 60 / 128, 2.0
# FGE as a whole takes one schedule, of which this share comes before its cycles; their rates as multiples of
# the recipe's (0.05 and 0.0005 instead of 0.1).
FGE_BASE_SHARE, FGE_HIGH_RATE, FGE_LOW_RATE = 0.8, 0.5, 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What a user may set on a plan; None takes the default.

    Attributes:
        method: how the ensemble is trained; MotherNets where the design has clusters of several.
        rate: initial learning rate of networks trained from scratch.
        hatched_epochs: epochs of a hatched member.
        noise, shrink: of hatched members; see `HatchStep`.
    """

    method: Method | None = None
    rate: float | None = None
    hatched_epochs: int | None = None
    noise: float | None = None
    shrink: float | None = None


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
        epochs: schedule of a network trained from scratch.
        batch: images in a step.
        seed: origin of all randomness.
        execution: device and arithmetic; its processes are those that the machine can run at the same time.
        options: settings that differ from the defaults, None for none.

    Raises:
        UsageError: the method cannot train the design, or a number is out of range.
    """
    options = options or PlanOptions()
    method = options.method or (Method.FULL_DATA if design.independent else Method.MOTHERNETS)
    _check_clusters(design, method)
    _check_batch(batch, dataset)
    if method in CHAINS:
        design = _of_one_shape(design, dataset.task, method)
    draft = Draft(epochs, options)
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
    return placed(plan, execution.processes)


def mean_network(members: Sequence[NetworkSpec], task: Task) -> NetworkSpec:
    """Return the regular network of a family whose size is nearest to the mean of some members'.

    Its depth is between the least and the largest of the members'; of equally near ones, the depth nearest
    to their mean.

    Raises:
        UsageError: members of several families.
    """
    families = {member.family for member in members}
    if len(families) > 1:
        raise UsageError(
            f"one network cannot stand for members of {', '.join(sorted(families))}: use one family"
        )
    depths = [member.depth for member in members]
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


class Draft:
    """Networks and steps of a plan in the making.

    Args:
        epochs: schedule of a network trained from scratch.
        options: of the user.
    """

    def __init__(self, epochs: int, options: PlanOptions) -> None:
        self.epochs, self.options = epochs, options
        self.networks: list[PlannedNetwork] = []
        self.steps: list[Step] = []

    def rate(self, spec: NetworkSpec) -> float:
        """Learning rate of a network from scratch."""
        return RECIPES[spec.family].rate if self.options.rate is None else self.options.rate

    def in_order(self) -> tuple[PlannedNetwork, ...]:
        """Return all networks, members last and by their numbers."""
        members = {n.name: n for n in self.networks if n.role is Role.MEMBER}
        numbered = [members[member_name(i)] for i in range(len(members))]
        return (*(n for n in self.networks if n.role is not Role.MEMBER), *numbered)

    def add(self, name: str, spec: NetworkSpec | JointSpec, role: Role, output_of: str | None = None) -> None:
        """Add a network without steps."""
        self.networks.append(PlannedNetwork(name=name, network=spec.name, role=role, output_of=output_of))

    def add_joint(self, name: str, sharing: Sharing, members: dict[str, NetworkSpec]) -> None:
        """Add members that share layers, and the joint network that computes them, without steps."""
        self.add(name, JointSpec(sharing, tuple(members.values())), Role.JOINT)
        for member, spec in members.items():
            self.add(member, spec, Role.MEMBER, output_of=name)

    def scratch(
        self,
        name: str,
        spec: NetworkSpec,
        role: Role = Role.MEMBER,
        *,
        epochs: int | None = None,
        after: tuple[str, ...] = (),
        bootstrap: bool = False,
        distillation: Distillation | None = None,
    ) -> str:
        """Add a network that trains from scratch by its family's recipe; return the step."""
        self.add(name, spec, role)
        schedule = RECIPES[spec.family].schedule(epochs or self.epochs, rate=self.options.rate)
        return self.train(name, spec.family, schedule, after, bootstrap=bootstrap, distillation=distillation)

    def train(
        self,
        name: str,
        family: str,
        schedule: Schedule,
        after: tuple[str, ...],
        *,
        bootstrap: bool = False,
        distillation: Distillation | None = None,
    ) -> str:
        """Add the training of a network; return the step."""
        recipe = RECIPES[family]
        self.steps.append(
            TrainStep(
                id=f"train {name}",
                network=name,
                after=after,
                schedule=schedule,
                momentum=recipe.momentum,
                weight_decay=recipe.weight_decay,
                bootstrap=bootstrap,
                distillation=distillation,
            )
        )
        return self.steps[-1].id

    def grown(
        self,
        name: str,
        family: str,
        schedule: Schedule,
        source: str,
        after: str,
        *,
        noise: float = 0.0,
        shrink: float = 1.0,
    ) -> str:
        """Let a network begin as what another one has become; return its last step."""
        hatch = HatchStep(
            id=f"hatch {name}", network=name, source=source, after=(after,), noise=noise, shrink=shrink
        )
        self.steps.append(hatch)
        return self.train(name, family, schedule, (hatch.id,))

    def hatched(self, name: str, family: str, source: str, trained: str) -> None:
        """Let a network hatch from a mother and train for its share of the schedule."""
        epochs = self.options.hatched_epochs
        if epochs is None:
            epochs = max(round(HATCHED_SHARE * self.epochs), 1)
        recipe = RECIPES[family]
        rate = recipe.hatched_rate if self.options.rate is None else self.options.rate
        # Annealed like a snapshot: on short schedules 1.5 points less validation error than steps (ADR 10).
        schedule = CosineSchedule(epochs=epochs, rate=rate)
        noise = HATCH_NOISE if self.options.noise is None else self.options.noise
        shrink = 1.0 if self.options.shrink is None else self.options.shrink
        self.grown(name, family, schedule, source, trained, noise=noise, shrink=shrink)

    def hatched_member(
        self, name: str, spec: NetworkSpec, mother: NetworkSpec, source: str, trained: str
    ) -> None:
        """Add a member that hatches from a mother network that is in the plan."""
        check_growth(mother, spec)
        self.add(name, spec, Role.MEMBER)
        self.hatched(name, spec.family, source, trained)

    def cluster(self, source: str, members: dict[str, NetworkSpec]) -> None:
        """Add a cluster: its mother network, trained from scratch, and what is hatched from it."""
        mother = mother_of(list(members.values()))
        trained = self.scratch(source, mother, Role.MOTHER)
        for name, spec in members.items():
            self.hatched_member(name, spec, mother, source, trained)

    def shared_cluster(self, number: int, members: dict[str, NetworkSpec]) -> None:
        """Add a cluster whose members share what they have of their mother."""
        mother, name = mother_of(list(members.values())), f"shared-{number}"
        for spec in members.values():
            check_growth(mother, spec)
        trained = self.scratch(f"mother-{number}", mother, Role.MOTHER)
        self.add_joint(name, Sharing.SHARED, members)
        self.hatched(name, mother.family, f"mother-{number}", trained)


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
    """Let every member go on from where the one before it ended."""
    for i in members:
        draft.add(member_name(i), spec, Role.MEMBER)
        last = draft.grown(member_name(i), spec.family, schedule, source, last)
        source = member_name(i)


def _mothernets(draft: Draft, design: Design, task: Task) -> None:
    _clustered(design, draft, lambda number, members: draft.cluster(f"mother-{number}", members))


def _shared_mothernets(draft: Draft, design: Design, task: Task) -> None:
    _clustered(design, draft, draft.shared_cluster)


def _clustered(design: Design, draft: Draft, add: Callable[[int, dict[str, NetworkSpec]], None]) -> None:
    """Add every cluster; a cluster of one is trained from scratch."""
    for number, cluster in enumerate(clusters_of(design), 1):
        if len(cluster) == 1:
            draft.scratch(member_name(cluster[0]), design.members[cluster[0]])
        else:
            add(number, {member_name(i): design.members[i] for i in sorted(cluster)})


def _treenets(draft: Draft, design: Design, task: Task) -> None:
    members = {member_name(i): spec for i, spec in enumerate(design.members)}
    draft.add_joint("tree", Sharing.TREE, members)
    family = design.members[0].family
    draft.train("tree", family, RECIPES[family].schedule(draft.epochs, rate=draft.options.rate), ())


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
# Methods that train what the clusters of a design have in common; every other one has no use for clusters.
CLUSTERED = (Method.MOTHERNETS, Method.SHARED_MOTHERNETS)
# Methods whose members follow one another: they share a shape, and none trains beside another.
CHAINS = (Method.SNAPSHOT, Method.FGE)


def member_name(index: int) -> str:
    """Return what member 0, 1, … of a design is called in its plan."""
    return f"member-{index + 1}"


def _of_one_shape(design: Design, task: Task, method: Method) -> Design:
    if design.homogeneous:
        return design
    return homogeneous(mean_network(design.members, task), len(design.members))


def _check_clusters(design: Design, method: Method) -> None:
    if method not in CLUSTERED and not design.independent:
        raise UsageError(
            f"{design.name} has clusters, which {method} does not train: leave out @g{design.clusters}"
        )
    if method is Method.SHARED_MOTHERNETS and design.independent:
        raise UsageError(f"{design.name} has no cluster of two members that could share: add @g1")


def _check_batch(batch: int, dataset: DatasetFacts) -> None:
    if batch < 2:
        raise UsageError(f"batch normalisation needs a batch of at least 2, got {batch}")
    if batch > dataset.train_images:
        raise UsageError(
            f"the batch {batch} is larger than the {dataset.train_images} training images of {dataset.name}"
        )
