"""How accurate is the cost model on designs that were never measured?

    python benchmarks/cost/cost_model.py   # measures missing designs (about 40 minutes), then evaluates
    python benchmarks/cost/cost_model.py --quick   # a part of the designs, once each: under 5 minutes
    python benchmarks/cost/cost_model.py --judge   # evaluates earlier measurements only

`cost_measure.py` measures and can be resumed. Its lists of designs were frozen before anything was fitted.
The true time of a test design is the mean of two measurements that are far apart in time. The noise floor is
half the mean relative difference of the two. Both are given as measured, and normalised to the machine's
usual speed by the reference convolution. The predictor is fitted on the pool alone, with a dozen measurements
that `advisor.cost.acquisition` chooses one by one, as in `advisor recommend`. Writes
results/cost_model-DEVICE.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import cost_measure
import numpy as np
from cost_predictors import TASK, Predict, boosted_trees, least_squares, ours
from scipy.stats import binomtest, kendalltau

from advisor.cost.acquisition import Wanted, next_measurement
from advisor.cost.measurement import Fingerprint, LayerTime, Measurement
from advisor.cost.memory.fit import MemoryFit
from advisor.cost.memory.peak import training_bytes
from advisor.cost.predictor import CostPredictor
from advisor.cost.step_cost import at_usual_speed
from advisor.networks.architecture import family_of
from profiler.device import processor_name

RESULTS = Path(__file__).parent / "results"
MEASUREMENTS, OF_NEW_FAMILY = 12, 4
# Other numbers of measurements; about forty fit into the default minute.
MORE_MEASUREMENTS = (8, 24, 40)
FAMILIES = ("resnet", "wrn", "vgg", "densenet", "mlp")
GROUP, GROUPS = 6, 300
# Intervals of memory: numbers of random measurements of the pool, and number of draws of each.
PEAKS, DRAWS = (0, 3, 4, 5, 6, 8, 12, 20, 40), 40


def measurement(row: dict, device: str) -> Measurement:
    """Return a line of the working file as the profiler's record."""
    execution = cost_measure.execution_on(device)
    fingerprint = Fingerprint(
        device=device,
        device_name="",
        driver="",
        torch="",
        threads=1,
        dtype=execution.dtype,
        memory_format=execution.memory_format,
    )
    names = ("forward_seconds", "backward_seconds", "inference_seconds")
    return Measurement(
        network=row["network"],
        task=TASK,
        batch=row["batch"],
        fingerprint=fingerprint,
        forward_seconds=row["forward"],
        backward_seconds=row["backward"],
        optimizer_seconds=row["optimizer"],
        step_seconds=row["step"],
        step_iqr_seconds=row["step_iqr"],
        inference_seconds=row["inference"],
        layers=tuple(LayerTime(name=n, **dict(zip(names, t, strict=True))) for n, *t in row["layers"]),
        reference_seconds=row["reference"],
        peak_bytes=row["peak_bytes"],
        reserved_bytes=row["reserved_bytes"],
        spent_seconds=row["spent"],
        measured_at="",
    )


def chosen(pool: Sequence[Measurement], count: int, device: str, start: Sequence[Measurement] = ()) -> list:
    """Return `count` measurements of the pool, chosen one after the other as the program chooses them."""
    taken, left = list(start), {Wanted(m.network, m.batch): m for m in pool}
    while left and len(taken) < count + len(start):
        predictor = CostPredictor(taken, cost_measure.execution_on(device))
        wanted = next_measurement(sorted(left), taken, TASK, predictor, batch=64)
        taken.append(left.pop(wanted))
    return taken


