"""trainer acts: it builds networks from specifications, trains, hatches and evaluates them.

`trainer.load` is for other programs: it returns a trained ensemble as one `nn.Module`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.ensembles.ensemble import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # Imported on demand, because every import of a module of this package runs this file, also in processes
    # whose memory is measured.
    if name == "load":
        from trainer.ensembles.ensemble import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
