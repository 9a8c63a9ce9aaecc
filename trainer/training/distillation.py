"""Learning from a teacher's outputs besides the labels (Hinton et al. 2015, "Distilling the knowledge")."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from advisor.plans.execution import Execution
from advisor.plans.plan import Distillation
from trainer.training.step import arithmetic


@dataclass(frozen=True, slots=True)
class Teacher:
    """A trained network in evaluation mode, and how much its outputs count."""

    network: nn.Module
    settings: Distillation
    execution: Execution

    def loss(self, inputs: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the sum over a batch of both parts, a scalar.

        Args:
            inputs: what teacher and student see, (batch, channels, height, width).
            logits: of the student, float32 (batch, classes).
            labels: int64 (batch,).
        """
        weight, temperature = self.settings.weight, self.settings.temperature
        with torch.no_grad(), arithmetic(self.execution):
            taught = self.network(inputs)
        soft = functional.softmax(taught.float() / temperature, dim=1)
        # Gradients of soft targets shrink with the square of the temperature (section 2 of the paper).
        imitation = functional.cross_entropy(logits / temperature, soft, reduction="sum") * temperature**2
        plain = functional.cross_entropy(logits, labels, reduction="sum")
        return weight * imitation + (1 - weight) * plain
