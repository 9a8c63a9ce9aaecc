"""How the benchmark of methods orders, resumes and judges trainings (benchmarks/trainings/methods*.py)."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from advisor.plans.convergence.predictor import epochs_to_convergence
from advisor.plans.recipes.choice import RecipeName
from advisor.plans.records import EpochRecord
from trainer.events import CheckpointWritten

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks" / "trainings"
MODULES = (
    "methods", "methods_ensembles", "methods_epochs", "methods_grid", "methods_train", "methods_claims",
    "methods_left", "methods_charts", "methods_seconds", "methods_forecasts",
)  # fmt: skip


@pytest.fixture(scope="module")
def bench():
    """Modules of the benchmark, by their names without the common start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield SimpleNamespace(
            **{name.removeprefix("methods_"): importlib.import_module(name) for name in MODULES}
        )
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def tiny(bench):
    return bench.ensembles.Scenario(
        name="tiny",
        design="resnet-8-2+resnet-8-3",
        dataset="digits",
        clusters=(1,),
        seeds=1,
        epoch_seconds={RecipeName.PUBLISHED: 0.1},
        most_epochs={RecipeName.PUBLISHED: 2},
    )


def row(bench, method, seed, seconds=10.0, error=0.1, members=5, **others):
    """A row made by hand; every member took 30 of at most 120 epochs and a tenth of the seconds."""
    made = {
        "scenario": "V5",
        "recipe": "published",
        "method": method,
        "seed": seed,
        "clusters": method.removeprefix("mothernets g") if method.startswith("mothernets") else members,
        "seconds": seconds,
        "core_seconds": 2 * seconds,
        "wall_seconds": 3 * seconds,
        "error": error,
        "member_errors": ";".join(["0.2"] * members),
        "errors_by_members": ";".join(["0.2"] * (members - 1) + [str(error)]),
        "network_seconds": ";".join([str(seconds / 10)] * members),
        "kinds": ";".join(["member"] * members),
        "epochs": ";".join(["30"] * members),
        "most_epochs": ";".join(["120"] * members),
        "predicted": ";".join(["30/20/40"] * members),
        "prior": ";".join(["60/40/80"] * members),
        "patience": 15,
        "date": "2026-11-29",
    } | others
    names = bench.train.COLUMNS
    return {name: str(made.get(name, 0)) for name in names}


def block(bench, rows):
    return bench.claims.blocks_of(rows)[0]


def claim(bench, rows, start):
    return next(c for c in bench.claims.claims_of(block(bench, rows)) if c.claim.startswith(start))


def test_methods_are_compared_on_the_seeds_that_both_have(bench):
    rows = [row(bench, "mothernets g1", s, seconds) for s, seconds in enumerate((10, 8))]
    rows += [row(bench, "full_data", s, seconds) for s, seconds in enumerate((40, 18, 4))]
    found = claim(bench, rows, "full data over g = 1").figure
    # 4 and 2.25 times: the root of 9. The 4 seconds of seed 2, which MotherNets did not train, do not count.
    assert (found.seeds, found.mean) == (2, pytest.approx(3))


def test_an_interval_is_that_of_student_over_seeds(bench):
    found = bench.claims.figure([1.0, 2.0, 3.0])
    # t(0.95, 2 degrees of freedom) = 2.920, standard error 1 / √3.
    assert (found.mean, found.low) == (2.0, pytest.approx(2 - 2.920 / 3**0.5, abs=1e-3))
    assert bench.claims.figure([1.0]).low is None


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ((3.0, 3.1, 3.05), "met"),
        ((2.0, 2.1, 2.05), "missed"),
        ((2.0, 3.5, 3.0), "open: met in the mean, the interval contains the goal"),
        ((2.0, 2.9, 2.2), "open: missed in the mean, the interval contains the goal"),
        ((3.0, 3.1), "too few seeds (2 of 3); so far met in the mean"),
        ((2.0,), "too few seeds (1 of 3); so far missed in the mean"),
    ],
)
def test_a_goal_is_met_or_missed_by_the_whole_interval_and_by_enough_seeds(bench, times, said):
    rows = [row(bench, "mothernets g1", s) for s in range(len(times))]
    rows += [row(bench, "full_data", s, 10 * ratio) for s, ratio in enumerate(times)]
    assert claim(bench, rows, "full data over g = 1").verdict == said


@pytest.mark.parametrize(("members", "goal"), [(3, ""), (5, "≥ 2.5"), (25, "≥ 4")])
def test_the_goal_of_full_data_depends_on_the_number_of_members(bench, members, goal):
    rows = [row(bench, m, 0, members=members) for m in ("mothernets g1", "full_data")]
    assert claim(bench, rows, "full data over g = 1").goal == goal


