"""The curves of a run: validation errors of every network and of the ensemble, and members' disagreement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import altair as alt

from advisor.plans.plan import Role, named
from advisor.plans.records import RunStatus
from cli.render.formats import duration, percent
from cli.web.charts.error_axis import error_axis
from cli.web.charts.theme import (
    ENSEMBLE,
    FIFTH,
    FOURTH,
    SINGLE,
    SMALL,
    TEXT,
    THIRD,
    chart_of,
    finished,
)
from cli.workflows.answers.runs.curves import CurvePoint, NetworkCurve, RunCurves
from cli.workflows.runs.watching.sample import even_sample

SIZE, LOWER = {"width": 560, "height": 300}, {"width": 560, "height": 90}
# Points of all lines together, and of one line at least.
MOST_POINTS, LEAST_POINTS = 3000, 12
COLOURS = ("#0072B2", SINGLE, THIRD, FOURTH, ENSEMBLE, "#8C6D31")
OTHER, BAND, GUESS = "#777777", "#BBBBBB", FIFTH
DASHES = {Role.MOTHER: [5, 3], Role.MEMBER: [1, 0], Role.JOINT: [1, 0], Role.TEACHER: [1, 2]}
NAMES = {
    Role.MOTHER: "mother network",
    Role.MEMBER: "member",
    Role.JOINT: "joint network",
    Role.TEACHER: "teacher",
}
ONE = "networks"
MEAN, AVERAGED = "mean of members", "ensemble"
PREDICTED, ACTUAL = "test error, forecast", "test error, actual"
# Least end of the axis as a share of the least error: an interval may go down to nearly nothing.
BELOW = 0.25
# Room beyond the last epoch, as a factor.
RIGHT = 1.02
Rows = list[dict[str, Any]]


def run_curves_chart(answer: RunCurves, today: date) -> alt.VConcatChart:
    """Return the curves of a run as a chart.

    Args:
        answer: the curves.
        today: date for the caption.
    """
    last = max([1.0, *(n.start + n.planned_epochs for n in answer.networks)])
    x = alt.X(
        "epoch:Q",
        title="epochs, those of the mother network included" if _hatchings(answer) else "epoch",
        scale=alt.Scale(domain=[0, RIGHT * last], nice=False),
        axis=alt.Axis(format="d", tickMinStep=1, grid=False),
    )
    panels = [_errors(answer, x)]
    shares = [
        {"epoch": p.epoch, "share": 100 * p.disagreement}
        for p in answer.ensemble
        if p.disagreement is not None
    ]
    if shares:
        panels.append(_disagreement(shares, x, _hatchings(answer)))
    chart: alt.VConcatChart = alt.VConcatChart(vconcat=panels, spacing=14)
    return finished(
        chart, f"Run {answer.run}: {named(answer.design, answer.method)}", _caption(answer, today)
    )


def _caption(answer: RunCurves, today: date) -> list[str]:
    progress = answer.progress
    state = f"{answer.status}, {progress.epochs_done} of {progress.epochs_planned:.0f} epochs"
    if answer.status is not RunStatus.DONE and progress.seconds_left is not None:
        left = progress.seconds_left
        state += f", {duration(left.mean)} left ({duration(left.low)} to {duration(left.high)})"
    drawn = ["error on validation images after every epoch"]
    if answer.predicted_test_error is not None:
        drawn.append("band: 90 % interval of the forecast")
    if _hatchings(answer):
        drawn.append("dotted: hatching")
    return [
        f"{answer.epochs} epochs of {answer.dataset} on {answer.device}; {state}, {today.isoformat()}",
        "; ".join(drawn).capitalize(),
    ]


def _errors(answer: RunCurves, x: alt.X) -> alt.LayerChart:
    lines, colours = _lines(answer)
    mean = _mean(answer)
    seen = [row["error"] for row in (*lines, *mean)]
    low, high = _ends(answer, seen)
    y = error_axis("error", low, high)
    if answer.predicted_test_error is not None:
        colours[PREDICTED] = BAND
    if answer.test_error is not None:
        colours[ACTUAL] = GUESS
    if mean:
        colours[mean[0]["line"]] = "#000000"
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    legend = alt.Legend(symbolType="stroke", symbolStrokeWidth=3, symbolSize=180, symbolOpacity=1)
    colour = alt.Color("line:N", title=None, scale=scale, legend=legend)
    layers = [*_test_error(answer, y, colour), *_marks(answer, x)]
    if lines:
        layers += _curves(answer, lines, x, y, colour)
    else:
        layers.append(_nothing_yet(x, y, math.sqrt(low * high)))
    if mean:
        thick = chart_of(mean).mark_line(strokeWidth=3.5, clip=True, point=_lonely(mean))
        layers.append(thick.encode(x=x, y=y, color=colour))
    found: alt.LayerChart = alt.LayerChart(layer=layers).properties(**SIZE)
    return found


def _nothing_yet(x: alt.X, y: alt.Y, level: float) -> alt.Chart:
    """Return the words that stand where curves will be."""
    text = chart_of([{"epoch": 0, "error": level, "text": "no epoch yet"}])
    found: alt.Chart = text.mark_text(align="left", dx=20, dy=-12, fontSize=TEXT).encode(
        x=x, y=y, text="text:N"
    )
    return found


def _ends(answer: RunCurves, seen: Sequence[float]) -> tuple[float, float]:
    """Return least and largest error of the axis in percent."""
    known = [*seen, *([_shown(answer, answer.test_error)] if answer.test_error is not None else [])]
    predicted = answer.predicted_test_error
    if not known:
        known = [_shown(answer, predicted.mean)] if predicted is not None else [1.0, 100.0]
    least, most = min(known), max(known)
    if predicted is not None:
        least = min(least, max(_shown(answer, predicted.low), BELOW * least))
        most = max(most, _shown(answer, predicted.high))
    return least / 1.08, min(most * 1.05, 100.0)


def _shown(answer: RunCurves, share: float) -> float:
    """Return an error in percent; no error at all is half an image, which a logarithm has."""
    return 100 * max(share, 0.5 / answer.validation_images)


def _lines(answer: RunCurves) -> tuple[Rows, dict[str, str]]:
    """Return the points of every network, and the colours of the lines by their names in the legend."""
    networks = {n.name: n for n in answer.networks}
    trained = [n for n in answer.networks if n.points]
    most = max(MOST_POINTS // max(len(trained), 1), LEAST_POINTS)
    clusters = sorted({n.cluster for n in answer.networks if n.cluster is not None})
    several = 1 < len(clusters) <= len(COLOURS)
    colours = {
        _line_of(n, several): COLOURS[(n.cluster or 1) - 1] if several else COLOURS[0]
        for n in sorted(trained, key=lambda n: n.cluster or 0)
        if n.cluster is not None
    }
    rows: Rows = []
    for network in trained:
        if network.cluster is None:
            colours[_line_of(network, several)] = OTHER
        for point in even_sample(_joined(network, networks), most):
            if point.validation_error is not None:
                rows.append(_row(answer, network, point, _line_of(network, several)))
    return rows, colours


def _line_of(network: NetworkCurve, several: bool) -> str:
    if network.cluster is None:
        return NAMES[network.role]
    return f"cluster {network.cluster}" if several else ONE


def _joined(network: NetworkCurve, networks: dict[str, NetworkCurve]) -> list[CurvePoint]:
    """Return the points of a network, from where the one that it was grown from ended."""
    points = list(network.points)
    mother = networks.get(network.mother or "")
    if mother is not None and mother.points and mother.points[-1].epoch == network.start:
        points.insert(0, mother.points[-1])
    return points


def _row(answer: RunCurves, network: NetworkCurve, point: CurvePoint, line: str) -> dict[str, Any]:
    error = point.validation_error or 0.0
    return {
        "network": network.name,
        "shape": network.network,
        "role": NAMES[network.role],
        "line": line,
        "epoch": point.epoch,
        "error": round(_shown(answer, error), 4),
        "validation error": percent(error),
        "training error": "–" if point.train_error is None else percent(point.train_error),
    }


def _mean(answer: RunCurves) -> Rows:
    """Return the ensemble by epoch: its error where the database knows it, else the mean of its members."""
    if len([n for n in answer.networks if n.role is Role.MEMBER]) < 2:
        return []
    own = [(p.epoch, p.validation_error) for p in answer.ensemble if p.validation_error is not None]
    mean = [(p.epoch, p.mean_member_error) for p in answer.ensemble if p.mean_member_error is not None]
    return [
        {"line": AVERAGED if own else MEAN, "epoch": epoch, "error": round(_shown(answer, error), 4)}
        for epoch, error in even_sample(own or mean, MOST_POINTS // 6)
    ]


def _curves(answer: RunCurves, lines: Rows, x: alt.X, y: alt.Y, colour: alt.Color) -> list[alt.Chart]:
    roles = [role for role in Role if any(row["role"] == NAMES[role] for row in lines)]
    dash = alt.StrokeDash(
        "role:N",
        title=None,
        scale=alt.Scale(domain=[NAMES[r] for r in roles], range=[DASHES[r] for r in roles]),
        legend=None if roles == [Role.MEMBER] else alt.Legend(symbolStrokeColor="#333", symbolSize=400),
    )
    tooltip = [
        alt.Tooltip(f"{name}:N")
        for name in ("network", "shape", "epoch", "validation error", "training error")
    ]
    many = len({row["network"] for row in lines}) > len(COLOURS)
    data = chart_of(lines)
    return [
        data.mark_line(strokeWidth=1 if many else 1.6, opacity=0.75, clip=True).encode(
            x=x, y=y, color=colour, strokeDash=dash, detail="network:N"
        ),
        data.mark_point(filled=True, size=8 if many else 14, opacity=0.75, clip=True).encode(
            x=x, y=y, color=colour, tooltip=tooltip
        ),
    ]


def _lonely(rows: Rows) -> Any:
    """Return the points of a line, which alone show one that has no length."""
    return alt.OverlayMarkDef(size=70) if len(rows) == 1 else False


def _test_error(answer: RunCurves, y: alt.Y, colour: alt.Color) -> list[alt.Chart]:
    layers: list[alt.Chart] = []
    predicted = answer.predicted_test_error
    if predicted is not None:
        low, mean, high = (_shown(answer, e) for e in (predicted.low, predicted.mean, predicted.high))
        data = chart_of([{"line": PREDICTED, "error": low, "high": high, "mean": mean}])
        layers.append(data.mark_rect(opacity=0.35, clip=True).encode(y=y, y2="high:Q", color=colour))
        layers.append(data.mark_rule(color="#666", strokeWidth=1, clip=True).encode(y=alt.Y("mean:Q")))
    if answer.test_error is not None:
        data = chart_of([{"line": ACTUAL, "error": _shown(answer, answer.test_error)}])
        layers.append(data.mark_rule(strokeWidth=2, clip=True).encode(y=y, color=colour))
    return layers


def _hatchings(answer: RunCurves) -> list[int]:
    """Return the epochs at which members are hatched from mother networks."""
    mothers = {n.name for n in answer.networks if n.role is Role.MOTHER}
    return sorted({n.start for n in answer.networks if n.mother in mothers})


def _marks(answer: RunCurves, x: alt.X) -> list[alt.Chart]:
    epochs = _hatchings(answer)
    if not epochs:
        return []
    data = chart_of([{"epoch": epoch, "text": "hatching"} for epoch in epochs])
    return [
        data.mark_rule(strokeDash=[2, 3], color="#333").encode(x=x),
        data.mark_text(align="right", baseline="top", dx=-4, dy=3, fontSize=SMALL, color="#333").encode(
            x=x, y=alt.value(0), text="text:N"
        ),
    ]


def _disagreement(shares: Rows, x: alt.X, hatchings: Sequence[int]) -> alt.LayerChart:
    y = alt.Y("share:Q", title=["members", "disagree, %"], axis=alt.Axis(tickCount=4))
    data = chart_of(even_sample(shares, MOST_POINTS // 6))
    layers = [
        data.mark_line(color="black", point=alt.OverlayMarkDef(size=16, color="black")).encode(x=x, y=y)
    ]
    if hatchings:
        marked = chart_of([{"epoch": epoch} for epoch in hatchings])
        layers.append(marked.mark_rule(strokeDash=[2, 3], color="#333").encode(x=x))
    found: alt.LayerChart = alt.LayerChart(layer=layers).properties(**LOWER)
    return found
