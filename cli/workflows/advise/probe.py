"""`advisor probe`: short trainings that teach the accuracy predictor what a recommendation turns on.

Probes are scored on validation images, so that no design is chosen by the test set. Of a probe only what it
taught is kept, in the database, as of a training that was imported; its weights are not.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import optuna

from advisor.accuracy.evidence import Curve, TrainedEvidence
from advisor.accuracy.reported import ReportedTraining
from advisor.decision.probing import WORTHWHILE, Probe, key_of, next_probe
from advisor.decision.search import Evaluated, search
from advisor.designs.budget import parse_budget
from advisor.errors import InterruptedRunError, UsageError
from advisor.estimate import Estimate
from advisor.plans.plan import Method, TrainingPlan
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from cli.workflows.advise.request import (
    RecommendRequest,
    ResolvedRequest,
    check_request,
    profiled_for,
    scenario_of,
)
from cli.workflows.forecast.evidence import accuracy_for
from cli.workflows.forecast.measuring import Profiled
from cli.workflows.home import SCHEMA_VERSION, Home, now
from cli.workflows.names import facts_of
from cli.workflows.stopping import StopSignals
from cli.workflows.views import Say, TrainingBegun, TrainingEnded
from db.queries import Store
from db.session import open_store
from profiler.device import fingerprint
from profiler.memory import watch_peak
from trainer.data.loading import Data, load_data, part_of
from trainer.ensembles.evaluate import validation_errors
from trainer.events import Event, Notice, TrainingStarted
from trainer.execution.execute import execute
from trainer.run_files import RunFiles
from trainer.training.stored_probabilities import Probabilities, unpack_probabilities

SOURCE = "advisor probe"
# Of the time, what is kept from the first probe: fitting, searching and choosing it come first. A share where
# the time is short.
PREPARING_SECONDS, PREPARING_SHARE = 20.0, 1 / 3
# Methods of probes; of an imported training nobody says, but it is one of the two.
PROBED = (None, Method.FULL_DATA, Method.MOTHERNETS)
# Why probing ended.
UNTIL_TIME, NOTHING_WORTHWHILE, TOO_LONG = "time", "nothing worthwhile", "too little time"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    """What concerns probing rather than the decision.

    Attributes:
        seconds: for trainings, in all.
        download: whether a missing data set may be fetched.
    """

    seconds: float
    download: bool = False


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


def completed(home: Home, dataset: str, **given: Any) -> RecommendRequest:
    """Return the request of a probe; without budget or epochs it is that of the last recommendation.

    Args:
        home: where recommendations are.
        dataset: to train on.
        given: other fields of the request; None or an empty tuple where the command line says nothing.

    Raises:
        UsageError: the last recommendation is for other data, or there is none.
    """
    values = given | {"dataset": dataset}
    if given["budget"] is None or given["epochs"] is None:
        resolved = _last_request(home, facts_of(dataset).name)
        # Older programs asked for less than there is now.
        known = {f.name: resolved[f.name] for f in fields(RecommendRequest) if f.name in resolved}
        values |= known | {name: value for name, value in values.items() if value not in (None, ())}
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return RecommendRequest(**(values | lists))


def _last_request(home: Home, dataset: str) -> dict[str, Any]:
    last = None
    if home.database.exists():
        with open_store(home.database) as store:
            last = store.last_recommendation()
    if last is None or last.request["dataset"] != dataset:
        which = "there is no recommendation" if last is None else f"the last is for {last.request['dataset']}"
        raise UsageError(
            f"no recommendation for {dataset} to probe for ({which}): give --budget and --epochs, or ask "
            "`advisor recommend` first"
        )
    return last.request


def probe(request: RecommendRequest, options: ProbeOptions, home: Home, say: Say) -> dict[str, Any]:
    """Train what teaches most about a request until the time is up, and return what it taught.

    Raises:
        UsageError: a request that cannot be understood.
        DataError: the data set is missing.
        InterruptedRunError: it was interrupted; finished probes are kept.
        StorageError: the database cannot be written.
    """
    check_request(request)
    check_seconds(options.seconds, "--minutes")
    resolved = ResolvedRequest.of(request)
    data = load_data(resolved.facts, home.data, download=options.download)
    with open_store(home.database) as store:
        profiled = profiled_for(request, resolved, store, say)
        return ProbingSession(request, resolved, profiled, store, home, data, say).run(options.seconds)


def trained_before(evidence: Sequence[TrainedEvidence], dataset: str) -> set[str]:
    """Return the keys of what was trained to its end on a data set: the same again teaches little."""
    ended = [e for e in evidence if e.dataset == dataset and e.member_errors is not None]
    return {key_of(e.design.name, e.epochs, e.images) for e in ended if e.method in PROBED}


def check_seconds(seconds: float, option: str) -> None:
    """Refuse a time for probing that is none.

    Raises:
        UsageError: as said.
    """
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{option} must be positive, got {seconds / 60:g}")


def training_seconds(seconds: float) -> float:
    """Return how long a probe may take at most in a sitting of so many seconds.

    Whoever names the first probe of a sitting beforehand chooses it for the same time.
    """
    return seconds - min(PREPARING_SECONDS, PREPARING_SHARE * seconds)


@dataclass(slots=True)
class ProbingSession:
    """Probes one after the other; each is chosen knowing those before it.

    Attributes:
        rounds: finished probes, as plain JSON.
        best: design of least expected error before each probe and after the last.
        _choosing: seconds that choosing a probe took last.
    """

    request: RecommendRequest
    resolved: ResolvedRequest
    profiled: Profiled
    store: Store
    home: Home
    data: Data
    say: Say
    rounds: list[dict[str, Any]] = field(default_factory=list)
    best: list[Evaluated] = field(default_factory=list)
    _choosing: float = field(default=0.0, init=False)

    def run(self, seconds: float) -> dict[str, Any]:
        """Probe for so many seconds at most, and return what it came to as plain JSON.

        Raises:
            InterruptedRunError: it was interrupted; finished probes are kept.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        signals = StopSignals(ends := time.monotonic() + seconds)
        done: set[str] = set()
        with signals.listening():
            while True:
                chosen, why = self._choose(ends, training_seconds(seconds), done)
                if chosen is not None:
                    done.add(chosen.key)
                    self._train(chosen, signals)
                if signals.received is not None:
                    raise InterruptedRunError(
                        f"probing is interrupted; {len(self.rounds)} probes are kept",
                        exit_code=128 + signals.received,
                    )
                if chosen is None:
                    return self._payload(why)

    def _choose(self, ends: float, longest: float, done: set[str]) -> tuple[Probe | None, str]:
        """Return the next probe, or why there is none.

        Args:
            ends: when the time is up, by the monotonic clock.
            longest: seconds that a probe may take at most.
            done: probes of this sitting, by their keys.
        """
        facts = self.resolved.facts
        accuracy, evidence = accuracy_for(self.store, facts.learned_as, self.request.seed, facts.train_images)
        done = done | trained_before(evidence, facts.learned_as)
        scenario = scenario_of(self.request, self.resolved, self.profiled, accuracy)
        evaluated = search(scenario, optuna.storages.InMemoryStorage(), "probe", self.request.trials)
        self.best.append(min(evaluated, key=lambda j: (not j.feasible, j.objectives[0])))
        budget, number = int(parse_budget(self.request.budget)), len(self.rounds)
        # What breaks a limit is not chosen, whatever a probe would say of it.
        evaluated = [j for j in evaluated if j.feasible] or evaluated

        def chosen(seconds: float) -> Probe | None:
            return next_probe(
                scenario,
                evaluated,
                budget=budget,
                seconds=seconds,
                done=done,
                seed=self.request.seed + number,
            )

        # Choosing takes time too, and what no longer ends in time would be stopped and teach nothing.
        while (left := ends - self._choosing - time.monotonic()) > 0:
            began = time.monotonic()
            found = chosen(min(left, longest))
            self._choosing = time.monotonic() - began
            if found is None:
                return None, NOTHING_WORTHWHILE if chosen(float("inf")) is None else TOO_LONG
            if found.seconds.high <= ends - time.monotonic():
                return found, ""
        return None, UNTIL_TIME

    def _train(self, chosen: Probe, signals: StopSignals) -> None:
        """Train a probe and keep what it found; one that the clock stops teaches nothing."""
        plan, data = chosen.plan, part_of(self.data, chosen.plan.dataset)
        seconds = f"about {chosen.seconds.mean:.0f} s" if chosen.seconds.mean >= 1 else "less than 1 s"
        self.say(
            f"probe {len(self.rounds) + 1}: {chosen.key}, {seconds}, to move the choice by "
            f"{chosen.move:.2f} points"
        )
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="advisor-probe-") as folder:
            files = RunFiles(folder=Path(folder), data_root=self.home.data, watch=watch_peak)
            watcher = _Watcher(plan, chosen.seconds.mean, self.say)
            try:
                ended = execute(plan, files, data, watcher, signals)
            finally:
                self.say(TrainingEnded())
            if len(ended) < len(plan.steps) or any(r.status is not StepStatus.DONE for r in ended.values()):
                return
            error, members = validation_errors(plan, files, data)
        found = _reported(plan, error, members, watcher.curve(data))
        self.store.add_reported([found], source=SOURCE, imported_at=now())
        self.rounds.append(
            {
                "design": plan.design,
                "epochs": plan.epochs,
                "share_of_images": chosen.images,
                "predicted_seconds": chosen.seconds.mean,
                "seconds": time.monotonic() - began,
                "move_points": chosen.move,
                "predicted_error": asdict(chosen.plan_forecast),
                "error": error,
                "member_errors": list(members),
            }
        )

    def _payload(self, why: str) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "dataset": self.resolved.facts.name,
            "budget_parameters": int(parse_budget(self.request.budget)),
            "epochs": self.request.epochs,
            "probes": self.rounds,
            "ended": why,
            "worthwhile_points": WORTHWHILE,
            "before": _best(self.best[0]),
            "after": _best(self.best[-1]),
        }


def _best(evaluated: Evaluated) -> dict[str, Any]:
    return {"design": evaluated.design.name, "test_error": asdict(Estimate.of_samples(evaluated.errors))}


def _reported(
    plan: TrainingPlan, error: float, members: tuple[float, ...], curve: Curve | None
) -> ReportedTraining:
    return ReportedTraining(
        dataset=plan.dataset.name,
        task=plan.dataset.task,
        augmentation=plan.dataset.augmentation,
        train_images=plan.dataset.train_images,
        test_images=plan.dataset.validation_images,
        design=plan.design,
        epochs=plan.epochs,
        batch=plan.batch,
        seed=plan.seed,
        error=error,
        member_errors=members,
        device=fingerprint(plan.execution).device_name,
        date=datetime.now(UTC).date().isoformat(),
        validation_images=None if curve is None else curve.images,
        member_curve=None if curve is None else curve.member,
        ensemble_curve=None if curve is None else curve.ensemble,
    )
