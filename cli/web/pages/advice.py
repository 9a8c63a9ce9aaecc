"""The page of advice: a budget and epochs that a reader drags, the ranking, and all designs as points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from advisor.errors import UsageError
from advisor.networks.families import FAMILIES
from advisor.plans.dataset import DATASETS
from advisor.plans.plan import named
from cli.quantities import parse_bytes, parse_seconds
from cli.render.formats import bounds, count, duration, percent, size
from cli.render.verdict import verdict_lines
from cli.web.charts.advice import NAMES
from cli.web.charts.designs import QUANTITIES, designs_chart, plan_link
from cli.web.content import Cell, Content, Row, Table, figure_of
from cli.web.query import Query
from cli.workflows.advise.preview import Previews
from cli.workflows.answers.advice import AdvisedDesign
from cli.workflows.answers.advice_preview import AdvicePreview
from cli.workflows.answers.advice_request import RecommendRequest
from cli.workflows.defaults import DATASET, OBJECTIVE, SEED

BUDGET, EPOCHS = "1M", 60
# Ends of the sliders.
BUDGETS, MOST_EPOCHS = (10_000, 100_000_000), 500
OBJECTIVES = ("error", "time", "balanced", "nll")
COLUMNS = ("#", "design", "class", "test error", "beats single", "training", "latency", "memory", "size")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviceForm:
    """Values of the form, and what it offers.

    Attributes:
        request: request that the form describes.
        across: name of the quantity on the horizontal axis.
        up: name of the quantity on the vertical axis.
        memory: limit on memory as the reader wrote it.
        seconds: limit on training time as the reader wrote it.
    """

    request: RecommendRequest
    across: str
    up: str
    memory: str
    seconds: str
    families: tuple[str, ...] = tuple(name for name in FAMILIES if name != "mlp")
    datasets: tuple[str, ...] = tuple(DATASETS)
    objectives: tuple[str, ...] = OBJECTIVES
    quantities: tuple[str, ...] = tuple(QUANTITIES)
    budgets: tuple[int, int] = BUDGETS
    most_epochs: int = MOST_EPOCHS


def advice_form(query: Query, last: dict[str, Any] | None) -> AdviceForm:
    """Return the form of a query; what it leaves out is that of the last recommendation, or the default.

    Args:
        query: query of the address.
        last: request of the last recommendation as it is stored, None if there is none.

    Raises:
        UsageError: a value that cannot be understood.
    """
    known = {f.name for f in fields(RecommendRequest)}
    # A reader who chooses another data set wants nothing of a request for the one before.
    kept = last if last and query.text("dataset", last["dataset"]) == last["dataset"] else {}
    stored: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in kept.items()
        if name in known
    }
    across, up = query.text("across", "time"), query.text("up", "error")
    for name in (across, up):
        if name not in QUANTITIES:
            raise UsageError(f"an axis must be one of {', '.join(QUANTITIES)}, got {name!r:.40}")
    sent = bool(query.text("budget"))
    given: dict[str, Any] = {
        "budget": query.text("budget", stored.get("budget", BUDGET)),
        "epochs": query.integer("epochs", stored.get("epochs", EPOCHS)),
        "dataset": query.text("dataset", stored.get("dataset", DATASET)),
        "objective": query.text("objective", stored.get("objective", OBJECTIVE)),
        "profile_seconds": 0.0,
    }
    if sent:
        given |= {
            "families": query.texts("family"),
            "max_memory_bytes": parse_bytes(query.text("memory") or None, "memory"),
            "max_latency_ms": query.real("latency"),
            "max_train_seconds": parse_seconds(query.text("seconds") or None, "training time"),
        }
    defaults: dict[str, Any] = {
        "augmentation": None,
        "families": (),
        "members": (),
        "device": None,
        "batch": None,
        "seed": SEED,
    }
    request = RecommendRequest(**(defaults | stored | given))
    return AdviceForm(
        request=request, across=across, up=up, memory=query.text("memory"), seconds=query.text("seconds")
    )


def advice_content(form: AdviceForm, previews: Previews, today: date, *, whole: bool) -> Content:
    """Return the ranking of a form.

    Args:
        form: the form.
        previews: predictors that stay fitted.
        today: date for the captions.
        whole: whether the search has all of its trials.

    Raises:
        UsageError: the request cannot be understood.
        InfeasibleError: no design fits the budget or the limits.
    """
    answer = previews.answer(form.request, whole=whole)
    first = answer.recommendations[answer.verdict.rank - 1]
    return Content(
        heading="Advice",
        verdict=" ".join(verdict_lines(answer.verdict)),
        notes=list(_notes(answer)),
        figures=[figure_of("designs", lambda: designs_chart(answer, today, form.across, form.up))],
        tables=[ranking_table(answer, (form.across, form.up))],
        command=train_command(answer, first),
        whole=answer.whole,
        forward=("plan of this design", plan_link(answer, first.design, first.method)),
    )


def _notes(answer: AdvicePreview) -> Iterator[str]:
    request, search = answer.request, answer.search
    yield (
        f"Budget {request.budget}, {request.epochs} epochs of {request.dataset}, batch {request.batch}, by "
        f"{request.objective}; {search.designs} designs in {duration(search.seconds)}."
    )
    yield (
        "= ties with rank 1; beats single: chance that one training has less error than one of the best "
        "single network; intervals of 90 %."
    )
    unmeasured = answer.recommendations[0].unmeasured
    if unmeasured:
        yield (
            f"Never measured on this machine: {'; '.join(unmeasured)}. `advisor recommend` measures what "
            "is missing; this page only reads."
        )


def ranking_table(answer: AdvicePreview, axes: tuple[str, str]) -> Table:
    """Return the ranking as a table whose rows a selection in the chart of designs leaves out."""
    evaluated = {(e.design, e.method): e for e in answer.evaluated}

    def values(row: AdvisedDesign) -> dict[str, float]:
        design = evaluated[row.design, row.method]
        found = {name: QUANTITIES[name].figure(design).mean for name in axes}
        return found | ({"error": 100 * found["error"]} if "error" in found else {})

    return Table(
        caption="Ranking",
        columns=COLUMNS,
        rows=[
            Row(cells=list(_cells(answer, row)), values=values(row), marked=row.rank == answer.verdict.rank)
            for row in answer.recommendations
        ],
        numeric=(3, 4, 5, 6, 7, 8),
    )


def _cells(answer: AdvicePreview, row: AdvisedDesign) -> Iterator[Cell | str]:
    predicted, chance = row.predicted, row.probability_beats_single
    yield f"{row.rank}{' =' if row.tie else ''}"
    yield Cell(text=named(row.design, row.method), link=plan_link(answer, row.design, row.method))
    yield NAMES[row.design_class]
    error = predicted.test_error
    yield f"{percent(error.mean)} ({bounds(error, percent)})"
    yield "–" if chance is None else f"{chance:.0%}"
    yield f"{duration(predicted.train_seconds.mean)} ({bounds(predicted.train_seconds, duration)})"
    yield duration(predicted.inference_ms_per_image.mean / 1000)
    yield size(predicted.memory_bytes.mean)
    yield count(row.parameters)


def train_command(answer: AdvicePreview, row: AdvisedDesign) -> str:
    """Return the command that trains a design of the ranking."""
    request = answer.request
    parts = ["advisor train", row.design, f"--dataset {request.dataset}", f"--epochs {request.epochs}"]
    if named(row.design, row.method) != row.design:
        parts.append(f"--method {row.method}")
    if request.batch is not None:
        parts.append(f"--batch {request.batch}")
    if row.tuned_weight_decay is not None:
        parts.append(f"--weight-decay {row.tuned_weight_decay:g}")
    return " ".join(parts)
