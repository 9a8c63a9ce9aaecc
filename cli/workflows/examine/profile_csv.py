"""A profile as CSV: a row per layer, and one for each other part of the step."""

from __future__ import annotations

import csv
import io

from cli.workflows.answers.examine.parts import fields_of
from cli.workflows.answers.examine.profile import Profile

CSV_COLUMNS = (
    "name",
    "kind",
    "forward_seconds",
    "backward_seconds",
    "total_seconds",
    "inference_seconds",
    "output_bytes",
    "saved_bytes",
    "parameters",
    "macs",
)


def layers_as_csv(answer: Profile) -> str:
    """Return a row per layer and one for each other part of the step; unknown figures have empty cells."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for layer in answer.layers:
        total = layer.forward_seconds + layer.backward_seconds
        writer.writerow(fields_of(layer) | {"total_seconds": total})
    for name, seconds in (
        ("batch preparation", answer.parts.data_seconds),
        ("optimizer", answer.parts.optimizer_seconds),
        ("remainder", answer.remainder_seconds),
    ):
        writer.writerow({"name": name, "kind": "part", "total_seconds": seconds})
    return text.getvalue()
