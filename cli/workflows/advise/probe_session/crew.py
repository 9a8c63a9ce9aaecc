"""Probes that train side by side, each in a process of its own; this process shows and keeps what they find.

A process that is killed costs its probe and no other. When the session stops, all of them are asked to stop,
and killed if they do not. They end with this process, whatever ends it.
"""

from __future__ import annotations

import multiprocessing.connection
import os
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType

from advisor.decision.probes.probing import Probe
from advisor.spawning import apart_from_caller
from cli.workflows.advise.probe_session.child import Job, Report, train_for_parent
from cli.workflows.advise.probe_session.images import write_images
from cli.workflows.advise.probe_session.places import Places
from cli.workflows.forecast.measuring_session import MEMORY_SHARE, PROCESS_BYTES
from cli.workflows.forecast.pace import UsualPace
from cli.workflows.home import Home
from cli.workflows.locks import temporary_folder
from cli.workflows.views import OneOfSeveral, Say
from profiler.capacity import free_bytes
from trainer.data.loading import Data
from trainer.execution.child import POLL_SECONDS, TERMINATION_SECONDS, TRANSFER_SECONDS
from trainer.execution.cluster.address import ClusterAddress
from trainer.execution.preloading import worker_context

# Seconds that the first process may take to start: it is a copy of one that imports torch first. Chosen.
STARTING_SECONDS = 5.0
# Modules that every process needs, beside those of every worker.
IMPORTED = ("cli.workflows.advise.probe_session.child",)


@dataclass(eq=False)
class Member:
    """A probe and its process.

    Attributes:
        number: number of the probe in its session.
        probe: the probe.
        began: when it began, by the monotonic clock, seconds.
        folder: folder of its checkpoints and records, which `close` removes.
        report: what its process reported at its end.
    """

    number: int
    probe: Probe
    began: float
    folder: Path
    process: BaseProcess
    connection: Connection
    resources: ExitStack
    report: Report = field(default_factory=Report)

    def close(self) -> None:
        """End the process, and remove its folder if it is still there."""
        self.process.join(TRANSFER_SECONDS)
        self.process.kill()
        self.process.join()
        self.connection.close()
        self.resources.close()


class Crew:
    """The processes of the probes that train at the same time.

    Args:
        places: what probes can train on.
        home: home of the data sets and of the probes' checkpoints.
        data: images to train on.
        say: receiver of progress.
        cluster: cluster whose nodes train; None for this machine.
        usual: usual pace of this machine; None where it is not known.

    Attributes:
        members: probes that train, in the order of their beginning.
        begun: number of probes that began.
    """

    def __init__(
        self,
        places: Places,
        home: Home,
        data: Data,
        say: Say,
        cluster: ClusterAddress | None,
        usual: UsualPace | None = None,
    ) -> None:
        # Other probes train beside each.
        self.usual = None if usual is None else usual.beside(places.most)
        self.places, self.home, self.data, self.say, self.cluster = places, home, data, say, cluster
        self.members: list[Member] = []
        self.begun = 0
        self._halted_at: float | None = None
        self._resources = ExitStack()
        self._images: Path | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._resources:
            while self.members:
                for member in self.wait(lambda: True):
                    member.close()

    @property
    def running(self) -> list[Probe]:
        """Probes that train, in the order of their beginning."""
        return [member.probe for member in self.members]

    @property
    def has_room(self) -> bool:
        """Whether another probe can begin."""
        return self.places.have_room([probe.plan for probe in self.running])

    def is_worth(self, probe: Probe) -> bool:
        """Return whether a process for a probe is worth its start; the first waits for imports."""
        return self.begun > 0 or probe.seconds.mean > STARTING_SECONDS

    def has_memory(self, probe: Probe) -> bool:
        """Return whether a probe fits the free memory beside those that train; the first is tried anyway."""
        if not self.members or self.cluster is not None:
            return True
        return PROCESS_BYTES + probe.peak_bytes <= MEMORY_SHARE * free_bytes("cpu")

    def begin(self, probe: Probe, number: int) -> None:
        """Let a process train a probe.

        Args:
            probe: the probe.
            number: its number in the session, for messages.

        Raises:
            StorageError: the operating system refuses a folder.
        """
        with ExitStack() as resources:
            folder = resources.enter_context(temporary_folder(self.home.probes))
            context = worker_context(IMPORTED)
            ours, theirs = context.Pipe()
            images, facts = self._file_of_images(), self.data.facts
            job = Job(probe, folder, images, facts, self.home, self.cluster, self.usual)
            process = context.Process(
                target=train_for_parent, args=(theirs, dict(os.environ), job), daemon=True
            )
            with apart_from_caller():
                process.start()
            # Its end is seen as the end of what it sends.
            theirs.close()
            self.begun = number
            began = time.monotonic()
            self.members.append(Member(number, probe, began, folder, process, ours, resources.pop_all()))

    def wait(self, stop: Callable[[], bool]) -> list[Member]:
        """Show what the processes tell until a probe ends; return those that ended, which are to be closed.

        Args:
            stop: question whether to stop; after the first yes, all probes are asked to end.
        """
        ended: list[Member] = []
        while self.members and not ended:
            if stop():
                self._halt()
            ended = self.look(POLL_SECONDS)
        return ended

    def look(self, seconds: float = 0.0) -> list[Member]:
        """Show what the processes have told, and return the probes that ended, which are to be closed.

        Args:
            seconds: longest wait for a message.
        """
        before = self.members
        while self.members and (
            ready := multiprocessing.connection.wait([m.connection for m in self.members], seconds)
        ):
            self.members = [m for m in self.members if m.connection not in ready or not self._has_ended(m)]
            seconds = 0.0
        return [member for member in before if member not in self.members]

    def _file_of_images(self) -> Path:
        if self._images is None:
            folder = self._resources.enter_context(temporary_folder(self.home.probes))
            self._images = write_images(self.data, folder)
        return self._images

    def _has_ended(self, member: Member) -> bool:
        """Read a message of a process; return whether it was the last one."""
        label = f"probe {member.number}"
        try:
            message = member.connection.recv()
        except (EOFError, OSError):
            if self._halted_at is None:
                self.say(f"{label}: its process was killed, perhaps for want of memory; it teaches nothing")
            return True
        if isinstance(message, Report):
            member.report = message
            return True
        self.say(f"{label}: {message}" if isinstance(message, str) else OneOfSeveral(label, message))
        return False

    def _halt(self) -> None:
        """Ask all processes to stop, and kill those that take too long."""
        if self._halted_at is None:
            self._halted_at = time.monotonic()
            for member in self.members:
                with suppress(OSError):
                    member.connection.send("stop")
        elif time.monotonic() > self._halted_at + TERMINATION_SECONDS:
            for member in self.members:
                member.process.kill()
