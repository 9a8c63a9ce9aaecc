"""`advisor predict`: what a trained ensemble says of images, or how wrong it is on a test set."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from advisor.errors import DataError, PartialRunError, RunError, StorageError, UsageError
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import Run, RunStatus, StepStatus
from cli.workflows.files import check_csv, csv_file, write_file
from cli.workflows.home import SCHEMA_VERSION, Home
from cli.workflows.names import facts_of
from cli.workflows.runs.queries import existing_store, run_id_of, stored_run
from cli.workflows.views import Say
from profiler.device import choose_device
from trainer.data.images import read_fitted
from trainer.data.loading import Data, load_data
from trainer.ensembles.description import FILE, describe, write_description
from trainer.ensembles.ensemble import Ensemble, load, predicted, read_description

# Of the CSV file, as errors name it.
CONTENT = "the answers"
CSV_COLUMNS = (
    "image",
    "label",
    "class",
    "name",
    "probability",
    "second_class",
    "second_name",
    "second_probability",
    "agree",
    "members",
)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictRequest:
    """Whom to ask about what, and how the result is wanted.

    Attributes:
        run: its number, or ``last``.
        images: files to classify.
        dataset: whose test set to classify, by name; None for none.
        test: whether to classify the test set of the run's own data.
        device: ``cpu`` or ``cuda``, None for what there is.
        csv: file for a row an image, ``-`` for stdout, None for none.
        as_json: whether stdout is taken by JSON.
        download: whether a missing data set may be fetched.
    """

    run: str
    images: Sequence[Path] = ()
    dataset: str | None = None
    test: bool = False
    device: str | None = None
    csv: str | None = None
    as_json: bool = False
    download: bool = False


@dataclass(frozen=True, slots=True)
class Trained:
    """A run with its ensemble, ready to predict, and its data where they had to be loaded."""

    run: Run
    ensemble: Ensemble
    data: Data | None

    def data_of(self, home: Home, download: bool) -> Data:
        """Return the data set of the run."""
        return self.data or load_data(self.run.plan.dataset, home.data, download=download)


def predict(request: PredictRequest, home: Home, say: Say, complain: Callable[[str], None]) -> dict[str, Any]:
    """Classify images and return the answers as plain JSON, with rows for `rows_as_csv`.

    Args:
        request: whom to ask about what.
        home: of the run.
        say: told of what goes another way than expected.
        complain: told of every image that cannot be read, one line each.

    Raises:
        UsageError: the request names no images, two kinds of them, or another kind of data.
        DataError: no image could be read, or the data set is missing.
        RunError: the run has no finished ensemble.
        StorageError: a file of the run is damaged, or the CSV file cannot be written.
    """
    _check(request)
    trained = load_run(request.run, home, say, device=request.device, download=request.download)
    if request.images:
        payload = _of_files(trained, request.images, complain)
    else:
        payload = _of_test_set(trained, request, home)
    file = csv_file(request.csv)
    if file is not None:
        write_file(file, CONTENT, rows_as_csv(payload))
    return payload


def load_run(run: str, home: Home, say: Say, *, device: str | None, download: bool) -> Trained:
    """Return a run's ensemble; of a run in which some members failed, the others.

    A run that was trained before runs described themselves is described now, from its data set.

    Raises:
        UsageError: no such run.
        RunError: it is not finished.
        DataError: it has no description, and its data set is missing.
        StorageError: a file of the run is damaged.
    """
    number = run_id_of(run, home)
    with existing_store(home) as store:
        found = stored_run(store, home, number)
        ended = {record.step for record in store.steps(number) if record.status is StepStatus.DONE}
    folder, data = home.run_folder(found.folder), None
    members = None
    if found.status is RunStatus.PARTIAL:
        every = [m.name for m in found.plan.members]
        members = [name for name in every if found.plan.train_steps_of(name)[-1].id in ended]
        say(f"run {number}: {len(members)} of {len(every)} members are finished and are asked")
    elif found.status is not RunStatus.DONE:
        raise RunError(
            f"run {number} is {found.status.value} and only a finished one predicts: "
            f"`advisor resume {number}` goes on with one that was stopped"
        )
    if not _is_described(folder, found.plan):
        data = load_data(found.plan.dataset, home.data, download=download)
        write_description(folder, describe(found.plan, data))
    return Trained(found, load(folder, choose_device(device), members=members, warn=say), data)


def rows_as_csv(payload: dict[str, Any]) -> str:
    """Return a row an image; the label is empty where it is not known, names where classes have none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in payload["rows"]:
        second = {f"second_{key}": value for key, value in row["second"].items()}
        writer.writerow(row | second | {"members": payload["members"]})
    return text.getvalue()


def check_read(payload: dict[str, Any]) -> None:
    """Raise if images could not be read, after the answers about the others were shown.

    Raises:
        PartialRunError: some images could not be read.
    """
    unread = len(payload.get("unread", ()))
    if unread:
        raise PartialRunError(f"{unread} of {unread + len(payload['rows'])} images could not be read")


