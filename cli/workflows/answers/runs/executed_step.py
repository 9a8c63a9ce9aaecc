"""The answer of `advisor step`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cli.workflows.answers.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutedStep(Answer):
    """A step that is done; one that is not ends with an error.

    Attributes:
        run: number of the run.
        step: id of the step.
        network: name of its network in the plan.
        already_done: whether it was done before, so that nothing was executed.
        seconds: wall-clock time of the step, in seconds; null where it was done before.
        peak_bytes: peak memory beyond the idle process, in bytes; null where it cannot be read.
        hatch_difference: largest difference of a logit between member and mother network at hatching; null
            for other steps.
        message: remark on the step, else empty.
    """

    json_key: ClassVar[str | None] = "step"

    run: int
    step: str
    network: str
    already_done: bool
    seconds: float | None = None
    peak_bytes: int | None = None
    hatch_difference: float | None = None
    message: str = ""
