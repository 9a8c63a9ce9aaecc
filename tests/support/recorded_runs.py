"""Runs in a database without any training: their curves, answers and outcomes are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import HatchStep
from advisor.plans.records import EnsembleMetrics, EpochRecord, RunStatus, StepRecord, StepStatus
from trainer.training.stored_probabilities import pack_probabilities

DIGITS = DATASETS["digits"]
EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="contiguous")


def packed(answers: Sequence[int], classes: int = 10) -> bytes:
    """Return probabilities whose most probable classes are given, packed as a run stores them."""
    return pack_probabilities(np.eye(classes, dtype=np.float32)[list(answers)] * 0.9)


def record_run(
    store: Any,
    design: str,
    curves: Mapping[str, Sequence[float]],
    *,
    epochs: int = 4,
    seed: int = 0,
    method: Any = None,
    answers: Mapping[str, Sequence[Sequence[int]]] | None = None,
    ended: Sequence[str] | None = None,
    failed: Sequence[str] = (),
    forecast: Any = None,
    status: RunStatus = RunStatus.DONE,
    error: float | None = None,
    seconds: float = 10.0,
    facts: Any = DIGITS,
    peak: int | None = None,
    fingerprint: str = "here",
) -> int:
    """Store a run, and return its number.

    Args:
        store: the database.
        design: short name of the design.
        curves: validation errors by the name of the network.
        epochs, seed, method: of the plan.
        answers: most probable classes of the validation images by network and epoch.
        ended: networks whose training is done; None for all that have a curve.
        failed: networks whose training diverged.
        forecast: forecast of the run.
        status, error, seconds: how it stands; a test error makes it finished.
        facts: data set.
        peak: peak bytes of every step.
        fingerprint: digest of the machine.
    """
    plan = make_plan(
        parse_design(design),
        facts,
        epochs=epochs,
        batch=32,
        seed=seed,
        execution=EXECUTION,
        options=PlanOptions(method=method),
    )
    run = store.create_run(
        created_at="2026-11-29T00:00:00+00:00",
        plan=plan,
        parameters=1,
        fingerprint=fingerprint,
        forecast=forecast,
    )
    for network, errors in curves.items():
        for epoch, share in enumerate(errors):
            stored = packed(answers[network][epoch]) if answers and network in answers else b""
            store.record_epoch(run.id, epoch_of(network, epoch, share, stored))
    done = set(curves if ended is None else ended)
    for step in plan.steps:
        if not isinstance(step, HatchStep) and step.network in {*done, *failed}:
            end = StepStatus.DIVERGED if step.network in failed else StepStatus.DONE
            store.record_step(
                run.id,
                StepRecord(step=step.id, network=step.network, status=end, seconds=1.0, peak_bytes=peak),
            )
    members = len(plan.members)
    test = None if error is None else metrics(error, members)
    store.update_run(run.id, status=status, train_seconds=seconds, test=test)
    return int(run.id)


def epoch_of(
    network: str, epoch: int, share: float, stored: bytes = b"", seconds: float = 1.0
) -> EpochRecord:
    """Return an epoch of the only training step of a network."""
    return EpochRecord(
        step=f"train {network}",
        network=network,
        epoch=epoch,
        rate=0.1,
        train_loss=1.0,
        train_error=share,
        validation_loss=1.0,
        validation_error=share,
        validation_probabilities=stored,
        seconds=seconds,
    )


def metrics(error: float, members: int = 1) -> EnsembleMetrics:
    """Return figures on the test set."""
    return EnsembleMetrics(
        error=error, member_errors=(error,) * members, oracle_error=error, disagreement=0.0, nll=0.5
    )
