"""The class probabilities of a finished run's members, and the true classes of the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from advisor.errors import RunError
from advisor.plans.records import EpochRecord, Run
from cli.workflows.answers.runs.diversity import ImageSplit
from cli.workflows.forecast.planning import with_data_at
from cli.workflows.home import Home
from cli.workflows.runs.lookup import reading_store
from cli.workflows.runs.own_data import data_of_run
from cli.workflows.runs.trained import load_run
from cli.workflows.views import Say
from trainer.ensembles.ensemble import predicted
from trainer.ensembles.metrics import Predictions
from trainer.training.stored_probabilities import unpack_probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbabilityOptions:
    """Where probabilities come from.

    Attributes:
        split: images that are classified.
        device: ``cpu`` or ``cuda``, None for the best there is.
        download: whether a missing data set may be fetched.
        moved_to: folder in which the data of the runs lie now, None for the same.
    """

    split: ImageSplit = ImageSplit.TEST
    device: str | None = None
    download: bool = False
    moved_to: str | None = None


def predictions_of(run: Run, options: ProbabilityOptions, home: Home, say: Say) -> Predictions:
    """Return the probabilities of a finished run's members.

    Args:
        run: the run.
        options: where they come from.
        home: home of the run.
        say: receiver of remarks, one line each.

    Raises:
        RunError: the run keeps no validation probabilities of a member.
        DataError: the data set is missing, or has changed since the run began.
        StorageError: a file of the run is damaged.
    """
    if options.split is ImageSplit.VALIDATION:
        return _stored(run, options, home)
    trained = load_run(
        str(run.id),
        home,
        say,
        device=options.device,
        download=options.download,
        moved_to=options.moved_to,
    )
    test = trained.data_of(home, options.download).test
    probabilities = predicted(trained.ensemble, test.images, run.plan.batch)
    return Predictions(probabilities, test.labels.numpy())


def _stored(run: Run, options: ProbabilityOptions, home: Home) -> Predictions:
    """Return the validation probabilities that the run stored after its last epochs."""
    with reading_store(home) as store:
        epochs = store.epochs(run.id)
    moved = replace(run, plan=with_data_at(run.plan, options.moved_to))
    labels = data_of_run(moved, home, download=options.download).validation.labels.numpy()
    classes = run.plan.dataset.task.classes
    found = [
        unpack_probabilities(_last_epoch(run, member.name, epochs), classes) for member in run.plan.members
    ]
    if any(len(probabilities) != len(labels) for probabilities in found):
        raise RunError(f"run {run.id} stored probabilities of other validation images: use --on test")
    return Predictions(np.stack(found), labels)


def _last_epoch(run: Run, member: str, epochs: Sequence[EpochRecord]) -> bytes:
    """Return the packed probabilities of a member's last epoch.

    Raises:
        RunError: the run stores none, because the member is an output of a joint network.
    """
    own = [e for e in epochs if e.network == member and e.validation_probabilities]
    if not own:
        raise RunError(f"run {run.id} stored no validation probabilities of {member}: use --on test")
    return own[-1].validation_probabilities
