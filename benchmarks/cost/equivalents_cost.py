"""The cost of equivalent ensembles: training step, inference and memory of the published designs, measured.

    python benchmarks/cost/equivalents_cost.py [--device cpu] [--quick]

The designs are those of "More or Less", table C, for ResNets with four members: the single network, its
width-equivalent (weq) and its depth-equivalent (deq) member, on random images of 3×32×32. Every network is
measured in `ROUNDS` rounds, each in a fresh process and in another order. The measurements are those of
`advisor recommend`: training step and inference with one thread, and peak memory of training beyond the idle
process. Members train one after the other, so a step of an ensemble takes four times the time of its member,
and the memory of one member.

Figures are ratios to the single network: medians over rounds, then the median and the range over designs.
Writes benchmarks/cost/results/equivalents_cost-DEVICE.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import random
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from cost_measure import execution_on, workload

from profiler.device import fingerprint, quiet_cores
from profiler.isolate import MeasuringProcess

TABLE = Path(__file__).parents[2] / "tests" / "data" / "table_c_resnet.csv"
RESULTS = Path(__file__).parent / "results"
MEMBERS, BATCH, ROUNDS = 4, 64, 3
# Largest width and depth; larger networks take too long on one thread.
LARGEST = {"cpu": (32, 38), "cuda": (48, 62)}
SECONDS, LONGEST_SECONDS = 2.0, 120.0
FIGURES = ("step", "inference", "peak_bytes")


def designs(device: str) -> list[dict[str, str]]:
    """Return the single network and the members of weq and deq, for every row of the table."""
    with TABLE.open() as opened:
        rows = [{name: int(text) for name, text in row.items()} for row in csv.DictReader(opened)]
    return [
        {
            "single": f"resnet-{row['single_depth']}-{row['single_width']}",
            "weq": f"resnet-{row['weq_depth']}-{row['single_width']}",
            "deq": f"resnet-{row['single_depth']}-{row['deq_width']}",
        }
        for row in rows
        if row["single_width"] <= LARGEST[device][0] and row["single_depth"] <= LARGEST[device][1]
    ]


def measure(network: str, device: str) -> dict[str, float]:
    """Return seconds of a training step and of inference, and peak bytes, in a fresh process."""
    with MeasuringProcess(device, 1, quiet_cores(1)) as process:
        process.wait_until_ready()
        process.begin(workload(network, BATCH, device), SECONDS)
        times = process.finish(LONGEST_SECONDS)
    if times is None or not times.fits:
        raise SystemExit(f"{network} could not be measured at batch {BATCH}")
    return {name: getattr(times, name) for name in FIGURES}


def ratios(row: dict[str, str], found: dict[str, list[dict[str, float]]]) -> dict:
    """Return the ratios of a row's ensembles to its single network."""
    middle = {name: {f: median(r[f] for r in rounds) for f in FIGURES} for name, rounds in found.items()}
    single = middle[row["single"]]
    result: dict = {"single": row["single"]}
    for kind in ("weq", "deq"):
        member = middle[row[kind]]
        result[kind] = {"member": row[kind]} | {
            f: (1 if f == "peak_bytes" else MEMBERS) * member[f] / single[f] for f in FIGURES
        }
    return result


def evaluate(found: dict[str, list[dict[str, float]]], device: str) -> dict:
    """Return the ratios of all rows and their summary."""
    rows = [ratios(row, found) for row in designs(device) if all(name in found for name in row.values())]
    summary = {
        f"{kind}, {f}": {
            "median": median(row[kind][f] for row in rows),
            "least": min(row[kind][f] for row in rows),
            "most": max(row[kind][f] for row in rows),
        }
        for kind in ("weq", "deq")
        for f in FIGURES
    }
    slowest_over_fastest = median(
        max(r[f] for r in rounds) / min(r[f] for r in rounds) for rounds in found.values() for f in ("step",)
    )
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": fingerprint(execution_on(device)).device_name,
        "machine": platform.machine(),
        "torch": version("torch"),
        "batch": BATCH,
        "rounds": ROUNDS,
        "slowest_over_fastest_round_of_a_step": slowest_over_fastest,
        "summary": summary,
        "designs": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=sorted(LARGEST), help="device to measure on")
    parser.add_argument(
        "--quick", action="store_true", help="measure the first row of the table only; nothing is written"
    )
    given = parser.parse_args()
    rows = designs(given.device)[: 1 if given.quick else None]
    networks = sorted({name for row in rows for name in row.values()})
    found: dict[str, list[dict[str, float]]] = {name: [] for name in networks}
    for number in range(ROUNDS):
        random.Random(number).shuffle(networks)
        for network in networks:
            found[network].append(measure(network, given.device))
            print(f"round {number + 1}: {network:14} {found[network][-1]['step']:.3f} s a step", flush=True)
    result = evaluate(found, given.device)
    for name, figures in result["summary"].items():
        print(f"{name:16} {figures['median']:.2f} ({figures['least']:.2f}–{figures['most']:.2f})")
    if not given.quick:
        file = RESULTS / f"equivalents_cost-{given.device}.json"
        file.write_text(json.dumps(result, indent=1) + "\n")
        print(file)


if __name__ == "__main__":
    main()
