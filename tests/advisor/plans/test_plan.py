"""Plans: what they contain, that they survive JSON, and that damage is reported in one line."""

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.designs.clustering import clusters_of
from advisor.designs.design import Design, parse_design
from advisor.errors import PlanError, UnknownNameError, UsageError
from advisor.networks.architecture import parse_network
from advisor.networks.mothernet import mother_of
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.method_traits import Method
from advisor.plans.methods import HATCHED_SHARE, PlanOptions, make_plan
from advisor.plans.plan import SCHEMA_VERSION, HatchStep, Role, TrainStep, plan_from_json, plan_to_json
from advisor.plans.schedule import CosineSchedule, PlateauSchedule, StepSchedule

DIGITS = DATASETS["digits"]
EXECUTION = Execution(device="cpu", processes=3, threads=1, dtype="float32", memory_format="contiguous")
GROWING = ["resnet-8-4", "resnet-14-4", "resnet-8-6~b1l1:5x9", "mlp-1-4", "mlp-2-8"]
ANY = [*GROWING, "wrn-10-1", "densenet-7-4", "vgg-11-4~b3l2:5x20"]


def planned(design, *, epochs=20, batch=32, seed=1, dataset=DIGITS, execution=EXECUTION, **options):
    if isinstance(design, str):
        design = parse_design(design)
    return make_plan(
        design,
        dataset,
        epochs=epochs,
        batch=batch,
        seed=seed,
        execution=execution,
        options=PlanOptions(**options),
    )


@st.composite
def designs(draw):
    """Designs that can be trained: any members on their own, families that grow in any clusters."""
    if draw(st.booleans()):
        members = draw(st.lists(st.sampled_from(ANY), min_size=1, max_size=5))
        clusters = len(members)
    else:
        members = draw(st.lists(st.sampled_from(GROWING), min_size=1, max_size=6))
        kinds = len({name.split("-")[0] for name in members})
        clusters = draw(st.integers(kinds, len(members)))
    return Design(members=tuple(parse_network(name) for name in members), clusters=clusters)


@st.composite
def plans(draw):
    return planned(
        draw(designs()),
        epochs=draw(st.integers(1, 300)),
        batch=draw(st.integers(2, DIGITS.train_images)),
        seed=draw(st.integers(0, 2**32 - 1)),
        rate=draw(st.none() | st.floats(1e-6, 10)),
        hatched_epochs=draw(st.none() | st.integers(1, 50)),
    )


# Contents.


def test_full_data_trains_every_member_from_scratch_for_the_whole_schedule():
    plan = planned("3xresnet-8-4")
    assert plan.method is Method.FULL_DATA
    assert [(n.name, n.network, n.role) for n in plan.networks] == [
        (f"member-{i}", "resnet-8-4", Role.MEMBER) for i in (1, 2, 3)
    ]
    assert [step.id for step in plan.steps] == [f"train member-{i}" for i in (1, 2, 3)]
    for step in plan.steps:
        assert step.after == ()
        assert (step.schedule.epochs, step.schedule.drops, step.schedule.warmup) == (20, (8, 16), False)
        assert (step.momentum, step.weight_decay) == (0.9, 1e-4)


def test_mothernets_trains_the_mother_then_hatches_and_trains_every_member():
    plan = planned("resnet-14-6+resnet-8-8@g1", hatched_epochs=6)
    assert plan.method is Method.MOTHERNETS
    assert [(n.name, n.network) for n in plan.networks] == [
        ("mother-1", "resnet-8-6"),
        ("member-1", "resnet-14-6"),
        ("member-2", "resnet-8-8"),
    ]
    assert [(step.id, step.after) for step in plan.steps] == [
        ("train mother-1", ()),
        ("hatch member-1", ("train mother-1",)),
        ("train member-1", ("hatch member-1",)),
        ("hatch member-2", ("train mother-1",)),
        ("train member-2", ("hatch member-2",)),
    ]
    assert [plan.train_steps_of(n.name)[0].schedule.epochs for n in plan.networks] == [20, 6, 6]
    kinds = [type(plan.train_steps_of(n.name)[0].schedule) for n in plan.networks]
    assert kinds == [StepSchedule, CosineSchedule, CosineSchedule]
    assert {step.source for step in plan.steps if isinstance(step, HatchStep)} == {"mother-1"}


