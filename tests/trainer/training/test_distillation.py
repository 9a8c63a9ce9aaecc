"""The loss of a student, by hand and by its limits."""

import numpy as np
import pytest
import torch

from advisor.plans.plan import Distillation
from trainer.training.distillation import Teacher
from trainer.training.step import label_loss

LOGITS = torch.tensor([[1.0, -0.5, 0.25], [0.0, 2.0, -1.0]])
TAUGHT = torch.tensor([[0.5, 0.5, -2.0], [3.0, -1.0, 0.0]])
LABELS = torch.tensor([2, 1])


@pytest.fixture
def teacher(plain):
    """A teacher that always gives the same answers; call with its settings."""

    def make(**settings):
        answers = torch.nn.Module()
        answers.forward = lambda inputs: TAUGHT
        return Teacher(answers, Distillation(teacher="teacher", **settings), plain)

    return make


def softmax(x):
    exponentials = np.exp(x - x.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_the_loss_is_both_cross_entropies_by_hand(teacher, weight, temperature):
    logits, taught = LOGITS.double().numpy(), TAUGHT.double().numpy()
    soft = softmax(taught / temperature)
    imitation = -(soft * np.log(softmax(logits / temperature))).sum() * temperature**2
    plain = -np.log(softmax(logits))[np.arange(2), LABELS.numpy()].sum()
    found = teacher(weight=weight, temperature=temperature).loss(torch.zeros(2, 1, 1, 1), LOGITS, LABELS)
    assert float(found) == pytest.approx(weight * imitation + (1 - weight) * plain, rel=1e-5)


def test_parts_of_a_batch_add_up(teacher):
    one = teacher()
    whole = one.loss(torch.zeros(2, 1, 1, 1), LOGITS, LABELS)
    parts = 0.0
    for i in range(2):
        one.network.forward = lambda inputs, i=i: TAUGHT[i : i + 1]
        parts += one.loss(torch.zeros(1, 1, 1, 1), LOGITS[i : i + 1], LABELS[i : i + 1])
    assert float(parts) == pytest.approx(float(whole))


def test_a_student_that_agrees_has_no_gradient_from_its_teacher(teacher):
    logits = TAUGHT.clone().requires_grad_()
    teacher(weight=1.0).loss(torch.zeros(2, 1, 1, 1), logits, LABELS).backward()
    assert float(logits.grad.abs().max()) < 1e-6


def test_without_a_teacher_the_loss_is_that_of_the_labels():
    expected = torch.nn.functional.cross_entropy(LOGITS, LABELS, reduction="sum")
    assert label_loss(torch.zeros(2, 1), LOGITS, LABELS) == expected
