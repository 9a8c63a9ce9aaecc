"""A plan in the making: the networks and steps that a training method adds, one call each.

`advisor.plans.methods` writes every method with these few calls, and `advisor.plans.extension` adds members
to a plan with them. Settings are those of MotherNets (MLSys 2020), section 3, where it gives them.
"""

from __future__ import annotations

from dataclasses import dataclass

from advisor.networks.architecture import NetworkSpec
from advisor.networks.joint import JointSpec, Sharing
from advisor.networks.mothernet import check_growth, mother_of
from advisor.plans.method import Method
from advisor.plans.plan import Distillation, HatchStep, PlannedNetwork, Role, Step, TrainStep
from advisor.plans.schedule import RECIPES, CosineSchedule, Schedule

# Share of the schedule that a hatched member trains: about the 40 of 128 epochs of the MotherNets paper. On
# validation images of short schedules 0.5 leaves 0 to 0.4 points less error for 1.1 to 1.5 times the seconds
# (docs/methods.md).
HATCHED_SHARE = 0.3
# Relative; a published start. 0.2 measures the same.
HATCH_NOISE = 1e-3


def member_name(index: int) -> str:
    """Return the name that member 0, 1, … of a design has in its plan."""
    return f"member-{index + 1}"


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

    @property
    def side_by_side(self) -> int:
        """How many networks can train at the same time, unless each follows another."""
        return sum(n.role in (Role.MEMBER, Role.JOINT) and n.output_of is None for n in self.networks)

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
