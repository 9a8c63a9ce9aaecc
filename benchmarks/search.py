"""Which sampler finds the Pareto front in the fewest trials? Samplers compared with the enumerated front.

Every choice of three spaces is evaluated by the predictors that `advisor recommend` has before it measures
anything: costs by formula, errors from published figures. The last space is that of the default request.
Each sampler then looks at `TRIALS` different choices with each of `SEEDS` seeds, and reads their evaluations
from a table.

The figure is the hypervolume of the designs found so far over that of the true front. It is taken in
logarithms of the objectives, up to a corner `MARGIN` beyond the front's worst values. It is estimated with
`POINTS` random points that the true front dominates, as the share that the designs found so far dominate,
too. The points are the same for all samplers. At 99 % the standard error is 0.2 points.

    python benchmarks/search.py                 # all spaces: six minutes of one core
    python benchmarks/search.py "cifar10 1M"    # one space again; the results of the others stay

All samplers but one use the coordinates of `advisor.decision.search_space`. None evaluates a choice twice.

- ``advisor``: the search of `advisor.decision.search`, which is multivariate TPE from the starting points of
  `advisor.decision.starting_points`.
- ``tpe``: the same without starting points.
- ``nsga2 started``, ``nsga2``: NSGA-II with and without starting points.
- ``nsga2 nested``: NSGA-II with a parameter for every family, member count and class, which was the form of
  an earlier version. NSGA-II cannot cross over such parameters.
- ``gp``: Gaussian processes, in the first space and for `GP_TRIALS` trials only: one takes over a second.
- ``random``: random choices.

Writes benchmarks/results/search.json, which docs/search.md discusses.
"""

from __future__ import annotations

import json
import platform
import re
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.predictor import CostPredictor
from advisor.decision.scenario import OBJECTIVES, Evaluated, Limits, Scenario, evaluate_choices
from advisor.decision.search import explore
from advisor.decision.search_space import DEFAULT_METHODS, Choice, Choices
from advisor.decision.starting_points import starting_points
from advisor.designs.design import DesignClass
from advisor.designs.mixtures import enumerate_mixtures
from advisor.designs.space import MEMBER_COUNTS, enumerate_candidates
from advisor.networks.families import CONVOLUTIONAL
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from advisor.plans.method_traits import CLUSTERED, Method

RESULT = Path(__file__).parent / "results" / "search.json"
TRIALS, SEEDS = 400, 5
# Population of NSGA-II; 40 is not better.
POPULATION = 20
GP_TRIALS = 40
AT = (40, 80, 120, 240, 400)
GOALS = (0.95, 0.99)
POINTS, MARGIN = 2000, 0.1
# Number of random points, of which those above the true front are kept.
DRAWN = 60_000
FRONTS = {"error x seconds": (0, 1), "all four": (0, 1, 2, 3)}
EXECUTION = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="contiguous")


@dataclass(frozen=True)
class Space:
    """A request that is small enough to evaluate all of its choices."""

    dataset: str
    budget: int
    epochs: int
    families: tuple[str, ...]
    members: tuple[int, ...]
    methods: tuple[Method, ...]

    @cached_property
    def scenario(self) -> Scenario:
        facts = DATASETS[self.dataset]
        return Scenario(
            candidates=enumerate_candidates(self.budget, self.families, facts.task, self.members),
            mixtures=enumerate_mixtures(self.budget, self.families, facts.task, self.members),
            methods=self.methods,
            dataset=facts,
            epochs=self.epochs,
            batch=facts.batch,
            seed=0,
            execution=EXECUTION,
            limits=Limits(),
            cost=CostPredictor([], EXECUTION),
            accuracy=AccuracyPredictor([self.dataset]),
        )

    @cached_property
    def choices(self) -> Choices:
        return self.scenario.choices

    @cached_property
    def evaluated(self) -> dict[Choice, Evaluated]:
        return dict(zip(self.choices.all, evaluate_choices(self.scenario, self.choices.all), strict=True))

    def look_up(self, choices: Sequence[Choice]) -> list[Evaluated]:
        return [self.evaluated[choice] for choice in choices]

    @cached_property
    def starts(self) -> list[Choice]:
        s = self.scenario
        return starting_points(self.choices, s.accuracy, s.dataset, s.epochs, TRIALS)


