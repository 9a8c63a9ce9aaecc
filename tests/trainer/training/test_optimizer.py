"""SGD against torch's own class, to the last bit."""

import subprocess
import sys

import pytest
import torch

from advisor.networks.architecture import lower, parse_network
from advisor.networks.layers import Task
from trainer.networks.network import build_network
from trainer.training.optimizer import SGD

TASK = Task(channels=1, height=8, width=8, classes=4)


def network():
    return build_network(lower(parse_network("resnet-8-4"), TASK), 1)


def set_gradients(networks, seed):
    """Give the same parameters of several networks the same gradients."""
    generator = torch.Generator().manual_seed(seed)
    for parameters in zip(*(each.parameters() for each in networks), strict=True):
        gradient = torch.randn(parameters[0].shape, generator=generator)
        for parameter in parameters:
            parameter.grad = gradient.clone()


@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.9, 1e-4), (0.9, 0.0), (0.0, 1e-2)])
def test_every_step_has_the_bits_of_torch(momentum, weight_decay):
    ours, theirs = network(), network()
    own = SGD(ours, momentum, weight_decay)
    other = torch.optim.SGD(
        theirs.parameters(), lr=0.0, momentum=momentum, weight_decay=weight_decay, fused=True
    )
    for number, rate in enumerate((0.1, 0.03, 0.01)):
        set_gradients((ours, theirs), number)
        own.rate = other.param_groups[0]["lr"] = rate
        own.step()
        other.step()
        pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
        assert all(torch.equal(one, another) for one, another in pairs)


def test_another_process_goes_on_with_the_momentum():
    whole, first = network(), network()
    one, before = SGD(whole, 0.9, 1e-4), SGD(first, 0.9, 1e-4)
    for number in range(2):
        set_gradients((whole, first), number)
        for each in (one, before):
            each.rate = 0.1
            each.step()
    second = network()
    second.load_state_dict(first.state_dict())
    after = SGD(second, 0.9, 1e-4)
    after.restore({name: momentum.clone() for name, momentum in before.momentum.items()})
    set_gradients((whole, second), 2)
    for each in (one, after):
        each.rate = 0.1
        each.step()
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))


def test_a_parameter_without_a_gradient_stays_and_has_no_momentum():
    layers = torch.nn.Linear(2, 1)
    layers.weight.grad = torch.ones(1, 2)
    before, optimizer = layers.bias.item(), SGD(layers, 0.9, 0.5)
    optimizer.rate = 0.1
    optimizer.step()
    assert layers.bias.item() == before
    assert set(optimizer.momentum) == {"weight"}


def test_momentum_of_another_shape_is_refused_by_its_name():
    with pytest.raises(ValueError, match=r"momentum of weight .* \(1, 2\), got \(1, 1\)"):
        SGD(torch.nn.Linear(2, 1), 0.9, 0.0).restore({"weight": torch.zeros(1, 1)})


def test_training_does_not_import_the_compiler_of_torch():
    script = """
import sys, torch
from profiler.memory import watch_peak
from trainer.training import loop
from trainer.training.optimizer import SGD
watch_peak("cpu")
layers = torch.nn.Linear(2, 1)
layers(torch.ones(1, 2)).sum().backward()
SGD(layers, 0.9, 0.1).step()
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
