"""Plans of ensembles that grow after they were trained."""

import pytest

from advisor.designs.design import parse_design
from advisor.errors import UsageError
from advisor.plans.dataset import dataset_named
from advisor.plans.execution import Execution
from advisor.plans.extension import with_cluster, with_members
from advisor.plans.method_traits import Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import HatchStep, plan_from_json, plan_to_json

EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="channels_last")


def planned(design, **options):
    return make_plan(
        parse_design(design),
        dataset_named("digits"),
        epochs=20,
        batch=32,
        seed=3,
        execution=EXECUTION,
        options=PlanOptions(**options),
    )


def members(design):
    return parse_design(design).members


def added(old, new):
    """Steps of a longer plan, the others having stayed as they were."""
    assert new.steps[: len(old.steps)] == old.steps
    assert {n.name for n in old.networks} <= {n.name for n in new.networks}
    assert plan_from_json(plan_to_json(new)) == new
    return new.steps[len(old.steps) :]


def test_members_are_hatched_from_the_mother_that_is_there():
    old = planned("2xresnet-8-4@g1")
    new = with_members(old, members("resnet-14-6+resnet-8-4"))
    assert new.design == "2xresnet-8-4+resnet-14-6+resnet-8-4@g1"
    steps = added(old, new)
    assert [s.id for s in steps] == ["hatch member-3", "train member-3", "hatch member-4", "train member-4"]
    assert {s.source for s in steps if isinstance(s, HatchStep)} == {"mother-1"}
    assert steps[0].after == ("train mother-1",)
    assert steps[1].schedule == old.train_steps_of("member-1")[0].schedule


def test_members_go_to_the_nearest_mother_that_can_grow_into_them():
    old = planned("resnet-8-4+resnet-8-5+resnet-20-12+resnet-20-14@g2")
    mothers = {n.name: n.network for n in old.networks if n.name.startswith("mother")}
    assert mothers == {"mother-1": "resnet-8-4", "mother-2": "resnet-20-12"}
    steps = added(old, with_members(old, members("resnet-20-13+resnet-8-6")))
    assert [s.source for s in steps if isinstance(s, HatchStep)] == ["mother-2", "mother-1"]


def test_a_cluster_brings_a_mother_of_its_own():
    old = planned("2xresnet-8-4@g1", rate=0.03, hatched_epochs=4)
    new = with_cluster(old, members("resnet-8-6+resnet-14-6"))
    assert new.design == "2xresnet-8-4+resnet-8-6+resnet-14-6@g2"
    mother, *rest = added(old, new)
    assert (mother.network, new.network("mother-2").network) == ("mother-2", "resnet-8-6")
    # The settings that the user gave hold for what is added too.
    assert mother.schedule == old.steps[0].schedule
    assert {s.schedule.epochs for s in rest if not isinstance(s, HatchStep)} == {4}
    assert {s.schedule.rate for s in rest if not isinstance(s, HatchStep)} == {0.03}


def test_a_new_mother_has_a_name_of_its_own_whichever_cluster_has_one_member():
    # The first cluster is one network without a mother; the second one's is mother-2.
    old = planned("vgg-16-8+resnet-20-16+resnet-20-18@g2")
    assert [n.name for n in old.networks if n.name.startswith("mother")] == ["mother-2"]
    mother, *_ = added(old, with_cluster(old, members("2xresnet-14-8")))
    assert mother.network == "mother-3"


def test_a_cluster_of_one_trains_from_scratch():
    old = planned("2xresnet-8-4@g1")
    (step,) = added(old, with_cluster(old, members("resnet-8-4")))
    assert step == with_cluster(old, members("resnet-8-4")).train_steps_of("member-3")[0]
    assert step.schedule.epochs == 20


def test_independent_members_can_be_joined_by_a_cluster():
    new = with_cluster(planned("2xresnet-8-4"), members("2xresnet-8-6"))
    assert (new.design, new.method) == ("2xresnet-8-4+2xresnet-8-6@g3", Method.MOTHERNETS)
    assert with_cluster(planned("2xresnet-8-4"), members("resnet-8-6")).method is Method.FULL_DATA


@pytest.mark.parametrize("new", ["resnet-8-3", "vgg-11-4"])
def test_a_member_that_no_mother_grows_into_is_refused(new):
    with pytest.raises(UsageError, match=f"can grow into {new}: give it a cluster of its own"):
        with_members(planned("2xresnet-8-4@g1"), members(new))


def test_only_mothernets_can_be_extended():
    with pytest.raises(UsageError, match="trained by snapshot cannot be extended"):
        with_cluster(planned("2xresnet-8-4", method=Method.SNAPSHOT), members("resnet-8-4"))
