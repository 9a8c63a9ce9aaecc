"""Peak training memory of a network from its specification, without building it.

Training with SGD and momentum holds every weight three times (value, gradient, momentum) in float32,
keeps the activations that the backward pass reads, and at the largest map two gradients besides. Under
bfloat16 autocast activations take 2 bytes and a cast copy of the weights is cached. What libraries and
the allocator add is learned by the cost predictor.
"""

from __future__ import annotations

from advisor.features import NetworkFeatures

FLOAT_BYTES = 4
POSITION_BYTES = 8
ACTIVATION_BYTES = {"float32": 4, "bfloat16": 2}


def training_bytes(features: NetworkFeatures, batch: int, dtype: str) -> float:
    """Return the peak bytes of training one network.

    Args:
        features: of the network.
        batch: images in a step.
        dtype: ``float32`` or ``bfloat16``.
    """
    activation = ACTIVATION_BYTES[dtype]
    weights = 3 * FLOAT_BYTES * features.parameters
    if dtype != "float32":
        weights += activation * features.parameters
    maps = activation * (features.saved_elements + 2 * features.largest_elements)
    images = FLOAT_BYTES * features.input_elements
    return weights + batch * (maps + POSITION_BYTES * features.saved_positions + images)