def _is_described(folder: Path, plan: TrainingPlan) -> bool:
    """Whether the description in a run's folder is whole, and of the plan that the database has."""
    try:
        return (folder / FILE).exists() and read_description(folder).plan == plan
    except StorageError:
        return False


def _check(request: PredictRequest) -> None:
    asked = sum((bool(request.images), request.dataset is not None, request.test))
    if asked != 1:
        raise UsageError(
            "predict takes one of images, --dataset NAME and --test, "
            f"got {'none' if not asked else 'several'} of them"
        )
    check_csv(request.csv, CONTENT, as_json=request.as_json)


def _of_files(trained: Trained, paths: Sequence[Path], complain: Callable[[str], None]) -> dict[str, Any]:
    task = trained.run.plan.dataset.task
    read: dict[Path, NDArray[np.uint8]] = {}
    unread: list[dict[str, str]] = []
    for path in dict.fromkeys(paths):
        try:
            read[path] = read_fitted(path, task)
        except DataError as error:
            unread.append({"image": str(path), "message": str(error)})
    if not read and len(unread) == 1:
        raise DataError(unread[0]["message"])
    for problem in unread:
        complain(problem["message"])
    if not read:
        raise DataError(f"none of {len(unread)} images could be read")
    images = torch.from_numpy(np.stack(list(read.values())))
    probabilities = predicted(trained.ensemble, images, trained.run.plan.batch)
    names = [str(path) for path in read]
    return _described(trained, _rows(trained, probabilities, names, None)) | {"unread": unread}


def _of_test_set(trained: Trained, request: PredictRequest, home: Home) -> dict[str, Any]:
    data = _test_data(trained, request, home)
    probabilities = predicted(trained.ensemble, data.test.images, trained.run.plan.batch)
    labels = data.test.labels.numpy()
    rows = _rows(trained, probabilities, [str(i) for i in range(len(labels))], data.test.labels)
    answers = probabilities.argmax(axis=2)
    return _described(trained, rows) | {
        "dataset": data.facts.name,
        "images": len(labels),
        "test_error": sum(row["class"] != row["label"] for row in rows) / len(rows),
        "member_errors": [float(e) for e in (answers != labels).mean(axis=1)],
    }


def _test_data(trained: Trained, request: PredictRequest, home: Home) -> Data:
    own = trained.run.plan.dataset
    if request.dataset is None or request.dataset == own.name:
        return trained.data_of(home, request.download)
    facts = facts_of(request.dataset)
    if facts == own:
        return trained.data_of(home, request.download)
    if facts.task != own.task:
        raise UsageError(
            f"{facts.name} has {facts.task.classes} classes of {facts.task.text} images, and run "
            f"{trained.run.id} knows {own.task.classes} of {own.task.text}: choose a data set of its kind"
        )
    data = load_data(facts, home.data, download=request.download)
    return _labelled_alike(data, trained)


def _labelled_alike(data: Data, trained: Trained) -> Data:
    """Return test images with the labels that the run's data set has for their classes.

    Raises:
        UsageError: other classes, by their names.
    """
    known = trained.ensemble.description.classes
    if not known or not data.classes or data.classes == known:
        return data
    if set(data.classes) != set(known):
        strange = sorted(set(data.classes) - set(known))
        raise UsageError(
            f"{data.facts.name} has classes that run {trained.run.id} does not know, such as {strange[0]!r}; "
            f"it knows {', '.join(known[:3])} …"
        )
    label_of = torch.tensor([known.index(name) for name in data.classes])
    labels = label_of[data.test.labels.long()].to(data.test.labels.dtype)
    return replace(data, test=replace(data.test, labels=labels), classes=known)


def _described(trained: Trained, rows: list[Row]) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "run": trained.run.id,
        "design": trained.run.plan.design,
        "members": len(trained.ensemble.members),
        "rows": rows,
    }


def _rows(
    trained: Trained, probabilities: NDArray[np.float32], names: Sequence[str], labels: Tensor | None
) -> list[Row]:
    """One answer an image, from members' probabilities (members, images, classes)."""
    mean = probabilities.mean(axis=0, dtype=np.float64)  # (images, classes)
    best, second = np.argsort(-mean, axis=1, kind="stable")[:, :2].T
    agree = (probabilities.argmax(axis=2) == best).sum(axis=0)
    rows = []
    for i, name in enumerate(names):
        label = {} if labels is None else {"label": int(labels[i])}
        rows.append(
            {"image": name}
            | label
            | _answer(trained, mean[i], int(best[i]))
            | {"second": _answer(trained, mean[i], int(second[i])), "agree": int(agree[i])}
        )
    return rows


def _answer(trained: Trained, probabilities: NDArray[np.float64], label: int) -> Row:
    classes = trained.ensemble.description.classes
    name = classes[label] if classes else None
    return {"class": label, "name": name, "probability": float(probabilities[label])}
