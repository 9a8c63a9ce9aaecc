"""The verdict of an advice as a person reads it, from figures made by hand."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from advisor.estimate import Estimate
from advisor.plans.method_traits import Method
from cli.render.probe import probe_list
from cli.render.verdict import UNKNOWN, in_words, verdict_lines
from cli.workflows.answers.advise.advice import Verdict, VerdictKind
from cli.workflows.answers.advise.probing import ListedProbe, ProbeList
from cli.workflows.answers.advise.reasons import DesignTrade, NamedDesign


def verdict(
    kind,
    design,
    against=None,
    *,
    known=True,
    points=None,
    times=None,
    chance=0.93,
    decays=(None, None),
    trained=False,
):
    trade = None
    if against is not None:
        trade = DesignTrade(
            against=NamedDesign(design=against, method=Method.FULL_DATA, tuned_weight_decay=decays[1]),
            points_less=points or Estimate(1.2, 0.8, 1.6),
            epoch_times=Estimate.exact(9.0),
            train_times=times or Estimate(1.6, 1.3, 1.9),
        )
    return Verdict(
        kind=kind,
        known=known,
        rank=1,
        design=design,
        method=Method.FULL_DATA,
        tuned_weight_decay=decays[0],
        trade=trade,
        probability_less_error=None if trade is None else chance,
        networks_exist=trained,
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            verdict(VerdictKind.ENSEMBLE, "4xresnet-14-9", "resnet-26-16"),
            "Train 4 ResNets of depth 14 and width 9 (4xresnet-14-9): 1.2 ± 0.4 points less error than the "
            "best single network (resnet-26-16), in 1.6 (1.3–1.9) times its time; chance of less error 93%.",
        ),
        (
            verdict(VerdictKind.SINGLE, "wrn-22-8", "4xwrn-10-4", times=Estimate.exact(0.512), chance=0.9999),
            "Train one Wide ResNet of depth 22 and width 8 (wrn-22-8): 1.2 ± 0.4 points less error than the "
            "best ensemble (4xwrn-10-4), in 0.51 times its time; chance of less error above 99%.",
        ),
        (
            verdict(
                VerdictKind.EITHER,
                "vgg-11-8",
                "2xvgg-11-4",
                points=Estimate(-0.3, -0.8, 0.2),
                chance=0.35,
            ),
            "It does not matter here: take the single network, it is simpler. One VGG of depth 11 and width "
            "8 (vgg-11-8) has 0.3 ± 0.5 points more error than the best ensemble (2xvgg-11-4), in 1.6 "
            "(1.3–1.9) times its time; chance of less error 35%.",
        ),
        (
            verdict(VerdictKind.EITHER, "vgg-11-8", "2xvgg-11-4", trained=True),
            "It does not matter here: take the single network, it is simpler and trained already. One VGG of "
            "depth 11 and width 8 (vgg-11-8) has 1.2 ± 0.4 points less error than the best ensemble "
            "(2xvgg-11-4), in 1.6 (1.3–1.9) times its time; chance of less error 93%.",
        ),
        (
            verdict(VerdictKind.EITHER, "2xvgg-11-4", "vgg-11-8", trained=True),
            "It does not matter here: take the ensemble, its networks are trained already. 2 VGGs of depth "
            "11 and width 4 (2xvgg-11-4) have 1.2 ± 0.4 points less error than the best single network "
            "(vgg-11-8), in 1.6 (1.3–1.9) times its time; chance of less error 93%.",
        ),
        (
            verdict(VerdictKind.SINGLE, "resnet-14-9", "4xresnet-8-6", decays=(3e-3, 3e-4)),
            "Train one ResNet of depth 14 and width 9 (resnet-14-9) with weight decay 3e-3: 1.2 ± 0.4 points "
            "less error than the best ensemble (4xresnet-8-6, weight decay 3e-4), in 1.6 (1.3–1.9) times its "
            "time; chance of less error 93%.",
        ),
        (
            verdict(VerdictKind.ONLY_ENSEMBLES, "2xdensenet-13-12"),
            "Train 2 DenseNets of depth 13 and width 12 (2xdensenet-13-12). There is no single network to "
            "compare it with.",
        ),
        (
            verdict(VerdictKind.ONLY_SINGLES, "mlp-1-4"),
            "Train one MLP of depth 1 and width 4 (mlp-1-4). There is no ensemble to compare it with.",
        ),
    ],
)
def test_a_verdict_is_one_sentence_with_its_figures(given, said):
    assert list(verdict_lines(given)) == [said]
    # As a program reads it.
    assert given.sentence == said


@pytest.mark.parametrize(
    ("kind", "design", "against", "said"),
    [
        (
            VerdictKind.ENSEMBLE,
            "4xresnet-14-9",
            "resnet-26-16",
            "By published studies of other data, train 4 ResNets of depth 14 and width 9 (4xresnet-14-9): "
            "less error than the best single network (resnet-26-16) with a chance of 93%, in 1.6 (1.3–1.9) "
            "times its time.",
        ),
        (
            VerdictKind.EITHER,
            "resnet-26-16",
            "2xresnet-14-9",
            "By published studies of other data it does not matter: take the single network, it is simpler. "
            "One ResNet of depth 26 and width 16 (resnet-26-16) has less error than the best ensemble "
            "(2xresnet-14-9) with a chance of 93%, in 1.6 (1.3–1.9) times its time.",
        ),
    ],
)
def test_where_nothing_is_known_that_is_said_first_and_no_points_are_given(kind, design, against, said):
    lines = list(verdict_lines(verdict(kind, design, against, known=False)))
    assert lines == [UNKNOWN, said]


@pytest.mark.parametrize(
    ("design", "method", "said"),
    [
        ("4xresnet-14-9@g1", Method.MOTHERNETS, "4 ResNets of depth 14 and width 9 (4xresnet-14-9@g1)"),
        ("4xresnet-14-9", Method.SNAPSHOT, "4 ResNets of depth 14 and width 9 (4xresnet-14-9 snapshot)"),
        # What one depth and one width do not describe.
        ("resnet-8-10+resnet-20-5", Method.FULL_DATA, "resnet-8-10+resnet-20-5"),
        ("V5@g1", Method.MOTHERNETS, "V5@g1"),
        ("2xvgg-16-64~b3l2:5x384", Method.FULL_DATA, "2xvgg-16-64~b3l2:5x384"),
    ],
)
def test_a_design_is_named_in_words_and_as_the_table_names_it(design, method, said):
    assert in_words(NamedDesign(design=design, method=method)) == said


def test_probes_are_listed_with_the_weight_decay_that_is_not_the_recipe_s():
    shown = io.StringIO()
    listed = ListedProbe(
        number=1,
        dataset="digits",
        design="resnet-14-9",
        epochs=20,
        share_of_images=1.0,
        error=0.02,
        finished_at="2026-01-01T00:00:00",
        seconds=3.0,
        networks_kept=True,
    )
    probes = (listed, replace(listed, number=2, tuned_weight_decay=3e-3))
    Console(file=shown, width=80).print(probe_list(ProbeList(probes=probes)))
    assert shown.getvalue().count("weight decay") == shown.getvalue().count("weight decay 3e-3") == 1