SPACES = {
    "digits 60k, all methods": Space(
        "digits", 60_000, 20, ("densenet", "resnet", "vgg"), (1, 2, 4), tuple(Method)
    ),
    "cifar10 1M": Space("cifar10", 10**6, 120, ("densenet", "resnet", "vgg"), (1, 2, 4, 8), DEFAULT_METHODS),
    "cifar10 5M, the default request": Space(
        "cifar10", 5 * 10**6, 120, CONVOLUTIONAL, MEMBER_COUNTS, DEFAULT_METHODS
    ),
}


class Nested(Choices):
    """The same choices by parameters that exist only for some families, member counts and classes."""

    def suggested(self, trial: optuna.Trial) -> Choice:
        family = trial.suggest_categorical("family", sorted({f for f, _, _ in self.groups}))
        counts = sorted({k for f, k, _ in self.groups if f == family})
        members = trial.suggest_categorical(f"members/{family}", counts)
        kinds = [c.value for f, k, c in self.groups if (f, k) == (family, members)]
        kind = trial.suggest_categorical(f"class/{family}/{members}", kinds)
        group = self.groups[family, members, DesignClass(kind)]
        position = trial.suggest_int(f"position/{family}/{members}/{kind}", 0, len(group) - 1)
        offered = [m.value for m in self.methods_of(group[0])]
        method = Method(trial.suggest_categorical("method/" + "/".join(offered), offered))
        clusters = members
        if method in CLUSTERED:
            clusters = trial.suggest_int(f"clusters/{members}", 1, members - 1)
        return Choice(group[position], method, clusters)


@dataclass(frozen=True)
class Contender:
    """A sampler and its settings.

    Attributes:
        sampler: function that makes the sampler from a seed.
        started: whether the search begins at the starting points.
        at_once: number of trials that are suggested at a time.
        nested: whether the parameters are those of `Nested`.
        trials: number of trials.
        only: name of the only space to search; None for all spaces.
    """

    sampler: Callable[[int], BaseSampler]
    started: bool = False
    at_once: int = 1
    nested: bool = False
    trials: int = TRIALS
    only: str | None = None


def nsga2(seed: int) -> BaseSampler:
    return NSGAIISampler(population_size=POPULATION, seed=seed)


def tpe(seed: int) -> BaseSampler:
    return TPESampler(multivariate=True, seed=seed)


CONTENDERS = {
    "advisor": Contender(tpe, started=True),
    "tpe": Contender(tpe),
    "nsga2 started": Contender(nsga2, started=True, at_once=POPULATION),
    "nsga2": Contender(nsga2, at_once=POPULATION),
    "nsga2 nested": Contender(nsga2, at_once=POPULATION, nested=True),
    "gp": Contender(lambda seed: GPSampler(seed=seed), trials=GP_TRIALS, only="digits 60k, all methods"),
    "random": Contender(lambda seed: RandomSampler(seed=seed)),
}


def front_of(values: np.ndarray) -> np.ndarray:
    """Return a mask of the rows that no other row dominates.

    Rows are compared one by one, because all pairs at once would take gigabytes.
    """
    kept = np.ones(len(values), dtype=bool)
    for i, row in enumerate(values):
        if kept[i]:
            kept &= ~((row <= values).all(axis=1) & (row < values).any(axis=1))
    return kept


def covering(values: np.ndarray) -> np.ndarray:
    """Return a mask of the designs that dominate each point, shape (points, designs).

    The points are random ones that the true front dominates.

    Args:
        values: objectives of all designs, shape (designs, objectives).
    """
    front = front_of(values)
    low, high = values[front].min(axis=0), values[front].max(axis=0)
    corner = high + MARGIN * (high - low)
    points = np.random.default_rng(0).uniform(low, corner, (DRAWN, values.shape[1]))
    covered = np.zeros(len(points), dtype=bool)
    for design in values[front]:
        covered |= (design <= points).all(axis=1)
    points = points[covered][:POINTS]
    return np.stack([(values <= point).all(axis=1) for point in points])


def run(space: Space, contender: Contender, seed: int) -> tuple[list[Choice], float]:
    """Return the choices in the order of their evaluation, and the processor seconds of the search."""
    study = optuna.create_study(directions=["minimize"] * len(OBJECTIVES), sampler=contender.sampler(seed))
    choices = space.choices
    if contender.nested:
        s = space.scenario
        choices = Nested([*s.candidates, *s.mixtures], s.methods)
    looked: list[Choice] = []

    def evaluating(new: Sequence[Choice]) -> list[Evaluated]:
        looked.extend(new)
        return space.look_up(new)

    began = time.process_time()
    starts = space.starts if contender.started else []
    explore(study, choices, starts, evaluating, space.scenario.limits, contender.trials, contender.at_once)
    return looked, time.process_time() - began


