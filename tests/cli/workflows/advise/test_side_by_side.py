"""Probes side by side: who trains when, what is kept when one is killed or the session stopped."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from multiprocessing.connection import Connection
from types import SimpleNamespace

import pytest
import torch

from advisor.decision.probes.probing import BESIDE_SECONDS, Probe
from advisor.errors import InterruptedRunError, StorageError
from advisor.estimate import Estimate
from advisor.plans.dataset import DATASETS
from advisor.plans.execution import Execution
from cli.workflows.advise import probe
from cli.workflows.advise.probe import ProbingSession
from cli.workflows.advise.probe_options import ProbeOptions
from cli.workflows.advise.probe_session import crew, places
from cli.workflows.advise.probe_session.child import Report
from cli.workflows.advise.probe_session.crew import Crew
from cli.workflows.advise.probe_session.images import read_images, write_images
from cli.workflows.advise.probe_session.places import Places
from cli.workflows.advise.probe_session.training import ProbeResult
from cli.workflows.answers.advise.probing import ProbingEnd
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import planned_target
from cli.workflows.home import Home
from cli.workflows.kept_probes import folder_of, kept_probes
from cli.workflows.views import OneOfSeveral, TrainingBegun, TrainingEnded
from db.session import open_store
from trainer.data.loading import load_data, part_of
from trainer.execution.cluster.address import ClusterAddress
from trainer.training.checkpoint import load_checkpoint

CPU = Execution(device="cpu", processes=1, threads=1, dtype="float32", memory_format="contiguous")
RESULT = ProbeResult(error=0.1, members=(0.1,), curve=None, train_seconds=1.0)


# How many at once.


@pytest.mark.parametrize(
    ("cores", "threads", "most"), [(1, 1, 1), (2, 1, 2), (2, 2, 1), (8, 1, 4), (6, 2, 3), (3, 4, 1)]
)
def test_as_many_probes_train_at_once_as_their_plans_fit_on_the_cores_and_four_at_most(
    monkeypatch, cores, threads, most
):
    monkeypatch.setattr(places, "workers_of", lambda device: cores)
    found = Places.of(replace(CPU, threads=threads))
    assert found.most == most
    plan = SimpleNamespace(execution=CPU)
    assert [found.have_room([plan] * running) for running in range(5)] == [r < most for r in range(5)]


def test_a_gpu_has_one_probe_at_a_time():
    assert Places.of(replace(CPU, device="cuda")).most == 1


def test_on_a_cluster_a_probe_takes_as_many_slots_as_networks_can_train_at_once(monkeypatch):
    from trainer.execution import execute

    monkeypatch.setattr(execute, "free_on_cluster", lambda cluster: {"CPU": 7.0, "GPU": 2.0})
    found = Places.of(replace(CPU, threads=2), "somewhere")
    assert (found.slots, found.most, Places.of(replace(CPU, device="cuda"), "somewhere").slots) == (3, 3, 2)
    monkeypatch.setattr(places, "most_at_once", lambda plan: plan)
    assert found.have_room([]), "a probe that is wider than the cluster has to wait for no other"
    assert [found.have_room([2]), found.have_room([1, 1]), found.have_room([1, 2])] == [True, True, False]


# The images.


def test_processes_read_the_images_of_the_session_and_parts_of_them(tmp_path):
    digits = load_data(DATASETS["digits"], tmp_path)
    file = write_images(digits, tmp_path)
    part = replace(digits.facts, train_images=270)
    for facts in (digits.facts, part):
        read, expected = read_images(file, digits.facts, facts), part_of(digits, facts)
        assert (read.facts, read.classes) == (facts, ())
        for split in ("train", "validation", "test"):
            one, other = getattr(read, split), getattr(expected, split)
            assert torch.equal(one.images, other.images)
            assert torch.equal(one.labels, other.labels)
        assert torch.equal(read.mean, expected.mean)
        assert torch.equal(read.deviation, expected.deviation)


def test_a_disk_that_refuses_the_images_is_an_error_of_one_line(tmp_path):
    digits = load_data(DATASETS["digits"], tmp_path)
    with pytest.raises(StorageError, match="cannot write the images .* make room and repeat") as refused:
        write_images(digits, tmp_path / "missing")
    assert "\n" not in str(refused.value)


# The processes, as threads of this one.


@dataclass
class Thread:
    """A process that is a thread: its end of the connection is its own, as in a process."""

    target: object
    args: tuple
    daemon: bool

    def start(self):
        theirs, *others = self.args
        own = Connection(os.dup(theirs.fileno()))
        self.thread = threading.Thread(target=self.target, args=(own, *others), daemon=True)
        self.thread.start()

    def join(self, timeout=None):
        self.thread.join(timeout)

    def kill(self):
        pass


@pytest.fixture
def said():
    return []


@pytest.fixture
def make_crew(monkeypatch, tmp_path, said):
    """A crew whose processes are threads that run a function of the connection and the key of the probe."""

    def make(body, count=2):
        context = SimpleNamespace(Pipe=multiprocessing.Pipe, Process=Thread)
        monkeypatch.setattr(crew, "worker_context", lambda also: context)
        monkeypatch.setattr(crew, "write_images", lambda data, folder: folder)
        monkeypatch.setattr(crew, "free_bytes", lambda device: 6e9)
        monkeypatch.setattr(crew, "train_for_parent", lambda connection, _, job: body(connection, job.probe))
        return Crew(Places(count), Home(tmp_path), SimpleNamespace(facts=None), said.append, None)

    return make


def named(key, peak_bytes=0.0, seconds=60.0):
    plan = SimpleNamespace(execution=CPU, dataset=DATASETS["digits"])
    return SimpleNamespace(
        key=key, plan=plan, peak_bytes=peak_bytes, seconds=Estimate.exact(seconds), full=True
    )


def obedient(connection, probe):
    """Train until something says stop."""
    connection.send(f"{probe.key} began")
    connection.poll(None)
    connection.send(Report())


def test_what_a_process_tells_is_shown_with_its_number_and_its_report_ends_it(make_crew, said):
    def body(connection, probe):
        for each in ("a notice", TrainingBegun(None, 1.0, one_of_many=True), TrainingEnded()):
            connection.send(each)
        connection.send(Report(RESULT))

    with make_crew(body) as two:
        two.begin(named("a"), 1)
        assert [p.key for p in two.running] == ["a"]
        assert two.has_room
        (ended,) = two.wait(lambda: False)
        ended.close()
    assert (ended.number, ended.report.result) == (1, RESULT)
    assert said == [
        "probe 1: a notice",
        OneOfSeveral("probe 1", TrainingBegun(None, 1.0, one_of_many=True)),
        OneOfSeveral("probe 1", TrainingEnded()),
    ]
    assert not ended.folder.exists()


def test_what_ended_while_another_was_chosen_is_known_before_the_next_choice(make_crew, said):
    reported = threading.Event()

    def body(connection, probe):
        connection.send("a notice")
        connection.send(Report(RESULT))
        reported.set()

    with make_crew(body) as two:
        two.begin(named("a"), 1)
        reported.wait(10)
        (ended,) = two.look()
        ended.close()
    assert (ended.report.result, said) == (RESULT, ["probe 1: a notice"])


def test_a_killed_process_costs_its_probe_in_one_line_and_no_other(make_crew, said):
    def body(connection, probe):
        if probe.key == "b":
            connection.poll(None)
            connection.send(Report(RESULT))
        connection.close()

    with make_crew(body) as two:
        two.begin(named("a"), 1)
        two.begin(named("b"), 2)
        (lost,) = two.wait(lambda: False)
        assert (lost.number, lost.report.result, [p.key for p in two.running]) == (1, None, ["b"])
        lost.close()
        (kept,) = two.wait(lambda: True)
        kept.close()
    assert kept.report.result == RESULT
    assert said == ["probe 1: its process was killed, perhaps for want of memory; it teaches nothing"]


def test_a_probe_that_does_not_fit_the_memory_beside_others_waits(session, monkeypatch):
    script = [named("a", peak_bytes=0.0), named("b", peak_bytes=6e9)]
    running = []

    def body(connection, probe):
        running.append([p.key for p in asked_for._running])
        # The first one trains until the second one was chosen.
        ends = time.monotonic() + 10
        while len(asked) < 2 and time.monotonic() < ends:
            time.sleep(0.01)
        connection.send(Report(RESULT))

    asked_for, asked = session(script, body)
    finished, _ = asked_for.run(ProbeOptions(seconds=60.0))
    # One that trains alone is tried whatever the memory is.
    assert (finished, asked[1][0]) == (["a", "b"], ["a"])
    assert "a" not in running[1]


def test_a_stop_reaches_all_processes_and_an_error_ends_them(make_crew, said):
    three, members = make_crew(obedient, 3), []

    def fail():
        with three:
            for number, key in enumerate("abc", 1):
                three.begin(named(key), number)
            assert not three.has_room
            members.extend(three.members)
            raise StorageError("no room")

    with pytest.raises(StorageError):
        fail()
    assert three.running == []
    assert not any(member.process.thread.is_alive() for member in members)
    assert sorted(said) == ["probe 1: a began", "probe 2: b began", "probe 3: c began"]


# The session.


@pytest.fixture
def session(monkeypatch, make_crew):
    """A session that chooses what a script says, and lets threads train it."""

    def make(script, body, count=2):
        asked = []

        def choose(self, ends, longest, done):
            asked.append(([p.key for p in self._running], [f for f in self.finished], set(done)))
            return script.pop(0) if script else ProbingEnd.NOTHING_WORTHWHILE

        def learn(self, number, chosen, folder, result, seconds, took, signals):
            if result is not None:
                self.finished.append(chosen.key)

        monkeypatch.setattr(ProbingSession, "_choose", choose)
        monkeypatch.setattr(ProbingSession, "_learn", learn)
        monkeypatch.setattr(ProbingSession, "_answer", lambda self, ended: (self.finished, ended))
        monkeypatch.setattr(probe, "words_of", lambda chosen: "")
        found = make_crew(body, count)
        monkeypatch.setattr(probe, "Crew", lambda *_: found)
        profiled = SimpleNamespace(usual=None, busy=False)
        places = Places(count)
        return ProbingSession(None, None, profiled, None, None, None, lambda said: None, places), asked

    return make


def test_a_free_place_is_filled_with_what_is_chosen_beside_those_that_train(session):
    first_may_end = threading.Event()

    def body(connection, probe):
        if probe.key == "a":
            first_may_end.wait(10)
        if probe.key == "c":
            first_may_end.set()
        connection.send(Report(RESULT))

    asked_for, asked = session([named("a"), named("b"), named("c")], body)
    finished, ended = asked_for.run(ProbeOptions(seconds=60.0))
    assert (finished[0], set(finished), ended) == ("b", {"a", "b", "c"}, ProbingEnd.NOTHING_WORTHWHILE)
    running, done = [each[0] for each in asked], [each[2] for each in asked]
    # The place of b is filled while a trains; where nothing is left to choose, the last ones are waited for.
    assert running[:3] == [[], ["a"], ["a"]]
    assert done[:4] == [set(), {"a"}, {"a", "b"}, {"a", "b", "c"}]
    assert (running[-1], asked[-1][1]) == ([], finished)


def test_the_next_choice_knows_for_how_long_the_others_have_trained(session, monkeypatch):
    said = []

    def body(connection, probe):
        connection.poll(None)
        connection.send(Report())

    def choose(self, ends, longest, done):
        said.append([(each.began, each.actual, each.forecast) for each in self._others.times])
        return named("a", seconds=20.0) if not done else ProbingEnd.NOTHING_WORTHWHILE

    began = time.monotonic()
    asked_for, _ = session([], body)
    monkeypatch.setattr(ProbingSession, "_choose", choose)
    asked_for.run(ProbeOptions(seconds=0.5))
    (alone, beside, *_) = said
    ((start, seconds, forecast),) = beside
    assert (alone, forecast) == ([], 20.0 + BESIDE_SECONDS)
    assert began <= start <= start + seconds <= time.monotonic()


def test_an_interrupt_stops_all_probes_and_keeps_those_that_have_ended(session):
    def body(connection, probe):
        if probe.key == "a":
            connection.send(Report(RESULT))
        else:
            os.kill(os.getpid(), signal.SIGINT)
            obedient(connection, probe)

    asked_for, _ = session([named("a"), named("b")], body)
    with pytest.raises(InterruptedRunError, match="which are kept: 1") as stopped:
        asked_for.run(ProbeOptions(seconds=60.0, take_signals=True))
    assert stopped.value.exit_code == 130
    assert (asked_for.finished, asked_for._running) == (["a"], [])


def test_at_the_time_limit_what_trains_is_stopped(session):
    asked_for, _ = session([named("a"), named("b")], obedient)
    finished, _ = asked_for.run(ProbeOptions(seconds=0.3))
    assert (finished, asked_for._running) == ([], [])


def test_with_one_place_a_probe_trains_in_this_process(session, monkeypatch):
    asked_for, _ = session([named("a")], obedient, 1)
    monkeypatch.setattr(probe, "Crew", None)
    trained = []
    monkeypatch.setattr(ProbingSession, "_train_here", lambda self, *given: trained.append(given[:2]))
    asked_for.run(ProbeOptions(seconds=60.0))
    assert [(number, chosen.key) for number, chosen in trained] == [(1, "a")]


def test_probes_of_seconds_train_here_until_a_process_is_worth_its_start(session, monkeypatch):
    here = []

    def train_here(self, number, chosen, signals):
        here.append((number, chosen.key))
        self.finished.append(chosen.key)

    script = [named("a", seconds=1.0), named("b"), named("c", seconds=1.0)]
    asked_for, asked = session(script, lambda connection, _: connection.send(Report(RESULT)))
    monkeypatch.setattr(ProbingSession, "_train_here", train_here)
    finished, _ = asked_for.run(ProbeOptions(seconds=60.0))
    assert (here, finished[0], sorted(finished)) == ([(1, "a")], "a", ["a", "b", "c"])
    assert asked_for._begun == 3


def test_no_process_of_a_probe_begins_before_measuring_has_ended(monkeypatch, tmp_path):
    order = []
    profiled = SimpleNamespace(execution=CPU, usual=None, busy=False)

    class Opened(Crew):
        def __init__(self, *_):
            order.append("probing")
            raise StorageError("enough")

    def measure(*_):
        order.append("measuring")
        assert multiprocessing.active_children() == []
        return profiled

    monkeypatch.setattr(probe, "profiled_for", measure)
    monkeypatch.setattr(probe, "Crew", Opened)
    monkeypatch.setattr(places, "workers_of", lambda device: 2)
    monkeypatch.setattr(probe, "look_once", lambda *_: None)
    facts = SimpleNamespace(name="digits")
    resolved = SimpleNamespace(facts=facts)
    monkeypatch.setattr(probe, "check_request", lambda _: None)
    monkeypatch.setattr(probe.ResolvedRequest, "of", lambda *_: resolved)
    monkeypatch.setattr(probe, "replace", lambda it, **_: it)
    monkeypatch.setattr(probe, "load_new_data", lambda *_, **__: SimpleNamespace(facts=facts))
    monkeypatch.setattr(probe, "say_of_earlier_contents", lambda *_: None)
    with pytest.raises(StorageError, match="enough"):
        probe.probe(None, ProbeOptions(seconds=60.0), Home(tmp_path / "home"), lambda said: None)
    assert order == ["measuring", "probing"]


# Real processes.


def real(home, design, epochs):
    """A probe of digits."""
    with open_store(home.database) as store:
        plan = planned_target(PlanRequest(target=design, dataset="digits", epochs=epochs)).with_settings(
            store
        )
    return Probe(
        plan=replace(plan, execution=replace(plan.execution, processes=1)),
        seconds=Estimate.exact(60.0),
        move=0.1,
        predicted_error=Estimate.exact(0.5),
        image_share=1.0,
        full=True,
    )


def part_of_real(whole):
    """The same on half of the images."""
    plan = replace(whole.plan, dataset=replace(whole.plan.dataset, train_images=538))
    return replace(whole, plan=plan, image_share=0.5, full=False)


@pytest.fixture
def train(monkeypatch):
    """Train probes in a session of so many places; return what the database has, by design."""

    def trained(home, script, count, say=lambda said: None, **options):
        chosen, found = list(script), None if count is None else Places(count)
        monkeypatch.setattr(
            ProbingSession,
            "_choose",
            lambda self, *_: chosen.pop(0) if chosen else ProbingEnd.NOTHING_WORTHWHILE,
        )
        monkeypatch.setattr(ProbingSession, "_answer", lambda self, ended: ended)
        data = load_data(script[0].plan.dataset, home.data)
        with open_store(home.database) as store:
            resolved = SimpleNamespace(facts=data.facts)
            profiled = SimpleNamespace(execution=script[0].plan.execution, usual=None, busy=False)
            session = ProbingSession(None, resolved, profiled, store, home, data, say, found)
            try:
                session.run(ProbeOptions(**({"seconds": 120.0} | options)))
            finally:
                assert multiprocessing.active_children() == []
                assert not home.probes.exists()
            return {(t.design, t.train_images): replace(t, date="") for t in store.reported()}

    return trained


@pytest.mark.slow
def test_two_at_once_end_with_the_bits_and_errors_of_one_after_the_other(train, tmp_path):
    one, two = Home(tmp_path / "one"), Home(tmp_path / "two")
    script = [real(one, "2xresnet-8-4", 2), real(one, "2xmlp-1-8@g1", 3)]
    script.append(part_of_real(script[0]))
    said = []
    expected = train(one, script, 1)
    assert train(two, script, 2, said.append) == expected
    assert len(expected) == 3
    assert [k.plan for k in kept_probes(two)] != []
    for each in script[:2]:
        for network in each.plan.built:
            weights = [
                load_checkpoint(folder_of(home, each.plan) / "networks" / network.name, pytest.fail).weights
                for home in (one, two)
            ]
            assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    began = [s.label for s in said if isinstance(s, OneOfSeveral) and isinstance(s.said, TrainingBegun)]
    assert sorted(began) == ["probe 1", "probe 2", "probe 3"]


@pytest.mark.slow
def test_a_probe_that_is_killed_is_lost_alone(train, tmp_path):
    home, said = Home(tmp_path / "home"), []

    def kill(what):
        said.append(what)
        if (
            isinstance(what, OneOfSeveral)
            and isinstance(what.said, TrainingBegun)
            and len(what.said.plan.members) == 3
        ):
            first = min(multiprocessing.active_children(), key=lambda child: child.pid)
            os.kill(first.pid, signal.SIGKILL)

    found = train(home, [real(home, "3xresnet-14-8", 50), real(home, "mlp-1-8", 2)], 2, kill)
    assert list(found) == [("mlp-1-8", 1077)]
    assert [s for s in said if "killed" in str(s)] == [
        "probe 1: its process was killed, perhaps for want of memory; it teaches nothing"
    ]


@pytest.mark.slow
def test_ctrl_c_keeps_the_probe_that_has_ended_and_leaves_nothing_behind(train, tmp_path):
    home = Home(tmp_path / "home")

    def interrupt(what):
        if str(what).startswith("probe 2: error"):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRunError, match="which are kept: 1"):
        train(
            home, [real(home, "3xresnet-14-8", 50), real(home, "mlp-1-8", 2)], 2, interrupt, take_signals=True
        )
    with open_store(home.database) as store:
        assert [t.design for t in store.reported()] == ["mlp-1-8"]


@pytest.mark.slow
def test_the_time_limit_ends_a_probe_in_the_middle(train, tmp_path):
    home = Home(tmp_path / "home")
    assert train(home, [real(home, "3xresnet-14-8", 50)], 2, seconds=12.0) == {}


# A cluster.


@pytest.fixture
def nodes():
    """A cluster of this machine with two nodes of a core."""
    if find_spec("ray") is None:
        pytest.skip("no clusters: Ray is not installed")
    # Before Ray is imported.
    from ray_nodes import RayNodes

    with RayNodes() as found:
        for _ in range(2):
            found.add()
        yield found


@pytest.mark.slow
@pytest.mark.cluster
def test_on_a_cluster_as_many_probes_train_at_once_as_it_has_room_for(train, nodes, tmp_path):
    local, far, said = Home(tmp_path / "local"), Home(tmp_path / "far"), []
    # The images of the second are a part of those that its nodes load.
    script = [real(local, "mlp-1-8", 60), part_of_real(real(local, "resnet-8-4", 2))]
    expected = train(local, script, 1)
    assert train(far, script, None, said.append, cluster=ClusterAddress(nodes.address)) == expected
    lines = [s for s in said if isinstance(s, str)]
    begun = next(i for i, line in enumerate(lines) if line.startswith("probe 2: resnet-8-4"))
    assert begun < next(i for i, line in enumerate(lines) if ": error " in line)
