"""Steps that are replayed or compiled: the same training as eager steps, or eager steps and one line."""

import gc
import weakref
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

import trainer.training.step_modes
from advisor.networks.architecture import lower, parse_network
from advisor.networks.layers import Task
from advisor.plans.dataset import Augmentation
from advisor.plans.records import StepStatus
from trainer.data.preparation import Preparation
from trainer.networks.network import build_network
from trainer.training import replay
from trainer.training.loop import NetworkTraining
from trainer.training.optimizer import SGD
from trainer.training.step import descend, unmarked
from trainer.training.step_modes import descent_in_mode

TASK = Task(channels=1, height=8, width=8, classes=4)


def preparation(device="cpu", memory_format="contiguous"):
    mean, deviation = torch.full((1,), 0.5, device=device), torch.full((1,), 0.25, device=device)
    return Preparation(Augmentation.CROP_FLIP, mean, deviation, memory_format)


def batches(count):
    """Images, shifts and labels of batches."""
    generator = torch.Generator().manual_seed(3)
    for number in range(count):
        images = torch.randint(0, 256, (16, 1, 8, 8), generator=generator, dtype=torch.uint8)
        yield *preparation().drawn(images, number), torch.randint(0, 4, (16,), generator=generator)


def built(name="resnet-8-4"):
    network = build_network(lower(parse_network(name), TASK), 1).train()
    return network, SGD(network, 0.9, 1e-3)


def trained(execution, descent_of, name="resnet-8-4"):
    """Weights, running statistics and losses after five batches with five rates."""
    network, optimizer = built(name)
    descent, losses = descent_of(network, optimizer, execution), []
    for rate, batch in zip((0.1, 0.3, 0.02, 0.0, 0.05), batches(5), strict=True):
        optimizer.rate = rate
        loss, wrong = descent(*batch, unmarked)
        losses.append((float(loss), int(wrong)))
    return [t.clone() for t in network.state_dict().values()], losses


def eager(network, optimizer, execution):
    prepared = preparation(execution.device, execution.memory_format)

    def step(images, shifts, labels, mark):
        inputs = prepared.inputs(images, shifts)
        return descend(network, optimizer, inputs, labels, len(labels), execution)

    return step


def in_mode(mode, refuse=pytest.fail):
    def of(network, optimizer, execution):
        prepared = preparation(execution.device, execution.memory_format)
        return descent_in_mode(network, optimizer, prepared, replace(execution, step_mode=mode), refuse)

    return of


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_replayed_steps_follow_images_labels_and_rates_to_the_last_bit(plain, same_bits, dtype):
    execution = replace(plain, dtype=dtype)
    weights, losses = trained(execution, in_mode("graph"))
    expected, wanted = trained(execution, eager)
    assert losses == wanted
    assert all(torch.equal(a, b) for a, b in zip(weights, expected, strict=True))


@pytest.mark.parametrize("design", ["resnet-8-4", "2xmlp-1-8@g1"])
def test_a_plan_with_replayed_steps_ends_with_the_weights_of_eager_ones(
    plan_of, run, files, weights, same_bits, design
):
    plan = plan_of(design)
    story = run(replace(plan, execution=replace(plan.execution, step_mode="graph")))
    other = replace(files, folder=files.folder.with_name("eager"))
    run(plan, other)
    assert story.notices == []
    for network in plan.networks:
        assert same_bits(weights(network.name), weights(network.name, other))


def test_eager_steps_need_no_descent_of_their_own(plain):
    assert descent_in_mode(*built(), preparation(), plain, pytest.fail) is None


# A mode that fails, or gives other numbers.


def refusals(monkeypatch, plain, module_of):
    """Train compiled with another compiler, and return weights, eager ones and the reasons."""
    monkeypatch.setattr(trainer.training.step_modes, "_compiled", module_of)
    reasons = []
    found = trained(plain, in_mode("compiled", reasons.append))
    return found, trained(plain, eager), [str(reason) for reason in reasons]


def no_compiler(network):
    raise RuntimeError("no C++ compiler\nand a long explanation")


