"""Probes side by side: what is expected of those that train counts as observed; posteriors made by hand."""

import numpy as np
import pytest

from advisor.decision.probes.fantasies import Fantasies
from advisor.decision.probes.probe_value import Outcome, expected_move
from advisor.estimate import Estimate

DRAWS, NOISE = 20_000, 0.1
# Standard deviations of the log errors of three designs: the first is known.
STDS = np.array([1e-4, 0.3, 0.2])


@pytest.fixture(scope="module")
def logs():
    """Draws of independent normal log errors around one mean of 10 %."""
    return np.log(0.1) + np.random.default_rng(3).standard_normal((DRAWS, 3)) * STDS


def training_of(logs, *designs):
    """The predicted result of trainings that measure log errors of designs."""
    return Outcome(
        log_figures=logs[:, designs],
        stds=np.full(len(designs), NOISE),
        predicted_error=Estimate.exact(0.1),
    )


def test_a_running_probe_takes_away_what_it_will_settle_and_moves_no_expectation(logs):
    given = Fantasies.of([training_of(logs, 1)], seed=0).conditioned(logs)
    # 1/(1/0.3² + 1/0.1²) = 0.009: the variance of a normal after one noisy observation.
    assert given[:, 1].std() == pytest.approx(np.sqrt(0.009), rel=0.03)
    assert given[:, 2].std() == pytest.approx(0.2, rel=0.03)
    assert given.mean(axis=0) == pytest.approx(logs.mean(axis=0), abs=1e-9)


def test_it_tells_of_designs_whose_errors_depend_on_its_own():
    # Two designs that share three quarters of their variance.
    shared, own = np.random.default_rng(4).standard_normal((2, DRAWS))
    logs = np.stack([0.2 * shared, 0.2 * (np.sqrt(0.75) * shared + 0.5 * own)], axis=1)
    given = Fantasies.of([training_of(logs, 0)], seed=0).conditioned(logs)
    # 0.04 − 0.75·0.04²/(0.04 + 0.01).
    assert given[:, 1].var() == pytest.approx(0.04 - 0.75 * 0.04**2 / 0.05, rel=0.05)


def test_several_running_probes_count_together(logs):
    twice = Fantasies.of([training_of(logs, 1), training_of(logs, 1)], seed=0).conditioned(logs)
    once = Fantasies.of([training_of(logs, 1, 1)], seed=7).conditioned(logs)
    # Two observations with independent noise: 1/(1/0.3² + 2/0.1²).
    for given in (twice, once):
        assert given[:, 1].var() == pytest.approx(1 / (1 / 0.09 + 2 / 0.01), rel=0.05)


def test_beside_the_best_probe_the_second_best_is_worth_more_than_the_best_again(logs):
    def move_of(design, given):
        expected = training_of(logs, design)
        errors = np.exp(given.conditioned(logs))
        return expected_move(errors, given.conditioned(expected.log_figures), expected.stds, 1)

    # Alone the design of the wider error teaches most.
    assert move_of(1, Fantasies()) > move_of(2, Fantasies())
    beside = Fantasies.of([training_of(logs, 1)], seed=1)
    assert move_of(2, beside) > move_of(1, beside)
    # What is left of its std is 0.095, of which another look finds a share of √(0.009/(0.009 + 0.01)).
    assert move_of(1, beside) < 0.1 * 0.5 * 0.095 * np.sqrt(0.009 / 0.019)
