"""Where a run finds and leaves its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Folder of checkpoints in a run's folder, with a folder a network.
NETWORKS = "networks"


# Starts watching the peak memory of this process; the function it returns reads the growth in bytes.
MemoryWatch = Callable[[str], Callable[[], int | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """Where a run finds and leaves its files.

    Attributes:
        folder: checkpoints of the run.
        data_root: downloaded data sets.
        watch: reads peak memory.
    """

    folder: Path
    data_root: Path
    watch: MemoryWatch

    def of_network(self, name: str) -> Path:
        """Folder of a network's checkpoints."""
        return self.folder / NETWORKS / name
