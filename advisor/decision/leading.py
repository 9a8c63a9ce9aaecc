"""The families that may lead a ranking.

The errors of a family that was never trained on the data rest on trainings elsewhere. Such a forecast may be
too good by more than the designs differ, so it never decides alone:

1. Where requested families have a training on the data (a run, a probe or an import), these lead. It must
   have had all images and at least half of the epochs: a shorter one says little about what is asked.
2. Else those with published errors on the data lead.
3. Else one family leads: the first of the registry among those requested, which is the ResNet by default.
   It is the family of most published and shipped trainings.

Designs of other families are ranked behind, and are worth a probe.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.sources.published import ERRORS
from advisor.networks.families import FAMILIES


def leading_families(families: Sequence[str], trained: Collection[str], dataset: str) -> tuple[str, ...]:
    """Return the families that may lead, in the order of the request.

    Args:
        families: requested families, at least one.
        trained: families that were trained on the data set.
        dataset: name that errors on the data set are learned under.
    """
    published = {error.family for error in ERRORS if error.dataset == dataset}
    for known in (trained, published):
        if found := tuple(family for family in families if family in known):
            return found
    return (min(families, key=list(FAMILIES).index),)


# Share of the epochs in question that a training must have had.
LEAST_EPOCHS = 0.5


def trained_families(evidence: Sequence[TrainedEvidence], dataset: str, epochs: int) -> Counter[str]:
    """Return the number of trainings that count, for each family among their members.

    Args:
        evidence: trainings that the accuracy predictor learned from.
        dataset: name that errors on the data set are learned under.
        epochs: epochs that are asked about.
    """
    own = (e for e in evidence if e.dataset == dataset and e.member_errors is not None)
    whole = (e for e in own if e.image_share == 1 and e.epochs >= LEAST_EPOCHS * epochs)
    return Counter(family for e in whole for family in e.design.families)
