"""The Ensemble Switchover Threshold: from where on k members beat one network of their total size.

Source: "More or Less" (Wasay and Idreos, ICLR 2021), section 3. The threshold lies in a plane of two
resources, total parameters and training epochs. At every budget three real designs meet: a single network,
its depth-equivalent (deq) and its width-equivalent (weq) ensemble. For every posterior draw

    lead = log(error of the single network / error of the better ensemble),

and the threshold along one axis is where the lead turns positive for good. So every threshold has an
interval, and a draw without such a place has none.

The epoch axis can be read in two ways that are never mixed (`ScheduleReading`); each is an `ErrorSource` of
its own, because no arithmetic turns the errors of one into those of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from advisor.accuracy import AccuracyPredictor
from advisor.architecture import NetworkSpec, regular_network
from advisor.counting import regular_counts
from advisor.design import DesignClass, homogeneous
from advisor.errors import InfeasibleError, UnknownNameError, UsageError
from advisor.estimate import LEVEL, Estimate, Floats
from advisor.evidence import progress, relative_rates
from advisor.families import FAMILIES
from advisor.layers import Task
from advisor.space import DEPTH_LIMIT, Equivalents, equivalents_within

PARAMETER_GRID: Floats = np.round(np.geomspace(1e4, 1e9, 31))
EPOCH_GRID: tuple[int, ...] = tuple(sorted({round(e) for e in np.geomspace(1, 2000, 34)}))
# Single networks of a budget whose errors differ by less count as equally good, and each may name the
# equivalents: no training could tell them apart, and their widths are rounded differently.
ALIKE = 0.01
# A lead in log error that no two networks have; for arithmetic with −∞.
FAR_BEHIND = 1e9
ENSEMBLES = (DesignClass.DEPTH_EQUIVALENT, DesignClass.WIDTH_EQUIVALENT)


class ScheduleReading(StrEnum):
    """What a number of epochs on the axis means.

    ``whole``: a training whose schedule, drops of the learning rate included, has that length (figure K of
    the paper). ``long``: that epoch of one long training, before whose drops errors are higher (its heat
    maps).
    """

    WHOLE = "whole"
    LONG = "long"


class ErrorSource(Protocol):
    """Test errors as one reading of the epoch axis knows them."""

    @property
    def reading(self) -> ScheduleReading:
        """How the epochs are read."""

    @property
    def last_epoch(self) -> int | None:
        """Length of the one long schedule; None where epochs may be any number."""

    @property
    def task(self) -> Task:
        """Input and classes."""

    def errors(
        self, networks: Sequence[NetworkSpec], members: int, clusters: int, epochs: Sequence[int]
    ) -> Floats:
        """Return draws of the errors of `members` copies of each network, trained in `clusters` clusters.

        Returns:
            Shape (draws, networks, epochs).
        """

    def probability_below(self, errors: Floats, reference: Floats, members: int, clusters: int) -> float:
        """Return the probability that an ensemble trained once has less error than a single network.

        Args:
            errors: draws of the ensemble, shape (draws,).
            reference: draws of the single network.
            members: of the ensemble.
            clusters: that it trains in.
        """


@dataclass(frozen=True, slots=True)
class WholeSchedules:
    """Errors after whole schedules of each length: the accuracy predictor."""

    predictor: AccuracyPredictor
    dataset: str
    task: Task

    @property
    def reading(self) -> ScheduleReading:
        """How the epochs are read."""
        return ScheduleReading.WHOLE

    @property
    def last_epoch(self) -> int | None:
        """None: whole schedules may have any length."""
        return None

    def errors(
        self, networks: Sequence[NetworkSpec], members: int, clusters: int, epochs: Sequence[int]
    ) -> Floats:
        """Return draws of shape (draws, networks, epochs)."""
        if clusters < members:
            designs = [homogeneous(network, members, clusters) for network in networks]
            columns = [self.predictor.sample_errors(designs, self.dataset, self.task, e) for e in epochs]
            return np.stack(columns, axis=2)
        return _independent(self.predictor, self.dataset, self.task, networks, members, epochs)

    def probability_below(self, errors: Floats, reference: Floats, members: int, clusters: int) -> float:
        """Return the probability that an ensemble trained once has less error than a single network."""
        return _probability_below(self.predictor, self.dataset, errors, reference, members, clusters)


@dataclass(frozen=True, slots=True)
class OneLongSchedule:
    """Errors after the epochs of one long schedule: the accuracy predictor with the rates of that schedule.

    Attributes:
        family: whose schedule it is.
        epochs: its length.
    """

    predictor: AccuracyPredictor
    dataset: str
    task: Task
    family: str
    epochs: int

    @property
    def reading(self) -> ScheduleReading:
        """How the epochs are read."""
        return ScheduleReading.LONG

    @property
    def last_epoch(self) -> int | None:
        """Of the schedule."""
        return self.epochs

    def errors(
        self, networks: Sequence[NetworkSpec], members: int, clusters: int, epochs: Sequence[int]
    ) -> Floats:
        """Return draws of shape (draws, networks, epochs).

        Raises:
            UsageError: members that hatch, or epochs beyond the end of the schedule.
        """
        if clusters < members:
            raise UsageError(
                "hatched members have no epochs of one long schedule: their mother has the first"
            )
        if max(epochs) > self.epochs:
            raise UsageError(f"the long schedule has {self.epochs} epochs, got {max(epochs)}")
        rates, travelled = relative_rates(self.family, self.epochs), progress(self.family, self.epochs)
        heat, reached = [rates[e - 1] for e in epochs], [self.epochs * travelled[e - 1] for e in epochs]
        return _independent(
            self.predictor, self.dataset, self.task, networks, members, reached, heat=heat, cold=rates[-1]
        )

    def probability_below(self, errors: Floats, reference: Floats, members: int, clusters: int) -> float:
        """Return the probability that an ensemble trained once has less error than a single network."""
        return _probability_below(self.predictor, self.dataset, errors, reference, members, clusters)


def _probability_below(
    predictor: AccuracyPredictor, dataset: str, errors: Floats, reference: Floats, members: int, clusters: int
) -> float:
    # Whatever the shape of the members: luck is a matter of how they begin.
    network = regular_network("mlp", 1, 1)
    designs = homogeneous(network, members, clusters), homogeneous(network, 1)
    one, other = (predictor.luck(design, dataset) for design in designs)
    return predictor.probability_below(errors, reference, (one, other))


def _independent(
    predictor: AccuracyPredictor,
    dataset: str,
    task: Task,
    networks: Sequence[NetworkSpec],
    members: int,
    epochs: Sequence[float],
    *,
    heat: Sequence[float] | None = None,
    cold: float = 0.0,
) -> Floats:
    """Draws of the errors of independent members by their counts, (draws, networks, epochs).

    A scan of all depths need not build their layers.
    """
    family = networks[0].family
    counts = regular_counts(family, task, max(DEPTH_LIMIT, *(n.depth for n in networks)))
    shape = (len(networks), len(epochs))
    sizes = np.array([counts.parameters(n.depth, n.width) for n in networks], dtype=float)
    drawn = predictor.sample_regular(
        family,
        dataset,
        task.classes,
        parameters=np.repeat(sizes, shape[1]),
        depth=np.repeat([float(n.depth) for n in networks], shape[1]),
        members=np.full(shape[0] * shape[1], float(members)),
        epochs=np.tile(np.array(epochs, dtype=float), shape[0]),
        heat=0.0 if heat is None else np.tile(np.array(heat), shape[0]),
        cold=cold,
    )
    return drawn.reshape(-1, *shape)


def source_of(
    reading: str,
    predictor: AccuracyPredictor,
    dataset: str,
    task: Task,
    *,
    family: str,
    epochs: int,
    curves: int,
) -> ErrorSource:
    """Return the source of errors of a reading.

    Args:
        reading: name of it.
        predictor: of errors.
        dataset: name.
        task: input and classes.
        family: of all designs.
        epochs: of the long schedule.
        curves: learning curves that the predictor has seen, on any data.

    Raises:
        UnknownNameError: there is no such reading.
        InfeasibleError: nothing is known that could be read so.
    """
    if reading not in set(ScheduleReading):
        raise UnknownNameError("reading", reading, [r.value for r in ScheduleReading])
    if reading == ScheduleReading.WHOLE:
        return WholeSchedules(predictor, dataset, task)
    if not curves:
        raise InfeasibleError(
            "no learning curves are known, so epochs cannot be read off one long schedule: use "
            f"--reading whole, or train {dataset} once (advisor probe, advisor train)"
        )
    return OneLongSchedule(predictor, dataset, task, family, epochs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestants:
    """The designs that meet at one budget: a single network, and a member of each ensemble that exists."""

    budget: float
    single: NetworkSpec
    ensembles: dict[DesignClass, NetworkSpec]


def contestants(
    source: ErrorSource, family: str, members: int, budgets: Sequence[float], epochs: int
) -> list[Contestants]:
    """Return the designs of every budget that holds a network.

    The single network has the least predicted error among the widest of every depth; each ensemble class
    has the best of those that are equivalent to it, or to a network `ALIKE` it.

    Args:
        source: of errors.
        family: of all designs.
        members: k ≥ 2.
        budgets: total parameters.
        epochs: after which errors are compared.
    """
    fields = {b: found for b in budgets if (found := equivalents_within(b, family, members, source.task))}
    singles = _means(source, [e.single for field in fields.values() for e in field], 1, epochs)
    least = {b: min(singles[e.single] for e in field) for b, field in fields.items()}
    rivals = {
        b: _by_class([e for e in field if singles[e.single] <= (1 + ALIKE) * least[b]])
        for b, field in fields.items()
    }
    together = _means(
        source, [n for kinds in rivals.values() for found in kinds.values() for n in found], members, epochs
    )
    return [
        Contestants(
            budget=b,
            single=min((e.single for e in field), key=singles.__getitem__),
            ensembles={kind: min(found, key=together.__getitem__) for kind, found in rivals[b].items()},
        )
        for b, field in fields.items()
    ]


def _by_class(bases: Sequence[Equivalents]) -> dict[DesignClass, list[NetworkSpec]]:
    """Members of the ensembles of some single networks, by class; a class without any is left out."""
    found = {
        DesignClass.DEPTH_EQUIVALENT: [e.depth_equivalent for e in bases if e.depth_equivalent],
        DesignClass.WIDTH_EQUIVALENT: [e.width_equivalent for e in bases if e.width_equivalent],
    }
    return {kind: networks for kind, networks in found.items() if networks}


def _means(
    source: ErrorSource, networks: Sequence[NetworkSpec], members: int, epochs: int
) -> dict[NetworkSpec, float]:
    """Mean predicted error of each network, trained independently."""
    order = list(dict.fromkeys(networks))
    if not order:
        return {}
    means = source.errors(order, members, members, [epochs]).mean(axis=(0, 2))
    return dict(zip(order, means.tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Predicted errors in every cell of budgets and epochs.

    Attributes:
        single: shape (draws, budgets, epochs).
        ensembles: of each class, the same shape; infinite where the class has no design.
    """

    single: Floats
    ensembles: dict[DesignClass, Floats]

    def best(self) -> NDArray[np.int64]:
        """Index into `ENSEMBLES` of the class with the least mean error, shape (budgets, epochs)."""
        means = np.stack([self.ensembles[kind].mean(axis=0) for kind in ENSEMBLES])
        return np.asarray(means.argmin(axis=0), dtype=np.int64)

    def ensemble(self) -> Floats:
        """Errors of the better class of each cell, shape (draws, budgets, epochs)."""
        deq, weq = (self.ensembles[kind] for kind in ENSEMBLES)
        return np.where(self.best() == 0, deq, weq)

    def lead(self) -> Floats:
        """log(single / ensemble), shape (draws, budgets, epochs); −∞ where no ensemble fits."""
        return np.asarray(np.log(self.single) - np.log(self.ensemble()), dtype=float)


