"""Trainings of the benchmark of methods: every ensemble by every method, resumable, a line for each training.

The members' probabilities of the true class on the test images lie beside the working file. They give the
covariances between repeated trainings.
"""

from __future__ import annotations

import json
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torchvision.io import write_png
from torchvision.transforms.functional import resize

from advisor.cost.timeline import timeline
from advisor.designs.design import Design, homogeneous, parse_design
from advisor.networks.architecture import NetworkSpec, lower, regular_network
from advisor.networks.regular_counts import regular_counts
from advisor.plans.dataset import DatasetFacts
from advisor.plans.execution import Execution
from advisor.plans.method_traits import CLUSTERED, Method
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import HatchStep, TrainingPlan, TrainStep
from advisor.plans.recipes.table import RECIPES
from advisor.plans.records import EnsembleMetrics, EpochRecord, StepRecord, StepStatus
from trainer.data.loading import Data, Split, find_facts, load_data
from trainer.ensembles.evaluate import evaluate, member_probabilities
from trainer.events import Event, Notice, TrainingStarted
from trainer.execution.execute import execute
from trainer.run_files import RunFiles
from trainer.training.loop import load_network

EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="channels_last")
SEEDS = 3
# Fashion-MNIST: images a class for training and for test, and their height and width.
TRAIN_A_CLASS, TEST_A_CLASS, SIZE = 150, 500, 14
# Methods whose epochs follow from the time of other methods.
CUT, EQUAL = "full_data in the time of mothernets", "snapshot in the time of mothernets"
# MotherNets of one cluster whose members train for other shares of the schedule than the default.
HATCHED, SHARES = "hatched for", (0.1, 0.5)
# Hatched members with the published schedule: the steps of the recipe after an epoch of warm-up, and a rate
# of 0.01 for DenseNets.
STEPS, STEPS_RATE = "hatched by steps", {"densenet": 0.01}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """An ensemble with its data and schedule."""

    name: str
    design: str
    dataset: str
    epochs: int
    batch: int
    methods: tuple[str, ...]

    @property
    def members(self) -> tuple[NetworkSpec, ...]:
        return parse_design(self.design).members


def methods_of(clusters: int) -> tuple[str, ...]:
    """Return the names of all methods, with MotherNets of every number of clusters below `clusters`."""
    others = ("single", "full_data", "bagging", "distillation", "snapshot", "fge")
    shares = (f"{HATCHED} {share}" for share in SHARES)
    return (*others, *(f"mothernets g{g}" for g in range(1, clusters)), *shares, STEPS, CUT, EQUAL)


V5 = "+".join(
    (
        "vgg-13-{w}",
        "vgg-16-{w}",
        "vgg-16-{w}~b3l3:1x{4w},b4l3:1x{8w},b5l3:1x{8w}",
        "vgg-16-{w}~b3l3:5x{4w},b4l3:5x{8w}",
        "vgg-19-{w}",
    )
)
R5 = "resnet-8-8+resnet-8-12+resnet-14-8+resnet-14-12+resnet-20-8"
D3 = "densenet-10-6+densenet-10-10+densenet-13-6"


def vgg_ensemble(width: int) -> str:
    """Return V5 at another width, without the kernels that are larger than its maps."""
    text = V5.replace("{4w}", str(4 * width)).replace("{8w}", str(8 * width))
    return text.replace("{w}", str(width))