def test_two_seeds_are_enough_for_a_large_ensemble(bench):
    rows = [row(bench, "mothernets g1", s, members=25) for s in (0, 1)]
    rows += [row(bench, "full_data", s, 50 + s, members=25) for s in (0, 1)]
    assert claim(bench, rows, "full data over g = 1").verdict == "met"


def test_errors_are_compared_in_points_and_mothernets_may_have_half_a_point_more(bench):
    rows = [row(bench, "full_data", s, error=0.10) for s in range(3)]
    rows += [row(bench, "mothernets g1", s, error=e) for s, e in enumerate((0.104, 0.1035, 0.1045))]
    found = claim(bench, rows, "g = 1 over full data")
    assert (found.figure.mean, found.goal, found.verdict) == (pytest.approx(0.4), "≤ 0.5", "met")


def test_a_chain_that_gains_beyond_six_snapshots_misses_the_claim(bench):
    errors = ";".join(map(str, (0.5, 0.4, 0.35, 0.32, 0.31, 0.30, 0.29, 0.28)))
    rows = [row(bench, "snapshot", s, errors_by_members=errors, patience="") for s in range(3)]
    found = claim(bench, rows, "all snapshots over the first six")
    assert (found.figure.mean, found.verdict) == (pytest.approx(-2), "missed")
    short = [row(bench, "snapshot", 0, errors_by_members="0.5;0.4;0.3;0.3;0.3;0.2")]
    assert bench.claims.beyond_six(block(bench, short)) is None


def clusters(bench, errors, seconds):
    methods = ("mothernets g1", "mothernets g2", "full_data")
    return [
        row(bench, m, s, t + s / 100, e + s / 1e5)
        for s in range(3)
        for m, t, e in zip(methods, seconds, errors, strict=True)
    ]


def test_a_step_of_g_whose_error_rises_beyond_its_interval_is_named(bench):
    rising = clusters(bench, (0.10, 0.12, 0.09), (10, 20, 30))
    assert claim(bench, rising, "error falls with g").verdict.startswith("missed: g = 1 to 2: 2.00")
    assert claim(bench, rising, "time rises with g").verdict == "met"
    falling = clusters(bench, (0.12, 0.10, 0.09), (20, 10, 30))
    assert claim(bench, falling, "error falls with g").verdict == "met"
    assert claim(bench, falling, "time rises with g").verdict.startswith("missed: g = 1 to 2: 2.00")


def test_a_number_of_clusters_above_the_line_between_its_neighbours_bends_the_front(bench):
    seconds = (10, 20, 30)
    # Halfway in time, 12 − 9.5 points above or 10.2 − 10.5 below: the line has 10.5.
    convex = clusters(bench, (0.12, 0.102, 0.09), seconds)
    bent = clusters(bench, (0.12, 0.115, 0.09), seconds)
    assert claim(bench, convex, "the front is convex").verdict == "met"
    assert claim(bench, bent, "the front is convex").verdict.startswith("missed: g = 2: 1.00")


def test_one_seed_leaves_clusters_undecided(bench):
    rows = [r for r in clusters(bench, (0.10, 0.12, 0.09), (10, 20, 30)) if r["seed"] == "0"]
    said = claim(bench, rows, "error falls with g").verdict
    assert said == ("too few seeds: g = 1 to 2 (1 of 3), g = 2 to 5 (1 of 3); means that do not: g = 1 to 2")


def test_forecasts_of_epochs_are_judged_by_median_miss_and_coverage(bench):
    rows = [row(bench, "full_data", s, patience=15) for s in range(12)]
    rows.append(row(bench, "snapshot", 0, patience="", predicted=";;;;", prior=";;;;"))
    found = bench.epochs.epoch_figures(rows, "prior")
    # 60 epochs were forecast and 30 came, outside of 40 to 80. Cycles have no forecast.
    assert (found["trainings"], found["networks"], found["median_miss"]) == (12, 60, 1.0)
    assert found["inside_90"]["mean"] == 0.0
    verdicts = {c.claim: c.verdict for c in bench.epochs.epoch_claims(rows)[0]}
    assert verdicts["epochs, forecast of its time: median miss"] == "met"
    assert verdicts["epochs, forecast of the prior: median miss"] == "missed"
    assert verdicts["epochs, forecast of the prior: inside the interval"] == "missed: too narrow"
    few = {c.claim: c.verdict for c in bench.epochs.epoch_claims(rows[:3])[0]}
    assert few["epochs, forecast of the prior: median miss"].startswith("too few trainings (3 of 10)")