class Truth:
    """Measured figures of the test designs, as measured and normalised to the usual speed."""

    def __init__(self, rows: Sequence[dict], usual: float | None) -> None:
        self.values: dict[tuple[str, int], dict[str, list[float]]] = {}
        for row in rows:
            entry = self.values.setdefault((row["network"], row["batch"]), {})
            for name, reference in (("epoch_seconds", "epoch_reference"), ("inference", "reference")):
                scale = usual / row[reference] if usual and row[reference] else 1.0
                entry.setdefault(name, []).append(row[name] * scale)
                entry.setdefault(f"raw {name}", []).append(row[name])
            entry.setdefault("peak_bytes", []).append(row["peak_bytes"] or np.nan)

    def of(self, name: str, wanted: Callable[[str, int], bool] = lambda n, b: True) -> dict:
        """Return the mean of a figure by design."""
        return {k: float(np.mean(v[name])) for k, v in self.values.items() if wanted(*k)}

    def floor(self, name: str) -> float | None:
        """Return half the mean relative difference of two measurements."""
        pairs = [v[name] for v in self.values.values() if len(v[name]) == 2]
        return float(np.mean([abs(a - b) / (a + b) for a, b in pairs])) if pairs else None


def evaluated(truth: dict, predict: Predict) -> dict:
    """Return the errors of predictions, and the coverage and the width of their intervals."""
    found = {key: predict(*key) for key in truth}
    errors = {k: found[k][1] / truth[k] - 1 for k in truth}
    sizes = np.abs(list(errors.values()))
    covered = [found[k][0] <= truth[k] <= found[k][2] for k in truth]
    by_family = {
        family: float(np.mean([abs(e) for (n, _), e in errors.items() if family_of(n) == family]))
        for family in FAMILIES
        if any(family_of(n) == family for n, _ in errors)
    }
    return {
        "designs": len(truth),
        "mape": float(sizes.mean()),
        "median": float(np.median(sizes)),
        "bias": float(np.mean(list(errors.values()))),
        "within_10": float((sizes <= 0.1).mean()),
        "by_family": by_family,
        "held_90": float(np.mean(covered)),
        "binomial_p": float(binomtest(sum(covered), len(covered), 0.9).pvalue),
        "width": float(np.mean([f[2] / f[0] for f in found.values()])),
    }


def ranking(truth: dict, predict: Predict) -> dict:
    """Return Kendall's τ at one batch size, and the regret of choosing the predicted fastest design."""
    chance, taus, losses = random.Random(0), [], []
    for batch in sorted({b for _, b in truth}):
        keys = [k for k in truth if k[1] == batch]
        means = {k: predict(*k)[1] for k in keys}
        taus.append(kendalltau([means[k] for k in keys], [truth[k] for k in keys]).statistic)
        for _ in range(GROUPS):
            # Designs of similar size, because others would make the choice easy.
            first = chance.choice(keys)
            near = sorted(keys, key=lambda k: abs(np.log(truth[k] / truth[first])))[:GROUP]
            losses.append(truth[min(near, key=means.__getitem__)] / min(truth[k] for k in near) - 1)
    return {"tau": float(np.mean(taus)), "regret": float(np.mean(losses))}


def splits(pool: list[Measurement], truth: Truth, device: str) -> dict:
    """Return the figures of every split, for our predictor and for the baselines."""
    dozen = chosen(pool, MEASUREMENTS, device)
    epochs = truth.of("epoch_seconds")
    baselines = {
        "macs only": least_squares(["macs"]),
        "macs and bytes": least_squares(["macs", "bytes", "operations", "one"]),
        "boosted trees": boosted_trees,
    }
    found: dict[str, dict] = {
        "chosen": {"networks": [[m.network, m.batch] for m in dozen]},
        "epoch, 12 measurements": evaluated(epochs, ours(dozen, device)),
        "epoch as measured, 12 measurements": evaluated(truth.of("raw epoch_seconds"), ours(dozen, device)),
        "epoch, whole pool": evaluated(epochs, ours(pool, device)),
        "ranking": ranking(epochs, ours(dozen, device)),
    }
    for more in MORE_MEASUREMENTS:
        found[f"epoch, {more} measurements"] = evaluated(epochs, ours(chosen(pool, more, device), device))
    for name, fit in baselines.items():
        found[f"epoch, 12 measurements, {name}"] = evaluated(epochs, fit(at_usual_speed(dozen)))
        found[f"epoch, whole pool, {name}"] = evaluated(epochs, fit(at_usual_speed(pool)))
    predictor = CostPredictor(dozen, cost_measure.execution_on(device))

    def latency(network: str, batch: int) -> tuple[float, float, float]:
        e = predictor.inference_seconds(network, TASK, batch)
        return e.low, e.mean, e.high

    found["inference latency"] = evaluated(truth.of("inference"), latency)
    low, middle, high = cost_measure.frozen_designs()["batches"]
    for name, kept, asked in (("inside", (low, high), middle), ("outside", (low, middle), high)):
        some = chosen([m for m in pool if m.batch in kept], MEASUREMENTS, device)
        at_batch = truth.of("epoch_seconds", lambda n, b, asked=asked: b == asked)
        # A quick list may have no design at a batch, or none of a family.
        if at_batch and some:
            found[f"batch {name}"] = evaluated(at_batch, ours(some, device))
    for extra in (0, OF_NEW_FAMILY):
        parts = {}
        for family in FAMILIES:
            others = [m for m in pool if family_of(m.network) != family]
            some = chosen(others, MEASUREMENTS, device)
            own = [m for m in pool if family_of(m.network) == family]
            some = chosen(own, extra, device, some) if extra else some
            of_family = truth.of("epoch_seconds", lambda n, b, family=family: family_of(n) == family)
            if of_family and some:
                parts[family] = evaluated(of_family, ours(some, device))
        found[f"unseen family, {extra} measurements"] = _together(parts)
    return found


