"""Changes that put another design first, for designs made by hand whose order is known."""

from dataclasses import replace

import numpy as np
import pytest
from handmade import ACCURACY, DEQ, HATCHED, SINGLE, evaluated, threshold

from advisor.decision.alternatives import (
    crossover_of_pair,
    crossovers,
    limit_alternatives,
    other_objectives,
    runner_up,
)
from advisor.decision.ranking import Objective, rank
from advisor.decision.threshold.switchover import EPOCH_GRID, PARAMETER_GRID
from advisor.estimate import Estimate
from advisor.plans.method_traits import Method


def test_an_ensemble_past_its_thresholds_loses_below_them():
    size, length = Estimate(1e6, 4e5, 3e6), Estimate(18.0, 1.0, 62.0)
    switchovers = [threshold("resnet", 4, parameters=size, epochs=length), threshold("vgg", 4)]
    found = crossovers(DEQ, switchovers, budget=5e6, epochs=120)
    assert [(t.axis, t.at, t.side, t.family, t.members) for t in found] == [
        ("parameters", size, "below", "resnet", 1),
        ("epochs", length, "below", "resnet", 1),
    ]
    assert not any(t.open_ended for t in found)


def test_a_threshold_ahead_or_beyond_the_grid_takes_nothing_from_an_ensemble():
    # A median at the first point of the grid: it wins everywhere that was looked at.
    always = threshold("resnet", 4, parameters=float(PARAMETER_GRID[0]), epochs=float(EPOCH_GRID[0]))
    assert crossovers(DEQ, [always], budget=5e6, epochs=120) == []
    # Or at the first size that holds four members.
    always = replace(threshold("resnet", 4, parameters=21_544.3, epochs=1.0), smallest=21_544.3)
    assert crossovers(DEQ, [always], budget=5e6, epochs=120) == []
    ahead = threshold("resnet", 4, parameters=8e6, epochs=300.0)
    assert crossovers(DEQ, [ahead], budget=5e6, epochs=120) == []
    assert crossovers(HATCHED, [threshold("resnet", 4)], budget=5e6, epochs=120) == []


def test_a_single_network_loses_from_the_nearest_threshold_ahead_on():
    wide = Estimate(8e6, float(PARAMETER_GRID[0]), 7e7)
    switchovers = [
        threshold("resnet", 2, parameters=1e6, epochs=50.0),
        threshold("resnet", 4, parameters=wide, epochs=400.0),
        threshold("resnet", 8, parameters=2e7, epochs=300.0),
        threshold("vgg", 2, parameters=6e6, epochs=130.0),
    ]
    found = crossovers(SINGLE, switchovers, budget=5e6, epochs=120)
    assert [(t.axis, t.at.mean, t.side, t.members, t.open_ended) for t in found] == [
        ("parameters", 8e6, "from", 4, True),
        ("epochs", 300.0, "from", 8, False),
    ]
    never = threshold("resnet", 2, parameters=float(PARAMETER_GRID[-1]), epochs=float(EPOCH_GRID[-1]))
    assert crossovers(SINGLE, [never], budget=5e6, epochs=120) == []


def test_two_designs_change_places_where_their_errors_cross():
    # The reference has the error 1/t and the first 10/t², which are equal after ten epochs. In logarithms
    # both are straight, and so is the lead.
    grid = (1, 4, 16, 64)
    t = np.array(grid, dtype=float)
    lead = np.log((1 / t) / (10 / t**2))[None].repeat(400, axis=0)
    crossover = crossover_of_pair(SINGLE, lead, 64, grid)
    assert (crossover.axis, crossover.side, crossover.design, crossover.open_ended) == (
        "epochs",
        "below",
        "resnet-26-16",
        False,
    )
    assert crossover.method is Method.FULL_DATA
    snapshots = evaluated("4xresnet-8-8", 0.1, 10, method=Method.SNAPSHOT)
    assert crossover_of_pair(snapshots, lead, 64, grid).method is Method.SNAPSHOT
    assert (crossover.at.low, crossover.at.mean, crossover.at.high) == pytest.approx((10, 10, 10))
    # A request before the crossing is one that the reference wins; a first that always leads never loses.
    assert crossover_of_pair(SINGLE, lead, 8, grid) is None
    assert crossover_of_pair(SINGLE, np.ones((400, 4)), 64, grid) is None


