"""Changes of a plan as `advisor whatif` takes them: of its design, batch, epochs or method."""

from __future__ import annotations

from dataclasses import dataclass, replace

from advisor.designs.changes import Change, DesignChange, parse_change
from advisor.designs.design import Design, parse_design
from advisor.errors import lookup
from advisor.plans.method_traits import BY_CLUSTERS, CLUSTERED, Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import TrainingPlan
from cli.workflows.forecast.machine import workers_of
from cli.workflows.forecast.planning import with_clusters

# Changes as they are written, by option: {"depth": "+6", "method": "snapshot"}.
Written = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Changes of a plan.

    Attributes:
        design: change of the design.
        batch: change of the images in a step, None for none.
        epochs: change of the schedule, None for none.
        method: method to change to, None for none.
    """

    design: DesignChange = DesignChange()
    batch: Change | None = None
    epochs: Change | None = None
    method: Method | None = None

    @classmethod
    def read(cls, written: Written) -> Changes:
        """Return the changes that a command line names.

        Args:
            written: changes as they are written, by option.

        Raises:
            UsageError: a change or a method that does not exist.
        """
        numbers = {
            name: parse_change(text, f"--{name}") for name, text in written.items() if name != "method"
        }
        return cls(
            design=DesignChange(
                depth=numbers.get("depth"),
                width=numbers.get("width"),
                members=numbers.get("members"),
                clusters=numbers.get("g"),
            ),
            batch=numbers.get("batch"),
            epochs=numbers.get("epochs"),
            method=lookup("method", written["method"], Method) if "method" in written else None,
        )

    def of(self, plan: TrainingPlan) -> TrainingPlan:
        """Return the plan of the changed design and training, for the machine at hand.

        Raises:
            UsageError: there is no such plan.
        """
        kept = None if plan.method in BY_CLUSTERS else plan.method
        return make_plan(
            self._clustered(self.design.of(parse_design(plan.design))),
            plan.dataset,
            epochs=plan.epochs if self.epochs is None else self.epochs.of(plan.epochs),
            batch=plan.batch if self.batch is None else self.batch.of(plan.batch),
            seed=plan.seed,
            execution=replace(plan.execution, processes=workers_of(plan.execution.device)),
            options=PlanOptions(method=self.method or kept),
        )

    def _clustered(self, design: Design) -> Design:
        """Return the design with the clusters of a changed method, unless --g says how many there are."""
        if self.method is None or self.design.clusters is not None:
            return design
        if self.method in CLUSTERED:
            return with_clusters(design, self.method)
        return Design(members=design.members, clusters=len(design.members))
