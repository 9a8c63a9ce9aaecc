"""Which ways to train an ensemble are worth their time, and how sure that is.

A way is on the front if no other has both less expected error and less expected time
(`advisor.decision.pareto`). A way that is off the front is beaten by one that is better in both. How sure
that is has two parts, which are taken as independent:

    P(one training of the better way has less error)  ·  P(it takes no more time)

The first pairs the posterior draws of both errors. The second comes from the interval of the ratio of both
times, in which errors of the cost predictor that both have in common cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from advisor.decision.pareto import non_dominated
from advisor.estimate import Estimate, Floats, Z

# Probability by the positions of two ways: that one training of the first has less error than one of the
# second. Ratio by the same: time of the first over that of the second.
LessError = Callable[[int, int], float]
TimeRatio = Callable[[int, int], Estimate]


@dataclass(frozen=True, slots=True)
class Beaten:
    """A way that another one beats in error and time.

    Attributes:
        by: position of the better way, which is on the front.
        probability: probability that it is better in both.
    """

    by: int
    probability: float


def front_of(errors: Floats, seconds: Floats) -> NDArray[np.bool_]:
    """Return whether each way is on the Pareto front of expected error and expected time.

    Args:
        errors: expected errors, shape (ways,).
        seconds: expected times in any unit, shape (ways,).
    """
    return non_dominated(np.stack([errors, seconds], axis=1))


def beaten_ways(
    errors: Floats, seconds: Floats, less_error: LessError, time_ratio: TimeRatio
) -> list[Beaten | None]:
    """Return what beats each way; None for one on the front.

    Of the ways on the front that are better in both, the one that most likely is so is named.

    Args:
        errors: expected errors, shape (ways,).
        seconds: expected times in any unit, shape (ways,).
        less_error: probability of less error by the positions of two ways.
        time_ratio: ratio of times by the positions of two ways.
    """
    front = front_of(errors, seconds)
    found: list[Beaten | None] = []
    for i in range(len(errors)):
        better = [
            j
            for j in np.flatnonzero(front).tolist()
            if errors[j] <= errors[i] and seconds[j] <= seconds[i] and j != i
        ]
        if front[i] or not better:
            found.append(None)
            continue
        likely = [Beaten(j, less_error(j, i) * _no_more_time(time_ratio(j, i))) for j in better]
        found.append(max(likely, key=lambda each: each.probability))
    return found


def probability_below_one(ratio: Estimate) -> float:
    """Return the probability that a log-normal ratio is below 1; 0.5 for two that are equal."""
    log_mean, log_std = np.log(ratio.mean), np.log(ratio.high / ratio.low) / (2 * Z)
    return float(ndtr(-log_mean / log_std)) if log_std > 0 else float(0.5 - 0.5 * np.sign(log_mean))


def _no_more_time(ratio: Estimate) -> float:
    """Return the probability that a ratio of times is at most 1; two equal times are certain to be equal."""
    return 1.0 if ratio.low == ratio.high == 1 else probability_below_one(ratio)


def never_worth(beaten: Sequence[Beaten | None], kinds: Sequence[str]) -> dict[str, Beaten]:
    """Return the kinds of ways that are nowhere on the front, each with what beats its best way.

    The best way of a kind is the one that is beaten least surely, so the probability holds for all of them.

    Args:
        beaten: what beats each way.
        kinds: kind of each way: its method.
    """
    found: dict[str, Beaten] = {}
    for kind in dict.fromkeys(kinds):
        own = [each for each, other in zip(beaten, kinds, strict=True) if other == kind]
        beating = [each for each in own if each is not None]
        if len(beating) == len(own):
            found[kind] = min(beating, key=lambda each: each.probability)
    return found
