"""Plans on a Ray cluster of this machine: same bits as the local pool, whatever happens to its nodes.

Every test has a cluster of its own module: a head node without cores, to which nodes are added.
"""

from __future__ import annotations

import re
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from ray_nodes import NEEDS_RAY, RayNodes, command_lines, wait_until

import trainer.seeds
from advisor.errors import RunError, UsageError
from advisor.plans.method_traits import Method
from advisor.plans.placement import devices_of
from advisor.plans.plan import TrainStep, plan_to_json
from advisor.plans.records import EpochRecord, StepRecord, StepStatus
from profiler.memory import watch_peak
from trainer.events import Notice, TrainingStarted
from trainer.execution.cluster.address import ClusterAddress
from trainer.execution.execute import execute
from trainer.run_files import RunFiles
from trainer.training.checkpoint import load_checkpoint

pytestmark = NEEDS_RAY

# Its epochs take about a tenth of a second, so that a node can be killed in the middle of one.
SLOW = "resnet-14-4"


@pytest.fixture(scope="module")
def nodes():
    with RayNodes() as found:
        yield found


@pytest.fixture
def two_nodes(nodes):
    added = [nodes.add(), nodes.add()]
    yield added
    for node in added:
        if node in nodes.cluster.worker_nodes:
            nodes.remove(node)


@dataclass
class Story:
    """What an execution told, and when."""

    events: list = field(default_factory=list)
    react: object = None

    def __call__(self, event):
        self.events.append(event)
        if self.react is not None:
            self.react(event)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def place(tmp_path):
    def make(name):
        folder = tmp_path / name
        folder.mkdir()
        return RunFiles(folder=folder, data_root=tmp_path / "data", watch=watch_peak)

    return make


def weights_of(plan, files):
    found = {}
    for network in plan.networks:
        if network.output_of is None:
            checkpoint = load_checkpoint(files.of_network(network.name), pytest.fail)
            found[network.name] = checkpoint.weights
    return found


@pytest.fixture
def assert_as_locally(digits, place, same_bits):
    """Compare weights and records with those of a process that nobody disturbs."""

    def check(plan, files, story):
        local, undisturbed = place("local"), Story()
        execute(plan, local, digits, undisturbed, lambda: False)
        expected, found = weights_of(plan, local), weights_of(plan, files)
        assert {name: same_bits(expected[name], found[name]) for name in expected} == dict.fromkeys(
            expected, True
        )
        assert newest(story) == newest(undisturbed)

    return check


def newest(story):
    return {(r.step, r.epoch): replace(r, seconds=0.0) for r in story.of(EpochRecord)}


@pytest.mark.parametrize(
    "method",
    [
        Method.MOTHERNETS,
        pytest.param(Method.SNAPSHOT, marks=pytest.mark.slow),
        pytest.param(Method.DISTILLATION, marks=pytest.mark.slow),
    ],
)
def test_a_cluster_trains_the_bits_of_this_machine(
    nodes, two_nodes, plan_of, digits, place, assert_as_locally, method
):
    plan = plan_of("3xmlp-1-8@g2" if method is Method.MOTHERNETS else "2xmlp-1-8", method=method)
    files, story = place("far"), Story()
    ended = execute(plan, files, digits, story, lambda: False, ClusterAddress(nodes.address))
    assert {record.status for record in ended.values()} == {StepStatus.DONE}
    assert set(ended) == {step.id for step in plan.steps}
    assert_as_locally(plan, files, story)
    assert (len(story.of(TrainingStarted)), story.of(Notice)) == (1, [])
    assert len(story.of(StepRecord)) == len(plan.steps)
    # Nothing that belongs to the cluster is left of the run.
    assert not list(files.folder.glob(".shared-*"))
    wait_until(lambda: not command_lines(["ray::Worker"]), "end of the workers")


def test_a_node_that_is_killed_in_the_middle_of_an_epoch_costs_an_epoch_at_most(
    nodes, two_nodes, plan_of, digits, place, assert_as_locally
):
    plan = plan_of(f"2x{SLOW}", epochs=6)
    files, killed = place("far"), []

    def kill(event):
        if isinstance(event, EpochRecord) and event.epoch == 1 and not killed:
            killed.append(time.monotonic())
            nodes.kill(two_nodes[0])

    story = Story(react=kill)
    execute(plan, files, digits, story, lambda: False, ClusterAddress(nodes.address))
    assert_as_locally(plan, files, story)
    # A worker may have been sent to the node before the cluster knew that it was gone.
    texts = [notice.text for notice in story.of(Notice) if "while it started" not in notice.text]
    assert [re.sub("^node .* is lost; train member-.", "", text) for text in texts] == [
        " goes on from its checkpoint on another one"
    ]
    trained = [(r.step, r.epoch) for r in story.of(EpochRecord)]
    # The newest epoch is told again, and so is the one under way if it was told before its checkpoint.
    assert len(trained) - len(set(trained)) <= 2


