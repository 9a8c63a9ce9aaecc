"""The number of epochs until training accuracy no longer improves: a forecast that learns from trainings.

Notation:

    P     patience, epochs without a gain that end a training
    E     most epochs of a schedule
    n     epochs of a training that ends by its patience; the last gain came in epoch n − P
    y     log(n) at a constant learning rate, log((n − P) / E + c) where the rate falls as in a schedule of E
    c     a share of the schedule, `SOFT_SHARE`, so that gains which end at once are not far from early ones
    x     1, and indicators of the kind of step, the family, the data set, the family on a data set, and a
          hatched member on a data set
    β     their effects, each with a normal prior
    s     standard deviation of y between trainings that x does not tell apart, of hatched members another one

    y = xβ + s·z,    z ~ N(0, 1),    P + 1 ≤ n, and no training has more than E epochs

A training that runs all its epochs tells only that its y is larger (it is censored). β, s and the censored y
are drawn in turn from their conditional distributions, which are normal, inverse gamma and truncated normal
(Gibbs sampling; Chib 1992). The draws come from a seed, so that one set of evidence gives one forecast.

Recorded training errors tell when *any* patience would have ended a training. So a training of fixed length
is evidence as well, for schedules whose rate falls alike.

Prior: MotherNets (MLSys 2020), section 3. A mother takes 128 epochs of CIFAR and a hatched member 40. Bagging
takes 73 % of the time of full data, and a distilled network 60 to 70 %. Other data may take half or twice as
many. Where the rate falls, the schedule decides more than the kind of step: most trainings gain until after
the last drop.

A hatched member whose mother knows all training images by heart gains nothing and ends by the patience alone;
another one takes as long as a mother. So hatched members lie further apart, and data decide more on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log, sqrt

import numpy as np
from scipy.special import ndtr, ndtri

from advisor.estimate import Estimate, Floats
from advisor.networks.families import FAMILIES
from advisor.plans.convergence.kinds import Kind, follows_a_schedule
from advisor.plans.schedule import PATIENCE, PlateauSchedule

PUBLISHED_EPOCHS = {
    Kind.MEMBER: 128.0,
    Kind.MOTHER: 128.0,
    Kind.HATCHED: 40.0,
    Kind.BAGGED: 0.73 * 128,
    Kind.DISTILLED: 0.65 * 128,
}
# Standard deviations of the prior in the logarithm: of a kind of step, a family, a data set, and of all.
KIND_STD = {
    Kind.MEMBER: 0.0,
    Kind.MOTHER: 0.15,
    Kind.HATCHED: 0.35,
    Kind.BAGGED: 0.2,
    Kind.DISTILLED: 0.2,
}
FAMILY_STD, DATA_STD, LEVEL_STD = 0.3, 0.6, 0.3
# A longer patience lets a training find later gains: the exponent, and its standard deviation.
PATIENCE_EXPONENT, PATIENCE_STD = 0.5, 0.3
# Where the rate falls, the last gain comes at about this share of the schedule.
FALLING_SHARE, FALLING_LEVEL_STD, FALLING_DATA_STD = 0.85, 0.3, 0.3
SOFT_SHARE = 0.1
# Of a family on a data set, and of hatched members on a data set (chosen on VGGs and ResNets of
# `benchmarks/trainings/methods.py`).
FAMILY_DATA_STD, HATCHED_DATA_STD = 0.2, 0.5
# Between trainings that are alike: the inverse gamma distribution of s², whose mean is 0.3². Seeds of small
# networks on the digits lie that far apart.
ALIKE_SHAPE, ALIKE_SCALE = 3.0, 2 * 0.3**2
HATCHED_SCALE = 2 * 0.45**2
BURN_IN, DRAWS = 200, 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedStep:
    """A finished training step.

    Attributes:
        dataset: name that errors on its data are learned under.
        family: family of its network.
        kind: kind of the step.
        epochs: most epochs of its schedule.
        falling: whether its learning rate falls as in a schedule of that length; false for a constant rate.
        train_errors: training error after every epoch, shares.
    """

    dataset: str
    family: str
    kind: Kind
    epochs: int
    falling: bool
    train_errors: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class EpochPredictor:
    """Forecasts of the epochs to convergence.

    Attributes:
        evidence: finished training steps.
        seed: random seed of the draws.
    """

    evidence: tuple[TrainedStep, ...] = ()
    seed: int = 0

    def predict(self, dataset: str, family: str, kind: Kind, schedule: PlateauSchedule) -> Estimate:
        """Return the epochs of a training, with their 90 % interval, to a tenth of an epoch.

        Args:
            dataset: name that errors on the data are learned under.
            family: family of the network.
            kind: kind of the training step.
            schedule: its schedule, whose expectation is not read.
        """
        falling, most, patience = follows_a_schedule(schedule), float(schedule.epochs), schedule.patience
        drawn_y = _values(self, dataset, family, kind, patience, falling)
        epochs = np.exp(np.minimum(drawn_y, log(1e9)))
        if falling:
            epochs = patience + most * (epochs - SOFT_SHARE)
        drawn = Estimate.of_samples(np.minimum(np.maximum(epochs, patience + 1), most))
        return Estimate(*(min(round(end, 1), most) for end in (drawn.mean, drawn.low, drawn.high)))


@lru_cache(maxsize=4096)
def _values(
    predictor: EpochPredictor, dataset: str, family: str, kind: Kind, patience: int, falling: bool
) -> Floats:
    """Return draws of y of a training that has not begun, shape (DRAWS,)."""
    effects, drawn, stds = _posterior(predictor, patience, falling)
    generator = np.random.default_rng((predictor.seed, 1))
    noise, elsewhere = generator.standard_normal((2, DRAWS))
    values = drawn @ effects.row(dataset, family, kind) + stds[:, int(kind is Kind.HATCHED)] * noise
    values = values + effects.unseen_std(dataset, family, kind) * elsewhere
    return np.asarray(values, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Effects:
    """The effects β and their prior, for one patience and one shape of the learning rate.

    Attributes:
        datasets: data sets of the evidence.
        pairs: families and the data sets that they were trained on.
        hatched: data sets on which members were hatched.
        patience: epochs without a gain that end a training.
        falling: whether the learning rate falls.
    """

    datasets: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    hatched: tuple[str, ...]
    patience: int
    falling: bool

    @property
    def data_std(self) -> float:
        """Standard deviation of the effect of a data set."""
        return FALLING_DATA_STD if self.falling else DATA_STD

    def row(self, dataset: str, family: str, kind: Kind) -> Floats:
        """Return x of a training, shape (effects,)."""
        own_hatched = dataset if kind is Kind.HATCHED else None
        parts: tuple[tuple[object, Iterable[object]], ...] = (
            (kind, Kind), (family, FAMILIES), (dataset, self.datasets),
            ((family, dataset), self.pairs), (own_hatched, self.hatched),
        )  # fmt: skip
        return np.array([1.0, *(float(name == own) for own, names in parts for name in names)])

    def unseen_std(self, dataset: str, family: str, kind: Kind) -> float:
        """Return the standard deviation of all effects on a training that no training tells of."""
        unseen = (
            (self.data_std, dataset not in self.datasets),
            (FAMILY_DATA_STD, (family, dataset) not in self.pairs),
            (HATCHED_DATA_STD, kind is Kind.HATCHED and dataset not in self.hatched),
        )
        return sqrt(sum(std**2 for std, missing in unseen if missing))

    @property
    def prior(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation of every effect, each of shape (effects,)."""
        longer = log(self.patience / PATIENCE)
        if self.falling:
            level, level_std = log(FALLING_SHARE + SOFT_SHARE), FALLING_LEVEL_STD
            kinds = dict.fromkeys(Kind, 0.0)
        else:
            level = log(PUBLISHED_EPOCHS[Kind.MEMBER])
            kinds = {kind: log(PUBLISHED_EPOCHS[kind]) - level for kind in Kind}
            # Published epochs are means; that of numbers further apart lies further above their median.
            kinds[Kind.HATCHED] -= (HATCHED_DATA_STD**2 + (HATCHED_SCALE - ALIKE_SCALE) / 2) / 2
            level += PATIENCE_EXPONENT * longer
            level_std = sqrt(LEVEL_STD**2 + (PATIENCE_STD * longer) ** 2)
        others = [FAMILY_STD] * len(FAMILIES) + [self.data_std] * len(self.datasets)
        others += [FAMILY_DATA_STD] * len(self.pairs) + [HATCHED_DATA_STD] * len(self.hatched)
        means = [level, *kinds.values(), *[0.0] * len(others)]
        # An effect without uncertainty still needs a positive one.
        return np.array(means), np.maximum([level_std, *(KIND_STD[kind] for kind in Kind), *others], 1e-6)


