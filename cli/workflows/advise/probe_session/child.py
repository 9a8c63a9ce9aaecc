"""The process of one probe that trains beside others.

It reports to its parent through a connection and writes to no database. Whatever the parent sends means that
it is to stop, and so does the end of the parent.
"""

from __future__ import annotations

import pickle
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from advisor.decision.probes.probing import Probe
from advisor.errors import AdvisorError, RunError
from advisor.plans.dataset import DatasetFacts
from advisor.plans.records import EpochRecord
from cli.workflows.advise.probe_session.images import read_images
from cli.workflows.advise.probe_session.training import ProbeResult, train_probe
from cli.workflows.forecast.pace import UsualPace
from cli.workflows.home import Home
from cli.workflows.views import Said
from trainer.execution.child import begin, busy
from trainer.execution.cluster.address import ClusterAddress


@dataclass(frozen=True, slots=True)
class Job:
    """What a process trains.

    Attributes:
        probe: the probe.
        folder: folder of its checkpoints and records.
        images: file of the session's images.
        whole: facts of these images.
        home: home of the data sets.
        cluster: cluster whose nodes train; None for this machine.
        usual: usual pace of this machine; None where it is not known.
    """

    probe: Probe
    folder: Path
    images: Path
    whole: DatasetFacts
    home: Home
    cluster: ClusterAddress | None
    usual: UsualPace | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The last message of a process.

    Attributes:
        result: result of the probe; None if it was stopped or failed.
        error: error that ended the training; None for none.
        seconds: time that training and evaluation took, seconds.
    """

    result: ProbeResult | None = None
    error: Exception | None = None
    seconds: float = 0.0


def train_for_parent(connection: Connection, environment: Mapping[str, str], job: Job) -> None:
    """Train a probe, tell the parent how it goes, and report the result.

    Args:
        connection: connection to the parent.
        environment: environment variables of the parent.
        job: what is trained.
    """
    began, terminated = time.monotonic(), begin(environment)

    def stop() -> bool:
        return terminated.is_set() or connection.poll()

    def say(said: Said) -> None:
        # The parent may be busy for seconds, and a full connection would let the training wait.
        light = replace(said, validation_probabilities=b"") if isinstance(said, EpochRecord) else said
        connection.send(light)

    # Sending fails when the parent is gone; there is nobody to report it to.
    with suppress(OSError), busy():
        try:
            data = read_images(job.images, job.whole, job.probe.plan.dataset)
            result = train_probe(job.probe, job.folder, job.home, data, say, stop, job.cluster, job.usual)
            report = Report(result, seconds=time.monotonic() - began)
        except Exception as error:
            report = Report(error=_sendable(error))
        connection.send(report)


def _sendable(error: Exception) -> Exception:
    """Return an error as another process can read it."""
    if not isinstance(error, AdvisorError):
        error.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RunError(f"a probe failed: {type(error).__name__}: {error}")
    return error
