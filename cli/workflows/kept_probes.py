"""Trained networks of probes that are kept: `advisor train` of the same plan continues from them.

A probe that trained what a request asks about leaves its networks in ``probes/kept/DIGEST`` below the home.
The digest is that of its plan without the number of processes and the expected epochs, which change no
weight, and with the identity of the data instead of the place of their folder. The folder has the form of a
run's (checkpoints, and records of epochs and steps that no database has stored), and a file that describes
the probe. A folder appears and disappears as a whole, by renaming.

At most `KEPT_PROBES` are kept, and `KEPT_BYTES`; the oldest go first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from advisor.accuracy.at_hand import AtHand
from advisor.accuracy.sources.reported import ReportedTraining
from advisor.errors import StorageError
from advisor.files import read_regular
from advisor.plans.convergence.expectation import without_expected_epochs
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from advisor.serial import from_plain, to_plain
from cli.workflows.home import Home
from cli.workflows.locks import make_folder
from cli.workflows.views import Say
from trainer.ensembles.verify import problems_of_run
from trainer.execution.outbox import UNSTORED, Outbox
from trainer.run_files import NETWORKS, network_folder
from trainer.training.checkpoint import load_checkpoint, write_durably

# Enough for the leading designs of several requests. A network of a million parameters takes 16 MB: two
# checkpoints, each with weights and momentum.
KEPT_PROBES, KEPT_BYTES = 8, 2**30
# Name of the description in the folder of a kept probe, and its largest size in bytes.
FILE, LARGEST = "probe.json", 64 * 2**20
_DAMAGE = (OSError, ValueError, TypeError, LookupError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptProbe:
    """A finished probe whose networks are kept.

    Attributes:
        plan: plan of the training.
        training: what the database has of it.
        trained_at: end of the training in UTC, ISO 8601.
        seconds: wall-clock time of the training.
        disturbed: whether the machine was busy meanwhile, so that its seconds are no evidence.
    """

    plan: TrainingPlan
    training: ReportedTraining
    trained_at: str
    seconds: float
    disturbed: bool = False


def digest_of(plan: TrainingPlan) -> str:
    """Return a text that is equal for plans that end with the same weights on a CPU."""
    plain = to_plain(_comparable(plan))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:32]


def _comparable(plan: TrainingPlan) -> TrainingPlan:
    data = replace(plan.dataset, name=plan.dataset.key)
    alone = replace(plan.execution, processes=1)
    return replace(without_expected_epochs(plan), dataset=data, execution=alone)


def folder_of(home: Home, plan: TrainingPlan) -> Path:
    """Return the folder in which the networks of a plan's probe are kept, if any are."""
    return home.kept_probes / digest_of(plan)


def keep(folder: Path, kept: KeptProbe, home: Home) -> None:
    """Keep the folder of a finished probe, and delete the oldest ones above the limits.

    Args:
        folder: folder of the training, below the home; it is moved.
        kept: description of the probe.
        home: home of the kept probes.

    Raises:
        StorageError: the disk refuses; the networks are not kept then.
    """
    target = folder_of(home, kept.plan)
    try:
        write_durably(folder / FILE, json.dumps(to_plain(kept)).encode())
        make_folder(home.kept_probes)
        _remove(target)
        folder.rename(target)
    except OSError as error:
        raise StorageError(f"the networks of the probe cannot be kept: {error.strerror}") from None
    _limit(home)


def kept_probes(home: Home) -> list[KeptProbe]:
    """Return the probes whose networks are kept, the newest first; damaged descriptions are left out."""
    return [kept for _, kept in _found(home)]


def forget(home: Home, trainings: Collection[ReportedTraining]) -> None:
    """Delete the networks of probes.

    Args:
        home: home of the kept probes.
        trainings: what the database has of the probes.

    Raises:
        StorageError: the disk refuses.
    """
    for folder, kept in _found(home):
        if kept.training in trainings:
            try:
                _remove(folder)
            except OSError as error:
                raise StorageError(f"cannot delete {folder}: {error.strerror}") from None


def known_of(kept: KeptProbe) -> AtHand:
    """Return what kept networks showed on validation images, which are the test images of a stored probe."""
    return AtHand(kept.training.error, kept.training.test_images)


def probe_of(home: Home, plan: TrainingPlan) -> KeptProbe | None:
    """Return the probe that trained the networks of a plan, by its description; None if there is none."""
    wanted = digest_of(plan)
    return next((kept for folder, kept in _found(home) if folder.name == wanted), None)


