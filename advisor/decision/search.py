"""The search for good designs, with Optuna.

Every trial is a choice (`advisor.decision.search_space`) with predicted price and predicted error; nothing is
trained. Four objectives are minimised: test error, training seconds, inference latency and peak memory during
training. Limits of the user on the last three are constraints.

The sampler is TPE. It needs no torch, and of the samplers that were measured it finds the Pareto front in the
fewest trials (docs/search.md).

Choices are evaluated with the weight decay of their recipe. What another one does is the same for all designs
of a data set, so it is chosen at the end, for all of them at once (`advisor.decision.weight_decay`). Designs
whose networks exist then get the error of their own training (`advisor.decision.networks_at_hand`).

Source: Ozaki et al., Multiobjective Tree-Structured Parzen Estimator (2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import optuna

from advisor.decision.networks_at_hand import choices_at_hand, with_networks_at_hand
from advisor.decision.scenario import OBJECTIVES, Evaluated, Limits, Scenario, evaluate_choices, plan_of
from advisor.decision.search_space import Choice, Choices
from advisor.decision.starting_points import LARGEST_SHARE, starting_points
from advisor.decision.weight_decay import (
    chosen_place,
)
from advisor.estimate import Floats
from advisor.plans.convergence.kinds import scratch_epochs


def go_on_always() -> None:
    """Let a search go on."""


def search(
    scenario: Scenario,
    storage: optuna.storages.BaseStorage,
    study_name: str,
    trials: int,
    go_on: Callable[[], None] = go_on_always,
) -> list[Evaluated]:
    """Return every design that a search evaluates.

    Args:
        scenario: scenario of the request.
        storage: Optuna storage that the study is written to, for optuna-dashboard.
        study_name: name of the study in the storage.
        trials: number of designs to evaluate, including the starting points.
        go_on: function that is called before every trial; an exception of it ends the search.
    """
    sampler = optuna.samplers.TPESampler(multivariate=True, seed=scenario.seed)
    # The study stays in memory and is written once at the end: writing a trial costs more than the trial.
    study = optuna.create_study(directions=["minimize"] * len(OBJECTIVES), sampler=sampler)
    choices = scenario.choices
    found = explore(
        study,
        choices,
        _starts(scenario, choices, trials),
        lambda new: evaluate_choices(scenario, new),
        scenario.limits,
        trials,
        go_on=go_on,
    )
    stored = optuna.create_study(
        study_name=study_name, storage=storage, directions=["minimize"] * len(OBJECTIVES)
    )
    stored.set_user_attr("objectives", list(OBJECTIVES))
    stored.add_trials(study.trials)
    return with_networks_at_hand(scenario, with_weight_decays(scenario, found))


def first_look(scenario: Scenario, number: int) -> list[Evaluated]:
    """Return the starting points of a search, evaluated.

    Args:
        scenario: scenario of the request.
        number: number of starting points at most.
    """
    trials = math.ceil(number / LARGEST_SHARE)
    starts = _starts(scenario, scenario.choices, trials)
    return with_networks_at_hand(scenario, with_weight_decays(scenario, evaluate_choices(scenario, starts)))


def _starts(scenario: Scenario, choices: Choices, trials: int) -> list[Choice]:
    """Return what a search of so many trials begins with: designs whose networks exist, then a first look."""
    first = starting_points(choices, scenario.accuracy, scenario.dataset, scenario.epochs, trials)
    return list(dict.fromkeys([*choices_at_hand(scenario, choices), *first]))


def with_weight_decays(scenario: Scenario, found: Sequence[Evaluated]) -> list[Evaluated]:
    """Return designs that have the recipe's weight decay with the one that is to be chosen.

    Args:
        scenario: scenario that the designs were evaluated in.
        found: the designs.
    """
    others = scenario.weight_decays[1:]
    if not others or not found:
        return list(found)
    data, repeated = scenario.dataset, [e for e in found for _ in others]
    drawn = scenario.accuracy.sample_errors(
        [e.design for e in repeated],
        data.learned_as,
        data.task,
        [length for length in _lengths(scenario, found) for _ in others],
        methods=[e.method for e in repeated],
        weight_decays=[*others] * len(found),
    )
    blocks = np.split(drawn, len(found), axis=1)
    return [_with_weight_decay(scenario, e, block) for e, block in zip(found, blocks, strict=True)]


def _lengths(scenario: Scenario, found: Sequence[Evaluated]) -> list[float]:
    """Return the expected epochs of a network from scratch of every design."""
    return [scratch_epochs(plan_of(scenario, e)) for e in found]


def _with_weight_decay(scenario: Scenario, e: Evaluated, others: Floats) -> Evaluated:
    """Return a design with its weight decay; `others` has its errors for all but the recipe's."""
    errors = np.concatenate([e.errors[:, None], others], axis=1)
    place, likelihood = chosen_place(errors), scenario.likelihood
    if place == 0:
        return replace(e, errors_by_weight_decay=errors)
    chosen = errors[:, place]
    return replace(
        e,
        errors=chosen,
        nlls=None if likelihood is None else likelihood.sample_nlls(chosen, len(e.design.members)),
        weight_decay=scenario.weight_decays[place],
        errors_by_weight_decay=errors,
    )


def explore(
    study: optuna.Study,
    choices: Choices,
    starts: Sequence[Choice],
    evaluate: Callable[[Sequence[Choice]], list[Evaluated]],
    limits: Limits,
    trials: int,
    at_once: int = 1,
    go_on: Callable[[], None] = go_on_always,
) -> list[Evaluated]:
    """Return the choices that the sampler of a study tries, evaluated.

    Every choice is tried once: the evaluation is deterministic, so a repetition would be wasted.

    Args:
        study: study in memory, without trials.
        choices: choices of the search.
        starts: choices that are tried first.
        evaluate: function that evaluates several choices at once.
        limits: limits of the user.
        trials: number of trials; at most the number of choices.
        at_once: number of trials that the sampler suggests before it learns their results.
        go_on: function that is called before trials; an exception of it ends the search.
    """
    trials = min(trials, len(choices))
    for start in starts[:trials]:
        study.enqueue_trial(choices.point(start))
    found: dict[Choice, Evaluated] = {}
    tried: set[Choice] = set()
    for first in range(0, trials, at_once):
        go_on()
        picked: dict[Choice, optuna.Trial] = {}
        for _ in range(first, min(first + at_once, trials)):
            trial = study.ask()
            choice = choices.nearest_new(choices.suggested(trial), tried)
            picked[choice] = trial
            tried.add(choice)
        found.update(zip(picked, evaluate(list(picked)), strict=True))
        for choice, trial in picked.items():
            evaluated = found[choice]
            trial.set_user_attr("design", evaluated.design.name)
            trial.set_user_attr("method", evaluated.method.value)
            for name, excess in limits.excess(evaluated.priced).items():
                trial.set_constraint(name, excess)
            study.tell(trial, evaluated.objectives)
    return list(found.values())
