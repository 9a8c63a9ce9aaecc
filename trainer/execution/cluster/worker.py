"""A worker of a cluster: an actor with torch and the data loaded, which executes steps of one plan.

Whatever travels is JSON, text or bytes, never an object of the program: then nothing of it is executed, and a
worker of another version fails in words.
"""

from __future__ import annotations

import importlib
import json
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
import torch

from advisor.errors import DataError, StorageError
from advisor.plans.plan import Step, TrainingPlan, plan_from_json
from advisor.serial import to_plain
from trainer.data.loading import Data, load_data
from trainer.events import CheckpointWritten, Event, Tell
from trainer.execution.cluster.carrying import Files, packed, unpack
from trainer.execution.cluster.node_facts import facts_of_this_node
from trainer.execution.plan_step import run_step
from trainer.run_files import MemoryWatch, RunFiles
from trainer.training.parallel import Rendezvous
from trainer.training.step import Share

# Seconds after which the question whether to stop is asked again; a yes comes at once.
ASKING_SECONDS = 20.0


class Worker:
    """Executes steps; every method is a remote call.

    Args:
        plan: plan as JSON.
        folder: folder of the run, as the driver names it.
        data_root: folder of downloaded data sets, likewise.
        watch: function that watches peak memory, as ``module:name``.
        proof: name of a file in the folder of the run (`facts_of_this_node`).
        mail: handle of the mail actor.
    """

    def __init__(self, plan: str, folder: str, data_root: str, watch: str, proof: str, mail: Any) -> None:
        self.plan: TrainingPlan = plan_from_json(plan)
        self.mail = mail
        self.facts = facts_of_this_node(folder, proof)
        # Folders of this node alone, which go with the worker.
        self.own: list[str] = []
        place = Path(folder if self.facts.shares_home else self.own_folder())
        self.files = RunFiles(folder=place, data_root=Path(data_root), watch=_function(watch))
        self.data: Data | None = None

    def load(self) -> dict[str, Any]:
        """Load the data; return the node, its facts, and why it cannot train: empty if it can."""
        torch.set_num_threads(self.plan.execution.threads)
        problem = ""
        try:
            self.data = load_data(self.plan.dataset, self.files.data_root).to(self.plan.execution.device)
            self.files.watch(self.plan.execution.device)
        except DataError as error:
            problem = str(error).splitlines()[0]
        node = ray.get_runtime_context().get_node_id()
        return {"node": node, "facts": asdict(self.facts), "problem": problem}

    def own_folder(self) -> str:
        """Return a new folder of this node, such as one through which the workers of a team meet."""
        self.own.append(tempfile.mkdtemp(prefix="advisor-"))
        return self.own[-1]

    def run(
        self, step: str, assignment: int, files: dict[str, Files], rank: int, ranks: int, folder: str
    ) -> str:
        """Execute a step as one of the workers of a team.

        Args:
            step: id of the step.
            assignment: number of the assignment.
            files: newest checkpoint of every network that the step needs, by the name of the network; unused
                where the folder of the run is at hand.
            rank: number of the worker in its team, 0 for the one that reports.
            ranks: number of workers in the team.
            folder: folder in which they find each other.

        Returns:
            JSON: the record of the step, or why a disk refused.
        """
        assert self.data is not None
        own = next(s for s in self.plan.steps if s.id == step)
        if not self.facts.shares_home:
            for network, content in files.items():
                # What an earlier attempt left here may be newer than what the driver received.
                shutil.rmtree(self.files.of_network(network), ignore_errors=True)
                unpack(self.files.of_network(network), content)
        report = _Report(self, own, assignment)
        rendezvous = Rendezvous(Share(rank, ranks), Path(folder)) if ranks > 1 else None
        try:
            with report.asking():
                record = run_step(self.plan, own, self.files, self.data, report.tell, report.stop, rendezvous)
            if rank == 0:
                report.carry()
        except StorageError as error:
            return json.dumps({"refused": str(error)})
        return json.dumps(to_plain(record))

    def leave(self) -> None:
        """Remove what this worker wrote beside the folder of the run."""
        for folder in self.own:
            shutil.rmtree(folder, ignore_errors=True)


class _Report:
    """Reports of one assignment to the mail actor, and its answer whether to stop."""

    def __init__(self, worker: Worker, step: Step, assignment: int) -> None:
        self.worker, self.step, self.assignment = worker, step, assignment
        self.stopping, self.over = threading.Event(), threading.Event()

    @property
    def tell(self) -> Tell:
        """Receiver of the events of the step."""
        return self._tell

    def _tell(self, event: Event) -> None:
        if isinstance(event, CheckpointWritten):
            self.carry()
        else:
            self._put(json.dumps(to_plain(event)), {})

    def carry(self) -> None:
        """Send the newest checkpoint of the step's network, where the folder of the run is not at hand."""
        if not self.worker.facts.shares_home:
            self._put("", packed(self.worker.files.of_network(self.step.network)))

    def _put(self, event: str, files: Files) -> None:
        if ray.get(self.worker.mail.put.remote(self.assignment, event, files)):
            self.stopping.set()

    def stop(self) -> bool:
        """Return whether the step should write a checkpoint and end."""
        return self.stopping.is_set()

    def asking(self) -> _Asking:
        """Be ready to be asked to stop, as long as the context lasts."""
        return _Asking(self)


class _Asking:
    """A thread that waits for the mail actor to say so."""

    def __init__(self, report: _Report) -> None:
        self.report = report
        self.thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *error: object) -> None:
        self.report.over.set()

    def _ask(self) -> None:
        report = self.report
        while not report.over.is_set() and not report.stopping.is_set():
            try:
                if ray.get(report.worker.mail.stopping.remote(report.assignment, ASKING_SECONDS)):
                    report.stopping.set()
            except ray.exceptions.RayError:
                # The driver is gone, and with it the run.
                report.stopping.set()
                return


def _function(name: str) -> MemoryWatch:
    module, _, function = name.partition(":")
    found: MemoryWatch = getattr(importlib.import_module(module), function)
    return found


def name_of(function: Callable[..., object]) -> str:
    """Return a function of a module as ``module:name``."""
    return f"{function.__module__}:{function.__qualname__}"
