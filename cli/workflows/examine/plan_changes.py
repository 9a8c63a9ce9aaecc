"""Changes of a plan as `advisor whatif` takes them: of its design, batch, epochs, method, images, decay."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from advisor.decision.weight_decay import tuned_weight_decay_of
from advisor.designs.changes import Change, DesignChange, parse_change
from advisor.designs.design import Design, parse_design
from advisor.errors import UsageError, lookup
from advisor.plans.dataset import DatasetFacts
from advisor.plans.method_traits import BY_CLUSTERS, CHAINS, CLUSTERED, Method, usual_method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import TrainingPlan, TrainStep
from advisor.plans.recipes.choice import RecipeName, patience_of_plan, recipe_of_plan, usual_batch
from cli.quantities import parse_image_count
from cli.workflows.forecast.machine import workers_of
from cli.workflows.forecast.planning import with_clusters

# Changes as they are written, by option: {"depth": "+6", "method": "snapshot"}.
Written = dict[str, str]
# A number of images, or one to add or leave out: 20k, +500, -1000.
_NUMBER = re.compile(r"\d{0,6}\.?\d{1,9}(e-?\d{1,2})?", re.I)
_IMAGES = re.compile(r"(?P<sign>[-−+]?)\s*(?P<number>[\d.]+[kmg]?)", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Changes of a plan.

    Attributes:
        design: change of the design.
        batch: change of the images in a step, None for none.
        epochs: change of the schedule, None for none.
        method: method to change to, None for none.
        images: change of the number of training images, None for none.
        weight_decay: change of the weight decay of all networks, None for none.
        recipe: recipe to change to, which also decides the batch where none is given; None for none.
        patience: epochs without a gain in training accuracy that end a training from now on, 0 for a fixed
            length; None for no change.
    """

    design: DesignChange = DesignChange()
    batch: Change | None = None
    epochs: Change | None = None
    method: Method | None = None
    images: Change | None = None
    weight_decay: Change | None = None
    recipe: RecipeName | None = None
    patience: int | None = None

    @classmethod
    def read(cls, written: Written) -> Changes:
        """Return the changes that a command line names.

        Args:
            written: changes as they are written, by option.

        Raises:
            UsageError: a change or a method that does not exist.
        """
        numbers = {
            name: parse_change(text, f"--{name}")
            for name, text in written.items()
            if name not in ("method", "images", "weight-decay", "recipe", "patience")
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
            images=_change_of_images(written["images"], "--images") if "images" in written else None,
            weight_decay=_change_of_weight_decay(written["weight-decay"], "--weight-decay")
            if "weight-decay" in written
            else None,
            recipe=lookup("recipe", written["recipe"], RecipeName) if "recipe" in written else None,
            patience=_change_of_patience(written["patience"]) if "patience" in written else None,
        )

    def of(self, plan: TrainingPlan) -> TrainingPlan:
        """Return the plan of the changed design and training, for the machine at hand.

        Raises:
            UsageError: there is no such plan.
        """
        kept = None if plan.method in BY_CLUSTERS else plan.method
        design = self._clustered(self.design.of(parse_design(plan.design)))
        method = self.method or kept or usual_method(design.independent)
        return make_plan(
            design,
            self._data(plan.dataset),
            epochs=plan.epochs if self.epochs is None else self.epochs.of(plan.epochs),
            batch=self._batch(plan, design),
            seed=plan.seed,
            execution=replace(plan.execution, processes=workers_of(plan.execution.device)),
            options=PlanOptions(
                method=self.method or kept,
                weight_decay=self._decay(plan),
                recipe=self.recipe or recipe_of_plan(plan),
                patience=self._patience(plan, method),
            ),
        )

    def _batch(self, plan: TrainingPlan, design: Design) -> int:
        """Return the images in a step: that of a changed recipe, unless the batch itself changes."""
        if self.batch is not None:
            return self.batch.of(plan.batch)
        if self.recipe is None:
            return plan.batch
        return usual_batch(design.families, plan.dataset, self.recipe)

    def _patience(self, plan: TrainingPlan, method: Method) -> int | None:
        """Return the epochs without a gain that end a training; None for those of the recipe."""
        if self.patience == 0 and (self.recipe or recipe_of_plan(plan)) is RecipeName.PUBLISHED:
            raise UsageError("--patience 0: the published recipe ends at convergence, give --recipe ours too")
        if self.patience is not None:
            return self.patience or None
        # A method may change to one with cycles, whose length is fixed.
        return None if self.recipe is not None or method in CHAINS else patience_of_plan(plan)

    def _decay(self, plan: TrainingPlan) -> float | None:
        """Return the weight decay of all networks, None for that of their recipes."""
        if self.weight_decay is None and tuned_weight_decay_of(plan) is None:
            return None
        found = {step.weight_decay for step in plan.steps if isinstance(step, TrainStep)}
        if len(found) > 1:
            raise UsageError(
                f"the networks of {plan.design} have several weight decays: change a design of one family"
            )
        (now,) = found
        return now if self.weight_decay is None else float(f"{self.weight_decay.real(now):.9g}")

    def _data(self, data: DatasetFacts) -> DatasetFacts:
        """Return the facts of the data set with the changed number of training images."""
        if self.images is None:
            return data
        number, classes = self.images.nearest(data.train_images), data.task.classes
        if number < classes:
            raise UsageError(
                f"{self.images.option} {self.images.text}: {classes} classes need {classes} training images "
                f"or more, got {number:,} from {data.train_images:,}"
            )
        return replace(data, train_images=number)

    def _clustered(self, design: Design) -> Design:
        """Return the design with the clusters of a changed method, unless --g says how many there are."""
        if self.method is None or self.design.clusters is not None:
            return design
        if self.method in CLUSTERED:
            return with_clusters(design, self.method)
        return Design(members=design.members, clusters=len(design.members))


def _change_of_weight_decay(text: str, option: str) -> Change:
    """Read ``3e-3``, ``0.001``, ``x3`` or ``/10``.

    Raises:
        UsageError: another form of text.
    """
    if _NUMBER.fullmatch(text.strip()) is None:
        return parse_change(text, option)
    return Change(option=option, text=text.strip(), sign="", amount=Fraction(text.strip()))


def _change_of_patience(text: str) -> int:
    """Read a number of epochs.

    Raises:
        UsageError: another form of text.
    """
    if not re.fullmatch(r"[0-9]{1,7}", text.strip(), re.ASCII):
        raise UsageError(f"--patience must be a number of epochs, or 0 for a fixed length, got {text!r:.40}")
    return int(text)


def _change_of_images(text: str, option: str) -> Change:
    """Read ``20k``, ``+500``, ``-1000``, ``x2`` or ``/2`` images.

    Raises:
        UsageError: another form of text.
    """
    match = _IMAGES.fullmatch(text.strip())
    if match is None:
        return parse_change(text, option)
    number = parse_image_count(match["number"], option)
    sign = match["sign"].replace("−", "-")
    return Change(option=option, text=text.strip(), sign=sign, amount=Fraction(number))
