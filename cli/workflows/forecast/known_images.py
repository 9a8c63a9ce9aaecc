"""How many training images forecasts of the error rest on, and from which number on they extrapolate.

The error is forecast by the share u of the training images of a data set, as a power u^(−η) for a fixed
number of epochs (`advisor.accuracy.formula`). The power is known from trainings on parts of data sets. So a
forecast for more images than anybody trained on is an extrapolation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.sources.published import ERRORS
from advisor.plans.dataset import DatasetFacts
from cli.workflows.forecast.evidence import WITH_EVIDENCE, all_images, sizes_of
from db.queries import Store

# Images over the most of any evidence from which on a forecast counts as extrapolated.
EXTRAPOLATED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownImages:
    """Numbers of training images of one data set.

    Attributes:
        dataset: images that the data set has.
        evidence: most images of any training or published error on it; those of the data set where there is
            no evidence, because that is what the prior is about.
    """

    dataset: int
    evidence: int

    @property
    def extrapolated_beyond(self) -> int:
        """Number of images beyond which a forecast of the error is an extrapolation."""
        return EXTRAPOLATED * self.evidence

    def extrapolated(self, images: int) -> bool:
        """Return whether a forecast of the error on a number of images is an extrapolation."""
        return images > self.extrapolated_beyond

    def share(self, images: int) -> float:
        """Return a number of images as a share of those of the data set."""
        return images / self.dataset


def known_images(
    store: Store | None, facts: DatasetFacts, evidence: Sequence[TrainedEvidence]
) -> KnownImages:
    """Return the numbers of images that forecasts for a data set rest on.

    Args:
        store: database with runs and imported trainings; None for none.
        facts: facts of the data set, which may be those of a part.
        evidence: trainings that the accuracy predictor has learned from, on any data.
    """
    images = facts.train_images
    if store is not None:
        runs = [run for run in store.runs() if run.status in WITH_EVIDENCE]
        images = all_images(sizes_of(runs, store.reported()), facts)
    shares = [e.image_share for e in evidence if e.dataset == facts.learned_as]
    # Published errors are of all images.
    shares += [1.0 for row in ERRORS if row.dataset == facts.learned_as]
    return KnownImages(dataset=images, evidence=round(images * max(shares, default=1.0)))