def curve(order: Sequence[int], covers: np.ndarray) -> np.ndarray:
    """Return the share of points that the designs dominate after every trial."""
    hits = covers[:, order]
    first = np.where(hits.any(axis=1), hits.argmax(axis=1), len(order))
    return np.array([(first < n).mean() for n in range(1, len(order) + 1)])


def summary(curves: np.ndarray) -> dict:
    """Return the median and the range of curves over seeds, and the trials to each goal.

    Args:
        curves: share of the hypervolume after every trial, shape (seeds, trials).

    Returns:
        Shares by number of trials, and trials by goal; None for a goal that is not reached.
    """
    trials = curves.shape[1]
    shares = {
        str(n): [round(float(v), 4) for v in np.quantile(curves[:, n - 1], [0.5, 0.0, 1.0])]
        for n in AT
        if n <= trials
    }
    goals = {}
    for goal in GOALS:
        reached = np.sort([(np.argmax(c >= goal) + 1) if c[-1] >= goal else np.inf for c in curves])
        median = float(reached[len(reached) // 2])
        goals[f"{goal:.0%}"] = None if np.isinf(median) else int(median)
    return {"share of hypervolume: median, least, most": shares, "trials to": goals}


def contest(name: str) -> dict:
    """Return the figures of a space by its name."""
    space = SPACES[name]
    places = {choice: i for i, choice in enumerate(space.choices.all)}
    values = np.log([space.evaluated[choice].objectives for choice in space.choices.all])
    covers = {front: covering(values[:, list(columns)]) for front, columns in FRONTS.items()}
    found: dict[str, dict] = {front: {} for front in FRONTS}
    seconds = {}
    for label, contender in CONTENDERS.items():
        if contender.only not in (None, name):
            continue
        runs = [run(space, contender, seed) for seed in range(SEEDS)]
        orders = [[places[choice] for choice in looked] for looked, _ in runs]
        for front, cover in covers.items():
            found[front][label] = summary(np.stack([curve(order, cover) for order in orders]))
        seconds[label] = round(float(np.median([s for _, s in runs])), 2)
    return {
        "choices": len(values),
        "starting points": len(space.starts),
        "on the true front": {
            front: int(front_of(values[:, list(columns)]).sum()) for front, columns in FRONTS.items()
        },
        "fronts": found,
        "sampler seconds": seconds,
    }


def table(name: str, result: dict) -> list[str]:
    """Return the figures of a space as lines."""
    lines = [f"{name}: {result['choices']} choices"]
    for front, found in result["fronts"].items():
        lines.append(f"  {front} ({result['on the true front'][front]} on the front)")
        header = "".join(f"{n:>7}" for n in AT) + "".join(f"{f'to {goal:.0%}':>9}" for goal in GOALS)
        lines.append(f"    {'':14}{header}{'seconds':>9}")
        for sampler, row in found.items():
            shares = row["share of hypervolume: median, least, most"]
            cells = "".join(f"{shares[str(n)][0]:7.3f}" if str(n) in shares else f"{'–':>7}" for n in AT)
            cells += "".join(f"{n or '–':>9}" for n in row["trials to"].values())
            lines.append(f"    {sampler:14}{cells}{result['sampler seconds'][sampler]:9.2f}")
    return lines


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    chosen = sys.argv[1:] or list(SPACES)
    results = json.loads(RESULT.read_text())["spaces"] if sys.argv[1:] else {}
    for name in chosen:
        results[name] = contest(name)
        print("\n".join(table(name, results[name])), flush=True)
    payload = {
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"{platform.machine()} CPU",
        "versions": {name: version(name) for name in ("optuna", "numpy")},
        "trials": TRIALS,
        "seeds": SEEDS,
        "points": POINTS,
        "spaces": results,
    }
    # Lists of figures stand on one line.
    lines = re.sub(
        r"\[\s+([^\[\]]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", json.dumps(payload, indent=1)
    )
    RESULT.write_text(lines + "\n")


if __name__ == "__main__":
    main()
