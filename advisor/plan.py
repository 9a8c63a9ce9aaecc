"""The training plan: a DAG of steps over named networks, priced before and executed after.

A plan is to this project what a query plan is to a database. Every training method is a different plan
over the same step kinds:

- `TrainStep` trains a network, from scratch or from what a `HatchStep` before it left;
- `HatchStep` grows a member out of its trained mother and perturbs it.

``full_data`` trains every member from scratch. ``mothernets`` trains the mother of every cluster for the
whole schedule and every hatched member for a share of it; a cluster of one is trained from scratch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from advisor.architecture import NetworkSpec, parse_network
from advisor.clustering import clusters_of
from advisor.dataset import DatasetFacts
from advisor.design import Design, parse_design
from advisor.errors import AdvisorError, PlanError, UsageError
from advisor.families import family_named
from advisor.measurement import Execution
from advisor.mothernet import check_growth, mother_of
from advisor.schedule import RECIPES, Schedule
from advisor.serial import MalformedError, from_plain, to_plain

SCHEMA_VERSION = 1

# Share of the schedule that a hatched member trains. On digits more gains nothing beyond one standard error;
# on a ten-epoch Fashion-MNIST schedule 0.5 gains a point for a third more time (benchmarks/hatched_share.py).
# The MotherNets paper has 40 of 128 epochs.
HATCHED_SHARE = 0.3
# Relative; a published start. 0.2 measures the same.
HATCH_NOISE = 1e-3

# Families that trainer.hatching can grow.
HATCHABLE = ("resnet", "mlp")


class Method(StrEnum):
    """How an ensemble is trained."""

    FULL_DATA = "full_data"
    MOTHERNETS = "mothernets"


class Role(StrEnum):
    """What a network of a plan is for."""

    MOTHER = "mother"
    MEMBER = "member"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedNetwork:
    """A network of the plan: its name in it, its specification and its role."""

    name: str
    network: str
    role: Role

    @property
    def spec(self) -> NetworkSpec:
        """Specification that `network` names."""
        return parse_network(self.network)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainStep:
    """Train a network on all the training data.

    Attributes:
        id: name of the step.
        network: which network.
        after: steps that must be done before.
        schedule: learning rate and epochs.
        momentum, weight_decay: of SGD.
    """

    id: str
    network: str
    after: tuple[str, ...]
    schedule: Schedule
    momentum: float
    weight_decay: float

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise UsageError(f"the momentum must be at least 0 and below 1, got {self.momentum}")
        if not 0 <= self.weight_decay < float("inf"):
            raise UsageError(f"the weight decay must not be negative, got {self.weight_decay}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HatchStep:
    """Grow a network out of a trained one, function-preserving, and perturb it.

    Attributes:
        id: name of the step.
        network: the member that comes to be.
        source: the mother.
        after: steps that must be done before.
        noise: standard deviation of the Gaussian noise on convolutions and linear layers, as a share of
            the layer's own.
    """

    id: str
    network: str
    source: str
    after: tuple[str, ...]
    noise: float


Step = TrainStep | HatchStep


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """Everything that training depends on, fixed beforehand.

    Attributes:
        design: short name of the design.
        method: how it is trained.
        dataset: facts of the data.
        epochs: schedule of a network trained from scratch.
        batch: images in a step.
        seed: origin of all randomness.
        execution: device and arithmetic.
        networks: mothers and members; members in the order of the design.
        steps: in an order in which they can be executed one by one.
    """

    schema_version: int = SCHEMA_VERSION
    design: str
    method: Method
    dataset: DatasetFacts
    epochs: int
    batch: int
    seed: int
    execution: Execution
    networks: tuple[PlannedNetwork, ...]
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        _check_plan(self)

    @property
    def members(self) -> tuple[PlannedNetwork, ...]:
        """Networks whose outputs are averaged."""
        return tuple(n for n in self.networks if n.role is Role.MEMBER)

    def network(self, name: str) -> PlannedNetwork:
        """Return the network of that name."""
        return next(n for n in self.networks if n.name == name)

    def train_steps_of(self, name: str) -> list[TrainStep]:
        """Return the training steps of a network."""
        return [s for s in self.steps if isinstance(s, TrainStep) and s.network == name]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What a user may set on a plan; None takes the default.

    Attributes:
        method: how the ensemble is trained; MotherNets where the design has clusters of several.
        rate: initial learning rate of networks trained from scratch.
        hatched_epochs: epochs of a hatched member.
    """

    method: Method | None = None
    rate: float | None = None
    hatched_epochs: int | None = None


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
    """Return the plan of a design.

    Raises:
        UsageError: the method cannot train the design, or a number is out of range.
    """
    options = options or PlanOptions()
    method = options.method or (Method.FULL_DATA if design.independent else Method.MOTHERNETS)
    if method is Method.FULL_DATA and not design.independent:
        raise UsageError(
            f"{design.name} has clusters, which full_data does not train: leave out @g{design.clusters}"
        )
    _check_batch(batch, dataset)
    networks: list[PlannedNetwork] = []
    steps: list[Step] = []
    for number, cluster in enumerate(clusters_of(design), 1):
        specs = [(f"member-{i + 1}", design.members[i]) for i in cluster]
        if len(cluster) == 1:
            _plan_scratch(networks, steps, *specs[0], Role.MEMBER, epochs, options)
        else:
            _plan_cluster(networks, steps, number, specs, epochs, options)
    order = {f"member-{i + 1}": i for i in range(len(design.members))}
    networks.sort(key=lambda n: order.get(n.name, -1))
    return TrainingPlan(
        design=design.name,
        method=method,
        dataset=dataset,
        epochs=epochs,
        batch=batch,
        seed=seed,
        execution=_limited(execution, len(design.members)),
        networks=tuple(networks),
        steps=tuple(steps),
    )


