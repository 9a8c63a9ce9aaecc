"""trainer acts: builds networks from specifications, trains, hatches and evaluates them.

`trainer.load` is for other programs: it returns a trained ensemble as one `nn.Module`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.ensembles.ensemble import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: every module of the room passes through here, also where a process is
    # measured that has no use for it.
    if name == "load":
        from trainer.ensembles.ensemble import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
