"""Answers that a page draws, as a notebook shows them."""

from __future__ import annotations

from recorded_runs import record_run

from cli.workflows.home import Home
from cli.workflows.runs.watching.curves import run_curves
from cli.workflows.runs.watching.forecast_history import forecast_history
from db.session import open_store


def test_curves_and_past_forecasts_are_tables_and_names_are_text(home):
    with open_store(Home(home).database) as store:
        record_run(store, "2xmlp-1-8", {"member-1": [0.5, 0.25]}, epochs=2, error=0.2)
    shown = run_curves(Home(home), "last")._repr_html_()
    assert "member-1" in shown
    assert "25.0 %" in shown
    assert "2 of 2" in shown
    assert forecast_history(Home(home))._repr_html_().startswith("<pre")
