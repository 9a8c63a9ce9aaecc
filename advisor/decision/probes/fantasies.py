"""What is expected of trainings that have not ended, taken as if it had been observed.

While a probe trains, the next one is chosen as if its result were known: it is the expected one, with the
noise of one training. Such a result is a *fantasy*. It moves no expectation, and it takes away what the
result will settle, so that the next probe looks elsewhere. Notation, for S posterior draws:

    y    simulated measurements of all running probes, as in `probe_value`,  shape (S, figures)
    ȳ    their means: the fantasies,                                         shape (figures,)
    q    any logarithms drawn with them,                                     shape (S, quantities)

    q' = q + (ȳ − y)·B,   B = Cov(y)⁻¹·Cov(y, q)

are draws of q given y = ȳ, exactly where all are normal (Matheron's rule).

Source: Ginsbourger, Le Riche and Carraro, Kriging Is Well-Suited to Parallelize Optimization (2010), the
"kriging believer"; Wilson et al., Efficiently Sampling Functions from Gaussian Process Posteriors (2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from advisor.decision.probes.probe_value import Outcome
from advisor.decision.scenario import Evaluated
from advisor.estimate import Floats


@dataclass(frozen=True, slots=True)
class Fantasies:
    """Results of running probes that are taken as observed.

    Attributes:
        deviations: y − ȳ, shape (draws, figures of all probes); None where nothing runs.
    """

    deviations: Floats | None = None

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], seed: int) -> Fantasies:
        """Return the expected results of running probes as observations.

        Args:
            outcomes: predicted results of the probes, by one posterior.
            seed: random seed of the simulated measurements.
        """
        if not outcomes:
            return cls()
        measured = np.concatenate(
            # A seed without the number is that of the measurement of the probe to choose.
            [_measured(each, np.random.default_rng((seed, n))) for n, each in enumerate(outcomes, 1)],
            axis=1,
        )
        return cls(measured - measured.mean(axis=0))

    def conditioned(self, logs: Floats) -> Floats:
        """Return draws of logarithms given the fantasies; the same draws where nothing runs.

        Args:
            logs: q, shape (draws, quantities).
        """
        if self.deviations is None:
            return logs
        slopes = np.linalg.lstsq(self.deviations, logs - logs.mean(axis=0), rcond=None)[0]
        given: Floats = logs - self.deviations @ slopes
        return given

    def evaluated(self, designs: Sequence[Evaluated]) -> Sequence[Evaluated]:
        """Return designs with the draws of their errors given the fantasies.

        Args:
            designs: designs with the draws of their errors.
        """
        if self.deviations is None:
            return designs
        return [
            replace(
                each,
                errors=self._errors(each.errors[:, None])[:, 0],
                errors_by_weight_decay=None
                if each.errors_by_weight_decay is None
                else self._errors(each.errors_by_weight_decay),
            )
            for each in designs
        ]

    def _errors(self, errors: Floats) -> Floats:
        given: Floats = np.exp(self.conditioned(np.log(errors)))
        return given


def _measured(outcome: Outcome, generator: np.random.Generator) -> Floats:
    noise = generator.standard_normal(outcome.log_figures.shape) * outcome.stds
    measured: Floats = outcome.log_figures + noise
    return measured


@dataclass(frozen=True, slots=True)
class Beside:
    """What a probe trains beside.

    Attributes:
        fantasies: expected results of the probes that run.
        slowdown: factor on the time of a probe that shares the machine with others.
    """

    fantasies: Fantasies = field(default_factory=Fantasies)
    slowdown: float = 1.0


ALONE = Beside()
