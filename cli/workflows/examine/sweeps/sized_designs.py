"""Ensembles of a single network's size, and their forecasts by the same predictors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from advisor.cost.pricing import PricedPlan, price
from advisor.decision.threshold.error_source import DataErrors
from advisor.designs.design import homogeneous
from advisor.designs.equivalents import equivalents
from advisor.estimate import Floats
from advisor.networks.architecture import NetworkSpec, RegularShape
from advisor.networks.families import family_named
from advisor.networks.regular_counts import DEPTH_LIMIT, regular_counts
from advisor.plans.convergence.kinds import scratch_epochs
from advisor.plans.plan import TrainingPlan
from cli.workflows.answers.examine.class_comparison import ComparedKind
from cli.workflows.examine.sweeps.similar_plans import SimilarPlans
from cli.workflows.forecast.forecasting import Predictors

# Class, member and number of members of a design.
Sized = tuple[ComparedKind, NetworkSpec, int]


@dataclass(frozen=True, slots=True)
class SizedForecast:
    """A design of the comparison with its forecasts.

    Attributes:
        kind: single network, or class of the ensemble.
        network: a member.
        plan: its plan.
        errors: draws of its expected error, shape (draws,).
        seed_std: standard deviation of its log error between seeds.
        priced: its cost; None where nothing was measured.
    """

    kind: ComparedKind
    network: NetworkSpec
    plan: TrainingPlan
    errors: Floats
    seed_std: float
    priced: PricedPlan | None


@dataclass(frozen=True, slots=True)
class SizedDesigns:
    """The designs of a single network's size.

    Attributes:
        plans: plan of the single network, and plans of other designs that are trained alike.
        single: the single network.
        tolerance: share of its parameters by which an equivalent ensemble may exceed them.
        predictors: predictors of all plans.
    """

    plans: SimilarPlans
    single: NetworkSpec
    tolerance: float
    predictors: Predictors

    @property
    def base(self) -> TrainingPlan:
        """Plan of the single network."""
        return self.plans.base

    @property
    def epochs(self) -> float:
        """Epochs of the single network, those expected where convergence ends its training."""
        return scratch_epochs(self.base)

    def ensembles(self, members: int) -> Iterator[Sized]:
        """Yield width- and depth-equivalent ensemble, and the best of any depth, as far as they exist."""
        found = equivalents(self.single, members, self.base.dataset.task, self.tolerance)
        kinds = {
            ComparedKind.WIDTH_EQUIVALENT: found.width_equivalent,
            ComparedKind.DEPTH_EQUIVALENT: found.depth_equivalent,
            ComparedKind.BEST: self._best(members),
        }
        for kind, network in kinds.items():
            if network is not None:
                yield kind, network, members

    def _best(self, members: int) -> NetworkSpec | None:
        """Return the member of the ensemble of least expected error among the widest of every depth."""
        family = self.single.family
        minimum = family_named(family).minimum_width
        counts = regular_counts(family, self.base.dataset.task, max(DEPTH_LIMIT, self.single.depth))
        share = counts.parameters(self.single.depth, self.single.width) / members
        widths = {depth: counts.widest(depth, share, minimum) for depth in counts.depths}
        networks = [RegularShape(family, d, w) for d, w in widths.items() if w is not None]
        if not networks:
            return None
        errors = self.errors_after(networks, members, [self.epochs])[:, :, 0]
        return networks[int(errors.mean(axis=0).argmin())].network()

    def errors_after(self, networks: Sequence[RegularShape], members: int, epochs: Sequence[float]) -> Floats:
        """Return draws of errors after whole schedules, shape (draws, networks, schedules)."""
        data = self.base.dataset
        share = self.predictors.images.share(data.train_images)
        errors = DataErrors(self.predictors.accuracy, data.learned_as, data.task)
        return errors.independent(networks, members, epochs, [share] * len(epochs))

    def forecasts(self, designs: Sequence[Sized]) -> list[SizedForecast]:
        """Return designs with their forecasts; all errors are drawn at once."""
        if not designs:
            return []
        plans = [self._plan(network, members) for _, network, members in designs]
        errors, _ = self.predictors.sampled_errors_of(plans)
        known = self.predictors.cost.basis != "nominal"
        return [
            SizedForecast(
                kind=kind,
                network=network,
                plan=plan,
                errors=drawn,
                seed_std=self.predictors.seed_std(plan),
                priced=price(plan, self.predictors.cost) if known else None,
            )
            for (kind, network, _), plan, drawn in zip(designs, plans, errors.T, strict=True)
        ]

    def _plan(self, network: NetworkSpec, members: int) -> TrainingPlan:
        return self.plans.plan(homogeneous(network, members))