def contest(
    source: ErrorSource,
    rows: Sequence[Contestants],
    members: int,
    clusters: int,
    epochs: Sequence[int],
    ensemble_epochs: Sequence[int] | None = None,
) -> Contest:
    """Return the errors of the designs of every budget at every number of epochs.

    Args:
        source: of errors.
        rows: designs of each budget, at least one.
        members: k.
        clusters: g of the ensembles.
        epochs: of the single networks.
        ensemble_epochs: of the ensembles, where they train for another number than the single network.
    """
    single = source.errors([row.single for row in rows], 1, 1, epochs)
    ensembles = {}
    for kind in ENSEMBLES:
        having = [i for i, row in enumerate(rows) if kind in row.ensembles]
        ensembles[kind] = np.full_like(single, np.inf)
        if having:
            networks = [rows[i].ensembles[kind] for i in having]
            ensembles[kind][:, having] = source.errors(networks, members, clusters, ensemble_epochs or epochs)
    return Contest(single=single, ensembles=ensembles)


def crossing(lead: Floats, grid: Sequence[float]) -> Floats:
    """Where each draw's lead turns positive for good, between two points in the logarithm of the grid.

    Args:
        lead: shape (draws, points); −∞ where nothing is known to be compared.
        grid: rising, shape (points,).

    Returns:
        Shape (draws,): the first point of a draw that always leads, ∞ of one that does not lead at the last.
    """
    losing, last = lead <= 0, len(grid)
    # Position after the last loss.
    after = np.where(losing.any(axis=1), last - np.argmax(losing[:, ::-1], axis=1), 0)
    points, found = np.log(np.asarray(grid, dtype=float)), np.full(len(lead), np.inf)
    found[after == 0] = grid[0]
    draws = np.flatnonzero((after > 0) & (after < last))
    i = after[draws]
    # Where nothing was comparable before, the threshold is the first point that is.
    lost, won = np.maximum(lead[draws, i - 1], -FAR_BEHIND), lead[draws, i]
    found[draws] = np.exp(points[i - 1] + (points[i] - points[i - 1]) * lost / (lost - won))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Median and 90 % interval of a threshold over posterior draws; None lies beyond the grid.

    Attributes:
        reached: share of the draws whose threshold lies within the grid.
    """

    median: float | None
    low: float | None
    high: float | None
    reached: float

    @classmethod
    def of_draws(cls, draws: Floats) -> Threshold:
        """Summarise draws of shape (n,), ∞ where the threshold is not reached."""
        # Without interpolation: between a figure and ∞ there is nothing.
        found = np.quantile(draws, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], method="inverted_cdf")
        low, median, high = (float(x) if np.isfinite(x) else None for x in found)
        return cls(median=median, low=low, high=high, reached=float(np.isfinite(draws).mean()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Switchover:
    """Threshold of one family and member count around a request.

    Attributes:
        parameters: total size from which the ensemble wins at the requested epochs; a draw that never does
            counts as the end of the grid.
        epochs: number from which it wins at the requested size, in the same way.
        probability_past: that the request lies past the threshold.
        smallest: total size, of those looked at, from which there is such an ensemble at all; a threshold
            there says that it wins wherever it exists.
    """

    family: str
    members: int
    parameters: Estimate
    epochs: Estimate
    probability_past: float
    smallest: float = 0.0


def switchover(source: ErrorSource, family: str, members: int, *, budget: float, epochs: int) -> Switchover:
    """Return the threshold of `members` networks of a family against one of their total size."""
    sizes = contestants(source, family, members, PARAMETER_GRID.tolist(), epochs)
    by_size = contest(source, sizes, members, members, [epochs]).lead()[:, :, 0]
    exist = [row.budget for row, lead in zip(sizes, by_size.T, strict=True) if np.isfinite(lead).any()]
    here = contestants(source, family, members, [budget], epochs)
    # Where no network fits, nothing wins at any number of epochs.
    by_length = np.full((len(by_size), 1 + len(EPOCH_GRID)), -np.inf)
    if here:
        by_length = contest(source, here, members, members, [*EPOCH_GRID, epochs]).lead()[:, 0]
    return Switchover(
        family=family,
        members=members,
        parameters=_within(crossing(by_size, [row.budget for row in sizes]), PARAMETER_GRID[-1]),
        epochs=_within(crossing(by_length[:, :-1], EPOCH_GRID), EPOCH_GRID[-1]),
        probability_past=float((by_length[:, -1] > 0).mean()),
        smallest=min(exist, default=0.0),
    )


def thresholds(
    source: ErrorSource, families: Sequence[str], members: Sequence[int], *, budget: float, epochs: int
) -> list[Switchover]:
    """Return the thresholds of every family and member count above 1."""
    return [
        switchover(source, family, k, budget=budget, epochs=epochs)
        for family in families
        if family in FAMILIES
        for k in members
        if k > 1
    ]


def _within(draws: Floats, end: float) -> Estimate:
    """Median and interval (a mean would be ruled by draws at the end of the grid)."""
    low, middle, high = np.quantile(np.minimum(draws, end), [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
    return Estimate(float(middle), float(low), float(high))