def test_the_crossing_of_two_designs_has_the_interval_of_its_draws():
    # Draw s crosses at c_s, evenly from 2 to 50 in logarithms.
    crossings = np.geomspace(2, 50, 401)
    grid = tuple(range(1, 101))
    lead = np.log(np.array(grid)[None] / crossings[:, None])
    at = crossover_of_pair(SINGLE, lead, 100, grid).at
    assert (at.low, at.mean, at.high) == pytest.approx((2 * 25**0.05, 10, 2 * 25**0.95), rel=1e-3)


def test_the_second_is_first_as_often_as_its_training_has_less_error():
    # ln(0.095/0.09) over sqrt(2)·0.02 is 1.912 standard deviations: 1 − Φ(1.912) = 0.0280.
    rival = runner_up(rank([SINGLE, DEQ, HATCHED], ACCURACY, Objective.ERROR), ACCURACY, Objective.ERROR)
    assert rival.evaluated is HATCHED
    assert rival.probability == pytest.approx(0.0280, abs=1e-3)


def test_by_balance_the_scores_of_both_are_compared():
    # 0.095·60^0.1 = 0.14307 is first and 0.09·200^0.1 = 0.15288 second: ln of their ratio 0.06630, over
    # sqrt(2)·0.02 it is 2.344: 1 − Φ(2.344) = 0.0095.
    objective = Objective.BALANCED
    rival = runner_up(rank([SINGLE, DEQ, HATCHED], ACCURACY, objective), ACCURACY, objective)
    assert rival.evaluated is DEQ
    assert rival.probability == pytest.approx(0.0095, abs=5e-4)


def test_by_time_the_second_is_first_where_the_first_does_not_match_the_single_network():
    objective = Objective.TIME
    rows = rank([SINGLE, DEQ, HATCHED], ACCURACY, objective)
    rival = runner_up(rows, ACCURACY, objective)
    # ln(0.10/0.095) over sqrt(2)·0.02 is 1.813: 1 − Φ(1.813) = 0.0349.
    assert rows[0].evaluated is HATCHED
    assert rival.evaluated is SINGLE
    assert rival.probability == pytest.approx(0.0349, abs=1e-3)
    # The single network matches itself.
    rows = rank([SINGLE, evaluated("4xresnet-8-8", 0.09, 150)], ACCURACY, objective)
    assert runner_up(rows, ACCURACY, objective) is None
    assert runner_up(rows[:1], ACCURACY, Objective.ERROR) is None


def test_under_a_tighter_limit_the_best_that_keeps_it_is_first():
    chain = [
        evaluated("resnet-8-4", 0.20, 10, latency=3.0),
        evaluated("resnet-8-8", 0.15, 50, latency=3.0),
        # Needs hardly less than the first, so that the next limit would change the advice again.
        evaluated("2xresnet-8-8", 0.11, 95, latency=3.0),
        evaluated("4xresnet-8-8", 0.10, 100, latency=3.0),
        # Cheap and worse than what is left under every limit that it keeps, but the one quick to answer.
        evaluated("2xresnet-8-4", 0.30, 60, latency=1.0),
    ]
    found = {o.need: o for o in limit_alternatives(chain, ACCURACY, Objective.ERROR)}
    time = found["train_seconds"]
    assert (time.evaluated.design.name, time.below, time.down_to) == ("resnet-8-8", 95, 50)
    latency = found["latency_ms"]
    assert (latency.evaluated.design.name, latency.below, latency.down_to) == ("2xresnet-8-4", 3.0, 1.0)
    # Nothing needs less memory than the rest.
    assert set(found) == {"train_seconds", "latency_ms"}


