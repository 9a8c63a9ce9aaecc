"""Stored recommendations: what later commands take from one, and the rules that it must keep.

Of the request, `advisor train`, `explain` and `probe` complete their own options. Of the answer they take the
ranks with design and training method. Recommendations of older programs lack fields that came later; those
may be missing, but not be of another type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from advisor.designs.budget import parse_budget
from advisor.designs.design import parse_design
from advisor.errors import lookup
from advisor.names import check_line
from advisor.plans.dataset import Augmentation
from advisor.plans.execution import DEVICES
from advisor.plans.method_traits import Method
from advisor.plans.schedule import MOST_EPOCHS
from db.checks.rows import readable
from db.models import RecommendationRow

# SQLite's integers have 64 bits.
MOST_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecommendation:
    """A stored recommendation.

    Attributes:
        id: number of the recommendation.
        created_at: time in UTC, ISO 8601.
        request: request of the user, plain JSON.
        payload: answer of the program, plain JSON.
    """

    id: int
    created_at: str
    request: dict[str, Any]
    payload: dict[str, Any]


def row_of_recommendation(
    created_at: str, request: dict[str, Any], payload: dict[str, Any]
) -> RecommendationRow:
    """Return the row of a recommendation."""
    return RecommendationRow(created_at=created_at, request=json.dumps(request), payload=json.dumps(payload))


def recommendation_of(row: RecommendationRow) -> StoredRecommendation:
    """Return the recommendation of a row.

    Raises:
        DamagedRowError: request or answer is not JSON, lacks a field, or has a value that it cannot have.
    """
    return readable(row, _recommendation_of)


def _recommendation_of(row: RecommendationRow) -> StoredRecommendation:
    request, payload = json.loads(row.request), json.loads(row.payload)
    _check_fields("request", request, _NEEDED, _LATER)
    _check_fields("payload", payload, {"recommendations": _is_list}, {})
    for number, ranked in enumerate(payload["recommendations"], 1):
        _check_fields(f"rank {number}", ranked, {"design": _is_design}, {"method": _is_method})
    return StoredRecommendation(id=row.id, created_at=row.created_at, request=request, payload=payload)


Rule = Callable[[Any], object]


def _check_fields(what: str, plain: Any, needed: Mapping[str, Rule], later: Mapping[str, Rule]) -> None:
    """Refuse an object that lacks a needed field, or has a value that breaks the rule of its field.

    Raises:
        ValueError: it does.
        AdvisorError: a name that does not exist.
    """
    if not isinstance(plain, dict):
        raise ValueError(f"the {what} must be an object, got {type(plain).__name__}")
    for name, rule in {**needed, **later}.items():
        if name in plain:
            if rule(plain[name]) is False:
                raise ValueError(f"{name} of the {what} cannot be {str(plain[name])!r:.60}")
        elif name in needed:
            raise ValueError(f"{name} of the {what} is missing")


def _whole(least: int, most: int) -> Rule:
    return lambda value: type(value) is int and least <= value <= most


def _or_none(rule: Rule) -> Rule:
    return lambda value: value is None or rule(value)


def _each(rule: Rule) -> Rule:
    return lambda value: isinstance(value, list) and all(rule(each) is not False for each in value)


def _is_amount(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_line(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    check_line("data set", value)
    return True


def _is_budget(value: Any) -> bool:
    return isinstance(value, str) and parse_budget(value) > 0


def _is_design(value: Any) -> bool:
    return isinstance(value, str) and bool(parse_design(value).members)


def _is_method(value: Any) -> bool:
    return isinstance(value, str) and bool(lookup("method", value, Method))


def _is_augmentation(value: Any) -> bool:
    return isinstance(value, str) and bool(lookup("augmentation", value, Augmentation))


_NEEDED: dict[str, Rule] = {
    "budget": _is_budget,
    "dataset": _is_line,
    "epochs": _whole(1, MOST_EPOCHS),
    "batch": _or_none(_whole(2, MOST_SEED)),
    "seed": _whole(0, MOST_SEED),
    "device": _or_none(lambda value: value in DEVICES),
}
_LATER: dict[str, Rule] = {
    "augmentation": _or_none(_is_augmentation),
    "families": _each(lambda value: isinstance(value, str)),
    "members": _each(_whole(1, 256)),
    "methods": _each(_is_method),
    "objective": lambda value: isinstance(value, str),
    "max_memory_bytes": _or_none(_is_amount),
    "max_latency_ms": _or_none(_is_amount),
    "max_train_seconds": _or_none(_is_amount),
    "trials": _whole(1, MOST_SEED),
    "profile_seconds": _is_amount,
}
