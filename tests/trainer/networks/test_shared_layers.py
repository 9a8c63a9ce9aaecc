"""Members that share layers: what they compute when hatched, what they learn, and how they are used."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from advisor.designs.design import parse_design
from advisor.networks.architecture import lower, parse_network
from advisor.networks.layers import Task
from advisor.networks.mothernet import mother_of
from advisor.networks.shared_layers import graph_of, parse_joint
from advisor.plans.dataset import DATASETS
from advisor.plans.method_traits import Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.records import StepStatus
from trainer.ensembles.description import describe, write_description
from trainer.ensembles.ensemble import load, predicted, save_ensemble
from trainer.ensembles.evaluate import evaluate
from trainer.networks.hatching import hatch_difference, hatch_jointly, perturb
from trainer.networks.network import average_shared, build_network
from trainer.training.step import label_loss, predicted_classes

TASK = Task(channels=1, height=14, width=14, classes=10)
HEADS = "vgg-11-4+vgg-11-4~b3:4,b3l3:3x9,b6:2,b6l2:1x20+vgg-11-4~b6l1:1x40"
V5 = "vgg-13-4+vgg-16-4+vgg-16-4~b3l3:1x16,b4l3:1x32,b5l3:1x32+vgg-16-4~b2l2:5x12,b3l3:5x20+vgg-19-4~b1l1:3x7"


def hatched(members, images):
    """A mother after a few passes in train mode, and the joint network hatched from her."""
    spec = parse_joint(f"shared({members})")
    mother_spec = mother_of(spec.members)
    mother = build_network(lower(mother_spec, TASK), 1).double()
    with torch.no_grad():
        for _ in range(5):
            mother(2 * images.double())
    return mother, hatch_jointly(mother, mother_spec, spec, TASK, images, 3)


@pytest.fixture(scope="module")
def images():
    return torch.randn(64, 1, 14, 14, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("count", [2, 64])
@pytest.mark.parametrize("members", [V5, HEADS, "mlp-2-8+mlp-4-9~b1l1:1x12,b1l4:1x20"])
def test_every_member_of_a_joint_network_computes_what_the_mother_computes(members, count, images):
    mother, joint = hatched(members, images)
    assert mother.eval()(images.double()).std() > 1e-3
    assert hatch_difference(mother, joint, images[:count]) < 1e-9


@given(st.lists(st.lists(st.integers(4, 9), min_size=1, max_size=4), min_size=2, max_size=4))
@settings(max_examples=15)
def test_joint_networks_of_any_fully_connected_members_are_exact(layers):
    names = []
    for units in layers:
        changes = ",".join(f"b1l{i}:1x{u}" for i, u in enumerate(units, 1))
        names.append(parse_network(f"mlp-{len(units)}-4~{changes}").name)
    drawn = torch.randn(8, 1, 14, 14, generator=torch.Generator().manual_seed(1))
    mother, joint = hatched("+".join(names), drawn)
    assert hatch_difference(mother, joint, drawn) < 1e-9


def test_members_of_a_joint_network_part_in_training(images):
    _, joint = hatched(V5, images)
    joint = joint.float().train()
    # Members whose own layers begin alike need the noise that every plan adds.
    perturb(joint, 0.01, 5)
    labels = torch.randint(10, (64,), generator=torch.Generator().manual_seed(2))
    optimizer = torch.optim.SGD(joint.parameters(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        label_loss(images, joint(images), labels).div(64).backward()
        optimizer.step()
    with torch.no_grad():
        logits = joint.eval()(images)
    others = [(i, j) for i in range(5) for j in range(i)]
    assert all((logits[:, i] - logits[:, j]).abs().max() > 1e-4 for i, j in others)


def test_every_weight_of_a_joint_network_learns(images):
    for name in (f"shared({V5})", "tree(vgg-13-4+vgg-16-4+vgg-19-4)"):
        network = build_network(graph_of(name, TASK), 0).train()
        label_loss(images, network(images), torch.arange(64) % 10).backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters()), name


def test_the_loss_of_a_joint_network_is_the_sum_of_its_members_losses():
    logits = torch.randn(6, 3, 10, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 4, 5])
    one_by_one = [functional.cross_entropy(logits[:, i], labels, reduction="sum") for i in range(3)]
    assert label_loss(logits, logits, labels) == pytest.approx(float(sum(one_by_one)), rel=1e-6)


def test_shared_layers_learn_from_the_mean_and_own_ones_from_their_members_loss(images):
    """Against the gradient of each member's loss by itself."""
    network = build_network(graph_of("tree(vgg-11-4+vgg-11-4~b3l2:3x9)", TASK), 0).double()
    labels = torch.arange(64) % 10

    def gradients(loss):
        network.zero_grad()
        loss.backward()
        return {name: None if p.grad is None else p.grad.clone() for name, p in network.named_parameters()}

    network.eval()
    alone = [
        gradients(functional.cross_entropy(network(images.double())[:, i], labels, reduction="sum"))
        for i in range(2)
    ]
    average_shared(network)
    together = gradients(label_loss(images, network(images.double()), labels))
    for name, found in together.items():
        each = [gradient[name] for gradient in alone]
        if "member" in name:
            own = int(name.split("member")[1][0]) - 1
            assert torch.allclose(found, each[own], rtol=1e-9)
        else:
            assert torch.allclose(found, (each[0] + each[1]) / 2, rtol=1e-9)


