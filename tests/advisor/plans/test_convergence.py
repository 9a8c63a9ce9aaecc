"""The forecast of the epochs to convergence: the papers' figures, then the user's own trainings."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.plans.convergence.kinds import Kind
from advisor.plans.convergence.predictor import (
    ALIKE_SCALE,
    ALIKE_SHAPE,
    DATA_STD,
    LEVEL_STD,
    EpochPredictor,
    TrainedStep,
    epochs_to_convergence,
)
from advisor.plans.schedule import PlateauSchedule, StepSchedule

MOST = 2000
CONSTANT = PlateauSchedule(epochs=MOST, rate=0.1, expected=MOST)
FALLING = PlateauSchedule(
    epochs=100, rate=0.1, expected=100, following=StepSchedule(epochs=100, rate=0.1, drops=(40, 80))
)


def errors_that_gain_until(last, epochs):
    """Training errors that fall until an epoch, counted from 1, and never after."""
    return tuple([1 - epoch / (2 * epochs) for epoch in range(last)] + [1.0] * (epochs - last))


def trained(epochs, dataset="digits", kind=Kind.MEMBER, family="resnet", patience=15, most=MOST):
    """A training at a constant rate that its patience ended after some epochs."""
    return TrainedStep(
        dataset=dataset,
        family=family,
        kind=kind,
        epochs=most,
        falling=False,
        train_errors=errors_that_gain_until(epochs - patience, epochs),
    )


def predicted(kind, *evidence, dataset="cifar10", family="resnet", schedule=CONSTANT):
    return EpochPredictor(tuple(evidence)).predict(dataset, family, kind, schedule)


def middle(estimate):
    """The median, from the bounds of a lognormal number of epochs."""
    return float(np.sqrt(estimate.low * estimate.high))


def test_before_any_training_the_forecast_is_that_of_the_papers():
    epochs = {kind: predicted(kind) for kind in Kind}
    # A mother takes 128 epochs, and a hatched member 40 where she takes these.
    assert middle(epochs[Kind.MOTHER]) == pytest.approx(128, rel=0.1)
    assert epochs[Kind.HATCHED].mean / epochs[Kind.MOTHER].mean == pytest.approx(40 / 128, rel=0.15)
    # Bagging takes 73 % of the time of full data, a distilled network 60 to 70 %.
    full = epochs[Kind.MEMBER].mean
    assert epochs[Kind.BAGGED].mean / full == pytest.approx(0.73, abs=0.05)
    assert 0.6 < epochs[Kind.DISTILLED].mean / full < 0.7
    # Other data may take half or twice as many, and more.
    for estimate in epochs.values():
        assert estimate.high / estimate.low > 4


def test_trainings_on_the_data_decide_and_narrow_the_interval():
    before = predicted(Kind.MEMBER, dataset="digits")
    after = predicted(Kind.MEMBER, *map(trained, (55, 60, 62, 66, 58, 61)), dataset="digits")
    assert after.mean == pytest.approx(60, rel=0.1)
    assert after.low < 60 < after.high
    assert after.high / after.low < 0.4 * before.high / before.low


def test_each_kind_of_step_is_learned_apart():
    evidence = [trained(n, kind=Kind.MEMBER) for n in (60, 63, 66)]
    evidence += [trained(n, kind=Kind.BAGGED) for n in (30, 31, 33)]
    member, bagged = (predicted(kind, *evidence, dataset="digits") for kind in (Kind.MEMBER, Kind.BAGGED))
    assert member.mean == pytest.approx(63, rel=0.15)
    assert bagged.mean == pytest.approx(31, rel=0.15)
    # A hatched member was never trained there: the paper's ratio to a member still holds, roughly.
    assert predicted(Kind.HATCHED, *evidence, dataset="digits").mean < bagged.mean


def test_other_data_learn_a_little():
    here, elsewhere = (
        predicted(Kind.MEMBER, *[trained(30)] * 4, dataset=dataset) for dataset in ("digits", "cifar10")
    )
    nothing = predicted(Kind.MEMBER)
    assert here.mean < elsewhere.mean < nothing.mean
    assert elsewhere.high / elsewhere.low > 2 * here.high / here.low


def test_a_training_that_ran_all_its_epochs_says_only_that_it_takes_more():
    unfinished = TrainedStep(
        dataset="digits",
        family="resnet",
        kind=Kind.MEMBER,
        epochs=300,
        falling=False,
        train_errors=errors_that_gain_until(300, 300),
    )
    before = predicted(Kind.MEMBER, dataset="digits")
    assert predicted(Kind.MEMBER, *[unfinished] * 3, dataset="digits").low > max(before.mean, 200)


def test_training_errors_tell_of_every_patience():
    evidence = [trained(60, patience=15)] * 4
    short = replace(CONSTANT, patience=5)
    # The last gain came in epoch 45, and five epochs later it was over.
    assert predicted(Kind.MEMBER, *evidence, dataset="digits", schedule=short).mean == pytest.approx(
        50, rel=0.1
    )


def test_trainings_of_a_fixed_length_count_where_the_rate_falls_alike():
    fixed = TrainedStep(
        dataset="digits",
        family="resnet",
        kind=Kind.MEMBER,
        epochs=50,
        falling=True,
        train_errors=errors_that_gain_until(20, 50),
    )
    before = predicted(Kind.MEMBER, dataset="digits", schedule=FALLING)
    after = predicted(Kind.MEMBER, *[fixed] * 5, dataset="digits", schedule=FALLING)
    # The last gain came after 0.4 of the schedule.
    assert after.mean == pytest.approx(40 + 15, rel=0.15)
    assert after.mean < before.mean
    assert predicted(Kind.MEMBER, *[fixed] * 5, dataset="digits") == predicted(Kind.MEMBER, dataset="digits")


def test_no_training_takes_more_than_its_schedule_or_fewer_than_its_patience():
    for most in (4, 16, 60):
        estimate = predicted(Kind.HATCHED, trained(17), schedule=replace(CONSTANT, epochs=most))
        assert min(most, 15) <= estimate.low <= estimate.mean <= estimate.high <= most


def test_the_same_evidence_gives_the_same_forecast():
    evidence = tuple(map(trained, (55, 60, 62)))
    first = EpochPredictor(evidence).predict("digits", "vgg", Kind.MOTHER, CONSTANT)
    assert EpochPredictor(tuple(list(evidence))).predict("digits", "vgg", Kind.MOTHER, CONSTANT) == first


@given(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3]), max_size=40), st.integers(1, 8))
def test_a_training_converges_when_its_schedule_says_that_it_is_over(errors, patience):
    schedule = PlateauSchedule(epochs=1000, rate=0.1, patience=patience, expected=9)
    over = [n for n in range(len(errors) + 1) if schedule.finished(errors[:n])]
    assert epochs_to_convergence(errors, patience) == (over[0] if over else None)


@pytest.mark.slow
def test_nine_of_ten_intervals_contain_the_epochs_of_the_next_training():
    """Trainings are drawn from the model itself: a level, an effect of the data, and noise."""
    generator, inside, cases = np.random.default_rng(5), 0, 100
    for _ in range(cases):
        level = np.log(128) + LEVEL_STD * generator.standard_normal() + DATA_STD * generator.standard_normal()
        std = np.sqrt(ALIKE_SCALE / generator.gamma(ALIKE_SHAPE))
        drawn = np.exp(level + std * generator.standard_normal(5))
        epochs = [min(max(round(number), 16), MOST) for number in drawn]
        estimate = predicted(Kind.MEMBER, *map(trained, epochs[:4]), dataset="digits")
        inside += estimate.low <= epochs[4] <= estimate.high
    assert 0.83 * cases <= inside <= 0.97 * cases
