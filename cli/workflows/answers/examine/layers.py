"""A training step layer by layer, as `advisor explain --layers` predicts it.

`advisor profile` measures the same step: its layers are these with further figures of each module.
"""

from __future__ import annotations

from dataclasses import dataclass

from advisor.cost.measurement import LayerTime
from advisor.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedLayer(LayerTime):
    """A layer, or the loss, with its seconds for a whole batch.

    Attributes:
        name: name of the layer's node in the network's graph, or ``loss``.
        forward_seconds, backward_seconds: seconds of the pass in training.
        inference_seconds: seconds of the forward pass in evaluation mode, without gradients.
        kind: class of the module that executes the layer, or ``loss``.
    """

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedLayer(TimedLayer):
    """A layer, or the loss, with predicted seconds and counted memory for a whole batch.

    Attributes:
        optimizer_seconds: the layer's part of the seconds of updating the weights, by its share of the
            parameters. The forecast is of the whole update.
        parameters: trainable scalars.
        parameter_bytes: bytes of weights, gradients and momentum.
        saved_bytes: bytes kept for the backward pass, besides weights and outputs of earlier layers.
    """

    optimizer_seconds: float
    parameters: int
    parameter_bytes: int
    saved_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherParts:
    """Parts of a step that belong to no layer.

    Attributes:
        data_seconds: seconds of preparing the batch.
        optimizer_seconds: seconds of updating the weights.
    """

    data_seconds: float
    optimizer_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedStep:
    """Predicted mean times of a training step.

    Attributes:
        forward_seconds, backward_seconds: seconds of the pass, layers and loss together.
        step_seconds: seconds of the whole step.
    """

    forward_seconds: float
    backward_seconds: float
    step_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkForecast:
    """Forecast of one network's training step; its layers and other parts add up to the step.

    Attributes:
        network: short name.
        input: image shape, channels x height x width.
        batch: images in a step.
        predicted_step_seconds: seconds of a whole step of the network alone on its cores.
        step: mean times of the passes and of the step.
        layers: layers in the order of execution, the loss last.
        parts: parts of the step that belong to no layer.
    """

    network: str
    input: str
    batch: int
    predicted_step_seconds: Estimate
    step: PredictedStep
    layers: tuple[PredictedLayer, ...]
    parts: OtherParts