def test_a_tighter_limit_does_what_ranking_the_designs_that_keep_it_does():
    """By an independent route: rank again what keeps the limit, everywhere in the range that is named.

    And just below it, where another design is first, or what the first needs is more than the limit.
    """
    generator = np.random.default_rng(3)
    designs = [
        evaluated(f"{k}xresnet-8-{w}", generator.uniform(0.05, 0.3), generator.uniform(10, 100))
        for k in (2, 3, 4)
        for w in range(4, 12)
    ] + [
        evaluated(f"resnet-8-{w}", generator.uniform(0.05, 0.3), generator.uniform(10, 100)) for w in (9, 10)
    ]
    for objective in Objective:
        for o in limit_alternatives(designs, ACCURACY, objective):
            needs = [e.priced.train_seconds.mean for e in designs]
            between = [need for need in needs if o.down_to <= need < o.below]
            for limit in (*between, o.down_to, np.nextafter(o.below, 0)):
                assert first_within(limit, designs, objective) is o.evaluated
            assert first_within(np.nextafter(o.down_to, 0), designs, objective) is not o.evaluated


def test_by_likelihood_the_draws_of_the_likelihood_are_compared():
    first, second = (
        replace(evaluated(f"resnet-8-{w}", error, 100), nlls=np.full(400, nll))
        for w, error, nll in ((9, 0.3, 0.40), (10, 0.1, 0.41))
    )
    rows = rank([first, second], ACCURACY, Objective.NLL)
    assert rows[0].evaluated is first
    # ln(0.40/0.41) over sqrt(2)·0.02 is −0.873 standard deviations.
    assert runner_up(rows, ACCURACY, Objective.NLL).probability == pytest.approx(0.191, abs=0.001)


def first_within(seconds, designs, objective):
    """The first of the designs that train for so long at most."""
    kept = [e for e in designs if e.priced.train_seconds.mean <= seconds]
    return rank(kept, ACCURACY, objective)[0].evaluated if kept else None


def test_by_time_a_limit_that_leaves_out_the_reference_may_put_another_design_first():
    ensembles = {"A": ("2xresnet-8-8", 0.09, 60), "B": ("2xresnet-8-6", 0.14, 40)}
    ensembles["C"] = ("2xresnet-8-4", 0.25, 8)
    world = {name: evaluated(*figures) for name, figures in ensembles.items()}
    singles = [
        evaluated("resnet-8-16", 0.10, 100),
        evaluated("resnet-8-8", 0.15, 50),
        evaluated("resnet-8-4", 0.30, 10),
    ]
    designs = [*singles, *world.values()]
    by_time = Objective.TIME
    assert first_within(100, designs, by_time) is world["A"]
    # Under 60 s the reference makes 15 % error, which B matches; under 50 s one of 30 %, which C does sooner.
    (found,) = limit_alternatives(designs, ACCURACY, by_time)
    assert (found.evaluated, found.below, found.down_to) == (world["B"], 60, 50)
    assert first_within(49, designs, by_time) is world["C"]


def test_memory_is_what_the_allocator_takes_where_that_is_known():
    first = evaluated("4xresnet-8-8", 0.1, 1, memory=100, reserved=300)
    # Its peak is larger than the first's, what is reserved for it is less.
    rival = evaluated("resnet-8-8", 0.2, 1, memory=150, reserved=200)
    (found,) = limit_alternatives([first, rival], ACCURACY, Objective.ERROR)
    assert (found.need, found.below, found.down_to) == ("memory_bytes", 300, 200)


def test_other_objectives_are_named_where_they_put_another_design_first():
    found = other_objectives([SINGLE, DEQ, HATCHED], ACCURACY, Objective.ERROR)
    assert found == {Objective.TIME: HATCHED, Objective.BALANCED: HATCHED}
    alone = other_objectives([SINGLE], ACCURACY, Objective.ERROR)
    assert alone == {}
