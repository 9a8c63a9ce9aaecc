"""The leading designs of a comparison: those whose training the request asks about.

A *contender* is one of the few designs of least expected error among single networks, and among ensembles.
Only designs that a probe can report are contenders: their members have one shape, and they are trained by
what their clusters say, full data or MotherNets. Designs are compared within the families that may lead
(`advisor.decision.leading`): a training of another one could not make it lead on its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from advisor.decision.scenario import Evaluated
from advisor.decision.weight_decay import times_words
from advisor.designs.design import Design, parse_design
from advisor.networks.layers import Task
from advisor.plans.dataset import DatasetFacts
from advisor.plans.method_traits import BY_CLUSTERS

# Contenders among single networks, and among ensembles.
CONTENDERS = 2
# Two designs of one shape are alike if the parameters of one are at most so many times those of the other.
# Then a full training of one says what the other's would.
ALIKE = 1.25
# A rival is trained unless a design of its kind was whose parameters differ by at most this factor: the error
# of designs of one size hardly differs, that of other budgets does.
OF_ONE_SIZE = 2.0
_FOR = " for "


def key_of(design: str, epochs: int, image_share: float, weight_decay: float = 1.0) -> str:
    """Return a text that is equal for two trainings that differ by their seed only.

    Args:
        design: short name of the design.
        epochs: epochs of a network that is trained from scratch.
        image_share: share of the training images.
        weight_decay: weight decay over that of the recipe.
    """
    part = f" of {image_share:.0%} of the images" if image_share < 1 else ""
    decay = f" with {words}" if (words := times_words(weight_decay)) else ""
    return f"{design}{_FOR}{epochs} epoch{'s' * (epochs != 1)}{part}{decay}"


def contenders(evaluated: Sequence[Evaluated]) -> list[Evaluated]:
    """Return the designs of least expected error, of both kinds, the best first.

    Args:
        evaluated: designs of the request, of families that may lead; those that keep its limits, or all where
            none does.
    """
    able = [e for e in evaluated if e.method in BY_CLUSTERS and e.design.homogeneous]
    able.sort(key=lambda e: float(e.errors.mean()))
    kinds = ([e for e in able if _is_single(e.design) is single] for single in (True, False))
    found = [e for kind in kinds for e in kind[:CONTENDERS]]
    return sorted(found, key=lambda e: float(e.errors.mean()))


def first_to_train(
    evaluated: Sequence[Evaluated], data: DatasetFacts, epochs: int, done: Collection[str]
) -> list[Evaluated]:
    """Return the leading design and its closest rival of the other kind, unless those were trained.

    The leading design is trained unless one like it was. For the rival any of its kind and size will do.

    A training with another weight decay does not stand for it.

    Args:
        evaluated: designs of the request, as for `contenders`.
        data: facts of the data set.
        epochs: epochs that the request asks about.
        done: keys (`key_of`) of finished trainings on the data.
    """
    found = contenders(evaluated)
    if not found:
        return []
    leader = found[0]
    rival = next((e for e in found if _is_single(e.design) is not _is_single(leader.design)), None)

    def trained(e: Evaluated) -> list[Design]:
        names = {_design_of(key) for key in done}
        return [parse_design(n) for n in names if key_of(n, epochs, 1.0, e.weight_decay) in done]

    task = data.task
    wanted = [] if any(_are_alike(leader.design, other, task) for other in trained(leader)) else [leader]
    if rival is not None:
        alike = (_are_of_one_kind(rival.design, other, task) for other in trained(rival))
        wanted += [] if any(alike) else [rival]
    return wanted


def with_other_weight_decays(leading: Sequence[Evaluated], multiples: Sequence[float]) -> list[Evaluated]:
    """Return the leading single network and the leading ensembles with every other weight decay.

    Their errors are those of their own weight decay.

    Args:
        leading: designs of `contenders`.
        multiples: multiples of the recipe's weight decay to train with.
    """
    single = next((e for e in leading if _is_single(e.design)), None)
    chosen = [e for e in leading if e is single or not _is_single(e.design)]
    return [replace(e, weight_decay=m) for m in multiples for e in chosen if m != e.weight_decay]


def _are_alike(one: Design, other: Design, task: Task) -> bool:
    shapes = [[(m.family, m.depth) for m in design.members] for design in (one, other)]
    same = shapes[0] == shapes[1] and one.clusters == other.clusters
    return same and _size_ratio(one, other, task) <= ALIKE


def _are_of_one_kind(one: Design, other: Design, task: Task) -> bool:
    return _is_single(one) is _is_single(other) and _size_ratio(one, other, task) <= OF_ONE_SIZE


def _size_ratio(one: Design, other: Design, task: Task) -> float:
    """Return how many times the parameters of the smaller design the larger one has, at least 1."""
    smaller, larger = sorted(design.parameters(task) for design in (one, other))
    return larger / smaller


def _is_single(design: Design) -> bool:
    return len(design.members) == 1


def _design_of(key: str) -> str:
    return key.partition(_FOR)[0]