def _together(parts: dict[str, dict]) -> dict:
    counts = np.array([p["designs"] for p in parts.values()])
    mean = {
        key: float(np.average([p[key] for p in parts.values()], weights=counts))
        for key in ("mape", "held_90", "width", "within_10")
    }
    covered = round(mean["held_90"] * counts.sum())
    return mean | {
        "designs": int(counts.sum()),
        "binomial_p": float(binomtest(covered, int(counts.sum()), 0.9).pvalue),
        "by_family": {family: p["mape"] for family, p in parts.items()},
    }


def memory(truth: Truth, dozen: list[Measurement], device: str) -> dict:
    """Return the errors of memory: formula against simulation, and prediction against a fresh process."""
    from profiler.simulation import simulate_training_bytes

    execution = cost_measure.execution_on(device)
    predictor = CostPredictor(dozen, execution)
    simulated, grown, covered = [], [], []
    for (network, batch), peak in truth.of("peak_bytes").items():
        formula = training_bytes(network, TASK, batch, execution.dtype, execution.memory_format)
        simulated.append(formula / simulate_training_bytes(cost_measure.workload(network, batch, device)) - 1)
        estimate = predictor.training_peak_bytes(network, TASK, batch)
        grown.append((network, batch, estimate.mean / peak - 1, peak))
        covered.append(estimate.low <= peak <= estimate.high)
    sizes = np.abs([g[2] for g in grown])
    large = np.abs([g[2] for g in grown if g[3] > 64 * 2**20])
    return {
        "formula_against_simulation_mape": float(np.mean(np.abs(simulated))),
        "formula_against_simulation_worst": float(np.max(np.abs(simulated))),
        "growth_mape": float(sizes.mean()),
        "growth_mape_above_64_MiB": float(large.mean()) if len(large) else None,
        "growth_held_90": float(np.mean(covered)),
        "growth_floor": truth.floor("peak_bytes"),
        "worst": sorted(([n, b, e] for n, b, e, _ in grown), key=lambda g: -abs(g[2]))[:5],
    }


def memory_intervals(truth: Truth, pool: list[Measurement], device: str) -> dict:
    """Return coverage and width of the intervals of memory, by the number of random measurements."""
    execution, chance = cost_measure.execution_on(device), random.Random(0)
    peaks, found = truth.of("peak_bytes"), {}
    for count in (c for c in PEAKS if c <= len(pool)):
        estimates = [
            (fit.training(network, TASK, batch), peak)
            for fit in (MemoryFit(chance.sample(pool, count), execution) for _ in range(DRAWS))
            for (network, batch), peak in peaks.items()
        ]
        found[str(count)] = {
            "held_90": float(np.mean([e.low <= peak <= e.high for e, peak in estimates])),
            "width": float(np.median([e.high / e.low for e, _ in estimates])),
            "mape": float(np.mean([abs(e.mean / peak - 1) for e, peak in estimates])),
        }
    return found


