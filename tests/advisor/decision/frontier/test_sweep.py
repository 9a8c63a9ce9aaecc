"""Every way to train a given ensemble."""

from __future__ import annotations

import pytest
from measured import EXECUTION

from advisor.decision.frontier.sweep import cluster_counts, ways_to_train
from advisor.designs.design import parse_design
from advisor.errors import UsageError
from advisor.plans.dataset import DATASETS
from advisor.plans.method_traits import Method
from advisor.plans.methods import PlanOptions, make_plan


def ways(name, batch=128):
    return ways_to_train(
        parse_design(name),
        lambda design, method: make_plan(
            design,
            DATASETS["cifar10"],
            epochs=128,
            batch=batch,
            seed=0,
            execution=EXECUTION,
            options=PlanOptions(method=method),
        ),
    )


def test_few_members_are_swept_singly_and_many_in_steps_that_end_with_all():
    assert cluster_counts(5) == (1, 2, 3, 4, 5)
    assert cluster_counts(10) == tuple(range(1, 11))
    assert cluster_counts(25) == (1, 2, 3, 4, 6, 8, 12, 16, 24, 25)
    assert cluster_counts(100)[-3:] == (64, 96, 100)
    # Families share no mother network.
    assert cluster_counts(4, families=2) == (2, 3, 4)
    assert cluster_counts(20, families=5) == (5, 6, 8, 12, 16, 20)


def test_five_vggs_are_trained_at_every_g_and_by_every_method():
    found, refused = ways("V5")
    assert refused == []
    assert {way.method for way in found} == set(Method)
    of_mothernets = [way.clusters for way in found if way.method is Method.MOTHERNETS]
    assert of_mothernets == [1, 2, 3, 4]
    # g = 5 is full data.
    (full,) = [way for way in found if way.method is Method.FULL_DATA]
    assert (full.clusters, full.plan.design) == (5, "V5")
    assert all(parse_design(way.plan.design).clusters == way.clusters for way in found if way.clusters)


def test_methods_that_share_layers_are_named_with_the_reason_where_there_are_skip_connections():
    found, refused = ways("4xresnet-8-4")
    assert {each.method for each in refused} == {Method.SHARED_MOTHERNETS, Method.TREENETS}
    assert all("skip connections" in each.reason for each in refused)
    assert {way.method for way in found} == set(Method) - {each.method for each in refused}


def test_members_of_two_families_begin_with_two_clusters():
    found, refused = ways("2xresnet-8-4+2xmlp-1-8")
    assert [way.clusters for way in found if way.method is Method.MOTHERNETS] == [2, 3]
    assert "one network cannot stand for members" in {r.method: r.reason for r in refused}[Method.SNAPSHOT]


def test_what_no_method_could_train_is_an_error_of_the_request():
    with pytest.raises(UsageError, match="batch"):
        ways("2xmlp-1-8", batch=1)
