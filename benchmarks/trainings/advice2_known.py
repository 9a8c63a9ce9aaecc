"""What is known of a data set of the grid: a look at it, other data sets, and probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from advice_replay import Training

from advisor.accuracy.data_level import DataLevel
from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.pooled import Pooled
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.plans.dataset import DatasetFacts
from cli.workflows.forecast.evidence import evidence_of_reported

SEED = 0


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a data set at first sight.

    Attributes:
        facts: facts of the data set.
        level: what simple classifiers foretell.
        pooled: what trainings on data of other origins say.
    """

    facts: DatasetFacts
    level: DataLevel
    pooled: Pooled

    def predictor(self, probes: Sequence[Training] = ()) -> AccuracyPredictor:
        """Return the predictor of errors on the data set after some probes."""
        name = self.facts.learned_as
        return AccuracyPredictor(
            [name],
            [evidence_of_probe(t) for t in probes],
            SEED,
            (self.level,),
            self.pooled,
            {name: self.facts.train_images},
        )


def evidence_of_probe(training: Training) -> TrainedEvidence:
    """Return a training as a finished probe, whose errors are those on the validation images."""
    reported = training.reported
    if not reported.validation_images or not reported.member_curve or not reported.ensemble_curve:
        raise ValueError(f"a probe must have errors on validation images, got none for {reported.design}")
    scored = replace(
        reported,
        test_images=reported.validation_images,
        error=reported.ensemble_curve[-1],
        errors_by_members=None,
    )
    (found,) = evidence_of_reported([scored])
    # The file has the mean of the members only: how far seeds lie apart is not learned from it.
    return replace(found, member_errors=(reported.member_curve[-1],), validated=True)
