"""The training plan: a DAG of steps over named networks, priced before and executed after.

A plan is to this project what a query plan is to a database. Every training method is a different plan
(`advisor.plans.methods`) over two kinds of steps:

- `TrainStep` trains a network. It starts from random weights or from the weights of a `HatchStep` before it,
  and learns on all images or a bootstrap sample, from labels alone or from a teacher's outputs too.
- `HatchStep` grows a member out of a trained network and perturbs it.

Members that share layers are outputs of one joint network (`advisor.networks.shared_layers`), which is
trained in their place.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from advisor.designs.design import parse_design
from advisor.errors import AdvisorError, PlanError, UsageError
from advisor.names import check_line, check_name, check_step
from advisor.networks.architecture import NetworkSpec, parse_network
from advisor.networks.shared_layers import graph_of, parse_joint
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import MOST_WORKERS, Execution
from advisor.plans.method_traits import BY_CLUSTERS, Method
from advisor.plans.schedule import Schedule
from advisor.serial import MalformedError, from_plain, to_plain

# 2: data folders have a preparation and an identity, which programs of before would not take into account.
SCHEMA_VERSION = 2
# Fewest images of a batch on one device; a single image has no batch statistics.
LEAST_SLICE = 2


def named(design: str, method: str) -> str:
    """Return the name of a design, and its training method where the name does not show it."""
    return design if method in BY_CLUSTERS else f"{design} {method}"


class Role(StrEnum):
    """Role of a network in a plan."""

    MOTHER = "mother"
    TEACHER = "teacher"
    JOINT = "joint"
    MEMBER = "member"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedNetwork:
    """A network of the plan.

    Attributes:
        name: name in the plan.
        network: short name of its specification, joint or not.
        role: role in the plan.
        output_of: name of the joint network that computes this member; None for a network of its own.
    """

    name: str
    network: str
    role: Role
    output_of: str | None = None

    def __post_init__(self) -> None:
        # It names a folder of checkpoints.
        check_name("network", self.name)

    @property
    def spec(self) -> NetworkSpec:
        """Specification of the network; a joint network has none."""
        return parse_network(self.network)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distillation:
    """Learning from a teacher's outputs as well as from labels (Hinton et al. 2015).

    Attributes:
        teacher: name of the teacher's network in the plan, trained before.
        weight: weight of the teacher's term of the loss, between 0 and 1; the term of the labels has the
            rest.
        temperature: divisor of the logits of teacher and student in the teacher's term.
    """

    teacher: str
    weight: float = 0.5
    temperature: float = 4.0

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise UsageError(f"the teacher's weight must be above 0 and at most 1, got {self.weight}")
        if not 0 < self.temperature < float("inf"):
            raise UsageError(f"the temperature must be positive, got {self.temperature}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainStep:
    """Training of a network on the training images.

    Attributes:
        id: name of the step.
        network: name of the network.
        after: names of the steps that must be done before.
        schedule: learning rate and epochs.
        momentum, weight_decay: settings of SGD.
        bootstrap: whether the images are a bootstrap sample, as many as there are, drawn with replacement.
        distillation: teacher to learn from, if any.
        devices: number of devices that share its batches; see `advisor.plans.placement`.
    """

    id: str
    network: str
    after: tuple[str, ...]
    schedule: Schedule
    momentum: float
    weight_decay: float
    bootstrap: bool = False
    distillation: Distillation | None = None
    devices: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise UsageError(f"the momentum must be at least 0 and below 1, got {self.momentum}")
        if not 0 <= self.weight_decay < float("inf"):
            raise UsageError(f"the weight decay must not be negative, got {self.weight_decay}")
        if not 1 <= self.devices <= MOST_WORKERS:
            raise UsageError(f"devices must be between 1 and {MOST_WORKERS}, got {self.devices}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HatchStep:
    """Growth of a network out of a trained one with its function preserved, then a perturbation.

    A network of the same shape becomes a copy.

    Attributes:
        id: name of the step.
        network: name of the new network.
        source: name of the trained network: a mother, or the member before in a chain.
        after: names of the steps that must be done before.
        noise: standard deviation of the Gaussian noise on the weights of convolutions and linear layers, as a
            share of the standard deviation of each layer's weights.
        shrink: factor on those weights before the noise is added.
    """

    id: str
    network: str
    source: str
    after: tuple[str, ...]
    noise: float
    shrink: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.noise < float("inf"):
            raise UsageError(f"the noise must not be negative, got {self.noise}")
        if not 0 < self.shrink <= 1:
            raise UsageError(f"weights are shrunk by a factor above 0 and at most 1, got {self.shrink}")


Step = TrainStep | HatchStep


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """Everything that training depends on, fixed before it starts.

    Attributes:
        schema_version: version of the stored form.
        design: short name of the design.
        method: training method.
        dataset: facts of the data set.
        epochs: length of the schedule of a network trained from scratch.
        batch: images in a step.
        seed: origin of all randomness.
        execution: device and arithmetic.
        networks: all networks; members in the order of the design.
        steps: all steps, in an order in which they can be executed one by one.
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
        """Return the network of a name.

        Raises:
            PlanError: the plan has no such network.
        """
        for found in self.networks:
            if found.name == name:
                return found
        raise PlanError(f"the plan has no network {name!r}")

    @property
    def built(self) -> tuple[PlannedNetwork, ...]:
        """Networks that have weights of their own."""
        return tuple(n for n in self.networks if n.output_of is None)

    def holder(self, name: str) -> PlannedNetwork:
        """Return the network that has the weights of a named one: its joint network or itself."""
        found = self.network(name)
        return found if found.output_of is None else self.network(found.output_of)

    def outputs_of(self, name: str) -> list[str]:
        """Return the names of a network's outputs: the members of a joint network in order, else its own."""
        return [n.name for n in self.networks if n.output_of == name] or [name]

    @property
    def asked(self) -> dict[str, list[str]]:
        """Networks that compute the members' outputs, by name, each with the names of its members."""
        holders = dict.fromkeys(self.holder(member.name).name for member in self.members)
        return {name: self.outputs_of(name) for name in holders}

    def step_ids_of(self, name: str) -> frozenset[str]:
        """Return the ids of the steps of a network that has weights of its own, hatching included."""
        return frozenset(step.id for step in self.steps if step.network == name)

    def train_steps_of(self, name: str) -> list[TrainStep]:
        """Return the training steps of a network; for a member that shares layers, of its joint network."""
        holder = self.holder(name).name
        return [s for s in self.steps if isinstance(s, TrainStep) and s.network == holder]


