"""The accuracy predictor: test error of any design after any number of epochs, with an honest interval.

All constants of the formula (`advisor.accuracy_formula`) are parameters θ with a Gaussian prior. Published
errors and thresholds, and trainings (`advisor.evidence`), are observations with their noise; θ's posterior is
drawn `SAMPLES` times (`_drawn`). What the formula misses is a Gaussian
process (`advisor.misfit`), whose exponential x is multiplied by. A data set that nobody has described keeps a
wide prior on floor and scale, up to chance, while differences between designs still follow from what all data
sets have in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares
from scipy.special import ndtr

from advisor import misfit
from advisor.accuracy_formula import DESCRIBED, Case, Cases, Positions, prior_of
from advisor.architecture import Task
from advisor.design import Design
from advisor.estimate import Estimate, Floats
from advisor.evidence import (
    AVERAGED,
    CURVE_SPREAD,
    RATIO_SPREAD,
    RESIDUAL_SPREAD,
    Observation,
    TrainedEvidence,
    case_of,
    learned,
    luck_of,
    merged,
    progress,
    published,
    relative_rates,
    seed_spread,
)
from advisor.plan import Method
from advisor.schedule import RECIPES

SAMPLES = 400
# Steps to a mode, and the change of its misfit that ends them: a walk follows, so no mode need be exact.
MODE_STEPS, TOLERANCE = 60, 1e-4
# Modes around which draws begin, how far from them as a share of the Gaussian there, how many steps they go,
# and how far one is.
STARTS = 20
JITTER = 0.5
STEPS = 40
STRIDE = 0.3
# By which a parameter is moved for its slope: the root of what float64 resolves.
DIFFERENCE = 1e-7
# Fits between which the amplitudes of what the formula misses are chosen anew.
AMPLITUDE_ROUNDS = 2
# Spread of the log error from one epoch to the next at the first learning rate.
JUMPS = CURVE_SPREAD * float(np.sqrt(AVERAGED))
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
    _amplitudes: dict[str, float] = field(init=False, repr=False)
    _samples: Floats = field(init=False, repr=False)
    _misfit: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = sorted({*self.datasets, *DESCRIBED, *(e.dataset for e in self.evidence)})
        prior = prior_of(names)
        self._index = {name: i for i, name in enumerate(prior)}
        self.seeds = {name: seed_spread(name, self.evidence) for name in names}
        own = (o for e in self._relevant() for o in learned(e, self.seeds[e.dataset]))
        facts = _Facts.of(merged([*published(), *own]), self._index)
        mean, spread = (np.array([value[i] for value in prior.values()]) for i in (0, 1))
        self._amplitudes = {
            name: misfit.PUBLISHED if name in DESCRIBED else float(np.exp(misfit.USUAL)) for name in names
        }
        mode = mean
        for _ in range(AMPLITUDE_ROUNDS if self.evidence else 0):
            white = misfit.Whitener.of(facts.rows(self._amplitudes), facts.spreads)
            mode = facts.fitted(mean, spread, white, mode).x
            self._amplitudes |= facts.amplitudes(mode)
        generator = np.random.default_rng(self.seed)
        self._samples = _drawn(facts, mean, spread, self._amplitudes, generator)
        rows = facts.rows(self._amplitudes)
        self._misfit = misfit.draw_weights(rows, facts.left(self._samples), facts.spreads, generator)

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
        cases = [
            case_of(design, dataset, task, epochs, method, images)
            for design, method in zip(designs, methods or repeat(None, len(designs)), strict=True)
        ]
        return self._drawn(cases)

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
                replace(end, share=end.share * passed, heat=rate, cold=rates[-1])
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
        heat: float | Floats = 0.0,
        cold: float = 0.0,
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
            heat: learning rate at that epoch over the first one, one or shape (designs,).
            cold: the same of the last epoch of the schedule; equal to `heat` where it ends.

        Returns:
            Shape (SAMPLES, designs).
        """
        share, rate = np.broadcast_arrays(np.asarray(epochs) / RECIPES[family].reference_epochs, heat)
        columns = np.broadcast_arrays(parameters / 1e6, depth, share, members, rate)
        return self._drawn(
            [
                Case(dataset, classes, family, float(n), float(d), float(t), int(m), heat=float(h), cold=cold)
                for n, d, t, m, h in zip(*columns, strict=True)
            ]
        )

    def _drawn(self, cases: Sequence[Case]) -> Floats:
        asked = Cases.of(cases, self._index)
        return asked.errors(self._samples, self._misfit @ asked.features(self._amplitudes).T)

    def luck(self, design: Design, dataset: str, method: Method | None = None) -> float:
        """Return the spread of the log error of a design between seeds, counting left out."""
        # Neither size nor length matter to it.
        return luck_of(self.seeds[dataset], case_of(design, dataset, _ANY_TASK, 1, method))

    def predict(self, errors: Floats, luck: float = 0.0, images: int | None = None, key: int = 0) -> Estimate:
        """Return the estimate of a test error to be measured from its draws.

        Args:
            errors: draws of one design, shape (SAMPLES,).
            luck: spread between seeds; see `luck`.
            images: that the error will be counted on; None for endlessly many.
            key: tells designs apart, so that each has noise of its own.
        """
        generator = np.random.default_rng((self.seed, key))
        # Several trainings a draw: few draws leave the ends of an interval to chance.
        noise = generator.normal(0, np.hypot(RESIDUAL_SPREAD, luck), REPEATS * len(errors))
        trained = np.minimum(np.tile(errors, REPEATS) * np.exp(noise), 1.0)
        if images is not None:
            trained = generator.binomial(images, trained) / images
        return Estimate.of_samples(trained)

    def probability_below(
        self, errors: Floats, reference: Floats, lucks: tuple[float, float] = (0.0, 0.0)
    ) -> float:
        """Return the probability that one training of a design has less error than one of another.

        Args:
            errors: draws of the one, shape (SAMPLES,).
            reference: draws of the other.
            lucks: of either, their spreads between seeds.
        """
        spread = np.sqrt(2 * RATIO_SPREAD**2 + lucks[0] ** 2 + lucks[1] ** 2)
        return float(np.mean(ndtr(np.log(reference / errors) / spread)))


