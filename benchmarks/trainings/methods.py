"""MotherNets compared with other methods, all trained by this project on real data.

    python benchmarks/trainings/methods.py   # resumable; some hours on two cores
    python benchmarks/trainings/methods.py --quick  # one small ensemble on digits, one seed: under 10 minutes
    python benchmarks/trainings/methods.py --judge   # evaluates earlier trainings only

The ensembles are VGGs, ResNets and DenseNets of several shapes (`methods_train.py`), on digits and on 1,500
images of Fashion-MNIST at 14×14. Every method uses the same networks, batch, recipe and two processes. Chains
(Snapshot, FGE) can use one process only.

Errors are means over seeds with 90 % t-intervals. Seconds are the least over seeds, because other programs
can only add to them. Two methods are compared on the seeds that both have: the least seconds of one over the
least of the other, with the range of the ratios of single seeds. All seconds but `wall_seconds` are processor
time. `seconds` runs from the first step to the last on two cores, as the plan schedules the steps.
`core_seconds` is the sum of all steps. `wall_seconds` includes the effect of other programs.

Writes results/methods-cpu.json, methods-cpu.svg and methods-members-cpu.svg.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from methods_charts import draw
from methods_train import CUT, EQUAL, read, run
from scipy.stats import t as student

from trainer.ensembles.metrics import probability_covariance, variance_of_average

RESULTS = Path(__file__).parent / "results"


def interval(values: Sequence[float]) -> dict[str, float]:
    """Return the mean and half the width of its 90 % interval."""
    half = float("nan")
    if len(values) > 1:
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        half = float(student.ppf(0.95, len(values) - 1) * error)
    return {"mean": float(np.mean(values)), "half": half}


def by_seed(rows: Sequence[dict], method: str, key: str) -> dict[int, float]:
    return {r["seed"]: r[key] for r in rows if r["method"] == method}


def compared(rows: Sequence[dict], other: str, base: str = "mothernets g1") -> dict[str, object]:
    """Return the ratio of a method's seconds to those of MotherNets, and the difference of their errors.

    Both are taken on the seeds that the two have in common.
    """
    keys = ("seconds", "core_seconds", "error", "validation_error")
    figures = {key: (by_seed(rows, other, key), by_seed(rows, base, key)) for key in keys}
    seeds = sorted(set.intersection(*(set(found) for found in figures["seconds"])))
    if not seeds:
        return {}
    # By key, shape (methods, seeds): the other method first, then MotherNets.
    pairs = {key: np.array([[found[s] for s in seeds] for found in two]) for key, two in figures.items()}
    return {
        "seeds": len(seeds),
        "times_slower": _fastest_ratio(pairs["seconds"]),
        "range": _range_of_ratios(pairs["seconds"]),
        "core_times_slower": _fastest_ratio(pairs["core_seconds"]),
        "core_range": _range_of_ratios(pairs["core_seconds"]),
        "points_more_error": _points_more(pairs["error"]),
        "points_more_validation_error": _points_more(pairs["validation_error"]),
    }


def _fastest_ratio(pair: np.ndarray) -> float:
    least = pair.min(axis=1)
    return float(least[0] / least[1])


def _range_of_ratios(pair: np.ndarray) -> list[float]:
    ratios = pair[0] / pair[1]
    return [float(ratios.min()), float(ratios.max())]


def _points_more(pair: np.ndarray) -> dict[str, float]:
    return interval(100 * (pair[0] - pair[1]))


def claims(found: dict[str, dict]) -> list[dict[str, object]]:
    """Return the published claims by scenario: the measured figure and its verdict.

    The verdict on a difference of errors is open where the 90 % interval contains the limit.
    """
    rows = []
    for scenario, figures in found.items():
        against = figures["against_mothernets_g1"]
        for other, times, points in (
            ("full_data", 2.5, -0.5),
            (CUT, None, 0.0),
            ("distillation", 2.0, 0.0),
            ("bagging", 2.5, 0.0),
            (EQUAL, None, 0.0),
            ("shared_mothernets", None, None),
            ("treenets", 1.0, None),
        ):
            seen = against.get(other)
            if not seen:
                continue
            more = seen["points_more_error"]
            rows.append(
                {
                    "scenario": scenario,
                    "against": other,
                    "seeds": seen["seeds"],
                    "times_slower": seen["times_slower"],
                    "range": seen["range"],
                    "core_times_slower": seen["core_times_slower"],
                    "time": None if times is None else _verdict(seen["range"], times),
                    "points_more_error": more,
                    "error": None if points is None else _verdict(_ends(more), points),
                }
            )
    return rows


def _ends(figure: dict[str, float]) -> list[float]:
    return [figure["mean"] - figure["half"], figure["mean"] + figure["half"]]


def _verdict(ends: Sequence[float], least: float) -> str:
    if not ends[0] <= ends[1]:
        return "one run"
    return "holds" if ends[0] >= least else "does not" if ends[1] < least else "open"


def covariances(root: Path, scenario: str, method: str) -> dict[str, object] | None:
    """Return variance and covariance of the true-class probability over repeated trainings.

    The variance of the average follows from them, and is measured for comparison.
    """
    name = f"{scenario} {method}".replace(" ", "-")
    files = sorted((root / "probabilities").glob(f"{name}-[0-9].npy"))
    if len(files) < 2:
        return None
    repeats = np.stack([np.load(file).astype(np.float64) for file in files])
    matrix = probability_covariance(repeats)
    if len(matrix) < 2:
        return None
    pairs = matrix[~np.eye(len(matrix), dtype=bool)]
    averages = repeats.mean(axis=1)
    return {
        # Only small ensembles have the matrix: 25 by 25 figures add nothing to their mean.
        "matrix": np.round(matrix, 5).tolist() if len(matrix) <= 6 else None,
        "variance": float(np.diag(matrix).mean()),
        "covariance": float(pairs.mean()),
        "share": float(pairs.mean() / np.diag(matrix).mean()),
        "variance_of_average": variance_of_average(matrix),
        "measured_variance_of_average": float(averages.var(axis=0, ddof=1).mean()),
    }


def summary(rows: Sequence[dict], root: Path) -> dict[str, dict]:
    """Return the figures of every scenario and method."""
    found: dict[str, dict] = {}
    for scenario in dict.fromkeys(r["scenario"] for r in rows):
        own = [r for r in rows if r["scenario"] == scenario]
        methods = {}
        for method in dict.fromkeys(r["method"] for r in own):
            same = [r for r in own if r["method"] == method]
            keys = (
                "error",
                "voting",
                "super_learner",
                "oracle",
                "mean_member",
                "calibration",
                "disagreement",
                "validation_error",
            )
            methods[method] = {
                "runs": len(same),
                "epochs": same[0]["epochs"],
                "design": same[0]["design"],
                "parameters": same[0]["parameters"],
                # The minimum counts, because other programs can only add to the time.
                "seconds": min(r["seconds"] for r in same),
                "core_seconds": min(r["core_seconds"] for r in same),
                "network_seconds": {
                    n: min(r["network_seconds"].get(n, 0.0) for r in same) for n in same[0]["network_seconds"]
                },
                "errors_by_members": np.mean([r["errors_by_members"] for r in same], axis=0).tolist(),
                **{key: interval([r[key] for r in same]) for key in keys},
                "covariance": covariances(root, scenario, method),
            }
        others = [m for m in methods if m != "mothernets g1"]
        found[scenario] = {
            "methods": methods,
            "against_mothernets_g1": {m: compared(own, m) for m in others if "mothernets g1" in methods},
        }
    return found


def show(found: dict[str, dict]) -> None:
    for scenario, figures in found.items():
        print(f"\n{scenario}: {next(iter(figures['methods'].values()))['design'][:90]}")
        print(
            f"{'method':36}{'runs':>5}{'seconds':>9}{'× g1':>7}{'error %':>16}{'member':>8}{'oracle':>8}"
            f"{'cov':>6}"
        )
        order = sorted(figures["methods"].items(), key=lambda item: item[1]["seconds"])
        for method, m in order:
            against = figures["against_mothernets_g1"].get(method) or {}
            share = m["covariance"]["share"] if m["covariance"] else float("nan")
            error = f"{100 * m['error']['mean']:.2f} ± {100 * m['error']['half']:.2f}"
            print(
                f"{method:36}{m['runs']:5}{m['seconds']:9.1f}{against.get('times_slower', 1.0):7.2f}"
                f"{error:>16}{100 * m['mean_member']['mean']:8.2f}{100 * m['oracle']['mean']:8.2f}"
                f"{share:6.2f}"
            )


def show_claims(rows: Sequence[dict]) -> None:
    """Print the comparison of MotherNets of one cluster with each other method."""
    print(
        f"\n{'scenario':10}{'against':36}{'× time':>8}  {'single':11}{'× work':>8}  {'':9}"
        f"{'points more error':>18}"
    )
    for r in rows:
        more, (low, high) = r["points_more_error"], r["range"]
        print(
            f"{r['scenario']:10}{r['against']:36}{r['times_slower']:8.2f}  {low:4.2f}–{high:4.2f}  "
            f"{r['core_times_slower']:8.2f}  "
            f"{r['time'] or '':9}{more['mean']:10.2f} ± {more['half']:5.2f}  {r['error'] or ''}"
        )


def growth(found: dict[str, dict]) -> dict[str, object]:
    """Return error and processor seconds by the number of members of the largest ensemble, by method."""
    methods = found.get("V25", {}).get("methods", {})
    curves = {}
    for name, figures in methods.items():
        spent = figures["network_seconds"]
        mother = spent.get("mother-1", 0.0)
        members = [spent[f"member-{i + 1}"] for i in range(len(figures["errors_by_members"]))]
        curves[name] = {
            "errors": figures["errors_by_members"],
            "core_seconds": (mother + np.cumsum(members)).tolist(),
        }
    return curves


def chain_at_equal_cost(rows: Sequence[dict]) -> dict[str, object]:
    """Return the chain of the largest ensemble, stopped at the work or the time of MotherNets of one cluster.

    The figures are the number of snapshots that fit, by seed, and the error of their average minus that of
    MotherNets. A chain uses one core, so its time is its work.
    """
    own = {(r["method"], r["seed"]): r for r in rows if r["scenario"] == "V25"}
    seeds = [s for m, s in own if m == "snapshot" and ("mothernets g1", s) in own]
    found: dict[str, object] = {}
    for key in ("core_seconds", "seconds"):
        counts, points = [], []
        for seed in seeds:
            chain, hatched = own["snapshot", seed], own["mothernets g1", seed]
            errors = chain["errors_by_members"]
            spent = np.cumsum([chain["network_seconds"][f"member-{i + 1}"] for i in range(len(errors))])
            counts.append(max(int((spent <= hatched[key]).sum()), 1))
            points.append(100 * (errors[counts[-1] - 1] - hatched["error"]))
        if seeds:
            found[key] = {"snapshots": counts, "points_more_error": interval(points)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="train one small ensemble on digits with one seed"
    )
    parser.add_argument("--judge", action="store_true", help="evaluate earlier trainings only")
    parser.add_argument(
        "--work", type=Path, default=None, help="working file, whose folder also has the data"
    )
    given = parser.parse_args()
    work = given.work or Path(".methods-quick" if given.quick else ".methods") / "runs.jsonl"
    if not given.judge:
        for row in run(work, given.quick):
            print(
                f"{row['scenario']:10} {row['method']:36} seed {row['seed']} {row['seconds']:7.1f} s "
                f"{row['error']:.2%}"
            )
    rows = read(work)
    found = summary(rows, work.parent)
    show(found)
    show_claims(claims(found))
    if given.quick:
        return
    result = {
        "device": f"{platform.machine()} CPU, 2 processes of one thread",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "scipy")},
        # The date of the last training, not of this evaluation.
        "date": datetime.fromtimestamp(work.stat().st_mtime, UTC).date().isoformat(),
        "follow_others": [CUT, EQUAL],
        "claims": claims(found),
        "growth": growth(found),
        "chain_at_equal_cost": chain_at_equal_cost(rows),
        "scenarios": found,
    }
    (RESULTS / "methods-cpu.json").write_text(json.dumps(result) + "\n")
    draw(result)


if __name__ == "__main__":
    main()
