"""Whether the first stage of a path fits into its time, before anything is trained or stored.

The forecast decides, as it does for later stages: expected seconds against those that are allowed. Where
nothing was measured on this machine, steps of the networks that the stage begins with are timed in a fresh
process. These times are not stored, and nothing that a training depends on rests on them (docs/adr/0006).
"""

from __future__ import annotations

import time

from advisor.conformal import CostBasis
from advisor.cost.measurement import Measurement
from advisor.cost.predictor import CostPredictor
from advisor.cost.pricing import PricedPlan, price
from advisor.errors import InfeasibleError
from advisor.estimate import Estimate
from advisor.plans.convergence.expectation import epochs_of
from advisor.plans.navigation.path import Targets
from advisor.plans.plan import TrainingPlan, TrainStep
from cli.workflows.forecast.machine import measurement_of
from cli.workflows.forecast.measurer import LONGEST_SECONDS, MEANT_SHARE
from cli.workflows.runs.navigation.request import seconds_allowed
from cli.workflows.views import Say
from profiler.device import cores_to_pin, fingerprint
from profiler.isolate import MeasuringProcess
from profiler.steps import StepTimes
from trainer.training.workload import StepWorkload

# Seconds of one measurement.
SECONDS = 1.0


def require_time(plan: TrainingPlan, priced: PricedPlan | None, targets: Targets, say: Say) -> None:
    """Refuse a path whose first stage is expected to take longer than all of its time.

    Args:
        plan: plan of the first stage.
        priced: its predicted cost; None where nothing was measured on this machine.
        targets: where the path ends.
        say: receiver of progress.

    Raises:
        InfeasibleError: the first stage does not fit.
    """
    allowed = seconds_allowed(targets)
    if allowed is None:
        return
    expected = _measured_now(plan, say) if priced is None else priced.train_seconds
    if expected is None or expected.mean <= allowed:
        return
    raise InfeasibleError(
        f"{allowed:.3g} s of training are too short for the first stage of {plan.design}, one mother network "
        f"per family and its members: {expected.mean:.3g} s are expected ({expected.low:.3g} to "
        f"{expected.high:.3g}); nothing was trained: allow more, or train fewer epochs or smaller members"
    )


def _measured_now(plan: TrainingPlan, say: Say) -> Estimate | None:
    """Return the seconds of a plan by steps that are timed now; None where none can be timed."""
    measured: list[Measurement] = []
    first = {
        plan.network(s.network).network: s for s in plan.steps if isinstance(s, TrainStep) and not s.after
    }
    machine = fingerprint(plan.execution, plan.dataset.augmentation.key)
    with MeasuringProcess(
        plan.execution.device, plan.execution.threads, cores_to_pin(plan.execution)
    ) as process:
        if not process.wait_until_ready():
            return None
        for name, step in first.items():
            say(f"timing steps of {name} for the time of the path: nothing was measured on this machine yet")
            times = _timed(process, name, plan)
            if times is None:
                return None
            if times.given_up:
                return _at_least(step, times.step, plan)
            measured.append(measurement_of(name, plan.dataset.task, plan.batch, machine, times))
    predictor = CostPredictor(measured, plan.execution)
    return None if predictor.basis is CostBasis.NOMINAL else price(plan, predictor).train_seconds


def _timed(process: MeasuringProcess, name: str, plan: TrainingPlan) -> StepTimes | None:
    """Return the times of a network's steps; None if the process died, for example without memory."""
    workload = StepWorkload(
        network=name,
        task=plan.dataset.task,
        batch=plan.batch,
        augmentation=plan.dataset.augmentation,
        execution=plan.execution,
    )
    began = time.perf_counter()
    process.begin(workload, SECONDS, MEANT_SHARE * LONGEST_SECONDS)
    times = process.finish(LONGEST_SECONDS)
    if times is None and time.perf_counter() - began >= LONGEST_SECONDS:
        return StepTimes(given_up=True, step=LONGEST_SECONDS)
    return times


def _at_least(step: TrainStep, seconds: float, plan: TrainingPlan) -> Estimate:
    """Return the least seconds of a network whose single steps are too long to be measured."""
    return epochs_of(step.schedule).scaled(seconds * plan.dataset.steps_per_epoch(plan.batch))
