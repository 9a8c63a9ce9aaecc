"""What the accuracy predictor learns from: finished runs of the database."""

from __future__ import annotations

from collections.abc import Sequence

from advisor.accuracy import AccuracyPredictor, TrainedEvidence
from advisor.design import parse_design
from advisor.records import Run, RunStatus
from db.queries import Store


def evidence_of(runs: Sequence[Run]) -> list[TrainedEvidence]:
    """Return what finished runs teach; runs that diverged, failed or lost members teach nothing."""
    return [
        TrainedEvidence(
            dataset=run.plan.dataset.name,
            task=run.plan.dataset.task,
            design=parse_design(run.plan.design),
            epochs=run.plan.epochs,
            member_error=run.test.mean_member_error,
            ensemble_error=run.test.error,
            test_images=run.plan.dataset.test_images,
        )
        for run in runs
        if run.status is RunStatus.DONE and run.test is not None
    ]


def accuracy_for(store: Store, dataset: str, seed: int) -> tuple[AccuracyPredictor, list[TrainedEvidence]]:
    """Return the predictor and the runs it rests on."""
    evidence = evidence_of(store.runs(RunStatus.DONE))
    return AccuracyPredictor([dataset], evidence, seed), evidence
