"""The verdict of an advice in words, which a person reads before the table."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.decision.reasons import points_in_words
from advisor.decision.weight_decay import weight_decay_words, with_weight_decay
from advisor.designs.design import parse_design
from advisor.errors import require_entries
from advisor.estimate import Estimate
from advisor.networks.families import FAMILIES
from advisor.plans.plan import named
from cli.workflows.answers.advise.advice import Verdict, VerdictKind
from cli.workflows.answers.advise.reasons import NamedDesign

UNKNOWN = (
    "Nothing is known of this data: no network was trained on it, and none has published errors. "
    "Errors are not shown."
)
# What a comparison rests on where nothing is known of the data.
ELSEWHERE = "By published studies of other data"
# Name of one network of a family; those of several have an s more.
WORDS = {
    "resnet": "ResNet",
    "wrn": "Wide ResNet",
    "densenet": "DenseNet",
    "vgg": "VGG",
    "mlp": "MLP",
}
require_entries("cli/render/verdict.py: WORDS", WORDS, FAMILIES)


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """Yield the verdict in words, after a line that nothing is known of the data where that is so."""
    if not verdict.known:
        yield UNKNOWN
    design, figures = in_words(verdict), _figures(verdict)
    train = "Train" if verdict.known else f"{ELSEWHERE}, train"
    match verdict.kind:
        case VerdictKind.ENSEMBLE | VerdictKind.SINGLE:
            yield f"{train} {design}: {figures}."
        case VerdictKind.EITHER:
            matters = "It does not matter here" if verdict.known else f"{ELSEWHERE} it does not matter"
            has = "has" if _is_single(verdict.design) else "have"
            yield f"{matters}: take {_tied(verdict)}. {design[0].upper()}{design[1:]} {has} {figures}."
        case VerdictKind.ONLY_ENSEMBLES:
            yield f"{train} {design}. There is no single network to compare it with."
        case VerdictKind.ONLY_SINGLES:
            yield f"{train} {design}. There is no ensemble to compare it with."


def _tied(verdict: Verdict) -> str:
    """Return which of two tied designs to take, and why."""
    if not _is_single(verdict.design):
        return "the ensemble, its networks are trained already"
    trained = " and trained already" if verdict.networks_exist else ""
    return f"the single network, it is simpler{trained}"


def _is_single(design: str) -> bool:
    return len(parse_design(design).members) == 1


def in_words(design: NamedDesign) -> str:
    """Return a design as "4 ResNets of depth 14 and width 9 (4xresnet-14-9)"; a mixture as its name alone.

    A weight decay that is not the recipe's follows: "with weight decay 3e-3".
    """
    return with_weight_decay(_network_words(design), design.tuned_weight_decay)


def _network_words(design: NamedDesign) -> str:
    parsed, name = parse_design(design.design), named(design.design, design.method)
    member = parsed.members[0]
    regular = member.name == f"{member.family}-{member.depth}-{member.width}"
    if not parsed.homogeneous or not regular:
        return name
    number, word = len(parsed.members), WORDS[member.family]
    networks = f"one {word}" if number == 1 else f"{number} {word}s"
    return f"{networks} of depth {member.depth} and width {member.width} ({name})"


def _figures(verdict: Verdict) -> str:
    """Return what the design has over the best one of the other kind, in words; empty where there is none."""
    trade, chance = verdict.trade, verdict.probability_less_error
    if trade is None or chance is None:
        return ""
    kind = "ensemble" if _is_single(verdict.design) else "single network"
    other, decay = named(trade.against.design, trade.against.method), trade.against.tuned_weight_decay
    against = f"the best {kind} ({other}{f', {weight_decay_words(decay)}' if decay is not None else ''})"
    times = f"in {_times(trade.train_times)} times its time"
    if not verdict.known:
        return f"less error than {against} with a chance of {_chance(chance)}, {times}"
    points = points_in_words(trade.points_less)
    return f"{points} than {against}, {times}; chance of less error {_chance(chance)}"


def _times(ratio: Estimate) -> str:
    mean, low, high = (
        f"{value:{'.2g' if value < 100 else ',.0f'}}" for value in (ratio.mean, ratio.low, ratio.high)
    )
    return mean if low == high else f"{mean} ({low}–{high})"


def _chance(probability: float) -> str:
    """Return a probability as a percentage; only certainty is 0 or 100 %."""
    if 0 < probability < 0.01:
        return "below 1%"
    return "above 99%" if 0.99 < probability < 1 else f"{probability:.0%}"
