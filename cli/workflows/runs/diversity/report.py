"""`advisor runs diversity`: variance, covariance and disagreement of the members of finished ensembles.

Runs that differ by nothing but their seed are a group, as in `advisor runs compare`. A group of two seeds or
more has variances over the seeds, a single run has them over its images.
"""

from __future__ import annotations

from collections.abc import Sequence

from advisor.designs.clustering import clusters_of
from advisor.designs.design import parse_design
from advisor.errors import RunError
from advisor.plans.method_traits import CHAINS, CLUSTERED, JOINT
from advisor.plans.plan import TrainingPlan
from advisor.plans.records import Run, RunStatus
from cli.workflows.answers.runs.diversity import (
    ChebyshevBound,
    GroupDiversity,
    RunDiversity,
    VarianceBasis,
)
from cli.workflows.home import Home
from cli.workflows.runs.comparison import Group, grouped
from cli.workflows.runs.diversity.probabilities import ProbabilityOptions, predictions_of
from cli.workflows.runs.lookup import reading_store, run_id_of, stored_run
from cli.workflows.views import Say, silent
from trainer.ensembles.diversity import Diversity, diversity

Pair = tuple[int, int]


def diversity_of_runs(
    home: Home, runs: Sequence[str], options: ProbabilityOptions | None = None, say: Say = silent
) -> RunDiversity:
    """Return how different the members of finished ensembles are.

    Args:
        home: home of the runs.
        runs: their numbers, or ``last``.
        options: where their probabilities come from; None for the test images.
        say: receiver of remarks, one line each.

    Raises:
        UsageError: no such run.
        RunError: a run is not finished, or has no probabilities.
        DataError: the data set of a run is missing.
        StorageError: a file of a run is damaged.
    """
    options = options or ProbabilityOptions()
    numbers = list(dict.fromkeys(run_id_of(run, home) for run in runs))
    with reading_store(home) as store:
        found = [stored_run(store, home, number) for number in numbers]
    for run in found:
        _require_finished(run)
    groups = grouped(found)
    counted = {run.id for group in groups for run in group.counted}
    return RunDiversity(
        split=options.split,
        groups=tuple(_described(group, options, home, say) for group in groups),
        repeated=tuple(number for number in numbers if number not in counted),
    )


def _require_finished(run: Run) -> None:
    if run.status is not RunStatus.DONE or run.test is None:
        raise RunError(
            f"run {run.id} is {run.status.value} and only a finished one has all members to compare: "
            f"`advisor resume {run.id}` goes on with one that was stopped, or leave it out"
        )


def _described(group: Group, options: ProbabilityOptions, home: Home, say: Say) -> GroupDiversity:
    trainings = [predictions_of(run, options, home, say) for run in group.counted]
    found, plan = diversity(trainings), group.plan
    members = len(found.covariance)
    pairs = [(i, j) for i in range(members) for j in range(i)]
    together = _of_one_beginning(plan)
    apart = [pair for pair in pairs if pair not in together]
    return GroupDiversity(
        runs=tuple(run.id for run in group.counted),
        design=plan.design,
        method=plan.method,
        members=members,
        over=VarianceBasis.IMAGES if found.trainings == 1 else VarianceBasis.SEEDS,
        images=found.images,
        member_variance=found.member_variance,
        member_covariance=found.mean_covariance(pairs),
        member_correlation=found.mean_correlation(pairs),
        covariance_of_one_beginning=found.mean_covariance(sorted(together)),
        covariance_of_different_beginnings=found.mean_covariance(apart),
        variance_of_average=found.variance_of_average,
        variance_by_identity=found.variance_by_identity,
        disagreement=found.disagreement,
        chebyshev=_chebyshev(found),
        covariance=tuple(map(tuple, found.covariance.tolist())),
        correlation=tuple(map(tuple, found.correlation.tolist())),
    )


def _of_one_beginning(plan: TrainingPlan) -> set[Pair]:
    """Return the pairs of members with one mother network, chain or joint network; the first is larger."""
    design = parse_design(plan.design)
    if plan.method in CLUSTERED:
        clusters: list[Sequence[int]] = list(clusters_of(design))
    else:
        clusters = [range(len(design.members))] if plan.method in (*CHAINS, *JOINT) else []
    return {(i, j) for cluster in clusters for i in cluster for j in cluster if j < i}


def _chebyshev(found: Diversity) -> tuple[ChebyshevBound, ...]:
    return tuple(ChebyshevBound(distance=d.distance, bound=d.bound, share=d.share) for d in found.deviations)
