"""Reasons of designs made by hand, whose order is known."""

import pytest
from handmade import ACCURACY, DEQ, EXACT, HATCHED, SINGLE, evaluated, threshold

from advisor.cost.comparison import PriceRatios
from advisor.decision.ranking import Objective, rank
from advisor.decision.reasons import Evidence, reasons, threshold_of, trade
from advisor.estimate import Estimate
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.method_traits import Method
from advisor.plans.methods import make_plan
from advisor.plans.plan import Role

NOTHING_RUN = Evidence(
    accuracy="prior", runs=0, runs_on_dataset=0, cost="nominal", measurements=0, known=True
)
CPU = {"device": "cpu", "processes": 2, "threads": 1, "dtype": "float32", "memory_format": "contiguous"}


def ratios(epoch=1.0, train=1.0):
    exact = {"epoch_seconds": Estimate.exact(epoch), "train_seconds": Estimate.exact(train)}
    return PriceRatios(**exact, inference_ms_per_image=EXACT, train_peak_bytes=EXACT)


def row_of(design, designs, objective=Objective.ERROR):
    return next(row for row in rank(designs, ACCURACY, objective) if row.evaluated is design)


def said(design, *, traded=None, thresholds=(), evidence=NOTHING_RUN, designs=(SINGLE, DEQ, HATCHED)):
    return reasons(row_of(design, designs), traded, threshold_of(design, thresholds), evidence)


# What a design trades.


def test_a_trade_gives_points_with_their_interval_and_times_an_epoch_and_in_all():
    # Half of the draws 3 points less, half 1 point more: 1 point less on average, ± (3 + 1) / 2.
    mixed = evaluated("4xresnet-26-8", [0.07, 0.11], 250)
    traded = trade(mixed, SINGLE, ratios(epoch=2.1, train=2.5))
    assert (traded.points_less.mean, traded.points_less.low, traded.points_less.high) == pytest.approx(
        (1, -1, 3)
    )
    assert said(mixed, traded=traded, designs=(SINGLE, mixed))[0] == (
        "1.0 ± 2.0 points less error than resnet-26-16, "
        "for 2.1x its time an epoch and 2.5x its whole training"
    )


def test_equal_times_are_said_once_and_large_ones_in_full():
    slow = evaluated("4xresnet-26-8", 0.12, 12_345)
    traded = trade(slow, SINGLE, ratios(epoch=123.45, train=123.45))
    assert said(slow, traded=traded, designs=(SINGLE, slow))[0] == (
        "2.0 ± 0.0 points more error than resnet-26-16, for 123x its training time, by the epoch and in all"
    )


def test_differences_that_would_round_to_nothing_have_another_digit():
    close = evaluated("4xresnet-26-8", [0.0991, 0.1001], 100)
    assert said(close, traded=trade(close, SINGLE, ratios()), designs=(SINGLE, close))[0].startswith(
        "0.04 ± 0.05 points less"
    )


def test_the_reference_says_what_it_is_and_what_it_has_over_the_best_ensemble():
    better = evaluated("resnet-26-16", 0.08, 100)
    traded = trade(better, DEQ, ratios(train=0.5, epoch=0.5))
    assert said(better, traded=traded, designs=(better, DEQ)) == [
        "best single network within the budget, the reference of the comparison",
        "1.0 ± 0.0 points less error than 4xresnet-26-8, for 0.5x its training time, by the epoch and in all",
    ]
    assert said(DEQ, designs=(DEQ, HATCHED)) == [
        "no single network keeps the limits: the most accurate design that does is the reference"
    ]


def test_a_trade_names_the_method_of_the_other_where_its_name_does_not_imply_it():
    for method, name in (
        (Method.SNAPSHOT, "4xresnet-8-8 snapshot"),
        (Method.BAGGING, "4xresnet-8-8 bagging"),
        (Method.FULL_DATA, "4xresnet-8-8"),
    ):
        other = evaluated("4xresnet-8-8", 0.08, 50, method=method)
        traded = trade(SINGLE, other, ratios(epoch=2.0, train=2.0))
        assert said(SINGLE, traded=traded, designs=(SINGLE,))[1].startswith(
            f"2.0 ± 0.0 points more error than {name}, for 2x"
        )


# Its threshold, its mothers and its evidence.


def test_reasons_name_the_threshold_of_the_family_and_its_members():
    thresholds = [threshold("resnet", 4), threshold("resnet", 2, past=0.1), threshold("vgg", 4, past=0.3)]
    before = evaluated("4xvgg-11-4", 0.2, 10)
    assert said(DEQ, thresholds=thresholds) == [
        "past the switchover threshold of 4 resnet members with probability 80%"
    ]
    assert said(before, thresholds=thresholds, designs=(SINGLE, before)) == [
        "before the switchover threshold of 4 vgg members with probability 70%"
    ]


def test_a_threshold_of_independent_training_says_nothing_of_other_designs():
    thresholds = [threshold("resnet", 4), threshold("resnet", 2)]
    snapshots = evaluated("4xresnet-26-8", 0.1, 10, method=Method.SNAPSHOT)
    mixture = evaluated("resnet-20-16+resnet-32-16", 0.1, 10)
    for design in (HATCHED, SINGLE, snapshots, mixture):
        assert threshold_of(design, thresholds) is None


def test_reasons_say_how_many_mothers_stand_in_for_trainings():
    two = evaluated("4xresnet-26-8@g2", 0.093, 70)
    text = "instead of 4 trainings from scratch; members that share one are less diverse"
    assert said(HATCHED) == [f"1 mother network {text}"]
    assert said(two, designs=(SINGLE, two)) == [f"2 mother networks {text}"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        # Clusters of 2, 1 and 1; of 2, 2 and 1; of 3 and 1, as families share no mother.
        ("4xresnet-26-8@g3", "1 mother network for 2 of 4 members, 2 trained from scratch"),
        ("5xresnet-26-8@g3", "2 mother networks for 4 of 5 members, 1 trained from scratch"),
        ("3xresnet-26-8+vgg-11-4@g2", "1 mother network for 3 of 4 members, 1 trained from scratch"),
    ],
)
def test_a_member_alone_in_its_cluster_has_no_mother(name, sentence):
    some = evaluated(name, 0.093, 70)
    plan = make_plan(
        some.design, DATASETS["cifar10"], epochs=10, batch=32, seed=0, execution=Execution(**CPU)
    )
    mothers = sum(network.role is Role.MOTHER for network in plan.networks)
    assert sentence.startswith(f"{mothers} mother network")
    assert said(some, designs=(SINGLE, some)) == [f"{sentence}; members that share one are less diverse"]


def test_a_family_without_a_training_on_the_data_is_named_where_others_have_one():
    evidence = Evidence(
        accuracy="runs",
        runs=3,
        runs_on_dataset=2,
        families={"vgg": 2},
        cost="nominal",
        measurements=0,
        known=True,
    )
    assert said(DEQ, evidence=evidence) == ["no resnet has been trained on this data yet"]
    assert said(DEQ) == []


def test_what_was_never_measured_of_any_design_is_no_reason_of_one():
    wide = evaluated("4xresnet-26-8", 0.09, 1, unmeasured=("batch 512", "family resnet"))
    evidence = Evidence(
        accuracy="prior",
        runs=0,
        runs_on_dataset=0,
        cost="measurements",
        measurements=9,
        known=True,
        unmeasured=("batch 512",),
    )
    assert said(wide, evidence=evidence, designs=(SINGLE, wide)) == [
        "its cost is less certain, never measured: family resnet"
    ]
