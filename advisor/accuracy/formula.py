"""The formula of the accuracy predictor: test error of a network or an ensemble, given its parameters θ.

Notation: N parameters of a member in millions; t epochs as a share of the family's published schedule, over
the pace τ_D·(depth/d)^κ of data and depth (1 for CIFAR, whose schedules they are, at the usual depth d of the
published studies); u share of the training images; m members; chance the error of guessing. On a data set D a
network of family F has the error

    x(N, t) = u_F · (floor_D + scale_D · N^(−α)) · exp(δ·ln²(depth/d)) · (1 + c·t^(−β)) / (1 + c)
              · u^(−η) · exp(penalty of the method),
    e = chance · (1 − exp(−x / chance)),

a power law in size and in epochs towards a floor (Lobacheva et al. 2020) that bends at chance; at one size,
shapes far from the usual depth cost error. Constants belong to family and data set as well: a common value,
and deviations. Averaging removes a share of x. Of the
part s(t) that stems from variance between trainings, the variance identity (MotherNets, section 4) leaves
V = (1/m²)·(Σ Var + Σ Cov) / Var:

    x_ensemble = x · (1 − s(t)·(1 − V)) + x · n · (1 − ρ·(1 − 1/m)),     V = 1/m + (1/m²)·Σ_{i≠j} r_ij,
    s(t) = s·(1 + h)·t / (t + h),     n = ν_D · (rate^γ − final_rate^γ),
    r_ij = 0, r for two members of one mother or chain, 1 where they share most layers.

Where every network still guesses, averaging thus gains nothing. n is what a learning rate costs that has not
fallen yet: rate is the learning rate over the first one, final_rate that of the schedule's last epoch, so
that n is 0 where a schedule ends. It is noise of the last steps, of which averaging takes the share ρ. With
it the formula knows every epoch of a learning curve: t is then the share of the schedule's learning rates
that lies behind (`advisor.accuracy.evidence.progress`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advisor.accuracy import discrepancy
from advisor.accuracy.published import HATCHED_PENALTY, SHARED_MOTHER_CORRELATION, SNAPSHOT_PENALTY
from advisor.errors import require_entries
from advisor.estimate import Floats
from advisor.networks.families import FAMILIES
from advisor.plans.plan import Method

# name: (mean, spread) of the global parameters.
_GLOBAL: dict[str, tuple[float, float]] = {
    "log_alpha": (np.log(0.55), 0.3),
    # Ours: at equal size a quarter or four times the usual depth costs about 8 % more error.
    "delta": (0.04, 0.02),
    # Ours: a schedule of half the published length costs about a tenth more error, one of a tenth
    # about twice as much.
    "log_c": (np.log(0.08), 0.6),
    "beta": (1.0, 0.25),
    # Ours: of a schedule too short, a network of twice the depth needs 40 % more.
    "kappa": (0.5, 0.25),
    "logit_s": (-0.95, 0.5),
    "log_h": (np.log(0.3), 0.6),
    # Correlation of members that share a mother: between a third and one for members of one shape.
    "logit_r_same": (0.4, 0.8),
    "logit_r_mixed": (np.log(SHARED_MOTHER_CORRELATION / (1 - SHARED_MOTHER_CORRELATION)), 0.4),
    # Ours: at the full rate about twice the error of a whole schedule as short, at a tenth of it about 15 %
    # more; averaging takes most of that.
    "log_nu": (0.0, 0.5),
    "log_gamma": (np.log(0.8), 0.3),
    "logit_rho": (1.0, 0.7),
    # Power of the number of images: of vision data sets a third to a half (Hestness et al. 2017).
    "eta": (0.35, 0.1),
}
# Logarithm of the error of a member trained so over that of one trained from scratch on its own: published
# for MotherNets and snapshots, for bagging what 63 % of the images cost, else only that little is known.
# None: the method costs members nothing and has no parameter in θ.
_METHOD: dict[Method, tuple[float, float] | None] = {
    Method.FULL_DATA: None,
    Method.MOTHERNETS: (float(np.log(HATCHED_PENALTY)), 0.06),
    Method.SHARED_MOTHERNETS: (float(np.log(HATCHED_PENALTY)), 0.1),
    Method.SNAPSHOT: (float(np.log(SNAPSHOT_PENALTY)), 0.15),
    Method.FGE: (float(np.log(SNAPSHOT_PENALTY)), 0.15),
    Method.BAGGING: (0.16, 0.08),
    Method.DISTILLATION: (0.05, 0.15),
    Method.TREENETS: (0.05, 0.1),
}
require_entries("advisor/accuracy/formula.py: _METHOD", _METHOD, Method)
PENALISED = tuple(name for name, value in _METHOD.items() if value is not None)
# Figures that are worked out at once.
BLOCK = 30_000
# Share of an error that averaging removes at most, and the least error that is told.
MOST_REMOVABLE, LEAST_ERROR = 0.95, 1e-6
# Deviations of a family from the global parameters. How much averaging removes differs as well: published
# ensembles of four have 21 % less error than one member (ResNet) and 15 % (Wide ResNet).
_FAMILY_STD = {"log_u": 0.15, "log_alpha": 0.25, "logit_s": 0.4}
_DATASET = ("log_floor", "log_scale", "log_tau")
# Deviations of a data set from what holds on average: the power of size, what averaging removes, the costs of
# a short schedule and of a high rate, and the best depth, which is the usual one on CIFAR by definition and
# less for smaller or simpler images, with what it costs to miss it.
_DATASET_STD = {"alpha_on": 0.3, "s_on": 1.0, "c_on": 0.7, "nu_on": 0.5, "depth_on": 0.6, "delta_on": 0.8}
_DESCRIBED_STD = {
    "alpha_on": 0.1,
    "s_on": 0.15,
    "c_on": 0.1,
    "nu_on": 0.2,
    "depth_on": 0.1,
    "delta_on": 0.1,
}
# (mean, spread) of each for the data sets that published errors describe, and for any other. The schedules
# are CIFAR's, so its pace τ is 1; of other data only little is assumed: most needs fewer epochs.
DESCRIBED = {
    "cifar10": ((np.log(0.045), 0.3), (np.log(0.02), 0.5), (0.0, 0.01)),
    "cifar100": ((np.log(0.17), 0.3), (np.log(0.10), 0.5), (0.0, 0.01)),
}
_UNKNOWN = ((np.log(0.01), 1.5), (np.log(0.006), 1.5), (np.log(0.2), 1.0))


Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Case:
    """A training in the variables of the formula.

    Attributes:
        parameters: of a member, millions.
        share: epochs over those of the published schedule.
        pairs_same, pairs_mixed, pairs_alike: ordered pairs of members over m² that share a mother and a
            shape, a mother, or most of their layers.
        method: that costs members something; empty for training from scratch.
        penalised_share: share of the members that it touches. relative_rate, final_relative_rate: learning
        rate at this epoch and at the end of its schedule, over the first one.
        images: share of the training images.
    """

    dataset: str
    classes: int
    family: str
    parameters: float
    depth: float
    share: float
    members: int
    pairs_same: float = 0.0
    pairs_mixed: float = 0.0
    pairs_alike: float = 0.0
    method: str = ""
    penalised_share: float = 0.0
    relative_rate: float = 0.0
    final_relative_rate: float = 0.0
    images: float = 1.0


_NUMBERS = (
    "classes",
    "parameters",
    "depth",
    "share",
    "members",
    "pairs_same",
    "pairs_mixed",
    "pairs_alike",
    "penalised_share",
    "relative_rate",
    "final_relative_rate",
    "images",
)


def prior_of(datasets: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return mean and spread of every parameter in θ, in their order."""
    prior = dict(_GLOBAL)
    for method, value in _METHOD.items():
        if value is not None:
            prior[f"log_method/{method}"] = value
    for family in FAMILIES:
        for name, std in _FAMILY_STD.items():
            prior[f"{name}/{family}"] = (0.0, std)
    for dataset in datasets:
        for name, value in zip(_DATASET, DESCRIBED.get(dataset, _UNKNOWN), strict=True):
            prior[f"{name}/{dataset}"] = value
        stds = _DESCRIBED_STD if dataset in DESCRIBED else _DATASET_STD
        for name, std in stds.items():
            prior[f"{name}/{dataset}"] = (0.0, std)
    return prior


