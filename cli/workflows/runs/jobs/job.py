"""A job: one step of a run with what it needs, and what it waits for.

All jobs call `advisor step`, which starts a step, resumes it, or says that it is done. So a job may be
killed, repeated and submitted twice.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from advisor.cost.pricing import EVALUATE
from advisor.errors import UsageError
from advisor.plans.placement import devices_of
from advisor.plans.records import Run
from cli.workflows.home import Home
from cli.workflows.locks import STEPS

# Minutes for what no forecast of a step has: the start of the program, loading of the data, the checkpoint.
EXTRA_MINUTES = 10
# The program stops so many minutes before its scheduler would stop it.
MARGIN_MINUTES = 3
PROGRAM = "advisor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A step as a job.

    Attributes:
        number: its place in the plan, from 1; the evaluation is the last.
        step: id of the step.
        after: numbers of the jobs that must have ended well before.
        cpus: number of cores.
        gpus: number of GPUs.
        minutes: time limit in minutes; None where nothing was forecast.
    """

    number: int
    step: str
    after: tuple[int, ...]
    cpus: int
    gpus: int
    minutes: int | None

    @property
    def name(self) -> str:
        """Number and step as one word of letters, digits and hyphens."""
        return f"{self.number:03d}-{self.step.replace(' ', '-')}"

    @property
    def seconds(self) -> int | None:
        """Seconds after which the program checkpoints and stops; None for no limit."""
        return None if self.minutes is None else 60 * (self.minutes - MARGIN_MINUTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJobs:
    """The jobs of a run.

    Attributes:
        run: number of the run.
        title: what the run trains, one line.
        home: folder of everything that the program writes.
        folder: folder of the run.
        program: the program and the arguments before its command.
        jobs: jobs in an order in which they can be executed one by one.
    """

    run: int
    title: str
    home: Path
    folder: Path
    program: tuple[str, ...]
    jobs: tuple[Job, ...]

    @property
    def stamps(self) -> Path:
        """Folder of empty files that tell which jobs have ended well."""
        return self.folder / STEPS


def jobs_of(run: Run, home: Home) -> RunJobs:
    """Return the jobs of a run.

    Args:
        run: the run.
        home: home of the run.

    Raises:
        UsageError: the home has a line break in its path.
    """
    if not str(home.path).isprintable():
        raise UsageError(
            f"a script needs a home without control characters in its path, got {str(home.path)!r}: move it"
        )
    plan = run.plan
    numbers = {step.id: number for number, step in enumerate(plan.steps, start=1)}
    most = {step.step: step.high for step in run.forecast.steps} if run.forecast else {}
    jobs = [
        Job(
            number=numbers[step.id],
            step=step.id,
            after=tuple(numbers[name] for name in step.after),
            cpus=plan.execution.threads * devices_of(step),
            gpus=devices_of(step) if plan.execution.device == "cuda" else 0,
            minutes=_minutes(most.get(step.id)),
        )
        for step in plan.steps
    ]
    awaited = {number for job in jobs for number in job.after}
    evaluation = Job(
        number=len(jobs) + 1,
        step=EVALUATE,
        after=tuple(job.number for job in jobs if job.number not in awaited),
        cpus=plan.execution.threads,
        gpus=1 if plan.execution.device == "cuda" else 0,
        minutes=_minutes(most.get(EVALUATE)),
    )
    return RunJobs(
        run=run.id,
        title=f"{plan.design} on {plan.dataset.name}",
        home=home.path,
        folder=home.run_folder(run.folder),
        program=_program(),
        jobs=(*jobs, evaluation),
    )


def _minutes(most: float | None) -> int | None:
    """Return the time limit of a step from the upper end of its forecast in seconds."""
    return None if most is None else math.ceil(most / 60) + EXTRA_MINUTES


def _program() -> tuple[str, ...]:
    """Return this program: the script beside the interpreter, one in the path, or the interpreter itself."""
    own = Path(sys.executable).with_name(PROGRAM)
    found = str(own) if own.exists() else which(PROGRAM)
    return (found,) if found else (sys.executable, "-m", "cli")
