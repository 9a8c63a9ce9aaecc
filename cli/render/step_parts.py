"""Parts of a training step by time: layers, loss, batch preparation, optimizer, and a remainder.

Their times are shown as numbers in one unit, and as bars.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from cli.workflows.answers.examine.layers import NetworkForecast, TimedLayer
from cli.workflows.answers.examine.profile import Profile, ProfiledLayer

LONGEST_BAR = 50
# Width of the columns before a bar, in characters.
BEFORE_BAR = 48
BARS = (("█", "forward", "cyan"), ("▒", "backward", "magenta"), ("░", "neither", "yellow"))
# A measured or predicted step, layer by layer.
LayeredStep = Profile | NetworkForecast


@dataclass(frozen=True, slots=True)
class Part:
    """A row of a table: a layer, another part of the step, or the sum of several parts of one kind.

    Attributes:
        name: name of the row.
        kind: kind of layer or of part.
        forward, backward, other: seconds of the forward pass, of the backward pass, and of neither.
        layer: layer of the row; None for a part that is not a layer.
        layers: number of parts that the row stands for.
    """

    name: str
    kind: str
    forward: float = 0.0
    backward: float = 0.0
    other: float = 0.0
    layer: TimedLayer | None = None
    layers: int = 1

    @property
    def seconds(self) -> float:
        """Seconds of the whole row."""
        return self.forward + self.backward + self.other


@dataclass(frozen=True, slots=True)
class Units:
    """One unit for all times and one for all bytes of a profile, so that columns can be compared by eye.

    Attributes:
        seconds, time: unit of times in seconds, and its name.
        decimals: decimals of times.
        bytes, memory: unit of memory in bytes, and its name.
        memory_decimals: decimals of memory.
    """

    seconds: float
    time: str
    decimals: int
    bytes: int
    memory: str
    memory_decimals: int

    @classmethod
    def of(cls, layered: LayeredStep) -> Units:
        """Return units in which the largest figure is at least 1."""
        step = layered.step.step_seconds
        seconds, time = (1e-6, "µs") if step < 0.01 else (1e-3, "ms") if step < 100 else (1.0, "s")
        outputs = [layer.output_bytes or 0 for layer in layered.layers if isinstance(layer, ProfiledLayer)]
        largest = max(outputs, default=0)
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
        """Return a time without its unit."""
        return f"{seconds / self.seconds:.{self.decimals}f}"

    def of_memory(self, value: float | None) -> str:
        """Return a number of bytes without its unit."""
        return f"{value / self.bytes:.{self.memory_decimals}f}" if value else "–"


def parts_of(layered: LayeredStep) -> list[Part]:
    """Return the parts of a step in the order of execution, without the remainder."""
    layers = [
        Part(layer.name, layer.kind, layer.forward_seconds, layer.backward_seconds, layer=layer)
        for layer in layered.layers
    ]
    return [
        *layers,
        Part("batch preparation", "batch preparation", other=layered.parts.data_seconds),
        Part("optimizer", "optimizer", other=layered.parts.optimizer_seconds),
    ]


def remainder(profile: Profile, parts: Sequence[Part]) -> Part:
    """Return the part of both passes of a measured step that its layers do not account for."""
    return Part(
        "remainder",
        "remainder",
        profile.step.forward_seconds - sum(part.forward for part in parts),
        profile.step.backward_seconds - sum(part.backward for part in parts),
    )


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


def share(part: Part, answer: LayeredStep) -> str:
    """Return the seconds of a part as a percentage of the step, without the percent sign."""
    return f"{100 * part.seconds / answer.step.step_seconds:.1f}"


def bars(parts: Sequence[Part], answer: LayeredStep, units: Units, width: int) -> Table:
    """Return a row for each part with a bar as long as its time."""
    drawn = grid("", "", units.time, "%", "")
    drawn.columns[-1].justify = "left"
    longest = max((p.seconds for p in parts), default=0.0)
    scale = max(min(width - BEFORE_BAR, LONGEST_BAR), 8) / longest if longest > 0 else 0.0
    for part in parts:
        times = f"×{part.layers}" if part.layers > 1 else ""
        drawn.add_row(part.name, times, units.of_time(part.seconds), share(part, answer), _bar(part, scale))
    return drawn


def _bar(part: Part, scale: float) -> Text:
    """Return the characters of both passes. Ends are rounded, not lengths, which keeps the whole length."""
    bar, end = Text(), 0.0
    if part.seconds <= 0:
        return bar
    for seconds, (character, _, style) in zip((part.forward, part.backward, part.other), BARS, strict=True):
        begin, end = end, end + max(seconds, 0.0) * scale
        bar.append(character * (round(end) - round(begin)), style)
    return bar if bar.plain else Text("▏", "dim")


def legend(title: str) -> Text:
    """Return a title, and beside it the meaning of the characters of the bars."""
    text = Text(f"{title}  ", style="bold")
    for character, name, style in BARS:
        text.append(f" {character}", f"not bold {style}").append(f" {name}", "not bold")
    return text


def grid(*names: str) -> Table:
    """Return an empty, dense table: the first column to the left, the others to the right, no wrapping."""
    drawn = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for i, name in enumerate(names):
        drawn.add_column(name, justify="right" if i else "left", no_wrap=True, vertical="bottom")
    return drawn
