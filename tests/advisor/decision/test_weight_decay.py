"""The choice of a weight decay, on errors made by hand and on a posterior whose effect of it is fixed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import optuna
import pytest
from accuracy_examples import formula_alone

from advisor.accuracy.cases import weight_decay_of
from advisor.accuracy.likelihood import LikelihoodPredictor
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.predictor import CostPredictor
from advisor.decision.probes.contenders import contenders, first_to_train, key_of, with_other_weight_decays
from advisor.decision.probes.probe_value import at_stake, errors_of, expected_move
from advisor.decision.probes.probing import WORTHWHILE, Valuation, _of_leading, full_probes, next_probe
from advisor.decision.ranking import Objective, rank
from advisor.decision.reasons import Evidence, compared_prices, reasons, trade
from advisor.decision.scenario import Limits, Scenario, plan_of
from advisor.decision.search import search
from advisor.decision.weight_decay import (
    MULTIPLES,
    RECIPE_ONLY,
    Tune,
    absolute,
    chosen_place,
    multiples_of,
    other_than_recipe,
    weight_decay_words,
    with_weight_decay,
)
from advisor.designs.design import parse_design
from advisor.designs.space import enumerate_candidates
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.plan import TrainStep
from advisor.plans.recipes.table import RECIPES

DIGITS = DATASETS["digits"]
EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="contiguous")
EVIDENCE = Evidence(accuracy="runs", runs=1, runs_on_dataset=1, cost="nominal", measurements=0, known=True)


@pytest.mark.parametrize(
    ("means", "multiple"),
    [
        ([0.1, 0.1, 0.1, 0.1], 1),
        # A gain of less than a hundredth of the error is not worth another recipe.
        ([0.1, 0.0991, 0.0995, 0.12], 1),
        ([0.1, 0.0989, 0.0995, 0.12], 3),
        # The nearest to the recipe of those that are as good.
        ([0.1, 0.0905, 0.09, 0.0899], 3),
        ([0.1, 0.095, 0.09, 0.0899], 10),
        ([0.1, 0.095, 0.09, 0.08], 30),
        ([0.1, 0.2, 0.3, 0.4], 1),
    ],
)
def test_another_weight_decay_is_chosen_for_a_gain_of_a_hundredth_and_the_nearest_of_equals(means, multiple):
    # Draws around each mean that differ by more than the means.
    noise = np.array([0.5, 1.5, 0.8, 1.2])[:, None]
    assert MULTIPLES[chosen_place(noise * np.array(means))] == multiple


def test_a_multiple_is_of_the_recipe_of_the_family():
    assert absolute(parse_design("4xresnet-8-4"), 3.0) == 3e-4
    assert absolute(parse_design("densenet-13-4"), 10.0) == 1e-2
    assert other_than_recipe(parse_design("densenet-13-4"), 1.0) is None
    # As computed from a plan.
    assert other_than_recipe(parse_design("resnet-8-4"), 3e-4 / 1e-4 * (1 + 1e-15)) == 3e-4
    assert multiples_of(Tune.OFF) == RECIPE_ONLY == (1.0,)
    assert multiples_of(Tune.AUTO) == (1.0, 3.0, 10.0, 30.0)


def test_a_weight_decay_is_written_as_people_write_it():
    assert weight_decay_words(3e-3) == "weight decay 3e-3"
    assert weight_decay_words(2.5e-4) == "weight decay 2.5e-4"
    assert weight_decay_words(0.0) == "no weight decay"
    assert with_weight_decay("resnet-8-4", None) == "resnet-8-4"
    assert with_weight_decay("resnet-8-4", 1e-2) == "resnet-8-4 with weight decay 1e-2"


OMEGA, ZETA = -0.2, 0.03


@pytest.fixture(scope="module")
def predictor():
    """A predictor whose draws differ in the level of the error, with one effect of weight decay."""
    found = AccuracyPredictor(["digits"])
    samples = found._posterior.samples.copy()
    for name in ("omega", "omega_on/digits"):
        samples[:, found._index[name]] = OMEGA / 2
    samples[:, found._index["zeta"]] = ZETA
    found._posterior = replace(found._posterior, samples=samples)
    return formula_alone(found)


def scenario_with(accuracy, weight_decays=MULTIPLES, **changed):
    return Scenario(
        **{
            "candidates": enumerate_candidates(60_000, ["resnet"], DIGITS.task, [1, 2, 4]),
            "weight_decays": weight_decays,
            "dataset": DIGITS,
            "epochs": 20,
            "batch": 32,
            "seed": 0,
            "execution": EXECUTION,
            "limits": Limits(),
            "cost": CostPredictor([], EXECUTION),
            "accuracy": accuracy,
        }
        | changed
    )


def looked_at(scenario, trials=24):
    return search(scenario, optuna.storages.InMemoryStorage(), "study", trials)


@pytest.fixture(scope="module")
def tuned(predictor):
    """The scenario, and what a search finds in it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    scenario = scenario_with(predictor, likelihood=LikelihoodPredictor.of("digits", DIGITS.task.classes, ()))
    return scenario, looked_at(scenario)


