"""How different the members of finished ensembles are, from runs whose probabilities are made up."""

from __future__ import annotations

import numpy as np
import pytest

from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from advisor.plans.records import EnsembleMetrics, EpochRecord, RunStatus
from cli.workflows.home import Home
from db.session import open_store
from trainer.data.loading import load_data
from trainer.training.stored_probabilities import pack_probabilities

DIGITS = DATASETS["digits"]
EXECUTION = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")
FIGURES = EnsembleMetrics(
    error=0.1, member_errors=(0.1, 0.1, 0.1), oracle_error=0.1, disagreement=0.0, nll=0.5
)


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return load_data(DIGITS, tmp_path_factory.mktemp("data")).validation.labels.numpy()


@pytest.fixture
def stored(home, labels):
    """Store runs of three members, whose last epochs give true classes the given probabilities."""

    def store(*runs):
        with open_store(Home(home).database) as opened:
            for design, seed, likelihoods in runs:
                plan = make_plan(
                    parse_design(design), DIGITS, epochs=2, batch=32, seed=seed, execution=EXECUTION
                )
                run = opened.create_run(
                    created_at="2026-01-01T00:00:00+00:00",
                    plan=plan,
                    parameters=1,
                    fingerprint="",
                    forecast=None,
                )
                for member, likelihood in enumerate(likelihoods or ()):
                    for epoch in range(2):
                        # Only the last epoch counts.
                        value = likelihood if epoch else 0.0
                        opened.record_epoch(run.id, epoch_of(f"member-{member + 1}", epoch, value, labels))
                done = likelihoods is not None
                opened.update_run(
                    run.id,
                    status=RunStatus.DONE if done else RunStatus.DEADLINE,
                    train_seconds=1.0,
                    test=FIGURES if done else None,
                )

    return store


def epoch_of(network, epoch, likelihood, labels):
    probabilities = np.full((len(labels), 10), (1 - likelihood) / 9, np.float32)
    probabilities[np.arange(len(labels)), labels] = likelihood
    return EpochRecord(
        step=f"train {network}",
        network=network,
        epoch=epoch,
        rate=0.1,
        train_loss=1.0,
        train_error=0.1,
        validation_loss=1.0,
        validation_error=0.1,
        validation_probabilities=pack_probabilities(probabilities),
        seconds=1.0,
    )


# Exact in steps of 1/255.
LOW, HIGH = 51 / 255, 153 / 255


def test_two_seeds_have_the_covariance_that_is_found_by_hand(stored, advisor, labels):
    # Members 1 and 2 of one mother rise together by 0.4 from seed to seed, member 3 falls by 0.4.
    stored(
        ("3xmlp-1-8@g2", 0, (LOW, LOW, HIGH)),
        ("3xmlp-1-8@g2", 1, (HIGH, HIGH, LOW)),
        ("3xmlp-1-8@g2", 1, (LOW, LOW, LOW)),
    )
    answer = advisor("runs", "diversity", "1", "2", "3", "--on", "validation", "--json").json
    assert (answer["split"], answer["repeated"]) == ("validation", [3])
    (group,) = answer["groups"]
    assert (group["runs"], group["over"], group["images"]) == ([1, 2], "seeds", len(labels))
    # Half of 0.4²: 0.08. Two of three pairs have the other sign.
    assert group["member_variance"] == pytest.approx(0.08, abs=1e-6)
    assert group["covariance"][0] == pytest.approx([0.08, 0.08, -0.08], abs=1e-6)
    assert group["member_correlation"] == pytest.approx(-1 / 3, abs=1e-6)
    assert group["covariance_of_one_beginning"] == pytest.approx(0.08, abs=1e-6)
    assert group["covariance_of_different_beginnings"] == pytest.approx(-0.08, abs=1e-6)
    # Averages 1/3 and 7/15: half of (2/15)² is 2/225.
    assert group["variance_of_average"] == pytest.approx(2 / 225, abs=1e-6)
    assert group["variance_by_identity"] == pytest.approx(2 / 225, abs=1e-6)
    assert group["chebyshev"][0] == {
        "distance": 0.1,
        "bound": pytest.approx(200 / 225, abs=1e-4),
        "share": 0,
    }


def test_groups_stand_side_by_side_and_fit_into_a_terminal(stored, advisor, monkeypatch):
    stored(("3xmlp-1-8@g1", 0, (LOW, LOW, HIGH)), ("3xmlp-1-8", 0, (LOW, HIGH, HIGH)))
    monkeypatch.setenv("COLUMNS", "80")
    shown = advisor("runs", "diversity", "1", "2", "--on", "validation").out
    assert max(map(len, shown.splitlines())) <= 80
    assert "rounded to 1/255" in " ".join(shown.split())
    assert "mothernets" in shown
    assert "full_data" in shown
    assert "train other seeds to compare with published figures" in " ".join(shown.split())
    one = advisor("runs", "diversity", "1", "--on", "validation").out
    assert "Variances and covariances of the members" in " ".join(one.split())


def test_a_run_without_probabilities_of_its_members_is_one_line(stored, advisor):
    stored(("3xmlp-1-8", 0, None), ("3xmlp-1-8", 0, ()), ("3xmlp-1-8@g1", 0, (LOW,)))
    unfinished = advisor("runs", "diversity", "1")
    assert unfinished.code == 1
    assert "run 1 is deadline and only a finished one" in unfinished.error_line
    for run in ("2", "3"):
        answer = advisor("runs", "diversity", run, "--on", "validation")
        assert answer.code == 1
        assert f"run {run} stored no validation probabilities of member-" in answer.error_line
    # The networks of these runs were never written.
    missing = advisor("runs", "diversity", "2")
    assert missing.code == 4
    assert "run 2 has no networks, because " in missing.error_line
