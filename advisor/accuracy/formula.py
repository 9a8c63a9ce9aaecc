"""The formula of the accuracy predictor: test error of a network or an ensemble, given its parameters θ.

The error of a network falls with its size and with its training by a power law each (Lobacheva et al. 2020),
from a level that belongs to the data set towards a part of it, and never exceeds the error of guessing.
Averaging the members of an ensemble removes the part of the error that stems from variance between trainings.

Inputs:

    N         parameters of a member, over those of the reference network (`REFERENCE_PARAMETERS`)
    d         depth of a member; depth_F is the usual depth of family F in the published studies
    t         epochs as a share of the published schedule of F, divided by the pace τ_D·(d/depth_F)^κ
    u         share of the training images
    v         1 for an error on the validation images, 0 for one on test images
    q         decimal logarithm of the weight decay over that of the family's recipe
    m         number of members
    chance    error of guessing, 1 − 1/classes
    rate      learning rate of the epoch over that of the first epoch; final_rate: of the last epoch

The error of one network of family F on data set D:

    x = u_F · level_D · (f_D + (1 − f_D) · N^(−α)) · exp(δ·ln²(d/depth_F)) · (1 + c·t^(−β)) / (1 + c)
        · u^(−η) · exp(ω_D·q + ζ·q²) · exp(penalty of the training method + v·split_D),
    e = chance · (1 − exp(−x / chance)).

The penalty of hatching differs by data set. Validation images are few, and the same for all trainings: they
may be harder or easier than the test images. The weight decay has a best value of its own on every data set,
which may lie on either side of the recipe's. The level is what simple classifiers foretell
(`advisor.accuracy.data_level`). The share f of it that no size removes makes sizes beyond the data useless. A
network that has hardly been trained errs on easy data about as often as on hard data, so c is nearly as the
inverse of the level: c = exp(log c + deviation of D)·(0.1 / level_D)^ξ. The term in δ makes an unusual depth
cost error, and the last line bends x at chance. α, s and other constants are sums of a global value and
deviations of family and data set (`advisor.accuracy.prior`).

Averaging m members leaves

    x_ensemble = x · (1 − s(t)·(1 − V)) + x · n · (1 − ρ·(1 − 1/m)),

where the part of x that falls with size has an s of its own, logit s + s_power (wide networks differ less
from each other), and

    s(t) = s·(1 + h)·t / (t + h)                    share of x that stems from variance between trainings
    V    = 1/m + (1/m²)·Σ_{i≠j} r_ij                variance of the mean over that of a member: the variance
                                                    identity (1/m²)·(Σ Var + Σ Cov) of MotherNets, section
                                                    3.4 and appendix B
    r_ij = 0 for independent members, r_same or r_mixed for members of one mother or chain (of one shape or
           of several), 1 for members that share most layers
    n    = ν_D · (rate^γ − final_rate^γ)            excess error of a learning rate that has not fallen yet

Networks that still guess have t near 0, so averaging gains them nothing. The excess n is noise of the last
steps, of which averaging removes the share ρ; at the end of a schedule it is 0. With n the formula describes
every epoch of a learning curve. There t is the share of the schedule's summed learning rates so far
(`advisor.accuracy.cases.progress`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from advisor.accuracy import discrepancy
from advisor.accuracy.prior import HATCHING, PENALISED
from advisor.estimate import Floats
from advisor.networks.families import FAMILIES

# Entries of (draws, cases) that are computed at once: blocks that fit into the cache are three times as fast.
BLOCK = 30_000
# Largest share of an error that averaging removes, and the least error that is predicted.
MOST_REMOVABLE, LEAST_ERROR = 0.95, 1e-6
# Logarithm of the level of a data set on which c is that of all data sets.
USUAL_LEVEL = float(np.log(0.1))
# Parameters of the network that a data set's level belongs to, in millions: in the middle of those that are
# trained on small data sets.
REFERENCE_PARAMETERS = 0.1
# Largest exponent of the power of the size.
MOST_EXPONENT = 50.0

Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Case:
    """The inputs of the formula for one training, finished or at one of its epochs.

    Attributes:
        dataset: name that errors on the data are learned under.
        classes: number of classes.
        family: family of the members.
        parameters: parameters of a member, in millions.
        depth: depth of a member.
        schedule_share: epochs over those of the family's published schedule.
        members: number of members.
        pairs_same: ordered pairs of members with one mother and one shape, over m².
        pairs_mixed: ordered pairs of members with one mother and different shapes, over m².
        pairs_shared: ordered pairs of members that share most layers, over m².
        method: training method that has a penalty; empty for training from scratch.
        penalised_share: share of the members that the penalty applies to.
        relative_rate: learning rate of the epoch over that of the first epoch.
        final_relative_rate: learning rate of the schedule's last epoch over that of the first epoch.
        image_share: share of the training images.
        weight_decay: weight decay over that of the family's recipe.
        validated: 1 for an error on the validation images, which all trainings share, else 0.
    """

    dataset: str
    classes: int
    family: str
    parameters: float
    depth: float
    schedule_share: float
    members: int
    pairs_same: float = 0.0
    pairs_mixed: float = 0.0
    pairs_shared: float = 0.0
    method: str = ""
    penalised_share: float = 0.0
    relative_rate: float = 0.0
    final_relative_rate: float = 0.0
    image_share: float = 1.0
    weight_decay: float = 1.0
    validated: float = 0.0


_NUMBERS = (
    "classes",
    "parameters",
    "depth",
    "schedule_share",
    "members",
    "pairs_same",
    "pairs_mixed",
    "pairs_shared",
    "penalised_share",
    "relative_rate",
    "final_relative_rate",
    "image_share",
    "weight_decay",
    "validated",
)


@dataclass(frozen=True, slots=True)
class Cases:
    """Many cases as columns.

    Attributes:
        datasets: data set of each case.
        columns: numbers of each case by the attribute of `Case`, each of shape (cases,); depth is divided by
            the usual depth of the family.
        labels: family and data set as inputs of the discrepancy, shape (cases, families + data sets).
        penalised_share: share of the members that each method penalises, shape (cases, PENALISED).
        groups: distinct pairs of family and data set.
        group: position of each case's pair in `groups`, shape (cases,).
        index: position of each parameter in θ.
    """

    datasets: tuple[str, ...]
    columns: dict[str, Floats]
    labels: Floats
    penalised_share: Floats
    groups: tuple[tuple[str, str], ...]
    group: Positions
    index: dict[str, int]

    @property
    def hatched_share(self) -> Floats:
        """Share of the members of each case that are hatched, shape (cases,)."""
        shares: Floats = self.penalised_share[:, [PENALISED.index(name) for name in HATCHING]].sum(axis=1)
        return shares

    @classmethod
    def of(cls, cases: Sequence[Case], index: dict[str, int]) -> Cases:
        """Return cases as columns.

        Args:
            cases: the cases.
            index: position of each parameter in θ.
        """
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
        """Return the features of the discrepancy times its amplitude, shape (cases, FEATURES).

        Args:
            amplitudes: amplitude of the discrepancy on each data set.
        """
        related = [self.columns[name] for name in ("pairs_same", "pairs_mixed", "pairs_shared")]
        common_beginning = (np.sum(related, axis=0) > 0).astype(float)
        near = self._logs(discrepancy.LENGTHS, common_beginning)
        far = self._logs(discrepancy.FAR_LENGTHS)
        found = [
            discrepancy.Features.of(near.shape[1], discrepancy.NEAR_FEATURES)(near),
            discrepancy.FAR * discrepancy.Features.of(far.shape[1], discrepancy.FAR_FEATURES)(far),
        ]
        scale = np.array([amplitudes[name] for name in self.datasets])
        features: Floats = np.concatenate(found, axis=1) * scale[:, None]
        return features

    def _logs(self, lengths: Mapping[str, float], *others: Floats) -> Floats:
        """Return inputs of the discrepancy: logarithms in units of their lengths, others, and labels."""
        logs = [np.log(self.columns[name]) / length for name, length in lengths.items()]
        inputs: Floats = np.concatenate([np.stack([*logs, *others], axis=1), self.labels], axis=1)
        return inputs

    def errors(self, theta: Floats, discrepancies: Floats | None = None) -> Floats:
        """Return the error of every case for every draw of θ, shape (draws, cases).

        Args:
            theta: draws of θ, shape (draws, parameters).
            discrepancies: draws of the discrepancy, which is added to log x, shape (draws, cases); without
                them the formula alone.
        """
        rows = max(BLOCK // max(len(self.datasets), 1), 1)
        blocks = [slice(first, first + rows) for first in range(0, max(len(theta), 1), rows)]
        return np.concatenate(
            [
                _Terms(theta[b], self).errors(None if discrepancies is None else discrepancies[b])
                for b in blocks
            ]
        )


class _Terms:
    """The terms of the formula for draws of θ; each broadcasts to (draws, cases).

    A term that depends on family and data set only is computed once for each pair of the two, with shape
    (draws, groups), and then expanded to the cases.

    Args:
        theta: draws of θ, shape (draws, parameters).
        cases: cases whose errors are computed.
    """

    def __init__(self, theta: Floats, cases: Cases) -> None:
        self.theta, self.cases, self.columns = theta, cases, cases.columns
        self.log_depth = np.log(self.columns["depth"])
        # Logarithm of t.
        self.log_t = np.log(self.columns["schedule_share"]) - np.abs(self._global("kappa")) * self.log_depth
        self.log_t -= self._by_case(self._of_dataset("log_tau"))

    def errors(self, discrepancies: Floats | None) -> Floats:
        """Return e; see `Cases.errors`."""
        x = np.exp(self._log_factor(discrepancies)) * self._schedule_term()
        floor, power = self._size_terms()
        remaining = floor * self._share_after_averaging(0.0)
        remaining += power * self._share_after_averaging(self._global("s_power"))
        if np.any(self.columns["relative_rate"] > self.columns["final_relative_rate"]):
            remaining += (floor + power) * self._rate_excess()
        chance = 1 - 1 / self.columns["classes"]
        result: Floats = chance * -np.expm1(-x * remaining / chance)
        return np.maximum(result, LEAST_ERROR)

    def _global(self, name: str) -> Floats:
        return self.theta[:, self.cases.index[name], None]

    def _of_family(self, name: str) -> Floats:
        return self.theta[:, [self.cases.index[f"{name}/{family}"] for family, _ in self.cases.groups]]

    def _of_dataset(self, name: str) -> Floats:
        return self.theta[:, [self.cases.index[f"{name}/{dataset}"] for _, dataset in self.cases.groups]]

    def _by_case(self, by_group: Floats) -> Floats:
        return by_group[:, self.cases.group]

    def _log_size(self) -> Floats:
        """Return ln N, shape (cases,)."""
        logs: Floats = np.log(self.columns["parameters"] / REFERENCE_PARAMETERS)
        return logs

    def _size_terms(self) -> tuple[Floats, Floats]:
        """Return level_D · f_D and level_D · (1 − f_D) · N^(−α)."""
        alpha = np.exp(
            self._global("log_alpha") + self._of_family("log_alpha") + self._of_dataset("alpha_on")
        )
        level, floor = np.exp(self._of_dataset("log_level")), expit(self._of_dataset("logit_floor"))
        # The bound only avoids an overflow: the error is that of guessing long before.
        power = np.exp(np.minimum(-self._by_case(alpha) * self._log_size(), MOST_EXPONENT))
        return self._by_case(level * floor), self._by_case(level * (1 - floor)) * power

    def _log_factor(self, discrepancies: Floats | None) -> Floats:
        """Return the logarithm of the factors of depth, family, images, method and discrepancy."""
        factor = (self.log_depth - self._by_case(self._of_dataset("depth_on"))) ** 2
        factor *= self._by_case(np.abs(self._global("delta")) * np.exp(self._of_dataset("delta_on")))
        factor += self._by_case(self._of_family("log_u"))
        factor -= np.abs(self._global("eta")) * np.log(self.columns["image_share"])
        factor += self._by_case(self._of_dataset("split_on")) * self.columns["validated"]
        decades = np.log10(self.columns["weight_decay"])
        if np.any(decades):
            slope = self._global("omega") + self._of_dataset("omega_on")
            factor += self._by_case(slope) * decades + np.abs(self._global("zeta")) * decades**2
        penalties = self.theta[:, [self.cases.index[f"log_method/{name}"] for name in PENALISED]]
        factor += penalties @ self.cases.penalised_share.T
        if np.any(self.cases.hatched_share):
            factor += self._by_case(self._of_dataset("hatched_on")) * self.cases.hatched_share
        total: Floats = factor if discrepancies is None else factor + discrepancies
        return total

    def _schedule_term(self) -> Floats:
        """Return (1 + c·t^(−β)) / (1 + c)."""
        easier = USUAL_LEVEL - self._of_dataset("log_level")
        c = np.exp(self._global("log_c") + self._of_dataset("c_on") + self._global("xi") * easier)
        power: Floats = np.exp(-np.abs(self._global("beta")) * self.log_t)
        return power * self._by_case(c / (1 + c)) + self._by_case(1 / (1 + c))

    def _share_after_averaging(self, more: Floats | float) -> Floats:
        """Return the share of a part of x that averaging leaves, 1 − s(t)·(1 − V).

        Args:
            more: what is added to the logit of s for this part, a number or of shape (draws, 1).
        """
        h = np.exp(self._global("log_h"))
        logit = self._global("logit_s") + self._of_family("logit_s") + self._of_dataset("s_on")
        s = expit(logit + more)
        removable = self._by_case(s) * (1 + h) / (1 + h * np.exp(-self.log_t))
        correlated = (
            expit(self._global("logit_r_same")) * self.columns["pairs_same"]
            + expit(self._global("logit_r_mixed")) * self.columns["pairs_mixed"]
            + self.columns["pairs_shared"]
        )
        removed = 1 - 1 / self.columns["members"] - correlated
        remaining: Floats = 1 - np.minimum(removable, MOST_REMOVABLE) * removed
        return remaining

    def _rate_excess(self) -> Floats:
        """Return n·(1 − ρ·(1 − 1/m)), the excess error of a high learning rate after averaging."""
        gamma = np.exp(self._global("log_gamma"))
        rates, final_rates = self.columns["relative_rate"], self.columns["final_relative_rate"]
        distinct, place = np.unique(np.concatenate([rates, final_rates]), return_inverse=True)
        powers = (distinct**gamma)[:, place]
        excess = self._by_case(np.exp(self._global("log_nu") + self._of_dataset("nu_on")))
        excess = excess * (powers[:, : len(rates)] - powers[:, len(rates) :])
        removed = expit(self._global("logit_rho")) * (1 - 1 / self.columns["members"])
        remaining: Floats = excess * (1 - removed)
        return remaining


def _labels(cases: Sequence[Case], index: dict[str, int]) -> Floats:
    """Return family and data set of each case as inputs of the discrepancy.

    The column of a case's family and that of its data set are 1/√2, all others 0. So two families, or two
    data sets, lie one length scale apart.
    """
    names = [key for key in index if key.startswith(("log_u/", "log_level/"))]
    pairs = [{f"log_u/{case.family}", f"log_level/{case.dataset}"} for case in cases]
    labels: Floats = np.array([[name in pair for name in names] for pair in pairs], dtype=float) / np.sqrt(2)
    return labels