def test_a_search_chooses_the_weight_decay_of_least_error_for_every_design(tuned, predictor):
    scenario, found = tuned
    recipe = {e.key[:2]: e for e in looked_at(replace(scenario, weight_decays=RECIPE_ONLY))}
    for e in found:
        # The logarithm of the rate changes by omega·q + zeta·q²: -0.088, -0.17 and -0.23.
        assert e.weight_decay == 30
        assert e.key == (e.design.name, e.method, 30.0)
        plain = recipe[e.key[:2]]
        assert plain.weight_decay == 1
        assert (e.errors_by_weight_decay[:, 0] == plain.errors).all()
        decades = np.log10(30)
        factor = np.exp(OMEGA * decades + ZETA * decades**2)
        chance = 0.9
        expected = chance * (1 - (1 - plain.errors / chance) ** factor)
        assert e.errors == pytest.approx(expected)
        assert (e.nlls == scenario.likelihood.sample_nlls(e.errors, len(e.design.members))).all()
        assert e.gain_by_weight_decay == pytest.approx(1 - e.errors.mean() / plain.errors.mean())


def test_the_plan_of_a_design_has_its_weight_decay_in_every_step(tuned):
    scenario, found = tuned
    for e in found:
        plan = plan_of(scenario, e)
        assert {s.weight_decay for s in plan.steps if isinstance(s, TrainStep)} == {3e-3}
        assert weight_decay_of(plan) == pytest.approx(30)
        assert e.tuned_weight_decay == 3e-3


def test_the_reasons_name_the_weight_decay_and_what_it_gains(tuned):
    scenario, found = tuned
    rows = rank(found, scenario.accuracy, Objective.ERROR)
    first, reference = rows[0], rows[0].reference
    gain = f"{first.evaluated.gain_by_weight_decay:.0%}"
    said = reasons(first, None, None, EVIDENCE)
    assert f"with weight decay 3e-3, 30 times the recipe's, for {gain} less error by forecast" in said
    unknown = reasons(first, None, None, replace(EVIDENCE, known=False))
    assert "with weight decay 3e-3, 30 times the recipe's" in unknown
    other = next(row for row in rows if row.evaluated is not reference)
    traded = trade(other.evaluated, reference, compared_prices(scenario, other.evaluated, reference))
    against = f"than {reference.design.name} with weight decay 3e-3, for "
    assert any(against in sentence for sentence in reasons(other, traded, None, EVIDENCE))


def test_trainings_with_another_weight_decay_are_others(tuned):
    assert key_of("2xresnet-8-4", 20, 0.5, 3.0) == (
        "2xresnet-8-4 for 20 epochs of 50% of the images with 3 times the weight decay"
    )
    assert key_of("2xresnet-8-4", 1, 1.0, 10.000000000000002).endswith(" with 10 times the weight decay")
    assert key_of("2xresnet-8-4", 20, 1.0, 1.0) == "2xresnet-8-4 for 20 epochs"
    scenario, found = tuned

    def wanted(multiple):
        done = {key_of(e.design.name, 20, 1.0, multiple) for e in contenders(found)}
        return len(first_to_train(found, DIGITS, 20, done))

    assert (wanted(1.0), wanted(30.0)) == (2, 0)
    # What is trained first is what would be recommended.
    assert {p.tuned_weight_decay for p in full_probes(scenario, found, (), 1)} == {3e-3}


