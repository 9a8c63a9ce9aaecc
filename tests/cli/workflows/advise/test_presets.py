"""Presets are designs on the command line."""

from __future__ import annotations

import pytest

from advisor.designs.presets import PRESETS


def test_a_preset_is_explained_member_by_member(advisor):
    answer = advisor("explain", "D5", "--dataset", "cifar10", "--json").json
    assert answer["plan"]["design"] == "D5"
    trained = [step["network"] for step in answer["steps"] if step["step"].startswith("train")]
    assert trained == list(PRESETS["D5"])


def test_a_preset_with_clusters_stands_beside_other_networks(advisor):
    answer = advisor("explain", "R10+mlp-2-64@g3", "--dataset", "cifar10", "--json").json
    assert answer["plan"]["design"] == "R10+mlp-2-64@g3"
    hatched = [step["network"] for step in answer["steps"] if step["step"].startswith("hatch")]
    assert sorted(hatched) == sorted(PRESETS["R10"])


@pytest.mark.parametrize(
    "command", [("explain", "V6"), ("train", "v5@g1"), ("profile", "V50"), ("explain", "2xd5+vgg-11-4")]
)
def test_the_error_for_an_unknown_ensemble_names_the_known_ones(advisor, command):
    answer = advisor(*command)
    assert answer.code == 2
    assert "V5, D5, R10, V25, V100" in answer.error_line


def test_an_ensemble_of_several_shapes_is_not_profiled_as_one(advisor):
    assert "V5 has members of several shapes" in advisor("profile", "V5").error_line
