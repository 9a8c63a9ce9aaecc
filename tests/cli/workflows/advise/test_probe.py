"""How much time a probe is given, on a clock made by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from advisor.estimate import Estimate
from cli.workflows.advise import probe
from cli.workflows.advise.probe import (
    NOTHING_WORTHWHILE,
    TOO_LONG,
    UNTIL_TIME,
    ProbingSession,
    training_seconds,
)

PREPARING, CHOOSING = 6.0, 4.0


@pytest.fixture
def clock(monkeypatch):
    """Seconds on the clock; fitting and searching take `PREPARING`, every choice `CHOOSING`."""
    now = SimpleNamespace(seconds=1000.0, preparing=PREPARING, choosing=CHOOSING, asked=[], probes=[])

    def search(*_):
        now.seconds += now.preparing
        return [SimpleNamespace(feasible=True, objectives=(0.1,))]

    def choose(*_, seconds, **__):
        now.asked.append(seconds)
        now.seconds += now.choosing
        return next((p for p in now.probes if p.seconds.high <= seconds), None)

    monkeypatch.setattr(probe.time, "monotonic", lambda: now.seconds)
    monkeypatch.setattr(probe, "search", search)
    monkeypatch.setattr(probe, "next_probe", choose)
    monkeypatch.setattr(probe, "accuracy_for", lambda *_: (None, []))
    monkeypatch.setattr(probe, "scenario_of", lambda *_: None)
    return now


@pytest.fixture
def sitting(clock):
    facts = SimpleNamespace(learned_as="digits", train_images=1)
    request = SimpleNamespace(seed=0, trials=1, budget="60k")
    return ProbingSession(request, SimpleNamespace(facts=facts), None, None, None, None, print)


def taking(high):
    return SimpleNamespace(seconds=Estimate(high / 2, high / 4, high))


def chosen(sitting, clock, seconds):
    """The next probe of a sitting that ends in so many seconds, and what is left once it is chosen."""
    ends = clock.seconds + seconds
    found, why = sitting._choose(ends, training_seconds(seconds), set())
    return found, why, ends - clock.seconds


def test_a_first_probe_may_take_what_choosing_it_is_expected_to_leave(sitting, clock):
    clock.probes = [taking(58.0), taking(40.0)]
    found, _, left = chosen(sitting, clock, 60.0)
    # Of 60 s 20 are kept, of which 10 are used: one of 58 s would have been stopped after 50.
    assert (found.seconds.high, left, clock.asked) == (40.0, 50.0, [40.0])


def test_a_later_probe_may_take_what_is_left_when_it_is_chosen(sitting, clock):
    clock.probes = [taking(10.0), taking(20.0)]
    chosen(sitting, clock, 60.0)
    clock.asked.clear()
    ends = clock.seconds + 30.0
    found, _ = sitting._choose(ends, training_seconds(60.0), set())
    # 30 s less 6 for fitting and searching, less the 4 that the last choice took.
    assert clock.asked == [20.0]
    assert found.seconds.high <= ends - clock.seconds == 20.0


def test_on_a_slow_machine_a_probe_that_no_longer_ends_in_time_is_chosen_anew(sitting, clock):
    clock.preparing, clock.choosing = 25.0, 8.0
    clock.probes = [taking(34.0), taking(15.0)]
    found, _, left = chosen(sitting, clock, 60.0)
    # 35 s are left before the choice and 27 after it, of which the second choice takes 8.
    assert clock.asked == [35.0, 19.0]
    assert found.seconds.high == 15.0 <= left == 19.0


@pytest.mark.parametrize(
    ("probes", "seconds", "why"),
    [
        ([taking(300.0)], 60.0, TOO_LONG),
        ([], 60.0, NOTHING_WORTHWHILE),
        ([taking(1.0)], 5.0, UNTIL_TIME),
    ],
)
def test_where_there_is_no_probe_it_is_said_why(sitting, clock, probes, seconds, why):
    clock.probes = probes
    assert chosen(sitting, clock, seconds)[:2] == (None, why)


@pytest.mark.parametrize(("seconds", "left"), [(60.0, 40.0), (660.0, 640.0), (6.0, 4.0), (30.0, 20.0)])
def test_twenty_seconds_are_kept_from_a_probe_or_a_third_of_a_short_time(seconds, left):
    assert training_seconds(seconds) == pytest.approx(left)
