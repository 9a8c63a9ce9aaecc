"""The literal tables of the accuracy prior against the collected published figures."""

import csv
import math
import re
from pathlib import Path

import pytest

from advisor.accuracy.published import (
    ERRORS,
    GAPS,
    HATCHED_PENALTY,
    SHARED_MOTHER_CORRELATION,
    SNAPSHOT_PENALTY,
)

TABLE = Path(__file__).resolve().parents[2] / "data" / "published_errors.csv"


def design_matrix():
    with TABLE.open(newline="") as lines:
        return list(csv.DictReader(lines))


def words(source):
    """First author and year (none for a web page)."""
    return re.split(r"[ ,]", source)[0], "".join(re.findall(r"\d{4}", source))


def errors_of(row):
    """The printed error, and the mean of several trainings where the note gives one."""
    found = {float(row["test_error_percent"])}
    if mean := re.search(r"mean ([\d.]+)$", row["note"]):
        found = {float(mean[1])}
    return found


@pytest.mark.parametrize(
    "entry", ERRORS, ids=lambda e: f"{e.dataset}-{e.family}-{e.depth}-{e.members}-{e.error}"
)
def test_every_error_of_the_prior_is_a_published_row(entry):
    matching = [
        row
        for row in design_matrix()
        if words(row["source"]) == words(entry.source)
        and (row["dataset"], row["family"], row["method"]) == (entry.dataset, entry.family, "full_data")
        and row["augmentation"] == "crop+flip"
        and (row["depth"], row["members"], row["epochs"])
        == (str(entry.depth), str(entry.members), str(entry.epochs))
        and float(row["parameters_millions"]) == pytest.approx(entry.members * entry.parameters, rel=2e-3)
        and entry.error in errors_of(row)
    ]
    assert len(matching) == 1


def test_no_row_is_used_twice():
    assert len(set(ERRORS)) == len(ERRORS)


def test_resnet_110_uses_the_mean_of_five_trainings():
    assert [e.error for e in ERRORS if (e.family, e.depth) == ("resnet", 110)] == [6.61]


def test_thresholds_are_those_of_more_or_less():
    at_threshold = {(g.dataset, g.family, g.members): g for g in GAPS if g.log_ratio == 0 and g.share == 1.0}
    assert 1.0 <= at_threshold["cifar10", "resnet", 4].parameters <= 1.5
    assert 1.0 <= at_threshold["cifar10", "densenet", 4].parameters <= 1.5
    assert at_threshold["cifar10", "densenet", 6].parameters == 3.0
    assert at_threshold["cifar10", "densenet", 8].parameters == 5.0
    # An order of magnitude later, and earlier on harder data.
    assert at_threshold["cifar10", "wrn", 4].parameters >= 8 * at_threshold["cifar10", "resnet", 4].parameters
    assert (
        at_threshold["cifar100", "densenet", 4].parameters < at_threshold["cifar10", "densenet", 4].parameters
    )


def test_gaps_past_the_threshold_are_compatible_with_one_to_three_points():
    # ResNets of 5M have about 5.3 % error on CIFAR-10, DenseNets of 5M about 21 % on CIFAR-100.
    errors = {"cifar10": 5.3, "cifar100": 21.0}
    for gap in (g for g in GAPS if g.log_ratio < 0):
        least, most = (
            errors[gap.dataset] * (1 - math.exp(gap.log_ratio + sign * 1.645 * gap.std)) for sign in (1, -1)
        )
        assert least <= 3
        assert most >= 1


def test_the_figures_of_mothernets():
    # Mean member error of V5: 8.4 and 8.1 %; covariance 0.009 of a variance of 0.026.
    assert pytest.approx(1.037, abs=5e-4) == HATCHED_PENALTY
    # The same of Snapshot Ensembles: 9.8 and 8.1 %.
    assert pytest.approx(1.210, abs=5e-4) == SNAPSHOT_PENALTY
    assert pytest.approx(0.346, abs=5e-4) == SHARED_MOTHER_CORRELATION
