"""Rows of measurements as records and back."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

from advisor.cost.measurement import GIVEN_UP, Fingerprint, LayerTime, Measurement
from advisor.networks.layers import Task
from advisor.networks.shared_layers import graph_of
from advisor.serial import from_plain, to_plain
from db.checks.damage import check_amount
from db.checks.rows import readable
from db.models import MeasurementRow

# Name of the last layer of a measurement, which the network's graph does not have.
LOSS = "loss"
AMOUNTS_OF_MEASUREMENT = (
    "step_iqr_seconds",
    "reference_seconds",
    "peak_bytes",
    "reserved_bytes",
    "watts",
    "clock_mhz",
    "spent_seconds",
)


def row_of_measurement(record: Measurement) -> MeasurementRow:
    """Return the row of a measurement."""
    values = asdict(record)
    task = values.pop("task")
    values["fingerprint"] = json.dumps(to_plain(record.fingerprint))
    values["layers"] = _text_of_layers(record.layers)
    return MeasurementRow(digest=record.fingerprint.digest, **task, **values)


def measurement_of(row: MeasurementRow) -> Measurement:
    """Return the measurement of a row.

    Raises:
        DamagedRowError: fingerprint, network, layers or figures of the row break a rule.
    """
    return readable(row, _checked_measurement)


def _checked_measurement(row: MeasurementRow) -> Measurement:
    m = _measurement_of(row)
    if m.batch < 1 or m.processes < GIVEN_UP:
        raise ValueError(
            f"the batch must be at least 1 and processes at least 0, got {m.batch} and {m.processes}"
        )
    for name in AMOUNTS_OF_MEASUREMENT:
        check_amount(name, getattr(m, name))
    nodes, layers = graph_of(m.network, m.task).nodes, [t for t in m.layers if t.name != LOSS]
    if m.layers and len(layers) != len(nodes):
        raise ValueError(f"{m.network} has {len(nodes)} layers, got times of {len(layers)}")
    return m


def _measurement_of(row: MeasurementRow) -> Measurement:
    return Measurement(
        network=row.network,
        task=Task(channels=row.channels, height=row.height, width=row.width, classes=row.classes),
        batch=row.batch,
        fingerprint=from_plain(Fingerprint, json.loads(row.fingerprint)),
        processes=row.processes,
        fits=row.fits,
        forward_seconds=row.forward_seconds,
        backward_seconds=row.backward_seconds,
        optimizer_seconds=row.optimizer_seconds,
        step_seconds=row.step_seconds,
        step_iqr_seconds=row.step_iqr_seconds,
        inference_seconds=row.inference_seconds,
        layers=_layers_of(row.layers),
        reference_seconds=row.reference_seconds,
        peak_bytes=row.peak_bytes,
        reserved_bytes=row.reserved_bytes,
        watts=row.watts,
        clock_mhz=row.clock_mhz,
        throttle=row.throttle,
        spent_seconds=row.spent_seconds,
        measured_at=row.measured_at,
    )


def _text_of_layers(layers: tuple[LayerTime, ...]) -> str:
    rows = [[t.name, t.forward_seconds, t.backward_seconds, t.inference_seconds] for t in layers]
    return json.dumps(rows, separators=(",", ":"))


def _layers_of(text: str) -> tuple[LayerTime, ...]:
    rows = json.loads(text)
    if not isinstance(rows, list):
        raise ValueError("layers must be a list")
    return tuple(_layer_of(*row) for row in rows)


def _layer_of(name: str, forward: float, backward: float, inference: float) -> LayerTime:
    # `from_plain` would take seconds for the layers of some hundred measurements.
    times = (forward, backward, inference)
    if not isinstance(name, str) or not all(type(t) in (float, int) and 0 <= t < math.inf for t in times):
        raise ValueError("a layer must have a name and three times")
    return LayerTime(
        name=name, forward_seconds=forward, backward_seconds=backward, inference_seconds=inference
    )
