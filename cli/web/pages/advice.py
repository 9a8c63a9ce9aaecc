"""The page of advice: a budget and epochs that a reader drags, the ranking, and all designs as points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from cli.web.charts.advice import NAMES, advice_chart
from cli.web.charts.designs import QUANTITIES, designs_chart, plan_link
from cli.web.command_line import command_line
from cli.web.content import Cell, Content, Row, Table, figure_of
from cli.web.query import Query
from cli.workflows.advise.preview import Previews
from cli.workflows.answers.advise.advice import Advice, AdvisedDesign
from cli.workflows.answers.advise.preview import AdvicePreview, EvaluatedDesign
from cli.workflows.answers.advise.request import AnsweredRequest, RecommendRequest
from cli.workflows.defaults import DATASET, OBJECTIVE, RECIPE, SEED

BUDGET, EPOCHS = "1M", 60
# Ends of the sliders.
BUDGETS, MOST_EPOCHS = (10_000, 100_000_000), 500
OBJECTIVES = ("error", "time", "balanced", "nll")
TERMS = (
    "= ties with rank 1; untried here: no network of the family was trained on this data; trained already: "
    "by a probe, whose networks the error is forecast for; beats single: "
    "chance that one training has less error than one of the best single network; intervals of 90 %."
)
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


def advice_content(
    form: AdviceForm, previews: Previews, today: date, *, whole: bool, reader: str = ""
) -> Content:
    """Return the ranking of a form.

    Args:
        form: the form.
        previews: predictors that stay fitted.
        today: date for the captions.
        whole: whether the search has all of its trials.
        reader: name of the reader, whose newer question ends the search.

    Raises:
        UsageError: the request cannot be understood.
        InfeasibleError: no design fits the budget or the limits.
    """
    answer = previews.answer(form.request, whole=whole, reader=reader)
    first = answer.recommendations[answer.verdict.rank - 1]
    return Content(
        heading="Advice",
        verdict=" ".join(verdict_lines(answer.verdict)),
        warnings=list(_warnings(answer)),
        notes=list(_notes(answer)),
        figures=[figure_of("designs", lambda: designs_chart(answer, today, form.across, form.up))],
        tables=[ranking_table(answer, _values(answer, (form.across, form.up)))],
        command=train_command(answer.request, first),
        whole=answer.whole,
        forward=("plan of this design", plan_link(answer.request, first.design, first.method)),
    )


def stored_advice_content(answer: Advice, made_on: date) -> Content:
    """Return a recommendation as it was when it was made.

    Args:
        answer: the recommendation.
        made_on: day on which it was made.
    """
    request = answer.request
    return Content(
        heading="Advice",
        verdict=" ".join(verdict_lines(answer.verdict)),
        notes=[
            f"Asked on {made_on.isoformat()}: budget {request.budget}, {request.epochs} epochs of "
            f"{request.dataset}, by {request.objective}.",
            TERMS,
        ],
        figures=[figure_of("advice", lambda: advice_chart(answer, made_on))],
        tables=[ranking_table(answer)],
        command=train_command(request, answer.recommendations[answer.verdict.rank - 1]),
    )


def _notes(answer: AdvicePreview) -> Iterator[str]:
    request, search = answer.request, answer.search
    yield (
        f"Budget {request.budget}, {request.epochs} epochs of {request.dataset}, batch {request.batch}, by "
        f"{request.objective}; {search.designs} designs in {duration(search.seconds)}."
    )
    yield TERMS


def _warnings(answer: AdvicePreview) -> Iterator[str]:
    """Say which costs rest on no measurement of this machine; the page only reads."""
    unmeasured = list(dict.fromkeys(text for row in answer.recommendations for text in row.unmeasured))
    if unmeasured:
        request = answer.request
        command = command_line(
            "recommend", dataset=request.dataset, budget=request.budget, epochs=request.epochs
        )
        yield (
            f"Never measured on this machine: {', '.join(unmeasured)}. Times and memory of such designs are "
            f"guesses, or left out. To measure: {command}"
        )


def _is_guess(row: AdvisedDesign) -> bool:
    """Return whether times are unknown: no network was measured on such images."""
    return any(text.startswith("images") for text in row.unmeasured)


def _values(answer: AdvicePreview, axes: tuple[str, str]) -> Mapping[tuple[str, str], Mapping[str, float]]:
    """Return the figures of each design by the names of the chart's axes, in the units of the chart."""

    def figures(design: EvaluatedDesign) -> dict[str, float]:
        found = {name: QUANTITIES[name].figure(design).mean for name in axes}
        return found | ({"error": 100 * found["error"]} if "error" in found else {})

    return {(e.design, e.method.value): figures(e) for e in answer.evaluated}


def ranking_table(
    answer: Advice | AdvicePreview, values: Mapping[tuple[str, str], Mapping[str, float]] | None = None
) -> Table:
    """Return the ranking as a table.

    Args:
        answer: the advice.
        values: figures of each design and method by the names of a chart's axes, for a selection in it.
    """
    known = values or {}
    return Table(
        caption="Ranking",
        columns=COLUMNS,
        rows=[
            Row(
                cells=list(_cells(answer.request, row)),
                values=known.get((row.design, row.method.value), {}),
                marked=row.rank == answer.verdict.rank,
            )
            for row in answer.recommendations
        ],
        numeric=(3, 4, 5, 6, 7, 8),
    )


def _cells(request: AnsweredRequest, row: AdvisedDesign) -> Iterator[Cell | str]:
    predicted, chance = row.predicted, row.probability_beats_single
    yield f"{row.rank}{' =' if row.tie else ''}"
    yield Cell(text=named(row.design, row.method), link=plan_link(request, row.design, row.method))
    yield (
        NAMES[row.design_class]
        + (", untried here" if row.untried else "")
        + (", trained already" if row.networks_exist else "")
    )
    error = predicted.test_error
    yield f"{percent(error.mean)} ({bounds(error, percent)})"
    yield "–" if chance is None else f"{100 * chance:.0f} %"
    if _is_guess(row):
        yield from ("?", "?", "?")
    else:
        yield f"{duration(predicted.train_seconds.mean)} ({bounds(predicted.train_seconds, duration)})"
        yield duration(predicted.inference_ms_per_image.mean / 1000)
        yield size(predicted.memory_bytes.mean)
    yield count(row.parameters)


def train_command(request: AnsweredRequest, row: AdvisedDesign) -> str:
    """Return the command that trains a design of the ranking."""
    shown = named(row.design, row.method) != row.design
    return command_line(
        "train",
        row.design,
        dataset=request.dataset,
        resize=request.resize,
        skip_damaged=request.skip_damaged,
        epochs=request.epochs,
        batch=request.batch,
        augment=request.augmentation,
        method=row.method if shown else None,
        weight_decay=None if row.tuned_weight_decay is None else f"{row.tuned_weight_decay:g}",
        recipe=None if request.recipe == RECIPE else request.recipe,
        until_converged=request.until_converged,
        patience=request.patience,
        seed=request.seed or None,
    )
