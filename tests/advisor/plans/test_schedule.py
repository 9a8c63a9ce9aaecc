"""Learning-rate schedules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import UsageError
from advisor.networks.families import FAMILIES
from advisor.plans.schedule import RECIPES, PlateauSchedule, StepSchedule


def test_the_rate_is_divided_by_ten_at_every_drop():
    schedule = StepSchedule(epochs=10, rate=0.1, drops=(4, 8))
    rates = [schedule.rate_at(epoch, 0.5) for epoch in range(10)]
    assert rates == pytest.approx([0.1] * 4 + [0.01] * 4 + [0.001] * 2)


def test_another_factor_can_be_set():
    schedule = StepSchedule(epochs=4, rate=0.8, drops=(1, 3), factor=0.5)
    assert [schedule.rate_at(epoch, 0.0) for epoch in range(4)] == pytest.approx([0.8, 0.4, 0.4, 0.2])


def test_without_drops_the_rate_is_constant():
    assert {StepSchedule(epochs=9, rate=0.3).rate_at(e, p) for e in range(9) for p in (0.0, 0.9)} == {0.3}


@pytest.mark.parametrize(
    "schedule",
    [
        StepSchedule(epochs=5, rate=0.2, drops=(3,), warmup=True),
        PlateauSchedule(epochs=5, rate=0.2, expected=3, warmup=True),
    ],
)
def test_warm_up_rises_from_zero_through_the_first_epoch_only(schedule):
    assert [schedule.rate_at(0, p) for p in (0.0, 0.25, 0.5)] == pytest.approx([0.0, 0.05, 0.1])
    assert schedule.rate_at(1, 0.0) == schedule.rate_at(2, 0.5) == 0.2


def test_a_step_schedule_runs_all_its_epochs_and_no_more():
    schedule = StepSchedule(epochs=3, rate=0.1)
    assert [schedule.finished([0.5] * n) for n in range(5)] == [False, False, False, True, True]
    assert schedule.expected_epochs == 3.0


def test_a_plateau_ends_training_when_the_error_has_not_improved_for_the_patience():
    schedule = PlateauSchedule(epochs=100, rate=0.1, patience=3, expected=40)
    assert not schedule.finished([])
    assert not schedule.finished([0.5, 0.4, 0.4, 0.4])
    assert schedule.finished([0.5, 0.4, 0.4, 0.4, 0.4])
    assert schedule.finished([0.5, 0.4, 0.41, 0.45, 0.6])
    assert not schedule.finished([0.5, 0.4, 0.41, 0.45, 0.39])


def test_a_plateau_ends_at_its_limit_even_while_the_error_improves():
    schedule = PlateauSchedule(epochs=4, rate=0.1, patience=15, expected=40)
    assert not schedule.finished([0.4, 0.3, 0.2])
    assert schedule.finished([0.4, 0.3, 0.2, 0.1])
    assert schedule.expected_epochs == 4.0


def test_the_published_patience_of_mothernets_is_fifteen_epochs():
    schedule = PlateauSchedule(epochs=200, rate=0.1, expected=60)
    assert not schedule.finished([0.1] * 15)
    assert schedule.finished([0.1] * 16)
    assert schedule.expected_epochs == 60.0


@given(st.lists(st.floats(0, 1), max_size=30), st.integers(1, 30), st.integers(1, 10))
def test_training_that_is_over_stays_over_while_the_error_does_not_improve(errors, epochs, patience):
    schedule = PlateauSchedule(epochs=epochs, rate=0.1, patience=patience, expected=epochs)
    if schedule.finished(errors):
        assert schedule.finished([*errors, 1.0])


# "More or Less", appendix A: rates 0.1, divided by ten after these epochs.


@pytest.mark.parametrize(
    ("family", "epochs", "drops"),
    [
        ("resnet", 250, (100, 200)),
        ("resnet", 500, (200, 400)),
        ("resnet", 10, (4, 8)),
        ("densenet", 120, (60, 90)),
        ("densenet", 40, (20, 30)),
        ("wrn", 200, (100, 200)),
        ("wrn", 50, (25, 50)),
        ("vgg", 250, (100, 200)),
        ("mlp", 5, (2, 4)),
    ],
)
def test_the_drops_of_the_published_schedules_move_in_proportion(family, epochs, drops):
    schedule = RECIPES[family].schedule(epochs)
    assert (schedule.epochs, schedule.drops) == (epochs, drops)
    assert schedule.rate_at(drops[0] - 1, 0.9) == 0.1
    assert schedule.rate_at(drops[0], 0.0) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("family", "epochs", "decay"),
    [("resnet", 250, 1e-4), ("wrn", 200, 1e-4), ("densenet", 120, 1e-3)],
)
def test_recipes_hold_the_published_settings(family, epochs, decay):
    recipe = RECIPES[family]
    assert (recipe.reference_epochs, recipe.weight_decay, recipe.momentum, recipe.rate) == (
        epochs,
        decay,
        0.9,
        0.1,
    )


def test_every_family_has_a_recipe():
    assert RECIPES.keys() == FAMILIES.keys()


def test_a_rate_and_a_warm_up_can_be_asked_for():
    schedule = RECIPES["resnet"].schedule(10, rate=0.02, warmup=True)
    assert schedule == StepSchedule(epochs=10, rate=0.02, drops=(4, 8), warmup=True)


@given(st.sampled_from(sorted(RECIPES)), st.integers(1, 1000))
def test_however_short_a_schedule_begins_at_the_full_rate_and_never_rises(family, epochs):
    schedule = RECIPES[family].schedule(epochs)
    rates = [schedule.rate_at(epoch, 0.0) for epoch in range(epochs)]
    assert rates[0] == 0.1
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("kind", [StepSchedule, lambda **k: PlateauSchedule(expected=1.0, **k)])
def test_no_epochs_and_impossible_rates_are_refused(kind):
    for epochs in (0, -3, 10**7):
        with pytest.raises(UsageError, match=f"at most 1,000,000, got {epochs}"):
            kind(epochs=epochs, rate=0.1)
    for rate in (0.0, -0.1, float("inf"), float("nan")):
        with pytest.raises(UsageError, match=f"learning rate must be positive, got {rate}"):
            kind(epochs=1, rate=rate)
