"""Numbers of slots to forecast a training on, as a command line writes them."""

from __future__ import annotations

from advisor.errors import UsageError

# Slots that a plan is forecast on, and how many numbers of them at a time: columns of a table.
MOST_SLOTS, MOST_SLOT_COUNTS = 4096, 6


def parse_slots(
    slots: str | None, gpus: str | None, device: str | None, prefix: str = "--"
) -> tuple[tuple[int, ...], str | None]:
    """Read numbers of slots, ``8`` or ``1,2,4,8``, and the device that they are on.

    Args:
        slots: numbers of slots of the device, None for none.
        gpus: the same, of CUDA; None for none.
        device: device that is asked for, None for the machine's.
        prefix: what stands before the name of an option in an error.

    Returns:
        The numbers, rising, and the device.

    Raises:
        UsageError: text of another form, both options, or GPUs of another device than CUDA.
    """
    if slots is not None and gpus is not None:
        raise UsageError(f"{prefix}gpus {gpus} is {prefix}slots {gpus} of CUDA: leave out one of the two")
    if gpus is not None and device not in (None, "cuda"):
        raise UsageError(
            f"{prefix}gpus {gpus}: the device is {device}, so give {prefix}slots, or leave it out"
        )
    option, text = ("slots", slots) if gpus is None else ("gpus", gpus)
    if text is None:
        return (), device
    counts = {int(n) for n in text.split(",") if _is_count(n.strip())}
    if not all(_is_count(n.strip()) for n in text.split(",")) or len(counts) > MOST_SLOT_COUNTS:
        raise UsageError(
            f"{prefix}{option}: cannot read {text!r:.60}: write 8 or 1,2,4,8, each 1 to {MOST_SLOTS:,}, "
            f"{MOST_SLOT_COUNTS} numbers at most"
        )
    return tuple(sorted(counts)), device if gpus is None else "cuda"


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9 and 1 <= int(text) <= MOST_SLOTS
