"""From which number of images on a forecast counts as extrapolated."""

from dataclasses import replace

import pytest

from advisor.accuracy.evidence import TrainedEvidence
from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS
from cli.workflows.forecast.known_images import known_images

DIGITS = DATASETS["digits"]


def trained(share, dataset="digits"):
    return TrainedEvidence(
        dataset=dataset,
        task=DIGITS.task,
        design=parse_design("mlp-1-4"),
        epochs=5,
        member_errors=(0.4,),
        ensemble_error=0.4,
        test_images=360,
        image_share=share,
    )


@pytest.mark.parametrize(
    ("evidence", "most"),
    [
        ([], 1077),
        ([trained(1.0)], 1077),
        # Probes on a quarter and on a half of the images support twice the half.
        ([trained(0.25), trained(0.5)], 538),
        # What is known of other data is no evidence for these.
        ([trained(0.5), trained(1.0, "cifar10")], 538),
    ],
)
def test_twice_the_most_images_of_any_evidence_on_the_data_are_no_extrapolation(evidence, most):
    known = known_images(None, DIGITS, evidence)
    assert (known.evidence, known.extrapolated_beyond) == (most, 2 * most)
    assert not known.extrapolated(2 * most)
    assert known.extrapolated(2 * most + 1)


def test_published_errors_are_of_all_images():
    known = known_images(None, DATASETS["cifar10"], [trained(0.1, "cifar10")])
    assert known.evidence == DATASETS["cifar10"].train_images


def test_shares_are_of_the_images_that_the_data_set_has():
    known = known_images(None, replace(DIGITS, train_images=400), [])
    assert (known.share(400), known.share(800), known.share(100)) == (1.0, 2.0, 0.25)
