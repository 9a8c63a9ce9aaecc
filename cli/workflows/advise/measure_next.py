"""The most informative training to make next, and the command line that makes it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Sequence
from dataclasses import fields, replace

import optuna

from advisor.decision.probes.probing import WORTHWHILE, Probe, next_probe
from advisor.decision.scenario import Evaluated, Scenario
from advisor.decision.search import search
from advisor.designs.budget import parse_budget
from cli.workflows.advise.probe_options import PREPARING_SECONDS, longest_probe_seconds
from cli.workflows.advise.reasons import named_design
from cli.workflows.answers.advise.reasons import MeasureNext, ProposedProbe
from cli.workflows.answers.advise.request import RecommendRequest
from cli.workflows.defaults import (
    OBJECTIVE,
    PROBE_PROFILE_SECONDS,
    RECIPE,
    RECOMMEND_PROFILE_SECONDS,
    SEED,
    TRIALS,
    TUNE,
)

# A probe may take this share of the training that it informs, or as long as a short training.
PROBE_SHARE, SHORT_SECONDS = 1 / 10, 600.0

# Option of each field of a request.
OPTIONS = {
    "budget": "--budget",
    "epochs": "--epochs",
    "dataset": "--dataset",
    "resize": "--resize",
    "skip_damaged": "--skip-damaged",
    "augmentation": "--augment",
    "families": "--family",
    "members": "--members",
    "device": "--device",
    "batch": "--batch",
    "tune": "--tune",
    "seed": "--seed",
    "profile_seconds": "--profile-seconds",
}
# Options that `advisor recommend` has and `advisor probe` does not have.
ADVICE_OPTIONS = {
    "objective": "--objective",
    "max_memory_bytes": "--max-memory",
    "max_latency_ms": "--max-latency-ms",
    "max_train_seconds": "--max-train-time",
    "price_per_hour_usd": "--price-per-hour",
    "max_usd": "--max-usd",
    "methods": "--method",
    "trials": "--trials",
    "recipe": "--recipe",
    "until_converged": "--until-converged",
    "patience": "--patience",
}
# Those of them that by themselves do not change which probe is chosen.
RANKING_ONLY = {"objective", "price_per_hour_usd"}
# Values that the commands assume where an option is left out; those of measuring depend on the command.
ASSUMED = {
    "seed": SEED,
    "objective": OBJECTIVE,
    "trials": TRIALS,
    "skip_damaged": False,
    "tune": TUNE,
    "recipe": RECIPE,
    "until_converged": False,
}
PROFILE_SECONDS = {"recommend": RECOMMEND_PROFILE_SECONDS, "probe": PROBE_PROFILE_SECONDS}


def measure_next(
    request: RecommendRequest,
    scenario: Scenario,
    evaluated: Sequence[Evaluated],
    done: Collection[str],
    train_seconds: float,
    slowdown: float = 1.0,
) -> MeasureNext:
    """Return the training that is most informative per second, and the command that makes it.

    If no probe within the allowed time is worth its cost, a longer one is named; if no probe at all is worth
    its cost, there is none.

    Args:
        request: request that is answered.
        scenario: scenario of the request.
        evaluated: designs that the search looked at.
        done: keys (`key_of`) of earlier trainings.
        train_seconds: predicted seconds of training the first design of the ranking.
        slowdown: factor on the time of a probe by those that the command trains beside it.
    """
    feasible = [e for e in evaluated if e.feasible]
    budget, allowed = parse_budget(request.budget), allowed_seconds(train_seconds)

    valued: dict[str, Probe] = {}

    def chosen(seconds: float) -> Probe | None:
        return next_probe(
            scenario,
            feasible,
            budget=budget,
            seconds=seconds,
            done=done,
            seed=request.seed,
            slowdown=slowdown,
            valued=valued,
        )

    within = chosen(allowed)
    probe = within or chosen(math.inf)
    proposed, none_within = None, within is None
    if probe is not None:
        minutes = math.ceil((probe.seconds.high + PREPARING_SECONDS) / 60)
        # The command chooses anew, for the time that it is given.
        probe = chosen(longest_probe_seconds(60.0 * minutes)) or probe
        proposed = _proposed(probe, request, minutes)
        # The sampler proposes other probes for another time, so this one may fit although none was found.
        none_within = none_within and bool(probe.seconds.high > allowed)
    return MeasureNext(
        probe=proposed,
        allowed_seconds=allowed,
        none_within_allowed=none_within,
        worthwhile_points=WORTHWHILE,
    )


def measure_untried(
    request: RecommendRequest,
    scenario: Scenario,
    untried: Evaluated,
    families: Sequence[str],
    done: Collection[str],
    train_seconds: float,
    slowdown: float = 1.0,
) -> MeasureNext | None:
    """Return the most informative training of families without one, or None where none is worth its cost.

    Only designs of these families are compared, as the command does that makes the probe.

    Args:
        request: request that is answered.
        scenario: scenario of the request.
        untried: design that would lead on its forecast alone.
        families: families without a training on the data.
        done: keys (`key_of`) of earlier trainings.
        train_seconds: predicted seconds of training the first design of the ranking.
        slowdown: factor on the time of a probe by those that the command trains beside it.
    """
    own = scenario.limited_to(families)
    evaluated = search(own, optuna.storages.InMemoryStorage(), "untried", request.trials)
    if not any(e.feasible for e in evaluated):
        return None
    asked = replace(request, families=tuple(families))
    found = measure_next(asked, own, evaluated, done, train_seconds, slowdown)
    return None if found.probe is None else replace(found, untried=named_design(untried))


def _proposed(probe: Probe, request: RecommendRequest, minutes: int) -> ProposedProbe:
    return ProposedProbe(
        design=probe.plan.design,
        epochs=probe.plan.epochs,
        share_of_images=probe.image_share,
        seconds=probe.seconds,
        move_points=probe.move,
        predicted_error=probe.predicted_error,
        minutes=minutes,
        command=command(request, minutes),
        tuned_weight_decay=probe.tuned_weight_decay,
    )


def allowed_seconds(train_seconds: float) -> float:
    """Return the seconds that a probe may take before a training of `train_seconds`."""
    return max(PROBE_SHARE * train_seconds, min(train_seconds, SHORT_SECONDS))


def command(request: RecommendRequest, minutes: int) -> str:
    """Return the command line that probes for a request.

    It is `advisor probe`, or `advisor recommend` if the request has an option that `advisor probe` lacks:
    limits, methods and the number of trials decide for which designs probes are chosen.

    Args:
        request: request that is answered.
        minutes: time to probe for, minutes.
    """
    given = {f.name: getattr(request, f.name) for f in fields(RecommendRequest)}
    written = {
        name: value for name, value in given.items() if value not in (None, ()) and value != ASSUMED.get(name)
    }
    advice = bool(written.keys() & (ADVICE_OPTIONS.keys() - RANKING_ONLY))
    verb = "recommend" if advice else "probe"
    if request.profile_seconds >= PROFILE_SECONDS[verb]:
        del written["profile_seconds"]
    options = OPTIONS | ADVICE_OPTIONS if advice else OPTIONS
    words = ["advisor", verb]
    for name, option in options.items():
        if name in written:
            value = written[name]
            for each in value if isinstance(value, tuple) else (value,):
                # A switch has no value.
                words += [option] if each is True else [option, _text_of(each)]
    return shlex.join([*words, "--probe" if advice else "--minutes", str(minutes)])


def _text_of(value: object) -> str:
    """Return a value as the command line reads it back; numbers have no exponent."""
    return f"{value:.12f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
