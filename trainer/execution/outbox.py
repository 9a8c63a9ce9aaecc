"""Records that a run has not stored yet: they lie in its folder until whoever stores them says so.

The process that trains writes the record of an epoch here before it tells it, and before the epoch's
checkpoint. The process that stores records removes it once it is stored. A process may be killed in between,
or the database may be locked for minutes. The records of all epochs that have a checkpoint are then here or
in the database, and resuming the run stores those that are here.

Files are renamed into place. They are not flushed to the disk as checkpoints are: a power failure costs a
record only if the database was locked as well, and never any training.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from advisor.errors import StorageError
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import EpochRecord, StepRecord
from advisor.serial import from_plain, to_plain

# Folder of the records in the folder of a run.
UNSTORED = "unstored"

Record = EpochRecord | StepRecord
_DAMAGE = (OSError, ValueError, TypeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Outbox:
    """Records of a run that are not stored yet.

    Attributes:
        run: folder of the run.
        plan: plan of the run.
    """

    run: Path
    plan: TrainingPlan

    def put(self, record: Record) -> None:
        """Keep a record until it is removed; it replaces one of the same epoch or step.

        Raises:
            StorageError: the disk refuses.
        """
        path = self._path(record)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(to_plain(record)))
            temporary.replace(path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise StorageError(
                f"cannot write a record to {path.parent}: {error.strerror}; make room and resume"
            ) from None

    def remove(self, record: Record) -> None:
        """Forget a record that is stored; one that is not here is ignored."""
        # If the disk refuses, it is stored again when the run is resumed, which changes nothing.
        with suppress(OSError):
            self._path(record).unlink()

    def records(self) -> list[Record]:
        """Return the records in the order of the plan's steps and their epochs; damaged ones are left out."""
        found: list[Record] = []
        for path in sorted((self.run / UNSTORED).glob("*.json")):
            try:
                record = _read(path)
                if self._path(record) == path:
                    found.append(record)
            except _DAMAGE:
                continue
        return found

    def close(self) -> None:
        """Remove the folder, unless records are left in it."""
        with suppress(OSError):
            (self.run / UNSTORED).rmdir()

    def _path(self, record: Record) -> Path:
        """Return the file of a record; names sort by step and epoch, the record of the step last.

        Raises:
            ValueError: the plan has no such step.
        """
        number = [step.id for step in self.plan.steps].index(record.step)
        if isinstance(record, EpochRecord):
            return self.run / UNSTORED / f"{number:04d}.{record.epoch:06d}.epoch.json"
        return self.run / UNSTORED / f"{number:04d}.step.json"


def _read(path: Path) -> Record:
    plain = json.loads(path.read_text())
    if path.name.endswith(".epoch.json"):
        return from_plain(EpochRecord, plain)
    return from_plain(StepRecord, plain)
