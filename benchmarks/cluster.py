"""What a Ray cluster costs against the local pool, how fast it recovers, and what many slots would give.

    python benchmarks/cluster.py     # some 15 minutes on a quiet machine of two cores; needs [cluster]
    python benchmarks/cluster.py --part hundred

1. `engine`: the same plan on the processes of the local pool and on as many nodes of one core each, in turns:
   1, 2 and 4 of both, for few and for more epochs. The seconds of both lengths give those of an epoch, and
   those beside the epochs: processes and data, and that the first worker begins before the last has started.
   The engine's share of a run of two minutes counts the latter once and the former by their ratio.
2. `death`: a node is killed while it trains, and another one is idle. Seconds from the notice to the first
   epoch after it.
3. `hundred`: 100 members (V100, a sixteenth of the filters) on three nodes, one of which is killed and one of
   which joins on the way; bits as the local pool has them.
4. `slots`: the makespan of V100 by simulation on 1 to 256 slots, beside the sum of all steps and the longest
   chain. A step takes as long as its network has multiplications, times its epochs; the unit is an epoch of
   vgg-16-64.

Nodes are processes of this machine, so that nothing is known of a network between machines. Medians, with the
least and the largest. Writes benchmarks/results/cluster.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from ray_nodes import RayNodes

from advisor.cost.timeline import timeline
from advisor.designs.design import Design, parse_design
from advisor.designs.presets import PRESETS
from advisor.networks.shared_layers import graph_of
from advisor.plans.dataset import DATASETS, DatasetFacts
from advisor.plans.execution import Execution
from advisor.plans.methods import PlanOptions, make_plan
from advisor.plans.plan import HatchStep, TrainingPlan
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from profiler.memory import watch_peak
from trainer.data.loading import Data, load_data
from trainer.events import Event, Notice
from trainer.execution.cluster.address import ClusterAddress
from trainer.execution.execute import execute
from trainer.run_files import RunFiles
from trainer.training.checkpoint import load_checkpoint

RESULT = Path(__file__).parent / "results" / "cluster.json"
DIGITS = DATASETS["digits"]
COUNTS, TURNS, DEATHS = (1, 2, 4), 2, 3
# The longer plan that is timed takes about half a minute on one core.
NETWORK, MEMBERS, EPOCHS = "resnet-14-16", 4, (6, 24)
SLOTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TWO_MINUTES = 120.0
SESSION_GROUPS = Path("/proc/sys/kernel/sched_autogroup_enabled")


def plan_of(design: str | Design, processes: int, epochs: int, facts: DatasetFacts = DIGITS) -> TrainingPlan:
    """Return a plan of float32 on a CPU."""
    return make_plan(
        parse_design(design) if isinstance(design, str) else design,
        facts,
        epochs=epochs,
        batch=128,
        seed=0,
        execution=Execution(
            device="cpu", processes=processes, threads=1, dtype="float32", memory_format="contiguous"
        ),
        options=PlanOptions(),
    )


class Clock:
    """When events came, by seconds since it was made."""

    def __init__(self, react: Callable[[Event], None] = lambda event: None) -> None:
        self.began, self.react = time.perf_counter(), react
        self.events: list[tuple[float, Event]] = []

    def __call__(self, event: Event) -> None:
        self.events.append((time.perf_counter() - self.began, event))
        self.react(event)

    def first(self, kind: type, after: float = 0.0, step: str = "") -> float:
        """Return when the first event of a kind came."""
        return next(
            at
            for at, event in self.events
            if at > after and isinstance(event, kind) and (not step or getattr(event, "step", "") == step)
        )

    def count(self, kind: type) -> int:
        """Return the number of events of a kind."""
        return sum(isinstance(event, kind) for _, event in self.events)


@contextmanager
def folder() -> Iterator[RunFiles]:
    """A folder of a run, removed afterwards."""
    with tempfile.TemporaryDirectory() as name:
        yield RunFiles(folder=Path(name), data_root=Path(name) / "data", watch=watch_peak)


def timed(plan: TrainingPlan, data: Data, address: ClusterAddress | None) -> float:
    """Return the seconds of an execution."""
    began = time.perf_counter()
    with folder() as files:
        ended = execute(plan, files, data, lambda event: None, lambda: False, address)
    whole = time.perf_counter() - began
    assert all(record.status is StepStatus.DONE for record in ended.values())
    return whole


def engine(nodes: RayNodes, data: Data, counts: Sequence[int] = COUNTS) -> list[dict[str, Any]]:
    """Time the local pool and the cluster in turns."""
    rows = []
    for count in counts:
        added = [nodes.add() for _ in range(count)]
        ways = {"pool": None, "cluster": ClusterAddress(nodes.address)}
        plans = [plan_of(f"{MEMBERS}x{NETWORK}", count, epochs) for epochs in EPOCHS]
        turns: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        # The first processes of a pool wait for imports that later ones find done.
        timed(plans[0], data, None)
        for _ in range(TURNS):
            for way, address in ways.items():
                few, more = (timed(plan, data, address) for plan in plans)
                slope = (more - few) / (EPOCHS[1] - EPOCHS[0])
                turns[way].append((slope, few - EPOCHS[0] * slope))
        for node in added:
            nodes.remove(node)
        row: dict[str, Any] = {"nodes": count}
        for way, found in turns.items():
            row[way] = {
                "epoch_seconds": spread([slope for slope, _ in found]),
                "beside_seconds": spread([beside for _, beside in found]),
            }
        pairs = list(zip(*turns.values(), strict=True))
        ratios = [far[0] / near[0] for near, far in pairs]
        more_beside = [far[1] - near[1] for near, far in pairs]
        row["epoch_ratio"], row["seconds_more_beside"] = spread(ratios), spread(more_beside)
        share = statistics.median(ratios) - 1 + statistics.median(more_beside) / TWO_MINUTES
        row["percent_of_two_minutes"] = round(100 * share, 1)
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def death(nodes: RayNodes, data: Data) -> dict[str, Any]:
    """Kill a node that trains while another one is idle, and time the way back to training."""
    plan, waited = plan_of("resnet-14-16", 1, 40), []
    for _ in range(DEATHS):
        busy: list[Any] = [nodes.add()]
        spare: list[Any] = []

        def kill(event: Event, busy: list[Any] = busy, spare: list[Any] = spare) -> None:
            if isinstance(event, EpochRecord) and event.epoch == 2 and not spare:
                spare.append(nodes.add())
                nodes.kill(busy[0])

        clock = Clock(kill)
        with folder() as files:
            execute(plan, files, data, clock, lambda: False, ClusterAddress(nodes.address))
        noticed = clock.first(Notice)
        epoch = statistics.median(e.seconds for _, e in clock.events if isinstance(e, EpochRecord))
        # Resuming tells the newest epoch again at once: the step goes on from there.
        waited.append((clock.first(EpochRecord, noticed) - noticed, epoch))
        nodes.remove(spare[0])
    found = {
        "seconds_from_notice": spread([seconds for seconds, _ in waited]),
        "seconds_of_an_epoch": spread([seconds for _, seconds in waited]),
    }
    print(json.dumps(found))
    return found


def hundred(nodes: RayNodes, data: Data) -> dict[str, Any]:
    """Train 100 members on three nodes, one of which is killed and one of which joins on the way."""
    names = [_small(name) for name in PRESETS["V100"]]
    plan = plan_of("+".join(names) + "@g4", 2, 3)
    added, late = [nodes.add() for _ in range(3)], []

    def disturb(event: Event) -> None:
        done = clock.count(StepRecord)
        if done >= 40 and len(added) == 3:
            nodes.kill(added.pop())
        if done >= 80 and not late:
            late.append(nodes.add())

    clock = Clock(disturb)
    with folder() as far, folder() as near:
        ended = execute(plan, far, data, clock, lambda: False, ClusterAddress(nodes.address))
        seconds = time.perf_counter() - clock.began
        began = time.perf_counter()
        execute(plan, near, data, lambda event: None, lambda: False)
        local = time.perf_counter() - began
        same = sum(_same(far, near, member.name) for member in plan.members)
    for node in [*added, *late]:
        nodes.remove(node)
    found = {
        "members": len(plan.members),
        "steps": len(plan.steps),
        "done": sum(record.status is StepStatus.DONE for record in ended.values()),
        "members_with_the_bits_of_the_pool": same,
        "notices": [event.text for _, event in clock.events if isinstance(event, Notice)],
        "seconds": round(seconds, 1),
        "seconds_of_the_pool_with_two_processes": round(local, 1),
    }
    print(json.dumps(found))
    return found


def _small(name: str) -> str:
    """Return a variant of vgg-16-64 with a sixteenth of the filters."""
    fewer = partial(re.sub, r"x(\d+)", lambda found: f"x{max(int(found.group(1)) // 16, 1)}")
    return fewer(name.replace("-64", "-4"))


def _same(far: RunFiles, near: RunFiles, name: str) -> bool:
    found = [load_checkpoint(files.of_network(name), print) for files in (far, near)]
    one, other = (checkpoint.weights for checkpoint in found if checkpoint is not None)
    return all(bool((one[key] == other[key]).all()) for key in one)


def slots() -> list[dict[str, Any]]:
    """Simulate V100 with four clusters on many slots."""
    facts = DATASETS["cifar10"]
    plan = plan_of("V100@g4", 1, 120, facts)
    unit = graph_of("vgg-16-64", facts.task).macs
    seconds = {
        step.id: 0.0
        if isinstance(step, HatchStep)
        else step.schedule.epochs * graph_of(plan.network(step.network).network, facts.task).macs / unit
        for step in plan.steps
    }
    chain: dict[str, float] = {}
    for step in plan.steps:
        chain[step.id] = seconds[step.id] + max((chain[name] for name in step.after), default=0.0)
    names, after = [step.id for step in plan.steps], [step.after for step in plan.steps]
    rows = []
    for count in SLOTS:
        spans = timeline(names, after, [seconds[name] for name in names], count, 1.0)
        makespan = max(span.end for span in spans.values())
        rows.append(
            {
                "slots": count,
                "makespan": round(makespan, 1),
                "speedup": round(sum(seconds.values()) / makespan, 1),
                "bound": round(max(max(chain.values()), sum(seconds.values()) / count), 1),
            }
        )
    print(json.dumps(rows))
    return rows


def spread(values: list[float]) -> dict[str, float]:
    """Return median, least and largest."""
    return {
        "median": round(statistics.median(values), 3),
        "least": round(min(values), 3),
        "largest": round(max(values), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--part", choices=("engine", "death", "hundred", "slots"), help="only one of the four"
    )
    parts = {"engine": engine, "death": death, "hundred": hundred}
    parser.add_argument("--nodes", type=int, nargs="+", default=COUNTS, help="numbers of nodes of engine")
    given = parser.parse_args()
    only = given.part
    parts["engine"] = partial(engine, counts=given.nodes)
    result = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    if only in (None, "slots"):
        result["slots"] = slots()
    chosen = [name for name in parts if only in (None, name)]
    if chosen:
        data = load_data(DIGITS, Path("not needed"))
        with RayNodes() as nodes:
            for name in chosen:
                result[name + _grouping(name)] = parts[name](nodes, data)
                _keep(result)
    _keep(result)


def _grouping(part: str) -> str:
    """Return what tells results apart in which Linux weighs sessions as one from those without."""
    on = not SESSION_GROUPS.is_file() or SESSION_GROUPS.read_text().strip() != "0"
    return "" if on or part != "engine" else "_without_session_groups"


def _keep(result: dict[str, Any]) -> None:
    """Write the result, whatever parts it has."""
    result["machine"] = f"{platform.machine()} CPU, {len(os.sched_getaffinity(0))} cores"
    result["versions"] = {name: version(name) for name in ("torch", "ray")} | {
        "python": platform.python_version()
    }
    result["date"] = datetime.now(UTC).date().isoformat()
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
