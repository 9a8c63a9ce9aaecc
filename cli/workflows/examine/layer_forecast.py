"""The forecast of a training step layer by layer, in the form in which `advisor profile` shows a step.

Layers and loss add up to the passes, and with batch preparation and optimizer to the mean of the step, so
that a forecast has no remainder.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from advisor.conformal import Quantity
from advisor.cost.measurement import LayerTime
from advisor.cost.memory.liveness import FLOAT_BYTES
from advisor.cost.memory.peak import saved_bytes
from advisor.cost.predictor import CostPredictor
from advisor.cost.step_cost import LOSS
from advisor.networks.graph import Graph
from advisor.networks.layers import Task
from advisor.networks.shared_layers import graph_of
from advisor.plans.plan import TrainingPlan
from cli.workflows.answers.examine.layers import NetworkForecast, OtherParts, PredictedLayer, PredictedStep
from cli.workflows.answers.examine.parts import fields_of
from trainer.networks.network import SpecNetwork

# Copies of every parameter in training: the weight, its gradient and its momentum.
STATES = 3


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
    times = predictor.layer_seconds(network, task, batch)
    return NetworkForecast(
        network=network,
        input=task.text,
        batch=batch,
        predicted_step_seconds=step,
        step=PredictedStep(
            forward_seconds=phases["forward"], backward_seconds=phases["backward"], step_seconds=step.mean
        ),
        layers=_layers(graph_of(network, task), batch, predictor, times, phases["optimizer"]),
        parts=OtherParts(data_seconds=phases["data"], optimizer_seconds=phases["optimizer"]),
    )


def _layers(
    graph: Graph, batch: int, predictor: CostPredictor, times: Sequence[LayerTime], optimizer_seconds: float
) -> tuple[PredictedLayer, ...]:
    """Return the layers of a network with their seconds and their memory, the loss last."""
    kinds, saved = _kinds(graph), saved_bytes(graph, predictor.dtype)
    parameters = {node.name: node.parameters for node in graph.nodes}
    return tuple(
        PredictedLayer(
            **fields_of(time),
            kind=kinds.get(time.name, LOSS),
            optimizer_seconds=optimizer_seconds * own / graph.parameters,
            parameters=own,
            parameter_bytes=STATES * FLOAT_BYTES * own,
            saved_bytes=batch * saved.get(time.name, 0),
        )
        for time in times
        for own in (parameters.get(time.name, 0),)
    )


def _kinds(graph: Graph) -> dict[str, str]:
    """Return the kind of every layer by name: as in `advisor profile`, the class of the module."""
    # Modules on the meta device have no weights; only their classes are needed.
    with torch.device("meta"):
        built = SpecNetwork(graph)
    return {node.name: type(built.layer(node.name)).__name__ for node in built.graph.nodes}
