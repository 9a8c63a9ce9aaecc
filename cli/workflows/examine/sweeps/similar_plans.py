"""Plans of other designs and methods that are trained as a given plan is: all rows of a sweep."""

from __future__ import annotations

from dataclasses import dataclass, replace

from advisor.designs.design import Design
from advisor.plans.convergence.expectation import with_expected_epochs
from advisor.plans.convergence.predictor import EpochPredictor
from advisor.plans.method_traits import CHAINS, Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import TrainingPlan
from advisor.plans.recipes.choice import patience_of_plan, recipe_of_plan, usual_epochs
from cli.workflows.forecast.convergence import epoch_predictor
from cli.workflows.forecast.machine import workers_of
from db.queries import Store


@dataclass(frozen=True, slots=True)
class SimilarPlans:
    """Plans with the data, the batch, the recipe and the patience of another one.

    Attributes:
        base: the other plan; its method trains no chains.
        epochs: predictor of the epochs to convergence.
        usual_length: whether every plan has the usual epochs of its design and method; else those of `base`.
    """

    base: TrainingPlan
    epochs: EpochPredictor
    usual_length: bool = False

    @classmethod
    def of(cls, base: TrainingPlan, store: Store, *, usual_length: bool = False) -> SimilarPlans:
        """Return plans whose epochs to convergence are those that the runs of a database lead to."""
        converges = patience_of_plan(base) is not None
        return cls(base, epoch_predictor(store) if converges else EpochPredictor(), usual_length)

    def plan(self, design: Design, method: Method | None = None) -> TrainingPlan:
        """Return the plan of a design for the machine at hand.

        Args:
            design: members and clusters.
            method: training method; by default that of the design.

        Raises:
            UsageError: the method cannot train the design.
        """
        base, recipe = self.base, recipe_of_plan(self.base)
        usual = usual_epochs(design.families, base.dataset.name, recipe, method)
        plan = make_plan(
            design,
            base.dataset,
            epochs=usual if self.usual_length else base.epochs,
            batch=base.batch,
            seed=base.seed,
            execution=replace(base.execution, processes=workers_of(base.execution.device)),
            options=PlanOptions(
                method=method,
                recipe=recipe,
                # Cycles have a fixed length.
                patience=None if method in CHAINS else patience_of_plan(base),
            ),
        )
        return with_expected_epochs(plan, self.epochs)
