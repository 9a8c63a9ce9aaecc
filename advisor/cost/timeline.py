"""When and on which slots the steps of a plan run: list scheduling (Graham 1966).

Steps start in the plan's order as soon as the steps that they depend on are done and enough slots
(`advisor.plans.placement`) are free. A step takes the free slots with the lowest numbers.

The price of a plan rests on this simulation (`advisor.cost.pricing`), with the seconds of each step alone and
a contention. The resulting duration of a step contains its contention. The same simulation of these
durations, with a contention of 1, therefore returns the same beginnings and ends (`timeline_of`).

>>> timeline(["mother", "first", "second"], [(), ("mother",), ("mother",)], [4.0, 2.0, 1.0], 2, 1.0)["second"]
Span(start=4.0, end=5.0, slots=(2,))
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from advisor.plans.placement import devices_of, slots
from advisor.plans.plan import Step, TrainingPlan


class Span(NamedTuple):
    """When and where a step runs.

    Attributes:
        start, end: beginning and end, in the unit of the durations.
        slots: numbers of its slots, from 1.
    """

    start: float
    end: float
    slots: tuple[int, ...]


def timeline(
    names: Sequence[str],
    after: Sequence[tuple[str, ...]],
    seconds: Sequence[float],
    slots: int,
    contention: float,
    devices: Mapping[str, int] | None = None,
) -> dict[str, Span]:
    """Return the span of each step if steps start in order as soon as they can.

    Args:
        names: names of the steps.
        after: names of the steps that each step waits for.
        seconds: duration of each step while no other runs.
        slots: number of slots.
        contention: factor on the time of a step while others run too.
        devices: number of slots that each step occupies, at most all; 1 for a step that is not named.
    """
    left = dict(zip(names, seconds, strict=True))
    needs = dict(zip(names, after, strict=True))
    taken = dict.fromkeys(names, 1) | dict(devices or {})
    waiting = list(names)
    free = list(range(1, slots + 1))
    running: dict[str, tuple[int, ...]] = {}
    starts: dict[str, float] = {}
    done: dict[str, Span] = {}
    clock = 0.0
    while waiting or running:
        for name in [n for n in waiting if done.keys() >= set(needs[n])]:
            if taken[name] > len(free):
                continue
            waiting.remove(name)
            running[name], free = tuple(free[: taken[name]]), free[taken[name] :]
            starts[name] = clock
        slowdown = contention if len(running) > 1 else 1.0
        shortest = min(left[name] for name in running)
        clock += shortest * slowdown
        for name in list(running):
            left[name] -= shortest
            if left[name] <= 0:
                done[name] = Span(starts[name], clock, running.pop(name))
                free = sorted([*free, *done[name].slots])
    return done


def timeline_of(
    plan: TrainingPlan, durations: Mapping[str, float], unfinished: Collection[str] = ()
) -> dict[str, Span]:
    """Return the spans of the steps of a plan whose durations are known, slowed by their neighbours already.

    A step without a duration is left out, and so is every step that waits for it or for an unfinished one. An
    unfinished step keeps its slots: no other step follows there.

    Args:
        plan: the plan.
        durations: duration of each step beside its neighbours, in any unit.
        unfinished: ids of steps whose durations are those so far.
    """
    kept: list[Step] = []
    ended: set[str] = set()
    for step in plan.steps:
        if step.id in durations and ended.issuperset(step.after):
            kept.append(step)
            if step.id not in unfinished:
                ended.add(step.id)
    beyond = 1.0 + sum(durations[step.id] for step in kept)
    found = timeline(
        [step.id for step in kept],
        [step.after for step in kept],
        [beyond if step.id in unfinished else durations[step.id] for step in kept],
        slots(plan),
        1.0,
        {step.id: devices_of(step) for step in kept},
    )
    return {name: span._replace(end=span.start + durations[name]) for name, span in found.items()}
