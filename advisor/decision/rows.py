"""The selection of evaluated designs that become rows of the advice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from advisor.decision.pareto import non_dominated
from advisor.decision.scenario import Evaluated

# Rows of the advice, and the most rows of one family, class and number of members.
ROWS = 8
ROWS_ALIKE = 2


def selected_rows(
    in_order: Sequence[Evaluated], always: Sequence[Evaluated], behind: Collection[Evaluated]
) -> list[Evaluated]:
    """Return the designs of the rows, in their order.

    Designs on the Pareto front are selected before the others, those of families that may not lead last.

    Args:
        in_order: designs in the order of the rows, at least one.
        always: designs that are always selected; one may be repeated.
        behind: designs of families that may not lead.
    """
    front = _front([e for e in in_order if e not in behind] or in_order)
    selected = list(dict.fromkeys(always))
    of_kind = Counter(map(_kind, selected))
    for e in sorted(in_order, key=lambda e: (e in behind, e not in front)):
        if len(selected) < ROWS and e not in selected and of_kind[_kind(e)] < ROWS_ALIKE:
            of_kind[_kind(e)] += 1
            selected.append(e)
    return [e for e in in_order if e in selected]


def _front(designs: Sequence[Evaluated]) -> set[Evaluated]:
    """Return the designs on the Pareto front."""
    on_front = non_dominated(np.array([e.objectives for e in designs]))
    return {e for e, is_on_front in zip(designs, on_front, strict=True) if is_on_front}


def _kind(e: Evaluated) -> tuple[object, ...]:
    return e.design.families, e.design_class, len(e.design.members)
