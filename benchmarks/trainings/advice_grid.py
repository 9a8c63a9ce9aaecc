"""The trainings that evaluate the advice: data sets × budgets × designs × seeds.

Every budget of resnet-26 has these designs:

- the single network;
- its depth- and width-equivalent ensembles of 2, 4, 6 and 8 members, by the strict rule
  (`advisor.designs.equivalents.equivalents`);
- two ensembles of mixed shapes.

Each ensemble is trained independently, and hatched from one mother. All trainings have one long schedule. The
validation error after every epoch gives one kind of switchover map. The single network and the
depth-equivalent ensemble of four are trained again with whole shorter schedules (rows with fewer `epochs`),
for the other kind of map.

A cell has the 19 to 21 trainings of one data set at one budget with one seed. It takes 390 to 690 core
seconds on digits, 890 to 3,270 on the larger and 800 to 1,320 on the smaller subset of Fashion-MNIST. All
cells with one seed take 16,500. These are estimates from single steps of every network, timed on a busy
machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from grid_runner import Job

from advisor.designs.design import Design, homogeneous, parse_design
from advisor.designs.equivalents import equivalents
from advisor.networks.architecture import NetworkSpec, lower, regular_network
from advisor.networks.layers import Task
from advisor.networks.regular_counts import regular_counts
from advisor.plans.dataset import DATASETS, Augmentation, DatasetFacts

SEEDS = 3

FAMILY, DEPTH = "resnet", 26
# Widths of the single networks. Their parameters rise about threefold: 13k, 36k, 117k, 322k, 1.04M. Among
# nearby widths, these leave the smallest part of the budget unused by four members.
WIDTHS = (3, 5, 9, 15, 27)
MEMBERS = (2, 4, 6, 8)
# Least share of the budget that an ensemble of equal size uses (whole widths are coarse in small networks).
LEAST_SHARE = 0.45
# First mixed ensemble: depths of its members, which have about one size. Second one: the depth of its
# members, and their parts of the budget.
MIXED_DEPTHS = (8, 14, 20, 26)
MIXED_DEPTH, MIXED_PARTS = 14, (1 / 2, 1 / 4, 1 / 8, 1 / 8)
# Divisors of the long schedule that give the shorter ones, and members of the ensemble that has them too.
SHORTER, SHORT_MEMBERS = (2, 4), 4
QUICK = ("single", "deq")

# Fashion-MNIST: height and width of images, and numbers of validation and of test images.
SIDE, VALIDATION_IMAGES, TEST_IMAGES = 14, 1000, 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A data set and its long schedule.

    Attributes:
        facts: facts of the data set.
        epochs: long schedule, in epochs.
        later: number of seeds by which its trainings come after those of other data sets.
    """

    facts: DatasetFacts
    epochs: int
    later: float = 0


def _small_fashion(train_images: int, batch: int) -> DatasetFacts:
    """Return the facts of the first images of every class of Fashion-MNIST, scaled down."""
    return DatasetFacts(
        name=f"fashion-{SIDE}x{SIDE}-{train_images}",
        task=Task(channels=1, height=SIDE, width=SIDE, classes=10),
        train_images=train_images,
        validation_images=VALIDATION_IMAGES,
        test_images=TEST_IMAGES,
        augmentation=Augmentation.CROP_FLIP,
        batch=batch,
    )


SETTINGS = (
    Setting(facts=DATASETS["digits"], epochs=20),
    # The costly data set comes last, so that two data sets are complete while it still trains.
    Setting(facts=_small_fashion(4000, 64), epochs=16, later=2),
    # A hard data set by design: 40 training images a class, in small batches, for as many steps as digits.
    Setting(facts=_small_fashion(400, 20), epochs=32, later=0.5),
)


def jobs() -> list[Job]:
    """Return the whole grid: data sets in turn, seed by seed, and every other budget before the rest."""
    order = (*WIDTHS[::2], *WIDTHS[1::2])
    pairs = sorted(product(SETTINGS, range(SEEDS)), key=lambda pair: pair[0].later + pair[1])
    return [job for setting, seed in pairs for width in order for job in _cell(setting, width, seed)]


def quick_jobs() -> list[Job]:
    """Return a few small trainings: single networks and depth-equivalent ensembles of two and four."""
    setting = Setting(facts=DATASETS["digits"], epochs=4)
    found = [job for width in WIDTHS[1:3] for job in _cell(setting, width, seed=0)]
    return [job for job in found if len(parse_design(job.design).members) in (1, 2, 4) and job.kind in QUICK]


def _cell(setting: Setting, width: int, seed: int) -> Iterator[Job]:
    """Yield the trainings of one data set at one budget with one seed."""
    single = regular_network(FAMILY, DEPTH, width)
    alone, task = homogeneous(single, 1), setting.facts.task
    budget = lower(single, task).parameters

    def job(kind: str, design: Design, epochs: int = setting.epochs) -> Job:
        return Job(
            dataset=setting.facts.name,
            facts=setting.facts,
            budget=budget,
            kind=kind,
            design=design.name,
            epochs=epochs,
            seed=seed,
        )

    yield job("single", alone)
    for kind, design in ensembles(single, task):
        yield job(kind, design)
        yield job(kind, replace(design, clusters=1))
    four = [d for kind, d in ensembles(single, task) if kind == "deq" and len(d.members) == SHORT_MEMBERS]
    for part in SHORTER:
        epochs = max(setting.epochs // part, 1)
        yield job("single", alone, epochs)
        yield from (job("deq", design, epochs) for design in four)


def ensembles(single: NetworkSpec, task: Task) -> list[tuple[str, Design]]:
    """Return the ensembles of a single network's size that exist, each with its kind."""
    pairs = [equivalents(single, k, task) for k in MEMBERS]
    found = [("deq", homogeneous(e.depth_equivalent, e.members)) for e in pairs if e.depth_equivalent]
    found += [("weq", homogeneous(e.width_equivalent, e.members)) for e in pairs if e.width_equivalent]
    found += [("mixed", design) for design in _mixed(single, task)]
    budget = lower(single, task).parameters
    return [(kind, d) for kind, d in found if d.parameters(task) >= LEAST_SHARE * budget]


def _mixed(single: NetworkSpec, task: Task) -> Iterator[Design]:
    """Yield an ensemble of several depths and one size, and one of one depth and several sizes."""
    counts, budget = regular_counts(FAMILY, task, max(MIXED_DEPTHS)), lower(single, task).parameters
    depths = [(depth, budget / len(MIXED_DEPTHS)) for depth in MIXED_DEPTHS]
    sizes = [(MIXED_DEPTH, part * budget) for part in MIXED_PARTS]
    for shapes in (depths, sizes):
        widths = [counts.widest(depth, limit) for depth, limit in shapes]
        members = [
            regular_network(FAMILY, depth, width)
            for (depth, _), width in zip(shapes, widths, strict=True)
            if width is not None
        ]
        if len(members) == len(shapes):
            yield Design(members=tuple(members), clusters=len(members))
