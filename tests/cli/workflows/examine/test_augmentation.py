"""`--augment`: from the command line into the plan, and no price made under another augmentation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from advisor.cost.measurement import LayerTime, Measurement
from advisor.networks.architecture import lower, parse_network
from advisor.plans.dataset import Augmentation, dataset_named
from cli.workflows.forecast.machine import (
    measurement_of,
    plain_execution,
    predictor_for,
    stored_measurements,
)
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from db.session import open_store
from profiler.device import fingerprint
from profiler.steps import StepTimes

RAND = Augmentation.RANDAUGMENT
EXECUTION = plain_execution("cpu")
DIGITS = dataset_named("digits").task
EXPLAIN = ("explain", "resnet-8-4", "--dataset", "digits", "--device", "cpu", "--epochs", "10", "--json")


@pytest.fixture
def store(home):
    with open_store(home / "advisor.sqlite") as opened:
        yield opened


def measured(augmentation: str = "", preparation: float = 0.001, network: str = "resnet-8-4") -> Measurement:
    """A step at batch 32 whose passes take 20 ms."""
    names = [*(node.name for node in lower(parse_network(network), DIGITS).nodes), "loss"]
    layers = tuple(
        LayerTime(
            name=name,
            forward_seconds=0.006 / len(names),
            backward_seconds=0.012 / len(names),
            inference_seconds=0.006 / len(names),
        )
        for name in names
    )
    times = StepTimes(
        forward=0.006,
        backward=0.012,
        optimizer=0.002,
        step=0.020 + preparation,
        step_iqr=0.0,
        inference=0.006,
        layers=layers,
        peak_bytes=None,
        spent=1.0,
        repetitions=10,
    )
    return measurement_of(network, DIGITS, 32, fingerprint(EXECUTION, augmentation), times)


def planned(store, **options):
    return planned_target(PlanRequest(**options)).with_settings(store)


def test_a_plan_takes_the_augmentation_that_was_asked_for(store):
    options = {"target": "resnet-8-4", "dataset": "digits", "device": "cpu"}
    augmented = planned(store, **options, augmentation=RAND.value)
    assert augmented.dataset == replace(dataset_named("digits"), augmentation=RAND)
    assert planned(store, **options).dataset.augmentation is Augmentation.CROP


def test_a_recommendation_keeps_its_augmentation_on_its_data_only(store):
    request = {"budget": "9k", "dataset": "digits", "epochs": 3, "batch": 32, "seed": 0, "device": "cpu"}
    rows = {"recommendations": [{"design": "resnet-8-4"}]}
    store.add_recommendation("", request | {"augmentation": RAND.value}, rows)
    assert planned(store).dataset.augmentation is RAND
    assert planned(store, augmentation="none").dataset.augmentation is Augmentation.NONE
    assert planned(store, dataset="svhn").dataset == dataset_named("svhn")
    store.add_recommendation("", request, rows)
    assert planned(store).dataset == dataset_named("digits")


def test_randaugment_has_no_price_before_it_was_measured(advisor, store):
    store.add_measurement(measured())
    assert advisor(*EXPLAIN).json["predicted"]["train_seconds"] is not None
    assert advisor(*EXPLAIN, "--augment", RAND.value).json["predicted"]["train_seconds"] is None


def test_randaugment_costs_more_by_what_its_preparation_was_measured_to_take(advisor, store):
    for network in ("resnet-8-4", "resnet-8-6", "resnet-8-8"):
        store.add_measurement(measured(network=network))
    plain = predictor_for(store, EXECUTION).step_seconds("resnet-8-4", DIGITS, 32).mean
    store.add_measurement(measured(RAND.key, preparation=0.011))
    dearer = predictor_for(store, EXECUTION, RAND.key).step_seconds("resnet-8-4", DIGITS, 32).mean
    assert dearer - plain == pytest.approx(0.010, rel=0.05)
    # What was measured under RandAugment leaves all other prices as they were.
    assert predictor_for(store, EXECUTION).step_seconds("resnet-8-4", DIGITS, 32).mean == plain
    assert len(stored_measurements(store, "cpu")) == 3
    assert advisor(*EXPLAIN, "--augment", RAND.value).json["predicted"]["train_seconds"] is not None


def test_crops_and_flips_share_their_measurements():
    assert {a.key for a in Augmentation if a is not RAND} == {""}