def variants(count: int, width: int) -> str:
    """Return a small V25: members that differ from VGG-16 in one layer, by more filters or larger kernels."""
    places = [(b, i) for b, layers in enumerate((2, 2, 3, 3), 1) for i in range(1, layers + 1)]
    names = []
    for number in range(count):
        b, i = places[number % len(places)]
        filters = width * 2 ** (b - 1) * (2 if number < len(places) or number >= 2 * len(places) else 1)
        kernel = 3 if number < len(places) else 5
        filters += width * (number // (3 * len(places)))
        names.append(f"vgg-16-{width}~b{b}l{i}:{kernel}x{filters}")
    return "+".join(names)


def scenarios(quick: bool, fashion: str) -> list[Scenario]:
    if quick:
        design = "resnet-8-4+resnet-8-6+resnet-14-4"
        methods = ("single", "full_data", "bagging", "distillation", "snapshot", "fge")
        methods += ("mothernets g1", "mothernets g2", CUT, EQUAL)
        return [
            Scenario(name="R3 digits", design=design, dataset="digits", epochs=10, batch=64, methods=methods)
        ]
    curve = ("mothernets g1", "snapshot")
    settings = {"epochs": 16, "batch": 64}
    sharing = ("treenets", "shared_mothernets")
    return [
        Scenario(
            name="V5", design=vgg_ensemble(8), dataset=fashion, methods=methods_of(5) + sharing, **settings
        ),
        Scenario(name="R5", design=R5, dataset=fashion, methods=methods_of(3), **settings),
        Scenario(name="D3", design=D3, dataset=fashion, methods=methods_of(3), **settings),
        Scenario(name="R5 digits", design=R5, dataset="digits", methods=methods_of(3), **settings),
        Scenario(name="V25", design=variants(25, 6), dataset=fashion, methods=curve, **settings),
        Scenario(
            name="WRN×6", design="6xwrn-10-1", dataset=fashion, epochs=40, batch=64, methods=("fge", "shares")
        ),
    ]


def small_fashion(folder: Path) -> str:
    """Write the first images of every class of Fashion-MNIST, scaled down, as a folder data set."""
    target = folder / "fashion"
    if (target / "complete").exists():
        return f"folder:{target}"
    data = load_data(find_facts("fashion-mnist"), folder)
    for split, part, count in (("train", data.train, TRAIN_A_CLASS), ("test", data.test, TEST_A_CLASS)):
        scaled = resize(part.images, [SIZE, SIZE], antialias=True)
        for label in range(data.facts.task.classes):
            place = target / split / str(label)
            place.mkdir(parents=True, exist_ok=True)
            for number, image in enumerate(scaled[part.labels == label][:count]):
                write_png(image, str(place / f"{number:04d}.png"))
    (target / "complete").touch()
    return f"folder:{target}"


class Clock:
    """Receiver of events that records the processor seconds of every step, and the time of the first step."""

    def __init__(self) -> None:
        self.began = 0.0
        self.steps: dict[str, float] = {}
        self.networks: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case TrainingStarted():
                self.began = time.perf_counter()
            case EpochRecord():
                self.epoch(event)
            case StepRecord():
                assert event.status is StepStatus.DONE, event
                self.steps[event.step] = seconds = (event.peak_bytes or 0) / 1e9
                self.networks[event.network] = self.networks.get(event.network, 0.0) + seconds
            case Notice(text):
                print(text)

    def epoch(self, record: EpochRecord) -> None:
        """Ignore the record of an epoch; a subclass may keep it."""

    def makespan(self, plan: TrainingPlan) -> float:
        """Return the seconds of the plan on otherwise idle cores, one for each process."""
        names, after = [s.id for s in plan.steps], [s.after for s in plan.steps]
        seconds = [self.steps[name] for name in names]
        return max(s.end for s in timeline(names, after, seconds, plan.execution.processes, 1.0).values())


def processor_watch(device: str) -> Callable[[], int]:
    """Return a clock that stands in for the watch of memory: processor time of a step, ns.

    Other programs hardly affect processor time.
    """
    began = time.process_time_ns()
    return lambda: time.process_time_ns() - began


def plan_of(
    scenario: Scenario, facts: DatasetFacts, method: str, seed: int, rows: Sequence[dict]
) -> TrainingPlan:
    design, epochs, options = (
        Design(members=scenario.members, clusters=len(scenario.members)),
        scenario.epochs,
        None,
    )
    if method == "single":
        design = homogeneous(_of_total_size(scenario.members, facts), 1)
    elif method.startswith("mothernets g"):
        design = replace(design, clusters=int(method.removeprefix("mothernets g")))
    elif method == STEPS:
        design = replace(design, clusters=1)
    elif method.startswith(HATCHED):
        share = float(method.removeprefix(HATCHED))
        design = replace(design, clusters=1)
        options = PlanOptions(hatched_epochs=max(round(share * epochs), 1))
    elif method in (CUT, EQUAL):
        # A cycle of Snapshot is a share of the schedule, so both shrink alike. Rounding up favours them.
        other = Method.FULL_DATA if method == CUT else Method.SNAPSHOT
        took = (_seconds(rows, scenario, name, seed) for name in ("mothernets g1", other))
        epochs, options = math.ceil(epochs * next(took) / next(took)), PlanOptions(method=other)
    elif method == "shares":
        # The mother takes 70 % of all epochs of FGE, and the members share the rest.
        design, base = replace(design, clusters=1), round(0.7 * epochs)
        options = PlanOptions(hatched_epochs=max((epochs - base) // len(scenario.members), 1))
        epochs = base
    else:
        options = PlanOptions(method=Method(method))
        if options.method in CLUSTERED:
            design = replace(design, clusters=1)
    plan = make_plan(
        design, facts, epochs=epochs, batch=scenario.batch, seed=seed, execution=EXECUTION, options=options
    )
    return _by_steps(plan) if method == STEPS else plan


def _by_steps(plan: TrainingPlan) -> TrainingPlan:
    """Return the plan with the published schedule for its hatched members."""
    hatched = {step.network for step in plan.steps if isinstance(step, HatchStep)}
    steps = []
    for step in plan.steps:
        if isinstance(step, TrainStep) and step.network in hatched:
            family = plan.network(step.network).spec.family
            published = RECIPES[family].schedule(
                step.schedule.epochs, rate=STEPS_RATE.get(family), warmup=True
            )
            step = replace(step, schedule=published)
        steps.append(step)
    return replace(plan, steps=tuple(steps))


def _of_total_size(members: Sequence[NetworkSpec], facts: DatasetFacts) -> NetworkSpec:
    total = sum(lower(m, facts.task).parameters for m in members)
    depth = max(m.depth for m in members)
    width = regular_counts(members[0].family, facts.task, depth).widest(depth, total)
    return regular_network(members[0].family, depth, width or 1)


def _seconds(rows: Sequence[dict], scenario: Scenario, method: str, seed: int) -> float:
    """Return the seconds of a method's training with one seed."""
    wanted = (scenario.name, method, seed)
    return next(r["seconds"] for r in rows if (r["scenario"], r["method"], r["seed"]) == wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The cost and the result of a training.

    Attributes:
        figures: figures of the ensemble on test images.
        clock: processor seconds of the steps.
        wall_seconds: wall-clock seconds beside the other programs of the machine.
        outputs: class probabilities of the test images, shape (members, images, classes).
        validation_error: validation error of the ensemble, share.
    """

    figures: EnsembleMetrics
    clock: Clock
    wall_seconds: float
    outputs: np.ndarray
    validation_error: float


def train(plan: TrainingPlan, data: Data, root: Path) -> Outcome:
    """Execute a plan in a temporary folder."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        files = RunFiles(folder=Path(folder), data_root=root, watch=processor_watch)
        execute(plan, files, data, clock, lambda: False)
        seconds = time.perf_counter() - clock.began
        names = [m.name for m in plan.members]
        figures = evaluate(plan, files, data, names).metrics
        test, validation = (_outputs(plan, files, data, split) for split in (data.test, data.validation))
    wrong = validation.mean(axis=0).argmax(axis=1) != data.validation.labels.numpy()
    return Outcome(
        figures=figures,
        clock=clock,
        wall_seconds=seconds,
        outputs=test,
        validation_error=float(wrong.mean()),
    )


def _outputs(plan: TrainingPlan, files: RunFiles, data: Data, split: Split) -> np.ndarray:
    """Return the class probabilities of every member, shape (members, images, classes)."""
    networks = {name: load_network(plan, name, files.of_network(name))[0] for name in plan.asked}
    return member_probabilities(plan, networks, data, split, [m.name for m in plan.members])


def row_of(scenario: Scenario, method: str, seed: int, plan: TrainingPlan, data: Data, root: Path) -> dict:
    outcome = train(plan, data, root)
    figures, outputs = outcome.figures, outcome.outputs
    labels = data.test.labels.numpy()
    averages = np.cumsum(outputs, axis=0)
    key = f"{scenario.name} {method} {seed}".replace(" ", "-")
    (root / "probabilities").mkdir(exist_ok=True)
    true = np.take_along_axis(outputs, labels[None, :, None], axis=2)[..., 0]
    np.save(root / "probabilities" / f"{key}.npy", true.astype(np.float16))
    return {
        "scenario": scenario.name,
        "method": method,
        "seed": seed,
        "design": plan.design,
        "epochs": plan.epochs,
        "parameters": parse_design(plan.design).parameters(plan.dataset.task),
        "seconds": outcome.clock.makespan(plan),
        "core_seconds": sum(outcome.clock.steps.values()),
        "wall_seconds": outcome.wall_seconds,
        "network_seconds": outcome.clock.networks,
        "validation_error": outcome.validation_error,
        "error": figures.error,
        "voting": figures.voting_error,
        "super_learner": figures.super_learner_error,
        "oracle": figures.oracle_error,
        "mean_member": figures.mean_member_error,
        "nll": figures.nll,
        "calibration": figures.calibration_error,
        "disagreement": figures.disagreement,
        "errors_by_members": [float((a.argmax(axis=1) != labels).mean()) for a in averages],
    }


def run(work: Path, quick: bool) -> Iterator[dict]:
    """Train what the working file lacks, seed by seed, and yield each row.

    Methods whose epochs follow from others come last.
    """
    work.parent.mkdir(parents=True, exist_ok=True)
    fashion = "digits" if quick else small_fashion(work.parent)
    rows = read(work)
    done = {(r["scenario"], r["method"], r["seed"]) for r in rows}
    jobs = [
        (s, m, seed)
        for s in scenarios(quick, fashion)
        for m in s.methods
        for seed in range(1 if quick else SEEDS)
    ]
    random.Random(0).shuffle(jobs)
    jobs.sort(key=lambda job: (job[2], job[1] in (CUT, EQUAL)))
    for scenario, method, seed in jobs:
        if (scenario.name, method, seed) in done:
            continue
        facts = find_facts(scenario.dataset)
        data = load_data(facts, work.parent)
        plan = plan_of(scenario, facts, method, seed, rows)
        row = row_of(scenario, method, seed, plan, data, work.parent)
        rows.append(row)
        with work.open("a") as file:
            file.write(json.dumps(row) + "\n")
        yield row


def read(work: Path) -> list[dict]:
    """Return the rows of the working file without a line that was cut short by a kill."""
    rows = []
    for line in work.read_text().splitlines() if work.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows
