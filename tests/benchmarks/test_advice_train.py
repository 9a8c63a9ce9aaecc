"""The grid of trainings that evaluates advice (benchmarks/trainings/advice_grid.py, advice_train.py)."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from advisor.accuracy.sources.reported import read_reported
from advisor.designs.design import parse_design
from advisor.networks.architecture import lower, parse_network

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks" / "trainings"


@pytest.fixture(scope="module")
def grid():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("advice_grid")


@pytest.fixture(scope="module")
def script(grid):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("advice_train")


@pytest.fixture(scope="module")
def runner(grid):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("grid_runner")


def test_no_training_stands_in_the_grid_twice(grid):
    jobs = grid.jobs()
    assert len(set(jobs)) == len({tuple(job.key.items()) for job in jobs}) == len(jobs)
    assert {job for job in jobs if job.seed == 0} == {replace(job, seed=0) for job in jobs}


def test_every_ensemble_has_the_size_of_its_single_network_or_a_little_less(grid):
    for job in grid.jobs():
        size = parse_design(job.design).parameters(job.facts.task)
        if job.kind == "single":
            assert size == job.budget
        assert grid.LEAST_SHARE * job.budget <= size <= job.budget


def test_equivalents_hold_depth_or_width(grid):
    singles = {job.budget: parse_network(job.design) for job in grid.jobs() if job.kind == "single"}
    assert len(singles) >= 5
    for job in grid.jobs():
        design, single = parse_design(job.design), singles[job.budget]
        if job.kind == "deq":
            assert design.homogeneous
            assert design.members[0].depth == single.depth
        if job.kind == "weq":
            assert design.homogeneous
            assert design.members[0].width == single.width
        if job.kind == "mixed":
            assert not design.homogeneous


def test_data_sets_of_one_shape_count_the_same_parameters(grid):
    network = parse_network("resnet-26-9")
    assert len({lower(network, s.facts.task).parameters for s in grid.SETTINGS}) == 1


def test_a_data_set_is_trained_seed_by_seed_from_the_ends_of_the_budgets_inwards(grid):
    jobs = grid.jobs()
    budgets = {job.budget for job in jobs}
    for setting in grid.SETTINGS:
        own = [job for job in jobs if job.facts == setting.facts]
        assert [job.seed for job in own] == sorted(job.seed for job in own)
        coarse = [job.budget for job in own if job.seed == 0][: len(own) // 5]
        assert {min(budgets), max(budgets)} <= set(coarse)


def test_the_costly_data_set_begins_when_another_is_complete(grid):
    jobs = grid.jobs()
    begun = next(i for i, job in enumerate(jobs) if job.facts.train_images == 4000)
    assert {job.seed for job in jobs[:begun] if job.facts.name == "digits"} == set(range(grid.SEEDS))


def test_a_row_is_read_by_the_import_and_by_the_script(grid, script, runner, tmp_path, one_thread):
    job = grid.Job(
        dataset="digits",
        facts=grid.DATASETS["digits"],
        budget=600,
        kind="deq",
        design="2xmlp-1-4@g1",
        epochs=3,
        seed=1,
    )
    file = tmp_path / "results" / "grid.csv"
    jobs = runner.Grid(file=file, columns=runner.COLUMNS, jobs=lambda rows: [job], data=script.data_of)
    assert runner.mended_rows(jobs) == []
    assert jobs.missing([]) == [job]
    row = runner.train(job, script.data_of)
    runner._add(jobs, {name: row[name] for name in runner.COLUMNS})
    # Mother and members after every epoch: three and one.
    assert len(row["ensemble_curve"].split(";")) == len(row["member_curve"].split(";")) == 4
    assert row["errors_by_members"].split(";")[0] == row["member_errors"].split(";")[0]
    assert row["errors_by_members"].split(";")[-1] == row["error"]
    assert len(row["network_seconds"].split(";")) == 3
    (training,) = read_reported(file.read_text(), "grid.csv")
    assert (training.dataset, training.design, training.seed) == ("digits", "2xmlp-1-4@g1", 1)
    whole = file.read_text()
    file.write_text(whole + whole.splitlines()[1][:50])
    assert jobs.missing(runner.mended_rows(jobs)) == []
    assert file.read_text() == whole
