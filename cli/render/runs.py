"""Runs as tables for a person.

Classes of answers are imported for type checkers only: `runs list` must not import numpy, which some need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from cli.render.formats import bounds, dollars, duration, or_dash, percent, size, table

if TYPE_CHECKING:
    from advisor.estimate import Estimate
    from cli.workflows.answers.runs.listing import RunList
    from cli.workflows.answers.runs.run import EnsembleFigures, NavigationPath, Run, RunStep

# Figures of the test set by label, all shares: errors of other combinations of the members, parts of the
# error, and the calibration of the probabilities. `runs show` and `runs compare` show all of them.
RIVALS = (("voting", "voting_error"), ("super learner", "super_learner_error"))
PARTS = (
    ("best member", "best_member_error"),
    ("mean member", "mean_member_error"),
    ("oracle", "oracle_error"),
    ("disagreement", "disagreement"),
)
CONFIDENCE = (("calibration error", "calibration_error"),)


def run_list(answer: RunList) -> RenderableType:
    """Return a row for each run."""
    if not answer.runs:
        return Text("no runs (advisor train makes one)")
    return table(
        "",
        [
            ("run", "r"),
            ("status", "l"),
            ("design", "l"),
            ("data", "l"),
            ("epochs", "r"),
            ("test error", "r"),
            ("training", "r"),
            ("created", "l"),
        ],
        [
            [
                str(r.id),
                r.status,
                r.design,
                r.dataset,
                str(r.epochs),
                or_dash(r.test_error, percent),
                or_dash(r.train_seconds, duration),
                r.created_at[:10],
            ]
            for r in answer.runs
        ],
        shortened=("design", "data"),
    )


# Line below predicted and actual figures.
BUSY = "The machine was busy: the forecast is for its usual speed, and these seconds are no evidence."


def run(r: Run) -> RenderableType:
    """Return one run: outcome, predicted beside actual, networks and steps."""
    head = (
        f"run {r.id}: {r.design} on {r.dataset}, {r.epochs} epochs, {r.method}, "
        f"augmentation {r.augmentation}, seed {r.seed}"
    )
    state = r.status + (f" ({r.message})" if r.message else "")
    parts: list[RenderableType] = [Text(head, style="bold"), Text(state)]
    if r.test is not None:
        parts.append(Text(_outcome(r.test)))
    if r.hint is not None:
        parts.append(Text(f"Hint: {r.hint}."))
    if r.navigation is not None:
        parts += ["", _path(r.navigation)]
    parts += ["", _predicted_and_actual(r)]
    if r.busy_machine:
        parts.append(Text(BUSY, style="dim"))
    parts += ["", _networks(r), "", _steps(r.steps)]
    return Group(*parts)


def run_with_classes(r: Run) -> RenderableType:
    """Return one run as `run` does, then its errors by class, or how to get them for a run that has none."""
    from cli.render.evaluation.class_errors import errors_by_class

    if r.test is None:
        return run(r)
    if r.by_class is None:
        hint = f"Errors by class were not stored when this run ended: advisor predict {r.id} --test"
        return Group(run(r), "", Text(hint, style="dim"))
    return Group(run(r), "", errors_by_class(r.by_class))


def _outcome(test: EnsembleFigures) -> str:
    """Return a line on the ensemble's error, one on its members and calibration, one on smaller ensembles.

    Figures that an older run lacks are left out.
    """
    members = len(test.member_errors)
    error = f"test error {percent(test.error)}"
    likelihood = f"negative log-likelihood {test.nll:.3f}"
    calibration = [*_known(test, *CONFIDENCE), likelihood]
    if members == 1:
        return ", ".join([error, *calibration])
    rivals, parts = _known(test, *RIVALS), _known(test, *PARTS)
    return "\n".join(
        [
            ", ".join([f"{error} averaged over {members} members", *rivals]),
            ", ".join([*parts, *calibration]),
            *_by_members(test.errors_by_members),
        ]
    )


def _by_members(errors: Sequence[float] | None) -> list[str]:
    """Return a line of the errors of 1, 2, 4, … and all members, or none where they are not known."""
    if errors is None:
        return []
    counts = [*(2**i for i in range((len(errors) - 1).bit_length())), len(errors)]
    return ["error by members  " + "  ".join(f"{k}: {percent(errors[k - 1])}" for k in counts)]


def _known(test: EnsembleFigures, *figures: tuple[str, str]) -> list[str]:
    values = ((label, getattr(test, name)) for label, name in figures)
    return [f"{label} {percent(value)}" for label, value in values if value is not None]


def _path(path: NavigationPath) -> RenderableType:
    """Return the stages of a path: number of clusters, error against time, and what was split."""
    priced = any(stage.total_usd is not None for stage in path.stages)
    return table(
        "",
        [
            *(("run", "r"), ("g", "r"), ("validation error", "r"), ("time in all", "r")),
            *([("USD in all", "r")] if priced else []),
            ("new mother for", "l"),
        ],
        [
            [
                str(stage.run),
                str(stage.clusters),
                percent(stage.validation_error),
                duration(stage.total_seconds),
                *([or_dash(stage.total_usd, dollars)] if priced else []),
                ", ".join(stage.renewed) or "–",
            ]
            for stage in path.stages
        ],
        shortened=("new mother for",),
    )


def _predicted_and_actual(r: Run) -> RenderableType:
    p, test = r.predicted, r.test
    peaks = [s.peak_bytes for s in r.steps if s.peak_bytes]
    at_once = sorted(peaks, reverse=True)[: r.execution.processes]
    beyond = p.overhead_seconds if p else None
    rows: list[tuple[str, Estimate | None, Callable[[float], str], float | None]] = [
        ("training", p.train_seconds if p else None, duration, r.train_seconds or None)
    ]
    if beyond is not None or r.overhead_seconds is not None:
        rows.append(("starting, storing, evaluating", beyond, duration, r.overhead_seconds))
    if r.price_per_hour_usd is not None:
        rows.append(("training, USD", p.cost_usd if p else None, dollars, r.cost_usd))
    rows += [
        ("peak memory", p.train_peak_bytes if p else None, size, sum(at_once) or None),
        ("test error", p.test_error if p else None, percent, test.error if test else None),
    ]
    return table(
        "",
        [("", "l"), ("predicted", "r"), ("90 % interval", "r"), ("actual", "r")],
        [
            [
                name,
                "–" if estimate is None else form(estimate.mean),
                "–" if estimate is None else bounds(estimate, form),
                or_dash(actual, form),
            ]
            for name, estimate, form, actual in rows
        ],
    )


def _networks(r: Run) -> RenderableType:
    converging = any(n.predicted_epochs is not None for n in r.networks)
    expected = [("predicted", "r")] if converging else []
    return table(
        "",
        [
            *(("network", "l"), ("shape", "l"), ("epochs", "r")),
            *expected,
            *(("train error", "r"), ("validation error", "r")),
        ],
        [
            [
                n.name,
                n.network,
                str(n.epochs),
                *([_predicted_epochs(n.predicted_epochs)] if converging else []),
                or_dash(n.train_error, percent),
                or_dash(n.validation_error, percent),
            ]
            for n in r.networks
        ],
    )


def _predicted_epochs(epochs: Estimate | None) -> str:
    return "–" if epochs is None else f"{epochs.mean:.0f} ({bounds(epochs, '{:.0f}'.format)})"


def _steps(steps: Sequence[RunStep]) -> RenderableType:
    return table(
        "",
        [
            ("step", "l"),
            ("status", "l"),
            ("predicted", "r"),
            ("actual", "r"),
            ("peak", "r"),
            ("hatching difference", "r"),
        ],
        [
            [
                s.step,
                (s.status or "not done") + (f": {s.message}" if s.message else ""),
                "–" if s.predicted_seconds is None else duration(s.predicted_seconds.mean),
                or_dash(s.actual_seconds, duration),
                or_dash(s.peak_bytes, size),
                or_dash(s.hatch_difference, lambda value: f"{value:.1e}"),
            ]
            for s in steps
        ],
    )
