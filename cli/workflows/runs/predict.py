"""`advisor predict`: classes that a trained ensemble gives images, or its error on a test set."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from advisor.errors import DataError, PartialRunError, UsageError
from cli.workflows.answers.answer import plain
from cli.workflows.answers.runs.class_errors import ErrorsByClass
from cli.workflows.answers.runs.prediction import (
    PredictedClass,
    PredictedImage,
    Prediction,
    TestSetPrediction,
    UnreadImage,
)
from cli.workflows.files import check_csv, csv_file, write_file
from cli.workflows.home import Home
from cli.workflows.runs.trained import TrainedRun, load_run
from cli.workflows.views import Say
from trainer.data.images import read_fitted
from trainer.ensembles.ensemble import predicted
from trainer.ensembles.metrics import Predictions, confusion_of

# Content of the CSV file, as errors name it.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictRequest:
    """A run, the images for its ensemble, and the form of the result.

    Attributes:
        run: number of the run, or ``last``.
        images: files to classify.
        dataset: name of the data set whose test set is classified, None for none. With `test`, name of the
            folder in which the run's own data lie now.
        test: whether to classify the test set of the run's own data set.
        device: ``cpu`` or ``cuda``, None for the best there is.
        csv: file for one row an image, ``-`` for stdout, None for none.
        as_json: whether JSON goes to stdout.
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


def predict(
    request: PredictRequest, home: Home, say: Say, complain: Callable[[str], None]
) -> Prediction | TestSetPrediction:
    """Classify images; where a CSV file is wanted, it is written.

    Args:
        request: the run, the images and the form of the result.
        home: home of the run.
        say: receiver of remarks, one line each.
        complain: receiver of one line for every image that cannot be read.

    Returns:
        The prediction of image files, or that of a test set.

    Raises:
        UsageError: the request names no images, two kinds of images, or a data set of another kind.
        DataError: no image could be read, or the data set is missing.
        RunError: the run has no finished ensemble.
        StorageError: a file of the run is damaged, or the CSV file cannot be written.
    """
    _check(request)
    trained = load_run(
        request.run,
        home,
        say,
        device=request.device,
        download=request.download,
        moved_to=request.dataset if request.test else None,
    )
    answer = (
        _predict_files(trained, request.images, complain)
        if request.images
        else _predict_test_set(trained, request, home, say)
    )
    file = csv_file(request.csv)
    if file is not None:
        write_file(file, CONTENT, rows_as_csv(answer))
    return answer


def rows_as_csv(answer: Prediction | TestSetPrediction) -> str:
    """Return one row an image; cells of an unknown label and of a class without a name are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in answer.rows:
        second = {f"second_{key}": value for key, value in plain(row.second).items()}
        writer.writerow(plain(row) | second | {"label": row.label, "members": answer.members})
    return text.getvalue()


def check_read(answer: Prediction | TestSetPrediction) -> None:
    """Refuse to end well if images could not be read; the answer about the others comes first.

    Raises:
        PartialRunError: some images could not be read.
    """
    unread = len(answer.unread) if isinstance(answer, Prediction) else 0
    if unread:
        raise PartialRunError(f"{unread} of {unread + len(answer.rows)} images could not be read")


def _check(request: PredictRequest) -> None:
    kinds = bool(request.images) + (request.test or request.dataset is not None)
    if kinds != 1:
        raise UsageError(
            "predict takes one of images, --dataset NAME and --test, "
            f"got {'none' if not kinds else 'several'} of them"
        )
    check_csv(request.csv, CONTENT, as_json=request.as_json)


def _predict_files(trained: TrainedRun, paths: Sequence[Path], complain: Callable[[str], None]) -> Prediction:
    read, unread = _read_images(trained, paths)
    if not read and len(unread) == 1:
        raise DataError(unread[0].message)
    for problem in unread:
        complain(problem.message)
    if not read:
        raise DataError(f"none of {len(unread)} images could be read")
    images = torch.from_numpy(np.stack(list(read.values())))
    probabilities = predicted(trained.ensemble, images, trained.run.plan.batch)
    return Prediction(
        run=trained.run.id,
        design=trained.run.plan.design,
        members=len(trained.ensemble.members),
        rows=_rows(trained, probabilities, [str(path) for path in read], None),
        unread=tuple(unread),
    )


def _read_images(
    trained: TrainedRun, paths: Sequence[Path]
) -> tuple[dict[Path, NDArray[np.uint8]], list[UnreadImage]]:
    """Return images, uint8 (channels, height, width), and the files that are none, each file once."""
    facts = trained.run.plan.dataset
    read: dict[Path, NDArray[np.uint8]] = {}
    unread = []
    for path in dict.fromkeys(paths):
        try:
            read[path] = read_fitted(path, facts.task, facts.preparation_of_files)
        except DataError as error:
            unread.append(UnreadImage(image=str(path), message=str(error)))
    return read, unread


def _predict_test_set(
    trained: TrainedRun, request: PredictRequest, home: Home, say: Say
) -> TestSetPrediction:
    if request.test or request.dataset is None:
        data = trained.data_of(home, request.download)
    else:
        data = trained.test_data(request.dataset, home, request.download, say)
    probabilities = predicted(trained.ensemble, data.test.images, trained.run.plan.batch)
    labels = data.test.labels.numpy()
    rows = _rows(trained, probabilities, [str(i) for i in range(len(labels))], data.test.labels)
    named = probabilities.argmax(axis=2)  # (members, images)
    matrix = confusion_of(Predictions(probabilities, labels), trained.ensemble.description.classes)
    return TestSetPrediction(
        run=trained.run.id,
        design=trained.run.plan.design,
        members=len(trained.ensemble.members),
        rows=rows,
        dataset=data.facts.name,
        images=len(labels),
        test_error=sum(row.class_index != row.label for row in rows) / len(rows),
        member_errors=tuple(float(error) for error in (named != labels).mean(axis=1)),
        by_class=ErrorsByClass.of(matrix),
    )


def _rows(
    trained: TrainedRun, probabilities: NDArray[np.float32], names: Sequence[str], labels: Tensor | None
) -> tuple[PredictedImage, ...]:
    """Return a prediction an image from the members' probabilities (members, images, classes)."""
    mean = probabilities.mean(axis=0, dtype=np.float64)  # (images, classes)
    best, second = np.argsort(-mean, axis=1, kind="stable")[:, :2].T
    agree = (probabilities.argmax(axis=2) == best).sum(axis=0)
    rows = []
    for i, image in enumerate(names):
        first = _class(trained, mean[i], int(best[i]))
        rows.append(
            PredictedImage(
                image=image,
                label=None if labels is None else int(labels[i]),
                class_index=first.class_index,
                name=first.name,
                probability=first.probability,
                second=_class(trained, mean[i], int(second[i])),
                agree=int(agree[i]),
            )
        )
    return tuple(rows)


def _class(trained: TrainedRun, probabilities: NDArray[np.float64], index: int) -> PredictedClass:
    classes = trained.ensemble.description.classes
    name = classes[index] if classes else None
    return PredictedClass(class_index=index, name=name, probability=float(probabilities[index]))
