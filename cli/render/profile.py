"""A profile for a person: a row a layer, then bars of where the step goes, memory and conditions.

The summary comes last, because a terminal shows the end of a table of hundreds of layers. A step that is only
predicted is drawn in the same way, with what is known of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from cli.render.formats import Plain, bounds, count, deviation, duration, or_dash, size
from cli.render.step_parts import Part, Units, by_kind, parts_of

# From this width on a layer's kind, its speed and a bar find room beside it.
WIDE = 110
MOST_EXPENSIVE = 10
LONGEST_BAR = 50
# Of the columns before a bar.
BEFORE_BAR = 48
KIND = "kind"
BARS = (("█", "forward", "cyan"), ("▒", "backward", "magenta"), ("░", "neither", "yellow"))


@dataclass(frozen=True, slots=True)
class _Column:
    """What a table tells of every layer beyond its times: a header, a cell a part, and that of the step."""

    header: str
    cell: Callable[[Part], str]
    step: str = ""


def profile(payload: Plain) -> RenderableType:
    """Layers, bars, memory and conditions."""
    return _Profile(payload)


def forecast(payload: Plain) -> RenderableType:
    """The layers of a step that is predicted, and bars by kind."""
    return _Forecast(payload)


@dataclass(frozen=True, slots=True)
class _Profile:
    """Drawn for the width that there is."""

    payload: Plain

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        payload, width = self.payload, options.max_width
        units, parts = Units.of(payload), parts_of(payload)
        kinds = by_kind(parts)
        dearest = sorted((p for p in parts if p.layer is not None), key=lambda p: -p.seconds)[:MOST_EXPENSIVE]
        yield Group(
            *_head(payload),
            "",
            _layers(payload, parts, units, _columns(payload, units, wide=width >= WIDE)),
            "",
            _legend("Where the step goes, by kind"),
            _bars(kinds, payload, units, width),
            "",
            Text(f"The {len(dearest)} most expensive layers", style="bold"),
            _bars(dearest, payload, units, width),
            "",
            _memory(payload["memory"]),
            "",
            Text(_conditions(payload["conditions"]), style="dim"),
        )


@dataclass(frozen=True, slots=True)
class _Forecast:
    """Drawn for the width that there is."""

    payload: Plain

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        payload, parts, units = self.payload, parts_of(self.payload), Units.of(self.payload)
        predicted = payload["predicted_step_seconds"]
        yield Group(
            Text(f"{payload['network']} at batch {payload['batch']} of {payload['input']}", style="bold"),
            "",
            _layers(payload, parts, units, [_kinds()]),
            "",
            _legend("Where the step goes, by kind"),
            _bars(by_kind(parts), payload, units, options.max_width),
            "",
            Text(
                f"step {duration(predicted['mean'])}, 90 % interval {bounds(predicted, duration)}, "
                "of the network alone on its cores"
            ),
        )


def _head(payload: Plain) -> list[Text]:
    step, device = payload["step"], payload["device"]
    return [
        Text(f"{payload['network']} at batch {payload['batch']} of {payload['input']}", style="bold"),
        Text(f"{payload['parameters']:,} parameters, {count(payload['macs'])} MACs an image"),
        Text(f"on {device['device_name']}, {device['dtype']}, {device['memory_format']}"),
        Text(
            f"step {duration(step['step_seconds'])} (IQR {duration(step['step_iqr_seconds'])}, "
            f"{step['repetitions']} repetitions), inference "
            f"{duration(step['inference_ms_per_image'] / 1000)} an image"
        ),
        *_predicted(payload["predicted_step_seconds"]),
    ]


def _predicted(predicted: Plain | None) -> list[Text]:
    """What was foretold of the step, and how far off that was."""
    if predicted is None:
        return []
    error = predicted["deviation"]
    return [
        Text(
            f"predicted before: {duration(predicted['mean'])} (90 % interval {bounds(predicted, duration)}); "
            f"measured {deviation(error['share'])}{'' if error['inside'] else ', outside the interval'}"
        )
    ]


def _layers(payload: Plain, parts: Sequence[Part], units: Units, columns: Sequence[_Column]) -> Table:
    """A row a part, and one for the step; a column of kinds is the last."""
    step, time = payload["step"], units.time
    names = ("layer", f"forward\n{time}", f"backw.\n{time}", f"both\n{time}", "step\n%")
    drawn = _grid(*names, *(column.header for column in columns))
    if columns[-1].header == KIND:
        drawn.columns[-1].justify = "left"
    for part in parts:
        passes = ["–", "–"] if part.other else [units.of_time(part.forward), units.of_time(part.backward)]
        drawn.add_row(
            part.name,
            *passes,
            units.of_time(part.seconds),
            _share(part, payload),
            *(column.cell(part) for column in columns),
            style="dim" if part.layer is None else None,
        )
    drawn.add_section()
    whole = [units.of_time(step[f"{name}_seconds"]) for name in ("forward", "backward", "step")]
    drawn.add_row("step", *whole, "100.0", *(column.step for column in columns), style="bold")
    return drawn


def _columns(payload: Plain, units: Units, *, wide: bool) -> list[_Column]:
    """What is measured of a layer, or known, beside its times."""

    def of_layer(key: str, form: Callable[[float], str]) -> Callable[[Part], str]:
        return lambda part: or_dash((part.layer or {}).get(key) or None, form)

    def speed(part: Part) -> str:
        macs = (part.layer or {}).get("macs", 0)
        known = macs and part.forward
        return or_dash(macs * payload["batch"] / part.forward / 1e9 if known else None, "{:.1f}".format)

    saved = sum(layer["saved_bytes"] or 0 for layer in payload["layers"])
    columns = [
        _Column(f"saved\n{units.memory}", of_layer("saved_bytes", units.of_memory), units.of_memory(saved)),
        _Column(f"output\n{units.memory}", of_layer("output_bytes", units.of_memory)),
        _Column("para-\nmeters", of_layer("parameters", count), count(payload["parameters"])),
        _Column("MACs\nimage", of_layer("macs", count), count(payload["macs"])),
    ]
    return [*columns, _Column("GMAC/s\nforward", speed), _kinds()] if wide else columns


def _kinds() -> _Column:
    return _Column(KIND, lambda part: part.kind if part.layer else "")


def _share(part: Part, payload: Plain) -> str:
    return f"{100 * part.seconds / payload['step']['step_seconds']:.1f}"


def _bars(parts: Sequence[Part], payload: Plain, units: Units, width: int) -> Table:
    """A row a part with a bar as long as its time."""
    drawn = _grid("", "", units.time, "%", "")
    drawn.columns[-1].justify = "left"
    longest = max((p.seconds for p in parts), default=0.0)
    scale = max(min(width - BEFORE_BAR, LONGEST_BAR), 8) / longest if longest > 0 else 0.0
    for part in parts:
        times = f"×{part.layers}" if part.layers > 1 else ""
        drawn.add_row(part.name, times, units.of_time(part.seconds), _share(part, payload), _bar(part, scale))
    return drawn


def _bar(part: Part, scale: float) -> Text:
    """Characters for each pass; ends are rounded, not lengths, so that the whole keeps its length."""
    bar, end = Text(), 0.0
    if part.seconds <= 0:
        return bar
    for seconds, (character, _, style) in zip((part.forward, part.backward, part.other), BARS, strict=True):
        begin, end = end, end + max(seconds, 0.0) * scale
        bar.append(character * (round(end) - round(begin)), style)
    return bar if bar.plain else Text("▏", "dim")


def _legend(title: str) -> Text:
    text = Text(f"{title}  ", style="bold")
    for character, name, style in BARS:
        text.append(f" {character}", f"not bold {style}").append(f" {name}", "not bold")
    return text


def _memory(memory: Plain) -> Table:
    measured = memory["measured_peak_bytes"]
    drawn = _grid("memory", "", "of measured")
    names = {
        "measured_peak_bytes": "measured peak of training, beyond the idle process",
        "reserved_bytes": "reserved for it by the allocator",
        "formula_bytes": "tensors of training, from the specification",
        "simulated_bytes": "tensors of training, simulated",
        "inference_formula_bytes": "tensors of inference, from the specification",
    }
    for key, name in names.items():
        value = memory[key]
        share = f"{value / measured:.0%}" if measured and value and key != "measured_peak_bytes" else ""
        if value is not None or key == "measured_peak_bytes":
            drawn.add_row(name, or_dash(value, size), share)
    return drawn


def _conditions(conditions: Plain) -> str:
    parts = [f"repetitions under load: {conditions['disturbed']}"]
    if conditions["reference_seconds"] is not None:
        parts.append(f"reference convolution {duration(conditions['reference_seconds'])}")
    if conditions["watts"] is not None:
        parts.append(f"{conditions['watts']:.0f} W")
    if conditions["clock_mhz"] is not None:
        parts.append(f"{conditions['clock_mhz']} MHz")
    if conditions["throttle"]:
        parts.append(f"held back by {conditions['throttle']}")
    return "; ".join(parts)


def _grid(*names: str) -> Table:
    """A dense table: the first column to the left, the others to the right, no row on two lines."""
    drawn = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for i, name in enumerate(names):
        drawn.add_column(name, justify="right" if i else "left", no_wrap=True, vertical="bottom")
    return drawn
