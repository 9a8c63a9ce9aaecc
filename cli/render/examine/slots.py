"""Training times on numbers of slots as tables: of one plan, and of every way to train an ensemble."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from cli.render.formats import digits, duration, interval, or_dash, tight_table
from cli.workflows.answers.examine.slot_forecast import SlotForecast

BOUNDS = (
    "All steps: one after the other, on one slot each. Longest chain: of steps that wait for each other. No "
    "training is shorter than the chain, or than all steps over the slots."
)
SHARED = "Idle GPUs share the batches of a network; what that gains is assumed, not measured."
SAME_SPEED = (
    "Every slot is taken to be as fast as one of this machine; neighbours slow each other as they do here."
)
BY_FORMULA = "Nothing was measured, so no seconds are known: a formula gives how many times faster."


def slot_name(device: str) -> str:
    """Return what a slot is on a device, in the plural."""
    return "GPUs" if device == "cuda" else "slots"


def slots_of_plan(found: Sequence[SlotForecast], device: str) -> Table:
    """Return a row for every number of slots: the training time, and its bounds."""
    columns = [
        (slot_name(device), "r"),
        ("used", "r"),
        ("training", "r"),
        ("faster", "r"),
        ("all steps", "r"),
        ("longest chain", "r"),
    ]
    rows = [
        [
            str(each.slots),
            str(each.used),
            interval(each.train_seconds, duration),
            f"{digits(each.times_faster)}x",
            or_dash(None if each.work_seconds is None else each.work_seconds.mean, duration),
            or_dash(
                None if each.critical_path_seconds is None else each.critical_path_seconds.mean, duration
            ),
        ]
        for each in found
    ]
    return tight_table(columns, rows)


def slots_of_ways(ways: Sequence[tuple[str, Sequence[SlotForecast]]], device: str) -> Table:
    """Return a row for every way to train, a column for every number of slots.

    Args:
        ways: name of each way, and its forecasts on the same numbers of slots.
        device: device of the slots.
    """
    counts = [each.slots for each in ways[0][1]]
    name = slot_name(device)
    columns = [("method", "l"), *((f"{n}\n{name if n > 1 else name[:-1]}", "r") for n in counts)]
    return tight_table(columns, [[way, *map(_time, found)] for way, found in ways])


def _time(each: SlotForecast) -> str:
    """Return the time with its ratio to one slot below, or that to full data where no time is known."""
    if each.train_seconds is None:
        return f"{digits(each.time_over_full_data or 0.0)}x"
    return f"{duration(each.train_seconds.mean)}\n{digits(each.times_faster)}x"


def slot_notes(found: Sequence[SlotForecast]) -> list[str]:
    """Return what a reader of either table must know."""
    notes = [SAME_SPEED if found[0].train_seconds is not None else BY_FORMULA]
    return [*notes, *([SHARED] if any(each.sharing > 1 for each in found) else [])]
