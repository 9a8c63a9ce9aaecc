"""The answer of `advisor recommend` as tables for a person."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.text import Text

from advisor.decision.ranking import Objective
from advisor.decision.reasons import Evidence
from advisor.decision.threshold.switchover import Switchover
from advisor.decision.weight_decay import weight_decay_words
from advisor.designs.design import DesignClass
from advisor.errors import require_entries
from advisor.estimate import Estimate
from advisor.plans.method_traits import BY_CLUSTERS
from cli.render.formats import (
    count,
    design_lines,
    duration,
    epochs_text,
    interval,
    or_dash,
    percent,
    size,
    table,
    usd_line,
)
from cli.render.reasons import length, measure_next, total_size, why, would_change
from cli.render.verdict import ELSEWHERE, verdict_lines
from cli.workflows.answers.advise.advice import Advice, AdvisedDesign, Verdict

# Rule of the ranking by objective.
_RANKED = {
    Objective.ERROR: "by expected error",
    Objective.NLL: "by expected negative log-likelihood of the averaged probabilities, nats",
    Objective.TIME: "by time, those first that likely match the {reference}",
    Objective.BALANCED: "by error x seconds^0.1: ten times the training must buy a fifth less",
}
# What a training of a tie with rank 1 has a chance of, by objective.
_TIED = {
    Objective.ERROR: "to have less error",
    Objective.NLL: "to have the smaller nll",
    Objective.TIME: "to be sooner trained",
    Objective.BALANCED: "to be better balanced",
}
require_entries("cli/render/advice.py: _RANKED", _RANKED, Objective)
require_entries("cli/render/advice.py: _TIED", _TIED, Objective)
ENDS = "Median (90 % interval); ≤ and >: at an end of what was looked at, or beyond it."
# Mark of a design that is ranked behind for want of a training of its family on the data.
UNTRIED = "untried here"
# Mark of a design whose networks a probe has trained.
TRAINED = "trained already"
_SHORT = {
    DesignClass.SINGLE: "single",
    DesignClass.DEPTH_EQUIVALENT: "deq",
    DesignClass.WIDTH_EQUIVALENT: "weq",
    DesignClass.MIXED: "mixed",
}


def recommendation(advice: Advice) -> RenderableType:
    """Return verdict, ranking, reasons, what would change it, the thresholds and the next command."""
    request, rows, known = advice.request, advice.recommendations, advice.verdict.known
    # A line of 80 characters has room for one of the two.
    by_likelihood = request.objective is Objective.NLL
    ranking = table(
        f"{request.budget} parameters, {epochs_text(request.epochs, request.used_patience)} of "
        f"{request.dataset}, "
        f"batch {request.batch}, by {request.objective}",
        [
            ("#", "r"),
            ("design\nclass, size", "l"),
            ("test\nerror", "r"),
            ("beats\nsingle", "r"),
            ("training\nUSD" if request.price_per_hour_usd else "training\n", "r"),
            ("nll,\nnats" if by_likelihood else "epoch\n", "r"),
            ("memory\nlatency", "r"),
        ],
        [_recommendation_row(row, known=known, by_likelihood=by_likelihood) for row in rows],
    )
    parts: list[RenderableType] = [Text(line, style="bold") for line in verdict_lines(advice.verdict)]
    parts += ["", ranking, Text(_legend(advice), style="dim")]
    parts += ["", *why(rows, known=known), *would_change(advice.would_change, known=known)]
    parts += measure_next(advice.measure_next, known=known)
    parts += ["", _thresholds(advice), Text(ENDS if known else f"{ENDS}\n{ELSEWHERE}.", style="dim")]
    parts += ["", Text(_basis(rows[0].evidence, advice), style="dim")]
    parts.append(Text(_augmentation(advice), style="dim"))
    if advice.cluster is not None:
        kinds = len(advice.cluster.kinds)
        parts.append(
            Text(
                f"Times are those of the cluster {advice.cluster.cluster}: {advice.cluster.slots} slots on "
                f"{kinds} kind{'s' * (kinds != 1)} of nodes; memory and latency are those of this machine."
                if kinds
                else "Times are those of this machine: nothing was measured on the nodes of the cluster.",
                style="dim",
            )
        )
    parts += ["", Text(_next(advice.verdict))]
    return Group(*parts)


def _next(verdict: Verdict) -> str:
    """Return the command that trains the design of the verdict."""
    command = "advisor train" if verdict.rank == 1 else f"advisor train --rank {verdict.rank}"
    return f"Next: {command:<22} (or advisor explain; --rank N for another row)"


def _augmentation(advice: Advice) -> str:
    used = advice.request.used_augmentation
    flips = ", which makes left and right alike" if used.flips else ""
    return f"Augmentation {used}{flips} (--augment)."


def _legend(advice: Advice) -> str:
    """Return an explanation of the ranking's columns, in lines of at most 80 characters."""
    reference = next(row for row in advice.recommendations if row.reference)
    single = reference.design_class is DesignClass.SINGLE
    ranked = _RANKED[advice.request.objective].format(
        reference="best single network" if single else "most accurate one"
    )
    beats = "chance that one training has less error than the best single (–)"
    elsewhere = "" if advice.verdict.known else f", {ELSEWHERE[0].lower()}{ELSEWHERE[1:]}"
    lines = [f"Ranked {ranked}{elsewhere}."]
    if any(row.tie for row in advice.recommendations):
        lines.append(
            f"= ties with 1: chance {_TIED[advice.request.objective]} at least 1 in 5; cheapest first."
        )
    if any(row.untried for row in advice.recommendations):
        lines.append("untried here: behind families of which more is known on this data.")
    if any(row.networks_exist for row in advice.recommendations):
        lines.append(f"{TRAINED}: by a probe; its error is that of these networks.")
    lines += [
        f"Beats single: {beats if single else 'no single network keeps the limits'}.",
        "deq, weq: depth- and width-equivalent ensemble, mixed: of several shapes.",
        "* is nearest the switchover threshold; latency is of one image; 90 % intervals.",
    ]
    if (price := advice.request.price_per_hour_usd) is not None:
        lines.append(f"USD: hours of training at {price:g} USD an hour.")
    return "\n".join(lines)


