"""A node that is cut off from the network and trains on, while another one takes over."""

from __future__ import annotations

import time

import pytest
from ray_nodes import NEEDS_RAY, RayNodes, wait_until

from advisor.plans.records import EpochRecord, StepStatus
from profiler.memory import watch_peak
from trainer.events import Notice
from trainer.execution.cluster.address import ClusterAddress
from trainer.execution.execute import execute
from trainer.run_files import RunFiles
from trainer.training.checkpoint import load_checkpoint, newest_attempt

pytestmark = [
    pytest.mark.slow,
    *NEEDS_RAY,
]

# The head node believes a node dead that was silent for some seconds, in place of half a minute.
IMPATIENT = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}


@pytest.fixture
def nodes():
    with RayNodes(**IMPATIENT) as found:
        yield found


def test_what_a_node_saves_that_was_cut_off_is_refused(nodes, plan_of, digits, tmp_path, same_bits):
    plan = plan_of("resnet-14-4", epochs=30)
    files = RunFiles(folder=tmp_path / "far", data_root=tmp_path, watch=watch_peak)
    local = RunFiles(folder=tmp_path / "local", data_root=tmp_path, watch=watch_peak)
    files.folder.mkdir()
    told, near = [], []

    with nodes.far_away() as (_, cut):

        def cut_off(event):
            told.append(event)
            if isinstance(event, EpochRecord) and event.epoch == 2 and not near:
                near.append(nodes.add())
                cut()

        began = time.monotonic()
        ended = execute(plan, files, digits, cut_off, lambda: False, ClusterAddress(nodes.address))
        print(f"{time.monotonic() - began:.1f} s")
    assert {record.status for record in ended.values()} == {StepStatus.DONE}
    assert any("is lost; train member-1 goes on" in e.text for e in told if isinstance(e, Notice))
    # Both nodes see the folder of the run, and the second one took it over.
    assert newest_attempt(files.of_network("member-1")) == 2
    execute(plan, local, digits, lambda event: None, lambda: False)
    one, other = (load_checkpoint(f.of_network("member-1"), pytest.fail) for f in (files, local))
    assert same_bits(one.weights, other.weights)
    assert one.progress.epoch == 30
    wait_until(lambda: len(nodes.alive()) == 2, "end of the node that was cut off")
