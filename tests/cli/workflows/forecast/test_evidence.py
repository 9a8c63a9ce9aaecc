"""Which runs teach the accuracy predictor, and under which name."""

from dataclasses import replace

import pytest

from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS, Augmentation
from advisor.plans.execution import Execution
from advisor.plans.identity import ClassIdentity, DatasetIdentity
from advisor.plans.method_traits import Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.records import EnsembleMetrics, Run, RunStatus
from cli.workflows.advise.probe_evidence import reported_probe, trained_before
from cli.workflows.forecast import evidence
from cli.workflows.forecast.evidence import accuracy_for, evidence_of, say_of_earlier_contents, sizes_of
from db.session import open_store

METRICS = EnsembleMetrics(
    error=0.05, member_errors=(0.06, 0.08), oracle_error=0.02, disagreement=0.03, nll=0.2
)


def run_of(
    method=Method.FULL_DATA, status=RunStatus.DONE, augmentation=Augmentation.CROP, test=METRICS, **options
):
    plan = make_plan(
        parse_design("2xmlp-1-8"),
        replace(DATASETS["digits"], augmentation=augmentation),
        epochs=5,
        batch=32,
        seed=0,
        execution=Execution(
            device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous"
        ),
        options=PlanOptions(method=method, **options),
    )
    return Run(
        id=1,
        created_at="2026-01-01T00:00:00+00:00",
        status=status,
        plan=plan,
        parameters=1,
        fingerprint="",
        folder="0001",
        forecast=None,
        train_seconds=1.0,
        test=test,
        message="",
    )


def test_a_finished_run_teaches_the_errors_of_its_members_and_what_averaging_made_of_it():
    (taught,) = evidence_of([run_of()])
    assert taught.member_errors == (0.06, 0.08)
    assert taught.ensemble_error == 0.05
    assert (taught.dataset, taught.epochs, taught.test_images) == ("digits", 5, 360)


def test_a_run_to_convergence_teaches_the_error_of_the_epochs_that_it_took():
    run = run_of(patience=2)
    curves = {run.id: {"member-1": (0.3, 0.2, 0.1), "member-2": (0.3, 0.2, 0.2, 0.2, 0.2)}}
    (taught,) = evidence_of([run], curves)
    assert (taught.epochs, taught.ensemble_error) == (4, 0.05)
    # Its learning curve is not that of a whole schedule.
    assert taught.curve is None
    (fixed,) = evidence_of([run_of()], curves)
    assert (fixed.epochs, len(fixed.curve.member)) == (5, 5)


@pytest.mark.parametrize(
    "run",
    [run_of(status=RunStatus.PARTIAL), run_of(status=RunStatus.DIVERGED), run_of(test=None)],
    ids=["partial", "diverged", "without test"],
)
def test_a_run_that_has_no_errors_yet_teaches_nothing(run):
    assert evidence_of([run]) == []


@pytest.mark.parametrize("method", [Method.BAGGING, Method.SNAPSHOT, Method.TREENETS])
def test_a_run_of_any_method_teaches_under_that_method(method):
    (taught,) = evidence_of([run_of(method=method)])
    assert taught.method is method


def test_a_run_that_was_interrupted_teaches_the_curve_of_the_members_that_are_furthest_on():
    curves = {1: {"member-1": (0.5, 0.4, 0.3), "member-2": (0.7, 0.2, 0.1), "mother-1": (0.9,)}}
    (taught,) = evidence_of([run_of(status=RunStatus.INTERRUPTED, test=None)], curves)
    assert (taught.member_errors, taught.ensemble_error) == (None, None)
    assert taught.curve.member == pytest.approx((0.6, 0.3, 0.2))
    assert taught.curve.images == 360
    curves[1]["member-2"] = (0.7,)
    (taught,) = evidence_of([run_of(status=RunStatus.RUNNING, test=None)], curves)
    assert taught.curve.member == (0.5, 0.4, 0.3)


@pytest.mark.parametrize("curve", [(), (0.5, float("nan"))], ids=["nothing", "diverged"])
def test_a_curve_without_a_figure_teaches_nothing(curve):
    curves = {1: {"member-1": curve}}
    assert evidence_of([run_of(status=RunStatus.RUNNING, test=None)], curves) == []
    (taught,) = evidence_of([run_of()], curves)
    assert taught.curve is None


@pytest.mark.parametrize("method", [Method.MOTHERNETS, Method.SNAPSHOT])
def test_a_curve_of_members_that_begin_as_copies_teaches_nothing(method):
    curves = {1: {"member-1": (0.5, 0.4), "member-2": (0.5, 0.4)}}
    begun = run_of(method=method, status=RunStatus.INTERRUPTED, test=None)
    assert evidence_of([begun], curves) == []
    (taught,) = evidence_of([run_of(method=method)], curves)
    assert taught.curve is None


def test_a_finished_run_tells_its_likelihood_and_its_calibration():
    known = replace(METRICS, calibration_error=0.03)
    (ended,) = evidence_of([run_of(test=known)])
    assert (ended.nll, ended.calibration_error) == (0.2, 0.03)
    (begun,) = evidence_of([run_of(status=RunStatus.INTERRUPTED, test=None)], {1: {"member-1": (0.5, 0.4)}})
    assert (begun.nll, begun.calibration_error) == (None, None)


