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


class Node(NamedTuple):
    """Slots that slow each other down: a machine, or a node of a cluster.

    Attributes:
        kind: place of its durations among those of all kinds of nodes.
        slots: numbers of its slots, from 1.
        contention: factor on the time of a step while others run on the node too.
    """

    kind: int
    slots: tuple[int, ...]
    contention: float


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
    machine = Node(0, tuple(range(1, slots + 1)), contention)
    return timeline_on([machine], names, after, [seconds], devices)


def timeline_on(
    nodes: Sequence[Node],
    names: Sequence[str],
    after: Sequence[tuple[str, ...]],
    seconds: Sequence[Sequence[float]],
    devices: Mapping[str, int] | None = None,
) -> dict[str, Span]:
    """Return the span of each step on nodes of different speeds, if steps start in order as soon as they can.

    A step starts on the free slot with the lowest number, whatever its speed. One with several slots starts
    on the node of the first free slot that has as many of them free.

    Args:
        nodes: the nodes; every number of a slot occurs once.
        names: names of the steps.
        after: names of the steps that each step waits for.
        seconds: duration of each step while no other runs on its node, by kind of node.
        devices: number of slots that each step occupies, at most those of the largest node; 1 for a step that
            is not named.
    """
    places = {name: i for i, name in enumerate(names)}
    needs = dict(zip(names, after, strict=True))
    taken = dict.fromkeys(names, 1) | dict(devices or {})
    home = {slot: number for number, node in enumerate(nodes) for slot in node.slots}
    waiting, free = list(names), sorted(home)
    running: dict[str, tuple[int, ...]] = {}
    on: dict[str, int] = {}
    left: dict[str, float] = {}
    starts: dict[str, float] = {}
    done: dict[str, Span] = {}
    clock = 0.0
    while waiting or running:
        for name in [n for n in waiting if done.keys() >= set(needs[n])]:
            if not free:
                break
            own = _slots_for(taken[name], free, home)
            if not own:
                continue
            waiting.remove(name)
            running[name], on[name] = own, home[own[0]]
            free = free[1:] if len(own) == 1 else [slot for slot in free if slot not in own]
            left[name] = seconds[nodes[on[name]].kind][places[name]]
            starts[name] = clock
        passed, progress = _until_next_end(left, on, nodes)
        clock += passed
        for name in list(running):
            left[name] -= progress[on[name]]
            if left[name] <= 0:
                del left[name], on[name]
                done[name] = Span(starts[name], clock, running.pop(name))
                free = sorted([*free, *done[name].slots])
    return done


def _slots_for(count: int, free: Sequence[int], home: Mapping[int, int]) -> tuple[int, ...]:
    """Return the first so many free slots of one node; none where no node has them.

    Args:
        count: number of slots.
        free: numbers of the free slots, rising.
        home: number of the node of every slot.
    """
    if count == 1:
        return tuple(free[:1])
    own: dict[int, list[int]] = {}
    for slot in free:
        own.setdefault(home[slot], []).append(slot)
    return next((tuple(found[:count]) for found in own.values() if len(found) >= count), ())


def _until_next_end(
    left: Mapping[str, float], on: Mapping[str, int], nodes: Sequence[Node]
) -> tuple[float, dict[int, float]]:
    """Return the time until the next step ends, and by how much the steps of each node progress in it.

    Args:
        left: time that every running step has left, without neighbours.
        on: number of the node of every running step.
        nodes: the nodes.
    """
    shortest: dict[int, float] = {}
    crowd: dict[int, int] = {}
    for name, node in on.items():
        shortest[node] = min(left[name], shortest.get(node, left[name]))
        crowd[node] = crowd.get(node, 0) + 1
    slowdown = {node: nodes[node].contention if count > 1 else 1.0 for node, count in crowd.items()}
    passed = min(shortest[node] * slowdown[node] for node in shortest)
    # What ends first has exactly nothing left.
    return passed, {
        node: own if own * slowdown[node] == passed else passed / slowdown[node]
        for node, own in shortest.items()
    }


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