def _recommendation_row(row: AdvisedDesign, *, known: bool, by_likelihood: bool) -> list[str]:
    """Return the cells of a row; its error is left out where nothing is known of the data."""
    predicted = row.predicted
    mark = " *" if row.near_threshold else ""
    method = "" if row.method in BY_CLUSTERS else row.method
    decay = row.tuned_weight_decay
    lines = [
        f"{design_lines(row.design)}{mark}",
        ", ".join(filter(None, [_SHORT[row.design_class], count(row.parameters), method])),
        "" if decay is None else weight_decay_words(decay),
        UNTRIED if row.untried else "",
        TRAINED if row.networks_exist else "",
    ]
    return [
        f"{row.rank}{' =' * row.tie}",
        "\n".join(filter(None, lines)),
        interval(predicted.test_error, percent) if known else "?",
        or_dash(row.probability_beats_single, "{:.0%}".format),
        interval(predicted.train_seconds, duration) + usd_line(predicted.cost_usd),
        interval(predicted.test_nll, "{:.2g}".format)
        if by_likelihood
        else duration(predicted.epoch_seconds.mean),
        f"{size(predicted.memory_bytes.mean)}\n{duration(predicted.inference_ms_per_image.mean / 1000)}",
    ]


def _thresholds(advice: Advice) -> RenderableType:
    request = advice.request
    return table(
        "Switchover threshold: from here on k members beat one network of their size",
        [
            ("family", "l"),
            ("k", "r"),
            (f"parameters at {request.epochs} epochs", "r"),
            (f"epochs at {request.budget}", "r"),
            ("past it", "r"),
        ],
        [
            [
                s.family,
                str(s.members),
                _with_interval(s, s.parameters, total_size),
                _with_interval(s, s.epochs, length),
                f"{s.probability_past:.0%}",
            ]
            for s in advice.switchover
        ],
    )


def _with_interval(threshold: Switchover, at: Estimate, form: Callable[[float, Switchover], str]) -> str:
    """Return a threshold along one axis with its interval; ends of the searched range are marked ≤ or >."""
    mean, low, high = (form(value, threshold) for value in (at.mean, at.low, at.high))
    return f"{mean} ({low}–{high})"


def _basis(evidence: Evidence, advice: Advice) -> str:
    """Return a sentence on the evidence behind the predicted costs and errors."""
    made, search = advice.profile, advice.search
    errors = "published figures only: this database has no finished or imported training yet"
    runs, look = evidence.runs, " and simple classifiers on this data" if evidence.level else ""
    if runs:
        errors = (
            f"published figures{look} and {runs} training{'s' * (runs > 1)} of this database "
            f"({_on_dataset(evidence)} on this data)"
        )
    elif evidence.level:
        errors = f"published figures{look}: this database has no finished or imported training yet"
    if not evidence.known:
        errors = "nothing that is known of this data"
    costs = "a formula that knows no machine: nothing has been measured on this one"
    if evidence.cost != "nominal":
        number, new = evidence.measurements, made.measurements_new
        costs = f"{number} measurement{'s' * (number != 1)} of this machine under the settings chosen for it"
        if new:
            costs += f" ({new} made now in {made.seconds:.0f} s, of all settings)"
    if evidence.unmeasured:
        costs += f", never of {', '.join(evidence.unmeasured)}"
    return (
        f"Costs rest on {costs}, errors on {errors}. "
        f"The search looked at {search.designs} designs in {search.seconds:.1f} s."
    )


def _on_dataset(evidence: Evidence) -> str:
    """Return the number of trainings on the data, by family."""
    families = ", ".join(f"{number} of {family}" for family, number in sorted(evidence.families.items()))
    number = evidence.runs_on_dataset
    # A training with members of several families counts for each family.
    return families if sum(evidence.families.values()) == number > 0 else f"{number}: {families}".rstrip(": ")
