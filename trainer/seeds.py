"""Random seeds that are derived from texts, so that no random generator has to be stored."""

from __future__ import annotations

import hashlib


def derived_seed(*parts: object) -> int:
    """Return a random seed of 63 bits.

    Args:
        parts: values whose texts determine the seed, for example a run's seed and the number of an epoch.
    """
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