@dataclass(frozen=True, slots=True)
class Cases:
    """Many cases as columns.

    Attributes:
        datasets: of each case.
        columns: numbers of each case, by name.
        labels: of family and data set, for the misfit; shape (cases, families + data sets).
        penalised_share: share of members that each method touches, shape (cases, PENALISED).
        groups: distinct pairs of family and data set.
        group: position of each case's pair.
        index: positions of the parameters in θ.
    """

    datasets: tuple[str, ...]
    columns: dict[str, Floats]
    labels: Floats
    penalised_share: Floats
    groups: tuple[tuple[str, str], ...]
    group: Positions
    index: dict[str, int]

    @classmethod
    def of(cls, cases: Sequence[Case], index: dict[str, int]) -> Cases:
        """Return cases for a θ whose parameters have these positions."""
        columns = {name: np.array([getattr(case, name) for case in cases], dtype=float) for name in _NUMBERS}
        columns["depth"] /= np.array([FAMILIES[case.family].usual_depth for case in cases])
        penalised_share = np.array(
            [[case.penalised_share * (case.method == name) for name in PENALISED] for case in cases]
        )
        groups = {pair: i for i, pair in enumerate(dict.fromkeys((c.family, c.dataset) for c in cases))}
        return cls(
            datasets=tuple(case.dataset for case in cases),
            columns=columns,
            labels=_labels(cases, index),
            penalised_share=penalised_share.reshape(-1, len(PENALISED)),
            groups=tuple(groups),
            group=np.array([groups[c.family, c.dataset] for c in cases], dtype=np.int64),
            index=index,
        )

    def features(self, amplitudes: Mapping[str, float]) -> Floats:
        """Features of the discrepancy, scaled by the amplitudes of the data sets, shape (cases, FEATURES)."""
        c = self.columns
        logs = [np.log(c[name]) / length for name, length in discrepancy.LENGTHS.items()]
        hatched = (c["pairs_same"] + c["pairs_mixed"] + c["pairs_alike"] > 0).astype(float)
        x = np.concatenate([np.stack([*logs, hatched], axis=1), self.labels], axis=1)
        own = np.array([amplitudes[name] for name in self.datasets])
        found: Floats = discrepancy.Features.of(x.shape[1])(x) * own[:, None]
        return found

    def errors(self, theta: Floats, discrepancies: Floats | None = None) -> Floats:
        """Errors for draws θ of shape (n, parameters): shape (n, cases).

        Args:
            theta: of the formula.
            discrepancies: what it misses of the logarithm of x, shape (n, cases); without, the formula alone.
        """
        # Part by part: what stays in the cache is three times as fast.
        rows = max(BLOCK // max(len(self.datasets), 1), 1)
        parts = [slice(first, first + rows) for first in range(0, max(len(theta), 1), rows)]
        found = [
            _Draws(theta[p], self).errors(None if discrepancies is None else discrepancies[p]) for p in parts
        ]
        return np.concatenate(found)


class _Draws:
    """The terms of the formula for draws θ, each broadcastable to (draws, cases).

    Args:
        theta: of shape (draws, parameters).
        cases: that errors are asked for.
    """

    def __init__(self, theta: Floats, cases: Cases) -> None:
        self.theta, self.cases, self.columns = theta, cases, cases.columns
        self.log_depth = np.log(self.columns["depth"])
        # Logarithm of t.
        self.log_share = np.log(self.columns["share"]) - np.abs(self._shared("kappa")) * self.log_depth
        self.log_share -= self._by_case(self._of_data("log_tau"))

    def errors(self, discrepancies: Floats | None) -> Floats:
        """Return e; see `Cases.errors`."""
        x = np.exp(self._log_factor(discrepancies)) * self._by_size() * self._by_schedule()
        left = self._left_by_averaging()
        if np.any(self.columns["relative_rate"] > self.columns["final_relative_rate"]):
            left += self._noise()
        chance = 1 - 1 / self.columns["classes"]
        result: Floats = chance * -np.expm1(-x * left / chance)
        return np.maximum(result, LEAST_ERROR)

    def _shared(self, name: str) -> Floats:
        return self.theta[:, self.cases.index[name], None]

    # What a family has on a data set is worked out once, of shape (draws, groups), and only then spread out
    # to the cases.

    def _of_family(self, name: str) -> Floats:
        return self.theta[:, [self.cases.index[f"{name}/{family}"] for family, _ in self.cases.groups]]

    def _of_data(self, name: str) -> Floats:
        return self.theta[:, [self.cases.index[f"{name}/{dataset}"] for _, dataset in self.cases.groups]]

    def _by_case(self, by_group: Floats) -> Floats:
        return by_group[:, self.cases.group]

    def _by_size(self) -> Floats:
        """Floor and power law of the parameters."""
        alpha = np.exp(self._shared("log_alpha") + self._of_family("log_alpha") + self._of_data("alpha_on"))
        size = self._by_case(self._of_data("log_scale"))
        size = size - self._by_case(alpha) * np.log(self.columns["parameters"])
        # Far beyond chance everything is chance.
        found: Floats = self._by_case(np.exp(self._of_data("log_floor"))) + np.exp(np.minimum(size, 50.0))
        return found

    def _log_factor(self, discrepancies: Floats | None) -> Floats:
        """Logarithm of what depth, family, images, method and the misfit multiply x by."""
        factor = (self.log_depth - self._by_case(self._of_data("depth_on"))) ** 2
        factor *= self._by_case(np.abs(self._shared("delta")) * np.exp(self._of_data("delta_on")))
        factor += self._by_case(self._of_family("log_u"))
        factor -= np.abs(self._shared("eta")) * np.log(self.columns["images"])
        penalties = self.theta[:, [self.cases.index[f"log_method/{name}"] for name in PENALISED]]
        factor += penalties @ self.cases.penalised_share.T
        found: Floats = factor if discrepancies is None else factor + discrepancies
        return found

    def _by_schedule(self) -> Floats:
        """Return what a schedule too short multiplies x by."""
        c = np.exp(self._shared("log_c") + self._of_data("c_on"))
        short: Floats = np.exp(-np.abs(self._shared("beta")) * self.log_share)
        return short * self._by_case(c / (1 + c)) + self._by_case(1 / (1 + c))

    def _left_by_averaging(self) -> Floats:
        """Share of x that averaging leaves: 1 − s(t)·(1 − V)."""
        half = np.exp(self._shared("log_h"))
        s = _expit(self._shared("logit_s") + self._of_family("logit_s") + self._of_data("s_on"))
        removable = self._by_case(s) * (1 + half) / (1 + half * np.exp(-self.log_share))
        correlated = (
            _expit(self._shared("logit_r_same")) * self.columns["pairs_same"]
            + _expit(self._shared("logit_r_mixed")) * self.columns["pairs_mixed"]
            + self.columns["pairs_alike"]
        )
        apart = 1 - 1 / self.columns["members"] - correlated
        left: Floats = 1 - np.minimum(removable, MOST_REMOVABLE) * apart
        return left

    def _noise(self) -> Floats:
        """Share of x that a learning rate costs which has not fallen yet, after averaging."""
        gamma = np.exp(self._shared("log_gamma"))
        relative_rate, final_relative_rate = (
            self.columns["relative_rate"],
            self.columns["final_relative_rate"],
        )
        distinct_rates, place = np.unique(
            np.concatenate([relative_rate, final_relative_rate]), return_inverse=True
        )
        warmth = (distinct_rates**gamma)[:, place]
        noise = self._by_case(np.exp(self._shared("log_nu") + self._of_data("nu_on")))
        noise = noise * (warmth[:, : len(relative_rate)] - warmth[:, len(relative_rate) :])
        taken = _expit(self._shared("logit_rho")) * (1 - 1 / self.columns["members"])
        left: Floats = noise * (1 - taken)
        return left


def _labels(cases: Sequence[Case], index: dict[str, int]) -> Floats:
    """Family and data set of each case as columns, 1/√2 where it is the case's: two differ by one length."""
    names = [key for key in index if key.startswith(("log_u/", "log_floor/"))]
    own = [{f"log_u/{case.family}", f"log_floor/{case.dataset}"} for case in cases]
    result: Floats = np.array([[name in pair for name in names] for pair in own], dtype=float) / np.sqrt(2)
    return result


def _expit(x: Floats) -> Floats:
    result: Floats = 1 / (1 + np.exp(-x))
    return result
