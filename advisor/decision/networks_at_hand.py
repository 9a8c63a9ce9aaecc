"""Designs whose networks exist: a probe trained what a request asks about, and its networks were kept.

Their test error is that of one known training (`advisor.accuracy.at_hand`), not of one that is still to come.
So it is known better than that of others, and what the seed contributed counts: a lucky training is worth
taking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from advisor.decision.scenario import Evaluated, Scenario, plan_of
from advisor.decision.search_space import Choice, Choices
from advisor.decision.weight_decay import chosen_place
from advisor.plans.convergence.kinds import scratch_epochs
from advisor.plans.method_traits import Method


def choices_at_hand(scenario: Scenario, choices: Choices) -> list[Choice]:
    """Return the choices of a scenario whose networks exist, so that no search misses them."""
    exist = _trained(scenario)
    # Naming thousands of designs takes a moment.
    return [c for c in choices.all if (c.design.name, c.method) in exist] if exist else []


def with_networks_at_hand(scenario: Scenario, found: Sequence[Evaluated]) -> list[Evaluated]:
    """Return designs, with the errors of their own training where their networks exist.

    Args:
        scenario: scenario that the designs were evaluated in.
        found: the designs, with their weight decay.
    """
    exist = _trained(scenario)
    return [_own_training(scenario, e) if (e.design.name, e.method) in exist else e for e in found]


def _trained(scenario: Scenario) -> set[tuple[str, Method]]:
    """Return design and method of all networks that exist."""
    return {(design, method) for design, method, _ in scenario.at_hand}


def _own_training(scenario: Scenario, e: Evaluated) -> Evaluated:
    """Return a design with the errors of its trainings that exist, and the weight decay that they suggest."""
    data, accuracy, likelihood = scenario.dataset, scenario.accuracy, scenario.likelihood
    table = e.errors[:, None] if e.errors_by_weight_decay is None else e.errors_by_weight_decay
    stds: dict[int, float] = {}
    for place, multiple in enumerate(scenario.weight_decays):
        known = scenario.at_hand.get((e.design.name, e.method, multiple))
        if known is not None:
            epochs = scratch_epochs(plan_of(scenario, e))
            own, stds[place] = accuracy.sample_at_hand(
                known, e.design, data.learned_as, data.task, epochs, e.method, multiple
            )
            table = np.concatenate([table[:, :place], own[:, None], table[:, place + 1 :]], axis=1)
    place = chosen_place(table, stds)
    errors = table[:, place]
    return replace(
        e,
        errors=errors,
        at_hand=place in stds,
        seed_std=stds.get(place, accuracy.seed_std(e.design, data.learned_as, e.method)),
        nlls=None if likelihood is None else likelihood.sample_nlls(errors, len(e.design.members)),
        weight_decay=scenario.weight_decays[place],
        errors_by_weight_decay=None if e.errors_by_weight_decay is None else table,
    )
