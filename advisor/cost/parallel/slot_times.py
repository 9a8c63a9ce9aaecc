"""How long a plan takes on more or fewer slots than the machine has, without having them.

The plan is placed on the slots as on those of a machine (`advisor.plans.placement`), and the simulation of
its price says when the last step ends: the makespan. On CUDA, idle GPUs are shared out over the networks
(MotherNets, MLSys 2020, appendix D). Every slot is as fast as one of the machine whose measurements the
predictor has.

Two bounds stand beside it. Notation: step i takes p_i seconds alone and occupies d_i of n slots.

    work            Σ p_i·d_i: all steps one after the other; makespan ≥ work / n
    critical path   the longest chain of steps that wait for each other; makespan ≥ critical path
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from advisor.conformal import Quantity
from advisor.cost.parallel.spans import epochs_alone, seconds_alone, training_spans
from advisor.cost.predictor import CostPredictor
from advisor.estimate import Estimate, total
from advisor.plans.placement import devices_of, placed, slots
from advisor.plans.plan import TrainingPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTimes:
    """Seconds of a plan on a number of slots.

    Attributes:
        slots: number of slots that there are.
        used: number of them that the plan can use at a time.
        sharing: largest number of devices that share the batches of one network.
        train_seconds: makespan, seconds.
        work_seconds: seconds of all steps, each times the slots that it occupies.
        critical_path_seconds: seconds of the longest chain of steps that wait for each other.
    """

    slots: int
    used: int
    sharing: int
    train_seconds: Estimate
    work_seconds: Estimate
    critical_path_seconds: Estimate


def slot_times(plan: TrainingPlan, predictor: CostPredictor, counts: Sequence[int]) -> list[SlotTimes]:
    """Return the seconds of a plan on several numbers of slots.

    Args:
        plan: the plan, placed on any number of slots.
        predictor: predictor of the machine that has one slot of them.
        counts: numbers of slots, each at least 1.
    """
    epochs = epochs_alone(plan, predictor)
    correction = predictor.correction(Quantity.TIME)
    found = []
    for count in counts:
        here = placed(plan, count)
        alone, devices = seconds_alone(here, epochs, predictor), [devices_of(step) for step in here.steps]
        work = total([own.scaled(n) for own, n in zip(alone, devices, strict=True)])
        found.append(
            SlotTimes(
                slots=count,
                used=slots(here),
                sharing=max(devices),
                train_seconds=correction.applied(training_spans(here, epochs, predictor, frozenset()).whole),
                work_seconds=correction.applied(work),
                critical_path_seconds=correction.applied(critical_path(here, alone)),
            )
        )
    return found


def critical_path(plan: TrainingPlan, seconds: Sequence[Estimate]) -> Estimate:
    """Return the seconds of the longest chain of steps that wait for each other.

    Args:
        plan: the plan.
        seconds: seconds of every step alone, in the order of the plan.
    """

    def longest(end: str) -> float:
        ends: dict[str, float] = {}
        for step, own in zip(plan.steps, seconds, strict=True):
            ends[step.id] = getattr(own, end) + max((ends[name] for name in step.after), default=0.0)
        return max(ends.values())

    return Estimate(longest("mean"), longest("low"), longest("high"))
