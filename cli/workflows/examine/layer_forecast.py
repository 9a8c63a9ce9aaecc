"""The forecast of a training step layer by layer, in the form in which `advisor profile` tells a step.

Layers and loss add up to the passes, and with batch preparation and optimizer to the mean of the step, so
that a forecast has no remainder.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from advisor.cost.predictor import CostPredictor
from advisor.cost.step_cost import LOSS
from advisor.networks.joint import graph_of
from advisor.networks.layers import Task
from advisor.plans.plan import TrainingPlan
from trainer.networks.network import SpecNetwork


def forecast_layers(plan: TrainingPlan, predictor: CostPredictor) -> list[dict[str, Any]]:
    """Return every distinct network of a plan with its layers; empty where nothing was measured.

    Args:
        plan: whose mothers and members are meant.
        predictor: of the machine and the plan's execution.
    """
    if predictor.basis == "nominal":
        return []
    networks = dict.fromkeys(network.network for network in plan.built)
    return [_forecast(network, plan.dataset.task, plan.batch, predictor) for network in networks]


def _forecast(network: str, task: Task, batch: int, predictor: CostPredictor) -> dict[str, Any]:
    step = predictor.step_seconds(network, task, batch)
    phases = predictor.phase_seconds(network, task, batch)
    kinds = _kinds(network, task)
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


def _kinds(network: str, task: Task) -> dict[str, str]:
    """Kind of every layer by name: as in `advisor profile`, the class of the module that executes it."""
    # Of modules without weights, since only their classes are asked for.
    with torch.device("meta"):
        built = SpecNetwork(graph_of(network, task))
    return {node.name: type(built.layer(node.name)).__name__ for node in built.graph.nodes}