def test_randaugment_makes_another_problem_of_the_same_images():
    (plain,) = evidence_of([run_of(augmentation=Augmentation.NONE)])
    (hard,) = evidence_of([run_of(augmentation=Augmentation.RANDAUGMENT)])
    assert plain.dataset == "digits"
    assert hard.dataset == "digits with crop+flip+randaugment"


def test_a_training_on_fewer_images_than_its_data_has_teaches_as_such():
    whole, part = (run_of(), run_of())
    few = replace(part.plan.dataset, train_images=269)
    part = replace(part, id=2, plan=replace(part.plan, dataset=few))
    sizes = sizes_of([whole, part], [])
    assert sizes == {"digits": 1077}
    assert [e.image_share for e in evidence_of([whole, part], sizes=sizes)] == [1.0, 269 / 1077]


def test_of_data_that_was_only_trained_on_in_part_the_question_tells_the_size(tmp_path):
    part = replace(run_of().plan.dataset, name="mine", train_images=100)
    with open_store(tmp_path / "db.sqlite") as store:
        reported = reported_probe(replace(run_of().plan, dataset=part), 0.05, (0.06, 0.08), None)
        store.add_reported([reported], source="test", imported_at="2026-01-01T00:00:00+00:00")
        (unaware,) = accuracy_for(store, part, seed=0)[1]
        (told,) = accuracy_for(store, replace(part, train_images=400), seed=0)[1]
    assert (unaware.image_share, told.image_share) == (1.0, 0.25)


def test_only_what_was_trained_to_its_end_and_as_a_probe_would_be_is_not_probed_again():
    curves = {1: {"member-1": (0.5,), "member-2": (0.5,)}}
    ended, hatched = evidence_of([run_of(), run_of(method=Method.MOTHERNETS)])
    begun, chain = evidence_of(
        [run_of(status=RunStatus.INTERRUPTED, test=None), run_of(method=Method.SNAPSHOT)], curves
    )
    keys = {f"{e.design.name} for 5 epochs" for e in (ended, hatched)}
    assert trained_before([ended, hatched], "digits") == keys
    # Another weight decay makes another training.
    decayed = replace(ended, weight_decay=10.000000000000002)
    assert trained_before([decayed], "digits") == {
        f"{ended.design.name} for 5 epochs with 10 times the weight decay"
    }
    assert trained_before([begun, chain], "digits") == trained_before([ended], "other") == set()


def test_data_that_the_program_does_not_know_has_as_many_images_as_anything_was_trained_on():
    mine = [replace(run_of().plan.dataset, name="mine", train_images=n) for n in (100, 400)]
    runs = [replace(run_of(), plan=replace(run_of().plan, dataset=facts)) for facts in mine]
    assert sizes_of(runs, []) == {"mine": 400}


def folder_facts(place, contents):
    """Facts of a folder with some contents; an older program stored none."""
    files = [ClassIdentity(name, 9, 1, "", contents or "") for name in "ab"]
    known = None if contents is None else DatasetIdentity.of(files)
    return replace(DATASETS["digits"], name=f"folder:/{place}", identity=known)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Runs on two copies of the same images, on what one folder had before, and two of an older program."""
    # The evidence alone is tested: nothing is fitted to it.
    monkeypatch.setattr(evidence, "AccuracyPredictor", lambda *_: None)
    with open_store(tmp_path / "db.sqlite") as store:
        for place, contents in (
            ("here", "new"),
            ("there", "new"),
            ("here", "old"),
            ("here", None),
            ("there", None),
        ):
            plan = replace(run_of().plan, dataset=folder_facts(place, contents))
            run = store.create_run(
                created_at="2026-01-01T00:00:00+00:00", plan=plan, parameters=1, fingerprint="", forecast=None
            )
            store.update_run(run.id, status=RunStatus.DONE, train_seconds=1.0, test=METRICS)
        yield store


def trainings_on(store, facts):
    return [e.dataset for e in accuracy_for(store, facts, seed=0)[1]].count(facts.learned_as)


def test_trainings_on_the_same_images_count_wherever_they_lie(store):
    # Those of the older program count for their path alone.
    assert trainings_on(store, folder_facts("here", "new")) == 2 + 1
    assert trainings_on(store, folder_facts("elsewhere", "new")) == 2


def test_trainings_on_what_a_folder_had_before_do_not_count_which_is_said(store):
    said = []
    facts = folder_facts("here", "newer")
    say_of_earlier_contents(store, facts, said.append)
    assert trainings_on(store, facts) == 1
    assert said == ["2 runs do not count as training on these data: folder:/here had other contents then"]
    for known in (folder_facts("elsewhere", "newer"), folder_facts("here", None), DATASETS["digits"]):
        say_of_earlier_contents(store, known, said.append)
    assert len(said) == 1


def test_probes_count_for_the_same_images_and_the_size_of_the_data_is_known_wherever_they_lie(store):
    facts = folder_facts("here", "probed")
    part = replace(run_of().plan, dataset=replace(facts, train_images=269))
    probe = reported_probe(part, 0.05, (0.06, 0.08), None)
    store.add_reported([probe], source="test", imported_at="2026-01-01T00:00:00+00:00")
    moved = folder_facts("elsewhere", "probed")
    (own,) = (e for e in accuracy_for(store, moved, seed=0)[1] if e.dataset == moved.learned_as)
    assert own.image_share == 269 / 1077


def test_another_augmentation_of_the_same_images_is_learned_apart(store):
    facts = replace(folder_facts("here", "new"), augmentation=Augmentation.RANDAUGMENT)
    assert trainings_on(store, facts) == 0