@given(plans())
def test_steps_come_after_what_they_need_and_every_network_is_trained_once(plan):
    done = set()
    for step in plan.steps:
        assert done.issuperset(step.after)
        done.add(step.id)
    for network in plan.networks:
        assert len(plan.train_steps_of(network.name)) == 1
        assert plan.network(network.name) is network
    assert len(done) == len(plan.steps)


@given(plans())
def test_a_member_is_hatched_from_the_trained_mother_of_its_cluster_or_trained_from_scratch(plan):
    design = parse_design(plan.design)
    hatched = {step.network: step for step in plan.steps if isinstance(step, HatchStep)}
    mothers = {n.name: n for n in plan.networks if n.role is Role.MOTHER}
    used = set()
    for cluster in clusters_of(design):
        names = [f"member-{i + 1}" for i in cluster]
        if len(cluster) == 1:
            assert names[0] not in hatched
            continue
        (source,) = {hatched[name].source for name in names}
        used.add(source)
        assert mothers[source].spec == mother_of([design.members[i] for i in cluster])
        (trained,) = plan.train_steps_of(source)
        for name in names:
            assert hatched[name].after == (trained.id,)
            assert plan.train_steps_of(name)[0].after == (hatched[name].id,)
    assert used == set(mothers)


@given(designs(), st.integers(1, 400))
def test_mothers_and_single_members_get_whole_epochs_and_hatched_members_a_share(design, epochs):
    plan = planned(design, epochs=epochs)
    hatched = {step.network for step in plan.steps if isinstance(step, HatchStep)}
    for network in plan.networks:
        (step,) = plan.train_steps_of(network.name)
        if network.name in hatched:
            assert step.schedule.epochs >= 1
            assert abs(step.schedule.epochs - HATCHED_SHARE * epochs) <= 1
        else:
            assert step.schedule.epochs == epochs


@given(plans())
def test_the_members_of_a_plan_are_those_of_its_design_in_order(plan):
    assert tuple(member.spec for member in plan.members) == parse_design(plan.design).members
    assert [member.name for member in plan.members] == [f"member-{i + 1}" for i in range(len(plan.members))]


def test_as_many_clusters_as_members_is_the_plan_of_full_data():
    assert (
        planned("4xresnet-8-4@g4")
        == planned("4xresnet-8-4")
        == planned("4xresnet-8-4", method=Method.FULL_DATA)
    )
    mothernets = planned("4xresnet-8-4@g4", method=Method.MOTHERNETS)
    assert replace(mothernets, method=Method.FULL_DATA) == planned("4xresnet-8-4")


def test_a_cluster_of_one_is_trained_from_scratch_beside_a_mother():
    plan = planned("3xresnet-8-4+mlp-1-4@g2")
    assert [n.name for n in plan.networks if n.role is Role.MOTHER] == ["mother-1"]
    (step,) = [s for s in plan.steps if s.network == "member-4"]
    assert (type(step), step.schedule.epochs, step.after) == (TrainStep, 20, ())


def test_no_more_processes_are_planned_than_members():
    assert planned("2xresnet-8-4").execution.processes == 2
    assert planned("resnet-8-4").execution.processes == 1
    assert planned("5xresnet-8-4").execution.processes == 3
    with pytest.raises(UsageError, match="between 1 and 1024"):
        replace(EXECUTION, processes=0)


def test_options_set_the_rate_and_the_epochs_of_hatched_members():
    plan = planned("2xresnet-8-4@g1", rate=0.02, hatched_epochs=5)
    assert plan.train_steps_of("mother-1")[0].schedule.rate == 0.02
    assert plan.train_steps_of("member-1")[0].schedule.epochs == 5
    assert plan.train_steps_of("mother-1")[0].schedule.epochs == 20


# Refusals.


def test_full_data_does_not_train_clusters():
    with pytest.raises(UsageError, match="4xresnet-8-4@g2 has clusters, .* leave out @g2"):
        planned("4xresnet-8-4@g2", method=Method.FULL_DATA)


@pytest.mark.parametrize("batch", [1, 0, -4])
def test_a_batch_of_one_is_refused(batch):
    with pytest.raises(UsageError, match=f"batch of at least 2, got {batch}"):
        planned("resnet-8-4", batch=batch)


