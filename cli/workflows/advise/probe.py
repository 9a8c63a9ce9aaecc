"""`advisor probe`: short trainings that are most informative for a recommendation.

Probes are scored on validation images, so that no design is chosen by the test set. The database keeps a
finished probe in the same form as an imported training; its weights are deleted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from statistics import fmean

import numpy as np
import optuna

from advisor.accuracy.evidence import Curve
from advisor.decision.probing import WORTHWHILE, Probe, next_probe
from advisor.decision.search import Evaluated, Scenario, search
from advisor.designs.budget import parse_budget
from advisor.errors import InterruptedRunError
from advisor.estimate import Estimate
from advisor.plans.method_traits import Method
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from cli.workflows.advise.probe_evidence import reported_probe, trained_before
from cli.workflows.advise.probe_options import ProbeOptions, check_seconds, longest_probe_seconds
from cli.workflows.advise.request import ResolvedRequest, check_request, profiled_for, scenario_of
from cli.workflows.answers.advice_request import RecommendRequest
from cli.workflows.answers.probing import BestDesign, FinishedProbe, Probing, ProbingEnd
from cli.workflows.forecast.evidence import accuracy_for, say_of_earlier_contents
from cli.workflows.forecast.level import look_once
from cli.workflows.forecast.measuring import Profiled
from cli.workflows.home import Home, now, temporary_folder
from cli.workflows.patience import patiently
from cli.workflows.stopping import StopSignals
from cli.workflows.views import Say, TrainingBegun, TrainingEnded
from db.queries import Store
from db.session import open_store
from profiler.memory import watch_peak
from trainer.data.loading import Data, load_new_data, part_of
from trainer.ensembles.evaluate import validation_errors
from trainer.events import Event, Notice, TrainingStarted
from trainer.execution.execute import execute
from trainer.run_files import RunFiles
from trainer.training.stored_probabilities import Probabilities, unpack_probabilities

# Source of a probe in the database.
SOURCE = "advisor probe"


@dataclass
class _Watcher:
    """Shows the events of a probe's training, and collects its epochs."""

    plan: TrainingPlan
    expected: float
    say: Say
    records: list[EpochRecord] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Show an event; of the steps only those that failed are shown."""
        match event:
            case TrainingStarted():
                self.say(TrainingBegun(self.plan, self.expected))
            case EpochRecord():
                self.records.append(event)
                self.say(event)
            case StepRecord(network=network, status=status, message=message):
                if status is not StepStatus.DONE:
                    self.say(f"{network}: {message or status}")
            case Notice(text):
                self.say(text)

    def curve(self, data: Data) -> Curve | None:
        """Return the learning curve of members that were all trained from scratch, else None."""
        own: dict[str, list[EpochRecord]] = {}
        for record in self.records:
            own.setdefault(record.network, []).append(record)
        if self.plan.method is not Method.FULL_DATA:
            return None
        labels, classes = data.validation.labels.numpy(), data.facts.task.classes
        epochs = list(zip(*own.values(), strict=True))
        return Curve(
            member=tuple(fmean(r.validation_error for r in records) for records in epochs),
            ensemble=tuple(
                float((_average(records, classes).argmax(axis=1) != labels).mean()) for records in epochs
            ),
            images=len(labels),
        )


def _average(records: Sequence[EpochRecord], classes: int) -> Probabilities:
    """Mean validation probabilities, (images, classes)."""
    found: Probabilities = np.mean(
        [unpack_probabilities(r.validation_probabilities, classes) for r in records], axis=0
    )
    return found


def probe(request: RecommendRequest, options: ProbeOptions, home: Home, say: Say) -> Probing:
    """Train the most informative probes of a request until the time is up.

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
    check_seconds(options.seconds, "--minutes")
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
    """A probing session: probes one after the other, each chosen with the evidence of those before it.

    Attributes:
        request: request for advice, whose designs are compared.
        resolved: request with its names resolved.
        profiled: cost predictor of this machine.
        store: database that finished probes are added to.
        home: home of the data sets and of the probes' checkpoints.
        data: images to train on.
        say: receiver of progress.
        finished: finished probes in the order of their training.
        best: design of least expected error before each probe and after the last.
        _choosing: seconds that the last choice of a probe took.
    """

    request: RecommendRequest
    resolved: ResolvedRequest
    profiled: Profiled
    store: Store
    home: Home
    data: Data
    say: Say
    finished: list[FinishedProbe] = field(default_factory=list)
    best: list[Evaluated] = field(default_factory=list)
    _choosing: float = field(default=0.0, init=False)

    def run(self, options: ProbeOptions) -> Probing:
        """Probe until the time is up, or until no probe is worth its cost.

        Args:
            options: time and other options of the session.

        Raises:
            InterruptedRunError: a signal ended the session; finished probes are kept.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        signals = StopSignals(ends := time.monotonic() + options.seconds)
        done: set[str] = set()
        with signals.listening() if options.take_signals else nullcontext():
            while True:
                chosen = self._choose(ends, longest_probe_seconds(options.seconds), done)
                if not isinstance(chosen, ProbingEnd):
                    done.add(chosen.key)
                    self._train(chosen, signals)
                if signals.received is not None:
                    raise InterruptedRunError(
                        f"probing is interrupted; {len(self.finished)} probes are kept",
                        exit_code=128 + signals.received,
                    )
                if isinstance(chosen, ProbingEnd):
                    return self._answer(chosen)

    def _choose(self, ends: float, longest: float, done: set[str]) -> Probe | ProbingEnd:
        """Return the next probe, or the reason why there is none.

        Args:
            ends: end of the session by the monotonic clock, seconds.
            longest: longest time that a probe may take, seconds.
            done: keys of the probes of this session.
        """
        scenario, evaluated, before = self._compare()
        budget, number = int(parse_budget(self.request.budget)), len(self.finished)

        def chosen(seconds: float) -> Probe | None:
            return next_probe(
                scenario,
                evaluated,
                budget=budget,
                seconds=seconds,
                done=done | before,
                seed=self.request.seed + number,
            )

        # Choosing takes time as well. A probe that does not end in time would be stopped and teach nothing.
        while (left := ends - self._choosing - time.monotonic()) > 0:
            began = time.monotonic()
            found = chosen(min(left, longest))
            self._choosing = time.monotonic() - began
            if found is None:
                nothing = chosen(float("inf")) is None
                return ProbingEnd.NOTHING_WORTHWHILE if nothing else ProbingEnd.TOO_LITTLE_TIME
            if found.seconds.high <= ends - time.monotonic():
                return found
        return ProbingEnd.TIME_IS_UP

    def _compare(self) -> tuple[Scenario, list[Evaluated], set[str]]:
        """Return the scenario, its designs, and the keys of earlier trainings, all by the evidence so far."""
        facts = self.resolved.facts
        accuracy, evidence = accuracy_for(self.store, facts, self.request.seed)
        scenario = scenario_of(self.request, self.resolved, self.profiled, accuracy)
        evaluated = search(scenario, optuna.storages.InMemoryStorage(), "probe", self.request.trials)
        self.best.append(min(evaluated, key=lambda e: (not e.feasible, e.objectives[0])))
        # A design that breaks a limit is not chosen whatever a probe finds, unless every design breaks one.
        feasible = [e for e in evaluated if e.feasible] or evaluated
        return scenario, feasible, trained_before(evidence, facts.learned_as)

    def _train(self, chosen: Probe, signals: StopSignals) -> None:
        """Train a probe and keep its outcome; a probe that is stopped teaches nothing."""
        plan, data = chosen.plan, part_of(self.data, chosen.plan.dataset)
        seconds = f"about {chosen.seconds.mean:.0f} s" if chosen.seconds.mean >= 1 else "less than 1 s"
        self.say(
            f"probe {len(self.finished) + 1}: {chosen.key}, {seconds}, to move the choice by "
            f"{chosen.move:.2f} points"
        )
        began = time.monotonic()
        with temporary_folder(self.home.probes) as folder:
            files = RunFiles(folder=folder, data_root=self.home.data, watch=watch_peak)
            watcher = _Watcher(plan, chosen.seconds.mean, self.say)
            try:
                ended = execute(plan, files, data, watcher, signals)
            finally:
                self.say(TrainingEnded())
            if len(ended) < len(plan.steps) or any(r.status is not StepStatus.DONE for r in ended.values()):
                return
            error, members = validation_errors(plan, files, data)
        found = reported_probe(plan, error, members, watcher.curve(data))
        patiently(
            lambda: self.store.add_reported([found], source=SOURCE, imported_at=now()), self.say, signals
        )
        self.finished.append(_finished(chosen, time.monotonic() - began, error, members))

    def _answer(self, ended: ProbingEnd) -> Probing:
        return Probing(
            dataset=self.resolved.facts.name,
            budget_parameters=int(parse_budget(self.request.budget)),
            epochs=self.request.epochs,
            probes=tuple(self.finished),
            ended=ended,
            worthwhile_points=WORTHWHILE,
            before=_best(self.best[0]),
            after=_best(self.best[-1]),
        )


def _finished(chosen: Probe, seconds: float, error: float, members: tuple[float, ...]) -> FinishedProbe:
    return FinishedProbe(
        design=chosen.plan.design,
        epochs=chosen.plan.epochs,
        share_of_images=chosen.image_share,
        predicted_seconds=chosen.seconds.mean,
        seconds=seconds,
        move_points=chosen.move,
        predicted_error=chosen.predicted_error,
        error=error,
        member_errors=members,
    )


def _best(evaluated: Evaluated) -> BestDesign:
    return BestDesign(design=evaluated.design.name, test_error=Estimate.of_samples(evaluated.errors))
