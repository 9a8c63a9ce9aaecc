"""Probes and designs of a session in words and as parts of its answer."""

from __future__ import annotations

from advisor.decision.probes.probing import Probe
from advisor.decision.scenario import Evaluated
from advisor.estimate import Estimate
from cli.workflows.advise.probe_session.training import ProbeResult
from cli.workflows.answers.advise.probing import BestDesign, FinishedProbe


def words_of(chosen: Probe) -> str:
    """Return how long a probe takes, and what it is for."""
    seconds = f"about {chosen.seconds.mean:.0f} s" if chosen.seconds.mean >= 1 else "less than 1 s"
    if chosen.full:
        return f"{seconds}, which is what is asked about: `advisor train` goes on from its networks"
    return f"{seconds}, to move the choice by {chosen.move:.2f} points"


def finished_probe(chosen: Probe, seconds: float, result: ProbeResult) -> FinishedProbe:
    """Return a finished probe as part of an answer.

    Args:
        chosen: probe as it was chosen.
        seconds: time that it took, seconds.
        result: its result.
    """
    return FinishedProbe(
        design=chosen.plan.design,
        epochs=chosen.plan.epochs,
        share_of_images=chosen.image_share,
        predicted_seconds=chosen.seconds.mean,
        seconds=seconds,
        move_points=chosen.move,
        predicted_error=chosen.predicted_error,
        error=result.error,
        member_errors=result.members,
        tuned_weight_decay=chosen.tuned_weight_decay,
    )


def best_design(evaluated: Evaluated) -> BestDesign:
    """Return a design and its error as part of an answer."""
    return BestDesign(
        design=evaluated.design.name,
        test_error=Estimate.of_samples(evaluated.errors),
        tuned_weight_decay=evaluated.tuned_weight_decay,
    )
