"""What a probe is worth, on draws made by hand, and how probes are chosen."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from advisor.accuracy.posterior import SAMPLES
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.conformal import Corrections
from advisor.decision.probes import probing
from advisor.decision.probes.contenders import contenders, first_to_train, key_of
from advisor.decision.probes.fantasies import Fantasies
from advisor.decision.probes.probe_value import at_stake, errors_of, expected_move
from advisor.decision.probes.probing import LEAST_EPOCHS, WORTHWHILE, Valuation, _of_leading, next_probe
from advisor.decision.scenario import Evaluated, Limits, Scenario, planned
from advisor.designs.design import DesignClass, parse_design
from advisor.designs.space import enumerate_candidates
from advisor.estimate import Estimate
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.method_traits import Method

DIGITS = DATASETS["digits"]


@pytest.fixture(scope="module")
def draws():
    """Two designs of 10 % error whose log ratio has a std of a tenth, and draws of that ratio."""
    ratio = np.random.default_rng(0).normal(0, 0.1, 2000)
    return np.stack([np.full(2000, 0.1), 0.1001 * np.exp(-ratio)], axis=1), ratio


def test_an_observation_of_the_difference_moves_it_by_its_std(draws):
    errors, ratio = draws
    # The second design is best in half of the draws; e_b times its share times the std of the ratio.
    move = expected_move(errors, ratio[:, None], np.array([1e-3]), 1)
    assert move == pytest.approx(0.1 * 0.5 * 0.1, rel=0.1)


def test_a_noisy_observation_moves_it_less(draws):
    errors, ratio = draws
    exact, noisy = (expected_move(errors, ratio[:, None], np.array([s]), 1) for s in (1e-3, 0.1))
    # With noise as large as the signal half of the variance is explained.
    assert noisy == pytest.approx(exact / np.sqrt(2), rel=0.15)


def test_an_observation_of_something_else_moves_nothing(draws):
    errors, _ = draws
    elsewhere = np.random.default_rng(5).standard_normal((2000, 2))
    assert expected_move(errors, elsewhere, np.array([0.1, 0.1]), 1) < 0.1 * 0.5 * 0.1 / 10


def test_at_stake_is_what_perfect_knowledge_would_save(draws):
    errors, ratio = draws
    assert at_stake(errors) == pytest.approx(0.1 * np.maximum(ratio - 0.001, 0).mean(), rel=0.02)
    assert at_stake(errors[:, :1]) == 0


@dataclass
class Clock:
    """A cost predictor that knows one figure: seconds an epoch and megabyte of parameters."""

    watts = None
    seconds: float = 1.0

    def correction(self, quantity):
        return Corrections().of(quantity, "measurements")

    def contention(self, processes):
        return 1.0

    def fits(self, *_):
        return True

    def unmeasured(self, *_):
        return ()

    def reserved_bytes(self, *_):
        return None

    def epoch_seconds(self, network, task, batch, **_):
        return Estimate(self.seconds, self.seconds, 2 * self.seconds)

    def inference_seconds(self, *_):
        return Estimate.exact(1e-3)

    def training_peak_bytes(self, *_):
        return Estimate.exact(1e6)

    inference_peak_bytes = training_peak_bytes


@pytest.fixture(scope="module")
def scenario():
    return Scenario(
        candidates=enumerate_candidates(60_000, ["resnet"], DIGITS.task, [1, 2, 4]),
        dataset=DIGITS,
        epochs=20,
        batch=32,
        seed=0,
        execution=Execution(
            device="cpu", processes=2, threads=1, dtype="float32", memory_format="contiguous"
        ),
        limits=Limits(),
        cost=Clock(),
        accuracy=AccuracyPredictor(["digits"]),
    )


@pytest.fixture(scope="module")
def evaluated(scenario):
    """A design of every number of members, with the draws of its error."""
    chosen = [next(c for c in scenario.candidates if c.members == k) for k in (1, 2, 4)]
    designs = [c.design() for c in chosen]
    errors = scenario.accuracy.sample_errors(designs, "digits", DIGITS.task, 20)
    return [
        Evaluated(d, c.design_class, c.parameters, None, errors[:, i], True)
        for i, (d, c) in enumerate(zip(designs, chosen, strict=True))
    ]


def test_a_probe_fits_the_time_and_is_smaller_than_what_it_decides(scenario, evaluated):
    probe = next_probe(scenario, evaluated, budget=60_000, seconds=60, done=(), seed=1)
    assert probe is not None
    assert probe.seconds.high <= 60
    assert probe.move >= WORTHWHILE
    assert LEAST_EPOCHS * 20 <= probe.plan.epochs <= 20
    assert probe.plan.execution.processes == 1


def test_the_same_request_is_answered_by_the_same_probe_and_never_twice(scenario, evaluated):
    first, again = (
        next_probe(scenario, evaluated, budget=60_000, seconds=60, done=(), seed=1) for _ in range(2)
    )
    assert first.key == again.key
    other = next_probe(scenario, evaluated, budget=60_000, seconds=60, done={first.key}, seed=1)
    assert other is None or other.key != first.key


def test_without_time_there_is_no_probe(scenario, evaluated):
    assert next_probe(scenario, evaluated, budget=60_000, seconds=1, done=(), seed=1) is None


def test_a_decision_that_is_settled_needs_no_probe(scenario, evaluated):
    errors = evaluated[0].errors
    worse = Evaluated(evaluated[1].design, evaluated[1].design_class, 1, None, 3 * errors, True)
    assert next_probe(scenario, [evaluated[0], worse], budget=60_000, seconds=60, done=(), seed=1) is None


def named(name, error, method=Method.FULL_DATA):
    """A design with a mean error, and draws around it that leave the choice open."""
    design = parse_design(name)
    draws = error * np.exp(np.random.default_rng(len(name)).normal(0, 0.5, SAMPLES))
    kind = DesignClass.SINGLE if len(design.members) == 1 else DesignClass.DEPTH_EQUIVALENT
    return Evaluated(design, kind, 1, None, draws * error / draws.mean(), True, method)


OPEN = (("4xresnet-8-6", 0.09), ("resnet-26-6", 0.10), ("resnet-8-13", 0.11), ("2xresnet-14-6", 0.12))


@pytest.fixture
def open_choice(scenario):
    return scenario, [named(name, error) for name, error in OPEN]


def chosen(scenario, evaluated, seconds=1e6, done=(), **beside):
    return next_probe(scenario, evaluated, budget=60_000, seconds=seconds, done=done, seed=1, **beside)


def test_the_first_probe_is_the_leading_design_as_it_would_be_trained(open_choice):
    scenario, evaluated = open_choice
    # Four members of 20 epochs: 80 s, and at most twice that.
    first = chosen(scenario, evaluated, 200)
    assert first.full
    wanted = planned(scenario, evaluated[0].design)
    assert first.plan == replace(wanted, execution=replace(wanted.execution, processes=1))


def test_the_second_is_its_closest_rival_of_the_other_kind(open_choice):
    scenario, evaluated = open_choice
    done = {key_of("4xresnet-8-6", 20, 1.0)}
    second = chosen(scenario, evaluated, 200, done)
    assert (second.plan.design, second.plan.epochs, second.image_share, second.full) == (
        *("resnet-26-6", 20, 1.0),
        True,
    )
    # Where the leading design does not fit, its rival is trained as it stands, if that does.
    assert chosen(scenario, evaluated, 50).plan.design == "resnet-26-6"


def test_where_no_full_training_fits_leading_designs_are_shortened(open_choice):
    scenario, evaluated = open_choice
    assert chosen(scenario, evaluated, 30) is None or not chosen(scenario, evaluated, 30).full
    valuation = Valuation(scenario, errors_of(evaluated), 1)
    proposed = {p.key for p in _of_leading(valuation, evaluated, 30, ())}
    assert key_of("4xresnet-8-6", 5, 1.0) in proposed
    assert key_of("resnet-26-6", 20, 0.5) in proposed
    assert not any(p.full for p in _of_leading(valuation, evaluated, 30, ()))
    # A training that fits as it stands is not proposed for less.
    fitting = {p.key for p in _of_leading(valuation, evaluated, 50, ())}
    assert key_of("resnet-26-6", 20, 1.0) in fitting
    assert key_of("resnet-26-6", 20, 0.5) not in fitting


def test_the_leading_design_is_trained_itself_and_any_of_its_size_will_do_as_its_rival(open_choice):
    scenario, evaluated = open_choice

    def wanted(*done):
        first = first_to_train(evaluated, scenario.dataset, 20, {key_of(name, 20, 1.0) for name in done})
        return [e.design.name for e in first]

    assert wanted() == ["4xresnet-8-6", "resnet-26-6"]
    # Any single network of about this size is enough of a rival.
    assert wanted("4xresnet-8-6", "resnet-20-6") == []
    assert wanted("4xresnet-8-6", "resnet-20-2") == ["resnet-26-6"]
    # What leads is trained itself: not with fewer members, other depths or clusters, or in another size.
    for other in ("2xresnet-8-9", "4xresnet-14-4", "4xresnet-8-6@g1", "4xresnet-8-3"):
        assert wanted(other, "resnet-20-6") == ["4xresnet-8-6"]
    # Shorter trainings, or on parts of the images, do not stand for it.
    short = {key_of("4xresnet-8-6", 10, 1.0), key_of("resnet-26-6", 20, 0.5)}
    assert len(first_to_train(evaluated, scenario.dataset, 20, short)) == 2


def test_what_a_probe_cannot_report_does_not_lead():
    every = [named(*each) for each in OPEN]
    chain = named("4xresnet-8-7", 0.01, Method.SNAPSHOT)
    mixed = named("resnet-8-4+resnet-14-4", 0.01)
    assert contenders([chain, mixed, *every])[0].design.name == "4xresnet-8-6"


# Side by side.


def test_where_nothing_trains_a_choice_is_that_of_one_probe_after_the_other(open_choice):
    scenario, evaluated = open_choice
    errors = errors_of(evaluated)
    nothing = Fantasies.of([], seed=1)
    assert nothing.conditioned(errors) is errors
    assert nothing.evaluated(evaluated) is evaluated
    assert chosen(scenario, evaluated, running=(), slowdown=1.0) == chosen(scenario, evaluated)


def test_beside_the_leading_design_trains_its_rival_and_then_what_teaches_most(open_choice):
    scenario, evaluated = open_choice
    running, done = [], set()
    for _ in range(3):
        running.append(chosen(scenario, evaluated, done=done, running=tuple(running)))
        done.add(running[-1].key)
    assert [p.key for p in running[:2]] == [key_of("4xresnet-8-6", 20, 1.0), key_of("resnet-26-6", 20, 1.0)]
    assert running[2].key not in {p.key for p in running[:2]}
    again = chosen(scenario, evaluated, done=done - {running[2].key}, running=tuple(running[:2]))
    assert again == running[2]


def test_a_probe_that_a_shared_machine_slows_down_has_to_fit_the_time(open_choice):
    scenario, evaluated = open_choice
    # 80 s, and at most twice that.
    alone = chosen(scenario, evaluated, seconds=200)
    shared = chosen(scenario, evaluated, seconds=200, slowdown=1.2)
    assert shared == replace(alone, seconds=alone.seconds.scaled(1.2))
    assert shared.seconds.high == pytest.approx(192)
    assert chosen(scenario, evaluated, seconds=190, slowdown=1.2).key != alone.key


def test_what_a_first_choice_valued_is_not_valued_again_for_another_time(open_choice, monkeypatch):
    scenario, evaluated = open_choice
    alone = [chosen(scenario, evaluated, seconds) for seconds in (30, float("inf"))]
    priced, valued = [], {}
    price = probing.price
    monkeypatch.setattr(probing, "price", lambda plan, cost: priced.append(plan) or price(plan, cost))
    assert [chosen(scenario, evaluated, seconds, valued=valued) for seconds in (30, float("inf"))] == alone
    assert all(priced.count(plan) == 1 for plan in priced)
