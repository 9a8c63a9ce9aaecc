"""What the accuracy predictor learns from: finished runs of the database and imported trainings."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from advisor.accuracy import AccuracyPredictor, TrainedEvidence
from advisor.dataset import learned_name
from advisor.design import parse_design
from advisor.methods import FORETOLD
from advisor.records import Run, RunStatus
from advisor.reported import ReportedTraining
from db.queries import Store


def evidence_of(runs: Sequence[Run]) -> list[TrainedEvidence]:
    """Return what finished runs teach.

    Runs that diverged, failed or lost members teach nothing, nor do those of a method that the predictor does
    not describe.
    """
    return [
        TrainedEvidence(
            dataset=run.plan.dataset.learned_as,
            task=run.plan.dataset.task,
            design=parse_design(run.plan.design),
            epochs=run.plan.epochs,
            member_error=run.test.mean_member_error,
            ensemble_error=run.test.error,
            test_images=run.plan.dataset.test_images,
        )
        for run in runs
        if run.status is RunStatus.DONE and run.test is not None and run.plan.method in FORETOLD
    ]


def evidence_of_reported(trainings: Sequence[ReportedTraining]) -> list[TrainedEvidence]:
    """Return what imported trainings teach: as much as a run of the database."""
    return [
        TrainedEvidence(
            dataset=learned_name(training.dataset, training.augmentation),
            task=training.task,
            design=parse_design(training.design),
            epochs=training.epochs,
            member_error=fmean(training.member_errors),
            ensemble_error=training.error,
            test_images=training.test_images,
        )
        for training in trainings
    ]


def accuracy_for(store: Store, dataset: str, seed: int) -> tuple[AccuracyPredictor, list[TrainedEvidence]]:
    """Return the predictor and the trainings it rests on."""
    evidence = [*evidence_of(store.runs(RunStatus.DONE)), *evidence_of_reported(store.reported())]
    return AccuracyPredictor([dataset], evidence, seed), evidence
