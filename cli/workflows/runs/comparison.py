"""`advisor runs compare`: runs side by side, and differences of groups that differ by more than their seed.

Of a group, finished runs count, one for each seed: a run that is trained again with its seed is no further
evidence. Figures of groups with other test images are not subtracted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from advisor.accuracy.cases import case_of
from advisor.accuracy.noise import ensemble_seed_std
from advisor.decision.group_difference import (
    CountedError,
    difference_by_counting,
    difference_over_seeds,
    mean_by_counting,
    mean_over_seeds,
)
from advisor.designs.design import parse_design
from advisor.errors import UsageError
from advisor.plans.plan import TrainingPlan, plan_to_json
from advisor.plans.records import EnsembleMetrics, RunStatus
from advisor.plans.records import Run as StoredRun
from cli.workflows.answers.runs.comparison import (
    Difference,
    DifferenceBasis,
    GroupDifference,
    GroupMean,
    RunComparison,
    RunGroup,
)
from cli.workflows.forecast.evidence import seed_stds_of
from cli.workflows.home import Home
from cli.workflows.runs.description import describe_run
from cli.workflows.runs.lookup import reading_store, run_id_of

Figure = Callable[[EnsembleMetrics], float | None]


def compare_runs(home: Home, runs: Sequence[str], price_per_hour: float | None = None) -> RunComparison:
    """Return several runs side by side, and the differences of their groups.

    Args:
        home: home of the runs.
        runs: their numbers, or ``last``.
        price_per_hour: price of the machine in USD per hour, None for no cost.

    Raises:
        UsageError: fewer than two runs, or no such run.
    """
    if len(runs) < 2:
        raise UsageError(f"compare needs at least 2 runs, got {len(runs)}")
    numbers = [run_id_of(run, home) for run in runs]
    with reading_store(home) as store:
        shown = tuple(describe_run(store, home, number, price_per_hour) for number in numbers)
        groups = grouped([store.run(number) for number in dict.fromkeys(numbers)])
        names = {group.plan.dataset.learned_as for group in groups}
        # A group of several seeds has its noise with it.
        forecast = any(len(group.counted) == 1 for group in groups)
        seed_stds = seed_stds_of(store, names) if forecast else {}
    return RunComparison(
        runs=shown,
        groups=tuple(_described(group, seed_stds) for group in groups),
        differences=tuple(
            _difference(index, group, groups[0], seed_stds) for index, group in enumerate(groups) if index
        ),
    )


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that differ by nothing but their seed.

    Attributes:
        runs: all runs of the group, at least one.
    """

    runs: Sequence[StoredRun]

    @property
    def plan(self) -> TrainingPlan:
        """Plan of the first run."""
        return self.runs[0].plan

    @property
    def counted(self) -> list[StoredRun]:
        """Finished runs, the first of every seed."""
        finished = (run for run in self.runs if run.status is RunStatus.DONE and run.test is not None)
        by_seed: dict[int, StoredRun] = {}
        for run in finished:
            by_seed.setdefault(run.plan.seed, run)
        return list(by_seed.values())

    def values(self, figure: Figure) -> list[float]:
        """Return a figure of every counted run; nothing where a run lacks it."""
        found = [figure(run.test) for run in self.counted if run.test is not None]
        known = [value for value in found if value is not None]
        return known if len(known) == len(found) else []


def grouped(runs: Sequence[StoredRun]) -> list[Group]:
    """Return runs in groups that differ by nothing but their seed, in the order of their first runs."""
    found: dict[str, list[StoredRun]] = {}
    for run in runs:
        found.setdefault(_without_seed(run.plan), []).append(run)
    return list(map(Group, found.values()))


def _without_seed(plan: TrainingPlan) -> str:
    """Return a plan as text without its seed, the place of its data, and what only changes its speed."""
    execution = replace(plan.execution, processes=1, threads=1, memory_format="contiguous")
    data = replace(plan.dataset, name=plan.dataset.key)
    return plan_to_json(replace(plan, seed=0, execution=execution, dataset=data))


FIGURES: Mapping[str, Figure] = {
    "test_error": lambda test: test.error,
    "nll": lambda test: test.nll,
    "calibration_error": lambda test: test.calibration_error,
}


def _described(group: Group, seed_stds: Mapping[str, float]) -> RunGroup:
    means = {name: fmean(values) if (values := group.values(of)) else None for name, of in FIGURES.items()}
    return RunGroup(
        runs=tuple(run.id for run in group.runs),
        design=group.plan.design,
        method=group.plan.method,
        counted=tuple(run.id for run in group.counted),
        **means,
        test_error_mean=_mean_error(group, seed_stds),
        train_seconds_mean=_mean_seconds(group),
    )


def _mean_error(group: Group, seed_stds: Mapping[str, float]) -> GroupMean | None:
    errors, images = group.values(FIGURES["test_error"]), group.plan.dataset.test_images
    if len(errors) > 1:
        value = mean_over_seeds(errors, _resolution(group, "test_error"))
        return GroupMean(value=value, basis=DifferenceBasis.SEEDS)
    if not errors or not images:
        return None
    value = mean_by_counting(_counted_error(group, seed_stds))
    return GroupMean(value=value, basis=DifferenceBasis.COUNTING)


def _mean_seconds(group: Group) -> GroupMean | None:
    seconds = [run.train_seconds for run in group.counted]
    if len(seconds) < 2:
        return None
    return GroupMean(value=mean_over_seeds(seconds), basis=DifferenceBasis.SEEDS)


def _resolution(group: Group, name: str) -> float:
    """Return the smallest difference of two figures: an image of the test images for an error."""
    return 1 / max(group.plan.dataset.test_images, 1) if name == "test_error" else 0.0


def _difference(
    index: int, group: Group, reference: Group, seed_stds: Mapping[str, float]
) -> GroupDifference:
    same = _test_images(group.plan) == _test_images(reference.plan)
    over_seeds = {
        name: _over_seeds(group, reference, name, of) if same else None for name, of in FIGURES.items()
    }
    if same and over_seeds["test_error"] is None:
        over_seeds["test_error"] = _by_counting(group, reference, seed_stds)
    return GroupDifference(group=index, same_test_images=same, **over_seeds)


def _test_images(plan: TrainingPlan) -> tuple[str, int]:
    return plan.dataset.key, plan.dataset.test_images


def _over_seeds(group: Group, reference: Group, name: str, of: Figure) -> Difference | None:
    values, others = group.values(of), reference.values(of)
    if min(len(values), len(others)) < 2:
        return None
    value = difference_over_seeds(values, others, _resolution(group, name))
    return Difference(value=value, basis=DifferenceBasis.SEEDS)


def _by_counting(group: Group, reference: Group, seed_stds: Mapping[str, float]) -> Difference | None:
    if not (group.counted and reference.counted and group.plan.dataset.test_images):
        return None
    counted = [_counted_error(each, seed_stds) for each in (group, reference)]
    return Difference(value=difference_by_counting(*counted), basis=DifferenceBasis.COUNTING)


def _counted_error(group: Group, seed_stds: Mapping[str, float]) -> CountedError:
    plan, data = group.plan, group.plan.dataset
    errors = group.values(FIGURES["test_error"])
    case = case_of(parse_design(plan.design), data.learned_as, data.task, plan.epochs, plan.method)
    return CountedError(
        error=fmean(errors),
        trainings=len(errors),
        seed_std=ensemble_seed_std(seed_stds[data.learned_as], case),
        images=data.test_images,
    )
