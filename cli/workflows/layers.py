"""The forecast of a training step layer by layer, in the form in which `advisor profile` tells a step.

Layers and loss add up to the passes, and with batch preparation and optimizer to the mean of the step, so
that a forecast has no remainder.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from advisor.architecture import lower, parse_network
from advisor.cost import CostPredictor
from advisor.layers import Task
from advisor.plan import TrainingPlan
from advisor.step_cost import LOSS


def forecast_layers(plan: TrainingPlan, predictor: CostPredictor) -> list[dict[str, Any]]:
    """Return every distinct network of a plan with its layers; empty where nothing was measured.

    Args:
        plan: whose mothers and members are meant.
        predictor: of the machine and the plan's execution.
    """
    if predictor.basis == "nominal":
        return []
    networks = dict.fromkeys(network.network for network in plan.networks)
    return [_forecast(network, plan.dataset.task, plan.batch, predictor) for network in networks]


def _forecast(network: str, task: Task, batch: int, predictor: CostPredictor) -> dict[str, Any]:
    step = predictor.step_seconds(network, task, batch)
    phases = predictor.phase_seconds(network, task, batch)
    kinds = {node.name: type(node.operation).__name__ for node in lower(parse_network(network), task).nodes}
    return {
        "network": network,
        "input": task.text,
        "batch": batch,
        "predicted_step_seconds": asdict(step),
        "step": {
            "forward_seconds": phases["forward"],
            "backward_seconds": phases["backward"],
            "step_seconds": step.mean,
        },
        "layers": [
            asdict(time) | {"kind": kinds.get(time.name, LOSS)}
            for time in predictor.layer_seconds(network, task, batch)
        ],
        "parts": {"data_seconds": phases["data"], "optimizer_seconds": phases["optimizer"]},
    }
