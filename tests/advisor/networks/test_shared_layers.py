"""Networks that share layers, counted against the members by themselves, and the plans that train them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.cost.memory.peak import training_bytes
from advisor.designs.design import parse_design
from advisor.errors import InvalidDesignError, PlanError, UsageError
from advisor.networks.architecture import lower, parse_network
from advisor.networks.graph import Conv, Linear
from advisor.networks.layers import Task
from advisor.networks.mothernet import mother_of
from advisor.networks.shared_layers import family_in, graph_of, is_joint, parse_joint
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.method_traits import Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import HatchStep, Role, plan_from_json, plan_to_json

TASK = Task(channels=3, height=32, width=32, classes=10)
EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="contiguous")
V3 = "vgg-13-8+vgg-16-8+vgg-16-8~b3l3:1x32"


def planned(design, method):
    return make_plan(
        parse_design(design),
        DATASETS["cifar10"],
        epochs=10,
        batch=32,
        seed=0,
        execution=EXECUTION,
        options=PlanOptions(method=method),
    )


def parameters(*names):
    return [lower(parse_network(name), TASK).parameters for name in names]


def test_a_tree_has_the_first_three_layers_once():
    once = graph_of("tree(vgg-13-8+vgg-16-8+vgg-19-8)", TASK)
    # 3·8·9, 8·8·9 and 8·16·9 weights, and two figures a channel of their normalisations.
    trunk = 216 + 576 + 1152 + 2 * (8 + 8 + 16)
    assert once.parameters == sum(parameters("vgg-13-8", "vgg-16-8", "vgg-19-8")) - 2 * trunk
    assert len(once.outputs) == 3
    assert [once.shapes[name] for name in once.outputs] == [(10,)] * 3


def test_a_tree_of_shallow_members_leaves_each_its_last_layer():
    once = graph_of("tree(mlp-1-5+mlp-2-5)", TASK)
    assert once.parameters == sum(parameters("mlp-1-5", "mlp-2-5")) - (3072 + 1) * 5


def test_a_tree_whose_members_begin_differently_is_refused():
    with pytest.raises(
        UsageError, match=r"share the first 3 layers, which differ between vgg-13-8 and vgg-13-9"
    ):
        graph_of("tree(vgg-13-8+vgg-13-9)", TASK)


def test_members_of_the_mothers_shape_share_all_but_their_heads():
    one = lower(parse_network("vgg-11-8"), TASK)
    head = sum(node.parameters for node in one.nodes if not node.name.startswith("block"))
    assert graph_of("shared(vgg-11-8+vgg-11-8)", TASK).parameters == one.parameters + head


def test_a_wider_layer_reads_shared_and_own_filters_and_is_read_by_both():
    graph = graph_of("shared(mlp-2-8+mlp-2-8~b1l1:1x11,b1l2:1x10)", TASK)
    shapes = {node.name: node.operation for node in graph.nodes if isinstance(node.operation, Linear)}
    assert shapes == {
        "block1.layer1.linear": Linear(3072, 8),
        "member2.block1.layer1.linear": Linear(3072, 3),
        # Eight shared units below, and the three that the second member has besides.
        "block1.layer2.linear": Linear(11, 8),
        "member2.block1.layer2.linear": Linear(11, 2),
        "member1.classifier": Linear(8, 10),
        "member2.classifier": Linear(10, 10),
    }


def test_an_inserted_layer_is_read_by_its_member_and_by_the_shared_layer_after_it():
    graph = graph_of("shared(vgg-13-8+vgg-16-8)", TASK)
    convolutions = {n.name: n.operation.inputs for n in graph.nodes if isinstance(n.operation, Conv)}
    assert convolutions["member2.block3.layer3.conv"] == 32
    assert convolutions["block4.layer1.conv"] == 32 + 32
    assert convolutions["block4.layer2.conv"] == 64
    # After the last block only heads follow: the first member's reads what is shared, the second's its own.
    reads = {n.name: n.inputs for n in graph.nodes}
    assert reads["member1.flatten"] == ("block5.pool",)
    assert reads["member2.flatten"] == ("member2.block5.pool",)


def test_a_larger_kernel_counts_for_a_members_own_filters_only():
    graph = graph_of("shared(vgg-11-8+vgg-11-8~b2l1:5x20)", TASK)
    kernels = {n.name: n.operation.kernel for n in graph.nodes if isinstance(n.operation, Conv)}
    assert kernels["block2.layer1.conv"] == 3
    assert kernels["member2.block2.layer1.conv"] == 5


@given(
    st.lists(
        st.tuples(st.sampled_from([11, 13, 16, 19]), st.integers(4, 6), st.integers(4, 9)),
        min_size=2,
        max_size=4,
    )
)
def test_a_shared_network_has_as_many_filters_as_the_mother_and_what_each_member_has_beyond(shapes):
    members = [parse_network(f"vgg-{depth}-{width}~b1l1:3x{first}") for depth, width, first in shapes]
    graph = graph_of(f"shared({'+'.join(m.name for m in members)})", TASK)
    mother = lower(mother_of(members), TASK)
    inner = {
        n.name: n.shape[0]
        for n in mother.nodes
        if n.name.startswith("block") and isinstance(n.operation, Conv)
    }

    def filters(nodes):
        return sum(n.operation.filters for n in nodes if isinstance(n.operation, Conv))

    own = sum(filters(lower(m, TASK).nodes) - sum(inner.values()) for m in members)
    assert filters(graph.nodes) == sum(inner.values()) + own
    # Every node but the outputs is read, or its weights would never learn.
    read = {name for node in graph.nodes for name in node.inputs}
    assert {node.name for node in graph.nodes} - read == set(graph.outputs)


@pytest.mark.parametrize("name", [f"tree({V3})", f"shared({V3})", "shared(mlp-1-4+mlp-2-4)"])
def test_names_of_joint_networks_read_back(name):
    assert parse_joint(name).name == name
    assert is_joint(name)
    assert family_in(name) == name.partition("(")[2][:3]
    assert family_in("vgg-13-8") == "vgg"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("shared(vgg-13-8)", "two members or more"),
        ("shared(vgg-13-8+mlp-1-8)", "of one family"),
        ("tree(resnet-8-4+resnet-8-4)", "the family has skip connections"),
        ("shared(densenet-7-4+densenet-7-4)", "the family has skip connections"),
        ("bush(vgg-13-8+vgg-13-8)", "cannot read joint network"),
        ("tree)", "cannot read joint network"),
    ],
)
def test_what_cannot_be_joined_is_refused_with_the_reason(name, why):
    with pytest.raises((InvalidDesignError, UsageError), match=why):
        parse_joint(name)


def test_memory_of_a_joint_network_is_less_than_that_of_its_members():
    name = "shared(vgg-13-8+vgg-16-8)"
    both = [training_bytes(member, TASK, 32, "float32") for member in ("vgg-13-8", "vgg-16-8")]
    assert max(both) < training_bytes(name, TASK, 32, "float32") < sum(both)


def test_a_treenet_is_one_step_from_scratch_whose_outputs_are_the_members():
    plan = planned("vgg-13-8+vgg-16-8", Method.TREENETS)
    assert [s.id for s in plan.steps] == ["train tree"]
    assert plan.steps[0].schedule.epochs == 10
    assert [n.name for n in plan.built] == ["tree"]
    assert plan.asked == {"tree": ["member-1", "member-2"]}
    assert plan.train_steps_of("member-2") == list(plan.steps)
    assert plan.execution.processes == 1


def test_shared_mothernets_train_a_mother_and_then_all_its_members_in_one():
    plan = planned(f"{V3}@g1", Method.SHARED_MOTHERNETS)
    assert [s.id for s in plan.steps] == ["train mother-1", "hatch shared-1", "train shared-1"]
    first, hatch, joint = plan.steps
    assert (first.schedule.epochs, joint.schedule.epochs) == (10, 3)
    assert isinstance(hatch, HatchStep)
    assert hatch.source == "mother-1"
    assert plan.network("shared-1").role is Role.JOINT
    assert plan.holder("member-3").name == "shared-1"


def test_a_cluster_of_one_among_shared_ones_trains_from_scratch():
    plan = planned("vgg-11-8+vgg-19-8+vgg-19-8@g2", Method.SHARED_MOTHERNETS)
    assert sorted(plan.asked.values()) in ([["member-1"], ["member-2", "member-3"]],)
    assert plan.execution.processes == 2
    assert [m.name for m in plan.members] == ["member-1", "member-2", "member-3"]


def test_sharing_needs_a_cluster_of_two():
    with pytest.raises(UsageError, match="no cluster of two members that could share: add @g1"):
        planned("2xvgg-11-8", Method.SHARED_MOTHERNETS)


@pytest.mark.parametrize("method", [Method.TREENETS, Method.SHARED_MOTHERNETS])
def test_skip_connections_are_refused_with_the_reason(method):
    design = "2xresnet-8-4" + "@g1" * (method is Method.SHARED_MOTHERNETS)
    with pytest.raises(UsageError, match="members of resnet cannot share layers: the family has skip"):
        planned(design, method)


def test_a_plan_whose_joint_network_has_other_outputs_is_refused():
    text = plan_to_json(planned("vgg-13-8+vgg-16-8", Method.TREENETS))
    joined = "tree(vgg-13-8+vgg-16-8)"
    for wrong in (
        text.replace(joined, "tree(vgg-16-8+vgg-13-8)"),
        text.replace('"output_of": "tree"', '"output_of": "member-1"'),
    ):
        with pytest.raises(PlanError):
            plan_from_json(wrong)


def test_members_are_narrowed_by_no_sharing():
    """Members as the design names them stay what the plan says they are, whoever computes them."""
    plan = planned(V3, Method.TREENETS)
    assert "+".join(m.network for m in plan.members) == V3
    assert all(a.name < b.name for a, b in pairwise(plan.members))
