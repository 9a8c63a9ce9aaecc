"""Which runs teach the accuracy predictor, and under which name."""

from dataclasses import replace

import pytest

from advisor.dataset import DATASETS, Augmentation
from advisor.design import parse_design
from advisor.measurement import Execution
from advisor.methods import PlanOptions, make_plan
from advisor.plan import Method
from advisor.records import EnsembleMetrics, Run, RunStatus
from cli.workflows.evidence import evidence_of

METRICS = EnsembleMetrics(
    error=0.05, member_errors=(0.06, 0.08), oracle_error=0.02, disagreement=0.03, nll=0.2
)


def run_of(method=Method.FULL_DATA, status=RunStatus.DONE, augmentation=Augmentation.CROP, test=METRICS):
    plan = make_plan(
        parse_design("2xmlp-1-8"),
        replace(DATASETS["digits"], augmentation=augmentation),
        epochs=5,
        batch=32,
        seed=0,
        execution=Execution(
            device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous"
        ),
        options=PlanOptions(method=method),
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


def test_a_finished_run_teaches_the_mean_of_its_members_and_what_averaging_made_of_it():
    (taught,) = evidence_of([run_of()])
    assert taught.member_error == pytest.approx(0.07)
    assert taught.ensemble_error == 0.05
    assert (taught.dataset, taught.epochs, taught.test_images) == ("digits", 5, 360)


@pytest.mark.parametrize(
    "run",
    [
        run_of(method=Method.BAGGING),
        run_of(method=Method.SNAPSHOT),
        run_of(method=Method.TREENETS),
        run_of(status=RunStatus.PARTIAL),
        run_of(status=RunStatus.DIVERGED),
        run_of(test=None),
    ],
    ids=["bagging", "snapshot", "treenets", "partial", "diverged", "without test"],
)
def test_what_the_predictor_does_not_describe_teaches_nothing(run):
    assert evidence_of([run]) == []


def test_randaugment_makes_another_problem_of_the_same_images():
    (plain,) = evidence_of([run_of(augmentation=Augmentation.NONE)])
    (hard,) = evidence_of([run_of(augmentation=Augmentation.RANDAUGMENT)])
    assert plain.dataset == "digits"
    assert hard.dataset == "digits with crop+flip+randaugment"
