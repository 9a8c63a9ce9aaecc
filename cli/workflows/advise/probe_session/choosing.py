"""The choice of the next probe of a session, by the evidence so far and beside what trains already."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import optuna

from advisor.cost.predictor import CostPredictor
from advisor.decision.leading import leading_families, trained_families
from advisor.decision.probes.fantasies import Beside
from advisor.decision.probes.probe_value import at_stake, errors_of
from advisor.decision.probes.probing import WORTHWHILE, Probe, full_probes, next_probe
from advisor.decision.scenario import Evaluated, Scenario
from advisor.decision.search import search
from advisor.designs.budget import parse_budget
from advisor.estimate import Floats
from cli.workflows.advise.comparison import Fitted, scenario_by
from cli.workflows.advise.probe_evidence import trained_before
from cli.workflows.advise.probe_session.default_probing import announcement, default_seconds, full_seconds_of
from cli.workflows.advise.probe_session.session_time import TrainedProbe, default_left
from cli.workflows.advise.request import ResolvedRequest
from cli.workflows.answers.advise.probing import ProbingEnd
from cli.workflows.answers.advise.request import RecommendRequest
from cli.workflows.forecast.measuring import Profiled
from cli.workflows.home import Home
from cli.workflows.views import Say
from db.queries import Store


def undisturbed(cost: CostPredictor) -> float:
    """Return the factor on the time of a probe that trains alone."""
    return 1.0


@dataclass(frozen=True, slots=True)
class Others:
    """The other probes of a session.

    Attributes:
        begun: number of the probes that began.
        running: those that train now.
        began: when each of them began, by the monotonic clock, seconds.
        slowdown: factor on the time of a probe that begins now, by the costs of this machine.
    """

    begun: int = 0
    running: Sequence[Probe] = ()
    began: Sequence[float] = ()
    slowdown: Callable[[CostPredictor], float] = undisturbed

    def beside(self, scenario: Scenario) -> Beside:
        """Return what the next probe trains beside, as far as its time goes."""
        return Beside(slowdown=self.slowdown(scenario.cost))

    @property
    def times(self) -> list[TrainedProbe]:
        """Times of the probes that train, so far."""
        now = time.monotonic()
        return [
            TrainedProbe.of(probe, began, now - began)
            for probe, began in zip(self.running, self.began, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Compared:
    """What the evidence says.

    Attributes:
        scenario: scenario of the designs that may lead.
        evaluated: those of them that break no limit, or all if each does.
        before: keys of the trainings that were made before.
    """

    scenario: Scenario
    evaluated: list[Evaluated]
    before: set[str]

    @property
    def at_stake_points(self) -> float:
        """Points of error that more probes could save."""
        return 100 * at_stake(errors_of(self.evaluated))


@dataclass(slots=True)
class Choosing:
    """Chooses probes.

    Attributes:
        request: request for advice, whose designs are compared.
        resolved: request with its names resolved.
        profiled: cost predictor of this machine.
        store: database of the evidence.
        home: home of the kept probes.
        say: receiver of what will be probed.
        best: design of least expected error before each probe and after the last.
        _seconds: seconds that the last choice took.
        _compared: what the evidence so far says; None where a probe has made it stale.
        _first: scenario before the first probe.
        _trained: times of the probes that have ended.
        _full_seconds: time of the first full trainings by forecast, seconds, where no time is given.
    """

    request: RecommendRequest
    resolved: ResolvedRequest
    profiled: Profiled
    store: Store
    home: Home
    say: Say
    best: list[Evaluated] = field(default_factory=list, init=False)
    _seconds: float = field(default=0.0, init=False)
    _compared: Compared | None = field(default=None, init=False)
    _first: Scenario | None = field(default=None, init=False)
    _trained: list[TrainedProbe] = field(default_factory=list, init=False)
    _full_seconds: float | None = field(default=None, init=False)

    def spend(self, trained: TrainedProbe) -> None:
        """Count the time of a probe that has ended, whatever became of it."""
        self._trained.append(trained)

    def learn(self) -> None:
        """Take a finished probe into account, whose outcome is in the database."""
        self._compared = None

    def compare(self) -> Compared:
        """Return what the evidence so far says."""
        if self._compared is not None:
            return self._compared
        facts = self.resolved.facts
        fitted = Fitted.of(self.request, self.resolved, self.store, self.home)
        scenario = scenario_by(self.request, self.resolved, self.profiled, fitted)
        trained = trained_families(fitted.trained, facts.learned_as, self.request.epochs)
        scenario = scenario.limited_to(leading_families(scenario.families, trained, facts.learned_as))
        evaluated = search(scenario, optuna.storages.InMemoryStorage(), "probe", self.request.trials)
        self.best.append(min(evaluated, key=lambda e: (not e.feasible, e.objectives[0])))
        self._first = self._first or scenario
        # A design that breaks a limit is not chosen whatever a probe finds, unless every design breaks one.
        feasible = [e for e in evaluated if e.feasible] or evaluated
        self._compared = Compared(scenario, feasible, trained_before(fitted.trained, facts.learned_as))
        return self._compared

    @property
    def at_stake_points(self) -> float:
        """Points of error that more probes could save, by the last comparison; 0 if it is stale."""
        return 0.0 if self._compared is None else self._compared.at_stake_points

    def default_left(self, until: float, others: Others) -> tuple[float, float]:
        """Return when the next probe must have ended, by the clock, and how long it may take by default.

        Args:
            until: end of the session by the clock, seconds.
            others: the other probes.
        """
        compared = self.compare()
        if compared.at_stake_points < WORTHWHILE:
            return until, 0.0
        train_seconds = self.best[-1].priced.train_seconds.mean
        if self._full_seconds is None:
            first = full_probes(compared.scenario, compared.evaluated, compared.before, self.request.seed)
            self._full_seconds = full_seconds_of(first)
            if (seconds := default_seconds(self._full_seconds, train_seconds)) > 0:
                self.say(announcement(first, seconds))
        trained = [*self._trained, *others.times]
        return default_left(default_seconds(self._full_seconds, train_seconds, trained), until, trained)

    def next(self, ends: float, longest: float, done: set[str], others: Others) -> Probe | ProbingEnd:
        """Return the next probe, or the reason why there is none.

        Args:
            ends: end of the session by the monotonic clock, seconds.
            longest: longest time that a probe may take, seconds.
            done: keys of the probes of this session.
            others: the other probes.
        """
        compared = self.compare()
        if longest <= 0:
            settled = compared.at_stake_points < WORTHWHILE
            return ProbingEnd.NOTHING_WORTHWHILE if settled else ProbingEnd.TIME_IS_UP
        valued: dict[str, Probe] = {}

        def chosen(seconds: float) -> Probe | None:
            return next_probe(
                compared.scenario,
                compared.evaluated,
                budget=int(parse_budget(self.request.budget)),
                seconds=seconds,
                done=done | compared.before,
                seed=self.request.seed + others.begun,
                running=others.running,
                slowdown=others.beside(compared.scenario).slowdown,
                valued=valued,
            )

        # Choosing takes time as well. A probe that does not end in time would be stopped and teach nothing.
        while (left := ends - self._seconds - time.monotonic()) > 0:
            began = time.monotonic()
            found = chosen(min(left, longest))
            self._seconds = time.monotonic() - began
            if found is None:
                nothing = chosen(float("inf")) is None
                return ProbingEnd.NOTHING_WORTHWHILE if nothing else ProbingEnd.TOO_LITTLE_TIME
            if found.seconds.high <= ends - time.monotonic():
                return found
        return ProbingEnd.TIME_IS_UP

    def as_before(self, after: Evaluated) -> Floats:
        """Return the draws of a design's error as they were before the first probe, shape (draws,)."""
        if not self._trained or self._first is None:
            return after.errors
        data, first = self.resolved.facts, self._first
        if (known := first.at_hand.get(after.key)) is not None:
            return first.accuracy.sample_at_hand(
                known,
                after.design,
                data.learned_as,
                data.task,
                self.request.epochs,
                after.method,
                after.weight_decay,
            )[0]
        errors: Floats = self._first.accuracy.sample_errors(
            [after.design],
            data.learned_as,
            data.task,
            self.request.epochs,
            methods=[after.method],
            weight_decays=[after.weight_decay],
        )
        return np.ravel(errors)
