"""`advisor probe`: trainings that are most informative for a recommendation.

Probes are scored on validation images, so that no design is chosen by the test set. The database keeps a
finished probe in the same form as an imported training. The trained networks of a probe that is what the
request asks about are kept for `advisor train` (`cli.workflows.kept_probes`); those of others are deleted.

Where there is room, several probes train at once (`cli.workflows.advise.probe_session`). Each is chosen with
the evidence of those that have ended, and as if those that train had ended as expected. Nothing is measured
meanwhile: measuring ends before a session begins.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import optuna

from advisor.decision.probes.probing import WORTHWHILE, Probe
from advisor.designs.budget import parse_budget
from advisor.errors import InterruptedRunError
from advisor.estimate import Estimate
from cli.workflows.advise.probe_options import ProbeOptions, check_seconds, longest_probe_seconds
from cli.workflows.advise.probe_session.answer import best_design, finished_probe, words_of
from cli.workflows.advise.probe_session.choosing import Choosing, Others
from cli.workflows.advise.probe_session.crew import Crew, Member
from cli.workflows.advise.probe_session.keeping import keep_outcome
from cli.workflows.advise.probe_session.places import Places
from cli.workflows.advise.probe_session.session_time import LONGEST_SECONDS, TrainedProbe
from cli.workflows.advise.probe_session.training import ProbeResult, train_probe
from cli.workflows.advise.request import ResolvedRequest, check_request, profiled_for
from cli.workflows.answers.advise.probing import FinishedProbe, Probing, ProbingEnd
from cli.workflows.answers.advise.request import RecommendRequest
from cli.workflows.forecast.evidence import say_of_earlier_contents
from cli.workflows.forecast.level import look_once
from cli.workflows.forecast.measuring import REMEASURE, Profiled
from cli.workflows.forecast.pace import UsualPace, say_if_busy
from cli.workflows.home import Home
from cli.workflows.locks import temporary_folder
from cli.workflows.stopping import StopSignals
from cli.workflows.views import Say
from db.queries import Store
from db.session import open_store
from trainer.data.loading import Data, load_new_data, part_of
from trainer.execution.cluster.address import ClusterAddress


def probe(request: RecommendRequest, options: ProbeOptions, home: Home, say: Say) -> Probing:
    """Train the leading designs of a request, then the most informative probes, until the time is up.

    Args:
        request: request for advice, whose designs are compared.
        options: time and other options of the session.
        home: folder of data, database and studies.
        say: receiver of progress.

    Raises:
        UsageError: the request cannot be understood.
        DataError: the data set is missing.
        InterruptedRunError: a signal ended the session; finished probes are kept.
        StorageError: the database cannot be written.
    """
    check_request(request)
    check_seconds(options.seconds or 0.0, "--minutes")
    resolved = ResolvedRequest.of(request, home, say)
    data = load_new_data(resolved.facts, home.data, download=options.download)
    resolved = replace(resolved, facts=data.facts)
    with open_store(home.database) as store:
        say_of_earlier_contents(store, resolved.facts, say)
        look_once(store, resolved.facts, home, say, data)
        profiled = profiled_for(request, resolved, store, say)
        return ProbingSession(request, resolved, profiled, store, home, data, say).run(options)


@dataclass(slots=True)
class ProbingSession:
    """A probing session: probes one after the other or side by side, each chosen with the evidence so far.

    Attributes:
        request: request for advice, whose designs are compared.
        resolved: request with its names resolved.
        profiled: cost predictor of this machine.
        store: database that finished probes are added to.
        home: home of the data sets and of the probes' checkpoints.
        data: images to train on.
        say: receiver of progress.
        places: what probes can train on at the same time; None for what this machine or the cluster has.
        finished: finished probes in the order of their end.
        choosing: what chooses the next probe.
        _cluster: cluster whose nodes train; None for this machine.
        _crew: probes that train side by side; None where one trains at a time, in this process.
        _usual: usual pace of this machine; None where it is not known, or where a cluster trains.
        _busy: whether it was said that the machine is busy.
    """

    request: RecommendRequest
    resolved: ResolvedRequest
    profiled: Profiled
    store: Store
    home: Home
    data: Data
    say: Say
    places: Places | None = None
    finished: list[FinishedProbe] = field(default_factory=list)
    choosing: Choosing = field(init=False)
    _cluster: ClusterAddress | None = field(default=None, init=False)
    _crew: Crew | None = field(default=None, init=False)
    _usual: UsualPace | None = field(default=None, init=False)
    _busy: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.choosing = Choosing(self.request, self.resolved, self.profiled, self.store, self.home, self.say)

    def run(self, options: ProbeOptions) -> Probing:
        """Probe until the time is up, or until no probe is worth its cost.

        Args:
            options: time and other options of the session.

        Raises:
            InterruptedRunError: a signal ended the session; finished probes are kept.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        given, self._cluster = options.seconds, options.cluster
        began = time.monotonic()
        self._look_at_the_pace()
        with ExitStack() as resources:
            self._crew = self._opened_crew(resources)
            if given is None:
                # Fitting and searching are not probing yet.
                self.choosing.compare()
                began = time.monotonic()
            until = began + (LONGEST_SECONDS if given is None else given)
            signals = StopSignals(until)
            if options.take_signals:
                resources.enter_context(signals.listening())
            return self._until_the_end(given, until, signals)

    def _look_at_the_pace(self) -> None:
        """Say that the machine is busy, unless that was said before it was measured."""
        if self._cluster is not None:
            return
        self._usual = self.profiled.usual
        places = self.places or Places.of(self.profiled.execution)
        self._busy = self.profiled.busy or say_if_busy(self._usual, places.most, REMEASURE, self.say)

    def _until_the_end(self, given: float | None, until: float, signals: StopSignals) -> Probing:
        """Choose and train until nothing is left to choose, and nothing trains.

        Args:
            given: time of the session, seconds; None where none is given.
            until: end of the session by the clock, seconds.
            signals: reasons to stop.

        Raises:
            InterruptedRunError: a signal ended the session; finished probes are kept.
        """
        done: set[str] = set()
        while True:
            if self._crew is not None:
                # Some may have ended while another was chosen.
                self._take(self._crew.look(), signals)
            if given is None:
                time_left = self.choosing.default_left(until, self._others)
            else:
                time_left = until, longest_probe_seconds(given)
            chosen = self._choose(*time_left, done)
            # What trains may teach what to train next.
            last = isinstance(chosen, ProbingEnd) and not self._running
            if not isinstance(chosen, ProbingEnd):
                done.add(chosen.key)
                self._train(chosen, signals)
            elif not last:
                self._wait(signals)
            if signals.received is not None:
                self._interrupt(signals)
            if last and isinstance(chosen, ProbingEnd):
                return self._answer(chosen)

    def _interrupt(self, signals: StopSignals) -> None:
        """End a session that a signal came to.

        Raises:
            InterruptedRunError: always.
        """
        while self._running:
            self._wait(signals)
        raise InterruptedRunError(
            f"probing is interrupted; finished probes, which are kept: {len(self.finished)}; "
            "`advisor recommend --probe 0` answers from what there is",
            exit_code=128 + (signals.received or 0),
        )

    def _opened_crew(self, resources: ExitStack) -> Crew | None:
        """Return the processes for probes side by side; None where there is room for one probe only.

        Args:
            resources: owner of the processes.
        """
        places = self.places or Places.of(self.profiled.execution, self._cluster)
        if places.most == 1:
            return None
        return resources.enter_context(
            Crew(places, self.home, self.data, self.say, self._cluster, self._usual)
        )

    @property
    def _running(self) -> list[Probe]:
        """Probes that train now."""
        return [] if self._crew is None else self._crew.running

    @property
    def _begun(self) -> int:
        """Number of the probes that began."""
        return max(len(self.finished), 0 if self._crew is None else self._crew.begun)

    @property
    def _others(self) -> Others:
        """The other probes, as the next one sees them."""
        if self._crew is None:
            return Others(begun=len(self.finished))
        members = self._crew.members
        running, began = [m.probe for m in members], [m.began for m in members]
        return Others(self._begun, running, began, self._crew.places.slowdown)

    def _choose(self, ends: float, longest: float, done: set[str]) -> Probe | ProbingEnd:
        """Return the next probe, or the reason why there is none; arguments as for `Choosing.next`."""
        return self.choosing.next(ends, longest, done, self._others)

    def _train(self, chosen: Probe, signals: StopSignals) -> None:
        """Train a probe and keep its outcome; or let it begin beside others, and wait where no more fit."""
        number = self._begun + 1
        self.say(f"probe {number}: {chosen.key}, {words_of(chosen)}")
        if self._crew is None or not self._crew.is_worth(chosen):
            self._train_here(number, chosen, signals)
            return
        while not self._crew.has_memory(chosen):
            self._wait(signals)
            if signals():
                return
        self._crew.begin(chosen, number)
        if not self._crew.has_room:
            self._wait(signals)

    def _train_here(self, number: int, chosen: Probe, signals: StopSignals) -> None:
        data = part_of(self.data, chosen.plan.dataset)
        began = time.monotonic()
        with temporary_folder(self.home.probes) as folder:
            result = train_probe(
                chosen, folder, self.home, data, self.say, signals, self._cluster, self._usual
            )
            seconds = time.monotonic() - began
            took = TrainedProbe.of(chosen, began, seconds)
            self._learn(number, chosen, folder, result, seconds, took, signals)

    def _wait(self, signals: StopSignals) -> None:
        """Wait until a probe of the crew ends, and keep its outcome."""
        if self._crew is not None:
            self._take(self._crew.wait(signals), signals)

    def _take(self, ended: Sequence[Member], signals: StopSignals) -> None:
        """Keep the outcomes of probes of the crew.

        Raises:
            AdvisorError: a process could not train its probe.
        """
        try:
            for each in ended:
                took = TrainedProbe.of(each.probe, each.began, time.monotonic() - each.began)
                report = each.report
                self._learn(
                    each.number, each.probe, each.folder, report.result, report.seconds, took, signals
                )
        finally:
            for each in ended:
                each.close()
        for each in ended:
            if each.report.error is not None:
                raise each.report.error

    def _learn(
        self,
        number: int,
        chosen: Probe,
        folder: Path,
        result: ProbeResult | None,
        seconds: float,
        took: TrainedProbe,
        signals: StopSignals,
    ) -> None:
        """Keep the outcome of a probe; one that was stopped, or failed, teaches nothing.

        Args:
            number: number of the probe in this session.
            chosen: probe as it was chosen.
            folder: folder of its networks.
            result: its result, if it has any.
            seconds: time that training and evaluation took, seconds.
            took: time that the session counts, which includes the start of its process.
            signals: reasons to stop.
        """
        self.choosing.spend(took)
        if result is None:
            return
        self.say(
            f"probe {number}: error {100 * result.error:.3g} % on validation images, after {seconds:.3g} s"
        )
        if result.disturbed and not self._busy:
            self._busy = True
            self.say(f"this machine is slower than usual now: probe {number} took longer")
        keep_outcome(
            chosen,
            result,
            seconds,
            folder,
            store=self.store,
            home=self.home,
            say=self.say,
            stop=signals,
        )
        self.finished.append(finished_probe(chosen, seconds, result))
        self.choosing.learn()

    def _answer(self, ended: ProbingEnd) -> Probing:
        best = self.choosing.best
        return Probing(
            dataset=self.resolved.facts.name,
            budget_parameters=int(parse_budget(self.request.budget)),
            epochs=self.request.epochs,
            probes=tuple(self.finished),
            ended=ended,
            worthwhile_points=WORTHWHILE,
            before=best_design(best[0]),
            after=best_design(best[-1]),
            after_as_before=Estimate.of_samples(self.choosing.as_before(best[-1])),
            at_stake_points=self.choosing.at_stake_points,
        )
