"""The path of a navigation: stage after stage until a target is met (MotherNets, MLSys 2020, section 2).

The first stage has one cluster per family. As long as the validation error is above the target and the next
stage is expected to fit into what is left of time and money, the cluster whose split promises most is split
(`advisor.plans.navigation.splitting`). The run of the last stage is the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from advisor.errors import DeadlineError, InfeasibleError
from advisor.plans.extension import kept_steps
from advisor.plans.navigation.path import Navigation, Stage, Targets
from advisor.plans.navigation.splitting import Split, best_split, with_split
from advisor.plans.plan import HatchStep, Role, TrainingPlan, TrainStep
from advisor.plans.records import Forecast, Run, RunStatus
from cli.workflows.answers.runs.run import Run as RunAnswer
from cli.workflows.forecast.cluster.kinds import Cluster
from cli.workflows.forecast.convergence import with_learned_epochs
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target, with_data_at
from cli.workflows.home import Home
from cli.workflows.runs.description import describe_run
from cli.workflows.runs.extend import extended_run, forecast_of_added
from cli.workflows.runs.lookup import existing_store
from cli.workflows.runs.navigation.request import request_to_navigate, seconds_allowed
from cli.workflows.runs.navigation.stages import (
    Walk,
    adopt_again,
    clusters_of_run,
    finish,
    navigation_of,
    seconds_left,
    train_stage,
)
from cli.workflows.runs.own_data import data_of_run
from cli.workflows.runs.train import TrainOptions, begin, cluster_of, on_cluster, resumable, signals_of
from cli.workflows.runs.train import resume as resume_run
from cli.workflows.views import Say
from db.queries import Store
from db.session import open_store
from trainer.ensembles.verify import require_plan


@dataclass(frozen=True, slots=True)
class _Next:
    """The stage to come.

    Attributes:
        plan: its plan.
        split: cluster that is split, in halves.
        forecast: forecast of what it adds.
    """

    plan: TrainingPlan
    split: Split
    forecast: Forecast


def navigate(
    request: PlanRequest, targets: Targets, options: TrainOptions, home: Home, say: Say
) -> RunAnswer:
    """Train an ensemble with one cluster, and with more until a target is met.

    Args:
        request: design without clusters, and the settings of its training.
        targets: where the path ends.
        options: limits of the execution.
        home: home of the runs.
        say: receiver of progress.

    Raises:
        UsageError: the request does not name such a design.
        InfeasibleError: no number of clusters reaches the error, or the first stage does not fit into the
            time; what was trained is kept.
        AdvisorError: the training failed or was stopped; what was trained so far is kept.
    """
    request = request_to_navigate(request)
    signals = signals_of(options)
    target = planned_target(request, home, say)
    with open_store(home.database) as store:
        cluster = cluster_of(options, say)
        run, data = begin(target, options, store, home, say, Navigation(targets=targets), cluster)
        return _go_on(run, Walk(store, home, data, signals, say, on_cluster(cluster), options.waiting))


def resume(run_id: int, options: TrainOptions, home: Home, say: Say) -> RunAnswer:
    """Continue a run; of a path, its newest stage and then the path.

    Args:
        run_id: number of the run, or of any stage of a path.
        options: limits of the execution.
        home: home of the run.
        say: receiver of progress.

    Raises:
        UsageError: the run is finished or unknown.
        AdvisorError: the training failed or was stopped; what was trained so far is kept.
    """
    signals = signals_of(options)
    with existing_store(home) as store:
        found = store.run(run_id)
        if found.navigation is not None:
            run = resumable(store, store.stages(found.navigation.first_run(run_id))[-1].id)
            require_plan(home.run_folder(run.folder), run.plan)
            run = replace(run, plan=with_data_at(run.plan, options.moved_to))
            with options.clock.paused(options.download):
                data = data_of_run(run, home, download=options.download)
            say(f"resuming run {run.id}: {run.plan.design} on {run.plan.dataset.name}, a stage of a path")
            executing = on_cluster(cluster_of(options, say))
            walk = Walk(store, home, data, signals, say, executing, options.waiting)
            adopt_again(run, walk)
            return _go_on(run, walk)
    return resume_run(run_id, options, home, say)


def _go_on(run: Run, walk: Walk) -> RunAnswer:
    """Train stages to the end of the path."""
    while True:
        walk.say(_before(run))
        try:
            run, stage = train_stage(run, walk)
        except DeadlineError:
            if walk.signals.past_deadline():
                raise
            return _out_of_time(run, walk)
        walk.say(_after(run, stage))
        following = _next(run, stage, walk.store, None if walk.executing is None else walk.executing.cluster)
        if isinstance(following, str):
            walk.say(following)
            return _end(run, stage, walk)
        earlier = (*navigation_of(run).earlier, stage)
        navigation = Navigation(
            targets=navigation_of(run).targets,
            earlier=earlier,
            kept=following.split.kept,
            renewed=following.split.renewed,
        )
        run = extended_run(run, following.plan, following.forecast, walk.store, walk.home, navigation)


def _next(run: Run, stage: Stage, store: Store, cluster: Cluster | None) -> _Next | str:
    """Return the stage to come, or the reason why the path ends."""
    wanted = navigation_of(run).targets.error
    if wanted is not None and stage.validation_error <= wanted:
        return f"the path ends: the validation error is at most {_percent(wanted)}"
    split = best_split(run.plan)
    if split is None:
        return "the path ends: every member has a cluster of its own"
    plan = with_split(run.plan, split)
    plan = with_learned_epochs(plan, store, kept_steps(run.plan, plan))
    forecast, left = forecast_of_added(plan, run, store, cluster), seconds_left(run)
    expected = forecast.train_seconds[0] if forecast.train_seconds else _seconds_as_before(plan, run, store)
    if left is not None and expected > left:
        return f"the path ends: {max(left, 0):.3g} s are left for a stage of {expected:.3g} s"
    return _Next(plan, split, forecast)


def _seconds_as_before(plan: TrainingPlan, run: Run, store: Store) -> float:
    """Return the seconds of a stage to come, from those of the same networks in the stage before.

    Args:
        plan: plan of the stage to come.
        run: stage before, which is trained.
        store: database of the run.
    """
    seconds = {record.network: 0.0 for record in store.steps(run.id)}
    for record in store.steps(run.id):
        seconds[record.network] += record.seconds
    kept = kept_steps(run.plan, plan)
    added = [s for s in plan.steps if s.id not in kept]
    hatched = {s.network for s in added if isinstance(s, HatchStep)}
    scratch = [s for s in added if isinstance(s, TrainStep) and s.network not in hatched]
    longest = max((seconds.get(n.name, 0.0) for n in run.plan.networks if n.role is Role.MOTHER), default=0.0)
    members = sum(seconds.get(name, 0.0) for name in hatched) / plan.execution.processes
    return longest * len(scratch) + members


def _out_of_time(run: Run, walk: Walk) -> RunAnswer:
    """End a path whose seconds are used up within a stage: the stage before is the result.

    Raises:
        InfeasibleError: there is no stage before.
    """
    earlier = navigation_of(run).earlier
    if not earlier:
        allowed = seconds_allowed(navigation_of(run).targets) or 0.0
        raise InfeasibleError(
            f"{allowed:.3g} s of training are too short for the first stage of {run.plan.design}, one mother "
            f"network per family and its members: run {run.id} keeps what was trained, and `advisor resume "
            f"{run.id}` completes it"
        )
    walk.say(f"the path ends: no time is left; run {run.id} keeps what was trained of another stage")
    return _end(walk.store.run(earlier[-1].run), earlier[-1], walk)


def _end(run: Run, stage: Stage, walk: Walk) -> RunAnswer:
    """Read the test images of all stages, and return the last one.

    Raises:
        InfeasibleError: every member has a cluster of its own, and the error is above the target.
    """
    for each in walk.store.stages(navigation_of(run).first_run(run.id)):
        if each.id <= run.id and each.status is not RunStatus.DONE:
            data = replace(each.plan.dataset, name=run.plan.dataset.name)
            finish(replace(each, plan=replace(each.plan, dataset=data)), walk)
    targets = navigation_of(run).targets
    if targets.error is not None and stage.validation_error > targets.error and best_split(run.plan) is None:
        raise InfeasibleError(
            f"a validation error of {_percent(targets.error)} is not reached: with a cluster for each of the "
            f"{stage.clusters} members it is {_percent(stage.validation_error)}; run {run.id} keeps the "
            "ensemble: train longer, or name other members"
        )
    return describe_run(walk.store, walk.home, run.id, targets.price_per_hour)


def _before(run: Run) -> str:
    navigation, expected = navigation_of(run), run.forecast.train_seconds if run.forecast else None
    renewed = navigation.renewed
    how = "with a mother network of their own" if len(renewed) > 1 else "from scratch"
    split = f", {', '.join(renewed)} {how}" if renewed else ""
    time = f", {expected[0]:.3g} s expected" if expected else ""
    return f"stage {len(navigation.earlier) + 1}: run {run.id}, g = {clusters_of_run(run)}{split}{time}"


def _after(run: Run, stage: Stage) -> str:
    seconds = sum(each.seconds for each in navigation_of(run).earlier) + stage.seconds
    number = len(navigation_of(run).earlier) + 1
    return f"stage {number}: validation error {_percent(stage.validation_error)}, {seconds:.3g} s in all"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
