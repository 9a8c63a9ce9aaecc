"""How often a step is repeated: as often as usual, or less often where a measurement would take too long.

Notation, in training steps; a forward pass without gradients counts as a third of one:

    w           steps that warm up, less those that were already done; half as many passes do
    r, l        whole steps and steps timed by layers, at least; as many passes
    t           seconds of a step that was just done

A measurement takes about (w + r + l + (w' + r + l)/3)·t, where w' are the passes that warm up.
"""

from __future__ import annotations

from dataclasses import dataclass

PASS_SHARE = 1 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetitions:
    """The least numbers of steps in a measurement.

    Attributes:
        warm_up: training steps that warm up.
        warm_up_passes: forward passes that warm up.
        whole: whole steps, and as many passes. 0: the step that was just done is the only whole one.
        layered: steps timed by layers, and as many passes.
        usual: whether these are the usual numbers; only then are disturbed steps tried again.
    """

    warm_up: int
    warm_up_passes: int
    whole: int
    layered: int
    usual: bool = False

    def steps(self, done: int) -> float:
        """Return the duration in training steps, `done` of which are over."""
        passes = self.warm_up_passes + max(self.whole, 1) + self.layered
        return max(self.warm_up - done, 0) + self.whole + self.layered + PASS_SHARE * passes


def fewer(whole: int, layered: int) -> Repetitions:
    """Return numbers of steps below the usual ones; the step that was just done has warmed up."""
    return Repetitions(warm_up=1, warm_up_passes=0, whole=whole, layered=layered)


def fitting(usual: Repetitions, done: int, step: float, seconds: float) -> Repetitions | None:
    """Return the most repetitions that fit into a time; None if not even one forward pass does.

    Args:
        usual: the usual numbers.
        done: training steps that are over.
        step: seconds of the last one.
        seconds: seconds left.
    """
    below = [fewer(*counts) for counts in ((2, 2), (1, 1), (1, 0), (0, 0))]
    options = [usual, *(each for each in below if each.whole < usual.whole)]
    return next((option for option in options if option.steps(done) * step <= seconds), None)
