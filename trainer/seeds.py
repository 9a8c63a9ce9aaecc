"""Seeds derived from texts: randomness has no state."""

from __future__ import annotations

import hashlib


def derived_seed(*parts: object) -> int:
    """Return a 63-bit seed that depends on the text of all parts."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
