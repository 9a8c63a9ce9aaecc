"""A profile for a person: a row for each layer, then bars of the time by kind, memory and conditions.

The summary comes last, because a terminal shows the end of a table of hundreds of layers. The forecast of a
step is drawn in the same way, without the figures that only a measurement has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from cli.render.formats import bounds, count, deviation, duration, or_dash, size
from cli.render.step_parts import (
    LayeredStep,
    Part,
    Units,
    bars,
    by_kind,
    grid,
    legend,
    parts_of,
    remainder,
    share,
)
from cli.workflows.answers.examine.layers import NetworkForecast
from cli.workflows.answers.examine.profile import (
    ComparedStep,
    Conditions,
    Profile,
    ProfiledLayer,
    ProfiledMemory,
)

# Width of a terminal, in characters, that has room for a layer's kind and its speed.
WIDE = 110
MOST_EXPENSIVE = 10
KIND = "kind"


@dataclass(frozen=True, slots=True)
class _Column:
    """A column beside the times: its header, its cell for each part, and its cell for the step."""

    header: str
    cell: Callable[[Part], str]
    step: str = ""


def profile(answer: Profile) -> RenderableType:
    """Return the layers, bars, memory and conditions of a profile."""
    return _Profile(answer)


def forecast(answer: NetworkForecast) -> RenderableType:
    """Return the layers of a predicted step, and bars by kind."""
    return _Forecast(answer)


@dataclass(frozen=True, slots=True)
class _Profile:
    """A profile, drawn for the width of the console."""

    answer: Profile

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        answer, width = self.answer, options.max_width
        units, parts = Units.of(answer), parts_of(answer)
        parts.append(remainder(answer, parts))
        kinds = by_kind(parts)
        dearest = sorted((p for p in parts if p.layer is not None), key=lambda p: -p.seconds)[:MOST_EXPENSIVE]
        yield Group(
            *_head(answer),
            "",
            _layers(answer, parts, units, _columns(answer, units, wide=width >= WIDE)),
            "",
            legend("Where the step goes, by kind"),
            bars(kinds, answer, units, width),
            "",
            Text(f"The {len(dearest)} most expensive layers", style="bold"),
            bars(dearest, answer, units, width),
            "",
            _memory(answer.memory),
            "",
            Text(_conditions(answer.conditions), style="dim"),
        )


@dataclass(frozen=True, slots=True)
class _Forecast:
    """A predicted step, drawn for the width of the console."""

    answer: NetworkForecast

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        answer, parts, units = self.answer, parts_of(self.answer), Units.of(self.answer)
        predicted = answer.predicted_step_seconds
        yield Group(
            Text(f"{answer.network} at batch {answer.batch} of {answer.input}", style="bold"),
            "",
            _layers(answer, parts, units, [_kinds()]),
            "",
            legend("Where the step goes, by kind"),
            bars(by_kind(parts), answer, units, options.max_width),
            "",
            Text(
                f"step {duration(predicted.mean)}, 90 % interval {bounds(predicted, duration)}, "
                "of the network alone on its cores"
            ),
        )


def _head(answer: Profile) -> list[Text]:
    step, device = answer.step, answer.device
    return [
        Text(f"{answer.network} at batch {answer.batch} of {answer.input}", style="bold"),
        Text(f"{answer.parameters:,} parameters, {count(answer.macs)} MACs an image"),
        Text(f"on {device.device_name}, {device.arithmetic_text}"),
        Text(
            f"step {duration(step.step_seconds)} (IQR {duration(step.step_iqr_seconds)}, "
            f"{step.repetitions} repetitions), inference "
            f"{duration(step.inference_ms_per_image / 1000)} an image"
        ),
        *_predicted(answer.predicted_step_seconds),
    ]


def _predicted(predicted: ComparedStep | None) -> list[Text]:
    """Return the forecast from before the measurement, and the deviation of the measured step from it."""
    if predicted is None or predicted.deviation is None:
        return []
    error = predicted.deviation
    return [
        Text(
            f"predicted before: {duration(predicted.mean)} (90 % interval {bounds(predicted, duration)}); "
            f"measured {deviation(error.share)}{'' if error.inside else ', outside the interval'}"
        )
    ]


def _layers(answer: LayeredStep, parts: Sequence[Part], units: Units, columns: Sequence[_Column]) -> Table:
    """Return a row for each part and one for the whole step; a column of kinds is the last."""
    step, time = answer.step, units.time
    names = ("layer", f"forward\n{time}", f"backw.\n{time}", f"both\n{time}", "step\n%")
    drawn = grid(*names, *(column.header for column in columns))
    if columns[-1].header == KIND:
        drawn.columns[-1].justify = "left"
    for part in parts:
        passes = ["–", "–"] if part.other else [units.of_time(part.forward), units.of_time(part.backward)]
        drawn.add_row(
            part.name,
            *passes,
            units.of_time(part.seconds),
            share(part, answer),
            *(column.cell(part) for column in columns),
            style="dim" if part.layer is None else None,
        )
    drawn.add_section()
    whole = [units.of_time(s) for s in (step.forward_seconds, step.backward_seconds, step.step_seconds)]
    drawn.add_row("step", *whole, "100.0", *(column.step for column in columns), style="bold")
    return drawn


def _columns(answer: Profile, units: Units, *, wide: bool) -> list[_Column]:
    """Return columns of memory, parameters and MACs; on a wide terminal also of speed and kind."""

    def of_layer(
        figure: Callable[[ProfiledLayer], float | None], form: Callable[[float], str]
    ) -> Callable[[Part], str]:
        def cell(part: Part) -> str:
            return or_dash(
                figure(part.layer) or None if isinstance(part.layer, ProfiledLayer) else None, form
            )

        return cell

    def speed(layer: ProfiledLayer) -> float | None:
        seconds = layer.forward_seconds
        return layer.macs * answer.batch / seconds / 1e9 if seconds else None

    saved = sum(layer.saved_bytes or 0 for layer in answer.layers)
    memory, parameters, macs = units.of_memory, count(answer.parameters), count(answer.macs)
    columns = [
        _Column(f"saved\n{units.memory}", of_layer(lambda layer: layer.saved_bytes, memory), memory(saved)),
        _Column(f"output\n{units.memory}", of_layer(lambda layer: layer.output_bytes, memory)),
        _Column("para-\nmeters", of_layer(lambda layer: layer.parameters, count), parameters),
        _Column("MACs\nimage", of_layer(lambda layer: layer.macs, count), macs),
    ]
    return (
        [*columns, _Column("GMAC/s\nforward", of_layer(speed, "{:.1f}".format)), _kinds()]
        if wide
        else columns
    )


def _kinds() -> _Column:
    return _Column(KIND, lambda part: part.kind if part.layer else "")


def _memory(memory: ProfiledMemory) -> Table:
    measured = memory.measured_peak_bytes
    drawn = grid("memory", "", "of measured")
    drawn.add_row("measured peak of training, beyond the idle process", or_dash(measured, size), "")
    for name, value in (
        ("reserved for it by the allocator", memory.reserved_bytes),
        ("tensors of training, from the specification", memory.formula_bytes),
        ("tensors of training, simulated", memory.simulated_bytes),
        ("tensors of inference, from the specification", memory.inference_formula_bytes),
    ):
        if value is not None:
            drawn.add_row(name, size(value), f"{value / measured:.0%}" if measured and value else "")
    return drawn


def _conditions(conditions: Conditions) -> str:
    parts = [f"repetitions under load: {conditions.disturbed}"]
    if conditions.reference_seconds is not None:
        parts.append(f"reference convolution {duration(conditions.reference_seconds)}")
    if conditions.watts is not None:
        parts.append(f"{conditions.watts:.0f} W")
    if conditions.clock_mhz is not None:
        parts.append(f"{conditions.clock_mhz} MHz")
    if conditions.throttle:
        parts.append(f"throttled by {conditions.throttle}")
    return "; ".join(parts)
