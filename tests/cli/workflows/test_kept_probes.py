"""`advisor train` goes on from the networks of a probe, and ends as it would have without one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from advisor.accuracy.at_hand import AtHand
from advisor.decision.probes.probing import Probe
from advisor.estimate import Estimate
from advisor.plans.identity import ClassIdentity, DatasetIdentity
from advisor.plans.method_traits import Method
from advisor.plans.plan import TrainStep
from advisor.plans.records import StepRecord
from cli.workflows import kept_probes
from cli.workflows.advise.comparison import Fitted, scenario_by
from cli.workflows.advise.probe import ProbingSession
from cli.workflows.advise.probe_evidence import reported_probe
from cli.workflows.advise.request import ResolvedRequest, profiled_for
from cli.workflows.answers.advise.request import RecommendRequest
from cli.workflows.forecast import machine, pace
from cli.workflows.forecast.pace import UsualPace
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from cli.workflows.home import Home
from cli.workflows.kept_probes import KeptProbe, digest_of, keep, usable_probe
from cli.workflows.reading import state_of_evidence
from cli.workflows.runs.steps.accounting import DISTURBED
from cli.workflows.stopping import StopSignals
from cli.workflows.views import silent
from db.session import open_store
from trainer.data.loading import load_data
from trainer.execution.outbox import Outbox
from trainer.training.checkpoint import load_checkpoint

DESIGN, EPOCHS = "2xmlp-1-4@g1", 2
TRAIN = ("train", DESIGN, "--dataset", "digits", "--epochs", str(EPOCHS))
NETWORKS = ("mother-1", "member-1", "member-2")


@pytest.fixture(autouse=True)
def _one_process(monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)


def probe(home, full=True, stop=False, usual=None, say=lambda said: None):
    """Train the design as a probe; return its plan."""
    with open_store(home.database) as store:
        request = PlanRequest(target=DESIGN, dataset="digits", epochs=EPOCHS)
        plan = planned_target(request).with_settings(store)
        found = Probe(
            plan=plan,
            seconds=Estimate.exact(1.0),
            move=0.1,
            predicted_error=Estimate.exact(0.5),
            image_share=1.0,
            full=full,
        )
        data = load_data(plan.dataset, home.data)
        resolved = SimpleNamespace(facts=data.facts)
        session = ProbingSession(None, resolved, None, store, home, data, say)
        session._usual = usual
        session._train(found, StopSignals(0.0 if stop else None))
    return plan


@pytest.fixture(scope="module")
def probed_home(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("probed") / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "usable_cores", lambda: 1)
        probe(home)
    return home


@pytest.fixture
def probed(probed_home, home):
    """The home of the command line, with a probe."""
    shutil.copytree(probed_home.path, home)
    return Home(home)


def networks_of(home):
    folders = (home / "runs" / "0001" / "networks" / name for name in NETWORKS)
    return [load_checkpoint(folder, pytest.fail).weights for folder in folders]


def records_of(home):
    with open_store(Home(home).database) as store:
        epochs = [(e.step, e.epoch, e.validation_error, e.train_loss) for e in store.epochs(1)]
        return epochs, [(s.step, s.status) for s in store.steps(1)], store.run(1)


def is_step(record):
    return isinstance(record, StepRecord)


def same_networks(one, other):
    pairs = zip(networks_of(one), networks_of(other), strict=True)
    return all(a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a) for a, b in pairs)


def test_a_training_goes_on_from_a_probe_and_ends_with_the_same_bits(probed, advisor, tmp_path):
    without = tmp_path / "without"
    assert advisor("--home", str(without), *TRAIN, "-q").code == 0
    assert advisor("probe", "list", "--json").json["probes"][0]["networks_kept"]
    (kept,) = kept_probes.kept_probes(probed)
    steps = [r for r in Outbox(next(probed.kept_probes.iterdir()), kept.plan).records() if is_step(r)]
    done = advisor(*TRAIN)
    assert f"the networks were trained by a probe on {kept.trained_at[:10]}" in done.err
    # Of the epochs only the last of each network is told again.
    assert sum(" epoch " in line for line in done.err.splitlines()) == len(NETWORKS)
    assert same_networks(probed.path, without)
    own, reference = records_of(probed.path), records_of(without)
    assert own[:2] == reference[:2]
    assert own[2].test == reference[2].test
    # Its time and memory are those of the training, not of reading its networks.
    with open_store(probed.database) as store:
        assert store.steps(1) == steps
    # The time is that of the training, and the probe counts once: as the run.
    assert kept.seconds <= own[2].train_seconds < kept.seconds + 60
    # What was waited for beside the probe's training belongs to the probe.
    assert 0 < own[2].overhead_seconds < 60
    assert advisor("probe", "list", "--json").json["probes"] == []
    assert not any(probed.kept_probes.iterdir())
    assert advisor("db", "check", "--runs").code == 0


def test_a_probe_that_was_trained_on_a_busy_machine_makes_a_run_that_is_no_evidence_of_time(
    advisor, home, monkeypatch
):
    monkeypatch.setattr(pace, "pace_side_by_side", lambda copies: 1.0)
    said = []
    probe(Home(home), usual=UsualPace(0.5, {}), say=said.append)
    assert "this machine is slower than usual now: probe 1 took longer" in said
    (kept,) = kept_probes.kept_probes(Home(home))
    assert kept.disturbed
    assert advisor(*TRAIN, "-q").code == 0
    assert records_of(home)[2].fingerprint.startswith(DISTURBED)


@pytest.mark.parametrize("damage", ["a byte of the weights", "a missing record"])
def test_damaged_networks_of_a_probe_are_trained_again_and_it_is_said(probed, advisor, damage):
    (folder,) = probed.kept_probes.iterdir()
    if damage == "a missing record":
        next((folder / "unstored").glob("*.epoch.json")).unlink()
    else:
        newest = sorted((folder / "networks" / "member-1").glob("*.safetensors"))[-1]
        content = bytearray(newest.read_bytes())
        content[-1] ^= 1
        newest.write_bytes(content)
    done = advisor(*TRAIN)
    assert done.code == 0
    (line,) = [line for line in done.err.splitlines() if "are not used" in line]
    assert "trained again" in line
    assert records_of(probed.path)[2].test is not None


def test_only_the_plan_of_the_probe_goes_on_from_it(probed_home, tmp_path):
    home = Home(tmp_path / "home")
    shutil.copytree(probed_home.path, home.path)
    with open_store(home.database) as store:
        request = PlanRequest(target=DESIGN, dataset="digits", epochs=EPOCHS)
        plan = planned_target(request).with_settings(store)
        changed = [
            planned_target(replace(request, **change)).with_settings(store)
            for change in ({"seed": 1}, {"weight_decay": 0.01}, {"epochs": 3}, {"batch": 16})
        ]
    more_processes = replace(plan, execution=replace(plan.execution, processes=2))
    other_arithmetic = replace(plan, execution=replace(plan.execution, dtype="bfloat16"))
    said = []
    assert usable_probe(home, plan, said.append) is not None
    assert usable_probe(home, more_processes, said.append) is not None
    assert all(usable_probe(home, other, said.append) is None for other in (*changed, other_arithmetic))
    assert said == []


def test_what_is_expected_of_the_epochs_to_convergence_tells_no_networks_apart(home):
    with open_store(Home(home).database) as store:
        request = PlanRequest(target=DESIGN, dataset="digits", epochs=30, until_converged=True)
        plan, patient = (
            planned_target(each).with_settings(store) for each in (request, replace(request, patience=7))
        )

    def expecting(epochs):
        steps = (
            replace(step, schedule=replace(step.schedule, expected=epochs, low=epochs - 1, high=epochs + 1))
            if is_training(step)
            else step
            for step in plan.steps
        )
        return replace(plan, steps=tuple(steps))

    few, many = expecting(18.0), expecting(25.0)
    assert few != many
    assert digest_of(few) == digest_of(many) == digest_of(plan) != digest_of(patient)


def is_training(step):
    return isinstance(step, TrainStep)


def identity(contents):
    return DatasetIdentity.of([ClassIdentity(str(i), 107, 36, "files", contents) for i in range(10)])


def test_a_probe_of_other_contents_of_a_folder_is_not_used_and_it_is_said(probed_home, tmp_path):
    (kept,) = kept_probes.kept_probes(probed_home)
    data = replace(kept.plan.dataset, name="folder:/data", identity=identity("old"))
    plan = replace(kept.plan, dataset=data)
    home, folder = Home(tmp_path / "home"), tmp_path / "home" / "trained"
    shutil.copytree(next(probed_home.kept_probes.iterdir()), folder)
    keep(folder, replace(kept, plan=plan), home)
    said = []
    # A folder that was moved has the same contents.
    moved = replace(plan, dataset=replace(data, name="folder:/elsewhere"))
    assert usable_probe(home, moved, said.append) is not None
    assert said == []
    changed = replace(plan, dataset=replace(data, identity=identity("new")))
    assert usable_probe(home, changed, said.append) is None
    assert said == [
        f"the networks that a probe trained on {kept.trained_at[:10]} are not used: folder:/data had other "
        "contents then"
    ]


def kept_of(plan, number):
    training = reported_probe(plan, 0.1, (0.1, 0.1), None)
    return KeptProbe(plan=plan, training=training, trained_at=f"2026-01-01T00:00:{number:02}", seconds=1.0)


@pytest.mark.parametrize(("most_bytes", "left"), [(2**30, 8), (35_000, 3), (100, 0)])
def test_the_newest_probes_are_kept_within_a_number_and_a_size(
    probed_home, tmp_path, monkeypatch, most_bytes, left
):
    monkeypatch.setattr(kept_probes, "KEPT_BYTES", most_bytes)
    plan, home = kept_probes.kept_probes(probed_home)[0].plan, Home(tmp_path / "home")
    for number in range(10):
        folder = tmp_path / "home" / f"trained-{number}"
        folder.mkdir(parents=True)
        (folder / "networks").write_bytes(bytes(1000 if most_bytes > 2**20 else 5000))
        keep(folder, kept_of(replace(plan, seed=number), number), home)
    seeds = [kept.plan.seed for kept in kept_probes.kept_probes(home)]
    assert seeds == list(range(9, -1, -1))[: len(seeds)]
    assert len(seeds) == left or most_bytes == 35_000 and 0 < len(seeds) < 8
    assert len(list(home.kept_probes.iterdir())) == len(seeds)


def test_a_probe_that_is_stopped_or_is_not_what_is_asked_about_keeps_no_networks(tmp_path):
    for number, settings in enumerate(({"full": False}, {"stop": True})):
        home = Home(tmp_path / str(number))
        probe(home, **settings)
        assert kept_probes.kept_probes(home) == []
        with open_store(home.database) as store:
            assert len(store.reported()) == (0 if "stop" in settings else 1)
        assert not home.probes.exists()


def test_a_description_under_another_name_is_not_a_kept_probe(probed_home, tmp_path):
    home = Home(tmp_path / "home")
    shutil.copytree(probed_home.path, home.path)
    (folder,) = home.kept_probes.iterdir()
    plain = json.loads((folder / "probe.json").read_text())
    plain["plan"]["seed"] = 5
    (folder / "probe.json").write_text(json.dumps(plain))
    assert kept_probes.kept_probes(home) == []
    assert digest_of(kept_probes.kept_probes(probed_home)[0].plan) == folder.name


def test_deleting_a_probe_deletes_what_it_taught_and_its_networks(probed, advisor):
    (listed,) = advisor("probe", "list", "--dataset", "digits", "--json").json["probes"]
    assert (listed["design"], listed["epochs"], listed["share_of_images"]) == (DESIGN, EPOCHS, 1.0)
    assert listed["seconds"] > 0
    assert advisor("probe", "list", "--dataset", "cifar10", "--json").json["probes"] == []
    assert "kept" in advisor("probe", "list").out
    for words, text in (
        ((), "in one way"),
        ((str(listed["number"]), "--all"), "in one way"),
        (("7",), "there is no probe 7"),
        (("--dataset", "cifar10"), "there is no probe of cifar10"),
        (("first",), "there is no probe first"),
    ):
        refused = advisor("probe", "delete", *words)
        assert refused.code == 2
        assert text in refused.error_line
    deleted = advisor("probe", "delete", str(listed["number"]), "--json")
    assert deleted.json["deleted"] == [listed["number"]]
    assert not any(probed.kept_probes.iterdir())
    with open_store(probed.database) as store:
        assert store.reported() == []
    assert "no probes yet" in advisor("probe", "list").out
    assert advisor("probe", "delete", "--all", "--json").json["deleted"] == []


def test_the_forecast_is_of_the_networks_that_exist(probed, advisor):
    asked = ("explain", *TRAIN[1:], "--json")
    own = advisor(*asked).json
    shutil.rmtree(probed.kept_probes)
    other = advisor(*asked).json
    factors = [
        e["predicted"]["test_error"]["high"] / e["predicted"]["test_error"]["low"] for e in (own, other)
    ]
    assert factors[0] < factors[1]
    # Corrections are those of trainings that are still to come.
    assert [any(c["quantity"] == "error" for c in e["corrections"]) for e in (own, other)] == [False, True]


def test_a_run_that_takes_networks_has_the_forecast_that_they_had(probed, advisor):
    assert advisor("data", "digits").code == 0
    forecast = advisor("explain", *TRAIN[1:], "--json").json["predicted"]["test_error"]
    assert advisor(*TRAIN, "-q").code == 0
    stored = advisor("explain", "1", "--json").json["predicted"]["test_error"]
    assert stored == forecast


def test_a_recommendation_knows_the_networks_of_what_it_asks_about(probed):
    request = RecommendRequest(
        budget="620",
        epochs=EPOCHS,
        dataset="digits",
        augmentation=None,
        families=("mlp",),
        members=(),
        device="cpu",
        batch=None,
        seed=0,
        profile_seconds=0.0,
    )

    def at_hand(**changes):
        asked = replace(request, **changes)
        resolved = ResolvedRequest.of(asked, probed, silent)
        with open_store(probed.database) as store:
            profiled = profiled_for(asked, resolved, store, silent)
            fitted = Fitted.of(asked, resolved, store, probed)
        return scenario_by(asked, resolved, profiled, fitted).at_hand

    (kept,) = kept_probes.kept_probes(probed)
    known = AtHand(kept.training.error, kept.plan.dataset.validation_images)
    assert at_hand() == {(DESIGN, Method.MOTHERNETS, 1.0): known}
    assert at_hand(tune="off") == at_hand()
    assert at_hand(epochs=EPOCHS + 1) == at_hand(seed=1) == at_hand(batch=16) == {}
    assert at_hand(dataset="cifar10", budget="20k") == {}


def test_an_answer_of_then_does_not_outlive_the_networks(probed):
    before = state_of_evidence(probed)
    assert state_of_evidence(probed) == before
    shutil.rmtree(next(probed.kept_probes.iterdir()))
    assert state_of_evidence(probed) != before
