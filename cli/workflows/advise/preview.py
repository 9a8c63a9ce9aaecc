"""Advice while its budget or its epochs are dragged: predictors stay fitted, nothing is measured or stored.

An answer has two stages. The first ranks the starting points of the search (`advisor.decision.search`), which
takes a fraction of a second. The second is the whole search, so its ranking is that of `advisor recommend`
with the same evidence.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from threading import Lock

import optuna

from advisor.decision.ranking import Recommendation
from advisor.decision.search import go_on_always
from advisor.errors import AdvisorError
from cli.workflows.advise.comparison import (
    Comparison,
    Fitted,
    compare,
    device_of,
    evidence_of,
    first_search,
    whole_search,
)
from cli.workflows.advise.reasons import advised_designs, predicted_figures
from cli.workflows.advise.request import ResolvedRequest, answered_request, check_request, profiled_for
from cli.workflows.advise.verdict import verdict_of
from cli.workflows.answers.advise.advice import SearchEffort
from cli.workflows.answers.advise.preview import AdvicePreview, EvaluatedDesign
from cli.workflows.answers.advise.request import RecommendRequest
from cli.workflows.forecast.measuring import Profiled
from cli.workflows.home import Home
from cli.workflows.reading import known_store
from cli.workflows.views import silent

# Designs of the first stage.
FIRST_LOOK = 10
# Data sets whose predictors are kept.
MOST_KEPT = 4
# Readers whose newest question is known.
MOST_READERS = 1000
# State of a database: predictors are fitted again when it has changed.
State = tuple[int, ...]


class SupersededError(AdvisorError):
    """A search that a newer question of the same reader ended."""


@dataclass(slots=True)
class Previews:
    """Answers for one home, from predictors that are kept.

    Attributes:
        home: folder of data and database.
        state: function that returns the state of the database, which changes with what predictors learn from.
    """

    home: Home
    state: Callable[[], State]
    _kept: OrderedDict[tuple[object, ...], tuple[Profiled, Fitted]] = field(default_factory=OrderedDict)
    _newest: dict[str, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)
    _fitting: Lock = field(default_factory=Lock)

    def answer(self, request: RecommendRequest, *, whole: bool, reader: str = "") -> AdvicePreview:
        """Return the ranking for a request.

        Args:
            request: request for advice; the time for measurements must be 0.
            whole: whether the search has all of its trials.
            reader: name of the reader, whose newer question ends the search; empty for none.

        Raises:
            UsageError: the request cannot be understood.
            InfeasibleError: no design fits the budget or the limits.
            SupersededError: the reader asked something else meanwhile.
        """
        go_on = self._while_newest(reader)
        check_request(request)
        resolved = ResolvedRequest.of(request, self.home, silent)
        with self._fitting:
            profiled, fitted = self._fitted(request, resolved)
        go_on()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        look = whole_search(request.trials, go_on=go_on) if whole else first_search(FIRST_LOOK)
        compared = compare(request, resolved, profiled, fitted, look)
        return _preview(request, resolved, profiled, compared, whole=whole)

    def prepare(self, request: RecommendRequest) -> None:
        """Fit the predictors for a request, so that its first answer comes sooner.

        Args:
            request: request for advice.

        Raises:
            UsageError: the request cannot be understood.
            InfeasibleError: the smallest network has more parameters than the budget.
        """
        resolved = ResolvedRequest.of(request, self.home, silent)
        with self._fitting:
            self._fitted(request, resolved)

    def _while_newest(self, reader: str) -> Callable[[], None]:
        """Return a function that raises an error once the reader has asked again."""
        number = next(self._numbers)
        if not reader:
            return go_on_always
        if len(self._newest) > MOST_READERS:
            self._newest.clear()
        self._newest[reader] = number

        def go_on() -> None:
            if self._newest.get(reader, number) > number:
                raise SupersededError("a newer question took the place of this one")

        return go_on

    def _fitted(self, request: RecommendRequest, resolved: ResolvedRequest) -> tuple[Profiled, Fitted]:
        facts = resolved.facts
        families = tuple(sorted(resolved.families))
        key: tuple[object, ...] = (
            *(facts.key, facts.augmentation, resolved.device, families, request.seed, request.recipe),
            *(request.until_converged, request.patience, self.state()),
        )
        if key not in self._kept:
            with known_store(self.home) as store:
                profiled = profiled_for(replace(request, profile_seconds=0.0), resolved, store, silent)
                self._kept[key] = profiled, Fitted.of(request, resolved, store, self.home)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]


def _preview(
    request: RecommendRequest,
    resolved: ResolvedRequest,
    profiled: Profiled,
    compared: Comparison,
    *,
    whole: bool,
) -> AdvicePreview:
    scenario, rows = compared.scenario, compared.rows
    evidence = evidence_of(compared, profiled)
    return AdvicePreview(
        request=answered_request(request, resolved),
        device=device_of(profiled),
        verdict=verdict_of(scenario, rows, known=evidence.known),
        recommendations=advised_designs(scenario, rows, (), evidence, request.price_per_hour_usd),
        evaluated=tuple(_evaluated(compared, rows, request.price_per_hour_usd)),
        search=SearchEffort(
            trials=request.trials, designs=len(compared.evaluated), seconds=compared.search_seconds
        ),
        whole=whole,
    )


def _evaluated(
    compared: Comparison, rows: Sequence[Recommendation], price: float | None
) -> Iterator[EvaluatedDesign]:
    known = {row.evaluated: row.test_error for row in rows}
    accuracy = compared.scenario.accuracy
    for e in compared.evaluated:
        if e.feasible:
            error = known.get(e) or accuracy.predict(e.errors, e.seed_std, e.images, at_hand=e.at_hand)
            yield EvaluatedDesign(
                design=e.design.name,
                method=e.method,
                design_class=e.design_class,
                members=len(e.design.members),
                parameters=e.parameters,
                predicted=predicted_figures(e, error, None, price),
            )