def evaluate(rows: list[dict], device: str) -> dict:
    """Return all figures of the measured rows."""
    pool = [measurement(r, device) for r in rows if r["kind"] == "pool"]
    references = [m.reference_seconds for m in pool if m.reference_seconds]
    truth = Truth(
        [r for r in rows if r["kind"] == "test"], float(np.median(references)) if references else None
    )
    found = splits(pool, truth, device)
    dozen = [m for m in pool if [m.network, m.batch] in found["chosen"]["networks"]]
    remainder = [
        (r["forward"] + r["backward"] - sum(t[1] + t[2] for t in r["layers"])) / r["step"]
        for r in rows
        if r["kind"] == "pool"
    ]
    names = ("epoch_seconds", "raw epoch_seconds", "inference", "raw inference")
    return {
        "device": device,
        "machine": platform.machine(),
        "processor": processor_name(),
        "versions": {n: version(n) for n in ("torch", "numpy", "scikit-learn", "fvcore")},
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
        "measured": {k: sum(r["kind"] == k for r in rows) for k in ("pool", "test", "develop")},
        "noise_floor": {name: truth.floor(name) for name in names},
        "layers_remainder": {
            "median": float(np.median(np.abs(remainder))),
            "share_within_5_percent": float(np.mean(np.abs(remainder) <= 0.05)),
        },
        "profiling_seconds": sum(m.spent_seconds for m in dozen),
        # The start of each process is not included.
        "profiling_seconds_by_count": {
            str(count): sum(m.spent_seconds for m in chosen(pool, count, device)) for count in (8, 12, 24, 40)
        },
        "splits": found,
        "memory": memory(truth, dozen, device),
        "memory_intervals": memory_intervals(truth, [m for m in pool if m.peak_bytes], device),
    }


def show(result: dict) -> None:
    """Print the table."""
    floor = result["noise_floor"]
    print("noise floor: " + ", ".join(f"{k} {v:.1%}" for k, v in floor.items() if v is not None))
    print(f"{'split':48}{'n':>4}{'MAPE':>8}{'≤10 %':>8}{'cover':>7}{'p':>7}{'width':>7}")
    for name, s in result["splits"].items():
        if "mape" in s:
            print(
                f"{name:48}{s['designs']:4}{s['mape']:8.1%}{s['within_10']:8.0%}{s['held_90']:7.0%}"
                f"{s['binomial_p']:7.2f}{s['width']:7.2f}  "
                + " ".join(f"{f} {e:.1%}" for f, e in s["by_family"].items())
            )
    ranked = result["splits"]["ranking"]
    print(f"ranking: τ {ranked['tau']:.3f}, choosing by prediction costs {ranked['regret']:.1%}")
    print("memory: " + json.dumps(result["memory"]))
    for count, s in result["memory_intervals"].items():
        print(
            f"memory, {count} at random: {s['mape']:.1%}, coverage {s['held_90']:.0%}, width {s['width']:.2f}"
        )
    print(
        f"layers: {json.dumps(result['layers_remainder'])}; "
        f"12 measurements in {result['profiling_seconds']:.0f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--quick", action="store_true", help="measure a part of the designs, once each")
    parser.add_argument("--judge", action="store_true", help="evaluate earlier measurements only")
    parser.add_argument("--work", type=Path, default=None, help="working file of the measurements")
    given = parser.parse_args()
    name = f"cost_model-{given.device}" + ("-quick" if given.quick else "")
    work = given.work or RESULTS / f"{name}.jsonl"
    if not given.judge:
        cost_measure.run(given.device, given.quick, work)
    rows = cost_measure.read(work)
    if {"pool", "test"} - {row["kind"] for row in rows}:
        raise SystemExit(f"{work} lacks measurements of the pool or of the test designs: see the lines above")
    result = evaluate(rows, given.device)
    if not given.quick:
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    show(result)


if __name__ == "__main__":
    main()
