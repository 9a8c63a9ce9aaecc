"""A plan in the making: the networks and steps that a training method adds, one call each.

`advisor.plans.methods` writes every method with these few calls, and `advisor.plans.extension` adds members
to a plan with them. Settings are those of MotherNets (MLSys 2020), section 3, where it gives them.
"""

from __future__ import annotations

from dataclasses import dataclass

from advisor.networks.architecture import NetworkSpec
from advisor.networks.mothernet import check_growth, mother_of
from advisor.networks.shared_layers import JointSpec, Sharing
from advisor.plans.method_traits import Method, usual_method
from advisor.plans.plan import Distillation, HatchStep, PlannedNetwork, Role, Step, TrainStep
from advisor.plans.recipes.choice import CHOICES, RecipeName, ending, hatched_rate, patience_of
from advisor.plans.recipes.table import recipe_of
from advisor.plans.schedule import CosineSchedule, Schedule

# Share of the schedule that a hatched member trains: about the 40 of 128 epochs of the MotherNets paper. On
# validation images of short schedules 0.5 leaves 0 to 0.4 points less error for 1.1 to 1.5 times the seconds
# (docs/methods.md).
HATCHED_SHARE = 0.3
# Standard deviation as a share of each layer's own. Published as a start; 0.2 gives the same error.
HATCH_NOISE = 1e-3


def member_name(index: int) -> str:
    """Return the name that member 0, 1, … of a design has in its plan."""
    return f"member-{index + 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """Settings of a plan that a user may choose; None: the default.

    Attributes:
        method: training method; by default MotherNets if the design has clusters, else full data.
        rate: initial learning rate of networks trained from scratch.
        weight_decay: weight decay of all networks.
        hatched_epochs: epochs of a hatched member.
        noise, shrink: noise and shrinking factor of hatched members; see `HatchStep`.
        recipe: recipe of all that is not given.
        patience: epochs without a gain in training accuracy that end a training; None for those of the
            recipe.
    """

    method: Method | None = None
    rate: float | None = None
    weight_decay: float | None = None
    hatched_epochs: int | None = None
    noise: float | None = None
    shrink: float | None = None
    recipe: RecipeName = RecipeName.OURS
    patience: int | None = None


class Draft:
    """Networks and steps of a plan in the making.

    Args:
        epochs: length of the schedule of a network trained from scratch.
        options: settings of the user.
        dataset: name of the data set, which decides between the rows of a family's recipe.

    Raises:
        UsageError: a patience for a method that trains in cycles, or one that is not positive.
    """

    def __init__(self, epochs: int, options: PlanOptions, dataset: str = "") -> None:
        self.epochs, self.options, self.dataset = epochs, options, dataset
        self.patience = patience_of(
            options.recipe, options.patience, options.method or usual_method(independent=True)
        )
        self.networks: list[PlannedNetwork] = []
        self.steps: list[Step] = []

    def rate(self, spec: NetworkSpec) -> float:
        """Return the initial learning rate of a network that trains from scratch."""
        recipe = recipe_of(spec.family, self.dataset)
        return recipe.rate if self.options.rate is None else self.options.rate

    def schedule(self, family: str, epochs: int | None = None) -> Schedule:
        """Return the schedule of a network that trains from scratch.

        Args:
            family: its family.
            epochs: most epochs; None: those of the plan.
        """
        recipe = recipe_of(family, self.dataset)
        fixed = recipe.schedule(epochs or self.epochs, rate=self.options.rate)
        return ending(fixed, self.options.recipe, self.patience)

    @property
    def side_by_side(self) -> int:
        """Number of networks that can train at the same time if none waits for another."""
        return sum(n.role in (Role.MEMBER, Role.JOINT) and n.output_of is None for n in self.networks)

    def in_order(self) -> tuple[PlannedNetwork, ...]:
        """Return all networks, the members last and in the order of their numbers."""
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
        """Add a network that trains from scratch by its family's recipe, and return its step.

        Args:
            name: name of the network in the plan.
            spec: its specification.
            role: its role in the plan.
            epochs: length of its schedule; None: that of the plan.
            after: steps that must be done before.
            bootstrap: whether it trains on a bootstrap sample instead of all images.
            distillation: teacher to learn from, if any.
        """
        self.add(name, spec, role)
        schedule = self.schedule(spec.family, epochs)
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
        """Add the training of a network and return the step; arguments as for `TrainStep`."""
        recipe, chosen = recipe_of(family, self.dataset), self.options.weight_decay
        self.steps.append(
            TrainStep(
                id=f"train {name}",
                network=name,
                after=after,
                schedule=schedule,
                momentum=recipe.momentum,
                weight_decay=recipe.weight_decay if chosen is None else chosen,
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
        """Hatch a network from a trained one, train it, and return its last step.

        Args:
            name: name of the new network in the plan.
            family: its family.
            schedule: schedule of its training.
            source: name of the trained network.
            after: step after which that network is trained.
            noise: standard deviation of the noise, relative; see `HatchStep`.
            shrink: factor on the weights before noise; see `HatchStep`.
        """
        hatch = HatchStep(
            id=f"hatch {name}", network=name, source=source, after=(after,), noise=noise, shrink=shrink
        )
        self.steps.append(hatch)
        return self.train(name, family, schedule, (hatch.id,))

    def hatched(self, name: str, family: str, source: str, trained: str) -> None:
        """Hatch a network from a mother and train it for its share of the schedule."""
        rate = self.options.rate
        if rate is None:
            rate = hatched_rate(family, self.dataset, self.options.recipe)
        # A cosine, as for a snapshot: on short schedules 1.5 points less validation error than steps (ADR
        # 10).
        cosine = CosineSchedule(epochs=self._hatched_epochs(), rate=rate)
        schedule = ending(cosine, self.options.recipe, self.patience)
        noise = HATCH_NOISE if self.options.noise is None else self.options.noise
        shrink = 1.0 if self.options.shrink is None else self.options.shrink
        self.grown(name, family, schedule, source, trained, noise=noise, shrink=shrink)

    def _hatched_epochs(self) -> int:
        """Return the epochs of a hatched member, at most those of the plan where convergence ends them."""
        if self.options.hatched_epochs is not None:
            return self.options.hatched_epochs
        if CHOICES[self.options.recipe].constant:
            return self.epochs
        return max(round(HATCHED_SHARE * self.epochs), 1)

    def hatched_member(
        self, name: str, spec: NetworkSpec, mother: NetworkSpec, source: str, trained: str
    ) -> None:
        """Add a member that is hatched from a mother network of the plan."""
        check_growth(mother, spec)
        self.add(name, spec, Role.MEMBER)
        self.hatched(name, spec.family, source, trained)

    def cluster(self, source: str, members: dict[str, NetworkSpec]) -> None:
        """Add a cluster: its mother network, trained from scratch, and the members hatched from it."""
        mother = mother_of(list(members.values()))
        trained = self.scratch(source, mother, Role.MOTHER)
        for name, spec in members.items():
            self.hatched_member(name, spec, mother, source, trained)

    def shared_cluster(self, number: int, members: dict[str, NetworkSpec]) -> None:
        """Add a cluster whose members share the layers that they have from their mother."""
        mother, name = mother_of(list(members.values())), f"shared-{number}"
        for spec in members.values():
            check_growth(mother, spec)
        trained = self.scratch(f"mother-{number}", mother, Role.MOTHER)
        self.add_joint(name, Sharing.SHARED, members)
        self.hatched(name, mother.family, f"mother-{number}", trained)
