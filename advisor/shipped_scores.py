"""Scores of forecasts that ship with the program, for machines and data without a history of their own.

`benchmarks/conformal_scores.py` writes the file from committed results. Forecasts of cost are those of
networks that were not measured, on one machine. Forecasts of the error are those of trainings that the
predictor had not seen, on data sets of which it had seen nothing, or other trainings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from advisor.conformal import Key, Quantity, ShippedScores

FILE = Path(__file__).with_name("shipped_scores.json")


@cache
def shipped_scores() -> Mapping[Key, ShippedScores]:
    """Return the shipped scores by quantity and basis."""
    return {
        (Quantity(entry["quantity"]), entry["basis"]): ShippedScores(
            tuple(tuple(scores) for scores in entry["groups"].values()), entry["forecasts"]
        )
        for entry in json.loads(FILE.read_text(encoding="utf-8"))["scores"]
    }