def test_a_forecast_anew_learns_from_the_other_seeds_alone(bench, tiny):
    def trained(seed, epochs):
        return row(
            bench, "full_data", seed, scenario="tiny", dataset="digits", family="resnet", plan_epochs=120,
            kinds="member;member", epochs=f"{epochs};{epochs}", most_epochs="120;120",
        )  # fmt: skip

    found = bench.forecasts.with_forecasts([*(trained(s, 40) for s in range(4)), trained(4, 80)], [tiny])
    means = [float(r["other_seeds"].split("/")[0]) for r in found]
    # That of the last seed rests on trainings of 40 epochs, and those of the others on one of 80 as well.
    assert means[4] == pytest.approx(40, rel=0.1)
    assert means[0] > means[4]
    # There is no other ensemble: what is left is the prior, 128 epochs of which 120 are allowed.
    assert all(float(r["other_ensembles"].split("/")[0]) > 70 for r in found)


def test_a_chain_stops_at_the_cost_of_mothernets(bench):
    chain = row(
        bench,
        "snapshot",
        0,
        network_seconds="3;3;3;3;3",
        errors_by_members="0.4;0.3;0.2;0.1;0.1",
        patience="",
    )
    found = bench.methods.chain_at_equal_cost(
        block(bench, [chain, row(bench, "mothernets g1", 0, 3.5, 0.35)])
    )
    # One snapshot of 3 seconds fits into 3.5 seconds, two into 7 of work.
    assert (found["seconds"]["snapshots"], found["core_seconds"]["snapshots"]) == ([1], [2])
    assert found["seconds"]["points_more_error"]["mean"] == pytest.approx(5)
    assert found["core_seconds"]["points_more_error"]["mean"] == pytest.approx(-5)


def test_rows_of_one_seed_give_json_and_pictures(bench):
    rows = clusters(bench, (0.12, 0.102, 0.09), (10, 20, 30))
    rows = [r | {"patience": ""} for r in rows if r["seed"] == "0"]
    rows.append(row(bench, "snapshot", 0, members=7, patience=""))
    result = bench.methods.judged(rows)
    assert json.loads(json.dumps(result))["blocks"][0]["members"] == 5
    for chart_of in (bench.charts.front_chart, bench.charts.growth_chart):
        assert chart_of(result["blocks"], bench.charts.caption_of(result)).to_dict()["$schema"]


# Order and resuming.


def test_small_ensembles_come_first_seed_by_seed_and_every_block_is_whole(bench):
    order = [(len(s.members) > 5, seed) for s, _, seed in bench.grid.blocks(bench.ensembles.SCENARIOS)]
    assert order == sorted(order)
    assert Counter(order) == {(False, 0): 12, (False, 1): 12, (False, 2): 12, (True, 0): 2, (True, 1): 2}


def test_chains_wait_for_the_trainings_that_decide_their_length(bench):
    scenario = bench.ensembles.SCENARIOS[0]

    def waiting(rows):
        jobs = bench.grid.ready([scenario], rows)
        return {j.method: j.epochs for j in jobs if j.recipe == "published" and j.seed == 0}

    assert set(scenario.methods) - set(waiting([])) == {"snapshot", "snapshot in the time of mothernets"}
    full, hatched = row(bench, "full_data", 0), row(bench, "mothernets g1", 0, 21)
    assert waiting([full, hatched])["snapshot"] == 30
    chain = row(bench, "snapshot", 0, 15, epochs=";".join(["14"] * 10), core_seconds=14)
    # A tenth of a second an epoch: 21 seconds are five cycles of 42 epochs, which are 60/128 of 90.
    assert waiting([full, hatched, chain])["snapshot in the time of mothernets"] == 90


def test_seconds_of_different_machines_are_not_compared(bench):
    rows = [row(bench, "mothernets g1", s, 10, device="one") for s in (0, 1)]
    rows += [
        row(bench, "full_data", s, 30, error=0.2, device=name) for s, name in enumerate(("one", "other"))
    ]
    assert claim(bench, rows, "full data over g = 1").figure.seeds == 1
    # Errors are.
    assert claim(bench, rows, "g = 1 over full data").figure.seeds == 2


@pytest.mark.parametrize("own_seconds", [0, 3])
def test_a_training_elsewhere_gets_the_seconds_of_its_epochs_on_the_first_machine(bench, tiny, own_seconds):
    def made(seed, epochs, seconds, **others):
        own = {"scenario": "tiny", "epochs": epochs, "network_seconds": seconds, "plan_epochs": 2}
        return row(bench, "mothernets g1", seed, **own | others)

    # A tenth of a second an epoch of the mother, and a fifth and two fifths of the members.
    timed = made(0, "10;10;20", "1;2;8", device="processor")
    quick = made(1, "20;5;10", "1;1;1", core_seconds=own_seconds, device="another")
    other = quick | {"recipe": "ours"}
    found = bench.seconds.with_seconds([timed, quick, other], [tiny])
    assert found[0] == timed
    assert found[2] == other
    assert found[1]["network_seconds"] == "2.00;1.00;4.00"
    # Both members train at the same time on the two cores, after their mother.
    assert (found[1]["seconds"], found[1]["core_seconds"], found[1]["device"]) == (
        "6.00",
        "7.00",
        "processor",
    )


