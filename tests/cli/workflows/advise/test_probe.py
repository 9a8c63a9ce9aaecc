"""How much time a probe is given, on a clock made by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from advisor.errors import InterruptedRunError
from advisor.estimate import Estimate
from cli.workflows.advise.probe import ProbingSession
from cli.workflows.advise.probe_options import ProbeOptions, longest_probe_seconds
from cli.workflows.advise.probe_session import choosing
from cli.workflows.advise.probe_session.choosing import Others
from cli.workflows.advise.probe_session.places import Places
from cli.workflows.advise.probe_session.session_time import TrainedProbe
from cli.workflows.answers.advise.probing import ProbingEnd
from cli.workflows.forecast.pace import UsualPace

PREPARING, CHOOSING = 6.0, 4.0
SCENARIO = SimpleNamespace(families=["resnet"], cost=None, limited_to=lambda _: SCENARIO)


@pytest.fixture
def clock(monkeypatch):
    """Seconds on the clock; fitting and searching take `PREPARING`, every choice `CHOOSING`."""
    now = SimpleNamespace(seconds=1000.0, preparing=PREPARING, choosing=CHOOSING, asked=[], probes=[])

    def search(*_):
        now.seconds += now.preparing
        design = SimpleNamespace(name="resnet-8-4")
        priced = SimpleNamespace(train_seconds=Estimate.exact(100.0))
        errors = np.array([0.1])
        return [
            SimpleNamespace(
                feasible=True,
                objectives=(0.1,),
                design=design,
                errors=errors,
                errors_by_weight_decay=None,
                tuned_weight_decay=None,
                priced=priced,
            )
        ]

    def choose(*_, seconds, **__):
        now.asked.append(seconds)
        now.seconds += now.choosing
        return next((p for p in now.probes if p.seconds.high <= seconds), None)

    monkeypatch.setattr(choosing.time, "monotonic", lambda: now.seconds)
    monkeypatch.setattr(choosing, "search", search)
    monkeypatch.setattr(choosing, "next_probe", choose)
    fitted = SimpleNamespace(accuracy=None, epochs=None, trained=[])
    monkeypatch.setattr(choosing.Fitted, "of", lambda *_: fitted)
    monkeypatch.setattr(choosing, "scenario_by", lambda *_: SCENARIO)
    return now


@pytest.fixture
def session(clock):
    facts = SimpleNamespace(name="digits", learned_as="digits", train_images=1)
    request = SimpleNamespace(seed=0, trials=1, budget="60k", epochs=5)
    resolved, profiled = SimpleNamespace(facts=facts), SimpleNamespace(usual=None, busy=False)
    return ProbingSession(request, resolved, profiled, None, None, None, print, Places(1))


@pytest.mark.parametrize(("already", "lines"), [(False, 1), (True, 0)])
def test_before_probes_a_busy_machine_is_said_unless_it_was_before_measuring(
    session, monkeypatch, already, lines
):
    monkeypatch.setattr("cli.workflows.forecast.pace.pace_side_by_side", lambda copies: 1.0)
    monkeypatch.setattr(session, "profiled", SimpleNamespace(usual=UsualPace(0.5, {}), busy=already))
    monkeypatch.setattr(ProbingSession, "_until_the_end", lambda *given: "the answer")
    said = []
    session.say = said.append
    assert session.run(ProbeOptions(seconds=1.0, take_signals=False)) == "the answer"
    assert ["at 50 % of its usual speed" in line for line in said] == [True] * lines


def taking(high):
    return SimpleNamespace(seconds=Estimate(high / 2, high / 4, high))


def chosen(session, clock, seconds):
    """The next probe of a session that ends in so many seconds, and what is left once it is chosen."""
    ends = clock.seconds + seconds
    found = session._choose(ends, longest_probe_seconds(seconds), set())
    return found, ends - clock.seconds


def test_a_first_probe_may_take_what_choosing_it_is_expected_to_leave(session, clock):
    clock.probes = [taking(58.0), taking(40.0)]
    found, left = chosen(session, clock, 60.0)
    # Of 60 s 20 are kept, of which 10 are used: one of 58 s would have been stopped after 50.
    assert (found.seconds.high, left, clock.asked) == (40.0, 50.0, [40.0])


def test_a_later_probe_may_take_what_is_left_when_it_is_chosen(session, clock):
    clock.probes = [taking(10.0), taking(20.0)]
    chosen(session, clock, 60.0)
    clock.asked.clear()
    # As after a training, which makes another comparison.
    session.choosing._compared = None
    ends = clock.seconds + 30.0
    found = session._choose(ends, longest_probe_seconds(60.0), set())
    # 30 s less 6 for fitting and searching, less the 4 that the last choice took.
    assert clock.asked == [20.0]
    assert found.seconds.high <= ends - clock.seconds == 20.0


def test_on_a_slow_machine_a_probe_that_no_longer_ends_in_time_is_chosen_anew(session, clock):
    clock.preparing, clock.choosing = 25.0, 8.0
    clock.probes = [taking(34.0), taking(15.0)]
    found, left = chosen(session, clock, 60.0)
    # 35 s are left before the choice and 27 after it, of which the second choice takes 8.
    assert clock.asked == [35.0, 19.0]
    assert found.seconds.high == 15.0 <= left == 19.0


@pytest.mark.parametrize(
    ("probes", "seconds", "why"),
    [
        ([taking(300.0)], 60.0, ProbingEnd.TOO_LITTLE_TIME),
        ([], 60.0, ProbingEnd.NOTHING_WORTHWHILE),
        ([taking(1.0)], 5.0, ProbingEnd.TIME_IS_UP),
    ],
)
def test_where_there_is_no_probe_it_is_said_why(session, clock, probes, seconds, why):
    clock.probes = probes
    assert chosen(session, clock, seconds)[0] is why


@pytest.mark.parametrize(("seconds", "left"), [(60.0, 40.0), (660.0, 640.0), (6.0, 4.0), (30.0, 20.0)])
def test_twenty_seconds_are_kept_from_a_probe_or_a_third_of_a_short_time(seconds, left):
    assert longest_probe_seconds(seconds) == pytest.approx(left)


def test_a_session_that_takes_no_signals_runs_in_any_thread(session):
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(session.run, ProbeOptions(seconds=60.0)).result()
        taking_signals = thread.submit(session.run, ProbeOptions(seconds=60.0, take_signals=True))
        with pytest.raises(ValueError, match="main thread"):
            taking_signals.result()
    assert answer.ended is ProbingEnd.NOTHING_WORTHWHILE
    assert (answer.probes, answer.before.design, answer.epochs) == ((), "resnet-8-4", 5)


def test_by_default_a_settled_decision_is_not_probed(session, clock):
    clock.probes = [taking(1.0)]
    answer = session.run(ProbeOptions(seconds=None))
    assert (answer.ended, answer.probes, clock.asked) == (ProbingEnd.NOTHING_WORTHWHILE, (), [])


@pytest.fixture
def said(session, monkeypatch):
    """What a session says in which a design leads whose full training takes 30 s, and more is at stake."""
    leading = SimpleNamespace(
        plan=SimpleNamespace(design="resnet-8-4"), tuned_weight_decay=None, **vars(taking(30.0))
    )
    monkeypatch.setattr(choosing, "full_probes", lambda *_: [leading])
    monkeypatch.setattr(choosing, "at_stake", lambda _: 0.01)
    lines = []
    session.choosing.say = lines.append
    return lines


def test_by_default_what_leads_is_announced_and_probed_for_as_long_as_it_takes(session, clock, said):
    answer = session.run(ProbeOptions(seconds=None))
    # 30 s, 5 s beside them, and 5 % of the 100 s of the recommended design.
    assert said == ["probing first: full training of resnet-8-4, at most 40 s (--probe 0 for none)"]
    assert clock.asked == [40.0, float("inf")]
    assert (answer.ended, answer.at_stake_points) == (ProbingEnd.NOTHING_WORTHWHILE, 1.0)


def test_by_default_probes_that_train_or_have_ended_take_their_time_together(session, clock, said):
    session.choosing.compare()
    began, until = clock.seconds, clock.seconds + 180.0

    def left(*others):
        return session.choosing.default_left(until, Others(len(others), others, [began] * len(others)))[1]

    # 30 s, 5 s beside them, and 5 % of the 100 s of the recommended design.
    assert left() == 40.0
    clock.seconds += 12.0
    running = SimpleNamespace(full=True, **vars(taking(30.0)))
    assert left(running) == left(running, running) == 40.0 - 12.0
    # One ended after 10 s and taught nothing; the other trains on.
    session.choosing.spend(TrainedProbe.of(running, began, 10.0))
    assert left(running) == 40.0 - 12.0
    assert left() == 40.0 - 10.0
    assert len(said) == 1, "what is probed is announced once"


@pytest.mark.parametrize("seconds", [None, 60.0])
def test_an_interrupt_ends_a_session_and_keeps_what_is_finished(session, clock, monkeypatch, seconds):
    clock.probes = [SimpleNamespace(key="resnet-8-4 for 5 epochs", **vars(taking(5.0)))]

    def train(session, found, signals):
        session.finished.append(found)
        signals.received = 2

    monkeypatch.setattr(ProbingSession, "_train", train)
    monkeypatch.setattr(choosing, "full_probes", lambda *_: [])
    monkeypatch.setattr(choosing, "at_stake", lambda _: 0.01)
    monkeypatch.setattr(choosing, "default_seconds", lambda *_: 50.0)
    monkeypatch.setattr(choosing, "announcement", lambda *_: "")
    with pytest.raises(InterruptedRunError, match="which are kept: 1; .*--probe 0") as stopped:
        session.run(ProbeOptions(seconds=seconds))
    assert stopped.value.exit_code == 130
