from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import EpochRecord, Forecast, PredictedStep, Run
from db.queries import Store
from db.session import open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "advisor.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with open_store(path, busy_seconds=0.2) as opened:
        yield opened


@pytest.fixture(scope="session")
def plan() -> TrainingPlan:
    return make_plan(
        parse_design("2xresnet-8-8@g1"),
        DATASETS["digits"],
        epochs=3,
        batch=32,
        seed=1,
        execution=Execution(
            device="cpu", processes=2, threads=1, dtype="float32", memory_format="contiguous"
        ),
    )


@pytest.fixture(scope="session")
def forecast() -> Forecast:
    return Forecast(
        train_seconds=(12.5, 10.0, 15.0),
        train_peak_bytes=(2e8, 1e8, 3e8),
        inference_ms_per_image=None,
        test_error=(0.05, 0.03, 0.08),
        steps=(PredictedStep(step="train mother-1", mean=6.0, low=5.0, high=7.0),),
    )


@pytest.fixture(scope="session")
def new_run(plan: TrainingPlan) -> Callable[[Store], Run]:
    def create(store: Store) -> Run:
        return store.create_run(
            created_at="2026-01-01T00:00:00+00:00",
            plan=plan,
            parameters=9876,
            fingerprint="0123456789abcdef",
            forecast=None,
        )

    return create


@pytest.fixture(scope="session")
def epoch_of() -> Callable[..., EpochRecord]:
    def make(epoch: int = 0, step: str = "train mother-1", size: int = 16, loss: float = 0.5) -> EpochRecord:
        return EpochRecord(
            step=step,
            network="mother-1",
            epoch=epoch,
            rate=0.1,
            train_loss=loss,
            train_error=0.25,
            validation_loss=0.75,
            validation_error=0.125,
            validation_probabilities=os.urandom(size),
            seconds=1.5,
        )

    return make


@pytest.fixture(scope="session")
def locked() -> Callable[[Path], AbstractContextManager[None]]:
    """Another process has the file to itself for a while."""
    code = (
        "import sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); sys.stdin.read()\n"
    )

    @contextmanager
    def hold(path: Path) -> Iterator[None]:
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline() == b"locked\n"
            try:
                yield
            finally:
                process.stdin.close()

    return hold