@pytest.fixture(scope="module")
def open_effect():
    """A scenario in which nothing is known of weight decay, and its designs."""
    scenario = scenario_with(AccuracyPredictor(["digits"]))
    return scenario, looked_at(scenario)


def test_without_tuning_and_without_evidence_every_plan_is_the_recipe(open_effect):
    scenario, auto = open_effect
    without = replace(scenario, weight_decays=RECIPE_ONLY)
    off = looked_at(without)
    assert [e.key for e in auto] == [e.key for e in off]
    assert {e.weight_decay for e in auto} == {1.0}
    assert all((a.errors == o.errors).all() for a, o in zip(auto, off, strict=True))
    assert all(o.errors_by_weight_decay is None for o in off)
    assert [plan_of(scenario, e) for e in auto] == [plan_of(without, e) for e in off]
    steps = plan_of(scenario, auto[0]).steps
    assert {s.weight_decay for s in steps} == {RECIPES["resnet"].weight_decay}


def test_designs_are_compared_with_every_weight_decay_that_may_be_best(open_effect):
    scenario, found = open_effect
    errors = errors_of(found)
    assert (errors[:, : len(found)] == np.stack([e.errors for e in found], axis=1)).all()
    every = np.concatenate([e.errors_by_weight_decay for e in found], axis=1)
    assert (errors.min(axis=1) == every.min(axis=1)).all()
    assert errors.shape[1] < every.shape[1]
    alone = np.stack([e.errors for e in found], axis=1)
    assert at_stake(errors) > at_stake(alone)
    # What is left out adds nothing.
    rest = np.concatenate([alone, every], axis=1)
    assert at_stake(errors) == pytest.approx(at_stake(rest))
    figure = np.log(found[0].errors_by_weight_decay[:, [2]] / found[0].errors_by_weight_decay[:, [0]])
    moves = [expected_move(e, figure, np.array([0.01]), 1) for e in (errors, rest, alone)]
    assert moves[0] == pytest.approx(moves[1])
    assert moves[0] > moves[2]


def test_the_leading_designs_are_proposed_with_every_other_weight_decay(open_effect):
    scenario, found = open_effect
    leading = contenders(found)
    single = next(e for e in leading if len(e.design.members) == 1)
    ensembles = [e for e in leading if len(e.design.members) > 1]
    expected = {key_of(e.design.name, 20, 1.0, m) for e in (single, *ensembles) for m in (3.0, 10.0, 30.0)}
    long = list(_of_leading(Valuation(scenario, errors_of(found), 1), found, np.inf, ()))
    assert {p.key for p in long if p.tuned_weight_decay is not None} == expected
    assert all(p.full for p in long)
    left = {p.key for p in _of_leading(Valuation(scenario, errors_of(found), 1), found, np.inf, expected)}
    assert not left & expected
    assert with_other_weight_decays(leading, RECIPE_ONLY) == []
    # Where they do not fit, they are shortened by half at most.
    seconds = min(p.seconds.high for p in long) * 0.99
    short = [p for p in _of_leading(Valuation(scenario, errors_of(found), 1), found, seconds, ())]
    assert {(p.plan.epochs, round(p.image_share, 1)) for p in short if p.tuned_weight_decay} == {
        (10, 1.0),
        (20, 0.5),
    }


def test_after_the_full_trainings_a_probe_of_weight_decay_is_worth_its_time(open_effect):
    scenario, found = open_effect
    done = {key_of(e.design.name, 20, 1.0) for e in contenders(found)}
    proposed = list(_of_leading(Valuation(scenario, errors_of(found), 1), found, 1e5, done))
    assert {p.tuned_weight_decay for p in proposed} == {3e-4, 1e-3, 3e-3}
    assert all(p.move > WORTHWHILE for p in proposed)
    best = max(p.rate for p in proposed)
    chosen = next_probe(scenario, found, budget=60_000, seconds=1e5, done=done, seed=1)
    assert chosen.rate >= best
    # Without tuning nothing is proposed, and nothing is compared with another weight decay.
    off = replace(scenario, weight_decays=RECIPE_ONLY)
    plain = [replace(e, errors_by_weight_decay=None) for e in found]
    assert list(_of_leading(Valuation(off, errors_of(plain), 1), plain, 1e5, done)) == []
