"""Job scripts: for Slurm against an `sbatch` that only queues, for make against the real one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from recorded_runs import record_run
from trained_bits import outcome

from advisor.plans.records import Forecast, PredictedStep, RunStatus
from cli.workflows.home import Home
from cli.workflows.runs.jobs.job import Job, RunJobs, jobs_of
from cli.workflows.runs.jobs.makefile import makefile
from cli.workflows.runs.jobs.slurm import slurm_script
from db.session import open_store

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
# Whatever a shell, make or sbatch reads as something else.
ODD = "a home $HOME 'q' \"d\" %j `x` # \\"
DESIGN = ("2xmlp-1-4@g1", "--dataset", "digits", "--epochs", "20", "--batch", "256", "--seed", "1")

# Queues a job: a line of its number, name, dependency, script and arguments.
SBATCH = r"""#!/bin/bash
number=$(( $(wc -l < "$QUEUE") + 100 ))
after= name=
while [ "${1#--}" != "$1" ]; do
  case $1 in --dependency=*) after=${1#*=};; --job-name=*) name=${1#*=};; esac
  options="${options-} $1"
  shift
done
printf '%s\037' "$number" "$name" "$after" "${options# }" "$@" >> "$QUEUE"
echo >> "$QUEUE"
echo "$number;cluster"
"""
# Writes down what it is asked for; the first call of the mother ends at its time limit.
PROGRAM = r"""#!/bin/bash
printf '%s|' "$@" >> "$CALLS"; echo >> "$CALLS"
case "$*" in *"train mother-1"*) [ -e "$CALLS.limit" ] || { touch "$CALLS.limit"; exit 75; };; esac
exit 0
"""


def executable(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


def jobs(home, program, minutes=None):
    """A mother, two members and the evaluation."""
    steps = [("train mother-1", ()), ("train member-1", (1,)), ("train member-2", (1,)), ("evaluate", (2, 3))]
    return RunJobs(
        run=3,
        title="2xmlp-1-4@g1 on digits",
        home=home,
        folder=home / "runs" / "0003",
        program=(str(program),),
        jobs=tuple(
            Job(number=n, step=step, after=after, cpus=2, gpus=1, minutes=minutes)
            for n, (step, after) in enumerate(steps, start=1)
        ),
    )


class Cluster:
    """What Slurm does with the jobs in its queue: one after the other, the last that may start first."""

    def __init__(self, folder, **environment):
        self.queue = folder / "queue"
        self.queue.touch()
        executable(folder / "sbatch", SBATCH)
        executable(folder / "scontrol", '#!/bin/bash\n[ "$1" = requeue ] && touch "$QUEUE.$2"\n')
        self.environment = os.environ | {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "QUEUE": str(self.queue),
            **environment,
        }

    def submit(self, script):
        subprocess.run(["bash", str(script)], env=self.environment, check=True, capture_output=True)

    def queued(self):
        return [line.split("\037")[:-1] for line in self.queue.read_text().split("\n")[:-1]]

    def run(self):
        """Return the steps in the order in which they ended, and how."""
        waiting, ended, order = self.queued(), {}, []
        while waiting:
            job = next(job for job in reversed(waiting) if self.may_start(job, ended))
            number, _, _, _, script, *arguments = job
            done = subprocess.run(
                ["bash", script, *arguments],
                env=self.environment | {"SLURM_JOB_ID": number},
                capture_output=True,
                text=True,
            )
            order.append((arguments[1], done.returncode))
            requeued = Path(f"{self.queue}.{number}")
            if requeued.exists():
                requeued.unlink()
                continue
            ended[number] = done.returncode
            waiting.remove(job)
        return order

    def may_start(self, job, ended):
        number, name, dependency = job[:3]
        conditions = dependency.split(",")
        assert "singleton" in conditions
        earlier = [each[0] for each in self.queued() if each[1] == name and int(each[0]) < int(number)]
        after = [id for each in conditions if each.startswith("afterok") for id in each.split(":")[1:]]
        return all(id in ended for id in earlier) and all(ended.get(id) == 0 for id in after)


def test_slurm_gets_a_job_for_each_step_with_its_dependencies_and_submitting_twice_does_no_harm(tmp_path):
    home, calls = tmp_path / ODD, tmp_path / "calls"
    program = executable(tmp_path / "the program", PROGRAM)
    script = tmp_path / "run 3.sh"
    script.write_text(slurm_script(jobs(home, program, minutes=12)))
    subprocess.run(["bash", "-n", str(script)], check=True)
    cluster = Cluster(tmp_path, CALLS=str(calls))
    cluster.submit(script)
    cluster.submit(script)
    first = cluster.queued()[:4]
    assert [job[2] for job in first] == [
        "singleton",
        "afterok:100,singleton",
        "afterok:100,singleton",
        "afterok:101:102,singleton",
    ]
    for option in (
        "--requeue",
        "--cpus-per-task=2",
        "--gres=gpu:1",
        "--time=12",
        "--kill-on-invalid-dep=yes",
    ):
        assert option in first[0][3].split()
    # % begins a pattern of sbatch.
    assert f"--output={str(home).replace('%', '%%')}/runs/0003/jobs/%x.%j.log" in first[0][3]
    order = cluster.run()
    # The mother reaches its time limit once and is queued again under its own number.
    assert order[:2] == [("train mother-1", 75), ("train mother-1", 0)]
    assert [step for step, _ in order[1:]].index("evaluate") > 2
    assert len(order) == 9
    lines = calls.read_text().splitlines()
    assert lines[0] == f"--home|{home}|step|3|train mother-1|--time-limit|540s|"
    assert f"--home|{home}|step|3|evaluate|--time-limit|540s|" in lines


def test_jobs_ask_for_the_upper_end_of_their_forecast_and_the_evaluation_waits_for_all(tmp_path):
    forecast = Forecast(
        train_seconds=None,
        train_peak_bytes=None,
        inference_ms_per_image=None,
        test_error=None,
        steps=(PredictedStep(step="train mother-1", mean=60.0, low=30.0, high=150.0),),
    )
    home = Home(tmp_path / "home")
    with open_store(home.database) as store:
        number = record_run(store, DESIGN[0], {}, forecast=forecast, status=RunStatus.PLANNED)
        found = jobs_of(store.run(number), home).jobs
    assert [(job.step, job.after) for job in found] == [
        ("train mother-1", ()),
        ("hatch member-1", (1,)),
        ("train member-1", (2,)),
        ("hatch member-2", (1,)),
        ("train member-2", (4,)),
        ("evaluate", (3, 5)),
    ]
    # 150 s are 3 minutes begun, and 10 more for the start; the program stops 3 minutes before.
    assert (found[0].minutes, found[0].seconds) == (13, 600)
    assert (found[1].minutes, found[1].seconds) == (None, None)
    assert [(job.cpus, job.gpus) for job in found] == [(1, 0)] * 6


def test_what_cannot_be_planned_is_one_line(advisor, home):
    with open_store(Home(home).database) as store:
        record_run(store, "mlp-1-4", {}, status=RunStatus.PLANNED)
        record_run(store, "mlp-1-4", {"member-1": [0.5] * 4}, error=0.5)
    assert "choose one of make, slurm" in advisor("plan", "1", "--format", "condor").error_line
    assert "run 2 is done: there is nothing left to plan" in advisor("plan", "2").error_line
    assert advisor("plan", "3").code == 2
    assert advisor("plan", "1", "nowhere/file").code == 4
    written = advisor("plan", "1", "--format", "make", "jobs.mk")
    assert (written.code, written.out, written.err) == (0, "", "")
    assert Path("jobs.mk").read_text() == advisor("plan", "1", "--format", "make").out


@needs_make
@pytest.mark.slow
def test_make_reads_no_name_as_anything_else(tmp_path):
    home, calls = tmp_path / ODD, tmp_path / "calls"
    program = executable(tmp_path / "the $program", PROGRAM)
    (tmp_path / "jobs.mk").write_text(makefile(jobs(home, program)))
    command = ["make", "-j2", "-f", "jobs.mk"]
    told = {"cwd": tmp_path, "env": os.environ | {"CALLS": str(calls)}, "capture_output": True, "text": True}
    # The mother ends at its time limit first, so that nothing else begins.
    assert subprocess.run(command, **told).returncode == 2
    assert len(calls.read_text().splitlines()) == 1
    assert subprocess.run(command, **told).returncode == 0
    lines = calls.read_text().splitlines()
    assert lines[1] == f"--home|{home}|step|3|train mother-1|"
    assert lines[4] == f"--home|{home}|step|3|evaluate|"
    again = subprocess.run(command, **told)
    assert (again.returncode, again.stderr, calls.read_text().splitlines()) == (0, "", lines)


@pytest.fixture(scope="module")
def at_once(train_apart):
    """Outcome of the plan by `advisor train`."""
    home, _ = train_apart(["train", *DESIGN])
    return outcome(Home(home))


@pytest.fixture
def stored(command_apart, tmp_path):
    """A home with an odd name and the stored run, and its command line."""
    home = tmp_path / ODD
    command = [*command_apart, "--home", str(home), "--quiet"]
    subprocess.run([*command, "train", *DESIGN, "--no-start"], check=True, capture_output=True)
    return Home(home), command


@needs_make
@pytest.mark.slow
def test_make_ends_with_the_bits_of_train_although_it_is_killed_in_the_middle(stored, at_once, tmp_path):
    home, command = stored
    file = tmp_path / "the jobs.mk"
    subprocess.run([*command, "plan", "1", str(file), "--format", "make"], check=True)
    make = ["make", "-j2", "-f", str(file)]
    first = subprocess.Popen(
        make, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    mother = home.path / "runs/0001/networks/mother-1"
    while not list(mother.glob("*.json")) and first.poll() is None:
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert not list((home.path / "runs/0001/steps").glob("*.done"))
    subprocess.run(make, check=True, capture_output=True)
    assert outcome(home) == at_once
    before = home.database.stat().st_mtime_ns
    again = subprocess.run(make, check=True, capture_output=True)
    assert (again.stdout + again.stderr).strip() == b""
    assert home.database.stat().st_mtime_ns == before


@pytest.mark.slow
def test_jobs_of_slurm_end_with_the_bits_of_train(stored, at_once, tmp_path):
    home, command = stored
    script = tmp_path / "the jobs.sh"
    subprocess.run([*command, "plan", "1", str(script)], check=True)
    cluster = Cluster(tmp_path)
    cluster.submit(script)
    order = cluster.run()
    assert [code for _, code in order] == [0] * 6
    # The last that may start first: another order than that of the plan.
    assert [step for step, _ in order][:3] == ["train mother-1", "hatch member-2", "train member-2"]
    assert outcome(home) == at_once