def test_a_mode_that_fails_leaves_the_training_as_it_would_have_been(monkeypatch, plain):
    (weights, losses), (expected, wanted), reasons = refusals(monkeypatch, plain, no_compiler)
    assert reasons == ["steps in the mode 'compiled' are not possible here: no C++ compiler"]
    assert losses == wanted
    assert all(torch.equal(a, b) for a, b in zip(weights, expected, strict=True))


@pytest.mark.parametrize(
    "wrong",
    [
        # Images that are not those of the batch; half of the gradient; no number at all.
        lambda network: lambda inputs: network(inputs.flip(0)),
        lambda network: lambda inputs: network(inputs) * torch.nan,
        lambda network: lambda inputs: network(inputs).detach() + 0 * network(inputs),
    ],
    ids=["other images", "not a number", "no gradient"],
)
def test_a_mode_that_changes_the_weights_otherwise_is_refused(monkeypatch, plain, wrong):
    (weights, losses), (expected, wanted), reasons = refusals(monkeypatch, plain, wrong)
    assert len(reasons) == 1
    assert "a step differs from an eager one by" in reasons[0] or "leaves out a part" in reasons[0]
    assert losses == wanted
    assert all(torch.equal(a, b) for a, b in zip(weights, expected, strict=True))


def test_a_faithful_compiler_is_used(monkeypatch, plain):
    calls = []
    monkeypatch.setattr(
        trainer.training.step_modes,
        "_compiled",
        lambda network: lambda inputs: (calls.append(len(inputs)), network(inputs))[1],
    )
    _, losses = trained(plain, in_mode("compiled"))
    # One batch is the trial.
    assert calls == [16] * 6
    assert losses == trained(plain, eager)[1]


def test_a_mode_for_which_memory_is_short_is_refused(monkeypatch, plain):
    # The eager step of the trial had enough.
    def hungry(network):
        raise torch.OutOfMemoryError("no memory")

    (_, losses), (_, wanted), reasons = refusals(monkeypatch, plain, hungry)
    assert reasons == ["steps in the mode 'compiled' are not possible here: no memory"]
    assert losses == wanted


def test_want_of_memory_for_the_eager_step_of_a_trial_is_want_of_memory(monkeypatch, plain):
    def short(*arguments, **settings):
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(trainer.training.step_modes, "descend", short)
    with pytest.raises(torch.OutOfMemoryError):
        trained(plain, in_mode("graph"))


def test_the_first_of_several_errors_is_the_reason(monkeypatch, plain):
    def failing(network):
        try:
            raise RuntimeError("operation not permitted when stream is capturing")
        finally:
            raise RuntimeError("previous error during capture")

    *_, reasons = refusals(monkeypatch, plain, failing)
    assert reasons == [
        "steps in the mode 'compiled' are not possible here: operation not permitted when stream is capturing"
    ]


def test_a_step_that_leaves_out_one_layer_is_refused(monkeypatch, plain):
    def without_its_first_layer(network):
        first = next(network.parameters())

        def forward(inputs):
            first.requires_grad_(False)
            logits = network(inputs)
            first.requires_grad_(True)
            return logits

        return forward

    (_, losses), (_, wanted), reasons = refusals(monkeypatch, plain, without_its_first_layer)
    assert reasons == [
        "steps in the mode 'compiled' are not possible here: a step leaves out a part of the network"
    ]
    assert losses == wanted


@pytest.mark.parametrize("mode", ["graph", "compiled"])
def test_a_training_that_has_ended_gives_its_memory_back(monkeypatch, plan_of, files, digits, mode):
    monkeypatch.setattr(trainer.training.step_modes, "_compiled", lambda network: lambda x: network(x))
    plan = plan_of("mlp-1-8", step_mode=mode)
    training = NetworkTraining(
        plan, plan.steps[0], digits, files.of_network("member-1"), lambda event: None, lambda: False
    )
    training.run()
    network = weakref.ref(training.network)
    gc.disable()
    try:
        del training
        assert network() is None
    finally:
        gc.enable()


