"""Folders that a run reads and writes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from advisor.errors import StorageError

# Folder of checkpoints in a run's folder, with one folder for each network.
NETWORKS = "networks"


# Starts to watch the peak memory of this process on a device. The returned function reads the growth in
# bytes, None if it cannot be read.
MemoryWatch = Callable[[str], Callable[[], int | None]]
# Starts to watch the pace of the processor on a device. The returned function is called after every epoch: it
# measures the seconds of a reference now and then, and returns None otherwise.
PaceWatch = Callable[[str], Callable[[], float | None]]


def unwatched(device: str) -> Callable[[], float | None]:
    """Return what measures no pace: whoever executes the plan does not want to know it."""
    return _nothing


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """Folders that a run reads and writes, and the ways to read peak memory and the pace of the processor.

    Attributes:
        folder: folder of the run, with its checkpoints.
        data_root: folder of downloaded data sets.
        watch: function that starts to watch peak memory.
        pace: function that starts to watch the pace of the processor.
    """

    folder: Path
    data_root: Path
    watch: MemoryWatch
    pace: PaceWatch = unwatched

    def of_network(self, name: str) -> Path:
        """Return the folder of a network's checkpoints.

        Raises:
            StorageError: the folder lies outside the run's, whatever name or link leads there.
        """
        return network_folder(self.folder, name)


def network_folder(run: Path, name: str) -> Path:
    """Return the folder of a network's checkpoints below the folder of its run.

    Args:
        run: folder of the run.
        name: name of the network.

    Raises:
        StorageError: the folder lies outside the run's, whatever name or link leads there.
    """
    folder = run / NETWORKS / name
    inside = Path(os.path.realpath(run)) / NETWORKS
    if Path(os.path.realpath(folder)).parent != inside:
        raise StorageError(
            f"the checkpoints of {name!r} would lie outside {run / NETWORKS}: remove the link, or train again"
        )
    return folder
