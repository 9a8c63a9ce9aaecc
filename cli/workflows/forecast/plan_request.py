"""What a command line says of a plan, before anything is looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from advisor.errors import UsageError

# Options that only concern members that are hatched.
HATCHING = ("hatched_epochs", "noise", "shrink")
# Options of `whatif` that change a plan, in the order in which changes are made.
CHANGES = (
    *("depth", "width", "members", "g", "batch", "epochs", "method", "images", "weight_decay"),
    *("recipe", "patience"),
)
# Name of the run with the highest number.
LAST_RUN = "last"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """Options of a command that names a plan; None takes the default.

    Attributes:
        target: design, path of a plan file, or number of a run; None for the last recommendation.
        rank: row of the last recommendation, counted from 1.
        dataset: name of the data set.
        augmentation: name of the augmentation of training batches.
        epochs: schedule of a network trained from scratch.
        batch: images in a step.
        rate: initial learning rate of networks trained from scratch.
        weight_decay: weight decay of all networks.
        hatched_epochs: epochs of a hatched member.
        noise: noise on a hatched member's weights, as a share of each layer's standard deviation.
        shrink: factor on a hatched member's weights before the noise.
        method: name of the training method.
        seed: origin of all randomness.
        device: ``cpu`` or ``cuda``.
        resize: size that the images of a folder are scaled to cover and cropped to, as a user writes it.
        skip_damaged: whether damaged files of a folder are left out; false takes the default too.
        recipe: name of the recipe.
        until_converged: whether a training ends when its accuracy no longer improves; false takes the
            default of the recipe.
        patience: epochs without a gain in training accuracy that end a training; implies `until_converged`.
        step_mode: ``eager``, ``compiled`` or ``graph``.
    """

    target: str | None = None
    rank: int | None = None
    dataset: str | None = None
    augmentation: str | None = None
    epochs: int | None = None
    batch: int | None = None
    rate: float | None = None
    weight_decay: float | None = None
    hatched_epochs: int | None = None
    noise: float | None = None
    shrink: float | None = None
    method: str | None = None
    seed: int | None = None
    device: str | None = None
    resize: str | None = None
    skip_damaged: bool = False
    recipe: str | None = None
    until_converged: bool = False
    patience: int | None = None
    step_mode: str | None = None

    def fixed_by_a_plan(self) -> list[str]:
        """Return the given options that a plan file decides."""
        names = (
            "dataset",
            "augmentation",
            "epochs",
            "batch",
            "rate",
            "weight_decay",
            "method",
            "seed",
            "resize",
            "recipe",
            "patience",
            "step_mode",
            *HATCHING,
        )
        switches = [name for name in ("skip_damaged", "until_converged") if getattr(self, name)]
        return [name for name in names if getattr(self, name) is not None] + switches

    @property
    def names_run(self) -> bool:
        """Whether the target is a run: its number, or ``last``."""
        return self.target is not None and (self.target == LAST_RUN or self.target.isdecimal())

    def refuse_options_of_a_plan(self) -> None:
        """Refuse options that a run has decided.

        Raises:
            UsageError: such an option is given.
        """
        fixed = self.fixed_by_a_plan() + [n for n in ("rank", "device") if getattr(self, n) is not None]
        if fixed:
            names = ", ".join(fixed).replace("_", " ")
            raise UsageError(f"a run fixes its {names}: leave the option out, or name a design")


def changes_of(given: Mapping[str, str | None]) -> dict[str, str]:
    """Return the changes of a plan that are given, as they are written, by option.

    Args:
        given: options of `whatif`; None for one that is not given.
    """
    return {name.replace("_", "-"): text for name in CHANGES if (text := given[name]) is not None}
