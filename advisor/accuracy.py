"""The accuracy predictor, first version: test error of any design, with an honest interval.

Notation: N parameters of a member in millions; t epochs as a share of the family's published schedule, over
the pace τ_D of the data (1 for CIFAR, whose schedules they are); m members; chance the error of guessing.
On a data set D a network of family F has the error

    x(N, t) = u_F · (floor_D + scale_D · N^(−α)) · exp(δ·ln²(depth/d)) · (1 + c·t^(−β)) / (1 + c),
    e = chance · (1 − exp(−x / chance)),

a power law in size and in epochs towards a floor (Lobacheva et al. 2020) that bends at chance; at one size,
shapes far from the usual depths d of the published studies cost error. α, d and s below belong to family and
data set: a common value, and deviations of both. Averaging removes a share of x. Of the
part s(t) that stems from variance between trainings, the variance identity (MotherNets, section 4) leaves
V = (1/m²)·(Σ Var + Σ Cov) / Var:

    x_ensemble = x · (1 − s(t)·(1 − V)),     V = 1/m + (1/m²)·Σ_{i≠j} r_ij,
    s(t) = s·(1 + h)·t / (t + h),          r_ij = 0, or r for two members of one mother.

Where every network still guesses, averaging thus gains nothing. What the formula misses is a Gaussian process
(`advisor.misfit`), whose exponential x is multiplied by.

All constants are parameters θ with a Gaussian prior. Published errors and thresholds, and the runs in the
database, are observations with their noise; θ's posterior is drawn `SAMPLES` times, starting from the
Gaussian around its mode. A data set that nobody has described keeps a wide prior on floor and scale, up to
chance, while differences between designs still follow from α, s, h and r.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import least_squares
from scipy.special import ndtr

from advisor import misfit
from advisor.architecture import Task, lower
from advisor.clustering import clusters_of
from advisor.design import Design
from advisor.estimate import Estimate, Floats
from advisor.families import FAMILIES
from advisor.published import ERRORS, GAPS, HATCHED_PENALTY, SHARED_MOTHER_CORRELATION
from advisor.schedule import RECIPES

SAMPLES = 400
# Steps to the mode; ten are usual, and runs that contradict each other need no exact one.
MODE_STEPS = 60
# Steps of the walk from the Gaussian approximation to the posterior, and how far one goes.
STEPS = 100
STRIDE = 0.4
# How far one training lies from formula and Gaussian process, as a spread of log error: mostly its seed.
RESIDUAL_SPREAD = 0.06
# The same for the ratio of two errors on one data set.
RATIO_SPREAD = 0.03
# What the misfit adds to the spread of such a ratio while the formula is fitted: neighbours miss alike.
RATIO_MISFIT = 0.025

# name: (mean, spread) of the global parameters.
_GLOBAL: dict[str, tuple[float, float]] = {
    "log_alpha": (np.log(0.55), 0.3),
    # Ours: at equal size a quarter or four times the usual depth costs about 8 % more error.
    "delta": (0.04, 0.02),
    # Ours: a schedule of half the published length costs about a tenth more error, one of a tenth
    # about twice as much.
    "log_c": (np.log(0.08), 0.6),
    "beta": (1.0, 0.25),
    "logit_s": (-0.95, 0.5),
    "log_h": (np.log(0.3), 0.6),
    # Correlation of members that share a mother: between a third and one for members of one shape.
    "logit_r_same": (0.4, 0.8),
    "logit_r_mixed": (np.log(SHARED_MOTHER_CORRELATION / (1 - SHARED_MOTHER_CORRELATION)), 0.4),
}
# Deviations of a family from the global parameters. How much averaging removes differs as well: published
# ensembles of four have 21 % less error than one member (ResNet) and 15 % (Wide ResNet).
_FAMILY_SPREAD = {"log_u": 0.15, "log_alpha": 0.25, "logit_s": 0.4}
# Depths around the middle of "More or Less", tables B and C, and of the cited papers.
_USUAL_DEPTH = {"resnet": 44.0, "wrn": 28.0, "densenet": 76.0, "vgg": 16.0, "mlp": 3.0}
_DATASET = ("log_floor", "log_scale", "log_tau")
# Deviations of a data set from what holds on average: the power of size, what averaging removes, and the best
# depth, which is the usual one on CIFAR by definition and less for smaller or simpler images.
_DATASET_SPREAD = {"alpha_on": 0.2, "s_on": 0.3, "depth_on": 0.6}
_DESCRIBED_SPREAD = {"alpha_on": 0.1, "s_on": 0.15, "depth_on": 0.1}
# (mean, spread) of each for the data sets that published errors describe, and for any other. The schedules
# are CIFAR's, so its pace τ is 1; of other data only little is assumed: most needs fewer epochs.
_DESCRIBED = {
    "cifar10": ((np.log(0.045), 0.3), (np.log(0.02), 0.5), (0.0, 0.01)),
    "cifar100": ((np.log(0.17), 0.3), (np.log(0.10), 0.5), (0.0, 0.01)),
}
_UNKNOWN = ((np.log(0.01), 1.5), (np.log(0.006), 1.5), (np.log(0.2), 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedEvidence:
    """What a finished run teaches.

    Attributes:
        dataset: name.
        classes: of the data set.
        design: what was trained.
        epochs: schedule of a network from scratch.
        member_error: mean over members, share.
        ensemble_error: share.
        test_images: that the errors were counted on.
        task: input and classes.
    """

    dataset: str
    task: Task
    design: Design
    epochs: int
    member_error: float
    ensemble_error: float
    test_images: int


@dataclass(frozen=True, slots=True)
class _Case:
    """A design in the variables of the formula."""

    dataset: str
    classes: int
    family: str
    parameters: float
    depth: float
    share: float
    members: int
    pairs_same: float = 0.0
    pairs_mixed: float = 0.0
    penalty: float = 1.0


@dataclass(frozen=True, slots=True)
class _Observation:
    """Log error (or, with `against`, log of the ratio of two errors) with its spread."""

    case: _Case
    value: float
    spread: float
    against: _Case | None = None


@dataclass
class AccuracyPredictor:
    """Posterior over θ given published facts and runs.

    Args:
        datasets: names that predictions will be asked for.
        evidence: finished runs.
        seed: of the posterior draws.
    """

    datasets: Sequence[str]
    evidence: Sequence[TrainedEvidence] = ()
    seed: int = 0
    _index: dict[str, int] = field(init=False, repr=False)
    _samples: Floats = field(init=False, repr=False)
    _misfit: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = sorted({*self.datasets, *_DESCRIBED, *(e.dataset for e in self.evidence)})
        prior = _prior(names)
        self._index = {name: i for i, name in enumerate(prior)}
        mean = np.array([value[0] for value in prior.values()])
        spread = np.array([value[1] for value in prior.values()])
        observations = [*_published(), *(o for e in self.evidence for o in _learned(e))]
        self._samples, self._misfit = self._posterior(mean, spread, observations)

    def _posterior(
        self, mean: Floats, spread: Floats, observations: list[_Observation]
    ) -> tuple[Floats, Floats]:
        """Draws of θ, shape (SAMPLES, parameters), and of the misfit, shape (SAMPLES, misfit.FEATURES)."""
        # Repeated trainings and both sides of a comparison name the same cases: each is computed once.
        places = {case: i for i, case in enumerate(dict.fromkeys(_named_in(observations)))}
        distinct = _Cases.of(list(places), self._index)
        own = np.array([places[o.case] for o in observations])
        against = np.array([places[o.against or o.case] for o in observations])
        compared = np.array([o.against is not None for o in observations])
        values = np.array([o.value for o in observations])
        spreads = np.array([o.spread for o in observations])
        # The formula alone is asked to come as near as it can, misfit included.
        loose = np.hypot(spreads, np.where(compared, RATIO_MISFIT, misfit.SPREAD))

        def left(theta: Floats) -> Floats:
            """Observations less formula for θ of shape (n, parameters), shape (n, observations)."""
            logs = np.log(distinct.errors(theta))
            found: Floats = values - (logs[:, own] - np.where(compared, logs[:, against], 0.0))
            return found

        def residuals(theta: Floats) -> Floats:
            """For θ of shape (n, parameters): shape (n, observations + parameters)."""
            return np.concatenate([-left(theta) / loose, (theta - mean) / spread], axis=1)

        fit = least_squares(lambda theta: residuals(theta[None])[0], mean, max_nfev=MODE_STEPS)
        covariance = np.linalg.inv(fit.jac.T @ fit.jac)
        generator = np.random.default_rng(self.seed)
        samples = _walk(residuals, fit.x, np.linalg.cholesky(covariance), generator)
        features = distinct.features()
        rows = features[own] - np.where(compared[:, None], features[against], 0.0)
        return samples, misfit.draw_weights(rows, left(samples), spreads, generator)

    def sample_errors(self, designs: Sequence[Design], dataset: str, task: Task, epochs: int) -> Floats:
        """Return draws of the test error without training noise, shape (SAMPLES, designs)."""
        cases = [_case_of(design, dataset, task, epochs) for design in designs]
        return _Cases.of(cases, self._index).errors(self._samples, self._misfit)

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
    ) -> Floats:
        """Return draws for independent members without building their specification.

        Args:
            family: of all designs.
            dataset: name.
            classes: of the data set.
            parameters: of one member, shape (designs,).
            depth: of a member, shape (designs,).
            members: shape (designs,).
            epochs: of the schedule, one or shape (designs,).

        Returns:
            Shape (SAMPLES, designs).
        """
        share = np.broadcast_to(np.asarray(epochs) / RECIPES[family].reference_epochs, parameters.shape)
        cases = [
            _Case(dataset, classes, family, float(n) / 1e6, float(d), float(t), int(m))
            for n, d, t, m in zip(parameters, depth, share, members, strict=True)
        ]
        return _Cases.of(cases, self._index).errors(self._samples, self._misfit)

    def predict(self, errors: Floats, key: int = 0) -> Estimate:
        """Return the estimate of a test error from its draws, training noise included.

        Args:
            errors: draws of one design, shape (SAMPLES,).
            key: tells designs apart, so that each has noise of its own.
        """
        noise = np.random.default_rng((self.seed, key)).normal(0, RESIDUAL_SPREAD, len(errors))
        return Estimate.of_samples(np.minimum(errors * np.exp(noise), 1.0))

    def probability_below(self, errors: Floats, reference: Floats) -> float:
        """Return the probability that one training of a design has less error than one of another."""
        return float(np.mean(ndtr(np.log(reference / errors) / (np.sqrt(2) * RATIO_SPREAD))))


def _named_in(observations: Sequence[_Observation]) -> Iterator[_Case]:
    for o in observations:
        yield o.case
        if o.against is not None:
            yield o.against


def _walk(
    residuals: Callable[[Floats], Floats], mode: Floats, root: Floats, generator: np.random.Generator
) -> Floats:
    """Draws from the density exp(−½·|residuals|²), shape (SAMPLES, parameters).

    Every draw starts in the Gaussian around the mode, whose covariance is root·rootᵀ, and walks `STEPS`
    Metropolis steps that would leave this Gaussian as it is (preconditioned Crank-Nicolson, Cotter et al.
    2013), so that only what the Gaussian misses decides on acceptance. Where runs fix a sum such as
    floor + scale·N^(−α) and not its parts, the Gaussian alone misses much.
    """
    # In units of the Gaussian: θ = mode + root·z.
    z = generator.standard_normal((SAMPLES, len(mode)))

    def excess(z: Floats) -> Floats:
        """−log(target / Gaussian) up to a constant."""
        found: Floats = (residuals(mode + z @ root.T) ** 2).sum(axis=1) - (z**2).sum(axis=1)
        return found / 2

    here = excess(z)
    for _ in range(STEPS):
        proposed = np.sqrt(1 - STRIDE**2) * z + STRIDE * generator.standard_normal(z.shape)
        there = excess(proposed)
        accepted = np.log(generator.random(SAMPLES)) < here - there
        z[accepted], here[accepted] = proposed[accepted], there[accepted]
    return mode + z @ root.T


def _prior(datasets: Sequence[str]) -> dict[str, tuple[float, float]]:
    prior = dict(_GLOBAL)
    for family in FAMILIES:
        for name, spread in _FAMILY_SPREAD.items():
            prior[f"{name}/{family}"] = (0.0, spread)
    for dataset in datasets:
        for name, value in zip(_DATASET, _DESCRIBED.get(dataset, _UNKNOWN), strict=True):
            prior[f"{name}/{dataset}"] = value
        spreads = _DESCRIBED_SPREAD if dataset in _DESCRIBED else _DATASET_SPREAD
        for name, spread in spreads.items():
            prior[f"{name}/{dataset}"] = (0.0, spread)
    return prior


@dataclass(frozen=True, slots=True)
class _Cases:
    """Many cases as columns, with the positions of their parameters in θ."""

    columns: dict[str, Floats]
    labels: Floats
    positions: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]
    index: dict[str, int]

    @classmethod
    def of(cls, cases: Sequence[_Case], index: dict[str, int]) -> _Cases:
        numbers = (
            "classes",
            "parameters",
            "depth",
            "share",
            "members",
            "pairs_same",
            "pairs_mixed",
            "penalty",
        )
        columns = {name: np.array([getattr(case, name) for case in cases], dtype=float) for name in numbers}
        columns["depth"] /= np.array([_USUAL_DEPTH[case.family] for case in cases])
        keys = {
            "u": [f"log_u/{case.family}" for case in cases],
            "alpha": [f"log_alpha/{case.family}" for case in cases],
            "s": [f"logit_s/{case.family}" for case in cases],
            "floor": [f"log_floor/{case.dataset}" for case in cases],
            "scale": [f"log_scale/{case.dataset}" for case in cases],
            "tau": [f"log_tau/{case.dataset}" for case in cases],
        } | {name: [f"{name}/{case.dataset}" for case in cases] for name in _DATASET_SPREAD}
        positions = {name: np.array([index[key] for key in names], int) for name, names in keys.items()}
        return cls(columns, _labels(cases, index), positions, index)

    def features(self) -> Floats:
        """Features of the misfit, shape (cases, misfit.FEATURES)."""
        c = self.columns
        logs = [np.log(c[name]) / length for name, length in misfit.LENGTHS.items()]
        hatched = (c["pairs_same"] + c["pairs_mixed"] > 0).astype(float)
        x = np.concatenate([np.stack([*logs, hatched], axis=1), self.labels], axis=1)
        return misfit.Features.of(x.shape[1])(x)

    def errors(self, theta: Floats, weights: Floats | None = None) -> Floats:
        """Errors for draws θ of shape (n, parameters): shape (n, cases).

        Args:
            theta: of the formula.
            weights: of the misfit, shape (n, misfit.FEATURES); without, the formula alone.
        """
        c = self.columns

        def shared(name: str) -> Floats:
            return theta[:, self.index[name], None]

        def own(name: str) -> Floats:
            return theta[:, self.positions[name]]

        alpha = np.exp(shared("log_alpha") + own("alpha") + own("alpha_on"))
        # Far beyond chance everything is chance.
        size = np.exp(np.minimum(own("scale") - alpha * np.log(c["parameters"]), 50.0))
        shape = np.exp(np.abs(shared("delta")) * (np.log(c["depth"]) - own("depth_on")) ** 2)
        slowness = np.exp(shared("log_c"))
        share = c["share"] / np.exp(own("tau"))
        short = (1 + slowness * share ** -np.abs(shared("beta"))) / (1 + slowness)
        x = np.exp(own("u")) * (np.exp(own("floor")) + size) * shape * short * c["penalty"]
        half = np.exp(shared("log_h"))
        removable = _expit(shared("logit_s") + own("s") + own("s_on")) * (1 + half) * share / (share + half)
        correlated = (
            _expit(shared("logit_r_same")) * c["pairs_same"]
            + _expit(shared("logit_r_mixed")) * c["pairs_mixed"]
        )
        if weights is not None:
            x = x * np.exp(weights @ self.features().T)
        variance = 1 / c["members"] + correlated
        left = x * (1 - np.minimum(removable, 0.95) * (1 - variance))
        chance = 1 - 1 / c["classes"]
        result: Floats = chance * -np.expm1(-left / chance)
        return np.maximum(result, 1e-6)


def _labels(cases: Sequence[_Case], index: dict[str, int]) -> Floats:
    """Family and data set of each case as columns, 1/√2 where it is the case's: two differ by one length."""
    names = [key for key in index if key.startswith(("log_u/", "log_floor/"))]
    own = [{f"log_u/{case.family}", f"log_floor/{case.dataset}"} for case in cases]
    result: Floats = np.array([[name in pair for name in names] for pair in own], dtype=float) / np.sqrt(2)
    return result


