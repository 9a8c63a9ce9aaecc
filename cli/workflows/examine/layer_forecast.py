"""The forecast of a training step layer by layer, in the form in which `advisor profile` shows a step.

Layers and loss add up to the passes, and with batch preparation and optimizer to the mean of the step, so
that a forecast has no remainder.
"""

from __future__ import annotations

import torch

from advisor.conformal import Quantity
from advisor.cost.predictor import CostPredictor
from advisor.cost.step_cost import LOSS
from advisor.networks.layers import Task
from advisor.networks.shared_layers import graph_of
from advisor.plans.plan import TrainingPlan
from cli.workflows.answers.examine.layers import NetworkForecast, OtherParts, PredictedStep, TimedLayer
from cli.workflows.answers.examine.parts import fields_of
from trainer.networks.network import SpecNetwork


def forecast_layers(plan: TrainingPlan, predictor: CostPredictor) -> tuple[NetworkForecast, ...]:
    """Return every distinct network of a plan with its layers; empty where nothing was measured.

    Args:
        plan: plan whose mothers and members are forecast.
        predictor: predictor of this machine under the settings of the plan.
    """
    if predictor.basis == "nominal":
        return ()
    networks = dict.fromkeys(network.network for network in plan.built)
    return tuple(_forecast(network, plan.dataset.task, plan.batch, predictor) for network in networks)


def _forecast(network: str, task: Task, batch: int, predictor: CostPredictor) -> NetworkForecast:
    step = predictor.correction(Quantity.TIME).applied(predictor.step_seconds(network, task, batch))
    phases = predictor.phase_seconds(network, task, batch)
    kinds = _kinds(network, task)
    return NetworkForecast(
        network=network,
        input=task.text,
        batch=batch,
        predicted_step_seconds=step,
        step=PredictedStep(
            forward_seconds=phases["forward"], backward_seconds=phases["backward"], step_seconds=step.mean
        ),
        layers=tuple(
            TimedLayer(**fields_of(time), kind=kinds.get(time.name, LOSS))
            for time in predictor.layer_seconds(network, task, batch)
        ),
        parts=OtherParts(data_seconds=phases["data"], optimizer_seconds=phases["optimizer"]),
    )


def _kinds(network: str, task: Task) -> dict[str, str]:
    """Return the kind of every layer by name: as in `advisor profile`, the class of the module."""
    # Modules on the meta device have no weights; only their classes are needed.
    with torch.device("meta"):
        built = SpecNetwork(graph_of(network, task))
    return {node.name: type(built.layer(node.name)).__name__ for node in built.graph.nodes}
