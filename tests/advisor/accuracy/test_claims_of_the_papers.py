"""What More or Less (ICLR 2021) and MotherNets (MLSys 2020) say in words, asked of the prior.

Every test reads as a sentence of one of the papers, on data that the paper describes.
"""

from functools import cache

import numpy as np
import pytest

from advisor.accuracy.pooled import pooled_without
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.accuracy.prior import prior_of
from advisor.decision.threshold.epoch_axis import WholeSchedules
from advisor.decision.threshold.switchover import switchover
from advisor.designs.design import parse_design
from advisor.networks.layers import Task
from advisor.plans.dataset import DATASETS
from advisor.plans.method_traits import Method

# Three VGG-16 stand for 16, 16A and 16B, of which the paper says no more than the name.
V5 = "vgg-13-64+3xvgg-16-64+vgg-19-64"
# Epochs of a network in the MotherNets paper, and of the schedules of More or Less.
EPOCHS, SCHEDULES = 128, {"densenet": 120, "resnet": 250}


@cache
def predictor(name):
    """What `advisor recommend` knows of a data set before any training."""
    images = {name: DATASETS[name].train_images}
    return AccuracyPredictor([name], pooled=pooled_without(name), images=images)


def error(design, method=None, dataset="cifar10", epochs=EPOCHS):
    methods = None if method is None else [method]
    drawn = predictor(dataset).sample_errors(
        [parse_design(design)], dataset, DATASETS[dataset].task, epochs, methods=methods
    )
    return float(drawn.mean())


@cache
def threshold(dataset, family, members, budget=5_000_000):
    source = WholeSchedules(predictor(dataset), dataset, DATASETS[dataset].task)
    return switchover(source, family, members, budget=budget, epochs=SCHEDULES[family])


# More or Less, section 4.


def test_dense_nets_and_res_nets_of_four_switch_near_one_to_one_and_a_half_million_parameters():
    for family in SCHEDULES:
        assert 1e6 <= threshold("cifar10", family, 4).parameters.mean <= 2.2e6


def test_larger_ensembles_switch_later():
    # 1.5M, 3M and 5M for DenseNets of 4, 6 and 8.
    four, six, eight = (threshold("cifar10", "densenet", k).parameters.mean for k in (4, 6, 8))
    assert four < six < eight


def test_more_complex_data_switch_earlier():
    ten, hundred, tiny = (
        threshold(name, "densenet", 4).parameters.mean for name in ("cifar10", "cifar100", "tiny-imagenet")
    )
    assert tiny < hundred < ten


def test_past_the_threshold_in_size_at_most_half_of_the_epochs_are_needed():
    for family, epochs in SCHEDULES.items():
        assert threshold("cifar10", family, 4).epochs.mean <= epochs / 2


# MotherNets, section 3.


def test_error_falls_with_the_number_of_mothers_down_to_independent_training():
    one, two, three = (error(f"{V5}@g{g}", Method.MOTHERNETS) for g in (1, 2, 3))
    assert error(V5, Method.FULL_DATA) < three < two < one


@pytest.mark.parametrize("method", [Method.DISTILLATION, Method.TREENETS])
def test_one_mother_has_less_error_than_distillation_and_tree_nets(method):
    assert error(f"{V5}@g1", Method.MOTHERNETS) < error(V5, method)


def test_bagging_has_more_error_than_the_best_single_network():
    best = min(error(name) for name in ("vgg-13-64", "vgg-16-64", "vgg-19-64"))
    assert error(V5, Method.BAGGING) > best


def test_one_mother_has_less_error_than_snapshots():
    # V5 on CIFAR-10: 0.7 points less with one mother, 1.25 with two.
    snapshots = error(V5, Method.SNAPSHOT)
    one, two = (snapshots - error(f"{V5}@g{g}", Method.MOTHERNETS) for g in (1, 2))
    assert 0.003 < one < two


def test_snapshots_get_worse_beyond_six_while_mother_nets_gain():
    def snapshots(k):
        return error(f"{k}xvgg-16-64", Method.SNAPSHOT)

    def mother_nets(k):
        return error(f"{k - 1}xvgg-16-64+vgg-16-72@g1", Method.MOTHERNETS)

    assert snapshots(2) > snapshots(6) < snapshots(12) < snapshots(48)
    assert mother_nets(2) > mother_nets(6) >= mother_nets(48) - 1e-3
    # The paper has nearly 2 points (docs/papers/deviations.md).
    assert mother_nets(6) - mother_nets(48) < 0.005


# Data of which nothing is known but its size.


def level(**changes):
    size = {"channels": 3, "height": 32, "width": 32, "classes": 10, "images": 10_000} | changes
    images = size.pop("images")
    prior = prior_of(["new"], None, {"new": images}, tasks={"new": Task(**size)})
    return prior.mean[prior.index["log_level/new"]]


def pace(**changes):
    size = {"channels": 3, "height": 32, "width": 32, "classes": 10, "images": 10_000} | changes
    images = size.pop("images")
    prior = prior_of(["new"], None, {"new": images}, tasks={"new": Task(**size)})
    return prior.mean[prior.index["log_tau/new"]]


def test_more_classes_and_fewer_images_mean_more_error_on_unknown_data():
    assert level(classes=100) > level() > level(images=100_000)
    assert level(height=64, width=64) > level()


def test_more_images_need_fewer_epochs_and_more_classes_and_pixels_more():
    assert pace(images=100_000) < pace() < pace(classes=100)
    assert pace(height=64, width=64) > pace()


def test_a_thousand_classes_are_not_forecast_as_ten():
    # ImageNet32 was forecast at 4.9 % for densenet-40-12; Wide ResNets of 1.6 million parameters have 56.9 %.
    assert 0.35 < error("densenet-40-12", dataset="imagenet32", epochs=90) < 0.75
    assert np.isclose(error("wrn-28-10", dataset="imagenet32", epochs=40), 0.41, rtol=0.15)
    new = AccuracyPredictor(
        ["new"], images={"new": 1_000_000}, tasks={"new": DATASETS["imagenet32"].task}
    ).sample_errors([parse_design("densenet-40-12")], "new", DATASETS["imagenet32"].task, 90)
    assert 0.2 < np.median(new) < 0.9


def test_described_data_have_their_published_errors():
    # imgclsmob: 3.43 % on SVHN; giung2-jax: 42.2 % on Tiny ImageNet.
    assert np.isclose(error("resnet-20-16", dataset="svhn", epochs=250), 0.034, rtol=0.15)
    assert np.isclose(error("vgg-16-64", dataset="tiny-imagenet", epochs=100), 0.42, rtol=0.1)
