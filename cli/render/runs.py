"""Runs as tables for a person, from the very JSON that `--json` prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from rich.console import Group, RenderableType
from rich.text import Text

from cli.render.formats import Plain, bounds, count, duration, or_dash, percent, size, table

# Figures of the test set by label, all shares: other ways to combine the members, what stands behind the
# error, and how far the probabilities can be trusted. `runs show` and `runs compare` show every one of them.
RIVALS = (("voting", "voting_error"), ("super learner", "super_learner_error"))
PARTS = (
    ("best member", "best_member_error"),
    ("mean member", "mean_member_error"),
    ("oracle", "oracle_error"),
    ("disagreement", "disagreement"),
)
CONFIDENCE = (("calibration error", "calibration_error"),)


def run_list(payload: Plain) -> RenderableType:
    """One line a run."""
    if not payload["runs"]:
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
                str(r["id"]),
                r["status"],
                r["design"],
                r["dataset"],
                str(r["epochs"]),
                or_dash(r["test_error"], percent),
                or_dash(r["train_seconds"], duration),
                str(r["created_at"])[:10],
            ]
            for r in payload["runs"]
        ],
    )


def run(payload: Plain) -> RenderableType:
    """One run: outcome, predicted beside actual, networks and steps."""
    r = payload["run"]
    head = (
        f"run {r['id']}: {r['design']} on {r['dataset']}, {r['epochs']} epochs, {r['method']}, "
        f"seed {r['seed']}"
    )
    state = r["status"] + (f" ({r['message']})" if r["message"] else "")
    parts: list[RenderableType] = [Text(head, style="bold"), Text(state)]
    if r["test"] is not None:
        parts.append(Text(_outcome(r["test"], len(r["test"]["member_errors"]))))
    parts += ["", _predicted_and_actual(r), "", _networks(r), "", _steps(r["steps"])]
    return Group(*parts)


def _outcome(test: Plain, members: int) -> str:
    """A line on the ensemble's error, one on what stands behind it and one on smaller ensembles.

    Older runs know less of each.
    """
    error = f"test error {percent(test['error'])}"
    likelihood = f"negative log-likelihood {test['nll']:.3f}"
    sureness = [*_known(test, *CONFIDENCE), likelihood]
    if members == 1:
        return ", ".join([error, *sureness])
    rivals, parts = _known(test, *RIVALS), _known(test, *PARTS)
    return "\n".join(
        [
            ", ".join([f"{error} averaged over {members} members", *rivals]),
            ", ".join([*parts, *sureness]),
            *_by_members(test["errors_by_members"]),
        ]
    )


def _by_members(errors: Sequence[float] | None) -> list[str]:
    """A line of errors of as many members as powers of two and as there are, if they are known."""
    if errors is None:
        return []
    counts = [*(2**i for i in range((len(errors) - 1).bit_length())), len(errors)]
    return ["error by members  " + "  ".join(f"{k}: {percent(errors[k - 1])}" for k in counts)]


def _known(test: Plain, *figures: tuple[str, str]) -> list[str]:
    return [f"{label} {percent(test[name])}" for label, name in figures if test[name] is not None]


def _predicted_and_actual(r: Plain) -> RenderableType:
    predicted = r["predicted"] or {}
    peaks = [s["peak_bytes"] for s in r["steps"] if s["peak_bytes"]]
    at_once = sorted(peaks, reverse=True)[: r["execution"]["processes"]]
    rows = [
        ["training", predicted.get("train_seconds"), duration, r["train_seconds"] or None],
        ["peak memory", predicted.get("train_peak_bytes"), size, sum(at_once) or None],
        ["test error", predicted.get("test_error"), percent, r["test"] and r["test"]["error"]],
    ]
    return table(
        "",
        [("", "l"), ("predicted", "r"), ("90 % interval", "r"), ("actual", "r")],
        [
            [
                name,
                "–" if p is None else form(p["mean"]),
                "–" if p is None else bounds(p, form),
                or_dash(actual, form),
            ]
            for name, p, form, actual in rows
        ],
    )


def _networks(r: Plain) -> RenderableType:
    return table(
        "",
        [("network", "l"), ("shape", "l"), ("epochs", "r"), ("train error", "r"), ("validation error", "r")],
        [
            [
                n["name"],
                n["network"],
                str(n["epochs"]),
                or_dash(n["train_error"], percent),
                or_dash(n["validation_error"], percent),
            ]
            for n in r["networks"]
        ],
    )


def _steps(steps: Sequence[Plain]) -> RenderableType:
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
                s["step"],
                (s["status"] or "not done") + (f": {s['message']}" if s["message"] else ""),
                "–" if s["predicted_seconds"] is None else duration(s["predicted_seconds"]["mean"]),
                or_dash(s["actual_seconds"], duration),
                or_dash(s["peak_bytes"], size),
                or_dash(s["hatch_difference"], lambda value: f"{value:.1e}"),
            ]
            for s in steps
        ],
    )


def comparison(payload: Plain) -> RenderableType:
    """Runs as columns."""
    runs = payload["runs"]
    lines: list[tuple[str, Callable[[Plain], str]]] = [
        ("design", lambda r: r["design"]),
        ("data", lambda r: r["dataset"]),
        ("epochs", lambda r: str(r["epochs"])),
        ("seed", lambda r: str(r["seed"])),
        ("status", lambda r: r["status"]),
        ("parameters", lambda r: count(r["parameters"])),
        ("training", lambda r: duration(r["train_seconds"])),
        ("test error", lambda r: _of_test(r, "error")),
        *((label, partial(_of_test, name=name)) for label, name in (*RIVALS, *PARTS, *CONFIDENCE)),
    ]
    columns = [("", "l"), *((f"run {r['id']}", "r") for r in runs)]
    return table("", columns, [[name, *(value(r) for r in runs)] for name, value in lines])


def _of_test(r: Plain, name: str) -> str:
    return "–" if r["test"] is None else or_dash(r["test"][name], percent)
