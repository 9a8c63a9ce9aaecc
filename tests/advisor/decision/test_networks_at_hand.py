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
from advisor.decision.weight_decay import chosen_place
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
    assert own.at_hand
    assert not last.at_hand
    assert 0 < own.seed_std < last.seed_std
    assert own.errors.mean() < 0.8 * last.errors.mean()
    earlier = {e.key: e for e in before}
    others = [e for e in after if e is not own and e.key in earlier]
    assert len(others) > 10
    assert all(np.array_equal(e.errors, earlier[e.key].errors) for e in others)
    lucky = AtHand(1e-4, 10**6)
    after = looked_at(replace(scenario, at_hand={last.key: lucky}))
    first = rank(after, scenario.accuracy, Objective.ERROR)[0].evaluated
    assert first.key == last.key


def test_a_first_look_knows_of_the_training_too(scenario):
    e = first_look(scenario, 8)[0]
    found = {x.key: x for x in first_look(with_known(scenario, e, 0.5), 8)}
    assert found[e.key].at_hand


def test_no_search_misses_a_design_whose_networks_exist(scenario):
    tried = {e.key[:2] for e in search(scenario, optuna.storages.InMemoryStorage(), "study", 6)}
    missed = next(c for c in scenario.choices.all if (c.design.name, c.method) not in tried)
    key = missed.design.name, missed.method, 1.0
    known = replace(scenario, at_hand={key: AtHand(0.02, 1000)})
    for found in (search(known, optuna.storages.InMemoryStorage(), "study", 6), first_look(known, 3)):
        (own,) = [e for e in found if e.at_hand]
        assert own.key == key


def test_a_training_with_another_weight_decay_counts_for_that_one(scenario):
    e = looked_at(scenario)[0]
    assert e.weight_decay == 1
    found = {x.key: x for x in looked_at(with_known(scenario, e, 0.01, weight_decay=3.0))}
    own = found[e.design.name, e.method, 3.0]
    assert own.at_hand
    # What it saves cannot be told from luck.
    assert own.gain_by_weight_decay == 0
    assert own.errors.mean() < e.errors.mean()
    assert (own.errors_by_weight_decay[:, 0] == e.errors).all()
    assert (own.errors_by_weight_decay[:, 1] == own.errors).all()


def test_an_unlucky_training_leaves_the_weight_decay_to_one_that_has_not_been_trained(scenario):
    e = looked_at(scenario)[0]
    found = {x.key: x for x in looked_at(with_known(scenario, e, 20.0))}
    other = found[e.design.name, e.method, 3.0]
    assert not other.at_hand
    assert other.seed_std == e.seed_std > 0


def test_of_weight_decays_that_are_as_good_the_one_that_was_trained_is_taken():
    errors = np.array([[0.1, 0.1005, 0.2]] * 2)
    assert chosen_place(errors) == 0
    assert chosen_place(errors, at_hand=[1]) == 1
    # Not one that is worse.
    assert chosen_place(errors, at_hand=[2]) == 0