@dataclass(frozen=True)
class _Facts:
    """Observations as columns, and the cases that they name, each once.

    Attributes:
        cases: distinct ones.
        own, against: positions of each observation's cases; equal where nothing is compared.
        compared: whether an observation is a ratio.
        values, spreads: of the observations.
    """

    cases: Cases
    own: Positions
    against: Positions
    compared: NDArray[np.bool_]
    values: Floats
    spreads: Floats

    @classmethod
    def of(cls, observations: Sequence[Observation], index: dict[str, int]) -> _Facts:
        places = {case: i for i, case in enumerate(dict.fromkeys(_named_in(observations)))}
        return cls(
            cases=Cases.of(list(places), index),
            own=np.array([places[o.case] for o in observations]),
            against=np.array([places[o.against or o.case] for o in observations]),
            compared=np.array([o.against is not None for o in observations]),
            values=np.array([o.value for o in observations]),
            spreads=np.array([o.spread for o in observations]),
        )

    def left(self, theta: Floats) -> Floats:
        """Observations less formula for θ of shape (n, parameters), shape (n, observations)."""
        logs = np.log(self.cases.errors(theta))
        found: Floats = self.values - (
            logs[:, self.own] - np.where(self.compared, logs[:, self.against], 0.0)
        )
        return found

    def rows(self, amplitudes: Mapping[str, float]) -> Floats:
        """Features of the misfit as the observations know them, shape (observations, FEATURES)."""
        features = self.cases.features(amplitudes)
        found: Floats = features[self.own] - np.where(self.compared[:, None], features[self.against], 0.0)
        return found

    def fitted(
        self,
        mean: Floats,
        spread: Floats,
        white: misfit.Whitener,
        start: Floats,
        noise: Floats | float = 0.0,
    ) -> OptimizeResult:
        """Return the mode of θ, what the formula misses being integrated out.

        Args:
            mean: of the prior.
            spread: of the prior.
            white: of the observations.
            start: of the search.
            noise: by which whitened observations are moved.
        """

        def residuals(theta: Floats) -> Floats:
            return np.concatenate([white(self.left(theta[None])[0]) + noise, (theta - mean) / spread])

        def slopes(theta: Floats) -> Floats:
            # All at once: as many calls would take most of the time.
            left = self.left(np.vstack([theta, theta + DIFFERENCE * np.eye(len(theta))]))
            return np.concatenate([white((left[1:] - left[0]) / DIFFERENCE).T, np.diag(1 / spread)])

        return least_squares(
            residuals, start, slopes, method="lm", x_scale=spread, ftol=TOLERANCE, max_nfev=MODE_STEPS
        )

    def energy(self, theta: Floats, mean: Floats, spread: Floats, white: misfit.Whitener) -> Floats:
        """Return −2·log density of θ up to a constant, (n, parameters) → (n,)."""
        own = (white(self.left(theta)) ** 2).sum(axis=1)
        found: Floats = own + (((theta - mean) / spread) ** 2).sum(axis=1)
        return found

    def amplitudes(self, theta: Floats) -> dict[str, float]:
        """Return the likeliest amplitude of every data set that papers do not describe."""
        datasets = np.array(self.cases.datasets)[self.own]
        names = sorted(set(datasets.tolist()) - set(DESCRIBED))
        left, rows = self.left(theta[None])[0], self.rows(dict.fromkeys(self.cases.datasets, 1.0))
        return {
            name: misfit.likeliest_amplitude(rows[here], left[here], self.spreads[here])
            for name in names
            if (here := datasets == name).any()
        }


