"""What the accuracy predictor learns from: runs of the database, finished or not, and imported trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from advisor.accuracy.evidence import Curve, TrainedEvidence, has_curve
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.accuracy.reported import ReportedTraining
from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS, DatasetFacts, learned_name
from advisor.plans.records import RESUMABLE, Run, RunStatus
from db.queries import Store

# Validation errors after every epoch, by network.
Curves = Mapping[str, tuple[float, ...]]
TEACHING = (RunStatus.DONE, *RESUMABLE)


def evidence_of(
    runs: Sequence[Run],
    curves: Mapping[int, Curves] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> list[TrainedEvidence]:
    """Return what runs teach.

    Runs that diverged teach nothing; those that have not ended, or lost members, teach what the learning
    curves of the others show.

    Args:
        runs: of the database.
        curves: by run; a run that is not there has none.
        sizes: training images of a data set, by its name; of one that is not there all were trained on.
    """
    found = ((run, _taught_by(run, (curves or {}).get(run.id, {}))) for run in runs)
    return [_of_share(e, run.plan.dataset.train_images, sizes) for run, e in found if e is not None]


def _of_share(e: TrainedEvidence, images: int, sizes: Mapping[str, int] | None) -> TrainedEvidence:
    return replace(e, image_share=min(images / (sizes or {}).get(e.dataset, images), 1.0))


def _taught_by(run: Run, curves: Curves) -> TrainedEvidence | None:
    if run.status not in TEACHING:
        return None
    done = run.status is RunStatus.DONE and run.test is not None
    curve = _curve(run, curves)
    if not done and curve is None:
        return None
    return TrainedEvidence(
        dataset=run.plan.dataset.learned_as,
        task=run.plan.dataset.task,
        design=parse_design(run.plan.design),
        method=run.plan.method,
        epochs=run.plan.epochs,
        member_errors=run.test.member_errors if done and run.test is not None else None,
        ensemble_error=run.test.error if done and run.test is not None else None,
        test_images=run.plan.dataset.test_images,
        errors_by_members=run.test.errors_by_members if done and run.test is not None else None,
        curve=curve,
    )


def _curve(run: Run, curves: Curves) -> Curve | None:
    """Mean validation errors of the members that are furthest on, if the formula knows their epochs."""
    if not has_curve(parse_design(run.plan.design), run.plan.method):
        return None
    own = [curves[m.name] for m in run.plan.members if curves.get(m.name)]
    longest = max(map(len, own), default=0)
    furthest = [errors for errors in own if len(errors) == longest]
    # NaN where a network had diverged.
    means = tuple(fmean(errors) for errors in zip(*furthest, strict=True))
    images = run.plan.dataset.validation_images
    if not means or not images or not all(0 <= mean <= 1 for mean in means):
        return None
    return Curve(member=means, ensemble=None, images=images)


def evidence_of_reported(
    trainings: Sequence[ReportedTraining], sizes: Mapping[str, int] | None = None
) -> list[TrainedEvidence]:
    """Return what imported trainings teach: as much as a run of the database.

    Args:
        trainings: imported.
        sizes: as for `evidence_of`.
    """
    return [_of_share(_taught_by_reported(training), training.train_images, sizes) for training in trainings]


def _taught_by_reported(training: ReportedTraining) -> TrainedEvidence:
    return TrainedEvidence(
        dataset=learned_name(training.dataset, training.augmentation),
        task=training.task,
        design=parse_design(training.design),
        epochs=training.epochs,
        member_errors=training.member_errors,
        ensemble_error=training.error,
        test_images=training.test_images,
        errors_by_members=training.errors_by_members,
        curve=_reported_curve(training),
    )


def _reported_curve(training: ReportedTraining) -> Curve | None:
    known = has_curve(parse_design(training.design), None)
    if training.member_curve is None or not training.validation_images or not known:
        return None
    return Curve(
        member=training.member_curve, ensemble=training.ensemble_curve, images=training.validation_images
    )


def accuracy_for(
    store: Store, dataset: str, seed: int, images: int = 0
) -> tuple[AccuracyPredictor, list[TrainedEvidence]]:
    """Return the predictor and the trainings it rests on.

    Args:
        store: the database.
        dataset: name that its errors are learned under.
        seed: of the posterior draws.
        images: training images of that data set; all trainings on it may have had a part only.
    """
    runs, reported = [run for run in store.runs() if run.status in TEACHING], store.reported()
    sizes = sizes_of(runs, reported)
    sizes[dataset] = max(sizes.get(dataset, 0), images)
    evidence = evidence_of(runs, store.curves([run.id for run in runs]), sizes)
    evidence += evidence_of_reported(reported, sizes)
    return AccuracyPredictor([dataset], evidence, seed), evidence


def imported_facts(store: Store, dataset: str) -> DatasetFacts | None:
    """Return a data set as its imported training on the most images tells of it; None if there is none."""
    own = [training for training in store.reported() if training.dataset == dataset]
    return max(own, key=lambda training: training.train_images).facts if own else None


def sizes_of(runs: Sequence[Run], reported: Sequence[ReportedTraining]) -> dict[str, int]:
    """Return the training images of every data set, by the name that it is learned under.

    Of data that the program does not know they are the most that anything was trained on.
    """
    trained = [
        (run.plan.dataset.name, run.plan.dataset.learned_as, run.plan.dataset.train_images) for run in runs
    ]
    trained += [(t.dataset, learned_name(t.dataset, t.augmentation), t.train_images) for t in reported]
    sizes: dict[str, int] = {}
    for name, learned_as, images in trained:
        known = DATASETS[name].train_images if name in DATASETS else images
        sizes[learned_as] = max(sizes.get(learned_as, 0), known)
    return sizes
