"""The leading designs of a comparison: those whose training the request asks about.

A *contender* is one of the few designs of least expected error among single networks, and among ensembles.
Only designs that a probe can report are contenders: their members have one shape, and they are trained by
what their clusters say, full data or MotherNets. Designs are compared within the families that may lead
(`advisor.decision.leading`): a training of another one could not make it lead on its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from advisor.decision.search import Evaluated
from advisor.decision.weight_decay import times_words
from advisor.designs.design import Design, parse_design
from advisor.plans.dataset import DatasetFacts
from advisor.plans.method_traits import BY_CLUSTERS

# Contenders among single networks, and among ensembles.
CONTENDERS = 2
# A full training stands for that of a leading design whose parameters are at most so many times its own, or
# so many times fewer. The error of designs of one size hardly differs; that of other budgets does.
ALIKE = 2.0
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
    """Return the leading design and its closest rival of the other kind, unless one like it was trained.

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

    def is_known(e: Evaluated) -> bool:
        kind, size = _is_single(e.design), e.design.parameters(data.task)
        names = {key: _design_of(key) for key in done}
        whole = [parse_design(n) for key, n in names.items() if key == key_of(n, epochs, 1.0, e.weight_decay)]
        alike = [other.parameters(data.task) / size for other in whole if _is_single(other) is kind]
        return any(1 / ALIKE <= ratio <= ALIKE for ratio in alike)

    return [e for e in (leader, rival) if e is not None and not is_known(e)]


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


def _is_single(design: Design) -> bool:
    return len(design.members) == 1


def _design_of(key: str) -> str:
    return key.partition(_FOR)[0]
