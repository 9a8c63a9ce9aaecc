"""The last recommendation: its answer, and its request, which completes that of a probe."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from advisor.errors import UsageError
from cli.workflows.answers.advise.advice import Advice
from cli.workflows.answers.advise.request import RecommendRequest
from cli.workflows.answers.stored import answer_of
from cli.workflows.home import Home
from cli.workflows.names import full_name_of
from db.recommendations import StoredRecommendation
from db.session import open_reader


def completed_request(home: Home, dataset: str, **given: Any) -> RecommendRequest:
    """Return the request of a probe, completed by the last recommendation if budget or epochs are missing.

    Args:
        home: folder whose database has the recommendations.
        dataset: name of the data set to train on.
        given: other fields of the request; None or an empty tuple stands for a field that is not given.

    Raises:
        UsageError: the last recommendation is for other data, or there is none.
    """
    values = given | {"dataset": dataset}
    if given["budget"] is None or given["epochs"] is None:
        stored = _last_request(home, full_name_of(dataset))
        # Recommendations of older programs have fewer fields.
        known = {f.name: stored[f.name] for f in fields(RecommendRequest) if f.name in stored}
        values |= known | {name: value for name, value in values.items() if _is_given(value)}
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return RecommendRequest(**(values | lists))


def _is_given(value: Any) -> bool:
    """Return whether an option is given: a switch only when it is on."""
    return value not in (None, ()) and value is not False


def last_advice(home: Home) -> tuple[str, Advice]:
    """Return the last recommendation as it was, with the time in UTC at which it was made.

    Args:
        home: folder whose database has the recommendations.

    Raises:
        UsageError: there is none, or another version of this program made it.
    """
    last = _last(home)
    if last is None:
        raise UsageError("there is no recommendation yet: `advisor recommend` makes one")
    try:
        return last.created_at, answer_of(Advice, last.payload)
    except ValueError as error:
        raise UsageError(
            f"the last recommendation is of another version of this program ({error}): ask "
            "`advisor recommend` again"
        ) from None


def stored_last_request(home: Home) -> dict[str, Any] | None:
    """Return the request of the last recommendation as it is stored, None if there is none.

    Args:
        home: folder whose database has the recommendations.
    """
    last = _last(home)
    return None if last is None else last.request


def _last(home: Home) -> StoredRecommendation | None:
    if not home.database.exists():
        return None
    with open_reader(home.database) as store:
        return store.last_recommendation()


def _last_request(home: Home, dataset: str) -> dict[str, Any]:
    last = stored_last_request(home)
    if last is None or last["dataset"] != dataset:
        which = "there is no recommendation" if last is None else f"the last is for {last['dataset']}"
        raise UsageError(
            f"no recommendation for {dataset} to probe for ({which}): give --budget and --epochs, or ask "
            "`advisor recommend` first"
        )
    return last