@lru_cache(maxsize=64)
def _posterior(predictor: EpochPredictor, patience: int, falling: bool) -> tuple[_Effects, Floats, Floats]:
    """Return the effects, and draws of β and of s, shapes (DRAWS, effects) and (DRAWS, 2); hatched last."""
    own = [e for e in predictor.evidence if e.falling == falling]
    seen = [(e, found) for e in own if (found := _observed(e, patience)) is not None]
    effects = _Effects(
        datasets=tuple(sorted({e.dataset for e, _ in seen})),
        pairs=tuple(sorted({(e.family, e.dataset) for e, _ in seen})),
        hatched=tuple(sorted({e.dataset for e, _ in seen if e.kind is Kind.HATCHED})),
        patience=patience,
        falling=falling,
    )
    means, stds = effects.prior
    design = np.array([effects.row(e.dataset, e.family, e.kind) for e, _ in seen]).reshape(-1, len(means))
    values, censored = np.array([v for _, (v, _) in seen]), np.array([c for _, (_, c) in seen], dtype=bool)
    groups = np.array([int(e.kind is Kind.HATCHED) for e, _ in seen], dtype=int)
    scales, counts = np.array([ALIKE_SCALE, HATCHED_SCALE]), np.bincount(groups, minlength=2)
    generator = np.random.default_rng((predictor.seed, 0))
    drawn = []
    alike, y = np.sqrt(scales / ALIKE_SHAPE), values.copy()
    for _ in range(BURN_IN + DRAWS):
        effect = _drawn_effects(generator, design, y, alike[groups], means, stds)
        fitted = design @ effect
        misses = np.bincount(groups, (y - fitted) ** 2, minlength=2)
        alike = np.sqrt((scales + misses / 2) / generator.gamma(ALIKE_SHAPE + counts / 2))
        y = np.where(censored, _drawn_above(generator, values, fitted, alike[groups]), values)
        drawn.append((effect, alike))
    kept = drawn[BURN_IN:]
    return effects, np.array([effect for effect, _ in kept]), np.array([each for _, each in kept])