def usable_probe(home: Home, plan: TrainingPlan, say: Say) -> KeptProbe | None:
    """Return the probe whose networks are those of a plan; None if there is none that can be used.

    Args:
        home: home of the kept probes.
        plan: plan that is about to be trained.
        say: receiver of one line where a probe's networks are damaged, or of other contents of the data.
    """
    wanted = digest_of(plan)
    for folder, kept in _found(home):
        when = f"the networks that a probe trained on {kept.trained_at[:10]} are not used"
        if folder.name == wanted:
            if problem := _problem(folder, kept.plan):
                say(f"{when}, and are trained again: {problem}")
                return None
            return kept
        if _differs_in_data_only(kept.plan, plan):
            say(f"{when}: {plan.dataset.name} had other contents then")
    return None


def _differs_in_data_only(kept: TrainingPlan, plan: TrainingPlan) -> bool:
    same_place = kept.dataset.name == plan.dataset.name and kept.dataset.key != plan.dataset.key
    return same_place and _comparable(replace(kept, dataset=plan.dataset)) == _comparable(plan)


def take(home: Home, plan: TrainingPlan, run: Path) -> bool:
    """Move the networks and records of a kept probe into the folder of a run.

    Records go first: without their networks they are those of epochs that are trained again.

    Args:
        home: home of the kept probes.
        plan: plan of the run.
        run: folder of the run, without networks and records.

    Returns:
        Whether they were there; another process may have taken or deleted them.

    Raises:
        StorageError: the disk refuses.
    """
    kept = folder_of(home, plan)
    try:
        for part in (UNSTORED, NETWORKS):
            (kept / part).rename(run / part)
        _remove(kept)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"cannot move the networks of a probe to {run}: {error.strerror}") from None
    return True


def _found(home: Home) -> list[tuple[Path, KeptProbe]]:
    """Return folders and descriptions of the kept probes, the newest first."""
    read = ((folder, _read(folder)) for folder in _folders(home))
    found = [(folder, kept) for folder, kept in read if kept is not None]
    return sorted(found, key=lambda each: (each[1].trained_at, each[0].name), reverse=True)


def _folders(home: Home) -> list[Path]:
    try:
        return sorted(path for path in home.kept_probes.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def _read(folder: Path) -> KeptProbe | None:
    """Return the description of a kept probe; None if it is missing, damaged or of another folder."""
    try:
        kept = from_plain(KeptProbe, json.loads(read_regular(folder / FILE, LARGEST)))
    except _DAMAGE:
        return None
    return kept if digest_of(kept.plan) == folder.name else None


def _problem(folder: Path, plan: TrainingPlan) -> str | None:
    """Return one defect of the networks and records of a kept probe; None if there is none."""
    problem = next(problems_of_run(folder, plan, {step.id for step in plan.steps}), None)
    return problem or next(_missing_records(folder, plan), None)


def _missing_records(folder: Path, plan: TrainingPlan) -> Iterator[str]:
    records = Outbox(folder, plan).records()
    done = {r.step for r in records if isinstance(r, StepRecord) and r.status is StepStatus.DONE}
    epochs = {(r.step, r.epoch) for r in records if isinstance(r, EpochRecord)}
    yield from (f"the record of {step.id} is missing" for step in plan.steps if step.id not in done)
    for network in plan.built:
        checkpoint = load_checkpoint(network_folder(folder, network.name), lambda text: None)
        progress = None if checkpoint is None else checkpoint.progress
        for epoch in range(0 if progress is None else progress.epoch):
            if progress is not None and (progress.step, epoch) not in epochs:
                yield f"the record of epoch {epoch + 1} of {network.name} is missing"


def _limit(home: Home) -> None:
    """Delete the oldest kept probes above the limits, and what cannot be read."""
    found = _found(home)
    known = {folder for folder, _ in found}
    left = KEPT_BYTES
    for number, (folder, _) in enumerate(found):
        left -= _bytes_of(folder)
        if number >= KEPT_PROBES or left < 0:
            with suppress(OSError):
                _remove(folder)
    for folder in _folders(home):
        if folder not in known:
            with suppress(OSError):
                _remove(folder)
    # Left over from killed processes.
    for hidden in home.kept_probes.glob(".*"):
        shutil.rmtree(hidden, ignore_errors=True)


def _bytes_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def _remove(folder: Path) -> None:
    """Delete a folder, under another name first, so that nobody takes half of it; a missing one is passed.

    Raises:
        OSError: the disk refuses.
    """
    hidden = folder.with_name(f".{folder.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        folder.rename(hidden)
    except FileNotFoundError:
        return
    shutil.rmtree(hidden, ignore_errors=True)
