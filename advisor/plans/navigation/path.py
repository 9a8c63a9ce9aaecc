"""The path of a navigation: its targets, and the stages that were trained on the way.

A stage is a run of its own, which extends the one before. Validation images decide how the path goes on. The
test images of all stages are read at its end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from advisor.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Where a path ends, at least one of them; None for none.

    Attributes:
        error: validation error of the ensemble, a share.
        seconds: wall-clock time of all training together, in seconds.
        usd: cost of all training together, in USD.
        price_per_hour: price of the machine in USD per hour.
    """

    error: float | None = None
    seconds: float | None = None
    usd: float | None = None
    price_per_hour: float | None = None

    def __post_init__(self) -> None:
        if self.error is None and self.seconds is None and self.usd is None:
            raise UsageError("a path needs a target: an error, a time or an amount in USD")
        if self.error is not None and not 0 < self.error < 1:
            raise UsageError(
                f"the error to reach must be above 0 and below 1, got {self.error:g}: write 6% or 0.06"
            )
        for name in ("seconds", "usd", "price_per_hour"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"the {name} of a path must be positive and finite, got {value:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A trained stage.

    Attributes:
        run: number of its run.
        clusters: number of clusters g.
        kept, renewed: names of the members of the cluster that was split to get here: those that kept their
            mother network, and those that got a new one. Both are empty in the first stage.
        validation_error: error of the averaged probabilities on the validation images, a share.
        seconds: wall-clock time of what this stage trained.
    """

    run: int
    clusters: int
    kept: tuple[str, ...]
    renewed: tuple[str, ...]
    validation_error: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Navigation:
    """What the run of a stage knows of its path.

    Attributes:
        targets: where the path ends.
        earlier: stages before this one, in order.
        kept, renewed: halves of the cluster that was split to get here; see `Stage`.
        validation_error: error of the ensemble on the validation images; None until it is trained.
    """

    targets: Targets
    earlier: tuple[Stage, ...] = ()
    kept: tuple[str, ...] = ()
    renewed: tuple[str, ...] = ()
    validation_error: float | None = None

    def first_run(self, own: int) -> int:
        """Return the number of the run of the first stage, which the path is known by.

        Args:
            own: number of the run of this stage.
        """
        return self.earlier[0].run if self.earlier else own

    def stage(self, run: int, clusters: int, seconds: float) -> Stage | None:
        """Return this stage; None until it is trained.

        Args:
            run: number of its run.
            clusters: its number of clusters.
            seconds: wall-clock time of what it trained.
        """
        if self.validation_error is None:
            return None
        return Stage(
            run=run,
            clusters=clusters,
            kept=self.kept,
            renewed=self.renewed,
            validation_error=self.validation_error,
            seconds=seconds,
        )
