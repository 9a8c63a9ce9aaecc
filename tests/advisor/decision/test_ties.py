"""Ties, families that may lead, and the order of the rows, on designs made by hand."""

import numpy as np
import pytest
from handmade import ACCURACY, evaluated
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.noise import RATIO_STD
from advisor.decision.leading import leading_families, trained_families
from advisor.decision.ranking import TIE, TIME_WEIGHT, Objective, could_lead, rank
from advisor.decision.rows import ROWS
from advisor.designs.design import DesignClass, parse_design
from advisor.estimate import Estimate, Z
from advisor.networks.layers import Task

# Draws that all designs have in common: what is uncertain about the level of the errors.
LEVEL = np.exp(np.random.default_rng(0).normal(0, 0.5, 400))
FIRST = evaluated("4xresnet-26-8", 0.1000 * LEVEL, 200)
# A point of a percent more error, in a third of the time.
SLIGHTLY_WORSE = evaluated("resnet-26-16", 0.1004 * LEVEL, 70)
CHEAPEST = evaluated("2xresnet-8-8", 0.1010 * LEVEL, 20)
# Eight standard deviations of a ratio: nobody takes it for the first.
FAR = evaluated("resnet-8-8", 0.1300 * LEVEL, 5)


def rows_of(designs, objective=Objective.ERROR, **options):
    return rank(designs, ACCURACY, objective, **options)


def names(rows):
    return [row.evaluated.design.name for row in rows]


def simulated_share_better(e, first, weight=0.0, repeats=400):
    """Share of simulated pairs of trainings in which one of a design has the smaller score."""
    generator = np.random.default_rng(1)
    scores = []
    for each in (e, first):
        noise = generator.normal(0, np.hypot(RATIO_STD, each.seed_std), (repeats, len(each.errors)))
        scores.append(each.errors * np.exp(noise) * each.priced.train_seconds.mean**weight)
    return float(np.mean(scores[0] < scores[1]))


def test_the_first_has_the_least_expected_error_however_small_the_difference():
    # Both are 10 % to two digits, and the other one trains in a third of the time.
    rows = rows_of([SLIGHTLY_WORSE, FIRST, FAR])
    assert rows[0].evaluated is FIRST


def test_ties_follow_the_first_by_training_time_and_all_others_by_error():
    middling = evaluated("3xresnet-8-8", 0.1200 * LEVEL, 500)
    rows = rows_of([FAR, SLIGHTLY_WORSE, FIRST, middling, CHEAPEST])
    assert [(row.evaluated, row.tie, row.place) for row in rows] == [
        (FIRST, False, 1),
        (CHEAPEST, True, 3),
        (SLIGHTLY_WORSE, True, 2),
        (middling, False, 4),
        (FAR, False, 5),
    ]


@pytest.mark.parametrize("objective", [Objective.ERROR, Objective.BALANCED])
def test_a_tie_has_a_training_better_than_one_of_the_first_in_a_fifth_of_all_pairs(objective):
    """By an independent route: pairs of trainings are drawn and counted."""
    weight = TIME_WEIGHT if objective is Objective.BALANCED else 0.0
    generator = np.random.default_rng(2)
    designs = [
        evaluated(f"{k}xresnet-8-8", 0.1 * 1.008**k * LEVEL * np.exp(generator.normal(0, 0.03, 400)), 100 + k)
        for k in range(2, 9)
    ]
    rows = rows_of(designs, objective)
    shares = [simulated_share_better(row.evaluated, rows[0].evaluated, weight) for row in rows[1:]]
    # Some of both, none so near that the simulation could not tell.
    assert min(abs(share - TIE) for share in shares) > 0.005
    assert [row.tie for row in rows[1:]] == [share > TIE for share in shares]
    assert {row.tie for row in rows[1:]} == {True, False}


def test_what_is_uncertain_of_both_makes_no_tie():
    # Intervals of a factor of five that overlap almost wholly, but in every draw 20 % apart.
    apart = evaluated("resnet-26-16", 0.12 * LEVEL, 10)
    assert not any(row.tie for row in rows_of([FIRST, apart]))
    # The same two intervals without a common cause.
    independent = evaluated("resnet-26-16", 0.12 * np.random.default_rng(5).permutation(LEVEL), 10)
    assert [row.tie for row in rows_of([FIRST, independent])] == [False, True]


