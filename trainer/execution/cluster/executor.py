"""Execution of a plan by the workers of a cluster, with the meaning of `trainer.execution.pool`.

This process is the *driver*: it knows which steps are ready, gives them to idle teams, and is the only one
that tells events and keeps the run. Nothing that is lost with a node is lost for the run: its step goes back
to the queue and continues on another node from the last checkpoint, with the same bits on a CPU.

Nodes may come and go. A team that finds no room waits until a node has some, and a node that joins later gets
it. Workers end with this process, because Ray ends the actors of a driver that is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import ray

from advisor.errors import RunError, StorageError
from advisor.plans.placement import devices_of
from advisor.plans.plan import HatchStep, Step, TrainingPlan, networks_read_by
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from advisor.serial import from_plain
from trainer.events import Event, Notice, Tell, TrainingStarted
from trainer.execution.cluster.address import ClusterAddress
from trainer.execution.cluster.carrying import packed, unpack
from trainer.execution.cluster.connection import Nodes, connected, on_node, proof_in, reason_of, resources
from trainer.execution.cluster.mail import Letter, Mail
from trainer.execution.cluster.node_facts import NodeFacts
from trainer.execution.cluster.teams import Assignment, Recruiter, Team
from trainer.execution.outbox import Outbox
from trainer.execution.ready_steps import ReadySteps, failed_record
from trainer.run_files import RunFiles

# Seconds between two questions whether to stop.
POLL_SECONDS = 0.1
# Seconds after which letters are asked for again, if there were none.
LETTER_SECONDS = 20.0
# Seconds without any worker after which a message says what is waited for.
WAITING_SECONDS = 20.0
# Seconds that workers have for their checkpoints after they were asked to stop.
STOPPING_SECONDS = 30.0
# Number of workers that a step may lose before it counts as failed: it may be what kills them.
MOST_LOSSES = 3
# Kinds of events that workers report.
EVENTS: dict[str, type[EpochRecord] | type[Notice]] = {"EpochRecord": EpochRecord, "Notice": Notice}


def execute_on_cluster(
    plan: TrainingPlan,
    files: RunFiles,
    tell: Tell,
    stop: Callable[[], bool],
    address: ClusterAddress,
) -> dict[str, StepRecord]:
    """Execute the steps of a plan that have not ended yet; see `trainer.execution.execute.execute`.

    Args:
        plan: plan to execute.
        files: folders of the run and of data sets.
        tell: receiver of the events, called in this process and thread.
        stop: question whether to stop.
        address: the cluster.

    Raises:
        UsageError: the address is of a kind that cannot be used.
        RunError: there is no such cluster, or a node of it may not train.
        StorageError: a checkpoint could not be written.
    """
    with connected(address) as here, proof_in(files.folder) as proof:
        nodes = Nodes(files.folder, proof, address.insecure)
        mail = ray.remote(num_cpus=0, scheduling_strategy=on_node(here))(Mail).remote()
        return _Execution(plan, files, tell, stop, nodes, mail).run()


class _Execution:
    """The driver's side of an execution."""

    def __init__(
        self,
        plan: TrainingPlan,
        files: RunFiles,
        tell: Tell,
        stop: Callable[[], bool],
        nodes: Nodes,
        mail: Any,
    ) -> None:
        self.plan, self.files, self.tell, self.stop = plan, files, tell, stop
        self.nodes, self.mail = nodes, mail
        self.recruiter = Recruiter(plan, files, nodes.proof, mail)
        self.outbox = Outbox(files.folder, plan)
        self.letters = self._next_letters()
        self.steps = ReadySteps(plan, tell)
        self.queue: list[Step] = []
        self.teams: list[Team] = []
        self.losses: Counter[str] = Counter()
        self.numbers = itertools.count(1)
        self.started = self.halted = self.waiting = False
        self.latest_team = time.monotonic()
        self.halted_at = 0.0
        self.lost_at_start = 0

    def run(self) -> dict[str, StepRecord]:
        """Execute the plan, and end all workers.

        Raises:
            RunError: a node may not train.
        """
        try:
            while self._goes_on():
                self._assign()
                self._say_if_waiting()
                self._wait()
            return self.steps.ended
        finally:
            for team in self.teams:
                team.dismiss()
            self._read_mail()

    def _goes_on(self) -> bool:
        if self.stop() and not self.halted:
            self.halted, self.halted_at = True, time.monotonic()
            ray.get(self.mail.halt.remote())
        if self.halted:
            busy = any(team.assignment for team in self.teams)
            return busy and time.monotonic() < self.halted_at + STOPPING_SECONDS
        # Whatever is ready, however many slots there are: nodes may join.
        while (step := self.steps.next_ready(sys.maxsize)) is not None:
            self.queue.append(step)
        return bool(self.queue) or any(team.assignment for team in self.teams)

    # Teams and their steps

    def _assign(self) -> None:
        """Give steps to idle teams, and start teams for the steps that found none."""
        if self.halted:
            return
        unmet: Counter[int] = Counter()
        for step in list(self.queue):
            team = next((t for t in self.teams if t.idle and _fits(step, t)), None)
            if team is None:
                unmet[devices_of(step)] += 1
            else:
                self.queue.remove(step)
                self._begin(team, step)
        starting = Counter(team.size for team in self.teams if team.loading is not None)
        for size, count in unmet.items():
            # Idle teams of another size hold what these need.
            for team in [t for t in self.teams if t.idle]:
                self._dismiss(team)
            for _ in range(count - starting[size]):
                self.teams.append(self.recruiter.team(size, self.nodes.refused))

    def _begin(self, team: Team, step: Step) -> None:
        number = next(self.numbers)
        ray.get(self.mail.begin.remote(number))
        files = {} if team.shares_home else self._files_for(step)
        # A hatching needs one worker of a team.
        workers = team.workers[: devices_of(step)]
        folder = ray.get(workers[0].own_folder.remote()) if len(workers) > 1 else ""
        results = [
            worker.run.remote(step.id, number, files, rank, len(workers), folder)
            for rank, worker in enumerate(workers)
        ]
        team.assignment = Assignment(number, step, results)

    def _files_for(self, step: Step) -> dict[str, dict[str, bytes]]:
        """Return the newest checkpoints of the networks that a step reads, its own among them."""
        names = {step.network, *networks_read_by(step)}
        return {name: packed(self.files.of_network(name)) for name in names}

    def _dismiss(self, team: Team) -> None:
        team.dismiss()
        self.teams.remove(team)

    # What workers answer

    def _wait(self) -> None:
        """Wait a moment for an answer of a team, or for letters, and act on it."""
        awaited = {reference: team for team in self.teams for reference in team.awaited()}
        ready, _ = ray.wait([self.letters, *awaited], num_returns=1, timeout=POLL_SECONDS)
        for reference in ready:
            team = awaited.get(reference)
            if team is None:
                self._read_letters()
            elif team in self.teams:
                self._loaded(team) if team.loading is not None else self._answered(team)

    def _loaded(self, team: Team) -> None:
        """Accept a team whose workers are started, or refuse its node."""
        assert team.loading is not None
        try:
            answers = ray.get(team.loading)
        except ray.exceptions.RayError as error:
            self._dismiss(team)
            self._could_not_start(error)
            return
        team.loading, team.node, self.lost_at_start = None, answers[0]["node"], 0
        for answer in answers:
            facts = NodeFacts(**answer["facts"])
            team.shares_home = facts.shares_home
            if reason := self.nodes.objection(team.node, facts, answer["problem"]):
                self._refuse(team, reason)
                return
        self.latest_team, self.waiting = time.monotonic(), False
        if not self.started:
            self.started = True
            self.tell(TrainingStarted())

    def _could_not_start(self, error: Exception) -> None:
        """Find out which nodes cannot start a worker; if all can, this one was lost with its node.

        Raises:
            RunError: no node can, or one worker after the other was lost.
        """
        self.lost_at_start += 1
        for reason in self.nodes.ask_all():
            self._go_on_without(reason)
        if self.lost_at_start >= MOST_LOSSES:
            raise RunError(
                f"{MOST_LOSSES} workers one after the other were lost while they started: {reason_of(error)}"
            )
        self.tell(Notice(f"a worker was lost while it started ({reason_of(error)}); another one starts"))

    def _refuse(self, team: Team, reason: str) -> None:
        """Go on without the node of a team.

        Raises:
            RunError: no other node is left.
        """
        self._dismiss(team)
        self._go_on_without(reason)

    def _go_on_without(self, reason: str) -> None:
        """Say why a node was refused, or raise it where no other node is left.

        Raises:
            RunError: no other node is left.
        """
        if not self.nodes.left():
            raise RunError(reason)
        self.tell(Notice(f"{reason}; the run goes on without it"))

    def _answered(self, team: Team) -> None:
        """Take the record of a step, or put the step back if its team was lost."""
        assignment = team.assignment
        assert assignment is not None
        try:
            answers = ray.get(assignment.results)
        except ray.exceptions.RayTaskError as error:
            raise RunError(
                f"{assignment.step.id} failed on {self.nodes.name(team.node)}: {reason_of(error)}"
            ) from None
        except ray.exceptions.RayError as error:
            self._lost(team, assignment, error)
            return
        # What the workers told comes before the end of their step.
        self._read_mail()
        team.assignment = None
        ray.get(self.mail.end.remote(assignment.number))
        answer = json.loads(answers[0])
        if "refused" in answer:
            raise StorageError(f"{self.nodes.name(team.node)}: {answer['refused']}")
        record = from_plain(StepRecord, answer)
        if record.status is StepStatus.STOPPED and not self.halted:
            self.queue.insert(0, assignment.step)
        else:
            self.steps.finish(record)

    def _lost(self, team: Team, assignment: Assignment, error: Exception) -> None:
        """Put a step back whose worker is gone; after several losses it has failed."""
        self._read_mail()
        ray.get(self.mail.end.remote(assignment.number))
        self._dismiss(team)
        step = assignment.step
        self.losses[step.id] += 1
        if self.losses[step.id] >= MOST_LOSSES:
            self.steps.finish(
                failed_record(
                    step, f"{MOST_LOSSES} workers were lost, the last of {self.nodes.name(team.node)}"
                )
            )
            return
        self.tell(
            Notice(
                f"{self.nodes.name(team.node)} is lost; {step.id} goes on from its checkpoint on another one"
            )
        )
        self.queue.insert(0, step)

    # What workers report

    def _next_letters(self) -> Any:
        return self.mail.take.remote(LETTER_SECONDS)

    def _read_mail(self) -> None:
        """Read all letters that workers have sent."""
        one_more = ray.get(self.mail.hurry.remote())
        self._read_letters()
        if one_more:
            self._read_letters()

    def _read_letters(self) -> None:
        """Read the letters that were asked for, and ask for the next ones."""
        letters, self.letters = ray.get(self.letters), self._next_letters()
        for letter in letters:
            self._read(Letter(*letter))

    def _read(self, letter: Letter) -> None:
        team = next(
            (t for t in self.teams if t.assignment and t.assignment.number == letter.assignment), None
        )
        if letter.files and team is not None and team.assignment is not None:
            unpack(self.files.of_network(team.assignment.step.network), letter.files)
        if not letter.event:
            return
        plain = json.loads(letter.event)
        event: Event = from_plain(EVENTS[plain["kind"]], plain)
        if isinstance(event, EpochRecord) and team is not None and not team.shares_home:
            # Workers that see the folder of the run have done so themselves.
            self.outbox.put(event)
        self.tell(event)

    def _say_if_waiting(self) -> None:
        if any(team.loading is None for team in self.teams):
            self.latest_team = time.monotonic()
        elif not self.waiting and time.monotonic() > self.latest_team + WAITING_SECONDS:
            self.waiting = True
            self.tell(Notice(f"no worker yet: waiting for a node with {self._need()}; there are {_has()}"))

    def _need(self) -> str:
        execution = self.plan.execution
        cores = f"{execution.threads} free core" + ("s" if execution.threads > 1 else "")
        return cores if execution.device == "cpu" else f"a free GPU and {cores}"


def _fits(step: Step, team: Team) -> bool:
    """Return whether a team can take a step: one of its size, or a hatching, which one worker does."""
    return team.size == devices_of(step) or isinstance(step, HatchStep)


def _has() -> str:
    """Return the resources of the cluster in words."""
    found = {"CPU": 0.0, "GPU": 0.0}
    with contextlib.suppress(ray.exceptions.RayError):
        found |= resources()
    return f"{found['CPU']:.0f} free cores and {found['GPU']:.0f} free GPUs"
