from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from advisor.records import Run
from db.queries import Store
from db.session import open_store

WRITER = """
import sys
from pathlib import Path
from advisor.records import EpochRecord
from db.session import open_store

store = open_store(Path(sys.argv[1]))
for epoch in range(100_000):
    store.record_epoch(1, EpochRecord(
        step="train", network="mother-1", epoch=epoch, rate=0.1, train_loss=1.0, train_error=0.5,
        validation_loss=1.0, validation_error=0.5, validation_probabilities=bytes(20_000), seconds=1.0))
    print(epoch, flush=True)
"""

OPENER = """
import sys
from pathlib import Path
from db.session import open_store

print("ready", flush=True)
sys.stdin.readline()
with open_store(Path(sys.argv[1]), busy_seconds=30.0) as store:
    store.add_recommendation("now", {}, {})
"""

LATE = """
import sys
from pathlib import Path
from db.session import open_store

open_store(Path(sys.argv[1])).close()
print(any(name.partition(".")[0] == "alembic" for name in sys.modules))
"""


def start(code: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_killed_writer_leaves_every_epoch_that_it_had_stored(
    path: Path, new_run: Callable[[Store], Run]
) -> None:
    with open_store(path) as store:
        run = new_run(store)
    with start(WRITER, path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 40:
                process.kill()
                break
        # What it printed between the 40th and the kill counts too.
        reported = 40 + len(process.stdout.readlines())
    with open_store(path) as store:
        epochs = [record.epoch for record in store.epochs(run.id)]
        assert store.check() == []
        assert store.run(run.id) == run
    assert epochs == list(range(len(epochs)))
    assert len(epochs) >= reported + 1


def test_processes_that_open_a_new_file_at_once_all_get_it(path: Path) -> None:
    processes = [start(OPENER, path) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    for process in processes:
        process.communicate()
    with open_store(path) as store:
        last = store.last_recommendation()
        assert last is not None
        assert last.id == 4
        assert store.check() == []


def test_opening_an_up_to_date_file_does_not_import_alembic(path: Path) -> None:
    open_store(path).close()
    with start(LATE, path) as process:
        assert process.communicate()[0] == "False\n"