def test_a_training_whose_mode_fails_goes_on_and_says_so_once(monkeypatch, plan_of, run):
    monkeypatch.setattr(trainer.training.step_modes, "_compiled", no_compiler)
    plan = plan_of("mlp-1-8")
    story = run(replace(plan, execution=replace(plan.execution, step_mode="compiled")))
    assert story.notices == [
        "member-1: steps in the mode 'compiled' are not possible here: no C++ compiler; steps are eager"
    ]
    assert {record.status for record in story.ended.values()} == {StepStatus.DONE}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_compiled_steps_train_like_eager_ones(plain, dtype):
    execution = replace(plain, dtype=dtype)
    _, losses = trained(execution, in_mode("compiled"), "mlp-2-16")
    _, expected = trained(execution, eager, "mlp-2-16")
    tolerance = 1e-4 if dtype == "float32" else 0.05
    assert [loss for loss, _ in losses] == pytest.approx([loss for loss, _ in expected], rel=tolerance)


# The recording of graphs, on a device that is made up.


class Device:
    """A device that notes what is recorded on it; kernels run at once."""

    def __init__(self, monkeypatch):
        self.log, self.recording = [], None
        for name in ("Stream", "current_stream", "default_stream"):
            monkeypatch.setattr(torch.cuda, name, lambda: self)
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: Recorded(self))
        monkeypatch.setattr(torch.cuda, "graph", self.graph)
        monkeypatch.setattr(torch.cuda, "stream", self.stream)

    def wait_stream(self, other):
        assert other is self

    @contextmanager
    def stream(self, stream):
        self.log.append("side stream")
        yield

    @contextmanager
    def graph(self, graph, pool, stream):
        assert (pool, stream) == ("pool", self)
        self.recording = graph
        yield
        self.recording = None

    def kernel(self, name):
        if self.recording is None:
            self.log.append(name)
        else:
            self.recording.kernels.append(name)


class Recorded:
    def __init__(self, device):
        self.device, self.kernels = device, []

    def replay(self):
        self.device.log += [f"replayed {name}" for name in self.kernels]


def test_phases_are_recorded_once_after_some_steps_and_replayed_in_their_order(monkeypatch):
    device = Device(monkeypatch)
    names = ("data", "forward", "backward", "optimizer")
    phases = {name: lambda name=name: device.kernel(name) for name in names}
    replays = replay._recorded(phases)
    assert device.log == ["side stream", *names * replay.WARM_UP]
    device.log.clear()
    for again in replays.values():
        again()
    assert device.log == [f"replayed {name}" for name in names]


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_graph_on_a_gpu_follows_images_labels_and_rates(plain, dtype):
    execution = replace(plain, device="cuda", dtype=dtype, memory_format="channels_last")

    def trained_there(mode):
        network, optimizer = built()
        network.to("cuda", memory_format=torch.channels_last)
        optimizer = SGD(network, 0.9, 1e-3)
        descent = in_mode(mode)(network, optimizer, execution) or eager(network, optimizer, execution)
        losses = []
        for rate, batch in zip((0.1, 0.3, 0.02, 0.0, 0.05), batches(5), strict=True):
            optimizer.rate = rate
            loss, _ = descent(*(tensor.cuda() for tensor in batch), unmarked)
            losses.append(float(loss))
        return losses

    assert trained_there("graph") == pytest.approx(trained_there("eager"), rel=0.02)


@pytest.mark.slow
def test_the_tenth_network_of_a_process_is_compiled_too(plain, monkeypatch):
    # By default torch compiles eight networks, and leaves the ninth eager without a word.
    execution = replace(plain, step_mode="compiled")
    compiled = []
    for depth in range(1, 11):
        network, optimizer = built(f"mlp-{depth}-4")
        optimizer.rate = 0.1
        descent = descent_in_mode(network, optimizer, preparation(), execution, pytest.fail)
        descent(*next(batches(1)), unmarked)
        compiled.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert compiled == [compiled[0] + more for more in range(10)]
