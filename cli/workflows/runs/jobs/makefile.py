"""The jobs of a run for make: a target for each step, and a stamp for each that has ended well.

Make cannot have a space in the name of a file that it depends on, and a home may. Targets are therefore
phony, and the shell looks for the stamp, which lies in the folder of the run and goes with it.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from cli.workflows.runs.jobs.job import Job, RunJobs

_HEAD = """\
# Run {run} as targets of make, one for each step: {title}
#
#     make -j4 -f THIS_FILE
#
# trains four networks at a time. Whatever stopped it, the same command goes on; in the end it does nothing.
SHELL := /bin/sh
# Lines instead of bars, of which several processes would spoil each other's.
export TTY_COMPATIBLE := 0

all: {last}
.PHONY: all {names}
"""


def makefile(jobs: RunJobs) -> str:
    """Return the Makefile that executes the jobs of a run."""
    names = {job.number: job.name for job in jobs.jobs}
    head = _HEAD.format(
        run=jobs.run, title=jobs.title, last=jobs.jobs[-1].name, names=" ".join(names.values())
    )
    return head + "".join(_rule(job, names, jobs) for job in jobs.jobs)


def _rule(job: Job, names: dict[int, str], jobs: RunJobs) -> str:
    stamp = _quoted(jobs.stamps / f"{job.name}.done")
    command = [
        *map(_quoted, jobs.program),
        "--home",
        _quoted(jobs.home),
        "step",
        str(jobs.run),
        _quoted(job.step),
    ]
    head = " ".join([f"{job.name}:", *(names[number] for number in job.after)])
    stamped = f"mkdir -p {_quoted(jobs.stamps)} && touch {stamp}"
    return f"\n{head}\n\t@test -e {stamp} || {{ {' '.join(command)} && {stamped}; }}\n"


def _quoted(word: str | Path) -> str:
    """Return a word for the shell of a recipe, in which make reads $ itself."""
    return shlex.quote(str(word)).replace("$", "$$")