def test_the_noise_of_seeds_is_part_of_a_tie():
    close = evaluated("resnet-26-16", 0.1060 * LEVEL, 10)
    # ln 1.06 is 2.06 standard deviations of a ratio, and 0.56 with 7 % between seeds of each.
    assert not rows_of([FIRST, close])[1].tie
    noisy = [evaluated(e.design.name, e.errors, 10, seed_std=0.07) for e in (FIRST, close)]
    assert rows_of(noisy)[1].tie


def test_by_time_a_tie_matches_the_single_network_and_may_train_sooner():
    single = evaluated("resnet-26-16", 0.10, 100)
    fastest = evaluated("4xresnet-8-8", 0.09, 50)
    second = evaluated("2xresnet-8-8", 0.09, 60)
    worse = evaluated("2xresnet-8-4", 0.20, 51)

    def ratio(e, other):
        # A standard deviation of 25 % in the logarithm: ln 1.2 is 0.73 of them, and Φ(−0.73) = 0.233.
        mean = e.priced.train_seconds.mean / other.priced.train_seconds.mean
        return Estimate(mean, mean * np.exp(-0.25 * Z), mean * np.exp(0.25 * Z))

    designs = [single, fastest, second, worse]
    rows = rows_of(designs, Objective.TIME, time_ratio=ratio)
    assert [(row.evaluated, row.tie) for row in rows] == [
        (fastest, False),
        (second, True),
        (single, False),
        (worse, False),
    ]
    drawn = np.random.default_rng(3).normal(np.log(1.2), 0.25, 100_000)
    assert np.mean(drawn < 0) == pytest.approx(0.233, abs=0.005)
    # Where times are exact, only equal ones are tied.
    twin = evaluated("3xresnet-8-8", 0.09, 50)
    assert [row.tie for row in rows_of([*designs, twin], Objective.TIME)] == [
        False,
        True,
        False,
        False,
        False,
    ]


# Families.


UNTRIED = evaluated("densenet-13-12", 0.05 * LEVEL, 1)
UNTRIED_TOO = evaluated("2xdensenet-13-12", 0.06 * LEVEL, 1)


def test_a_family_that_may_not_lead_is_behind_whatever_its_forecast():
    rows = rows_of([UNTRIED, FAR, UNTRIED_TOO, SLIGHTLY_WORSE, FIRST], leading=("resnet",))
    assert names(rows) == [
        "4xresnet-26-8",
        "resnet-26-16",
        "resnet-8-8",
        "densenet-13-12",
        "2xdensenet-13-12",
    ]
    assert [row.untried for row in rows] == [False, False, False, True, True]
    # Nor is it a tie, or what the others are compared with.
    assert [row.tie for row in rows] == [False, True, False, False, False]
    assert {row.reference for row in rows} == {SLIGHTLY_WORSE}


def test_a_design_with_one_member_of_such_a_family_is_behind_too():
    mixed = evaluated("resnet-8-8+densenet-13-12", 0.05, 1)
    assert names(rows_of([mixed, FAR], leading=("resnet",)))[0] == "resnet-8-8"


def test_where_only_families_that_may_not_lead_keep_the_limits_they_are_ranked_among_themselves():
    close = evaluated("densenet-13-13", 0.0502 * LEVEL, 0.5)
    rows = rows_of([UNTRIED_TOO, close, UNTRIED], leading=("resnet",))
    assert [(row.evaluated, row.tie) for row in rows] == [
        (UNTRIED, False),
        (close, True),
        (UNTRIED_TOO, False),
    ]
    assert all(row.untried for row in rows)


def test_the_best_of_each_family_that_may_not_lead_and_of_each_class_has_a_row():
    many = [evaluated(f"{k}xresnet-8-{w}", 0.1 + k / 100, 50 - k - w) for k in range(2, 8) for w in (4, 5)]
    singles = [evaluated(f"resnet-{d}-9", 0.3, 100, latency=9.0) for d in (8, 14)]
    others = [evaluated("vgg-11-8", 0.01, 90), evaluated("vgg-11-9", 0.02, 90), UNTRIED]
    rows = rows_of([*many, *singles, *others], leading=("resnet",))
    assert len(rows) == ROWS
    assert {row.evaluated for row in rows if row.untried} == {others[0], UNTRIED}
    assert any(row.evaluated.design_class is DesignClass.SINGLE and not row.untried for row in rows)


