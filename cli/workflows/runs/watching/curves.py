"""The curves of a run, also while another process trains it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from advisor.estimate import Estimate
from advisor.plans.plan import TrainingPlan, TrainStep
from advisor.plans.records import EpochFigures, Run, StepStatus
from cli.workflows.answers.runs.curves import CurvePoint, EnsemblePoint, NetworkCurve, RunCurves
from cli.workflows.home import Home
from cli.workflows.runs.lookup import reading_store, run_id_of, stored_run
from cli.workflows.runs.watching.ensemble_curve import MemberCurve, ensemble_curve
from cli.workflows.runs.watching.lineage import Lineage, clusters_by_network, lineage_of
from cli.workflows.runs.watching.progress import progress_of, step_progress
from db.queries import Store

# Epochs of a training step, by its id.
Epochs = Mapping[str, Sequence[EpochFigures]]
# Ends after which a step trains no more.
ENDED = (StepStatus.DONE, StepStatus.FAILED, StepStatus.DIVERGED)


def run_curves(home: Home, run: str, *, probabilities: bool = True) -> RunCurves:
    """Return how the networks of a run learned so far; nothing is written.

    Args:
        home: home of the run.
        run: its number, or ``last``.
        probabilities: whether the error of the ensemble and the disagreement of its members are computed from
            the members' probabilities, which takes most of the time.

    Raises:
        UsageError: no such run.
        StorageError: a row of the run is damaged.
    """
    number = run_id_of(run, home)
    with reading_store(home) as store:
        return curves_of_run(store, home, number, probabilities=probabilities)


def curves_of_runs(home: Home, runs: Sequence[int]) -> tuple[RunCurves, ...]:
    """Return the curves of several runs, each once and without what needs the members' probabilities.

    Args:
        home: home of the runs.
        runs: their numbers.

    Raises:
        UsageError: no such run.
        StorageError: a row of a run is damaged.
    """
    with reading_store(home) as store:
        return tuple(curves_of_run(store, home, run, probabilities=False) for run in dict.fromkeys(runs))


def curves_of_run(store: Store, home: Home, number: int, *, probabilities: bool = True) -> RunCurves:
    """Return how the networks of a run learned, from an open database; arguments as for `run_curves`."""
    run = stored_run(store, home, number)
    plan = run.plan
    epochs: dict[str, list[EpochFigures]] = defaultdict(list)
    for figures in store.epoch_figures(number):
        epochs[figures.step].append(figures)
    statuses = {record.step: record.status for record in store.steps(number)}
    ended = {step for step, status in statuses.items() if status in ENDED}
    steps = {
        step.id: step_progress(step, {e.epoch: e.seconds for e in epochs[step.id]}, ended)
        for step in plan.steps
        if isinstance(step, TrainStep)
    }
    lineage = lineage_of(plan, steps)
    lost = {step for step in ended if statuses[step] is not StepStatus.DONE}
    return RunCurves(
        run=run.id,
        design=plan.design,
        method=plan.method,
        dataset=plan.dataset.name,
        status=run.status,
        epochs=plan.epochs,
        device=plan.execution.device,
        validation_images=plan.dataset.validation_images,
        networks=_networks(plan, epochs, lineage),
        ensemble=_ensemble(store, run, _members(plan, epochs, lineage, ended, lost), probabilities),
        predicted_test_error=_predicted(run),
        test_error=None if run.test is None else run.test.error,
        progress=progress_of(run, steps),
    )


def _networks(plan: TrainingPlan, epochs: Epochs, lineage: Lineage) -> tuple[NetworkCurve, ...]:
    clusters = clusters_by_network(plan, lineage.mothers)
    return tuple(
        NetworkCurve(
            name=network.name,
            network=network.network,
            role=network.role,
            mother=lineage.mothers.get(network.name),
            cluster=clusters.get(network.name),
            start=lineage.starts[holder],
            planned_epochs=lineage.ends[holder] - lineage.starts[holder],
            points=_points(plan, network.name, epochs, lineage) if network.output_of is None else (),
        )
        for network in plan.networks
        for holder in (plan.holder(network.name).name,)
    )


def _points(plan: TrainingPlan, name: str, epochs: Epochs, lineage: Lineage) -> tuple[CurvePoint, ...]:
    """Return the epochs of a network that has weights of its own."""
    return tuple(
        CurvePoint(
            epoch=lineage.offsets[step.id] + figures.epoch + 1,
            validation_error=_known(figures.validation_error),
            train_error=_known(figures.train_error),
            seconds=figures.seconds,
        )
        for step in plan.train_steps_of(name)
        for figures in epochs.get(step.id, ())
    )


def _known(error: float) -> float | None:
    return None if math.isnan(error) else error


def _members(
    plan: TrainingPlan, epochs: Epochs, lineage: Lineage, ended: set[str], lost: set[str]
) -> list[MemberCurve] | None:
    """Return the networks that compute the members, without those that failed; None if one has no epoch."""
    found = []
    for name, members in plan.asked.items():
        steps = plan.step_ids_of(name)
        if steps & lost:
            continue
        points = _points(plan, name, epochs, lineage)
        if not points:
            return None
        last = plan.train_steps_of(name)[-1]
        keys = [(s.id, e.epoch) for s in plan.train_steps_of(name) for e in epochs.get(s.id, ())]
        found.append(MemberCurve(points, keys, last.id in ended, len(members)))
    return found


def _ensemble(
    store: Store, run: Run, members: list[MemberCurve] | None, probabilities: bool
) -> tuple[EnsemblePoint, ...]:
    return ensemble_curve(store, run, members, probabilities=probabilities) if members else ()


def _predicted(run: Run) -> Estimate | None:
    found = None if run.forecast is None else run.forecast.test_error
    return None if found is None else Estimate(*found)
