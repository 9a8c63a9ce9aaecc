"""The reference of a machine: one small network that is measured under all settings and on all cores.

Two decisions rest on it: which arithmetic and memory format a plan gets, and by how much networks slow each
other down that train side by side. Steps of one reference are compared with each other only, never with
those of another one.

The reference is `REFERENCES[0]` for images of up to 64×64 pixels. A training step on larger images needs
memory and time in proportion to their area, so larger images have smaller references.
"""

from __future__ import annotations

from functools import lru_cache

from advisor.cost.acquisition import Wanted
from advisor.cost.memory.peak import training_bytes
from advisor.networks.layers import Task

# From large to small; the batch shrinks first, because it changes a step least.
REFERENCES = (
    Wanted("resnet-20-16", 32),
    Wanted("resnet-20-16", 8),
    Wanted("resnet-20-16", 2),
    Wanted("resnet-20-4", 2),
    Wanted("resnet-8-4", 2),
    Wanted("resnet-8-1", 2),
)
# Bytes of the tensors of a reference at most. `REFERENCES[0]` has 192 MiB on images of 64×64.
LARGEST_BYTES = 200 * 2**20


@lru_cache(maxsize=256)
def references(task: Task) -> tuple[Wanted, ...]:
    """Return the references of a task: the usual one first, then smaller ones for little memory or time."""
    sizes = (training_bytes(r.network, task, r.batch, "float32", "channels_last") for r in REFERENCES)
    first = next((i for i, size in enumerate(sizes) if size <= LARGEST_BYTES), len(REFERENCES) - 1)
    return REFERENCES[first:]
