"""Whole plans on the digits: determinism, stopping, divergence, want of memory, failures, hatching."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

import trainer.execution.plan_step
import trainer.training.loop
import trainer.training.step
from advisor.errors import PlanError, RunError, StorageError
from advisor.plans.plan import HatchStep, TrainStep
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from advisor.plans.schedule import PlateauSchedule
from trainer.data.batches import normalised
from trainer.ensembles.evaluate import evaluate
from trainer.events import CheckpointWritten, TrainingStarted
from trainer.training.checkpoint import load_checkpoint
from trainer.training.loop import NetworkTraining, load_network
from trainer.training.stored_probabilities import unpack_probabilities


def elsewhere(files, name):
    """The files of another run."""
    return replace(files, folder=files.folder.with_name(name))


def with_schedule(plan, network, **changes):
    """The plan with another schedule in the training steps of a network."""
    steps = tuple(
        replace(step, schedule=replace(step.schedule, **changes))
        if isinstance(step, TrainStep) and step.network == network
        else step
        for step in plan.steps
    )
    return replace(plan, steps=steps)


class StopAfter:
    """Turns true after some calls."""

    def __init__(self, calls):
        self.left = calls

    def __call__(self):
        self.left -= 1
        return self.left < 0


# The same seed, the same bits.


@pytest.mark.parametrize(
    ("design", "settings"),
    [
        ("mlp-2-8", {}),
        ("resnet-8-4", {"memory_format": "channels_last"}),
        ("resnet-8-4", {"dtype": "bfloat16"}),
        ("2xmlp-1-8@g1", {}),
    ],
)
def test_the_same_plan_gives_the_same_weights_bit_for_bit(
    plan_of, run, files, weights, same_bits, design, settings
):
    plan = plan_of(design, **settings)
    stories = [run(plan, elsewhere(files, name)) for name in ("a", "b")]
    for network in plan.networks:
        a, b = (weights(network.name, elsewhere(files, name)) for name in ("a", "b"))
        assert same_bits(a, b)
    assert stories[0].epoch_records() == stories[1].epoch_records()
    assert {r.status for r in stories[0].ended.values()} == {StepStatus.DONE}


def test_another_seed_gives_other_weights_and_members_differ(plan_of, run, files, weights):
    plan = plan_of("2xmlp-1-8")
    run(plan)
    run(replace(plan, seed=plan.seed + 1), elsewhere(files, "other"))
    name = "layers.classifier.weight"
    first, second = weights("member-1")[name], weights("member-2")[name]
    assert not torch.equal(first, second)
    assert not torch.equal(first, weights("member-1", elsewhere(files, "other"))[name])


def test_every_epoch_and_step_is_reported_once_and_in_order(plan_of, run):
    story = run(plan_of("2xmlp-1-8"))
    assert story.begun == 1
    assert [(r.network, r.epoch) for r in story.epochs] == [
        ("member-1", 0),
        ("member-1", 1),
        ("member-2", 0),
        ("member-2", 1),
    ]
    assert [(r.step, r.status) for r in story.steps] == [
        ("train member-1", StepStatus.DONE),
        ("train member-2", StepStatus.DONE),
    ]
    assert story.notices == []
    kinds = [type(event) for event in story.events if not isinstance(event, CheckpointWritten)]
    assert kinds == [TrainingStarted, *2 * [EpochRecord, EpochRecord, StepRecord]]


def test_the_record_of_an_epoch_says_what_the_network_does_on_the_validation_images(
    plan_of, run, files, digits
):
    plan = plan_of("resnet-8-4")
    last = run(plan).epochs[-1]
    network = load_network(plan, "member-1", files.of_network("member-1"))[0].eval()
    with torch.no_grad():
        logits = network(normalised(digits.validation.images, digits.mean, digits.deviation, "contiguous"))
    expected = torch.softmax(logits.double(), 1)
    labels = digits.validation.labels
    assert last.validation_error == float((logits.argmax(1) != labels).double().mean())
    likelihood = expected[torch.arange(len(labels)), labels].log()
    assert last.validation_loss == pytest.approx(-float(likelihood.mean()), rel=1e-4)
    packed = unpack_probabilities(last.validation_probabilities, 10)
    assert np.abs(packed - expected.numpy()).max() <= 1 / 510 + 1e-5
    assert 0 <= last.train_error <= 1
    assert last.seconds > 0


def test_training_learns_the_digits(plan_of, run):
    story = run(plan_of("mlp-1-32", epochs=6, rate=0.2))
    # One answer in ten is right by chance.
    assert story.epochs[-1].validation_error < 0.3
    assert story.epochs[-1].train_loss < story.epochs[0].train_loss


def test_rates_are_those_of_the_schedule(plan_of, run):
    plan = with_schedule(plan_of("mlp-1-4", epochs=4, rate=0.08), "member-1", drops=(1, 3), warmup=True)
    assert [r.rate for r in run(plan).epochs] == pytest.approx([0.08, 0.008, 0.008, 0.0008])


def test_the_record_of_an_epoch_does_not_change_the_optimizer(plan_of, files, digits):
    # The last of 8 batches of a warm-up epoch is trained at 7/8 of the rate at which the epoch ends.
    plan = with_schedule(plan_of("mlp-1-4", epochs=2, rate=0.08), "member-1", drops=(), warmup=True)
    rates, records = [], []

    def tell(event):
        rates.append(training.optimizer.rate)
        records.append(event)

    folder = files.of_network("member-1")
    training = NetworkTraining(plan, plan.steps[0], digits, folder, tell, lambda: False)
    training.run()
    assert records[0].rate == 0.08
    assert rates[0] == 0.08 * 7 / 8


# Stopping and going on.


@pytest.mark.parametrize("calls", [1, 4, 8, 9, 10, 15])
def test_stopping_anywhere_and_going_on_ends_with_the_same_bits(
    plan_of, run, files, weights, same_bits, calls
):
    plan = plan_of("resnet-8-4", memory_format="channels_last")
    whole = run(plan, elsewhere(files, "whole"))
    stopped = run(plan, stop=StopAfter(calls))
    assert stopped.ended == {}
    resumed = run(plan)
    assert resumed.status("train member-1") is StepStatus.DONE
    assert same_bits(weights("member-1"), weights("member-1", elsewhere(files, "whole")))
    stopped.epochs += resumed.epochs
    assert stopped.epoch_records() == whole.epoch_records()
    folders = [f.of_network("member-1") for f in (files, elsewhere(files, "whole"))]
    a, b = (load_checkpoint(folder, pytest.fail) for folder in folders)
    assert same_bits(a.momentum, b.momentum)
    assert a.momentum.keys() == {
        n for n, _ in load_network(plan, "member-1", folders[0])[0].named_parameters()
    }
    assert a.progress.train_errors == b.progress.train_errors


def test_a_run_that_is_stopped_again_and_again_ends_with_the_same_bits(
    plan_of, run, files, weights, same_bits
):
    plan = plan_of("2xmlp-2-8@g1")
    whole = run(plan, elsewhere(files, "whole"))
    epochs, executions = [], 0
    while True:
        story = run(plan, stop=StopAfter(8))
        epochs += story.epochs
        executions += 1
        if len(story.ended) == len(plan.steps):
            break
        assert executions < 30
    assert executions > 3
    story.epochs = epochs
    assert story.epoch_records() == whole.epoch_records()
    for network in plan.networks:
        assert same_bits(weights(network.name), weights(network.name, elsewhere(files, "whole")))


def test_a_finished_run_is_not_trained_again_and_tells_its_last_epochs(plan_of, run, weights, same_bits):
    plan = plan_of("2xmlp-1-4@g1")
    first = run(plan)
    before = {n.name: weights(n.name) for n in plan.networks}
    again = run(plan)
    assert [(r.network, r.epoch) for r in again.epochs] == [("mother-1", 1), ("member-1", 0), ("member-2", 0)]
    assert set(again.epochs) <= set(first.epochs)
    assert all(same_bits(before[name], weights(name)) for name in before)
    for step, record in first.ended.items():
        assert again.ended[step].status is StepStatus.DONE
        assert again.ended[step].hatch_difference == record.hatch_difference


def test_the_seconds_of_a_step_and_of_an_epoch_add_up_over_executions(plan_of, run):
    plan = plan_of("mlp-1-4")
    first = run(plan, stop=StopAfter(13))
    second = run(plan)
    total = sum({r.epoch: r.seconds for r in [*first.epochs, *second.epochs]}.values())
    # Checkpoints and the receiver of events come on top.
    assert total <= second.ended["train member-1"].seconds <= 1.2 * total + 0.5


def test_a_damaged_newest_checkpoint_is_reported_and_costs_one_interval(
    plan_of, run, files, weights, same_bits
):
    plan = plan_of("mlp-1-8", epochs=3)
    run(plan, elsewhere(files, "whole"))
    run(plan, stop=StopAfter(20))
    newest = max(files.of_network("member-1").glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-8])
    story = run(plan)
    assert len(story.notices) == 1
    assert "damaged" in story.notices[0]
    assert same_bits(weights("member-1"), weights("member-1", elsewhere(files, "whole")))


# Losses that are not finite.


def test_a_network_that_diverges_goes_back_once_and_its_siblings_finish(plan_of, run):
    plan = with_schedule(plan_of("3xmlp-2-8"), "member-2", rate=1e30)
    story = run(plan)
    assert [story.status(f"train member-{n}") for n in (1, 2, 3)] == [
        StepStatus.DONE,
        StepStatus.DIVERGED,
        StepStatus.DONE,
    ]
    assert len(story.notices) == 1
    assert story.notices[0].startswith("member-2: the loss is not finite")
    message = story.ended["train member-2"].message
    assert "member-2 diverged" in message
    assert "lower the learning rate" in message
    assert [r.network for r in story.epochs] == ["member-1"] * 2 + ["member-3"] * 2


class Spoiled:
    """The training step, after which weights are not numbers in the calls named, nor is its loss if told."""

    def __init__(self, *calls, told=True):
        self.calls, self.told, self.count, self.step = calls, told, 0, trainer.training.loop.training_step

    def __call__(self, network, *arguments, **settings):
        loss, wrong = self.step(network, *arguments, **settings)
        self.count += 1
        if self.count in self.calls:
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.fill_(math.nan)
            return (loss * math.nan if self.told else loss), wrong
        return loss, wrong


def test_after_one_bad_loss_training_starts_over_at_half_the_rate(
    plan_of, run, files, weights, same_bits, monkeypatch
):
    plan = plan_of("mlp-2-8")
    run(with_schedule(plan, "member-1", rate=0.025), elsewhere(files, "half"))
    monkeypatch.setattr(trainer.training.loop, "training_step", Spoiled(3))
    story = run(plan)
    assert story.status("train member-1") is StepStatus.DONE
    assert len(story.notices) == 1
    assert [r.rate for r in story.epochs] == pytest.approx([0.025, 0.0025])
    assert same_bits(weights("member-1"), weights("member-1", elsewhere(files, "half")))


def test_a_bad_loss_in_a_later_epoch_costs_that_epoch_alone(plan_of, run, monkeypatch):
    monkeypatch.setattr(trainer.training.loop, "training_step", Spoiled(8 + 5))
    story = run(plan_of("mlp-2-8", epochs=3))
    assert story.status("train member-1") is StepStatus.DONE
    assert [r.epoch for r in story.epochs] == [0, 1, 2]
    assert all(math.isfinite(r.train_loss + r.validation_loss) for r in story.epochs)


def test_a_run_that_is_stopped_after_a_bad_loss_does_not_go_on_from_spoiled_weights(
    plan_of, run, files, weights, same_bits, monkeypatch
):
    plan = plan_of("mlp-2-8")
    run(plan, elsewhere(files, "whole"))
    with monkeypatch.context() as patched:
        patched.setattr(trainer.training.loop, "training_step", Spoiled(8 + 3))
        # One call before the step, 8 in the first epoch: stops before the sixth batch of the second.
        run(plan, stop=StopAfter(1 + 8 + 5))
    story = run(plan)
    assert story.status("train member-1") is StepStatus.DONE
    assert story.notices == []
    assert same_bits(weights("member-1"), weights("member-1", elsewhere(files, "whole")))


def test_weights_that_the_last_update_of_training_spoiled_are_not_kept(plan_of, run, weights, monkeypatch):
    # Two epochs of 8 batches: no loss has seen what the sixteenth left.
    monkeypatch.setattr(trainer.training.loop, "training_step", Spoiled(16, told=False))
    story = run(plan_of("mlp-2-8"))
    assert story.status("train member-1") is StepStatus.DONE
    assert len(story.notices) == 1
    assert "half the rate" in story.notices[0]
    assert all(tensor.isfinite().all() for tensor in weights("member-1").values())
    assert [r.rate for r in story.epochs] == pytest.approx([0.05, 0.0025])


def test_weights_that_the_last_update_before_a_stop_spoiled_are_not_kept(
    plan_of, run, files, weights, same_bits, monkeypatch
):
    plan = plan_of("mlp-2-8")
    run(plan, elsewhere(files, "whole"))
    with monkeypatch.context() as patched:
        patched.setattr(trainer.training.loop, "training_step", Spoiled(8 + 5, told=False))
        run(plan, stop=StopAfter(1 + 8 + 5))
    story = run(plan)
    assert story.notices == []
    assert same_bits(weights("member-1"), weights("member-1", elsewhere(files, "whole")))


# Want of memory.


ON_CUDA = torch.OutOfMemoryError("CUDA out of memory")
ON_CPU = RuntimeError("DefaultCPUAllocator: can't allocate memory")


def short_of_memory(most, error=ON_CUDA):
    """The training step on a device that holds `most` images, which fails after work is done."""
    step = trainer.training.loop.training_step

    def training_step(network, optimizer, images, labels, **settings):
        at_once = settings["micro_batch"] or len(labels)
        if at_once > most:
            # Gradients of the failed attempt must not count.
            network(torch.randn(4, 1, 8, 8)).sum().backward()
            raise error
        return step(network, optimizer, images, labels, **settings)

    return training_step


@pytest.mark.parametrize("error", [ON_CUDA, ON_CPU], ids=["cuda", "cpu"])
def test_a_batch_that_does_not_fit_is_halved_until_it_does_and_adds_up_to_the_same(
    plan_of, run, files, weights, monkeypatch, error
):
    plan = plan_of("mlp-1-8")
    run(plan, elsewhere(files, "whole"))
    monkeypatch.setattr(trainer.training.loop, "training_step", short_of_memory(40, error))
    story = run(plan)
    assert story.status("train member-1") is StepStatus.DONE
    assert story.ended["train member-1"].message == "32 images at a time, for want of memory"
    assert story.notices == [f"member-1: out of memory, going on with {n} images at a time" for n in (64, 32)]
    expected = weights("member-1", elsewhere(files, "whole"))
    for name, tensor in weights("member-1").items():
        # 16 steps of sums in another order.
        assert torch.allclose(tensor, expected[name], rtol=0, atol=2e-6), name


def test_a_smaller_micro_batch_is_remembered_when_a_run_goes_on(plan_of, run, monkeypatch):
    monkeypatch.setattr(trainer.training.loop, "training_step", short_of_memory(40))
    plan = plan_of("mlp-1-8")
    run(plan, stop=StopAfter(5))
    story = run(plan)
    assert story.notices == []
    assert story.ended["train member-1"].message == "32 images at a time, for want of memory"


def test_a_network_that_never_fits_fails_with_a_remedy_and_its_siblings_finish(plan_of, run, monkeypatch):
    step = trainer.training.loop.training_step

    def only_small(network, *arguments, **settings):
        if len(network.graph.nodes) > 5:
            raise torch.OutOfMemoryError("out of memory")
        return step(network, *arguments, **settings)

    monkeypatch.setattr(trainer.training.loop, "training_step", only_small)
    story = run(plan_of("resnet-8-4+mlp-1-4"))
    assert story.status("train member-2") is StepStatus.DONE
    record = story.ended["train member-1"]
    assert record.status is StepStatus.FAILED
    assert "two images at a time; choose a smaller design" in record.message


def test_another_error_of_torch_fails_the_step_with_its_first_line(plan_of, run, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("the kernel is broken\nwith many\nlines")

    monkeypatch.setattr(trainer.training.loop, "training_step", broken)
    story = run(plan_of("mlp-1-4"))
    assert story.ended["train member-1"].status is StepStatus.FAILED
    assert story.ended["train member-1"].message == "the kernel is broken"
    assert story.notices == []


# Dependencies.


def test_steps_whose_mother_failed_fail_and_say_why(plan_of, run):
    plan = plan_of("mlp-1-8+2xmlp-2-8@g2")
    mother = next(n.name for n in plan.networks if n.name.startswith("mother"))
    story = run(with_schedule(plan, mother, rate=1e30))
    single = next(s.id for s in plan.steps if isinstance(s, TrainStep) and s.network == "member-1")
    assert story.status(single) is StepStatus.DONE
    assert story.status(f"train {mother}") is StepStatus.DIVERGED
    for member in ("member-2", "member-3"):
        assert story.ended[f"hatch {member}"].message == f"train {mother} diverged"
        assert story.ended[f"train {member}"].message == f"hatch {member} failed"
        assert story.status(f"train {member}") is StepStatus.FAILED
    assert len(story.steps) == len(plan.steps)


def test_a_member_that_cannot_be_hatched_fails_alone(plan_of, run, monkeypatch):
    hatch = trainer.execution.plan_step.hatch

    def refusing(mother, mother_spec, member_spec, *rest):
        if member_spec.depth == 3:
            raise PlanError("the rule and the remedy")
        return hatch(mother, mother_spec, member_spec, *rest)

    monkeypatch.setattr(trainer.execution.plan_step, "hatch", refusing)
    story = run(plan_of("mlp-2-8+mlp-3-8@g1"))
    assert story.ended["hatch member-2"].message == "the rule and the remedy"
    assert [story.status(f"train member-{n}") for n in (1, 2)] == [StepStatus.DONE, StepStatus.FAILED]


def test_a_disk_that_refuses_ends_the_run(plan_of, run, monkeypatch):
    def full(*_):
        raise StorageError("the disk is full")

    monkeypatch.setattr(trainer.training.loop, "save_checkpoint", full)
    with pytest.raises(StorageError, match="the disk is full"):
        run(plan_of("mlp-1-4"))


# Plateaus.


def test_a_plateau_ends_training_when_the_error_has_not_improved_for_its_patience(plan_of, run):
    plan = plan_of("mlp-1-4")
    plateau = PlateauSchedule(epochs=60, rate=1e-4, patience=2, expected=10)
    plan = replace(plan, steps=(replace(plan.steps[0], schedule=plateau),))
    errors = [r.train_error for r in run(plan).epochs]
    assert 3 <= len(errors) < 60
    # The last two are no better than the best before, and it was so for the first time.
    assert min(errors[-2:]) >= min(errors[:-2])
    for end in range(3, len(errors)):
        assert min(errors[end - 2 : end]) < min(errors[: end - 2])


# Hatching.


def still(plan, noise=None):
    """The plan with hatched members that hardly move from where they start."""
    for network in plan.members:
        plan = with_schedule(plan, network.name, rate=1e-9)
    if noise is None:
        return plan
    steps = tuple(replace(s, noise=noise) if isinstance(s, HatchStep) else s for s in plan.steps)
    return replace(plan, steps=steps)


@pytest.mark.parametrize(
    "design",
    [
        "resnet-8-4+resnet-14-6@g1",
        "wrn-10-1~b1l1:3x4+wrn-10-1@g1",
        "densenet-7-4+densenet-10-6@g1",
        "mlp-1-8+mlp-3-12@g1",
        # The third layer of one member is narrower than all other layers.
        "mlp-2-32~b1l2:1x24+mlp-3-32~b1l2:1x24,b1l3:1x12@g1",
    ],
)
def test_hatched_members_start_where_their_mother_ends(plan_of, run, design):
    story = run(still(plan_of(design, epochs=4)))
    mother = [r for r in story.epochs if r.network == "mother-1"][-1]
    scratch = next(r for r in story.epochs if r.network == "mother-1")
    for member in ("member-1", "member-2"):
        (first,) = (r for r in story.epochs if r.network == member)
        assert first.validation_error == pytest.approx(mother.validation_error, abs=0.04)
        assert first.validation_loss < scratch.validation_loss
        assert story.ended[f"hatch {member}"].hatch_difference <= 1e-9
        assert story.ended[f"train {member}"].hatch_difference is None


def test_members_that_taper_learn_from_where_their_mother_ends(plan_of, run):
    story = run(plan_of("vgg-11-4+vgg-11-4~b2:3,b2l3:3x5,b6:2,b6l2:1x20@g1", epochs=4))
    assert {record.status for record in story.ended.values()} == {StepStatus.DONE}
    mother = [r for r in story.epochs if r.network == "mother-1"]
    for member in ("member-1", "member-2"):
        (trained,) = (r for r in story.epochs if r.network == member)
        assert story.ended[f"hatch {member}"].hatch_difference <= 1e-9
        assert trained.train_loss < mother[-1].train_loss < mother[0].train_loss


def test_the_record_of_a_deepened_vgg_tells_how_far_train_mode_moves_and_that_of_a_wider_one_nothing(
    plan_of, run
):
    story = run(plan_of("vgg-11-2+vgg-13-3+vgg-11-4@g1"))
    records = [story.ended[f"hatch member-{i}"] for i in (1, 2, 3)]
    assert max(record.hatch_difference for record in records) <= 1e-9
    same, deeper, wider = (record.message for record in records)
    assert same == wider == ""
    told = re.fullmatch(r"in train mode logits move by (\d+\.\d) % of their spread", deeper)
    assert 0.1 < float(told[1]) < 20


def test_hatching_calibrates_on_images_from_the_whole_training_set(plan_of, run, digits, monkeypatch):
    seen = []

    def hatch(mother, mother_spec, member_spec, task, images, seed):
        seen.append(images)
        return grown(mother, mother_spec, member_spec, task, images, seed)

    grown = trainer.execution.plan_step.hatch
    monkeypatch.setattr(trainer.execution.plan_step, "hatch", hatch)
    run(plan_of("2xmlp-1-4@g1"))
    everything = normalised(digits.train.images, digits.mean, digits.deviation, "contiguous")
    for images in seen:
        places = [int((everything == image).flatten(1).all(1).nonzero()[0]) for image in images]
        assert len(images) == len(set(places)) == 256
        # A folder is stored class by class, so the first 256 images may be of one class.
        assert max(places) - min(places) > 0.9 * len(everything)
    assert len(seen) == 2
    assert not torch.equal(*seen)


def test_without_noise_a_member_of_the_mothers_shape_is_the_mother(plan_of, run, weights, same_bits):
    plan = still(plan_of("2xmlp-2-8@g1"), noise=0.0)
    # One call before a step and one before each of the mother's 16 batches: stops after the first hatching.
    run(plan, stop=StopAfter(1 + 16 + 1))
    assert same_bits(weights("mother-1"), weights("member-1"))


def test_noise_makes_members_of_one_shape_differ(plan_of, run, files, digits):
    plan = still(plan_of("2xmlp-2-8@g1"), noise=0.3)
    run(plan)
    assert evaluate(plan, files, digits, ["member-1", "member-2"]).metrics.disagreement > 0


def test_hatching_is_done_once_and_a_damaged_hatching_is_done_again(plan_of, run, files, weights, same_bits):
    plan = plan_of("2xmlp-1-8@g1")
    run(plan, elsewhere(files, "whole"))
    run(plan, stop=StopAfter(1 + 16 + 1))
    for path in files.of_network("member-1").glob("*.safetensors"):
        path.write_bytes(b"damaged")
    story = run(plan)
    assert any("member-1" in notice and "damaged" in notice for notice in story.notices)
    assert same_bits(weights("member-1"), weights("member-1", elsewhere(files, "whole")))


# Evaluation.


def test_evaluation_equals_a_loop_over_the_test_images(plan_of, run, files, digits):
    plan = plan_of("resnet-8-4+mlp-1-16")
    run(plan)
    figures = evaluate(plan, files, digits, ["member-1", "member-2"]).metrics
    networks = [
        load_network(plan, name, files.of_network(name))[0].eval() for name in ("member-1", "member-2")
    ]
    wrong, outvoted, oracle, likelihood, differing, member_wrong = 0, 0, 0, 0.0, 0, [0, 0]
    for image, label in zip(digits.test.images, digits.test.labels.tolist(), strict=True):
        pixels = (image[None].float() / 255 - digits.mean) / digits.deviation
        with torch.no_grad():
            outputs = [torch.softmax(network(pixels)[0].double(), 0) for network in networks]
        answers = [int(p.argmax()) for p in outputs]
        average = (outputs[0] + outputs[1]) / 2
        wrong += int(average.argmax()) != label
        # Of two votes that differ the one counts that has the higher average.
        outvoted += max(answers, key=lambda c: float(average[c])) != label
        oracle += label not in answers
        differing += answers[0] != answers[1]
        likelihood -= math.log(average[label])
        member_wrong = [w + (a != label) for w, a in zip(member_wrong, answers, strict=True)]
    count = len(digits.test)
    assert figures.error == wrong / count
    assert figures.oracle_error == oracle / count
    assert figures.disagreement == differing / count
    assert figures.member_errors == tuple(w / count for w in member_wrong)
    assert figures.nll == pytest.approx(likelihood / count, rel=1e-5)
    assert figures.voting_error == outvoted / count


def test_the_best_member_and_the_weights_are_chosen_on_the_validation_set(plan_of, run, files, digits):
    plan = plan_of("mlp-1-2+resnet-8-4+mlp-1-16")
    story = run(plan)
    figures = evaluate(plan, files, digits, [f"member-{i}" for i in (1, 2, 3)]).metrics
    errors = [[r for r in story.epochs if r.network == f"member-{i}"][-1].validation_error for i in (1, 2, 3)]
    assert figures.best_member == errors.index(min(errors))
    # Another test set changes what is found and nothing that is chosen.
    mirrored = replace(digits, test=replace(digits.test, labels=9 - digits.test.labels))
    others = evaluate(plan, files, mirrored, [f"member-{i}" for i in (1, 2, 3)]).metrics
    assert others.error != figures.error
    assert others.super_learner_weights == pytest.approx(figures.super_learner_weights, abs=1e-9)
    assert others.best_member == figures.best_member
    assert max(figures.super_learner_weights) > 1 / 3


def test_a_network_without_a_checkpoint_cannot_be_loaded(plan_of, files):
    with pytest.raises(RunError, match="member-1 has no checkpoint"):
        load_network(plan_of("mlp-1-4"), "member-1", files.of_network("member-1"))


def test_a_network_whose_checkpoints_are_damaged_says_so(plan_of, run, files):
    plan = plan_of("mlp-1-4")
    run(plan)
    for path in files.of_network("member-1").glob("*.safetensors"):
        path.write_bytes(b"damaged")
    with pytest.raises(RunError, match="no checkpoint in member-1; .*damaged"):
        load_network(plan, "member-1", files.of_network("member-1"))


def test_peak_memory_is_read_for_every_step(plan_of, run, files):
    asked = []

    def watch(device):
        asked.append(device)
        return lambda: 123

    story = run(plan_of("2xmlp-1-4"), replace(files, watch=watch))
    # Once before the clock starts, since the first watch loads libraries, and once a step.
    assert asked == ["cpu", "cpu", "cpu"]
    assert [r.peak_bytes for r in story.steps] == [123, 123]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_plan_trains_hatches_and_is_evaluated_on_a_gpu(plan_of, run, files, digits):
    plan = plan_of("2xresnet-8-8@g1", epochs=6, rate=0.1, device="cuda", memory_format="channels_last")
    story = run(plan)
    assert {r.status for r in story.ended.values()} == {StepStatus.DONE}
    assert story.ended["hatch member-1"].hatch_difference <= 1e-9
    assert evaluate(plan, files, digits, ["member-1", "member-2"]).metrics.error < 0.5
    assert run(plan).status("train member-2") is StepStatus.DONE


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("settings", [{}, {"step_mode": "graph"}, {"step_mode": "graph", "streams": 2}])
def test_going_on_on_a_gpu_ends_with_the_same_bits_where_kernels_do_not_change(
    plan_of, run, files, weights, same_bits, monkeypatch, settings
):
    # Autotuning chooses by time, so two processes may compute with different kernels.
    monkeypatch.setattr(trainer.training.step, "CUDNN_BENCHMARK", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    plan = plan_of("2xresnet-8-8@g1", epochs=4, device="cuda", memory_format="channels_last", **settings)
    for name in ("whole", "again"):
        run(plan, elsewhere(files, name))
    # 8 batches an epoch: in the middle of the mother's second epoch, and of the members' first.
    assert run(plan, stop=StopAfter(13)).ended == {}
    run(plan, stop=StopAfter(30))
    run(plan)
    for network in plan.networks:
        whole = weights(network.name, elsewhere(files, "whole"))
        assert same_bits(weights(network.name, elsewhere(files, "again")), whole), "undisturbed"
        assert same_bits(weights(network.name), whole)