def _observed(step: TrainedStep, patience: int) -> tuple[float, bool] | None:
    """Return y of a training, or a bound below it, and whether it is a bound; None if it tells nothing."""
    ended = epochs_to_convergence(step.train_errors, patience)
    epochs = len(step.train_errors) if ended is None else ended
    if epochs <= patience:
        return None
    value = (epochs - patience) / step.epochs + SOFT_SHARE if step.falling else epochs
    return log(value), ended is None


def epochs_to_convergence(train_errors: Sequence[float], patience: int) -> int | None:
    """Return after how many epochs a patience ends a training; None if it does not within these epochs.

    Args:
        train_errors: training error after every epoch, shares.
        patience: epochs without a gain that end a training.
    """
    best, gained = float("inf"), -1
    for epoch, error in enumerate(train_errors):
        if error < best:
            best, gained = error, epoch
        elif epoch - gained >= patience:
            return epoch + 1
    return None


def _drawn_effects(
    generator: np.random.Generator, design: Floats, y: Floats, alike: Floats, means: Floats, stds: Floats
) -> Floats:
    """Return a draw of β given y and s of every training."""
    weighted = design.T / alike**2
    precision = np.diag(stds**-2) + weighted @ design
    root = np.linalg.cholesky(precision)
    centre = np.linalg.solve(precision, means / stds**2 + weighted @ y)
    return np.asarray(
        centre + np.linalg.solve(root.T, generator.standard_normal(len(means))), dtype=np.float64
    )


def _drawn_above(generator: np.random.Generator, bounds: Floats, means: Floats, stds: Floats) -> Floats:
    """Return draws of normal distributions above bounds."""
    below = ndtr((bounds - means) / stds)
    shares = below + (1 - below) * generator.random(len(bounds))
    # Far above a distribution its rounded tail is empty: the bound itself is the draw.
    drawn = means + stds * ndtri(np.minimum(shares, 1 - 1e-12))
    return np.asarray(np.maximum(drawn, bounds), dtype=np.float64)
