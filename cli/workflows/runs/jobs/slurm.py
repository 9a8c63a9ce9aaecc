"""The jobs of a run for Slurm: a bash script that submits one job for each step.

The script is also the script of its jobs, so nothing has to be quoted twice. What makes repeating harmless:

- `singleton`: a job waits for jobs of the same name, so a second submission waits for the first.
- `--requeue`: Slurm starts a job again whose node failed or that had to make way; the step resumes.
- Exit code 75: the step is checkpointed at its time limit. The job is queued again under its own number, for
  which the later jobs go on waiting.
- `--kill-on-invalid-dep`: jobs behind one that failed leave the queue.
"""

from __future__ import annotations

import hashlib
import shlex

from cli.workflows.runs.jobs.job import Job, RunJobs

# Folder of the logs in the folder of the run.
LOGS = "jobs"

_HEAD = """\
#!/bin/bash
# Run {run} as jobs of Slurm, one for each step: {title}
#
#     bash THIS_FILE
#
# submits them all. Submitting again does no harm: a step that is done ends at once. sbatch reads options for
# all of them from the environment, such as SBATCH_PARTITION, SBATCH_ACCOUNT and SBATCH_MEM_PER_CPU.
set -euo pipefail

advisor=({program})
logs={logs}

if [ "${{1-}}" = step ]; then
  # Inside a job.
  shift
  code=0
  "${{advisor[@]}}" step {run} "$@" || code=$?
  # The time limit is used up and the checkpoint is written: the job goes on later.
  if [ "$code" = 75 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
  exit "$code"
fi

submit() {{
  # name of the job, what it waits for, options of sbatch, --, arguments of the job
  local name=$1 after=$2 id
  local options=()
  shift 2
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  id=$(sbatch --parsable --job-name="$name" --dependency="$after" --kill-on-invalid-dep=yes --requeue \\
    --nodes=1 --ntasks=1 --output="$logs_pattern/%x.%j.log" "${{options[@]}}" "$0" step "$@") || exit
  echo "${{id%%;*}}"
}}

mkdir -p "$logs"
# In the name of a log, % begins a pattern.
logs_pattern=${{logs//%/%%}}

"""
_TAIL = """\

echo "run {run}: {count} jobs are submitted, and job $job{count} ends it; logs are in $logs"
"""


def slurm_script(jobs: RunJobs) -> str:
    """Return the script that submits the jobs of a run."""
    key = hashlib.sha256(str(jobs.home).encode("utf-8", "surrogateescape")).hexdigest()[:6]
    program = " ".join(map(shlex.quote, (*jobs.program, "--home", str(jobs.home))))
    head = _HEAD.format(
        run=jobs.run, title=jobs.title, program=program, logs=shlex.quote(str(jobs.folder / LOGS))
    )
    lines = [_submission(job, f"advisor-{key}-run{jobs.run}") for job in jobs.jobs]
    return head + "\n".join(lines) + "\n" + _TAIL.format(run=jobs.run, count=len(jobs.jobs))


def _submission(job: Job, prefix: str) -> str:
    after = "".join(f":$job{number}" for number in job.after)
    waits = f'"afterok{after},singleton"' if after else "singleton"
    options = [f"--cpus-per-task={job.cpus}"]
    if job.gpus:
        options.append(f"--gres=gpu:{job.gpus}")
    arguments = [shlex.quote(job.step)]
    if job.minutes is not None:
        options.append(f"--time={job.minutes}")
        arguments += ["--time-limit", f"{job.seconds}s"]
    return (
        f"job{job.number}=$(submit {prefix}-{job.name} {waits} {' '.join(options)} -- {' '.join(arguments)})"
    )
