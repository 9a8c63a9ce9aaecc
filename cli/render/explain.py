"""A plan, or a run beside its forecast, as one table: its steps, and below them what they come to.

The layers of its networks, where they are asked for, stand above it, because a terminal shows the end.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.render.formats import (
    BEYOND_THREE_DIGITS,
    Plain,
    bounds,
    deviation,
    digits,
    duration,
    or_dash,
    percent,
    size,
)
from cli.render.profile import forecast

Form = Callable[[float], str]
OUTSIDE = "*"


def energy(joules: float) -> str:
    """Joules in a readable unit; what a bill counts in once it is much."""
    for limit, unit, suffix in ((1e6, 3.6e6, "kWh"), (1e3, 1e3, "kJ")):
        if joules >= limit * BEYOND_THREE_DIGITS / 1000:
            return f"{digits(joules / unit)} {suffix}"
    return f"{digits(joules)} J"


def dollars(value: float) -> str:
    """USD without the unit, which its row names: cents, or three digits of less than a dollar."""
    return f"{value:,.2f}" if value >= 1 else f"{value:.3g}"


def _latency(milliseconds: float) -> str:
    return duration(milliseconds / 1000)


# Name, remark and form of every total.
TOTALS: dict[str, tuple[str, str, Form]] = {
    "train_seconds": ("training", "{processes} at a time", duration),
    "epoch_seconds": ("an epoch", "of every member", duration),
    "train_peak_bytes": ("peak memory", "in training", size),
    "train_reserved_bytes": ("reserved memory", "by the allocator", size),
    "inference_peak_bytes": ("peak memory", "in inference", size),
    "inference_ms_per_image": ("latency", "of an image", _latency),
    "test_error": ("test error", "", percent),
    "energy_joules": ("energy", "of training", energy),
    "cost_usd": ("cost", "USD at {price_per_hour_usd:g}/h", dollars),
}


# Totals that are left out where the device reports nothing of the kind.
REPORTED = ("train_reserved_bytes", "energy_joules")


def explanation(payload: Plain) -> RenderableType:
    """A plan step by step with its predicted cost, and for a run the actual beside it."""
    plan, run = payload["plan"], payload["run"]
    title = f"{plan['design']} on {plan['dataset']}, {plan['epochs']} epochs"
    settings = (
        f"{plan['method']}, batch {plan['batch']}, {plan['processes']} at a time, {plan['dtype']} "
        f"on {plan['device']}"
    )
    parts: list[RenderableType] = [Text(title, style="bold"), Text(settings)]
    if run is not None:
        message = f" ({run['message']})" if run["message"] else ""
        parts.append(Text(f"run {run['id']} of {run['created_at'][:10]}: {run['status']}{message}"))
    for network in payload["layers"] or []:
        parts += ["", forecast(network)]
    parts += ["", _table(payload), ""]
    return Group(*parts, *(Text(note, style="dim") for note in _notes(payload)))


def _table(payload: Plain) -> Table:
    beside = payload["run"] is not None
    drawn = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    drawn.add_column("step", no_wrap=True)
    drawn.add_column("network", overflow="fold")
    for name in ("epochs", "predicted", "90 % interval", *(("actual", "error") if beside else ())):
        drawn.add_column(name, justify="right", no_wrap=True)
    for step in payload["steps"]:
        drawn.add_row(*_step_row(step, beside=beside))
    drawn.add_section()
    drawn.add_row()
    for name in TOTALS:
        if _has(payload, name):
            drawn.add_row(*_total_row(payload, name, beside=beside))
    return drawn


def _step_row(step: Plain, *, beside: bool) -> list[str]:
    seconds = step["seconds"]
    row = [step["step"], step["network"] or "all members", f"{step['epochs']:g}" if step["epochs"] else "–"]
    row += _predicted(seconds, duration)
    if beside:
        row += [or_dash(step["actual_seconds"], duration), _error(step["deviation"])]
    return row


def _has(payload: Plain, name: str) -> bool:
    """What few devices report is only there where it was; of a run, what was predicted or came to be."""
    predicted = payload["predicted"].get(name)
    if payload["run"] is None:
        return name in payload["predicted"] and (name not in REPORTED or predicted is not None)
    return predicted is not None or name in payload["actual"]


def _total_row(payload: Plain, name: str, *, beside: bool) -> list[str]:
    label, remark, form = TOTALS[name]
    row = [label, remark.format(**payload["plan"]), "", *_predicted(payload["predicted"].get(name), form)]
    if beside:
        row += [or_dash(payload["actual"].get(name), form), _error(payload["deviation"].get(name))]
    return row


def _predicted(estimate: Plain | None, form: Form) -> list[str]:
    return ["–", "–"] if estimate is None else [form(estimate["mean"]), bounds(estimate, form)]


def _error(error: Plain | None) -> str:
    """Actual ÷ predicted − 1, marked if the actual lies outside the interval."""
    if error is None:
        return "–  "
    return f"{deviation(error['share'])}{' ' if error['inside'] else OUTSIDE}"


def _notes(payload: Plain) -> list[str]:
    notes, evidence = list(payload["notes"]), payload["evidence"]
    if payload["run"] is not None:
        return [f"error: actual ÷ predicted − 1; {OUTSIDE} lies outside the 90 % interval.", *notes]
    return notes + evidence_notes(evidence)


def evidence_notes(evidence: Plain) -> list[str]:
    """What a forecast rests on, a line each."""
    if evidence["cost"] == "nominal":
        notes = ["Nothing was measured here yet: run advisor recommend or advisor profile."]
    else:
        notes = [f"Costs rest on {evidence['measurements']} measurements ({evidence['cost']})."]
    runs = evidence["runs"]
    notes.append(f"The error rests on {evidence['accuracy']} ({runs} run{'s' * (runs != 1)}).")
    if evidence["unmeasured"]:
        notes.append(f"Never measured here, so intervals are wider: {', '.join(evidence['unmeasured'])}.")
    return notes
