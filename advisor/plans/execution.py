"""Processes, threads, arithmetic and memory format of a training on a device."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.errors import UnknownNameError, UsageError

MOST_WORKERS = 1024


DEVICES = ("cpu", "cuda")
DTYPES = ("float32", "bfloat16")
MEMORY_FORMATS = ("contiguous", "channels_last")
# Ways of executing a step: operator by operator; compiled by `torch.compile`; recorded as CUDA graphs,
# which are replayed (on a CPU: called again on the same tensors).
EAGER, COMPILED, GRAPH = STEP_MODES = ("eager", "compiled", "graph")
_CHOICES = {
    "device": DEVICES,
    "dtype": DTYPES,
    "memory_format": MEMORY_FORMATS,
    "step_mode": STEP_MODES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Settings of the training of one network; no other part of a plan changes its time and memory.

    Attributes:
        device: ``cpu`` or ``cuda``.
        processes: number of networks that train at the same time.
        threads: intra-operator threads of each process (CPU).
        dtype: ``float32`` or ``bfloat16`` (autocast).
        memory_format: ``contiguous`` or ``channels_last``.
        step_mode: ``eager``, ``compiled`` or ``graph``. The last two round otherwise than the first.
        streams: most networks that one process trains at the same time, batch by batch in turns; on CUDA each
            has a stream. With more than one, `processes` of them train in a single process.
    """

    device: str
    processes: int
    threads: int
    dtype: str
    memory_format: str
    step_mode: str = EAGER
    streams: int = 1

    @property
    def arithmetic(self) -> tuple[str, str, str]:
        """Settings that change how a step is computed: type of numbers, memory format and mode of steps."""
        return self.dtype, self.memory_format, self.step_mode

    @property
    def arithmetic_text(self) -> str:
        """The arithmetic in words."""
        return text_of(self.arithmetic)

    def __post_init__(self) -> None:
        for name in _CHOICES:
            check_choice(name, getattr(self, name))
        for name in ("processes", "threads", "streams"):
            if not 1 <= getattr(self, name) <= MOST_WORKERS:
                raise UsageError(f"{name} must be between 1 and {MOST_WORKERS}, got {getattr(self, name)}")


def text_of(arithmetic: tuple[str, str, str]) -> str:
    """Return an arithmetic in words; that steps are eager goes without saying."""
    return ", ".join(f"{part} steps" if part in STEP_MODES else part for part in arithmetic if part != EAGER)


def check_choice(name: str, value: str) -> None:
    """Refuse a value that a setting cannot have.

    Args:
        name: name of the setting, a field of `Execution`.
        value: its value.

    Raises:
        UnknownNameError: the setting has no such value.
    """
    if value not in _CHOICES[name]:
        raise UnknownNameError(name.replace("_", " "), value, _CHOICES[name])