def test_a_batch_larger_than_the_data_is_refused_and_one_as_large_is_not():
    with pytest.raises(UsageError, match="batch 1078 is larger than the 1077 training images of digits"):
        planned("resnet-8-4", batch=1078)
    assert planned("resnet-8-4", batch=1077).batch == 1077


@pytest.mark.parametrize(
    "numbers", [{"epochs": 0}, {"epochs": -1}, {"hatched_epochs": 0}, {"hatched_epochs": -2}]
)
def test_no_epochs_are_refused(numbers):
    with pytest.raises(UsageError, match="at least 1 epoch"):
        planned("2xresnet-8-4@g1", **numbers)


@pytest.mark.parametrize("rate", [0.0, -0.1, float("nan"), float("inf")])
def test_an_impossible_learning_rate_is_refused(rate):
    with pytest.raises(UsageError, match="learning rate must be positive"):
        planned("resnet-8-4", rate=rate)


# JSON.


@given(plans())
def test_every_plan_survives_json(plan):
    assert plan_from_json(plan_to_json(plan)) == plan


def test_a_plan_with_a_plateau_survives_json():
    plan = planned("resnet-8-4")
    step = replace(plan.steps[0], schedule=PlateauSchedule(epochs=20, rate=0.1, expected=12.5))
    plan = replace(plan, steps=(step,))
    assert plan_from_json(plan_to_json(plan)) == plan


def test_the_json_of_a_plan_is_readable_and_says_its_schema():
    text = plan_to_json(planned("2xresnet-8-4@g1"))
    plain = json.loads(text)
    assert plain["schema_version"] == SCHEMA_VERSION
    assert plain["design"] == "2xresnet-8-4@g1"
    assert [step["kind"] for step in plain["steps"]] == [
        "TrainStep",
        "HatchStep",
        "TrainStep",
        "HatchStep",
        "TrainStep",
    ]
    assert text.startswith("{\n  ")
    assert text.endswith("}\n")


PLAIN = json.loads(plan_to_json(planned("resnet-8-4+resnet-14-4+mlp-1-4@g2")))


def changed(*path, to):
    """Text of the plan with the field at `path` set."""
    plain = copy.deepcopy(PLAIN)
    place = plain
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return json.dumps(plain)


def without(*path):
    plain = copy.deepcopy(PLAIN)
    place = plain
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return json.dumps(plain)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "damaged"),
        ("not json", "damaged"),
        ("[]", "no schema_version"),
        ("null", "no schema_version"),
        ("{}", "no schema_version"),
        ("[" * 100_000, "damaged"),
        ('{"schema_version": ' + "9" * 10_000 + "}", "damaged"),
        (changed("schema_version", to=SCHEMA_VERSION + 1), "upgrade advisor"),
        (changed("schema_version", to=10**400), "upgrade advisor"),
        (changed("schema_version", to=0), "no schema_version"),
        (changed("schema_version", to=True), "no schema_version"),
        (changed("schema_version", to="1"), "no schema_version"),
        (without("schema_version"), "no schema_version"),
        (without("design"), "'design' is missing"),
        (without("steps", 0, "schedule", "rate"), "'steps[0].schedule.rate' is missing"),
        (without("steps", 0, "kind"), "steps[0] has the unknown kind None"),
        (changed("colour", to="red"), "unknown field 'colour'"),
        (changed("epochs", to="20"), "epochs must be int, got '20'"),
        (changed("epochs", to=20.5), "epochs must be int, got 20.5"),
        (changed("epochs", to=True), "epochs must be int, got True"),
        (changed("epochs", to=0), "1 epoch"),
        (changed("batch", to=0), "batch of 2"),
        (changed("execution", "processes", to=0), "processes must be between 1 and 1024"),
        (changed("method", to="magic"), "method has the unknown value 'magic'"),
        (changed("method", to=[]), "method has the unknown value []"),
        (changed("dataset", to=None), "dataset must be an object, got NoneType"),
        (changed("dataset", "task", "classes", to=1), "at least 2 classes"),
        (changed("networks", to={}), "networks must be a list"),
        (changed("networks", 0, "network", to="resnet-9-4"), "no depth 9"),
        (changed("networks", 0, "name", to="else"), "names a network that the plan does not have"),
        (changed("networks", 0, "name", to="member-1"), "two networks of the plan have one name"),
        (changed("networks", 0, "role", to="member"), "not those of"),
        (changed("design", to="2xresnet-8-4+mlp-1-4@g2"), "not those of"),
        (changed("design", to="2xresnet-8-4\n"), "not those of"),
        (changed("steps", to=[]), "no step trains 'mother-1'"),
        (changed("steps", 0, "after", to=["train member-1"]), "comes before a step that it needs"),
        (changed("steps", 1, "id", to="train mother-1"), "comes before|two steps"),
        (changed("steps", 0, "momentum", to=10**400), "steps[0].momentum is too large a number"),
        (changed("steps", 0, "schedule", "epochs", to=0), "at least 1 epoch"),
        (changed("steps", 0, "schedule", "kind", to="SineSchedule"), "unknown kind 'SineSchedule'"),
    ],
)  # fmt: skip
def test_a_plan_file_that_cannot_be_used_is_refused_in_one_line(text, part):
    with pytest.raises(PlanError) as caught:
        plan_from_json(text)
    message = str(caught.value)
    assert any(choice in message for choice in part.split("|"))
    assert "\n" not in message


