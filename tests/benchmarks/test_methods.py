"""How the benchmark of methods compares trainings (benchmarks/trainings/methods.py)."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks" / "trainings"


@pytest.fixture(scope="module")
def methods():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("methods")


def row(method, seed, seconds, error=0.1, **others):
    figures = {"seconds": seconds, "core_seconds": 2 * seconds, "error": error, "validation_error": error}
    return {"scenario": "V25", "method": method, "seed": seed, **figures, **others}


def test_methods_are_compared_on_the_seeds_that_both_have(methods):
    rows = [row("mothernets g1", 0, 10, 0.2), row("mothernets g1", 1, 8, 0.3)]
    rows += [row("full_data", 0, 20, 0.21), row("full_data", 1, 18, 0.33), row("full_data", 2, 4, 0.9)]
    found = methods.compared(rows, "full_data")
    # The 4 seconds of seed 2, which MotherNets did not train, do not count: 18 / 8.
    assert found["seeds"] == 2
    assert found["times_slower"] == found["core_times_slower"] == 2.25
    assert found["range"] == [2.0, 2.25]
    assert found["points_more_error"]["mean"] == pytest.approx(2)
    assert methods.compared(rows, "bagging") == {}


def test_the_ratio_of_the_fastest_lies_within_the_range_of_single_seeds(methods):
    rows = [row("mothernets g1", s, seconds) for s, seconds in enumerate((3, 7, 5))]
    rows += [row("snapshot", s, seconds) for s, seconds in enumerate((9, 8, 30))]
    found = methods.compared(rows, "snapshot")
    assert found["range"][0] <= found["times_slower"] <= found["range"][1]


def test_a_chain_stops_at_the_cost_of_mothernets(methods):
    spent = {f"member-{i + 1}": 3.0 for i in range(4)}
    chain = row("snapshot", 0, 12, 0.1, network_seconds=spent, errors_by_members=[0.4, 0.3, 0.2, 0.1])
    found = methods.chain_at_equal_cost([chain, row("mothernets g1", 0, 3.5, 0.35)])
    # One snapshot of 3 seconds fits into 3.5 seconds, two into 7 of work.
    assert found["seconds"]["snapshots"] == [1]
    assert found["seconds"]["points_more_error"]["mean"] == pytest.approx(5)
    assert found["core_seconds"]["snapshots"] == [2]
    assert found["core_seconds"]["points_more_error"]["mean"] == pytest.approx(-5)