def test_seeds_can_be_trained_on_different_machines(bench):
    every, ready = bench.ensembles.SCENARIOS, bench.grid.ready
    shares = [{job.name for job in ready(every, [], seeds=seeds)} for seeds in ([0], [1, 2])]
    assert shares[0] | shares[1] == {job.name for job in ready(every, [])}
    assert not shares[0] & shares[1]
    assert {job.seed for job in ready(every, [], seeds=[1, 2])} == {1, 2}


def test_v25_is_the_preset_at_an_eighth_of_its_width(bench):
    names = bench.ensembles.narrowed("V25", 8).split("+")
    assert len(names) == len(set(names)) == 25
    # More filters in the first layer, 80 of 64; larger ones in the second; both in the third, 160 of 128.
    assert names[:3] == ["vgg-16-8~b1l1:3x10", "vgg-16-8~b1l2:5x8", "vgg-16-8~b2l1:5x20"]


def test_a_stored_number_of_epochs_teaches_as_the_curve_that_ended_there(bench):
    assert epochs_to_convergence(bench.epochs.ended_curve(40, 120, 15), 15) == 40
    assert epochs_to_convergence(bench.epochs.ended_curve(120, 120, 15), 15) is None
    known = bench.epochs.evidence([row(bench, "full_data", 0, family="vgg", dataset="digits")])
    assert [(s.kind, s.family, len(s.train_errors), s.falling) for s in known] == [
        ("member", "vgg", 30, False)
    ] * 5


def test_a_training_that_was_stopped_continues_to_the_same_row(bench, tiny, tmp_path, monkeypatch):
    job = bench.grid.Job(scenario=tiny, recipe=RecipeName.PUBLISHED, method="mothernets g1", seed=0, epochs=2)

    def trained(work, batches=10**6):
        # The question whether to stop is asked before every batch.
        left = iter([0.0] * batches)
        monkeypatch.setattr(bench.train, "time", SimpleNamespace(monotonic=lambda: next(left, 1.0)))
        file = tmp_path / "rows.csv"
        return bench.train.train(job, bench.train.data_of, work=work, known_from=file, until=0.5)

    whole = trained(tmp_path / "whole")
    parts = tmp_path / "parts"
    # An epoch has four batches: in the middle of the second of the mother, and of the first of a member.
    assert trained(parts, 7) is None
    assert trained(parts, 8) is None
    with (parts / job.name / "seconds.jsonl").open("a") as file:
        file.write('{"network": "moth')
    continued = trained(parts)
    same = set(bench.train.COLUMNS) - {"seconds", "core_seconds", "wall_seconds", "network_seconds"}
    assert {name: continued[name] for name in same} == {name: whole[name] for name in same}
    assert whole["epochs"] == "2;2;2"
    assert whole["kinds"] == "mother;hatched;hatched"


def test_work_that_is_done_again_counts_once(bench, tmp_path, monkeypatch):
    now = iter((0.0, 1.0, 3.0, 10.0, 14.0, 15.0))
    monkeypatch.setattr(time, "process_time", lambda: next(now))
    epoch = dict(
        rate=0.1, train_loss=1.0, train_error=0.5, validation_loss=1.0, validation_error=0.5,
        validation_probabilities=b"", seconds=1.0, step="train member-1", network="member-1",
    )  # fmt: skip
    clock = bench.train.EpochClock(tmp_path / "seconds.jsonl")
    clock(EpochRecord(epoch=0, **epoch))
    clock(CheckpointWritten("member-1"))
    # Killed: the next process is told of epoch 0 again, trains epoch 1, and writes a checkpoint.
    again = bench.train.EpochClock(tmp_path / "seconds.jsonl")
    again(EpochRecord(epoch=0, **epoch))
    again(EpochRecord(epoch=1, **epoch))
    assert again.seconds("member-1") == pytest.approx(1 + 2 + 1)


def test_some_ensembles_can_be_trained_into_a_file_that_has_rows_of_others(bench, tiny):
    place = {"network_seconds": "1;1;1", "epochs": "1;1;1", "recipe": "ours"}
    timed = row(bench, "mothernets g1", 0, 10, **place)
    quick = row(bench, "mothernets g1", 1, 0, core_seconds=0, device="gpu", **place)
    assert bench.seconds.with_seconds([timed, quick], [tiny]) == []