def _limited(execution: Execution, members: int) -> Execution:
    return replace(execution, processes=max(min(execution.processes, members), 1))


def _check_batch(batch: int, dataset: DatasetFacts) -> None:
    if batch < 2:
        raise UsageError(f"batch normalisation needs a batch of at least 2, got {batch}")
    if batch > dataset.train_images:
        raise UsageError(
            f"the batch {batch} is larger than the {dataset.train_images} training images of {dataset.name}"
        )


def _plan_scratch(
    networks: list[PlannedNetwork],
    steps: list[Step],
    name: str,
    spec: NetworkSpec,
    role: Role,
    epochs: int,
    options: PlanOptions,
) -> str:
    recipe = RECIPES[spec.family]
    networks.append(PlannedNetwork(name=name, network=spec.name, role=role))
    steps.append(
        TrainStep(
            id=f"train {name}",
            network=name,
            after=(),
            schedule=recipe.schedule(epochs, rate=options.rate),
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
    )
    return steps[-1].id


def _plan_cluster(
    networks: list[PlannedNetwork],
    steps: list[Step],
    number: int,
    members: Sequence[tuple[str, NetworkSpec]],
    epochs: int,
    options: PlanOptions,
) -> None:
    mother = mother_of([spec for _, spec in members])
    if mother.family not in HATCHABLE:
        raise UsageError(
            f"{mother.family} members cannot be hatched from a mother network yet: leave out @g, or choose "
            f"{' or '.join(HATCHABLE)}"
        )
    mother_name = f"mother-{number}"
    trained = _plan_scratch(networks, steps, mother_name, mother, Role.MOTHER, epochs, options)
    hatched_epochs = options.hatched_epochs
    if hatched_epochs is None:
        hatched_epochs = max(round(HATCHED_SHARE * epochs), 1)
    for name, spec in members:
        check_growth(mother, spec)
        recipe = RECIPES[spec.family]
        networks.append(PlannedNetwork(name=name, network=spec.name, role=Role.MEMBER))
        hatch = HatchStep(
            id=f"hatch {name}", network=name, source=mother_name, after=(trained,), noise=HATCH_NOISE
        )
        steps.append(hatch)
        steps.append(
            TrainStep(
                id=f"train {name}",
                network=name,
                after=(hatch.id,),
                schedule=recipe.schedule(hatched_epochs, rate=options.rate, warmup=True),
                momentum=recipe.momentum,
                weight_decay=recipe.weight_decay,
            )
        )


def _check_plan(plan: TrainingPlan) -> None:
    if plan.epochs < 1 or plan.batch < 2 or plan.execution.processes < 1:
        raise PlanError("a plan needs 1 epoch and a batch of 2 at least")
    names = [n.name for n in plan.networks]
    done: set[str] = set()
    if len(set(names)) != len(names):
        raise PlanError("two networks of the plan have one name")
    for step in plan.steps:
        if step.network not in names or (isinstance(step, HatchStep) and step.source not in names):
            raise PlanError(f"step {step.id!r} names a network that the plan does not have")
        if not done.issuperset(step.after):
            raise PlanError(f"step {step.id!r} comes before a step that it needs")
        if step.id in done:
            raise PlanError(f"two steps are called {step.id!r}")
        done.add(step.id)
    for network in plan.networks:
        family_named(network.spec.family)
        if not plan.train_steps_of(network.name):
            raise PlanError(f"no step trains {network.name!r}")
    if [m.spec for m in plan.members] != list(parse_design(plan.design).members):
        raise PlanError(f"the members of the plan are not those of {plan.design!r}")


def plan_to_json(plan: TrainingPlan) -> str:
    """Return the plan as indented JSON."""
    return json.dumps(to_plain(plan), indent=2) + "\n"


def plan_from_json(text: str) -> TrainingPlan:
    """Read what `plan_to_json` wrote.

    Raises:
        PlanError: not JSON, of a newer schema, or not a plan.
    """
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"the plan is damaged: {error}") from None
    version = plain.get("schema_version") if isinstance(plain, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise PlanError("the plan is damaged: it has no schema_version")
    if version > SCHEMA_VERSION:
        raise PlanError(
            f"the plan has schema {version} and this program reads up to {SCHEMA_VERSION}: upgrade advisor"
        )
    try:
        return from_plain(TrainingPlan, plain)
    except (MalformedError, AdvisorError, RecursionError) as error:
        raise PlanError(f"the plan is damaged: {error}") from None