def test_a_joint_network_answers_by_the_average_of_its_members():
    sure, unsure = [8.0, 0.0], [0.0, 0.5]
    assert predicted_classes(torch.tensor([[sure, unsure, unsure]])).tolist() == [0]
    assert predicted_classes(torch.tensor([[unsure, unsure, unsure]])).tolist() == [1]


def test_a_branch_of_a_tree_is_the_member_by_itself(images):
    """The trunk and one branch, copied into the member as it is built alone, compute the same."""
    tree = build_network(graph_of("tree(vgg-11-4+vgg-11-4~b3l2:3x9)", TASK), 0).eval()
    with torch.no_grad():
        both = tree(images)
        for number, name in enumerate(("vgg-11-4", "vgg-11-4~b3l2:3x9")):
            alone = build_network(lower(parse_network(name), TASK), 9).eval()
            own = f"member{number + 1}_"
            for key in alone.layers:
                source = key if key in tree.layers else own + key
                alone.layers[key].load_state_dict(tree.layers[source].state_dict())
            assert torch.equal(alone(images), both[:, number])


@pytest.fixture
def plan_by(plain):
    def make(method, design="mlp-1-16+mlp-2-16+mlp-3-16", epochs=8, processes=1):
        return make_plan(
            parse_design(design + "@g1" * (method is Method.SHARED_MOTHERNETS)),
            DATASETS["digits"],
            epochs=epochs,
            batch=128,
            seed=7,
            execution=replace(plain, processes=processes),
            options=PlanOptions(method=method, rate=0.1, hatched_epochs=3),
        )

    return make


@pytest.mark.parametrize("method", [Method.TREENETS, Method.SHARED_MOTHERNETS])
def test_a_trained_joint_ensemble_is_loaded_saved_and_narrowed(plan_by, run, files, digits, tmp_path, method):
    plan = plan_by(method)
    story = run(plan)
    assert {record.status for record in story.ended.values()} == {StepStatus.DONE}
    figures = evaluate(plan, files, digits, [m.name for m in plan.members]).metrics
    assert figures.error < 0.5
    assert figures.disagreement > 0
    write_description(files.folder, describe(plan, digits))
    ensemble = load(files.folder)
    each = predicted(ensemble, digits.test.images, 128)
    assert each.shape == (3, 360, 10)
    labels = digits.test.labels.numpy()
    assert (each.mean(axis=0).argmax(axis=1) != labels).mean() == pytest.approx(figures.error)
    wrong = [float((member.argmax(axis=1) != labels).mean()) for member in each]
    assert wrong == pytest.approx(list(figures.member_errors))
    save_ensemble(ensemble, tmp_path / "one.safetensors")
    assert np.array_equal(predicted(load(tmp_path / "one.safetensors"), digits.test.images, 128), each)
    only = load(files.folder, members=["member-3", "member-1"])
    assert np.array_equal(predicted(only, digits.test.images, 128), each[[2, 0]])


def test_the_joint_network_of_a_mothernet_begins_as_its_mother(plan_by, run, files, digits):
    plan = plan_by(Method.SHARED_MOTHERNETS)
    story = run(plan)
    assert story.ended["hatch shared-1"].hatch_difference < 1e-9
    # Its curve is that of the average of its members, in the units of a single network.
    losses = [r.train_loss for r in story.epochs if r.network == "shared-1"]
    assert len(losses) == 3
    assert max(losses) < 2.4