def _named_in(observations: Sequence[Observation]) -> Iterator[Case]:
    for o in observations:
        yield o.case
        if o.against is not None:
            yield o.against


def _drawn(
    facts: _Facts,
    mean: Floats,
    spread: Floats,
    amplitudes: Mapping[str, float],
    generator: np.random.Generator,
) -> Floats:
    """Draws from the posterior of θ, shape (SAMPLES, parameters).

    Where runs fix a sum such as floor + scale·N^(−α) and not its parts, the posterior is bent, and a Gaussian
    around its mode misses most of it. So `STARTS` modes are sought, each of a prior and observations that are
    moved by their own noise, which are draws of the posterior where the formula is linear (randomise, then
    optimise; Bardsley et al. 2014). Around each of them draws walk `STEPS` Metropolis steps that would leave
    its Gaussian as it is (preconditioned Crank-Nicolson, Cotter et al. 2013).
    """
    roots, modes = [], []
    white = misfit.Whitener.of(facts.rows(amplitudes), facts.spreads)
    for _ in range(STARTS):
        start = mean + spread * generator.standard_normal(len(mean))
        noise = generator.standard_normal(len(facts.values))
        fit = facts.fitted(start, spread, white, start, noise)
        modes.append(fit.x)
        roots.append(np.linalg.cholesky(np.linalg.inv(fit.jac.T @ fit.jac)))
    each = SAMPLES // STARTS
    # In units of the Gaussians: θ = mode + root·z, shape (STARTS, each, parameters).
    z = JITTER * generator.standard_normal((STARTS, each, len(mean)))

    def placed(z: Floats) -> Floats:
        found: Floats = np.stack(modes)[:, None] + z @ np.stack(roots).transpose(0, 2, 1)
        return found.reshape(SAMPLES, -1)

    def excess(z: Floats) -> Floats:
        """−log(target / Gaussian) up to a constant."""
        found: Floats = (
            facts.energy(placed(z), mean, spread, white).reshape(STARTS, each) - (z**2).sum(axis=2)
        ) / 2
        return found

    here = excess(z)
    for _ in range(STEPS):
        proposed = np.sqrt(1 - STRIDE**2) * z + STRIDE * generator.standard_normal(z.shape)
        there = excess(proposed)
        accepted = np.log(generator.random(here.shape)) < here - there
        z[accepted], here[accepted] = proposed[accepted], there[accepted]
    return placed(z)
