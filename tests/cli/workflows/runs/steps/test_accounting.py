"""Time of a run by its steps, by hand, and file systems that several machines share."""

from __future__ import annotations

import pytest

from advisor.designs.design import parse_design
from advisor.plans.dataset import dataset_named
from advisor.plans.execution import Execution
from advisor.plans.methods import make_plan
from cli.workflows.runs.steps.accounting import makespan
from cli.workflows.runs.steps.mounts import is_on_network

TWO = Execution(device="cpu", processes=2, threads=1, dtype="float32", memory_format="contiguous")
MOUNTS = """\
/dev/vda / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/vdb /home/local xfs rw 0 0
server:/a\\040b /mnt/a\\040b lustre rw 0 0
host: /mnt/far fuse.sshfs rw 0 0
"""


def test_steps_take_the_time_that_they_take_on_the_processes_of_the_plan():
    design, digits = parse_design("3xmlp-1-4@g1"), dataset_named("digits")
    plan = make_plan(design, digits, epochs=2, batch=128, seed=1, execution=TWO)
    seconds = {"train mother-1": 10.0}
    for number, each in ((1, 4.0), (2, 6.0), (3, 5.0)):
        seconds |= {f"hatch member-{number}": 0.0, f"train member-{number}": each}
    # The mother, then members 1 and 2 side by side, and member 3 where member 1 has ended.
    assert makespan(plan, seconds, set(seconds)) == 10 + 4 + 5
    # An unfinished mother lets no member begin.
    assert makespan(plan, {"train mother-1": 3.0}, set()) == 3
    assert makespan(plan, {}, set()) == 0


@pytest.mark.parametrize(
    ("folder", "shared"),
    [
        ("/srv/home", False),
        ("/home/me/.local", True),
        ("/home/local/me", False),
        ("/home/locally", True),
        ("/mnt/a b/c", True),
        ("/mnt/far", True),
    ],
)
def test_the_deepest_mount_tells_whether_machines_share_a_folder(tmp_path, folder, shared):
    (tmp_path / "mounts").write_text(MOUNTS)
    assert is_on_network(tmp_path.__class__(folder), tmp_path / "mounts") is shared


def test_where_no_mounts_are_listed_no_folder_is_shared(tmp_path):
    assert not is_on_network(tmp_path, tmp_path / "missing")
