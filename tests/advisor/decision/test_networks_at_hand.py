"""Designs whose networks exist are compared by the error of their own training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import optuna
import pytest
from accuracy_examples import formula_alone

from advisor.accuracy.at_hand import AtHand
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.predictor import CostPredictor
from advisor.decision.ranking import Objective, rank
from advisor.decision.scenario import Limits, Scenario
from advisor.decision.search import first_look, search
from advisor.designs.space import enumerate_candidates
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution

DIGITS = DATASETS["digits"]
EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="contiguous")


@pytest.fixture(scope="module")
def scenario():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return Scenario(
        candidates=enumerate_candidates(60_000, ["resnet"], DIGITS.task, [1, 2, 4]),
        weight_decays=(1.0, 3.0),
        dataset=DIGITS,
        epochs=20,
        batch=32,
        seed=0,
        execution=EXECUTION,
        limits=Limits(),
        cost=CostPredictor([], EXECUTION),
        accuracy=formula_alone(AccuracyPredictor(["digits"])),
    )


def looked_at(scenario):
    return search(scenario, optuna.storages.InMemoryStorage(), "study", 24)


def with_known(scenario, e, error, weight_decay=1.0):
    known = AtHand(error * float(e.errors.mean()), 10_000)
    return replace(scenario, at_hand={(e.design.name, e.method, weight_decay): known})


def test_a_lucky_training_takes_the_lead_and_the_others_stay_as_they_were(scenario):
    before = looked_at(scenario)
    last = max(before, key=lambda e: float(e.errors.mean()))
    after = looked_at(with_known(scenario, last, 0.05))
    (own,) = [e for e in after if e.key == last.key]
    assert own.seed_std == 0 < last.seed_std
    assert own.errors.mean() < 0.8 * last.errors.mean()
    for one, other in zip(before, after, strict=True):
        assert one.key == other.key
        assert other is own or np.array_equal(one.errors, other.errors)
    lucky = AtHand(1e-4, 10**6)
    after = looked_at(replace(scenario, at_hand={last.key: lucky}))
    first = rank(after, scenario.accuracy, Objective.ERROR)[0].evaluated
    assert first.key == last.key


def test_a_first_look_knows_of_the_training_too(scenario):
    e = first_look(scenario, 8)[0]
    found = {x.key: x for x in first_look(with_known(scenario, e, 0.5), 8)}
    assert found[e.key].seed_std == 0


def test_a_training_with_another_weight_decay_counts_for_that_one(scenario):
    e = looked_at(scenario)[0]
    assert e.weight_decay == 1
    found = {x.key: x for x in looked_at(with_known(scenario, e, 0.01, weight_decay=3.0))}
    own = found[e.design.name, e.method, 3.0]
    assert own.seed_std == 0
    assert own.errors.mean() < e.errors.mean()
    assert (own.errors_by_weight_decay[:, 0] == e.errors).all()
    assert (own.errors_by_weight_decay[:, 1] == own.errors).all()


def test_an_unlucky_training_leaves_the_weight_decay_to_one_that_has_not_been_trained(scenario):
    e = looked_at(scenario)[0]
    found = {x.key: x for x in looked_at(with_known(scenario, e, 20.0))}
    other = found[e.design.name, e.method, 3.0]
    assert other.seed_std == e.seed_std > 0
