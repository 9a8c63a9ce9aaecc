"""Probes as evidence: which were trained before, and how the database keeps a new one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from advisor.accuracy.cases import weight_decay_of
from advisor.accuracy.evidence import Curve, TrainedEvidence
from advisor.accuracy.sources.reported import ReportedTraining
from advisor.decision.probes.contenders import key_of
from advisor.plans.method_traits import BY_CLUSTERS
from advisor.plans.plan import TrainingPlan
from profiler.device import fingerprint

# Training methods of probes; an imported training names none, but has one of the two others.
PROBED = (None, *BY_CLUSTERS)


def trained_before(evidence: Sequence[TrainedEvidence], dataset: str) -> set[str]:
    """Return the keys (`key_of`) of the finished trainings on a data set; repeating one teaches little.

    Args:
        evidence: trainings that the accuracy predictor learned from.
        dataset: name that errors on the data set are learned under.
    """
    finished = [e for e in evidence if e.dataset == dataset and e.member_errors is not None]
    return {
        key_of(e.design.name, e.epochs, e.image_share, e.weight_decay) for e in finished if e.method in PROBED
    }


def reported_probe(
    plan: TrainingPlan, error: float, members: tuple[float, ...], curve: Curve | None
) -> ReportedTraining:
    """Return a finished probe as an imported training, scored on validation images.

    Args:
        plan: plan of the probe.
        error: validation error of the ensemble, share.
        members: validation error of each member, share.
        curve: learning curve, None where members were not all trained from scratch.
    """
    return ReportedTraining(
        dataset=plan.dataset.key,
        task=plan.dataset.task,
        augmentation=plan.dataset.augmentation,
        train_images=plan.dataset.train_images,
        test_images=plan.dataset.validation_images,
        design=plan.design,
        epochs=plan.epochs,
        batch=plan.batch,
        seed=plan.seed,
        error=error,
        member_errors=members,
        device=fingerprint(plan.execution).device_name,
        date=datetime.now(UTC).date().isoformat(),
        validation_images=None if curve is None else curve.images,
        member_curve=None if curve is None else curve.member,
        ensemble_curve=None if curve is None else curve.ensemble,
        weight_decay=weight_decay_of(plan),
    )