def test_a_node_that_joins_later_is_waited_for_and_takes_work(
    nodes, plan_of, digits, place, assert_as_locally, monkeypatch
):
    monkeypatch.setattr("trainer.execution.cluster.executor.WAITING_SECONDS", 0.5)
    plan, files, late = plan_of("2xmlp-1-8"), place("far"), []

    def add(event):
        if isinstance(event, Notice) and not late:
            late.append(nodes.add())

    story = Story(react=add)
    try:
        execute(plan, files, digits, story, lambda: False, ClusterAddress(nodes.address))
    finally:
        for node in late:
            nodes.remove(node)
    waiting = [e.text for e in story.of(Notice) if e.text.startswith("no worker yet")]
    assert waiting == [
        "no worker yet: waiting for a node with 1 free core; there are 0 free cores and 0 free GPUs"
    ]
    assert_as_locally(plan, files, story)


def test_a_stopped_run_has_checkpoints_from_which_this_machine_goes_on(
    nodes, two_nodes, plan_of, digits, place, assert_as_locally
):
    plan = plan_of(f"2x{SLOW}", epochs=6)
    files, story = place("far"), Story()

    def enough():
        return len(story.of(EpochRecord)) >= 2

    began = time.monotonic()
    ended = execute(plan, files, digits, story, enough, ClusterAddress(nodes.address))
    assert ended == {}
    assert time.monotonic() - began < 30
    assert 2 <= len(newest(story)) < 12
    execute(plan, files, digits, story, lambda: False)
    assert_as_locally(plan, files, story)


def test_a_node_without_the_folder_of_the_run_sends_its_checkpoints(
    nodes, plan_of, digits, place, assert_as_locally
):
    plan = plan_of(f"2x{SLOW}@g1", epochs=3)
    files, story, apart, near = place("far"), Story(), [], []

    def replace_node(event):
        # The mother network was trained where nothing of the run can be seen, and goes on where it can.
        if isinstance(event, EpochRecord) and event.epoch == 1 and not near:
            nodes.kill_apart(apart[0])
            near.append(nodes.add())

    apart.append(nodes.add_apart(f"-t tmpfs tmpfs {files.folder}"))
    story.react = replace_node
    try:
        execute(plan, files, digits, story, lambda: False, ClusterAddress(nodes.address))
    finally:
        for node in near:
            nodes.remove(node)
    assert_as_locally(plan, files, story)
    assert any("is lost; train mother-1" in e.text for e in story.of(Notice))


def test_a_node_with_other_code_is_refused_and_named(nodes, plan_of, digits, place, tmp_path):
    own, other = Path(trainer.seeds.__file__), tmp_path / "seeds.py"
    other.write_text(own.read_text() + "\n# Another line.\n")
    node = nodes.add_apart(f"--bind {other} {own}")
    plan = plan_of("2xmlp-1-8")
    try:
        with pytest.raises(RunError) as refused:
            execute(plan, place("far"), digits, Story(), lambda: False, ClusterAddress(nodes.address))
    finally:
        nodes.kill_apart(node)
    assert re.search(r"node [0-9a-f]{8} \(.*\) has code [0-9a-f]{12}, here it is", str(refused.value))
    assert "install the same version of the program on every node" in str(refused.value)


@pytest.mark.slow
def test_workers_that_share_a_batch_are_on_one_node_and_leave_no_folder(nodes, plan_of, digits, place):
    before = set(Path(tempfile.gettempdir()).glob("advisor-*"))
    # On a CPU a plan shares no batch by itself; what GPUs do is done by cores here.
    plan = plan_of("2xmlp-1-8@g1")
    steps = tuple(
        replace(step, devices=2) if isinstance(step, TrainStep) and step.network == "mother-1" else step
        for step in plan.steps
    )
    plan = replace(plan, steps=steps)
    assert sorted(devices_of(step) for step in plan.steps) == [1, 1, 1, 1, 2]
    node, story = nodes.add(cores=2), Story()
    try:
        ended = execute(plan, place("far"), digits, story, lambda: False, ClusterAddress(nodes.address))
    finally:
        nodes.remove(node)
    assert {record.status for record in ended.values()} == {StepStatus.DONE}
    assert len(story.of(EpochRecord)) == 4
    assert set(Path(tempfile.gettempdir()).glob("advisor-*")) <= before


def test_a_worker_without_the_folder_of_the_run_removes_its_own_when_it_leaves(plan_of, tmp_path):
    from trainer.execution.cluster.worker import Worker

    plan, missing = plan_of("2xmlp-1-8"), str(tmp_path / "missing")
    worker = Worker(plan_to_json(plan), missing, missing, "profiler.memory:watch_peak", "proof", None)
    folders = [worker.files.folder, Path(worker.own_folder())]
    assert all(folder.is_dir() for folder in folders)
    worker.leave()
    assert not any(folder.exists() for folder in folders)


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("ray://head:10001", UsageError, "leave out ray://"),
        ("127.0.0.1:1", RunError, "no cluster answers at 127.0.0.1:1"),
        ("nonsense", UsageError, "takes auto, or host:port of the head node, got nonsense"),
        ("no.such.host.invalid:6379", RunError, "no cluster answers at no.such.host.invalid:6379"),
    ],
)
def test_an_address_without_a_cluster_is_one_line(plan_of, digits, place, address, error, words):
    with pytest.raises(error) as refused:
        execute(
            plan_of("2xmlp-1-8"), place("far"), digits, Story(), lambda: False,
            ClusterAddress(address),
        )  # fmt: skip
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
