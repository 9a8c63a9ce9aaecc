"""Options on clusters: without Ray, and where they do not go together."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def without_ray(monkeypatch):
    """A machine on which Ray is not installed, however much of it was imported before."""
    for name in [*sys.modules]:
        # The address imports nothing of Ray, and others hold its class.
        ours = name.startswith("trainer.execution.cluster.") and not name.endswith(".address")
        if name.split(".")[0] == "ray" or ours:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr("trainer.execution.cluster.address.find_spec", lambda name: None)


@pytest.mark.parametrize(
    "command",
    [
        ("explain", "mlp-1-8", "--dataset", "digits", "--epochs", "2"),
        ("profile", "mlp-1-8", "--dataset", "digits"),
        ("train", "mlp-1-8", "--dataset", "digits", "--epochs", "2"),
        ("recommend", "--budget", "8k", "--epochs", "2", "--dataset", "digits", "--probe", "0"),
    ],
)
def test_without_ray_a_cluster_is_one_line_and_nothing_is_stored(without_ray, advisor, home, command):
    refused = advisor(*command, "--cluster", "auto")
    assert refused.code == 2
    assert refused.error_line.endswith("--cluster needs Ray: pip install 'ensemble-advisor[cluster]'")
    assert not list(home.glob("runs/*"))


def test_explain_needs_ray_for_a_cluster_only(without_ray, advisor):
    found = advisor("explain", "mlp-1-8", "--dataset", "digits", "--epochs", "2", "--json")
    assert found.code == 0, found.err
    assert found.json["cluster"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("profile",), "name a network"),
        (("profile", "mlp-1-8", "--profile-seconds", "5"), "add --cluster auto|ADDRESS"),
        (("profile", "mlp-1-8", "--cluster", "auto", "--csv", "x.csv"), "leave it or --cluster out"),
        (("profile", "mlp-1-8", "--cluster", "auto", "--profile-seconds", "0"), "must be positive, got 0"),
        (("explain", "3", "--cluster", "auto"), "a run has the forecast of its beginning"),
    ],
)
def test_options_that_do_not_go_together_are_refused_in_one_line(advisor, arguments, words):
    refused = advisor(*arguments)
    assert refused.code == 2
    assert words in refused.error_line
