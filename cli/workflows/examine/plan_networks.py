"""The networks of a plan: what each begins as, what growth adds to it, and its state in a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from advisor.estimate import Estimate, total
from advisor.networks.mothernet import distance
from advisor.networks.shared_layers import graph_of
from advisor.plans.convergence.expectation import converging_epochs, epochs_of
from advisor.plans.placement import devices_of, slots
from advisor.plans.plan import HatchStep, PlannedNetwork, Role, TrainingPlan, TrainStep
from advisor.plans.records import Run, RunStatus, StepRecord, StepStatus
from cli.workflows.answers.examine.explained_networks import ExplainedNetwork, NetworkState


def explained_networks(plan: TrainingPlan) -> tuple[ExplainedNetwork, ...]:
    """Return the networks of a plan that have weights of their own, in its order."""
    hatched = {step.network: plan.network(step.source) for step in plan.steps if isinstance(step, HatchStep)}
    return tuple(_network(plan, network, hatched.get(network.name)) for network in plan.built)


def networks_of_run(
    run: Run, records: Mapping[str, StepRecord], epochs: Mapping[str, int]
) -> tuple[ExplainedNetwork, ...]:
    """Return the networks of a run with the epochs that they were trained for, and their state.

    Args:
        run: the run.
        records: executed steps by step.
        epochs: finished epochs by step.
    """
    running = _running(run, records, epochs)
    return tuple(
        replace(
            network,
            actual_epochs=sum(epochs.get(step.id, 0) for step in run.plan.train_steps_of(network.name)),
            state=_state(run, network.name, records, epochs, running),
        )
        for network in explained_networks(run.plan)
    )


def _network(plan: TrainingPlan, network: PlannedNetwork, source: PlannedNetwork | None) -> ExplainedNetwork:
    task, trained = plan.dataset.task, plan.train_steps_of(network.name)
    expected = total([epochs_of(step.schedule) for step in trained])
    converging = any(converging_epochs(step.schedule) for step in trained)
    teachers = [step.distillation.teacher for step in trained if step.distillation is not None]
    grown = source is not None and network.role is not Role.JOINT
    return ExplainedNetwork(
        name=network.name,
        network=network.network,
        role=network.role,
        members=_members(plan, network),
        parameters=graph_of(network.network, task).parameters,
        source=None if source is None else source.name,
        inherited_parameters=0 if source is None else graph_of(source.network, task).parameters,
        distance=distance(network.spec, source.spec) if source is not None and grown else None,
        teacher=teachers[0] if teachers else None,
        epochs=expected.mean,
        converging_epochs=Estimate(expected.mean, expected.low, expected.high) if converging else None,
    )


def _members(plan: TrainingPlan, network: PlannedNetwork) -> tuple[str, ...]:
    computes = network.role in (Role.MEMBER, Role.JOINT)
    return tuple(plan.outputs_of(network.name)) if computes else ()


def _running(run: Run, records: Mapping[str, StepRecord], epochs: Mapping[str, int]) -> frozenset[str]:
    """Return the steps that run now, as the trainer starts them: in order, on free slots."""
    if run.status is not RunStatus.RUNNING:
        return frozenset()
    done = {name for name, record in records.items() if record.status is StepStatus.DONE}
    ready = [s for s in run.plan.steps if s.id not in records and done.issuperset(s.after)]
    running: list[str] = []
    free = slots(run.plan)
    # Those that have begun hold their slots.
    for step in sorted(ready, key=lambda s: s.id not in epochs):
        if devices_of(step) <= free:
            running.append(step.id)
            free -= devices_of(step)
    return frozenset(running)


def _state(
    run: Run,
    network: str,
    records: Mapping[str, StepRecord],
    epochs: Mapping[str, int],
    running: frozenset[str],
) -> NetworkState:
    steps = [step for step in run.plan.steps if step.network == network]
    ends = {record.status for step in steps if (record := records.get(step.id))}
    if StepStatus.DIVERGED in ends:
        return NetworkState.DIVERGED
    if StepStatus.FAILED in ends:
        return NetworkState.FAILED
    if all(step.id in records for step in steps if isinstance(step, TrainStep)):
        return NetworkState.DONE
    if not running.isdisjoint(step.id for step in steps):
        return NetworkState.TRAINING
    begun = any(step.id in epochs or step.id in records for step in steps)
    return NetworkState.STOPPED if begun else NetworkState.WAITING