def _expit(x: Floats) -> Floats:
    result: Floats = 1 / (1 + np.exp(-x))
    return result


def _published() -> list[_Observation]:
    """Published errors and thresholds as observations."""
    classes = {"cifar10": 10, "cifar100": 100}
    found = []
    for e in ERRORS:
        share = e.epochs / RECIPES[e.family].reference_epochs
        case = _Case(e.dataset, classes[e.dataset], e.family, e.parameters, e.depth, share, e.members)
        found.append(_Observation(case, float(np.log(e.error / 100)), RESIDUAL_SPREAD))
    for g in GAPS:
        single = _Case(g.dataset, classes[g.dataset], g.family, g.parameters, 32, g.share, 1)
        ensemble = _Case(
            g.dataset, classes[g.dataset], g.family, g.parameters / g.members, 32, g.share, g.members
        )
        found.append(_Observation(ensemble, g.log_ratio, g.spread, against=single))
    return found


def _learned(evidence: TrainedEvidence) -> list[_Observation]:
    """A run as observations: the members' mean error, and what averaging made of it.

    Errors are counts, so their logarithm has the spread of a count; half an error stands for none.
    """
    n, m = evidence.test_images, len(evidence.design.members)
    case = _case_of(evidence.design, evidence.dataset, evidence.task, evidence.epochs)
    member = replace(case, members=1, pairs_same=0.0, pairs_mixed=0.0)
    counted = max(evidence.member_error * n, 0.5)
    spread = float(np.hypot(RESIDUAL_SPREAD, 1 / np.sqrt(counted * m)))
    found = [_Observation(member, float(np.log(counted / n)), spread)]
    if m > 1:
        together = max(evidence.ensemble_error * n, 0.5)
        ratio_spread = float(np.hypot(RATIO_SPREAD, 1 / np.sqrt(together)))
        found.append(_Observation(case, float(np.log(together / counted)), ratio_spread, against=member))
    return found


def _case_of(design: Design, dataset: str, task: Task, epochs: int) -> _Case:
    """Return a design in the variables of the formula; members of several sizes by their mean logs."""
    m = len(design.members)
    sizes = [lower(member, task).parameters / 1e6 for member in design.members]
    family = design.members[0].family
    same = mixed = 0
    hatched = 0
    for cluster in clusters_of(design):
        hatched += len(cluster) if len(cluster) > 1 else 0
        for i in cluster:
            for j in cluster:
                if i != j and design.members[i] == design.members[j]:
                    same += 1
                elif i != j:
                    mixed += 1
    return _Case(
        dataset=dataset,
        classes=task.classes,
        family=family,
        parameters=float(np.exp(np.mean(np.log(sizes)))),
        depth=float(np.mean([member.depth for member in design.members])),
        share=epochs / RECIPES[family].reference_epochs,
        members=m,
        pairs_same=same / m**2,
        pairs_mixed=mixed / m**2,
        penalty=1 + (HATCHED_PENALTY - 1) * hatched / m,
    )