def _check_plan(plan: TrainingPlan) -> None:
    if plan.epochs < 1 or plan.batch < 2 or plan.execution.processes < 1:
        raise PlanError("a plan needs 1 epoch and a batch of 2 at least")
    check_line("data set", plan.dataset.name)
    names = [n.name for n in plan.networks]
    done: set[str] = set()
    if len(set(names)) != len(names):
        raise PlanError("two networks of the plan have one name")
    for step in plan.steps:
        # It is a key of the database and of random seeds.
        check_step(step.id)
        if not {step.network, *networks_read_by(step)} <= set(names):
            raise PlanError(f"step {step.id!r} names a network that the plan does not have")
        if not done.issuperset(step.after):
            raise PlanError(f"step {step.id!r} comes before a step that it needs")
        if isinstance(step, TrainStep) and step.devices > plan.batch // LEAST_SLICE:
            raise PlanError(f"step {step.id!r} shares a batch of {plan.batch} among {step.devices} devices")
        if step.id in done:
            raise PlanError(f"two steps are called {step.id!r}")
        if plan.network(step.network).output_of is not None:
            raise PlanError(f"step {step.id!r} is for a network that is trained jointly with others")
        done.add(step.id)
    for network in plan.networks:
        _check_network(plan, network)
        if not plan.train_steps_of(network.name):
            raise PlanError(f"no step trains {network.name!r}")
    if [m.spec for m in plan.members] != list(parse_design(plan.design).members):
        raise PlanError(f"the members of the plan are not those of {plan.design!r}")


def _check_network(plan: TrainingPlan, network: PlannedNetwork) -> None:
    graph_of(network.network, plan.dataset.task)
    if network.role is Role.JOINT:
        outputs = [plan.network(name).network for name in plan.outputs_of(network.name)]
        if outputs != [member.name for member in parse_joint(network.network).members]:
            raise PlanError(f"the outputs of {network.name!r} are not the members that it joins")
    elif network.output_of not in (None, *(n.name for n in plan.networks if n.role is Role.JOINT)):
        raise PlanError(f"{network.name!r} is no output of a joint network of the plan")


def networks_read_by(step: Step) -> list[str]:
    """Return the names of the networks that a step reads besides its own."""
    if isinstance(step, HatchStep):
        return [step.source]
    return [step.distillation.teacher] if step.distillation else []


def plan_to_json(plan: TrainingPlan) -> str:
    """Return the plan as indented JSON."""
    return json.dumps(to_plain(plan), indent=2) + "\n"


def plan_from_json(text: str) -> TrainingPlan:
    """Return the plan that `plan_to_json` wrote.

    Raises:
        PlanError: the text is not JSON, has a newer schema, or is not a plan.
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
