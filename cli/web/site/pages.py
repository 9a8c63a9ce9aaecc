"""The pages of the site: name in the address, title, template of the form, and who makes form and content."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from threading import Thread
from typing import Any

from advisor.errors import AdvisorError
from cli.web.content import Content
from cli.web.pages import advice, compare, forecasts, frontier, plan, run, runs, switchover
from cli.web.query import Query
from cli.web.site.vega import vega_script
from cli.workflows.advise.last_recommendation import stored_last_request
from cli.workflows.advise.preview import Previews
from cli.workflows.home import Home
from cli.workflows.reading import state_of_evidence, state_of_home


@dataclass(frozen=True, slots=True)
class Site:
    """A home, and what is kept for it between two answers.

    Attributes:
        home: folder of the database.
        previews: predictors that stay fitted.
    """

    home: Home
    previews: Previews

    @classmethod
    def of(cls, home: Home) -> Site:
        """Return the site of a home."""
        return cls(home, Previews(home, lambda: state_of_evidence(home)))

    def warm(self) -> None:
        """Load what the first answer needs, so that it comes sooner; errors come with the first answer."""
        Thread(target=vega_script, daemon=True).start()
        with suppress(AdvisorError):
            form = PAGES[""].form(self, Query())
            self.previews.prepare(form.request)

    def state(self, page: Page, query: Query) -> tuple[object, ...]:
        """Return what the answer of a page depends on, beside its address."""
        return (*state_of_home(self.home), date.today(), *page.state(self, query))


@dataclass(frozen=True, slots=True)
class Asking:
    """How a reader asks.

    Attributes:
        whole: whether the answer has to be complete.
        reader: name of the page that asks, whose newer question takes the place of an older one.
    """

    whole: bool
    reader: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page.

    Attributes:
        title: title, and name in the navigation.
        template: template of its form.
        form: function from a query to the values of the form.
        content: function from these values, the date and how the reader asks, to what the page shows.
        state: what the answer depends on beside database, address and date.
        listed: whether the navigation has it.
    """

    title: str
    template: str
    form: Callable[[Site, Query], Any]
    content: Callable[[Site, Any, date, Asking], Content]
    state: Callable[[Site, Query], tuple[object, ...]] = lambda site, query: ()
    listed: bool = True


PAGES = {
    "": Page(
        title="Advice",
        template="advice.html",
        form=lambda site, query: advice.advice_form(query, stored_last_request(site.home)),
        content=lambda site, form, today, asking: advice.advice_content(
            form, site.previews, today, whole=asking.whole, reader=asking.reader
        ),
    ),
    "switchover": Page(
        title="Switchover",
        template="switchover.html",
        form=lambda site, query: switchover.switchover_form(query, stored_last_request(site.home)),
        content=lambda site, form, today, asking: switchover.switchover_content(form, site.home, today),
    ),
    "plan": Page(
        title="Plan",
        template="plan.html",
        form=lambda site, query: plan.plan_form(query),
        content=lambda site, form, today, asking: plan.plan_content(form, site.home, today),
    ),
    "frontier": Page(
        title="Frontier",
        template="frontier.html",
        form=lambda site, query: frontier.frontier_form(query),
        content=lambda site, form, today, asking: frontier.frontier_content(form, site.home, today),
    ),
    "runs": Page(
        title="Runs",
        template="runs.html",
        form=lambda site, query: runs.runs_form(query, site.home),
        content=lambda site, form, today, asking: runs.runs_content(form, site.home),
    ),
    "run": Page(
        title="Run",
        template="run.html",
        form=lambda site, query: run.run_form(query),
        content=lambda site, form, today, asking: run.run_content(form, site.home, today),
        state=lambda site, query: run.run_state(query, site.home),
        listed=False,
    ),
    "compare": Page(
        title="Compare",
        template="compare.html",
        form=lambda site, query: compare.compare_form(query),
        content=lambda site, form, today, asking: compare.compare_content(form, site.home, today),
        listed=False,
    ),
    "forecasts": Page(
        title="Is it right?",
        template="forecasts.html",
        form=lambda site, query: None,
        content=lambda site, form, today, asking: forecasts.forecasts_content(site.home, today),
    ),
}
