"""What a training step consists of, by time: layers, loss, batch preparation, optimizer, and a remainder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cli.render.formats import Plain


@dataclass(frozen=True, slots=True)
class Part:
    """A row: a layer, or another part of the step, or several of one kind.

    Attributes:
        name: of the row.
        kind: of layer, or of part.
        forward, backward, other: seconds; `other` belongs to neither pass.
        layer: its facts, None for a part that is no layer.
        layers: how many it stands for.
    """

    name: str
    kind: str
    forward: float = 0.0
    backward: float = 0.0
    other: float = 0.0
    layer: Plain | None = None
    layers: int = 1

    @property
    def seconds(self) -> float:
        """Of the whole row."""
        return self.forward + self.backward + self.other


@dataclass(frozen=True, slots=True)
class Units:
    """One unit for all times and one for all bytes of a profile, so that columns can be compared by eye."""

    seconds: float
    time: str
    decimals: int
    bytes: int
    memory: str
    memory_decimals: int

    @classmethod
    def of(cls, payload: Plain) -> Units:
        """Return units in which the largest figure is at least 1."""
        step = payload["step"]["step_seconds"]
        seconds, time = (1e-6, "µs") if step < 0.01 else (1e-3, "ms") if step < 100 else (1.0, "s")
        largest = max((layer.get("output_bytes") or 0 for layer in payload["layers"]), default=0)
        divisor, memory = (2**10, "KiB") if largest < 2**20 else (2**20, "MiB")
        return cls(
            seconds,
            time,
            2 if step < 1000 * seconds else 1,
            divisor,
            memory,
            2 if largest < 100 * divisor else 1,
        )

    def of_time(self, seconds: float) -> str:
        """A time without its unit."""
        return f"{seconds / self.seconds:.{self.decimals}f}"

    def of_memory(self, value: float | None) -> str:
        """Bytes without their unit."""
        return f"{value / self.bytes:.{self.memory_decimals}f}" if value else "–"


def parts_of(payload: Plain) -> list[Part]:
    """Return everything that a step consists of, in the order of execution, the remainder last.

    Args:
        payload: of a measured step, or of a predicted one, which has no remainder.
    """
    step, extra = payload["step"], payload["parts"]
    layers = [
        Part(layer["name"], layer["kind"], layer["forward_seconds"], layer["backward_seconds"], layer=layer)
        for layer in payload["layers"]
    ]
    remainder = Part(
        "remainder",
        "remainder",
        step["forward_seconds"] - sum(p.forward for p in layers),
        step["backward_seconds"] - sum(p.backward for p in layers),
    )
    return [
        *layers,
        Part("batch preparation", "batch preparation", other=extra["data_seconds"]),
        Part("optimizer", "optimizer", other=extra["optimizer_seconds"]),
        *([remainder] if "remainder_seconds" in payload else []),
    ]


def by_kind(parts: Iterable[Part]) -> list[Part]:
    """Return the sums of all parts of one kind, the largest first."""
    kinds: dict[str, Part] = {}
    for p in parts:
        k = kinds.get(p.kind, Part(p.kind, p.kind, layers=0))
        kinds[p.kind] = Part(
            p.kind,
            p.kind,
            k.forward + p.forward,
            k.backward + p.backward,
            k.other + p.other,
            layers=k.layers + 1,
        )
    return sorted(kinds.values(), key=lambda p: -p.seconds)
