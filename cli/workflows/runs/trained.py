"""The ensemble of a finished run, loaded to predict with it or to export it, and test sets for it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from advisor.errors import RunError, StorageError, UsageError
from advisor.plans.records import Run, RunStatus, StepStatus
from cli.workflows.home import Home
from cli.workflows.names import facts_of
from cli.workflows.runs.lookup import reading_store, run_id_of, stored_run
from cli.workflows.views import Say
from profiler.device import choose_device
from trainer.data.loading import Data, load_data
from trainer.ensembles.description import FILE, describe, write_description
from trainer.ensembles.ensemble import Ensemble, load, read_description
from trainer.ensembles.verify import require_plan


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A run with its ensemble.

    Attributes:
        run: the run.
        ensemble: its ensemble, on the device that predicts.
        data: its data set, None where it did not have to be loaded yet.
    """

    run: Run
    ensemble: Ensemble
    data: Data | None

    def data_of(self, home: Home, download: bool) -> Data:
        """Return the data set of the run, which may be fetched if `download` is true."""
        return self.data or load_data(self.run.plan.dataset, home.data, download=download)

    def test_data(self, dataset: str | None, home: Home, download: bool) -> Data:
        """Return a data set whose test images the ensemble can classify.

        Args:
            dataset: name of the data set, None for the run's own.
            home: home of the run.
            download: whether a missing data set may be fetched.

        Raises:
            UsageError: the data set has images of another shape, or other classes.
            DataError: the data set is missing.
        """
        own = self.run.plan.dataset
        if dataset is None or dataset == own.name:
            return self.data_of(home, download)
        facts = facts_of(dataset)
        if facts == own:
            return self.data_of(home, download)
        if facts.task != own.task:
            raise UsageError(
                f"{facts.name} has {facts.task.classes} classes of {facts.task.text} images, and run "
                f"{self.run.id} knows {own.task.classes} of {own.task.text}: choose a data set of its kind"
            )
        return self.labelled_alike(load_data(facts, home.data, download=download))

    def labelled_alike(self, data: Data) -> Data:
        """Return test images with the labels that the run's data set has for their classes.

        Raises:
            UsageError: the names of the classes differ.
        """
        known = self.ensemble.description.classes
        if not known or not data.classes or data.classes == known:
            return data
        if set(data.classes) != set(known):
            strange = sorted(set(data.classes) - set(known))
            raise UsageError(
                f"{data.facts.name} has classes that run {self.run.id} does not know, such as {strange[0]!r}"
                f"; it knows {', '.join(known[:3])} …"
            )
        label_of = torch.tensor([known.index(name) for name in data.classes])
        labels = label_of[data.test.labels.long()].to(data.test.labels.dtype)
        return replace(data, test=replace(data.test, labels=labels), classes=known)


def load_run(run: str, home: Home, say: Say, *, device: str | None, download: bool) -> TrainedRun:
    """Return a run with its ensemble, or with its finished members if others failed.

    A run of an older program has no description of its ensemble. Its description is written now, from its
    data set.

    Args:
        run: number of the run, or ``last``.
        home: home of the run.
        say: receiver of remarks, one line each.
        device: ``cpu`` or ``cuda``, None for the best there is.
        download: whether a missing data set may be fetched.

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
    folder, data = home.run_folder(found.folder), None
    require_plan(folder, found.plan)
    if not _is_described(folder):
        say(f"run {number}: its description is missing or damaged, and is made again from its data set")
        _require_writable(folder, number)
        data = load_data(found.plan.dataset, home.data, download=download)
        write_description(folder, describe(found.plan, data))
    return TrainedRun(found, load(folder, choose_device(device), members=members, warn=say), data)


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


def _require_writable(folder: Path, number: int) -> None:
    if not os.access(folder, os.W_OK):
        raise StorageError(
            f"run {number} needs a description in {folder}, whose home is read-only: copy the home to a "
            "writable folder, and name that with --home"
        )
