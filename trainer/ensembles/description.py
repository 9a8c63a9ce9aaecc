"""Description of a trained ensemble: the JSON that stands beside its weights in run folders and exports.

Every answer of the ensemble depends on it: one digit of the normalisation changes them all. So it has a
SHA-256 of itself, which is verified wherever it is read.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.errors import PlanError, StorageError, UsageError
from advisor.names import check_line
from advisor.plans.plan import TrainingPlan, plan_from_json
from advisor.serial import MalformedError, from_plain, to_plain
from trainer.data.loading import Data
from trainer.training.checkpoint import write_durably

# 2: with a checksum. Descriptions of older runs have none.
SCHEMA_VERSION = 2
CHECKSUM = "sha256"
# Name of the description in the folder of a run.
FILE = "ensemble.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """Networks and members of a trained ensemble, their task, and the normalisation of images.

    Attributes:
        schema_version: version of the JSON.
        plan: plan of the run.
        mean, deviation: mean and standard deviation of the training pixels between 0 and 1, one a channel.
        classes: names of the classes by label, empty if they have none.
    """

    schema_version: int = SCHEMA_VERSION
    plan: TrainingPlan
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        task = self.plan.dataset.task
        if not len(self.mean) == len(self.deviation) == task.channels:
            raise PlanError(f"mean and deviation must have {task.channels} figures, one a channel")
        if not all(figure > 0 for figure in self.deviation):
            raise PlanError("deviations must be positive")
        if len(self.classes) not in (0, task.classes):
            raise PlanError(f"{len(self.classes)} names were given to {task.classes} classes")
        if len(set(self.classes)) != len(self.classes):
            raise PlanError("two classes have one name")
        for name in self.classes:
            check_line("class", name)

    def name_of(self, label: int) -> str:
        """Return the name of a class, or its number if it has no name."""
        return self.classes[label] if self.classes else str(label)


def describe(plan: TrainingPlan, data: Data) -> Description:
    """Return the description of a run.

    Args:
        plan: plan of the run.
        data: data set that it trains on.
    """
    return Description(
        plan=plan,
        mean=tuple(data.mean.tolist()),
        deviation=tuple(data.deviation.tolist()),
        classes=data.classes,
    )


def write_description(folder: Path, description: Description) -> None:
    """Write a description into the folder of a run.

    Args:
        folder: folder of the run, created if it is missing.
        description: description to write.

    Raises:
        StorageError: the disk refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(folder / FILE, description_to_json(description).encode())
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}") from None


def description_to_json(description: Description) -> str:
    """Return a description as JSON, with its checksum."""
    plain = to_plain(description)
    return json.dumps(plain | {CHECKSUM: _checksum(plain)}, indent=2) + "\n"


def _checksum(plain: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def description_from_json(text: str, where: Path) -> Description:
    """Read what `description_to_json` wrote.

    Args:
        text: JSON of a description.
        where: origin of the text, for messages.

    Raises:
        StorageError: the text is damaged or has a newer schema.
    """
    try:
        plain = json.loads(text)
        version = plain["schema_version"]
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise StorageError(
                f"{where} has schema {version} and this program reads up to {SCHEMA_VERSION}: upgrade advisor"
            )
        stored = plain.pop(CHECKSUM, None)
        if (stored is not None or version > 1) and stored != _checksum(plain):
            raise ValueError("wrong checksum")
        # This reader distinguishes a newer plan from a damaged one.
        plan_from_json(json.dumps(plain["plan"]))
        return from_plain(Description, plain)
    except (
        ValueError,
        LookupError,
        TypeError,
        RecursionError,
        MalformedError,
        PlanError,
        UsageError,
    ) as error:
        raise StorageError(f"the description of the ensemble in {where} is damaged: {error}") from None
