"""Distillation: a student learns from the outputs of a teacher and from the labels (Hinton et al. 2015).

Notation: z are the student's logits, t the teacher's, y the labels, T the temperature and w the weight. The
loss is w · T² · CE(z / T, softmax(t / T)) + (1 − w) · CE(z, y), summed over the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from advisor.plans.execution import Execution
from advisor.plans.plan import Distillation
from trainer.training.step import autocast


@dataclass(frozen=True, slots=True)
class Teacher:
    """A trained network and the settings of the distillation.

    Attributes:
        network: teacher in evaluation mode, on the device of the student.
        settings: weight and temperature.
        execution: arithmetic of the teacher.
    """

    network: nn.Module
    settings: Distillation
    execution: Execution

    def loss(self, inputs: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the summed loss of a batch, a scalar.

        Args:
            inputs: augmented and normalised images, (batch, channels, height, width).
            logits: outputs of the student, float32 (batch, classes).
            labels: true classes, int64 (batch,).
        """
        weight, temperature = self.settings.weight, self.settings.temperature
        with torch.no_grad(), autocast(self.execution):
            taught = self.network(inputs)
        soft = functional.softmax(taught.float() / temperature, dim=1)
        # Gradients of soft targets shrink with the square of the temperature (section 2 of the paper).
        imitation = functional.cross_entropy(logits / temperature, soft, reduction="sum") * temperature**2
        plain = functional.cross_entropy(logits, labels, reduction="sum")
        return weight * imitation + (1 - weight) * plain
