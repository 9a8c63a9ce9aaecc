"""`advisor plan RUN --format slurm|make`: the jobs of a stored run as a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from advisor.errors import UsageError, lookup
from advisor.plans.records import RESUMABLE
from cli.workflows.home import Home
from cli.workflows.runs.jobs.job import RunJobs, jobs_of
from cli.workflows.runs.jobs.makefile import makefile
from cli.workflows.runs.jobs.slurm import slurm_script
from cli.workflows.runs.lookup import reading_store, refuse_stage, run_id_of

# Content of the file, as errors name it.
CONTENT = "the jobs of the run"
FORMATS: Mapping[str, Callable[[RunJobs], str]] = {"slurm": slurm_script, "make": makefile}


def script_of(run: str, form: str, home: Home) -> str:
    """Return the jobs of a run in the form of a scheduler.

    Args:
        run: number of the run, or ``last``.
        form: a key of `FORMATS`.
        home: home of the run.

    Raises:
        UnknownNameError: another form.
        UsageError: no such run, a stage of a path, or one that cannot go on.
    """
    written = lookup("format", form, FORMATS)
    number = run_id_of(run, home)
    with reading_store(home) as store:
        found = store.run(number)
    refuse_stage(found)
    if found.status not in RESUMABLE:
        raise UsageError(f"run {number} is {found.status.value}: there is nothing left to plan")
    return written(jobs_of(found, home))
