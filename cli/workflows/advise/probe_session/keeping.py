"""What is kept of a finished probe: a row of the database, and the networks of what a request asks about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from advisor.decision.probes.probing import Probe
from advisor.errors import StorageError
from cli.workflows.advise.probe_evidence import reported_probe
from cli.workflows.advise.probe_session.training import ProbeResult
from cli.workflows.clock import now
from cli.workflows.forecast.probe_source import source_of
from cli.workflows.home import Home
from cli.workflows.kept_probes import KeptProbe, keep
from cli.workflows.patience import patiently
from cli.workflows.views import Say
from db.queries import Store


def keep_outcome(
    chosen: Probe,
    result: ProbeResult,
    seconds: float,
    folder: Path,
    *,
    store: Store,
    home: Home,
    say: Say,
    stop: Callable[[], bool],
) -> None:
    """Store what a probe taught, and keep its networks if they are what the request asks about.

    Args:
        chosen: probe as it was chosen.
        result: its result.
        seconds: time that it took, seconds.
        folder: folder of its networks; it is moved where they are kept.
        store: database that the probe is added to.
        home: home of the kept probes.
        say: receiver of one line where the networks cannot be kept.
        stop: question whether the program was asked to stop; then no locked database is waited for.

    Raises:
        StorageError: the database refuses.
    """
    training = reported_probe(chosen.plan, result.error, result.members, result.curve)
    patiently(lambda: store.add_reported([training], source=source_of(seconds), imported_at=now()), say, stop)
    if not chosen.full:
        return
    kept = KeptProbe(
        plan=chosen.plan,
        training=training,
        trained_at=now(),
        seconds=result.train_seconds,
        disturbed=result.disturbed,
    )
    try:
        keep(folder, kept, home)
    except StorageError as error:
        # What it taught is stored, and `advisor train` trains the networks again.
        say(str(error))
