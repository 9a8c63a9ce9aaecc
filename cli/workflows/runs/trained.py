"""The ensemble of a finished run, loaded to predict with it or to export it, and test sets for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from advisor.errors import RunError, StorageError, UsageError
from advisor.plans.dataset import FOLDER_PREFIX, DatasetFacts
from advisor.plans.records import Run, RunStatus, StepStatus
from cli.workflows.forecast.planning import with_data_at
from cli.workflows.home import Home
from cli.workflows.names import facts_of
from cli.workflows.runs.lookup import reading_store, run_id_of, stored_run
from cli.workflows.runs.own_data import data_of_run
from cli.workflows.views import Say
from profiler.device import choose_device
from trainer.data.damage import MEND
from trainer.data.folders import Looking
from trainer.data.loading import Data, find_facts, load_new_data
from trainer.ensembles.description import FILE, describe, write_description
from trainer.ensembles.ensemble import Ensemble, load, read_description
from trainer.ensembles.verify import require_plan

# Largest number of classes that a message names.
MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A run with its ensemble.

    Attributes:
        run: the run; its plan has the data folder where it lies now.
        ensemble: its ensemble, on the device that predicts.
        data: its data set, None where it did not have to be loaded yet.
    """

    run: Run
    ensemble: Ensemble
    data: Data | None

    def data_of(self, home: Home, download: bool) -> Data:
        """Return the data set of the run, which may be fetched if `download` is true."""
        return self.data or data_of_run(self.run, home, download=download)

    def test_data(self, dataset: str, home: Home, download: bool, say: Say) -> Data:
        """Return a data set whose test images the ensemble can classify.

        Args:
            dataset: name of the data set.
            home: home of the run.
            download: whether a missing data set may be fetched.
            say: receiver of what is peculiar about a data folder.

        Raises:
            UsageError: the data set has images of another shape, or other classes.
            DataError: the data set is missing.
        """
        own = self.run.plan.dataset
        facts = self._facts_to_test(dataset, home, say)
        if facts.key == own.key:
            place = None if facts.name == own.name else facts.name
            return replace(self, run=_at(self.run, place)).data_of(home, download)
        if facts.task != own.task:
            raise UsageError(
                f"{facts.name} has {facts.task.classes} classes of {facts.task.text} images, and run "
                f"{self.run.id} knows {own.task.classes} of {own.task.text}: choose a data set of its kind"
            )
        return self.labelled_alike(load_new_data(facts, home.data, download=download))

    def _facts_to_test(self, dataset: str, home: Home, say: Say) -> DatasetFacts:
        """Return the facts of a data set; the files of a folder are prepared as those of the run."""
        if not dataset.startswith(FOLDER_PREFIX):
            return facts_of(dataset)
        own = self.run.plan.dataset
        # The run fixes the preparation, so no option helps.
        looking = Looking(preparation=own.preparation_of_files, cache=home.headers, say=say, remedy=MEND)
        facts = find_facts(dataset, looking)
        return replace(facts, task=replace(facts.task, channels=own.task.channels))

    def labelled_alike(self, data: Data) -> Data:
        """Return test images with the labels that the run's data set has for their classes.

        Raises:
            UsageError: the names of the classes differ.
        """
        known = self.ensemble.description.classes
        if not known or not data.classes or data.classes == known:
            return data
        if set(data.classes) != set(known):
            strange, missing = (
                sorted(set(a) - set(b)) for a, b in ((data.classes, known), (known, data.classes))
            )
            raise UsageError(
                f"{data.facts.name} has the classes {_listed(strange)}, which run {self.run.id} does not "
                f"know, and lacks {_listed(missing)}: choose a data set with the classes of the run"
            )
        label_of = torch.tensor([known.index(name) for name in data.classes])
        labels = label_of[data.test.labels.long()].to(data.test.labels.dtype)
        return replace(data, test=replace(data.test, labels=labels), classes=known)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:MOST_NAMES])) + (" …" if len(names) > MOST_NAMES else "")


def _at(run: Run, dataset: str | None) -> Run:
    """Return a run whose plan has the data folder at the place where it lies now."""
    return replace(run, plan=with_data_at(run.plan, dataset))


def load_run(
    run: str, home: Home, say: Say, *, device: str | None, download: bool, moved_to: str | None = None
) -> TrainedRun:
    """Return a run with its ensemble, or with its finished members if others failed.

    A run of an older program has no description of its ensemble. Its description is written now, from its
    data set.

    Args:
        run: number of the run, or ``last``.
        home: home of the run.
        say: receiver of remarks, one line each.
        device: ``cpu`` or ``cuda``, None for the best there is.
        download: whether a missing data set may be fetched.
        moved_to: name of the folder in which the data of the run lie now; None for the same.

    Raises:
        UsageError: no such run.
        RunError: the run is not finished.
        DataError: the run has no description, and its data set is missing.
        StorageError: a file of the run is damaged.
    """
    number = run_id_of(run, home)
    with reading_store(home) as store:
        found = stored_run(store, home, number)
        ended = {record.step for record in store.steps(number) if record.status is StepStatus.DONE}
    members = _finished_members(found, ended)
    if members is not None:
        say(f"run {number}: {len(members)} of {len(found.plan.members)} members are finished and are asked")
    moved = _at(found, moved_to)
    folder, data = home.run_folder(found.folder), None
    _require_files(folder, number)
    require_plan(folder, found.plan)
    if not _is_described(folder):
        say(f"run {number}: its description is missing or damaged, and is made again from its data set")
        _require_writable(folder, number)
        data = data_of_run(moved, home, download=download)
        write_description(folder, describe(found.plan, data))
    return TrainedRun(moved, load(folder, choose_device(device), members=members, warn=say), data)


def _finished_members(run: Run, ended: set[str]) -> list[str] | None:
    """Return the names of the members of a partly failed run that are finished, None for all.

    Raises:
        RunError: the run is not finished.
    """
    if run.status is RunStatus.DONE:
        return None
    if run.status is not RunStatus.PARTIAL:
        raise RunError(
            f"run {run.id} is {run.status.value} and only a finished one predicts: "
            f"`advisor resume {run.id}` goes on with one that was stopped"
        )
    return [m.name for m in run.plan.members if run.plan.train_steps_of(m.name)[-1].id in ended]


def _is_described(folder: Path) -> bool:
    """Return whether the description in a run's folder is there and whole."""
    try:
        return (folder / FILE).exists() and bool(read_description(folder))
    except StorageError:
        return False


def _require_files(folder: Path, number: int) -> None:
    if not folder.is_dir():
        raise StorageError(
            f"run {number} has no networks, because {folder} does not exist: restore it from a copy, or "
            f"delete the run (`advisor runs delete {number}`)"
        )


def _require_writable(folder: Path, number: int) -> None:
    if not os.access(folder, os.W_OK):
        raise StorageError(
            f"run {number} needs a description in {folder}, whose home is read-only: copy the home to a "
            "writable folder, and name that with --home"
        )
