"""The accuracy predictor: test error of any design after any number of epochs, with an interval.

The constants of a formula (`advisor.accuracy.formula`) are parameters θ with a normal prior
(`advisor.accuracy.prior`). Published errors and trainings are observations with noise
(`advisor.accuracy.observations`). Draws of θ and of the model discrepancy from their posterior
(`advisor.accuracy.posterior`) give draws of the expected error of any design.

A data set without published errors keeps a wide prior on its floor and scale, up to chance. Differences
between designs on it still follow from what all data sets have in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from statistics import fmean

import numpy as np
from scipy.special import ndtr

from advisor.accuracy.at_hand import AtHand, errors_at_hand
from advisor.accuracy.cases import case_of, cases_of, progress, relative_rates, single_member_case
from advisor.accuracy.data_level import DataLevel
from advisor.accuracy.evidence import TrainedEvidence
from advisor.accuracy.formula import Case, Cases
from advisor.accuracy.noise import (
    CURVE_STD,
    DISCREPANCY_STD,
    RATIO_STD,
    ensemble_seed_std,
    fitted_seed_std,
    split_stds,
    training_std,
)
from advisor.accuracy.observations import (
    AVERAGED_EPOCHS,
    Observation,
    level_observation,
    merged,
    observations_of,
    published_observations,
)
from advisor.accuracy.pooled import Pooled
from advisor.accuracy.posterior import Posterior, posterior
from advisor.accuracy.prior import ANCHORS, prior_of
from advisor.conformal import Correction, Corrections, ErrorBasis, Quantity
from advisor.designs.design import Design
from advisor.estimate import Estimate, Floats
from advisor.networks.layers import Task
from advisor.plans.method_traits import Method
from advisor.plans.recipes.table import RECIPES

# Standard deviation of the log error from one epoch to the next at the first learning rate.
EPOCH_STD = CURVE_STD * float(np.sqrt(AVERAGED_EPOCHS))
# Simulated trainings for every draw of an expected error.
REPEATS = 10
# Fits that are remembered; each has half a megabyte of draws.
FITS = 8
# The task of a case whose size does not matter.
_ANY_TASK = Task(channels=3, height=32, width=32, classes=10)


@lru_cache(maxsize=FITS)
def _fitted(
    names: tuple[str, ...],
    observations: tuple[Observation, ...],
    seed: int,
    pooled: Pooled | None,
    images: tuple[tuple[str, int], ...],
    split_stds: tuple[tuple[str, float], ...],
    tasks: tuple[tuple[str, Task], ...],
) -> tuple[dict[str, int], Posterior]:
    """Return the positions of θ's parameters, and draws from their posterior.

    One command asks for the same fit several times: before its probes and after, where there were none.
    """
    prior = prior_of(names, pooled, dict(images), dict(split_stds), dict(tasks))
    return prior.index, posterior(prior, observations, names, seed)


@dataclass
class AccuracyPredictor:
    """Predicts test errors from published studies and from trainings.

    Args:
        datasets: names of the data sets that errors will be predicted on.
        evidence: trainings to learn from, finished or not.
        seed: random seed of the posterior draws.
        levels: what simple classifiers foretell of data sets.
        pooled: what trainings on other data sets say; None for the published studies alone.
        images: training images of data sets, by name, as far as they are known.
        corrections: corrections of intervals; by default none.
        tasks: input shapes and classes of data sets, by name, as far as they are known.

    Attributes:
        seed_stds: standard deviation of the log error of one network between seeds, for every data set.
    """

    datasets: Sequence[str]
    evidence: Sequence[TrainedEvidence] = ()
    seed: int = 0
    levels: Sequence[DataLevel] = ()
    pooled: Pooled | None = None
    images: Mapping[str, int] = field(default_factory=dict)
    corrections: Corrections = field(default_factory=Corrections)
    tasks: Mapping[str, Task] = field(default_factory=dict)
    seed_stds: dict[str, float] = field(init=False, repr=False)
    _index: dict[str, int] = field(init=False, repr=False)
    _posterior: Posterior = field(init=False, repr=False)

    def __post_init__(self) -> None:
        trained_on = {e.dataset for e in self.evidence}
        names = sorted({*self.datasets, *ANCHORS, *trained_on, *(x.dataset for x in self.levels)})
        self.seed_stds = {name: fitted_seed_std(name, self.evidence) for name in names}
        trained = (o for e in self._relevant() for o in observations_of(e, self.seed_stds[e.dataset]))
        foretold = map(level_observation, self.levels)
        observations = merged([*published_observations(names), *foretold, *trained])
        self._index, self._posterior = _fitted(
            tuple(names),
            tuple(observations),
            self.seed,
            self.pooled,
            tuple((name, self.images[name]) for name in names if name in self.images),
            tuple(sorted(split_stds(self.evidence).items())),
            # What simple classifiers foretell is fitted without a prior of the level by the size of the data.
            tuple((n, self.tasks[n]) for n in names if n in self.tasks and not self.has_level(n)),
        )

    def has_level(self, dataset: str) -> bool:
        """Return whether simple classifiers foretell errors on a data set."""
        return any(level.dataset == dataset for level in self.levels)

    @property
    def correction(self) -> Correction:
        """Correction of the intervals of single trainings, by the evidence on the data sets themselves."""
        if any(e.dataset in self.datasets for e in self.evidence):
            basis = ErrorBasis.RUNS
        else:
            basis = ErrorBasis.DATA if any(map(self.has_level, self.datasets)) else ErrorBasis.PRIOR
        return self.corrections.of(Quantity.ERROR, basis)

    def _relevant(self) -> Iterator[TrainedEvidence]:
        """Yield the evidence that bears on the data sets of the predictions.

        Trainings on other data are reduced to their final errors. Their learning curves take most of the time
        to fit and say little about these data sets; they are used only where these have no curves of their
        own.
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
        epochs: float | Sequence[float],
        methods: Sequence[Method] | None = None,
        image_share: float = 1.0,
        weight_decays: Sequence[float] | None = None,
        validated: bool = False,
    ) -> Floats:
        """Return draws of the expected test error, without the noise of one training.

        The error of a design of several families is the geometric mean of the errors that the same number of
        members of each family would have, weighted by the share of the family.

        Args:
            designs: designs whose errors are predicted.
            dataset: name that errors on the data are learned under.
            task: input shape and classes.
            epochs: epochs of a network that is trained from scratch, of all designs or of each; a training to
                convergence counts as a whole schedule of its expected epochs.
            methods: training method of each design; by default full data for independent members, else
                MotherNets.
            image_share: share of the training images; above 1 is an extrapolation.
            weight_decays: weight decay of each design over that of its family's recipe; by default 1.
            validated: whether the errors are those on the validation images.

        Returns:
            Errors as shares, shape (SAMPLES, designs).
        """
        cases = cases_of(
            designs, dataset, task, epochs, methods, image_share, weight_decays, validated=validated
        )
        return self._drawn_of_designs(cases, designs)

    def sample_errors_and_members(
        self,
        designs: Sequence[Design],
        dataset: str,
        task: Task,
        epochs: float | Sequence[float],
        methods: Sequence[Method] | None = None,
        image_share: float = 1.0,
        weight_decays: Sequence[float] | None = None,
    ) -> tuple[Floats, Floats]:
        """Return draws of expected test errors, and of the mean errors of the designs' members.

        Arguments are those of `sample_errors`.

        Returns:
            Errors as shares, two arrays of shape (SAMPLES, designs); draw i is one draw in both.
        """
        cases = cases_of(designs, dataset, task, epochs, methods, image_share, weight_decays)
        members = [single_member_case(case) for case in cases]
        return self._drawn_of_designs(cases, designs), self._drawn_of_designs(members, designs)

    def sample_at_hand(
        self,
        known: AtHand,
        design: Design,
        dataset: str,
        task: Task,
        epochs: float,
        method: Method | None = None,
        weight_decay: float = 1.0,
    ) -> tuple[Floats, float]:
        """Return what is expected of the test error of one training whose networks exist.

        Args:
            known: the training, which is in the evidence, too.
            design: its design, of one family.
            dataset: name that errors on the data are learned under.
            task: input shape and classes.
            epochs: epochs of a network that is trained from scratch.
            method: its training method; by default full data for independent members, else MotherNets.
            weight_decay: weight decay over that of the family's recipe.

        Returns:
            Draws of the error as shares, shape (SAMPLES,), and the standard deviation of its logarithm around
            them, which takes the place of that between seeds (`predict` with `at_hand`).
        """
        methods, decays = None if method is None else [method], [weight_decay]
        expected, on_validation = (
            self.sample_errors([design], dataset, task, epochs, methods, weight_decays=decays, validated=on)
            for on in (False, True)
        )
        case = case_of(design, dataset, task, epochs, method, weight_decay=weight_decay)
        std = training_std(self.seed_stds[dataset], case)
        return errors_at_hand(expected[:, 0], on_validation[:, 0], std, known)

    def _drawn_of_designs(self, cases: Sequence[Case], designs: Sequence[Design]) -> Floats:
        """Return draws of designs from those of their families' cases."""
        drawn = self._drawn(cases)
        if len(cases) == len(designs):
            return drawn
        errors: Floats = np.exp(np.log(drawn) @ _family_shares(designs))
        return errors

    def sample_curve(self, design: Design, dataset: str, task: Task, epochs: int) -> Floats:
        """Return draws of the expected error after every epoch of one schedule.

        Args:
            design: design whose members are trained from scratch.
            dataset: name that errors on the data are learned under.
            task: input shape and classes.
            epochs: length of the schedule.

        Returns:
            Errors as shares, shape (SAMPLES, epochs).
        """
        end = case_of(design, dataset, task, epochs, Method.FULL_DATA)
        rates = relative_rates(end.family, epochs, dataset)
        return self._drawn(
            [
                replace(
                    end,
                    schedule_share=end.schedule_share * passed,
                    relative_rate=rate,
                    final_relative_rate=rates[-1],
                )
                for passed, rate in zip(progress(end.family, epochs, dataset), rates, strict=True)
            ]
        )

    def epochs_until(
        self, target: Floats, design: Design, dataset: str, task: Task, epochs: int, trainings: int = 1
    ) -> Floats:
        """Return draws of the first epoch of a schedule whose error is at most a target.

        At a high learning rate errors jump from epoch to epoch, so a curve reaches a target sooner than its
        expectation does.

        Args:
            target: draws of the target error as shares, shape (SAMPLES,).
            design: design whose members are trained from scratch.
            dataset: name that errors on the data are learned under.
            task: input shape and classes.
            epochs: length of the schedule.
            trainings: number of trainings whose mean curve is compared with the target.

        Returns:
            Epochs, infinite where the target is not reached; shape (SAMPLES,).
        """
        curve = self.sample_curve(design, dataset, task, epochs)
        rates = relative_rates(design.members[0].family, epochs, dataset)
        jumps = EPOCH_STD * np.sqrt(np.array(rates) / trainings)
        generator = np.random.default_rng((self.seed, epochs))
        reached = curve * np.exp(jumps * generator.standard_normal(curve.shape)) <= target[:, None]
        return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf)

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
        image_share: float | Floats = 1.0,
        every: int = 1,
    ) -> Floats:
        """Return draws of the expected test error of independent members of one shape.

        Their sizes are given as numbers, so no specification has to be built.

        Args:
            family: family of all designs.
            dataset: name that errors on the data are learned under.
            classes: number of classes.
            parameters: parameters of a member, shape (designs,).
            depth: depth of a member, shape (designs,).
            members: number of members, shape (designs,).
            epochs: length of a whole schedule of the same progress, a number or shape (designs,).
            relative_rate: learning rate of the epoch over that of the first epoch, a number or shape
                (designs,).
            final_relative_rate: learning rate of the schedule's last epoch over that of the first epoch;
                equal to `relative_rate` at the end of a schedule.
            image_share: share of the training images, a number or shape (designs,); above 1 is an
                extrapolation.
            every: number of draws of the posterior of which one is used; more than 1 for a first look at
                thousands of designs.

        Returns:
            Errors as shares, shape (SAMPLES / every, designs).
        """
        share = np.asarray(epochs) / RECIPES[family].reference_epochs
        columns = np.broadcast_arrays(parameters / 1e6, depth, share, members, relative_rate, image_share)

        def case(n: float, d: float, t: float, m: float, rate: float, images: float) -> Case:
            return Case(
                dataset,
                classes,
                family,
                n,
                d,
                t,
                int(m),
                relative_rate=rate,
                final_relative_rate=final_relative_rate,
                image_share=images,
            )

        return self._drawn([case(*row) for row in zip(*(c.tolist() for c in columns), strict=True)], every)

    def _drawn(self, cases: Sequence[Case], every: int = 1) -> Floats:
        columns, draws = Cases.of(cases, self._index), self._posterior
        weights = draws.discrepancy_weights[::every]
        discrepancies = weights @ columns.features(draws.amplitudes).T
        return columns.errors(draws.samples[::every], discrepancies)

    def seed_std(self, design: Design, dataset: str, method: Method | None = None) -> float:
        """Return the standard deviation of a design's log error between seeds, counting left out.

        Args:
            design: the design.
            dataset: name that errors on the data are learned under.
            method: training method; by default full data for independent members, else MotherNets.
        """
        # It depends neither on the size of the members nor on the length of the training.
        return ensemble_seed_std(self.seed_stds[dataset], case_of(design, dataset, _ANY_TASK, 1, method))

    def predict(
        self,
        errors: Floats,
        seed_std: float = 0.0,
        images: int | None = None,
        key: int = 0,
        *,
        at_hand: bool = False,
    ) -> Estimate:
        """Return the estimate of the test error that one training will measure, its interval corrected.

        The correction is that of trainings which are still to come: what exists has none.

        Args:
            errors: draws of the expected error of a design, shape (SAMPLES,).
            seed_std: standard deviation of its log error between seeds; see `seed_std`.
            images: number of images that the error will be counted on; None for infinitely many.
            key: number that gives each design noise of its own.
            at_hand: whether its networks exist; errors and deviation are those of `sample_at_hand` then.
        """
        generator = np.random.default_rng((self.seed, key))
        std = seed_std if at_hand else np.hypot(DISCREPANCY_STD, seed_std)
        # Several trainings for each draw: with few samples the ends of an interval would be left to chance.
        noise = generator.normal(0, std, REPEATS * len(errors))
        trained = np.minimum(np.tile(errors, REPEATS) * np.exp(noise), 1.0)
        if images is not None:
            trained = generator.binomial(images, trained) / images
        found = Estimate.of_samples(trained)
        return found if at_hand else self.correction.applied(found, most=1.0)

    def probability_below(
        self, errors: Floats, reference: Floats, seed_stds: tuple[float, float] = (0.0, 0.0)
    ) -> float:
        """Return the probability that one training of a design has less error than one of a reference.

        Args:
            errors: draws of the expected error of the design, shape (SAMPLES,).
            reference: draws of the expected error of the reference, shape (SAMPLES,).
            seed_stds: standard deviations of the log errors of design and reference between seeds.
        """
        std = np.sqrt(2 * RATIO_STD**2 + seed_stds[0] ** 2 + seed_stds[1] ** 2)
        return float(np.mean(ndtr(np.log(reference / errors) / std)))


def _family_shares(designs: Sequence[Design]) -> Floats:
    """Return the share of each family among the members of its design.

    Returns:
        Shape (pairs of a design and one of its families, designs); 0 for the families of other designs.
    """
    shares = np.zeros((sum(len(design.families) for design in designs), len(designs)))
    rows = iter(shares)
    for column, design in enumerate(designs):
        for family in design.families:
            next(rows)[column] = fmean(member.family == family for member in design.members)
    return shares
