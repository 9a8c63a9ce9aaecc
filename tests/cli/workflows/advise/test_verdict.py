"""Which design a verdict takes, and what it compares it with, for rankings made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from handmade import ACCURACY, evaluated

from advisor.decision.ranking import Objective, rank
from cli.workflows.advise.verdict import choice
from cli.workflows.answers.advise.advice import VerdictKind

SINGLE = evaluated("resnet-26-16", 0.100, 100)
WORSE_SINGLE = evaluated("resnet-20-16", 0.120, 50)
DEQ = evaluated("4xresnet-26-8", 0.080, 200)
CLOSE_DEQ = evaluated("4xresnet-26-9", 0.0995, 200)
CLOSE_AND_WORSE_DEQ = evaluated("4xresnet-26-7", 0.1005, 20)
BAD_DEQ = evaluated("4xresnet-8-4", 0.200, 10)


def chosen(designs, objective=Objective.ERROR, **options):
    kind, taken, other = choice(rank(designs, ACCURACY, objective, **options))
    return kind, taken.evaluated, None if other is None else other.evaluated


@pytest.mark.parametrize(
    ("designs", "expected"),
    [
        # Compared with the best network, not with any.
        ([WORSE_SINGLE, SINGLE, DEQ, BAD_DEQ], (VerdictKind.ENSEMBLE, DEQ, SINGLE)),
        ([SINGLE, WORSE_SINGLE, BAD_DEQ], (VerdictKind.SINGLE, SINGLE, BAD_DEQ)),
        # Whichever of the two comes first, the simpler one is taken.
        ([SINGLE, CLOSE_DEQ], (VerdictKind.EITHER, SINGLE, CLOSE_DEQ)),
        ([SINGLE, CLOSE_AND_WORSE_DEQ, BAD_DEQ], (VerdictKind.EITHER, SINGLE, CLOSE_AND_WORSE_DEQ)),
        ([DEQ, BAD_DEQ], (VerdictKind.ONLY_ENSEMBLES, DEQ, None)),
        ([SINGLE, WORSE_SINGLE], (VerdictKind.ONLY_SINGLES, SINGLE, None)),
    ],
)
def test_the_first_is_compared_with_the_best_of_the_other_kind(designs, expected):
    assert chosen(designs) == expected


def test_of_two_that_are_tied_the_ensemble_is_taken_if_its_networks_alone_exist():
    trained_single, trained_deq = (replace(e, at_hand=True) for e in (SINGLE, CLOSE_DEQ))
    assert chosen([SINGLE, trained_deq]) == (VerdictKind.EITHER, trained_deq, SINGLE)
    assert chosen([trained_single, trained_deq]) == (VerdictKind.EITHER, trained_single, trained_deq)
    assert chosen([trained_single, CLOSE_DEQ]) == (VerdictKind.EITHER, trained_single, CLOSE_DEQ)


def test_by_time_the_single_network_is_the_fastest_that_matches_the_best_one():
    fast = evaluated("4xresnet-8-8", 0.098, 60)
    assert chosen([SINGLE, WORSE_SINGLE, fast], Objective.TIME) == (VerdictKind.ENSEMBLE, fast, SINGLE)


def test_a_family_that_may_not_lead_is_neither_taken_nor_compared_with():
    hoped_for = [evaluated("densenet-13-12", 0.01, 1), evaluated("2xdensenet-13-12", 0.01, 1)]
    verdict = chosen([SINGLE, DEQ, *hoped_for], leading=("resnet",))
    assert verdict == (VerdictKind.ENSEMBLE, DEQ, SINGLE)


def test_the_best_ensemble_is_not_the_cheapest_tie():
    generator = np.random.default_rng(0)
    noisy = np.exp(generator.normal(0, 0.2, 400))
    cheap = evaluated("2xresnet-8-4", 0.105 * noisy / noisy.mean(), 1)
    kind, taken, other = chosen([DEQ, cheap, SINGLE, evaluated("3xresnet-26-8", 0.079, 150)])
    assert (kind, taken.design.name, other) == (VerdictKind.ENSEMBLE, "3xresnet-26-8", SINGLE)
