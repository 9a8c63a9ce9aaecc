"""The accuracy predictor: test error of any design after any number of epochs, with an honest interval.

All constants of the formula (`advisor.accuracy.formula`) are parameters θ with a Gaussian prior. Published
errors and thresholds, and trainings (`advisor.accuracy.evidence`), are observations with their noise; θ and
what the formula misses are drawn `SAMPLES` times from their posterior (`advisor.accuracy.posterior`). A data
set that nobody has described keeps a wide prior on floor and scale, up to chance, while differences between
designs still follow from what all data sets have in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from statistics import fmean

import numpy as np
from scipy.special import ndtr

from advisor.accuracy.evidence import (
    AVERAGED,
    CURVE_STD,
    DISCREPANCY_STD,
    RATIO_STD,
    TrainedEvidence,
    case_of,
    ensemble_seed_std,
    fitted_seed_std,
    learned,
    merged,
    progress,
    published,
    relative_rates,
)
from advisor.accuracy.formula import DESCRIBED, Case, Cases, prior_of
from advisor.accuracy.posterior import Posterior, posterior
from advisor.designs.design import Design
from advisor.estimate import Estimate, Floats
from advisor.networks.layers import Task
from advisor.plans.plan import Method
from advisor.plans.schedule import RECIPES

# Spread of the log error from one epoch to the next at the first learning rate.
JUMPS = CURVE_STD * float(np.sqrt(AVERAGED))
# Trainings that are drawn around every draw of an expected error.
REPEATS = 10
# For questions that no size decides.
_ANY_TASK = Task(channels=3, height=32, width=32, classes=10)


@dataclass
class AccuracyPredictor:
    """Posterior over θ given published facts and trainings.

    Args:
        datasets: names that predictions will be asked for.
        evidence: trainings, finished or not.
        seed: of the posterior draws.

    Attributes:
        seeds: spread of the log error of one network between seeds, by data set.
    """

    datasets: Sequence[str]
    evidence: Sequence[TrainedEvidence] = ()
    seed: int = 0
    seeds: dict[str, float] = field(init=False, repr=False)
    _index: dict[str, int] = field(init=False, repr=False)
    _posterior: Posterior = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = sorted({*self.datasets, *DESCRIBED, *(e.dataset for e in self.evidence)})
        prior = prior_of(names)
        self._index = {name: i for i, name in enumerate(prior)}
        self.seeds = {name: fitted_seed_std(name, self.evidence) for name in names}
        own = (o for e in self._relevant() for o in learned(e, self.seeds[e.dataset]))
        self._posterior = posterior(prior, merged([*published(), *own]), names, self.seed)

    def _relevant(self) -> Iterator[TrainedEvidence]:
        """Yield the evidence, of other data only what it says of the data asked for.

        Curves are a matter of the data, unless it has none; they are most of what there is to compute.
        """
        curves = not any(e.curve for e in self.evidence if e.dataset in self.datasets)
        for e in self.evidence:
            if e.dataset in self.datasets:
                yield e
            else:
                yield replace(e, errors_by_members=None, curve=e.curve if curves else None)

    def sample_errors(
        self,
        designs: Sequence[Design],
        dataset: str,
        task: Task,
        epochs: int,
        methods: Sequence[Method] | None = None,
        images: float = 1.0,
    ) -> Floats:
        """Return draws of the test error without training noise.

        Of members of several families it is the geometric mean of what each would have in such company.

        Args:
            designs: of which errors are asked for.
            dataset: name that its errors are learned under.
            task: input and classes.
            epochs: schedule of a network from scratch.
            methods: of each design; without, full data or MotherNets as its clusters say.
            images: share of the training images.

        Returns:
            Shape (SAMPLES, designs).
        """
        asked = list(zip(designs, methods or repeat(None, len(designs)), strict=True))
        cases = [
            case_of(design, dataset, task, epochs, method, images, family)
            for design, method in asked
            for family in design.families
        ]
        drawn = self._drawn(cases)
        if len(cases) == len(designs):
            return drawn
        found: Floats = np.exp(np.log(drawn) @ _shares_of_families(designs))
        return found

    def sample_curve(self, design: Design, dataset: str, task: Task, epochs: int) -> Floats:
        """Return draws of the error after every epoch of one schedule, all members trained from scratch.

        Args:
            design: trained independently.
            dataset: name that its errors are learned under.
            task: input and classes.
            epochs: of the schedule.

        Returns:
            Shape (SAMPLES, epochs).
        """
        end = case_of(design, dataset, task, epochs, Method.FULL_DATA)
        rates = relative_rates(end.family, epochs)
        return self._drawn(
            [
                replace(end, share=end.share * passed, relative_rate=rate, final_relative_rate=rates[-1])
                for passed, rate in zip(progress(end.family, epochs), rates, strict=True)
            ]
        )

    def epochs_until(
        self, target: Floats, design: Design, dataset: str, task: Task, epochs: int, trainings: int = 1
    ) -> Floats:
        """Return draws of the first epoch of a schedule after which an error is down to a target.

        At a high learning rate errors jump from epoch to epoch, so that a curve comes down sooner than its
        mean.

        Args:
            target: draws of the error to reach, shape (SAMPLES,).
            design: trained independently.
            dataset: name that its errors are learned under.
            task: input and classes.
            epochs: of the schedule.
            trainings: whose mean curve is meant.

        Returns:
            Shape (SAMPLES,), infinite where the target is not reached.
        """
        curve = self.sample_curve(design, dataset, task, epochs)
        jumps = JUMPS * np.sqrt(np.array(relative_rates(design.members[0].family, epochs)) / trainings)
        generator = np.random.default_rng((self.seed, epochs))
        there = curve * np.exp(jumps * generator.standard_normal(curve.shape)) <= target[:, None]
        return np.where(there.any(axis=1), there.argmax(axis=1) + 1.0, np.inf)

    def sample_regular(
        self,
        family: str,
        dataset: str,
        classes: int,
        *,
        parameters: Floats,
        depth: Floats,
        members: Floats,
        epochs: float | Floats,
        relative_rate: float | Floats = 0.0,
        final_relative_rate: float = 0.0,
    ) -> Floats:
        """Return draws for independent members without building their specification.

        Args:
            family: of all designs.
            dataset: name.
            classes: of the data set.
            parameters: of one member, shape (designs,).
            depth: of a member, shape (designs,).
            members: shape (designs,).
            epochs: of a whole schedule that would reach as far, one or shape (designs,).
            relative_rate: learning rate at that epoch over the first one, one or shape (designs,).
            final_relative_rate: the same of the last epoch of the schedule; equal to `relative_rate` where it
                ends.

        Returns:
            Shape (SAMPLES, designs).
        """
        share, rate = np.broadcast_arrays(
            np.asarray(epochs) / RECIPES[family].reference_epochs, relative_rate
        )
        columns = np.broadcast_arrays(parameters / 1e6, depth, share, members, rate)
        return self._drawn(
            [
                Case(
                    dataset,
                    classes,
                    family,
                    float(n),
                    float(d),
                    float(t),
                    int(m),
                    relative_rate=float(h),
                    final_relative_rate=final_relative_rate,
                )
                for n, d, t, m, h in zip(*columns, strict=True)
            ]
        )

    def _drawn(self, cases: Sequence[Case]) -> Floats:
        asked, known = Cases.of(cases, self._index), self._posterior
        return asked.errors(known.samples, known.discrepancy_weights @ asked.features(known.amplitudes).T)

    def seed_std(self, design: Design, dataset: str, method: Method | None = None) -> float:
        """Return the spread of the log error of a design between seeds, counting left out."""
        # Neither size nor length matter to it.
        return ensemble_seed_std(self.seeds[dataset], case_of(design, dataset, _ANY_TASK, 1, method))

    def predict(
        self, errors: Floats, seed_std: float = 0.0, images: int | None = None, key: int = 0
    ) -> Estimate:
        """Return the estimate of a test error to be measured from its draws.

        Args:
            errors: draws of one design, shape (SAMPLES,).
            seed_std: spread between seeds; see `seed_std`.
            images: that the error will be counted on; None for endlessly many.
            key: tells designs apart, so that each has noise of its own.
        """
        generator = np.random.default_rng((self.seed, key))
        # Several trainings a draw: few draws leave the ends of an interval to chance.
        noise = generator.normal(0, np.hypot(DISCREPANCY_STD, seed_std), REPEATS * len(errors))
        trained = np.minimum(np.tile(errors, REPEATS) * np.exp(noise), 1.0)
        if images is not None:
            trained = generator.binomial(images, trained) / images
        return Estimate.of_samples(trained)

    def probability_below(
        self, errors: Floats, reference: Floats, seed_stds: tuple[float, float] = (0.0, 0.0)
    ) -> float:
        """Return the probability that one training of a design has less error than one of another.

        Args:
            errors: draws of the one, shape (SAMPLES,).
            reference: draws of the other.
            seed_stds: of either, their spreads between seeds.
        """
        std = np.sqrt(2 * RATIO_STD**2 + seed_stds[0] ** 2 + seed_stds[1] ** 2)
        return float(np.mean(ndtr(np.log(reference / errors) / std)))


def _shares_of_families(designs: Sequence[Design]) -> Floats:
    """Share of each family in the members of its design, shape (families of all designs, designs)."""
    shares = np.zeros((sum(len(design.families) for design in designs), len(designs)))
    rows = iter(shares)
    for column, design in enumerate(designs):
        for family in design.families:
            next(rows)[column] = fmean(member.family == family for member in design.members)
    return shares
