"""What the tests of the trainer share: settings of hypothesis, the digits, tiny plans, recorded events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from torch import Tensor

from advisor.designs.design import parse_design
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.method_traits import Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from trainer.data.loading import Data, load_data
from trainer.events import Event, Notice, TrainingStarted
from trainer.execution.execute import execute
from trainer.run_files import RunFiles
from trainer.training.checkpoint import load_checkpoint

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def in_one_thread(one_thread: None) -> None:
    """Every test here computes in one thread."""


@pytest.fixture(scope="session")
def plain() -> Execution:
    return Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")


@pytest.fixture(scope="session")
def digits() -> Data:
    return load_data(DATASETS["digits"], Path("not needed"))


@pytest.fixture(scope="session")
def plan_of(plain: Execution) -> Callable[..., TrainingPlan]:
    """Plan of a design on the digits: 2 epochs of 8 batches of 128 images."""

    def make(
        design: str,
        *,
        epochs: int = 2,
        processes: int = 1,
        rate: float = 0.05,
        method: Method | None = None,
        **execution: object,
    ):
        return make_plan(
            parse_design(design),
            DATASETS["digits"],
            epochs=epochs,
            batch=128,
            seed=7,
            execution=replace(plain, processes=processes, **execution),
            options=PlanOptions(rate=rate, hatched_epochs=1, method=method),
        )

    return make


def without_memory(device: str) -> Callable[[], int | None]:
    """Watch no memory."""
    return lambda: None


def never() -> bool:
    """Do not stop."""
    return False


@dataclass
class Story:
    """The events of an execution in their order, also by kind, and what the execution returned."""

    events: list[Event] = field(default_factory=list)
    begun: int = 0
    epochs: list[EpochRecord] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    ended: dict[str, StepRecord] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        match event:
            case TrainingStarted():
                self.begun += 1
            case EpochRecord():
                self.epochs.append(event)
            case StepRecord():
                self.steps.append(event)
            case Notice(text):
                self.notices.append(text)

    def status(self, step: str) -> StepStatus:
        return self.ended[step].status

    def epoch_records(self) -> dict[tuple[str, int], EpochRecord]:
        """Newest record of every epoch, without its seconds."""
        return {(r.step, r.epoch): replace(r, seconds=0.0) for r in self.epochs}


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    return RunFiles(folder=tmp_path / "run", data_root=tmp_path / "data", watch=without_memory)


@pytest.fixture
def run(digits: Data, files: RunFiles) -> Callable[..., Story]:
    """Execute a plan on the digits and return what happened."""

    def executed(plan: TrainingPlan, where: RunFiles = files, stop: Callable[[], bool] = never) -> Story:
        story = Story()
        story.ended = execute(plan, where, digits, story, stop)
        return story

    return executed


@pytest.fixture
def weights(files: RunFiles) -> Callable[..., dict[str, Tensor]]:
    """Weights in the newest checkpoint of a network."""

    def read(name: str, where: RunFiles = files) -> dict[str, Tensor]:
        damaged: list[str] = []
        checkpoint = load_checkpoint(where.of_network(name), damaged.append)
        assert checkpoint is not None
        assert damaged == []
        return checkpoint.weights

    return read


@pytest.fixture(scope="session")
def same_bits() -> Callable[[dict[str, Tensor], dict[str, Tensor]], bool]:
    """Whether two sets of named tensors are equal bit for bit."""

    def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
        return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)

    return equal
