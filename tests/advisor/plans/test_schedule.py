"""Learning-rate schedules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import UsageError
from advisor.networks.families import FAMILIES
from advisor.plans.dataset import DATASETS
from advisor.plans.recipes.choice import usual_batch, usual_epochs
from advisor.plans.recipes.table import BY_DATA, RECIPES, recipe_of
from advisor.plans.schedule import PlateauSchedule, StepSchedule


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


# "More or Less", appendix A, table A: rates 0.1, divided by ten after these epochs.


@pytest.mark.parametrize(
    ("family", "dataset", "epochs", "drops"),
    [
        ("densenet", "svhn", 100, (30, 60)),
        ("densenet", "cifar10", 120, (60, 90)),
        ("densenet", "cifar100", 120, (60, 90)),
        ("densenet", "tiny-imagenet", 90, (30, 60)),
        ("densenet", "imagenet32", 90, (30, 60)),
        ("resnet", "cifar10", 250, (100, 200)),
        ("resnet", "cifar100", 500, (250, 375)),
        ("wrn", "cifar10", 200, (100, 200)),
        ("wrn", "cifar100", 200, (100, 200)),
        # Another number of epochs moves the drops in proportion.
        ("densenet", "svhn", 50, (15, 30)),
        ("densenet", "tiny-imagenet", 45, (15, 30)),
        ("densenet", "cifar10", 40, (20, 30)),
        ("resnet", "cifar10", 10, (4, 8)),
        ("resnet", "cifar100", 250, (125, 188)),
        ("wrn", "cifar100", 50, (25, 50)),
        # Data and families that no row names take the rows of CIFAR-10 and of ResNet.
        ("resnet", "svhn", 250, (100, 200)),
        ("resnet", "folder:/pictures", 500, (200, 400)),
        ("vgg", "cifar100", 250, (100, 200)),
        ("mlp", "digits", 5, (2, 4)),
    ],
)
def test_the_drops_of_the_published_schedules_move_in_proportion(family, dataset, epochs, drops):
    schedule = recipe_of(family, dataset).schedule(epochs)
    assert (schedule.epochs, schedule.drops) == (epochs, drops)
    assert schedule.rate_at(drops[0] - 1, 0.9) == 0.1
    assert schedule.rate_at(drops[0], 0.0) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("family", "dataset", "epochs", "batch", "decay"),
    [
        ("densenet", "svhn", 100, 128, 1e-3),
        ("densenet", "cifar10", 120, 128, 1e-3),
        ("densenet", "cifar100", 120, 128, 1e-3),
        ("densenet", "tiny-imagenet", 90, 64, 1e-3),
        ("densenet", "imagenet32", 90, 64, 1e-3),
        ("resnet", "cifar10", 250, 128, 1e-4),
        ("resnet", "cifar100", 500, 128, 1e-4),
        ("wrn", "cifar10", 200, 128, 1e-4),
        ("wrn", "cifar100", 200, 128, 1e-4),
    ],
)
def test_recipes_hold_the_published_settings(family, dataset, epochs, batch, decay):
    recipe = recipe_of(family, dataset)
    assert (usual_epochs([family], dataset), usual_batch([family], DATASETS[dataset])) == (epochs, batch)
    assert (recipe.reference_epochs, recipe.weight_decay, recipe.momentum, recipe.rate) == (
        epochs,
        decay,
        0.9,
        0.1,
    )


def test_rows_are_of_families_and_data_sets_that_exist():
    for family, dataset in BY_DATA:
        assert family in FAMILIES
        assert dataset in DATASETS


def test_another_augmentation_keeps_the_row_of_its_data():
    assert recipe_of("resnet", "cifar100 with crop+flip+randaugment") is recipe_of("resnet", "cifar100")


def test_several_families_take_the_longest_schedule_and_the_smallest_batch():
    assert usual_epochs(["densenet", "resnet"], "tiny-imagenet") == 250
    assert usual_batch(["densenet", "resnet"], DATASETS["tiny-imagenet"]) == 64


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