@given(st.integers(0, len(json.dumps(PLAIN)) - 1))
def test_a_plan_file_that_was_cut_off_is_damaged(length):
    with pytest.raises(PlanError, match="damaged"):
        plan_from_json(json.dumps(PLAIN)[:length])


def outcome(text):
    """Message of the plan error that `text` raises; none for a plan, which must survive JSON."""
    try:
        plan = plan_from_json(text)
    except PlanError as error:
        return str(error)
    again = plan_to_json(plan)
    assert plan_to_json(plan_from_json(again)) == again
    return ""


def places(plain, path=()):
    """Paths of everything inside nested lists and objects."""
    items = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(
        [0, -1, 2**63, 10**400, 1e308, "", "a\nb", "member-1", "resnet-8-4", "TrainStep", "mother"]
    )
    | st.floats()
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.just("kind"), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=500)
@given(
    st.lists(
        st.tuples(st.sampled_from(list(places(PLAIN))), st.sampled_from(["set", "drop", "add"]), values),
        min_size=1,
        max_size=3,
    )
)
def test_a_plan_with_random_fields_is_a_plan_or_a_plan_error_of_one_line(mutations):
    plain = copy.deepcopy(PLAIN)
    for path, kind, value in mutations:
        place = plain
        try:
            for key in path[:-1]:
                place = place[key]
            if kind == "set":
                place[path[-1]] = value
            elif kind == "drop":
                del place[path[-1]]
            elif isinstance(place, list):
                place.append(value)
            else:
                place[str(value)[:5]] = value
        except (LookupError, TypeError):
            continue  # An earlier mutation took the place away.
    assert "\n" not in outcome(json.dumps(plain))


@given(values)
def test_random_json_is_no_plan(value):
    with pytest.raises(PlanError):
        plan_from_json(json.dumps(value))


@given(st.text())
def test_random_text_is_no_plan(text):
    with pytest.raises(PlanError) as caught:
        plan_from_json(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [100, 300, 900, 990, 2000, 20_000])
def test_deeply_nested_fields_are_damage(depth):
    nested = "[" * depth + "]" * depth
    for field in ('"epochs": 20', '"device": "cpu"', '"after": []'):
        text = json.dumps(PLAIN)
        assert field in text
        with pytest.raises(PlanError) as caught:
            plan_from_json(text.replace(field, field.split(":")[0] + ": " + nested, 1))
        assert "\n" not in str(caught.value)


def test_a_stored_plan_without_a_mode_of_steps_has_eager_ones():
    plan = planned("2xresnet-8-4")
    stored = json.loads(plan_to_json(plan))
    del stored["execution"]["step_mode"]
    assert plan_from_json(json.dumps(stored)) == plan
    assert plan.execution.step_mode == "eager"
    assert plan.execution.arithmetic_text == "float32, contiguous"
    graph = replace(plan.execution, step_mode="graph")
    assert graph.arithmetic_text == "float32, contiguous, graph steps"
    with pytest.raises(UnknownNameError, match="unknown step mode 'grph': did you mean 'graph'"):
        replace(graph, step_mode="grph")
