"""A plan, or a run beside its forecast, as one table: its steps, and their totals below.

The layers of the networks, if they are requested, and the clusters stand above the table, because a terminal
shows the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from advisor.conformal import Correction, CostBasis, ErrorBasis, Quantity
from advisor.decision.weight_decay import with_weight_decay
from advisor.estimate import Estimate
from cli.render.examine.cluster import cluster_of_plan
from cli.render.examine.slots import BOUNDS, slot_notes, slots_of_plan
from cli.render.formats import (
    BEYOND_THREE_DIGITS,
    bounds,
    deviation,
    digits,
    dollars,
    duration,
    epochs_text,
    or_dash,
    percent,
    size,
)
from cli.render.profile import forecast
from cli.workflows.answers.examine.explanation import (
    ActualTotals,
    DeviationOfTotals,
    ExplainedCluster,
    ExplainedStep,
    Explanation,
)
from cli.workflows.answers.examine.parts import Deviation, ForecastEvidence

Form = Callable[[float], str]
OUTSIDE = "*"


def energy(joules: float) -> str:
    """Return an energy in a readable unit: J, kJ, or kWh as on a bill."""
    for limit, unit, suffix in ((1e6, 3.6e6, "kWh"), (1e3, 1e3, "kJ")):
        if joules >= limit * BEYOND_THREE_DIGITS / 1000:
            return f"{digits(joules / unit)} {suffix}"
    return f"{digits(joules)} J"


def _latency(milliseconds: float) -> str:
    return duration(milliseconds / 1000)


@dataclass(frozen=True, slots=True)
class _Total:
    """A row of the table below its steps.

    Attributes:
        label, remark: first two cells of the row.
        form: text of a figure.
        predicted: forecast.
        actual: actual figure of a run.
        deviation: actual figure beside its forecast.
        needed: whether the row is shown even without any figure. False for a figure that few devices
            report, for one that a run has no actual figure of, and for one that older programs did not store.
    """

    label: str
    remark: str
    form: Form
    predicted: Estimate | None
    actual: float | None = None
    deviation: Deviation | None = None
    needed: bool = True

    @property
    def shown(self) -> bool:
        """Whether the table has the row."""
        return self.needed or self.predicted is not None or self.actual is not None


def explanation(answer: Explanation) -> RenderableType:
    """Return a plan step by step with its predicted cost, and for a run the actual cost beside it."""
    plan, run = answer.plan, answer.run
    design = with_weight_decay(plan.design, plan.tuned_weight_decay)
    title = f"{design} on {plan.dataset}, {epochs_text(plan.epochs, plan.patience)}"
    settings = f"{plan.method}, batch {plan.batch}, {_at_a_time(answer)}, {plan.dtype} on {plan.device}"
    parts: list[RenderableType] = [Text(title, style="bold"), Text(settings)]
    if run is not None:
        message = f" ({run.message})" if run.message else ""
        parts.append(Text(f"run {run.id} of {run.created_at[:10]}: {run.status}{message}"))
    for network in answer.layers or ():
        parts += ["", forecast(network)]
    if answer.clusters:
        parts += ["", _clusters(answer.clusters)]
    parts += ["", _table(answer), "", *map(Text, _schedules(answer)), ""]
    if answer.cluster is not None and answer.cluster.kinds:
        parts += [cluster_of_plan(answer.cluster), ""]
    if answer.by_slots:
        parts += [slots_of_plan(answer.by_slots, plan.device), ""]
    return Group(*parts, *(Text(note, style="dim") for note in _notes(answer)))


def _at_a_time(answer: Explanation) -> str:
    """Return how many steps run at the same time: on the slots of the plan, or of a cluster."""
    cluster = answer.cluster
    count = answer.plan.processes if cluster is None or not cluster.kinds else cluster.used
    return f"{count} at a time"


def _plain_table() -> Table:
    return Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")


def _clusters(clusters: tuple[ExplainedCluster, ...]) -> Table:
    """Return a row for every shape of a cluster: its distance to the mother, and the mother's share of it."""
    drawn = _plain_table()
    drawn.add_column("mother", overflow="fold")
    drawn.add_column("members", overflow="fold")
    for name in ("distance", "mother's share"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for cluster in clusters:
        mother = cluster.mother or "from scratch"
        for (network, distance, share), count in Counter(
            (m.network, m.distance, m.mother_share) for m in cluster.members
        ).items():
            figures = (str(distance), percent(share)) if cluster.mother else ("–", "–")
            drawn.add_row(mother, f"{count}x{network}" if count > 1 else network, *figures)
            mother = ""
    return drawn


def _table(answer: Explanation) -> Table:
    beside = answer.run is not None
    drawn = _plain_table()
    drawn.add_column("step", no_wrap=True)
    drawn.add_column("network", overflow="fold")
    trained = ("trained",) if _counts_epochs(answer) else ()
    beside_forecast = ("actual", "error") if beside else ()
    for name in ("epochs", *trained, "predicted", "90 % interval", *beside_forecast):
        drawn.add_column(name, justify="right", no_wrap=True)
    for step in answer.steps:
        drawn.add_row(*_step_row(step, beside=beside, trained=bool(trained)))
    drawn.add_section()
    drawn.add_row()
    for total in _totals(answer):
        drawn.add_row(*_total_row(total, beside=beside, trained=bool(trained)))
    return drawn


def _counts_epochs(answer: Explanation) -> bool:
    """Whether the table has a column of the epochs that steps were trained for, beside the expected ones."""
    return answer.run is not None and any(step.converging_epochs is not None for step in answer.steps)


def _step_row(step: ExplainedStep, *, beside: bool, trained: bool) -> list[str]:
    row = [step.step, step.network or "all members", _epochs(step)]
    if trained:
        row.append("–" if step.actual_epochs is None else str(step.actual_epochs))
    row += _predicted(step.seconds, duration)
    if beside:
        row += [or_dash(step.actual_seconds, duration), _error(step.deviation)]
    return row


def _epochs(step: ExplainedStep) -> str:
    """Return the epochs of a step, with the interval below where convergence ends it."""
    if step.converging_epochs is None:
        return f"{step.epochs:g}" if step.epochs else "–"
    return f"{step.epochs:.0f}\n{bounds(step.converging_epochs, '{:.0f}'.format)}"


def _schedules(answer: Explanation) -> list[str]:
    """Return one line for every schedule: the steps that have it, its learning rate and its end."""
    steps: dict[str, list[str]] = {}
    for step in answer.steps:
        if step.schedule is not None:
            most = "at most " * (step.converging_epochs is not None)
            text = f"{step.schedule}, {most}{step.most_epochs} epoch{'s' * (step.most_epochs != 1)}"
            steps.setdefault(text, []).append(step.step)
    return [f"{_first_of(names)}: {text}." for text, names in steps.items()]


def _first_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _totals(answer: Explanation) -> list[_Total]:
    """Return every total that is shown, in the order of the rows."""
    rows = [*_time_and_memory(answer), *_error_and_cost(answer)]
    return [total for total in rows if total.shown]


def _time_and_memory(answer: Explanation) -> Iterator[_Total]:
    predicted, planned = answer.predicted, answer.run is None
    actual, error = answer.actual or ActualTotals(), answer.deviation or DeviationOfTotals()
    yield _Total(
        "training",
        _at_a_time(answer),
        duration,
        predicted.train_seconds,
        actual.train_seconds,
        error.train_seconds,
    )
    # As one text over two columns, it fits a narrow terminal.
    yield _Total(
        "starting, storing,",
        "evaluating",
        duration,
        predicted.overhead_seconds,
        actual.overhead_seconds,
        error.overhead_seconds,
        needed=False,
    )
    yield _Total("an epoch", "of every member", duration, predicted.epoch_seconds, needed=planned)
    yield _Total(
        "peak memory",
        "in training",
        size,
        predicted.train_peak_bytes,
        actual.train_peak_bytes,
        error.train_peak_bytes,
    )
    yield _Total("reserved memory", "by the allocator", size, predicted.train_reserved_bytes, needed=False)
    yield _Total("peak memory", "in inference", size, predicted.inference_peak_bytes, needed=planned)
    yield _Total("latency", "of an image", _latency, predicted.inference_ms_per_image, needed=planned)


def _error_and_cost(answer: Explanation) -> Iterator[_Total]:
    predicted, price = answer.predicted, answer.plan.price_per_hour_usd
    actual, error = answer.actual or ActualTotals(), answer.deviation or DeviationOfTotals()
    yield _Total("test error", "", percent, predicted.test_error, actual.test_error, error.test_error)
    yield _Total("log-likelihood", "negative, nats", digits, predicted.test_nll, needed=False)
    yield _Total("calibration", "expected error", percent, predicted.calibration_error, needed=False)
    yield _Total("energy", "of training", energy, predicted.energy_joules, needed=False)
    if price is not None:
        remark = f"USD at {price:g}/h"
        yield _Total("cost", remark, dollars, predicted.cost_usd, actual.cost_usd, error.cost_usd)


def _total_row(total: _Total, *, beside: bool, trained: bool) -> list[str]:
    row = [total.label, total.remark, "", *[""] * trained, *_predicted(total.predicted, total.form)]
    if beside:
        row += [or_dash(total.actual, total.form), _error(total.deviation)]
    return row


def _predicted(estimate: Estimate | None, form: Form) -> list[str]:
    return ["–", "–"] if estimate is None else [form(estimate.mean), bounds(estimate, form)]


def _error(error: Deviation | None) -> str:
    """Return actual ÷ predicted − 1, marked if the actual figure lies outside the interval."""
    if error is None:
        return "–  "
    return f"{deviation(error.share)}{' ' if error.inside else OUTSIDE}"


def _notes(answer: Explanation) -> list[str]:
    notes = list(answer.notes)
    if answer.run is not None:
        legend = f"error: actual ÷ predicted − 1; {OUTSIDE} lies outside the 90 % interval."
        return [legend, *notes, *_coverage_notes(answer)]
    if answer.by_slots:
        notes += [BOUNDS, *slot_notes(answer.by_slots)]
    if answer.evidence is not None:
        notes += evidence_notes(answer.evidence)
    return [*notes, *_coverage_notes(answer)]


# Quantities in words, and the bases of their forecasts.
_QUANTITIES = {
    Quantity.TIME: "time",
    Quantity.MEMORY: "memory",
    Quantity.LATENCY: "latency",
    Quantity.ERROR: "the error",
}


def _coverage_notes(answer: Explanation) -> list[str]:
    """Return a line on the forecasts that held, and one on the factors of the intervals."""
    notes = []
    if answer.coverage:
        counts = (
            f"{c.forecasts} forecast{'s' * (c.forecasts != 1)} of {_QUANTITIES[c.quantity]} {c.inside}"
            for c in answer.coverage
        )
        notes.append(f"Of your last {', of '.join(counts)} held; 90 % should.")
    # A factor of 1 that rests on nothing of the machine's own changes nothing.
    factors = [_factor(c) for c in answer.corrections if c.own or c.factor != 1]
    if factors:
        notes.append(f"Intervals are corrected by how earlier forecasts held: {'; '.join(factors)}.")
    return notes


def _factor(correction: Correction) -> str:
    own = f"{correction.own} of yours and " if correction.own else ""
    evidence = f"{own}{correction.shipped} shipped" if correction.shipped else f"{correction.own} of yours"
    return f"{_QUANTITIES[correction.quantity]} × {correction.factor:.2f} ({evidence})"


def _error_basis(evidence: ForecastEvidence) -> str:
    match evidence.accuracy:
        case ErrorBasis.RUNS:
            return f"{evidence.runs} training{'s' * (evidence.runs != 1)} and published studies"
        case ErrorBasis.DATA:
            return "simple classifiers on these data and published studies; nothing was trained yet"
        case ErrorBasis.PRIOR:
            return "published studies alone"


def evidence_notes(evidence: ForecastEvidence) -> list[str]:
    """Return a line on the measurements and a line on the trainings that a forecast rests on."""
    if evidence.cost is CostBasis.NOMINAL:
        notes = ["Nothing was measured here yet: run advisor recommend or advisor profile."]
    else:
        notes = [f"Costs rest on {evidence.measurements} measurements ({evidence.cost})."]
    notes.append(f"The error rests on {_error_basis(evidence)}.")
    if evidence.unmeasured:
        notes.append(f"Never measured here, so intervals are wider: {', '.join(evidence.unmeasured)}.")
    return notes