def test_the_untried_design_that_would_lead_is_found():
    rows = rows_of([UNTRIED, UNTRIED_TOO, FIRST, FAR], leading=("resnet",))
    assert could_lead(rows, ACCURACY, Objective.ERROR) is UNTRIED
    poor = evaluated("densenet-13-12", 0.5, 1)
    assert could_lead(rows_of([poor, FIRST], leading=("resnet",)), ACCURACY, Objective.ERROR) is None
    assert could_lead(rows_of([UNTRIED, FIRST]), ACCURACY, Objective.ERROR) is None


def training(dataset, design, epochs="10", image_share="1"):
    return TrainedEvidence(
        dataset=dataset,
        task=Task(channels=1, height=8, width=8, classes=10),
        design=parse_design(design),
        epochs=int(epochs),
        member_errors=(0.1,),
        ensemble_error=0.1,
        test_images=100,
        image_share=float(image_share),
    )


ALL = ["densenet", "vgg", "wrn", "resnet"]


@pytest.mark.parametrize(
    ("families", "trained", "dataset", "leading"),
    [
        # What was trained on the data leads, published or not.
        (ALL, ["digits:vgg-11-4"], "digits", ("vgg",)),
        (ALL, ["cifar10:vgg-11-4"], "cifar10", ("vgg",)),
        (ALL, ["digits:vgg-11-4", "digits:2xwrn-10-1"], "digits", ("vgg", "wrn")),
        # Less than half of the epochs, or a part of the images, says little of what is asked.
        (ALL, ["digits:vgg-11-4:5"], "digits", ("vgg",)),
        (ALL, ["digits:vgg-11-4:4"], "digits", ("resnet",)),
        (ALL, ["digits:vgg-11-4:10:0.5"], "digits", ("resnet",)),
        # Trainings on other data, and of families that are not in the request, do not count.
        (ALL, ["cifar10:vgg-11-4"], "digits", ("resnet",)),
        (["densenet", "resnet"], ["digits:vgg-11-4"], "digits", ("resnet",)),
        # Without any, those with published errors on the data, and else one family.
        (ALL, [], "cifar10", tuple(ALL)),
        (ALL, [], "digits", ("resnet",)),
        (["densenet", "vgg"], [], "digits", ("densenet",)),
        (["mlp"], [], "digits", ("mlp",)),
    ],
)
def test_families_lead_by_what_is_known_of_them_on_the_data(families, trained, dataset, leading):
    evidence = [training(*text.split(":")) for text in trained]
    assert leading_families(families, trained_families(evidence, dataset, 10), dataset) == leading


NETWORKS = [
    f"{count}{network}-{width}"
    for count in ("", "2x")
    for network in ("resnet-8", "vgg-11")
    for width in (4, 5, 6)
]


@given(
    st.lists(
        st.tuples(st.sampled_from(NETWORKS), st.floats(0.05, 0.07), st.floats(1.0, 100.0)),
        min_size=1,
        max_size=12,
        unique_by=lambda drawn: drawn[0],
    ),
    st.sampled_from(list(Objective)),
)
@settings(max_examples=30, deadline=None)
def test_rows_are_the_first_its_ties_the_others_and_the_untried(drawn, objective):
    designs = [evaluated(name, error * LEVEL, seconds) for name, error, seconds in drawn]
    rows = rows_of(designs, objective, leading=("resnet",))
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
    alone = len({row.untried for row in rows}) == 1
    groups = [3 * (row.untried and not alone) + (1 if row.tie else 2) * (row.rank > 1) for row in rows]
    assert groups == sorted(groups)
    for group in (0, 2, 5):
        places = [row.place for row, own in zip(rows, groups, strict=True) if own == group]
        assert places == sorted(places)
    tied = [row.evaluated.priced.train_seconds.mean for row in rows if row.tie]
    assert tied == sorted(tied)
    assert rows[0].place == 1
    if objective is Objective.ERROR:
        able = [e for e in designs if e.design.families == ("resnet",)] or designs
        assert rows[0].evaluated.errors.mean() == min(e.errors.mean() for e in able)
