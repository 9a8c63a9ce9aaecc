"""What a person waits for beside a training: starting processes, loading data, evaluating, storing.

Notation, for a plan that trains on p processes:

    L   seconds of loading: bytes of all images, and files of a folder, each over its rate
    E   seconds of the evaluation of all members on validation and test images, as the price has them
    b   = START + E + L               where the program trains by itself (p = 1)
        = START + E + 2 L + p PROCESS where processes do (each loads the images, after the program)
    r   = ln(actual / b) of an earlier run on this machine, of n such runs
    w   = n / (n + PRIOR_RUNS), the weight of these runs

The forecast is b exp(w median r). The variance of its logarithm is that of b by the price, and beside it

    (1 − w) (MACHINE_STD² + RUN_STD²) + w s²,    s = 1.4826 median |r − median r|

Medians keep a run that was resumed, and so started twice, from moving the forecast. A call from Python, whose
process has imported everything before, waits for less than a command; the history of a machine does not tell
the two apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from advisor.cost.pricing import EVALUATE, PricedPlan
from advisor.estimate import Estimate, Z
from advisor.plans.dataset import DatasetFacts
from advisor.plans.outcomes import FinishedRun
from advisor.plans.placement import slots
from advisor.plans.plan import TrainingPlan

# Seconds beside the training of one network for two epochs: 3.2 when this was set, and 3.6 in the committed
# results (benchmarks/results/speed.json, two cores); 0.2 of them end the process, when all is stored.
START_SECONDS = 3.0
# Seconds that each training process adds. Chosen: two of them added 0.15 s, and later nothing that shows.
PROCESS_SECONDS = 0.08
# Rates of loading: SVHN has 305 million bytes, a folder of small images 10,000 files, and both take about 3 s
# (`cli.workflows.forecast.level`).
BYTES_A_SECOND = 1e8
FILES_A_SECOND = 3_300.0

# Runs that the formula counts as: the first two on a machine move the forecast half way to their own. Chosen.
PRIOR_RUNS = 2
# Standard deviations of r, between machines and between runs on one: most machines are within a factor of 1.8
# of the one above. Chosen.
MACHINE_STD = 0.35
RUN_STD = 0.1
# Newest runs of a machine that count. Chosen: with more, a change of the machine would be learned later.
MOST_RUNS = 30
# A median absolute deviation times this is the standard deviation of a normal distribution.
NORMAL_MAD = 1.4826


@dataclass(frozen=True, slots=True)
class OverheadForecast:
    """A forecast of the seconds beside a training.

    Attributes:
        seconds: mean and 90 % interval.
        factor: part of the mean that the machine's own history contributes; 1 without any.
    """

    seconds: Estimate
    factor: float


def forecast_overhead(
    plan: TrainingPlan, priced: PricedPlan, ratios: Sequence[float] = ()
) -> OverheadForecast:
    """Return the seconds that are waited for beside the training of a plan on this machine.

    Args:
        plan: the plan.
        priced: its price, which has the seconds of its evaluation.
        ratios: actual seconds over those of the formula of earlier runs on this machine, newest first.
    """
    factor = pooled(ratios[:MOST_RUNS])
    evaluation = next(step.seconds for step in priced.steps if step.step == EVALUATE)
    return OverheadForecast(evaluation.plus(starting_seconds(plan)).times(factor), factor.mean)


def starting_seconds(plan: TrainingPlan) -> float:
    """Return START + L, or START + 2 L + p PROCESS."""
    # Networks on streams train in the process of the program.
    processes = slots(plan) if plan.execution.streams == 1 else 1
    loading = loading_seconds(plan.dataset)
    if processes == 1:
        return START_SECONDS + loading
    return START_SECONDS + 2 * loading + processes * PROCESS_SECONDS


def loading_seconds(facts: DatasetFacts) -> float:
    """Return the seconds in which the images of a data set are loaded and split."""
    task, images = facts.task, facts.train_images + facts.validation_images + facts.test_images
    seconds = images * task.channels * task.height * task.width / BYTES_A_SECOND
    return seconds + images / FILES_A_SECOND if facts.in_folder else seconds


def pooled(ratios: Sequence[float]) -> Estimate:
    """Return the factor on the formula, with a 90 % interval.

    Args:
        ratios: actual seconds over those of the formula, each greater than 0.
    """
    logs = [math.log(ratio) for ratio in ratios]
    centre = median(logs) if logs else 0.0
    scatter = NORMAL_MAD * median(abs(each - centre) for each in logs) if logs else 0.0
    weight = len(logs) / (len(logs) + PRIOR_RUNS)
    std = math.sqrt((1 - weight) * (MACHINE_STD**2 + RUN_STD**2) + weight * scatter**2)
    factor = math.exp(weight * centre)
    return Estimate(factor, factor * math.exp(-Z * std), factor * math.exp(Z * std))


def ratio_of(run: FinishedRun) -> float | None:
    """Return the actual seconds of a run over those of the formula; None where one of them is unknown."""
    predicted = run.forecast.overhead_seconds
    if predicted is None or not predicted[0] or not run.overhead_seconds:
        return None
    return run.overhead_seconds * run.forecast.overhead_factor / predicted[0]
